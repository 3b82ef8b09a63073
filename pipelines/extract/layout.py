"""From kept texts to slots, in reading order: what each element does to the text around it."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Mapping

import cython

from pipelines.extract.html.kinds import BLOCK, BOX, CELL, KINDS, PARAGRAPH, PREFORMATTED, SHOWN
from pipelines.extract.html.nodes import children
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import (
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
from pipelines.extract.html.tree import Shown
from schemas.document import Image, Slot

if cython.compiled:
    from cython.cimports.pipelines.extract.text_writer import TextWriter
else:
    from pipelines.extract.text_writer import TextWriter

_PARAGRAPH_CHARS = 80
# A cell longer than this is a part of the page's layout, not of a table of data; characters.
_DATA_CELL_CHARS = 400
_ORDINAL = re.compile(r"-?\d{1,6}", re.ASCII)


def lay_out(shown: Shown, keep: bytearray, images: Mapping[int, Image]) -> tuple[Slot, ...]:
    """The kept texts and images as slots, in reading order. Linear in the nodes of the page.

    keep: 1 for each node that is a text to keep.
    """
    tree = shown.tree
    source: bytes = tree.source
    data: cython.p_const_uchar = source
    tags: cython.short[:] = tree.tags
    starts: cython.int[:] = tree.starts
    stops: cython.int[:] = tree.stops
    parents: cython.int[:] = tree.parents
    ends: cython.int[:] = tree.ends
    own: cython.int[:] = shown.own_chars
    states: cython.uchar[:] = shown.states
    kept: cython.uchar[:] = keep
    kinds: cython.int[:] = KINDS
    writer: TextWriter = TextWriter()
    ordinals: dict[int, int] = {}
    cells: dict[int, bool] = {}  # of tables of data: whether each is the first of its row
    places = sorted(images)
    node: cython.int
    pictured: cython.uchar[:] = bytearray(len(tree))
    for node in places:
        pictured[node] = 1
    opened: cython.int[:] = array("i", bytes(4 * len(tree)))  # blocks, a stack
    depth: cython.int = 0
    last: cython.int
    parts: list[tuple[int, int, int]] = []  # to be read later: from, to, how much was open
    preformatted: cython.int = 0
    base: cython.int = 0
    stop: cython.int = len(tree)
    tag: cython.int
    kind: cython.int
    node = 0
    while True:
        while depth > base and (node >= stop or ends[opened[depth - 1]] <= node):
            depth -= 1
            last = opened[depth]
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
                if preformatted:
                    writer.preformatted(tree.text(node))
                elif _is_plain(data, starts[node], stops[node]):
                    writer.plain_words(source, starts[node], stops[node])
                else:
                    writer.words(tree.text(node))
            node += 1
            continue
        if states[node] == 0:
            if pictured[node]:  # what stands for a video
                writer.image(images[node])
            node = ends[node]
            continue
        kind = kinds[tag]
        if tag == BR:
            if preformatted:
                writer.preformatted("\n")
            else:
                writer.line_break()
        elif ends[node] == node + 1 and not kind & BLOCK:
            if pictured[node]:
                writer.image(images[node])
        elif states[node] == SHOWN and (kind & BLOCK or tag == NOSCRIPT):
            if kind & CELL and node in cells:
                writer.start_cell(cells[node])
                writer.one_line += 1
            else:
                writer.block_break(_break_around(kind, own[node]))
                if tag == LI:
                    writer.start_item(_ordinal(tree, node, ordinals) if tags[parents[node]] == OL else "- ")
                elif tag == TABLE:
                    _find_cells(shown, node, cells)
                elif tag == TR:
                    writer.start_row()
                elif kind & PREFORMATTED:
                    preformatted += 1
            opened[depth] = node
            depth += 1
            if pictured[node]:
                writer.image(images[node])
            if tag == FIGURE and places and (order := _in_reading_order(tree, node, places)):
                parts.append((ends[node], stop, base))
                base = depth
                parts.extend([(start, end, base) for start, end in order])
                node = stop = 0
                continue
        elif pictured[node]:
            writer.image(images[node])
        node += 1
    return writer.finish()


@cython.cfunc
@cython.exceptval(check=False)
def _is_plain(data: cython.p_const_uchar, start: cython.int, stop: cython.int) -> cython.bint:
    """Whether a text can be taken as it stands: no references, controls, soft hyphens, rare white space."""
    if not cython.compiled:
        return False
    at: cython.int
    byte: cython.int
    for at in range(start, stop):
        byte = data[at]
        if byte == 38 or byte == 127 or byte < 32:
            if byte != 10 and byte != 13 and byte != 9:
                return False
        elif byte >= 0xC2 and _is_special(data + at, stop - at):
            return False
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_special(data: cython.p_const_uchar, size: cython.int) -> cython.bint:
    """Whether the UTF-8 there begins with white space beyond ASCII or with what may have no meaning in text."""
    if data[0] == 0xC2:
        return size < 2 or data[1] <= 0xA0 or data[1] == 0xAD
    if data[0] == 0xEF:  # the byte order mark and what is no character begin so
        return True
    if size < 3:
        return False
    if data[0] == 0xE2:
        if data[1] == 0x80:
            return data[2] <= 0x8A or data[2] == 0xA8 or data[2] == 0xA9 or data[2] == 0xAF
        return data[1] == 0x81 and data[2] == 0x9F
    if data[0] == 0xE1:
        return data[1] == 0x9A and data[2] == 0x80
    return data[0] == 0xE3 and data[1] == 0x80 and data[2] == 0x80


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


def _ordinal(tree: PageTree, item: int, ordinals: dict[int, int]) -> str:
    """What stands before an item of an ordered list. ordinals: the next one of each list so far."""
    parent = tree.parents[item]
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
