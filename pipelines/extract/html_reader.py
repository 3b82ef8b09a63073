"""HTML source into a PageTree: one pass, no recursion, time in proportion to the source.

The HTML standard's tokenization (13.2.5) and tree construction (13.2.6), simplified: what is open is a stack that knows
for each entry its nearest boundaries, so that no tag ever has to look for anything. Two things differ from the standard.
Nothing is moved: what stands in a table outside its cells stays there, and a block that </b> or </a> should leave stays
in it. And of the formatting elements that the end of a block closes only links go on behind it.
"""

from typing import Protocol

import cython

from pipelines.extract.html_rules import (
    BREAKS_OUT, END, END_BLOCK, END_BREAK, END_FORM, END_FORMATTING, END_HEAD, END_HEADING, END_INLINE,
    END_LIST_ITEM, END_PARAGRAPH, END_SELECT, END_TABLE, END_TABLE_PART, END_TEMPLATE, FLAGS, FOREIGN, IMPLIED,
    INTEGRATION, IN_HEAD, KEPT_FOREIGN, LINKABLE, RAW, START, START_ANCHOR, START_BLOCK, START_BODY, START_BUTTON,
    START_CAPTION, START_CELL, START_COLUMN, START_FOREIGN_ROOT, START_FORM, START_HEAD, START_HEADING, START_HTML,
    START_IGNORED, START_IMAGE, START_LIST_ITEM, START_NO_BREAK, START_OPTION, START_PLAIN_TEXT, START_ROW,
    START_RUBY, START_TABLE, START_TERM, TABLE_PART, TOO_DEEP, TOO_MANY_ATTRIBUTES, TOO_MANY_ELEMENTS, VOID,
)  # fmt: skip
from pipelines.extract.page_tree import PageTree
from pipelines.extract.tags import (
    A, BR, BUTTON, COLGROUP, DD, DT, FONT, H1, H2, H6, HEAD, HR, HTML, IMG, INPUT, KEYGEN, LI, NOBR, OL, OPTGROUP,
    OPTION, OTHER, P, RP, RT, RTC, RUBY, SCRIPT, SELECT, TABLE, TBODY, TEMPLATE, TEXTAREA, TFOOT, THEAD, TR, UL,
)  # fmt: skip
from schemas.rejection import Rejected

if cython.compiled:
    from cython.cimports.pipelines.extract.html_scan import (
        attributes_end, comment_end, find_byte, find_markup, name_end, raw_end, script_end, tag_number,
    )  # fmt: skip
    from cython.cimports.pipelines.extract.html_stack import Stack
else:
    from pipelines.extract.html_scan import (
        attributes_end, comment_end, find_byte, find_markup, name_end, raw_end, script_end, tag_number,
    )  # fmt: skip
    from pipelines.extract.html_stack import Stack


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
class _Reader(Stack):
    """What each tag does to the stack."""

    body: cython.int
    form: cython.bint
    headed: cython.bint
    rooted: cython.bint
    quirks: cython.bint

    def __init__(self, source: bytes, max_elements: int, max_depth: int) -> None:
        super().__init__(source, max_elements, max_depth)
        self.body = -1  # the node of <body>
        self.form = False  # a <form> is open: another is ignored
        self.headed = self.rooted = False  # <head>, <html> have been
        self.quirks = True  # no doctype has been: a table may stand in a paragraph

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
    def start_tag(
        self, data: cython.p_const_uchar, number: cython.int, name: cython.Py_ssize_t, stop: cython.Py_ssize_t,
        end: cython.Py_ssize_t, closed: cython.bint,
    ) -> cython.Py_ssize_t:  # fmt: skip
        """A start tag that ends before `end`, its name at name .. stop; returns where reading goes on."""
        top: cython.int = self.depth - 1
        if self.htmls[top] != top and not self.bits[top] & INTEGRATION:
            if FLAGS[number] & BREAKS_OUT or (number == FONT and self.is_html_font(stop, end)):
                self.leave_foreign()
            else:
                self.insert_foreign(number, name, stop, end, closed)
                return end
        if self.keys[self.depth - 1] == HEAD and not FLAGS[number] & IN_HEAD and number != HTML:
            self.pop_to(self.depth - 1)
        if self.opened[SELECT] > self.opened[TEMPLATE] and not self.start_in_select(number):
            return end
        rule: cython.int = START[number]
        if rule == START_IMAGE:
            number = IMG
        if FLAGS[number] & LINKABLE and self.pending >= 0:
            self.resume_link()
        if rule and not self.prepare(rule, number, stop, end):
            return end
        if rule == START_FOREIGN_ROOT:
            self.insert(number, FOREIGN + number, stop, end - 1, not closed)
            return end
        if FLAGS[number] & RAW or rule == START_PLAIN_TEXT:
            return self.raw_content(data, number, name, stop, end)
        open_: cython.bint = not FLAGS[number] & VOID
        if rule == START_FORM and self.bits[self.depth - 1] & TABLE_PART:
            open_ = False
        self.insert(number, number if number != OTHER else self.key_of(name, stop, False, False), stop, end - 1, open_)
        if rule == START_BODY:
            self.body = self.count - 1
        return end

    @cython.cfunc
    def prepare(
        self, rule: cython.int, number: cython.int, stop: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.bint:
        """Close what an element's start closes; false if its tag is to be ignored."""
        top: cython.int = self.depth - 1
        at: cython.int
        if rule == START_BLOCK or rule == START_PLAIN_TEXT:
            self.close_paragraph()
        elif rule == START_ANCHOR:
            if self.opened[A] > self.scopes[top]:
                self.end_formatting(A)
            self.pending = -1
        elif rule == START_LIST_ITEM or rule == START_TERM:
            at = self.keys[self.hards[top]]
            if at == number or (rule == START_TERM and (at == DD or at == DT)):
                self.pop_to(self.hards[top])
            self.close_paragraph()
        elif rule == START_HEADING:
            self.close_paragraph()
            if H1 <= self.keys[self.depth - 1] <= H6:
                self.pop_to(self.depth - 1)
        elif START_CAPTION <= rule <= START_CELL:
            return self.start_table_part(rule)
        elif rule == START_TABLE:
            if self.bits[top] & TABLE_PART:
                self.pop_to(self.opened[TABLE])
            elif not self.quirks:
                self.close_paragraph()
        elif rule == START_OPTION:
            if self.keys[top] == OPTION:
                self.pop_to(top)
        elif rule == START_BUTTON:
            if self.opened[BUTTON] > self.scopes[top]:
                self.pop_to(self.opened[BUTTON])
        elif rule == START_NO_BREAK:
            if self.opened[NOBR] > self.scopes[top]:
                self.end_formatting(NOBR)
        elif rule == START_FORM:
            if self.form and self.opened[TEMPLATE] < 0:
                return False
            self.close_paragraph()
            self.form = True
        elif rule == START_RUBY:
            if self.opened[RUBY] > self.scopes[top]:
                self.close_implied(number == RP or number == RT)
        elif rule == START_HTML or rule == START_HEAD or rule == START_BODY:
            return self.start_document_part(rule, stop, end - 1)
        elif rule == START_IGNORED:
            return False
        return True

    @cython.cfunc
    def start_document_part(self, rule: cython.int, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
        """<html>, <head>, <body>: once each. A second adds its attributes to the first."""
        if rule == START_HTML:
            if self.rooted:
                self.merge(0, start, stop)
            else:
                self.starts[0], self.stops[0], self.rooted = start, stop, True
            return False
        if self.opened[TEMPLATE] >= 0:
            return False
        if rule == START_HEAD:
            if self.headed or self.body >= 0 or self.depth > 1:
                return False
            self.headed = True
            return True
        if self.body >= 0:
            self.merge(self.body, start, stop)
            return False
        if self.depth > 1 and self.keys[1] == HEAD:
            self.pop_to(1)
        return self.depth == 1

    @cython.cfunc
    def merge(self, node: cython.int, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.void:
        if stop > start:
            self.merged.setdefault(node, []).append((start, stop))

    @cython.cfunc
    def start_table_part(self, rule: cython.int) -> cython.bint:
        """Close what is open in the table down to where a part of it may stand; false outside a table."""
        base: cython.int = self.table_base()
        if base < 0 or (
            self.keys[base] == TEMPLATE and base < self.depth - 1 and not self.bits[self.depth - 1] & TABLE_PART
        ):
            return False
        at: cython.int = base
        if rule == START_ROW or rule == START_CELL:
            at = max(at, self.opened[TBODY], self.opened[THEAD], self.opened[TFOOT])
            if rule == START_CELL:
                at = max(at, self.opened[TR])
        elif rule == START_COLUMN:
            at = max(at, self.opened[COLGROUP])
        self.pop_to(at + 1)
        return True

    @cython.cfunc
    def table_base(self) -> cython.int:
        """The position of the table that the stack stands in, or of a template in it; -1 if none."""
        return max(self.opened[TABLE], self.opened[TEMPLATE])

    @cython.cfunc
    def start_in_select(self, number: cython.int) -> cython.bint:
        """What a start tag does in a <select>; false if it is to be ignored."""
        if number == OPTION or number == OPTGROUP or number == HR:
            if self.keys[self.depth - 1] == OPTION:
                self.pop_to(self.depth - 1)
            if number != OPTION and self.keys[self.depth - 1] == OPTGROUP:
                self.pop_to(self.depth - 1)
            return True
        if number == SCRIPT or number == TEMPLATE:
            return True
        if number == SELECT or number == INPUT or number == KEYGEN or number == TEXTAREA:
            self.pop_to(self.opened[SELECT])
            return number != SELECT
        if START_TABLE <= START[number] <= START_CELL and self.opened[TABLE] >= 0:
            self.pop_to(self.opened[SELECT])
            return True
        return False

    @cython.cfunc
    def raw_content(
        self, data: cython.p_const_uchar, number: cython.int, name: cython.Py_ssize_t, stop: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:  # fmt: skip
        """An element that holds text only, up to its end tag, with that text; returns where the end tag is."""
        size: cython.Py_ssize_t = len(self.source)
        last: cython.Py_ssize_t = size
        if number == SCRIPT:
            last = script_end(data, end, size)
        elif FLAGS[number] & RAW:
            last = raw_end(data, end, size, name, stop)
        depth: cython.int = self.depth
        self.insert(number, number, stop, end - 1, True)
        if self.depth > depth:
            if last > end:
                self.add_text(data, end, last)
            self.pop_to(depth)
        return last

    @cython.cfunc
    def insert_foreign(
        self, number: cython.int, name: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t,
        closed: cython.bint,
    ) -> cython.void:  # fmt: skip
        """An element within <svg> or <math>."""
        key: cython.int = FOREIGN + number if number != OTHER else self.key_of(name, stop, True, False)
        self.insert(number if number in KEPT_FOREIGN else OTHER, key, stop, end - 1, not closed)

    @cython.cfunc
    def is_html_font(self, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        attributes = self.source[stop:end].lower()
        return b"color" in attributes or b"face" in attributes or b"size" in attributes

    @cython.cfunc
    def leave_foreign(self) -> cython.void:
        """Close what is open of <svg> or <math>, up to where HTML may stand."""
        top: cython.int = self.depth - 1
        while self.htmls[top] != top and not self.bits[top] & INTEGRATION:
            self.pop_to(top)
            top = self.depth - 1

    @cython.cfunc
    def close_paragraph(self) -> cython.bint:
        """Close an open paragraph; false if there is none."""
        at: cython.int = self.opened[P]
        if at > self.scopes[self.depth - 1] and at > self.opened[BUTTON]:
            self.pop_to(at)
            return True
        return False

    @cython.cfunc
    def close_implied(self, but_rtc: cython.bint) -> cython.void:
        """Close what needs no end tag."""
        top: cython.int = self.depth - 1
        while self.bits[top] & IMPLIED and not (but_rtc and self.keys[top] == RTC):
            self.pop_to(top)
            top = self.depth - 1

    @cython.cfunc
    def end_formatting(self, number: cython.int) -> cython.void:
        """Close an element that is open in scope; if a block began in it, where the block ends."""
        at: cython.int = self.opened[number]
        if self.specials[self.depth - 1] > at:
            self.fold(at)
        else:
            self.pop_to(at)

    @cython.cfunc
    def end_tag(self, number: cython.int, name: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.void:
        """What an end tag does; that of an element that is not open, nothing."""
        top: cython.int = self.depth - 1
        rule: cython.int = END[number]
        key: cython.int = number
        if self.htmls[top] != top:
            if number == P or number == BR:
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
            number == SELECT or number == OPTION or number == OPTGROUP or number == TEMPLATE
            or rule == END_TABLE or rule == END_TABLE_PART
        ):  # fmt: skip
            return
        at: cython.int = self.opened[key]
        scope: cython.int = self.scopes[top]
        if rule == END_INLINE:
            if at >= self.specials[top] and at > 0:
                self.pop_to(at)
        elif rule == END_BLOCK or rule == END_SELECT:
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
        elif rule == END_TEMPLATE or rule == END_HEAD:
            if at > 0 and (rule == END_TEMPLATE or self.opened[TEMPLATE] < 0):
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
