"""What the start tag of an HTML element does to the stack, and what it shares with end tags."""

import cython

# isort: off
from pipelines.extract.html.html_rules import (
    BREAKS_OUT, FLAGS, FOREIGN, IMPLIED, INTEGRATION, IN_HEAD, KEPT_FOREIGN, LINKABLE, RAW, START, START_ANCHOR,
    START_BLOCK, START_BODY, START_BUTTON, START_CAPTION, START_CELL, START_COLUMN, START_FOREIGN_ROOT, START_FORM,
    START_HEAD, START_HEADING, START_HTML, START_IGNORED, START_IMAGE, START_LIST_ITEM, START_NO_BREAK,
    START_OPTION, START_PLAIN_TEXT, START_ROW, START_RUBY, START_TABLE, START_TERM, TABLE_PART, VOID,
)  # fmt: skip
from pipelines.extract.html.tags import (
    A, BUTTON, COLGROUP, DD, DT, FONT, H1, H6, HEAD, HR, HTML, IMG, INPUT, KEYGEN, NOBR, OPTGROUP, OPTION, OTHER, P,
    RP, RT, RTC, RUBY, SCRIPT, SELECT, TABLE, TBODY, TEMPLATE, TEXTAREA, TFOOT, THEAD, TR,
)  # fmt: skip
# isort: on

if not cython.compiled:
    from pipelines.extract.html.html_scan import raw_end, script_end
    from pipelines.extract.html.html_stack import Stack
else:
    from cython.cimports.pipelines.extract.html.html_scan import raw_end, script_end  # type: ignore[no-redef]
    from cython.cimports.pipelines.extract.html.html_stack import Stack  # type: ignore[no-redef]


@cython.cclass
class Starts(Stack):
    """The rules for start tags."""

    def __init__(self, source: bytes, max_elements: int, max_depth: int) -> None:
        super().__init__(source, max_elements, max_depth)
        self.body = -1  # the node of <body>
        self.form = False  # a <form> is open: another is ignored
        self.headed = self.rooted = False  # <head>, <html> have been
        self.quirks = True  # no doctype has been: a table may stand in a paragraph

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
        if rule in (START_BLOCK, START_PLAIN_TEXT):
            self.close_paragraph()
        elif rule == START_ANCHOR:
            if self.opened[A] > self.scopes[top]:
                self.end_formatting(A)
            self.pending = -1
        elif rule in (START_LIST_ITEM, START_TERM):
            at = self.keys[self.hards[top]]
            if at == number or (rule == START_TERM and (at in (DD, DT))):
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
                self.close_implied(number in (RP, RT))
        elif rule in (START_HTML, START_HEAD, START_BODY):
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
        if rule in (START_ROW, START_CELL):
            at = max(at, self.opened[TBODY], self.opened[THEAD], self.opened[TFOOT])
            if rule == START_CELL:
                at = max(at, self.opened[TR])
        elif rule == START_COLUMN:
            at = max(at, self.opened[COLGROUP])
        self.pop_to(at + 1)
        if rule == START_CELL and self.keys[at] != TR and self.keys[at] != TEMPLATE:
            self.insert(TR, TR, 0, 0, True)
        return True

    @cython.cfunc
    def table_base(self) -> cython.int:
        """The position of the table that the stack stands in, or of a template in it; -1 if none."""
        return max(self.opened[TABLE], self.opened[TEMPLATE])

    @cython.cfunc
    def start_in_select(self, number: cython.int) -> cython.bint:
        """What a start tag does in a <select>; false if it is to be ignored."""
        if number in (OPTION, OPTGROUP, HR):
            if self.keys[self.depth - 1] == OPTION:
                self.pop_to(self.depth - 1)
            if number != OPTION and self.keys[self.depth - 1] == OPTGROUP:
                self.pop_to(self.depth - 1)
            return True
        if number in (SCRIPT, TEMPLATE):
            return True
        if number in (SELECT, INPUT, KEYGEN, TEXTAREA):
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
        """Close an element that is open in scope. If a block began in it: a link now, others where the block ends."""
        at: cython.int = self.opened[number]
        if self.specials[self.depth - 1] > at:
            if number == A:
                self.split(at)
            else:
                self.fold(at)
        else:
            self.pop_to(at)
