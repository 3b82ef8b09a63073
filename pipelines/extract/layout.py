"""From kept texts to slots: where text breaks, what stands between words, and where an image stands.

`TextWriter` knows separators and nothing of HTML; `lay_out` knows elements and nothing of separators.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping

import cython

from pipelines.extract.kinds import BLOCK, BOX, CELL, KINDS, PARAGRAPH, PREFORMATTED, SHOWN
from pipelines.extract.page_tree import PageTree
from pipelines.extract.tags import (
    BR,
    FIGCAPTION,
    FIGURE,
    LI,
    NOSCRIPT,
    OL,
    TABLE,
    TEXT,
    TR,
)  # fmt: skip
from pipelines.extract.tree import INVISIBLE, Shown, children
from schemas.document import Image, Slot, Text

_PARAGRAPH_CHARS = 80
# A cell longer than this is a part of the page's layout, not of a table of data; characters.
_DATA_CELL_CHARS = 400
_ORDINAL = re.compile(r"-?\d{1,6}", re.ASCII)


@cython.cclass
class TextWriter:
    """Writes words, breaks and images; separators are written when the next word or image needs them.

    Breaks are counted in newlines: 1 ends a line, 2 a paragraph.
    """

    slots: list[Slot]
    items: cython.int  # above 0 (within a list item), no break is larger than a line's
    one_line: cython.int  # above 0 (within a cell of a table), a break is a space
    run: list[str]
    pending: cython.int
    space: cython.bint
    written: cython.int
    marker: str
    cells: cython.int
    only_images: cython.bint

    def __init__(self) -> None:
        self.slots = []
        self.items = 0
        self.one_line = 0
        self.run = []
        self.pending = 0
        self.space = False
        self.written = 2  # newlines at the end of what is written; nothing precedes the first word
        self.marker = ""
        self.cells = 0
        self.only_images = False  # so far in this row: a cell with a picture needs no separator after it

    @cython.ccall
    def words(self, raw: str) -> cython.void:
        """Running text: white space collapses, none is added or lost between words."""
        parts: list[str] = raw.split()
        if not parts:
            self.space = self.space or len(raw) > 0
            return
        if raw[0].isspace():
            self.space = True
        self.write(" ".join(parts))
        self.space = raw[len(raw) - 1].isspace()

    @cython.ccall
    def preformatted(self, raw: str) -> cython.void:
        """Text whose spaces and line breaks count."""
        raw = raw.replace("\u00a0", " ")
        if not raw.strip() and self.written:  # no third newline; but what indents the next word stays
            raw = "\n" * min(raw.count("\n"), 2 - self.written) + raw.rpartition("\n")[2]
            if not raw:
                return
        self.write(raw)
        self.written = min(2, len(raw) - len(raw.rstrip("\n")))

    @cython.ccall
    def line_break(self) -> cython.void:
        """A <br>: a second one in a row makes a blank line."""
        if self.one_line:
            self.space = True
        else:
            self.pending = min(max(self.pending, self.written) + 1, 2)

    @cython.ccall
    def block_break(self, newlines: cython.int) -> cython.void:
        """At least so many newlines before the next word."""
        if self.one_line:
            self.space = True
        else:
            self.pending = max(self.pending, min(newlines, 1 if self.items else 2))

    @cython.ccall
    def start_item(self, marker: str) -> cython.void:
        """Goes before the next word, if one comes before the item ends."""
        self.items += 1
        self.marker = "" if self.one_line else marker

    @cython.ccall
    def end_item(self) -> cython.void:
        self.items -= 1
        self.marker = ""

    @cython.ccall
    def start_row(self) -> cython.void:
        self.cells = 0
        self.only_images = False

    @cython.ccall
    def start_cell(self, first: cython.bint) -> cython.void:
        if not first and not self.only_images:
            self.cells += 1

    @cython.ccall
    def image(self, image: object) -> cython.void:
        """At this place. A break before it belongs to the text before it."""
        self.break_if_due()
        self.end_run()
        self.slots.append(image)  # type: ignore[arg-type]
        self.only_images = self.written > 0

    def finish(self) -> tuple[Slot, ...]:
        self.end_run()
        if self.slots:
            last = self.slots.pop()
            self.slots.append(Text(last.text.rstrip()) if isinstance(last, Text) else last)
        return tuple([slot for slot in self.slots if not isinstance(slot, Text) or slot.text])

    @cython.cfunc
    def write(self, text: str) -> cython.void:
        self.break_if_due()
        if self.cells:
            self.run.append((" | " * self.cells)[1 if self.written else 0 :])
            self.cells = 0
        elif self.space and not self.written:
            self.run.append(" ")
        self.space = False
        if self.marker:
            self.run.append(self.marker)
            self.marker = ""
        self.run.append(text)
        self.written = 0
        self.only_images = False

    @cython.cfunc
    def break_if_due(self) -> cython.void:
        if self.pending > self.written:
            self.run.append("\n" if self.pending - self.written == 1 else "\n\n")
            self.written = self.pending
        self.pending = 0

    @cython.cfunc
    def end_run(self) -> cython.void:
        if not self.run:
            return
        text: str = INVISIBLE.sub("", "".join(self.run))
        if text:
            self.slots.append(Text(text))
        self.run = []


def lay_out(shown: Shown, keep: bytearray, images: Mapping[int, Image]) -> tuple[Slot, ...]:
    """The kept texts and images as slots, in reading order. Linear in the nodes of the page.

    keep: 1 for each node that is a text to keep.
    """
    tree = shown.tree
    tags: cython.short[:] = tree.tags
    ends: cython.int[:] = tree.ends
    own: cython.int[:] = shown.own_chars
    states: cython.uchar[:] = shown.states
    kept: cython.uchar[:] = keep
    kinds: cython.int[:] = KINDS
    writer: TextWriter = TextWriter()
    ordinals: dict[int, int] = {}
    cells: dict[int, bool] = {}  # of tables of data: whether each is the first of its row
    places = sorted(images)
    opened: list[int] = []
    parts: list[tuple[int, int, int]] = []  # to be read later: from, to, how much was open
    preformatted: cython.int = 0
    base: cython.int = 0
    node: cython.int = 0
    stop: cython.int = len(tree)
    tag: cython.int
    kind: cython.int
    while True:
        while len(opened) > base and (node >= stop or ends[cython.cast(cython.int, opened[len(opened) - 1])] <= node):
            last: cython.int = opened.pop()
            kind = kinds[tags[last]]
            if kind & CELL and last in cells:
                writer.one_line -= 1
                continue
            if tags[last] == LI:
                writer.end_item()
            elif kind & PREFORMATTED:
                preformatted -= 1
            writer.block_break(_break_around(kind, own[last]))
        if node >= stop:
            if not parts:
                break
            node, stop, base = parts.pop()
            continue
        tag = tags[node]
        if tag == TEXT:
            if kept[node]:
                text = tree.text(node)
                if preformatted:
                    writer.preformatted(text)
                else:
                    writer.words(text)
            node += 1
            continue
        if states[node] == 0:
            node = ends[node]
            continue
        kind = kinds[tag]
        if tag == BR:
            if preformatted:
                writer.preformatted("\n")
            else:
                writer.line_break()
        elif ends[node] == node + 1 and not kind & BLOCK:
            if images and node in images:
                writer.image(images[node])
        elif states[node] == SHOWN and (kind & BLOCK or tag == NOSCRIPT):
            if kind & CELL and node in cells:
                writer.start_cell(cells[node])
                writer.one_line += 1
            else:
                writer.block_break(_break_around(kind, own[node]))
                if tag == LI:
                    writer.start_item(_marker(tree, node, ordinals))
                elif tag == TABLE:
                    _find_cells(shown, node, cells)
                elif tag == TR:
                    writer.start_row()
                elif kind & PREFORMATTED:
                    preformatted += 1
            opened.append(node)
            if images and node in images:
                writer.image(images[node])
            if tag == FIGURE and images and (order := _in_reading_order(tree, node, places)):
                parts.append((ends[node], stop, base))
                base = len(opened)
                parts.extend([(start, end, base) for start, end in order])
                node = stop = 0
                continue
        elif images and node in images:
            writer.image(images[node])
        node += 1
    return writer.finish()


@cython.cfunc
def _break_around(kind: cython.int, own_chars: cython.int) -> cython.int:
    return 2 if kind & PARAGRAPH or (kind & BOX and own_chars >= _PARAGRAPH_CHARS) else 1


def _find_cells(shown: Shown, table: int, cells: dict[int, bool]) -> None:
    """Note the cells of a table that holds data in rows and columns, rather than laying out the page."""
    tree = shown.tree
    if tree.starts[table] < tree.stops[table] and tree.attributes(table).get("role", "") in ("presentation", "none"):
        return
    tags: cython.short[:] = tree.tags
    parents: cython.int[:] = tree.parents
    chars: cython.int[:] = shown.chars
    states: cython.uchar[:] = shown.states
    kinds: cython.int[:] = KINDS
    found: dict[int, bool] = {}
    rows: set[int] = set()
    node: cython.int = table + 1
    end: cython.int = tree.ends[table]
    wide: bool = False
    while node < end:
        if states[node] == 0:
            node = tree.ends[node]
            continue
        if tags[node] == TABLE or kinds[tags[node]] & PREFORMATTED:
            return
        if kinds[tags[node]] & CELL:
            if chars[node] > _DATA_CELL_CHARS:
                return
            first = parents[node] not in rows
            wide = wide or not first
            found[node] = first
            rows.add(parents[node])
        node += 1
    if wide:
        cells.update(found)


def _marker(tree: PageTree, item: int, ordinals: dict[int, int]) -> str:
    parent = tree.parents[item]
    if parent < 0 or tree.tags[parent] != OL:
        return "- "
    about = tree.attributes(parent)
    start = _integer(about.get("start", ""), 1)
    ordinal = _integer(tree.attributes(item).get("value", ""), ordinals.get(parent, start))
    step = -1 if "reversed" in about else 1
    if step < 0 and parent not in ordinals and "start" not in about:
        ordinal = sum(tree.tags[child] == LI for child in children(tree, parent))
    ordinals[parent] = ordinal + step
    return f"{ordinal}. "


def _integer(value: str, otherwise: int) -> int:
    value = value.strip()
    return int(value) if _ORDINAL.fullmatch(value) else otherwise


def _in_reading_order(tree: PageTree, figure: int, places: list[int]) -> list[tuple[int, int]]:
    """The parts of a figure, last first, if its caption stands before its pictures: it is read after them."""
    inside = list(children(tree, figure))
    captions = [child for child in inside if tree.tags[child] == FIGCAPTION]
    if len(captions) != 1:
        return []
    caption = captions[0]
    holding = [child for child in inside if child != caption and _holds_image(tree, child, places)]
    if not holding or holding[0] < caption:
        return []
    begin, end, last = tree.ends[caption], tree.ends[figure], tree.ends[holding.pop()]
    return [(last, end), (caption, begin), (begin, last), (figure + 1, caption)]


def _holds_image(tree: PageTree, node: int, places: list[int]) -> bool:
    at = bisect_left(places, node)
    return at < len(places) and places[at] < tree.ends[node]
