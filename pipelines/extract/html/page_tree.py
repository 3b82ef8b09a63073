"""A page as a tree of elements and runs of text, kept as parallel arrays in document order."""

import re
from array import array
from typing import TYPE_CHECKING

from pipelines.extract.html import tags
from pipelines.extract.html.attribute_scan import read_attributes
from pipelines.extract.html.references import decode, in_text

if TYPE_CHECKING:
    Numbers = array[int]
else:  # only a type checker knows what is in an array
    Numbers = array

_NAME = re.compile(rb"<([a-zA-Z][^\t\n\f\r />]*+)")
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
        return decode(found[1].lower()).replace("\0", "\ufffd") if found else ""

    def attributes(self, node: int) -> dict[str, str]:
        """An element's attributes, names in lower case; the first of equal names counts. Not to be changed."""
        if self.tags[node] == tags.TEXT:
            return {}
        start = self.starts[node]  # a link that goes on in the next block is another node with the same attributes
        found = self._attributes.get(start)
        if found is None:
            found = self._attributes[start] = {}
            for begin, stop in ((start, self.stops[node]), *self._merged.get(node, ())):
                read_attributes(self.source, begin, stop, found)
        return found

    def text(self, node: int) -> str:
        """The characters of a text, white space as in the source."""
        text = decode(self.source[self.starts[node] : self.stops[node]])
        if "\0" in text:
            text = text.replace("\0", "")
        return text if self.tags[self.parents[node]] in _NOT_DECODED else in_text(text)
