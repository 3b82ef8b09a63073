"""A page as a tree of elements and runs of text, kept as parallel arrays in document order."""

import re
from array import array
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING

from pipelines.extract import tags

if TYPE_CHECKING:
    Numbers = array[int]
else:  # only a type checker knows what is in an array
    Numbers = array

_ATTRIBUTE = re.compile(
    rb"""[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)
    (?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r >"'][^\t\n\f\r >]*+))?+)?+""",
    re.VERBOSE,
)
_NAME = re.compile(rb"<([a-zA-Z][^\t\n\f\r />]*+)")
_REFERENCE = re.compile(r"&(?:#[0-9]++;?+|#[xX][0-9a-fA-F]++;?+|[a-zA-Z][a-zA-Z0-9]*+;?+=?+)")
# Numbers far beyond Unicode, and zeros without end: `int` refuses thousands of digits.
_HUGE = re.compile(r"&#(?:0*+[1-9][0-9]{7,}+|[xX]0*+[1-9a-fA-F][0-9a-fA-F]{6,}+);?+")
_ZEROS = re.compile(r"&#0{8,}+")
_NOT_DECODED = frozenset(
    {tags.SCRIPT, tags.STYLE, tags.XMP, tags.IFRAME, tags.NOEMBED, tags.NOFRAMES, tags.PLAINTEXT}
)  # fmt: skip


class PageTree:
    """Nodes of a page in document order: elements, and runs of text as leaves. Node 0 is <html>.

    An element stands where its tag puts it: <head>, <body> and <tbody> are there only if the page has their tags.
    Comments, doctype and processing instructions are left out, and so is white space where it means nothing (between
    the rows of a table); the content of <noscript> and <template> is there as elements, that of <script> as one text.
    Elements within <svg> and <math> are OTHER, but for a few.
    """

    __slots__ = ("_attributes", "_merged", "ends", "parents", "source", "starts", "stops", "tags")

    def __init__(
        self,
        source: bytes,
        tags: Numbers,
        parents: Numbers,
        ends: Numbers,
        starts: Numbers,
        stops: Numbers,
        merged: dict[int, list[tuple[int, int]]],
    ) -> None:
        self.source = source
        """The page, UTF-8."""
        self.tags = tags
        """Numbers of `tags`."""
        self.parents = parents
        """-1 for node 0."""
        self.ends = ends
        """One past the last node of the subtree, which is node .. ends[node]."""
        self.starts = starts
        self.stops = stops
        """Byte range in `source`: of a text its characters, of an element what stands between its name and ">"."""
        self._merged = merged
        self._attributes: dict[int, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self.tags)

    def name(self, node: int) -> str:
        """An element's name in lower case; empty for a text."""
        number = self.tags[node]
        if number != tags.OTHER:
            return tags.NAMES[number]
        begin = stop = self.starts[node]
        while self.source[begin - 1] not in b"\t\n\f\r />":  # "<" may stand in a name; these may not
            begin -= 1
        found = _NAME.search(self.source, begin, stop)
        return _decode(found[1].lower()).replace("\0", "\ufffd") if found else ""

    def attributes(self, node: int) -> dict[str, str]:
        """An element's attributes, names in lower case; the first of equal names counts. Not to be changed."""
        if self.tags[node] == tags.TEXT:
            return {}
        start = self.starts[node]  # a link that goes on in the next block is another node with the same attributes
        found = self._attributes.get(start)
        if found is None:
            found = self._attributes[start] = self._read_attributes(node)
        return found

    def text(self, node: int) -> str:
        """The characters of a text, white space as in the source."""
        text = _decode(self.source[self.starts[node] : self.stops[node]])
        if "\0" in text:
            text = text.replace("\0", "")
        if "&" in text and self.tags[self.parents[node]] not in _NOT_DECODED:
            return unescape(_tame(text))
        return text

    def _read_attributes(self, node: int) -> dict[str, str]:
        values: dict[str, str] = {}
        for start, stop in ((self.starts[node], self.stops[node]), *self._merged.get(node, ())):
            for found in _ATTRIBUTE.finditer(self.source, start, stop):
                name = _decode(found[1].lower())
                if name not in values:
                    value = _decode(found[2] or found[3] or found[4] or b"")
                    values[name] = _REFERENCE.sub(_replace, _tame(value)) if "&" in value else value
        return {name.replace("\0", "\ufffd"): value.replace("\0", "\ufffd") for name, value in values.items()}


def _decode(source: bytes) -> str:
    text = source.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _tame(text: str) -> str:
    return _ZEROS.sub("&#0", _HUGE.sub("\ufffd", text)) if "&#" in text else text


def _replace(reference: re.Match[str]) -> str:
    """What a character reference in an attribute stands for; `&copy` is none in "?a=1&copy=2" and "&copyright"."""
    found = reference[0]
    if found[1] == "#" or found[1:] in html5:
        return unescape(found)
    if found.endswith(";="):
        return unescape(found[:-1]) + "="
    return found
