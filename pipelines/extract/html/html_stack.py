"""The tree that is being built from HTML: its nodes so far, and the stack of the elements that are open."""

from array import array
from typing import TYPE_CHECKING

import cython

# isort: off
from pipelines.extract.html.html_rules import (
    FLAGS, FOREIGN, HARD, MARKER, NO_BLANKS, SCOPE, SKIPS_NEWLINE, SPECIAL, TABLE_PART, TOO_DEEP, TOO_MANY_ELEMENTS,
)  # fmt: skip
from pipelines.extract.html.page_tree import Numbers, PageTree
from pipelines.extract.html.tags import A, HEAD, HTML, TEXT
# isort: on

if not cython.compiled:
    from pipelines.extract.html.html_scan import is_blank
else:
    from cython.cimports.pipelines.extract.html.html_scan import is_blank  # type: ignore[no-redef]

KNOWN = len(FLAGS)
DEAD = 1 << 20  # among an entry's bits: its end tag has been, its last child's has not
AGAIN = 1 << 21  # and: the element was split, and is no node unless something is in it
MOST_SPLIT = 8  # elements that one end tag splits


@cython.cclass
class Stack:
    """Nodes as PageTree has them, and for each open element what the rules ask about those below it.

    An element's key is its number, or that plus FOREIGN within <svg> and <math>; an unknown name gets a key of its own.
    Of a position on the stack, `scopes` and its like hold the nearest position at or below it of such an element.
    """

    if TYPE_CHECKING:
        count: int
        depth: int
        elements: int
        pending: int
        fault: int
        tags: Numbers
        parents: Numbers
        ends: Numbers
        starts: Numbers
        stops: Numbers
        keys: Numbers
        nodes: Numbers
        bits: Numbers
        below: Numbers
        scopes: Numbers
        specials: Numbers
        hards: Numbers
        htmls: Numbers
        links: Numbers
        opened: Numbers

    def __init__(self, source: bytes, max_elements: int, max_depth: int) -> None:
        self.source = source
        self.merged: dict[int, list[tuple[int, int]]] = {}
        self.names: dict[bytes, int] = {}
        self.linked: dict[int, bool] = {}  # whether the <a> with attributes from here on has an address
        self.max_elements, self.max_depth = min(max_elements, 2**30), min(max_depth, 2**30)
        self.count = self.depth = self.elements = self.fault = 0
        self.pending = -1  # a link that the end of a block closed: it goes on around the next text
        self.tags = array("h")
        self.parents = self.ends = self.starts = self.stops = array("i")
        self.keys = self.nodes = self.bits = self.below = array("i")  # below: next entry of the same key
        self.scopes = self.specials = self.hards = self.htmls = self.links = array("i")
        self.opened = array("i", [-1]) * (KNOWN + 16)  # by key, its topmost entry
        self._grow_nodes(len(source) // 40 + 64)
        self._grow_stack(64)
        self.insert(HTML, HTML, 0, 0, True)

    def tree(self) -> PageTree:
        """The nodes as a tree; everything open ends here."""
        while self.depth:
            self._pop()
        count = self.count
        return PageTree(
            self.source,
            _cut(self.tags, count, "h"),
            _cut(self.parents, count),
            _cut(self.ends, count),
            _cut(self.starts, count),
            _cut(self.stops, count),
            self.merged,
        )

    @cython.cfunc
    def add_text(self, data: cython.p_const_uchar, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.void:
        """A run of text where the stack stands."""
        bits: cython.int = self.bits[self.depth - 1]
        if bits & NO_BLANKS or self.pending >= 0:
            blank: cython.bint = is_blank(data, start, stop)
            if blank and bits & NO_BLANKS:
                return
            if self.keys[self.depth - 1] == HEAD:
                self.pop_to(self.depth - 1)
            if self.pending >= 0 and not blank:
                self.resume_link()
        elif bits & SKIPS_NEWLINE and self.nodes[self.depth - 1] == self.count - 1:
            if data[start] == 13 and start + 1 < stop and data[start + 1] == 10:
                start += 2
            elif data[start] == 10 or data[start] == 13:
                start += 1
        if start < stop:
            self._add(TEXT, start, stop)

    @cython.cfunc
    def insert(
        self, number: cython.int, key: cython.int, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, open_: cython.bint
    ) -> cython.void:
        """An element where the stack stands; `open_`: what follows is its content."""
        if self.elements >= self.max_elements:
            self.fault = TOO_MANY_ELEMENTS
        elif self.depth >= self.max_depth:
            self.fault = TOO_DEEP
        else:
            self.elements += 1
            node: cython.int = self._add(number, start, stop)
            if open_:
                self._push(node, key)

    @cython.cfunc
    def pop_to(self, position: cython.int) -> cython.void:
        """Close what is open from a position on, never <html>."""
        while self.depth > position and self.depth > 1:
            self._pop()
        while self.bits[self.depth - 1] & DEAD:
            self._pop()

    @cython.cfunc
    def fold(self, position: cython.int) -> cython.void:
        """Close an element now, though not what is open in it: where that ends, the element ends."""
        if position == self.depth - 1:
            self.pop_to(position)
        else:
            self.opened[self.keys[position]] = self.below[position]
            self.bits[position] |= DEAD

    @cython.cfunc
    def split(self, position: cython.int) -> cython.void:
        """Close an element now, and go on behind it with what is open in it, in elements of the same kind."""
        first: cython.int = position + 1
        count: cython.int = self.depth - first
        if count > MOST_SPLIT:
            self.fold(position)
            return
        node: cython.int
        again = [(self.nodes[at], self.keys[at]) for at in range(first, self.depth) if not self.bits[at] & DEAD]
        self.pop_to(position)
        for node, key in again:
            self.insert(self.tags[node], key, self.starts[node], self.stops[node], True)
            if self.fault == 0:
                self.bits[self.depth - 1] |= AGAIN

    @cython.cfunc
    def resume_link(self) -> cython.void:
        """Open again the link that the end of a block closed, as browsers do."""
        if self.bits[self.depth - 1] & TABLE_PART:
            return
        start: cython.int = self.starts[self.pending]
        stop: cython.int = self.stops[self.pending]
        self.pending = -1
        if start not in self.linked:
            self.linked[start] = b"href" in self.source[start:stop].lower()
        if self.linked[start]:
            self.insert(A, A, start, stop, True)

    @cython.cfunc
    def key_of(
        self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, foreign: cython.bint, known: cython.bint
    ) -> cython.int:
        """The key of an unknown name that stands in start .. stop; -1 if only a `known` one is asked and it is not."""
        name = self.source[start:stop].lower()
        found: cython.int = self.names.get(name, -1)
        if found < 0:
            if known:
                return -1
            found = KNOWN + 2 * len(self.names)
            self.names[name] = found
            if found + 1 >= len(self.opened):
                self.opened = _longer(self.opened, -1)
        return found + foreign

    @cython.cfunc
    def _add(self, number: cython.int, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.int:
        node: cython.int = self.count
        if node >= len(self.tags):
            self._grow_nodes(2 * node)
        self.count = node + 1
        self.tags[node] = number
        self.parents[node] = self.nodes[self.depth - 1] if self.depth else -1
        self.ends[node] = node + 1
        self.starts[node] = start
        self.stops[node] = stop
        return node

    @cython.cfunc
    def _push(self, node: cython.int, key: cython.int) -> cython.void:
        at: cython.int = self.depth
        if at >= len(self.keys):
            self._grow_stack(2 * at)
        self.depth = at + 1
        bits: cython.int = FLAGS[key] if key < KNOWN else 0
        below: cython.int = at - 1 if at else 0
        foreign: cython.bint = key & 1 if key >= KNOWN else key >= FOREIGN
        self.keys[at], self.nodes[at], self.bits[at] = key, node, bits
        self.scopes[at] = at if bits & SCOPE else self.scopes[below]
        self.specials[at] = at if bits & SPECIAL else self.specials[below]
        self.hards[at] = at if bits & HARD else self.hards[below]
        self.htmls[at] = self.htmls[below] if foreign else at
        self.below[at] = self.opened[key]
        self.opened[key] = at
        self.links[at] = self.pending
        if bits & MARKER:
            self.pending = -1

    @cython.cfunc
    def _pop(self) -> cython.void:
        at: cython.int = self.depth - 1
        key: cython.int = self.keys[at]
        self.depth = at
        self.ends[self.nodes[at]] = self.count
        if not self.bits[at] & DEAD:
            self.opened[key] = self.below[at]
            if key == A:
                self.pending = self.nodes[at]
        if self.bits[at] & MARKER:
            self.pending = self.links[at]
        if self.bits[at] & AGAIN and self.nodes[at] == self.count - 1:
            self.count -= 1
            self.elements -= 1

    def _grow_nodes(self, length: int) -> None:
        self.tags = _longer(self.tags, 0, length, "h")
        self.parents = _longer(self.parents, 0, length)
        self.ends = _longer(self.ends, 0, length)
        self.starts = _longer(self.starts, 0, length)
        self.stops = _longer(self.stops, 0, length)

    def _grow_stack(self, length: int) -> None:
        self.keys, self.nodes = _longer(self.keys, 0, length), _longer(self.nodes, 0, length)
        self.bits, self.below = _longer(self.bits, 0, length), _longer(self.below, 0, length)
        self.scopes, self.specials = _longer(self.scopes, 0, length), _longer(self.specials, 0, length)
        self.hards, self.htmls = _longer(self.hards, 0, length), _longer(self.htmls, 0, length)
        self.links = _longer(self.links, 0, length)


def _longer(old: Numbers, fill: int, length: int = 0, code: str = "i") -> Numbers:
    """A copy of a column, filled up to a length; to twice its own by default."""
    new = array(code)
    new.frombytes(bytes(old))
    new.extend(array(code, [fill]) * ((length or 2 * len(new)) - len(new)))
    return new


def _cut(column: Numbers, length: int, code: str = "i") -> Numbers:
    new = array(code)
    new.frombytes(bytes(column[:length]))
    return new
