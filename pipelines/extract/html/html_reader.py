"""HTML source into a PageTree: one pass, no recursion, time in proportion to the source.

The HTML standard's tokenization (13.2.5) and tree construction (13.2.6), simplified: what is open is a stack that
knows for each entry its nearest boundaries, so that no tag has to look for anything. Two things differ from the
standard. Nothing is moved: what stands in a table outside its cells stays there, and a block that </b> or </a> should
leave stays in it. And of the formatting elements that the end of a block closes only links go on behind it.
"""

from typing import Protocol

import cython

# isort: off
from pipelines.extract.html.html_rules import (
    END, END_BLOCK, END_BREAK, END_FORM, END_FORMATTING, END_HEAD, END_HEADING, END_INLINE, END_LIST_ITEM,
    END_PARAGRAPH, END_SELECT, END_TABLE, END_TABLE_PART, END_TEMPLATE, FOREIGN, TOO_DEEP, TOO_MANY_ATTRIBUTES,
    TOO_MANY_ELEMENTS,
)  # fmt: skip
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import (
    A, BR, H1, H2, H6, LI, OL, OPTGROUP, OPTION, OTHER, P, SELECT, TEMPLATE, UL,
)  # fmt: skip
from schemas.rejection import Rejected
# isort: on

if not cython.compiled:
    from pipelines.extract.html.html_scan import (
        attributes_end,
        comment_end,
        find_byte,
        find_markup,
        name_end,
        tag_number,
    )
    from pipelines.extract.html.html_starts import Starts
else:
    from cython.cimports.pipelines.extract.html.html_scan import (  # type: ignore[no-redef]
        attributes_end,
        comment_end,
        find_byte,
        find_markup,
        name_end,
        tag_number,
    )
    from cython.cimports.pipelines.extract.html.html_starts import Starts  # type: ignore[no-redef]


class Limits(Protocol):
    """Bounds of one page. Past any of them the page is refused, never cut."""

    @property
    def max_chars(self) -> int: ...
    @property
    def max_elements(self) -> int: ...
    @property
    def max_depth(self) -> int: ...
    @property
    def max_attributes(self) -> int: ...


def parse_tree(html: bytes, limits: Limits) -> PageTree | Rejected:
    """Read a page, UTF-8. Reasons: too_large, too_many_attributes, too_deep, too_many_elements."""
    if len(html) > limits.max_chars and (chars := len(html.decode("utf-8", "replace"))) > limits.max_chars:
        return Rejected("too_large", f"{chars} characters, at most {limits.max_chars}")
    reader = _Reader(html, limits.max_elements, limits.max_depth)
    at = reader.read(limits.max_attributes)
    if reader.fault == TOO_MANY_ATTRIBUTES:
        return Rejected("too_many_attributes", f"more than {limits.max_attributes} in the element at byte {at}")
    if reader.fault == TOO_DEEP:
        return Rejected("too_deep", f"more than {limits.max_depth} nested elements")
    if reader.fault == TOO_MANY_ELEMENTS:
        return Rejected("too_many_elements", f"more than {limits.max_elements} elements")
    return reader.tree()


@cython.cclass
class _Reader(Starts):
    """Finds the tags; the rules for end tags."""

    def read(self, max_attributes: int) -> int:
        """Read the source to its end, or until `fault` is set; returns where it stopped."""
        data: cython.p_const_uchar = self.source
        size: cython.Py_ssize_t = len(self.source)
        limit: cython.Py_ssize_t = max_attributes
        pos: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = 0
        name: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        end: cython.Py_ssize_t
        byte: cython.uchar
        while pos < size and self.fault == 0:
            at = find_markup(data, pos, size)
            if at > pos:
                self.add_text(data, pos, at)
            if at >= size:
                break
            byte = data[at + 1]
            name = at + 2 if byte == 47 else at + 1
            if byte == 33:
                pos = self.declaration(data, at + 2, size)
            elif byte == 63 or not 97 <= (data[name] | 32) <= 122:
                pos = find_byte(data, 62, name, size) + 1
            else:
                stop = name_end(data, name, size)
                end = 2 * stop if stop < size and data[stop] == 62 else attributes_end(data, stop, size, limit)
                if end < 0:
                    self.fault = TOO_MANY_ATTRIBUTES
                    break
                if end >= 2 * size:
                    break
                pos = (end >> 1) + 1
                if byte == 47:
                    self.end_tag(tag_number(data, name, stop), name, stop)
                else:
                    pos = self.start_tag(data, tag_number(data, name, stop), name, stop, pos, end & 1)
        return at

    @cython.cfunc
    def declaration(
        self, data: cython.p_const_uchar, pos: cython.Py_ssize_t, size: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """One past the comment, doctype or CDATA section of which "<!" ends at `pos`."""
        if pos + 1 < size and data[pos] == 45 and data[pos + 1] == 45:
            return comment_end(data, pos + 2, size)
        if self.htmls[self.depth - 1] != self.depth - 1 and self.source.startswith(b"[CDATA[", pos):
            found = self.source.find(b"]]>", pos + 7)
            stop: cython.Py_ssize_t = size if found < 0 else found
            if stop > pos + 7:
                self.add_text(data, pos + 7, stop)
            return stop + 3
        end: cython.Py_ssize_t = find_byte(data, 62, pos, size)
        if self.count == 1 and self.source[pos : pos + 7].lower() == b"doctype":
            self.quirks = _asks_for_quirks(self.source[pos + 7 : end])
        return end + 1

    @cython.cfunc
    def end_tag(self, number: cython.int, name: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.void:
        """What an end tag does; that of an element that is not open, nothing."""
        top: cython.int = self.depth - 1
        rule: cython.int = END[number]
        key: cython.int = number
        if self.htmls[top] != top:
            if number in (P, BR):
                self.leave_foreign()
                top = self.depth - 1
            else:
                key = FOREIGN + number if number != OTHER else self.key_of(name, stop, True, True)
                if key >= 0 and self.opened[key] > self.htmls[top]:
                    self.pop_to(self.opened[key])
                    return
                key = number
        if key == OTHER:
            key = self.key_of(name, stop, False, True)
            if key < 0:
                return
        if self.opened[SELECT] > self.opened[TEMPLATE] and not (
            number in (SELECT, OPTION, OPTGROUP, TEMPLATE) or rule in (END_TABLE, END_TABLE_PART)
        ):  # fmt: skip
            return
        at: cython.int = self.opened[key]
        scope: cython.int = self.scopes[top]
        if rule == END_INLINE:
            if at >= self.specials[top] and at > 0:
                self.pop_to(at)
        elif rule in (END_BLOCK, END_SELECT):
            if at >= scope and at > 0:
                self.pop_to(at)
        elif rule == END_FORMATTING:
            if at > scope:
                self.end_formatting(number)
            if number == A:
                self.pending = -1
        elif rule == END_PARAGRAPH:
            if not self.close_paragraph():
                self.insert(P, P, stop, stop, False)
        elif rule == END_LIST_ITEM:
            if at > scope and (number != LI or (at > self.opened[UL] and at > self.opened[OL])):
                self.pop_to(at)
        elif rule == END_TABLE_PART:
            if at > self.table_base():
                self.pop_to(at)
        elif rule == END_TABLE:
            if at > self.opened[TEMPLATE]:
                self.pop_to(at)
        elif rule == END_HEADING:
            at = H1
            for key in range(H2, H6 + 1):
                if self.opened[key] > self.opened[at]:
                    at = key
            if self.opened[at] > scope:
                self.pop_to(self.opened[at])
        elif rule == END_FORM:
            self.form = False
            if at > scope:
                self.close_implied(False)
                self.fold(at)
        elif rule == END_BREAK:
            if self.pending >= 0:
                self.resume_link()
            self.insert(BR, BR, stop, stop, False)
        elif (rule == END_TEMPLATE or (rule == END_HEAD and self.opened[TEMPLATE] < 0)) and at > 0:
            self.pop_to(at)


def _asks_for_quirks(doctype: bytes) -> bool:
    """Whether a browser reads a page with this doctype as one of the nineties."""
    words = doctype.lower()
    return (
        words.split()[:1] != [b"html"]
        or any(name in words for name in _QUIRKS)
        or (b"dtd html 4.01 " in words and b".dtd" not in words)
    )


# Parts of the public identifiers that ask for quirks mode; the standard lists 60, most of them never seen.
_QUIRKS = (
    b"-//ietf//", b"-//w3c//dtd html 3", b"-//w3c//dtd html 4.0 ", b"-//w3c//dtd w3 html", b"-//netscape",
    b"-//microsoft", b"-//softquad", b"-//webtechs", b"-//sun microsystems", b"-//w3o//",
)  # fmt: skip
