"""From kept elements to slots: where text breaks, what stands between words, and where an image stands.

`TextWriter` knows separators and nothing of HTML; `lay_out` knows elements and nothing of separators.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Mapping

from pipelines.extract.tree import BLOCKS, IMAGES, VisibleTree
from schemas.document import Image, Slot, Text

LINE, BLANK_LINE = 1, 2
"""Breaks, counted in newlines."""

# Set off by a blank line; every other block begins and ends a line.
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "dir", "menu", "table", "figure", "figcaption",
     "blockquote", "pre", "listing", "xmp", "hr", "article", "section", "main", "header", "footer", "details",
     "fieldset", "caption"}
)  # fmt: skip
_LISTS = frozenset({"ul", "ol", "dir", "menu"})
_PREFORMATTED = frozenset({"pre", "listing", "xmp"})
_CELLS = frozenset({"td", "th"})
# A div (or layout cell) with so many characters of its own is a paragraph in all but name.
_PARAGRAPH_CHARS = 80
# A cell longer than this is a part of the page's layout, not of a table of data; characters.
_DATA_CELL_CHARS = 400
# Controls without a meaning in text, soft hyphens and byte order marks.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\ufeff\ufffe\uffff]")


def clean(text: str) -> str:
    """One line of text: white space (NBSP too) collapsed, control characters gone."""
    return " ".join(_INVISIBLE.sub("", text).split())


class TextWriter:
    """Writes words, breaks and images; separators are written when the next word or image needs them."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.items = 0
        """Above 0 (within a list item), no break is larger than a line's."""
        self.one_line = 0
        """Above 0 (within a cell of a table), a break is a space."""
        self._run: list[str] = []
        self._pending = 0
        self._space = False
        self._written = BLANK_LINE  # newlines at the end of what is written; nothing precedes the first word
        self._marker = ""
        self._cells = 0
        self._only_images = False  # so far in this row: a cell with a picture needs no separator after it

    def words(self, raw: str) -> None:
        """Running text: white space collapses, none is added or lost between words."""
        stripped = " ".join(raw.split())
        if not stripped:
            self._space = True
            return
        if raw[0].isspace():
            self._space = True
        self._write(stripped)
        self._space = raw[-1].isspace()

    def preformatted(self, raw: str) -> None:
        """Text whose spaces and line breaks count."""
        raw = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
        if not raw.strip() and self._written:  # no third newline; but what indents the next word stays
            lines, indentation = raw.count("\n"), raw.rpartition("\n")[2]
            raw = "\n" * min(lines, BLANK_LINE - self._written) + indentation
            if not raw:
                return
        self._write(raw)
        self._written = min(BLANK_LINE, len(raw) - len(raw.rstrip("\n")))

    def line_break(self) -> None:
        """A <br>: a second one in a row makes a blank line."""
        if self.one_line:
            self._space = True
        else:
            self._pending = min(max(self._pending, self._written) + 1, BLANK_LINE)

    def block_break(self, newlines: int) -> None:
        """At least so many newlines before the next word."""
        if self.one_line:
            self._space = True
        else:
            self._pending = max(self._pending, min(newlines, LINE if self.items else BLANK_LINE))

    def start_item(self, marker: str) -> None:
        """Goes before the next word, if one comes before the item ends."""
        self.items += 1
        self._marker = "" if self.one_line else marker

    def end_item(self) -> None:
        self.items -= 1
        self._marker = ""

    def start_row(self) -> None:
        self._cells = 0
        self._only_images = False

    def start_cell(self, first: bool) -> None:
        if not first and not self._only_images:
            self._cells += 1

    def image(self, image: Image) -> None:
        """At this place. A break before it belongs to the text before it."""
        self._break_if_due()
        self._end_run()
        self.slots.append(image)
        self._only_images = self._written > 0

    def finish(self) -> tuple[Slot, ...]:
        self._end_run()
        if self.slots and isinstance(last := self.slots[-1], Text):
            self.slots[-1] = Text(last.text.rstrip())
        return tuple(slot for slot in self.slots if not isinstance(slot, Text) or slot.text)

    def _write(self, text: str) -> None:
        self._break_if_due()
        if self._cells:
            self._run.append((" | " * self._cells)[1 if self._written else 0 :])
            self._cells = 0
        elif self._space and not self._written:
            self._run.append(" ")
        self._space = False
        if self._marker:
            self._run.append(self._marker)
            self._marker = ""
        self._run.append(text)
        self._written = 0
        self._only_images = False

    def _break_if_due(self) -> None:
        if self._pending > self._written:
            self._run.append("\n" * (self._pending - self._written))
            self._written = self._pending
        self._pending = 0

    def _end_run(self) -> None:
        if text := _INVISIBLE.sub("", "".join(self._run)):
            self.slots.append(Text(text))
        self._run = []


def lay_out(
    tree: VisibleTree,
    roots: list[int],
    dropped: Collection[int],
    images: Mapping[int, Image],
) -> tuple[Slot, ...]:
    """The subtrees of `roots` as slots, without those of `dropped`. Linear in elements and text."""
    writer = TextWriter()
    ordinals: dict[int, int] = {}
    data_cells: dict[int, bool] = {}  # and whether each is the first of its row
    places = sorted(images)
    preformatted = 0
    for root in roots:
        work = [root]  # an element to open, or the complement of one to close
        while work:
            number = work.pop()
            opening = number >= 0
            if not opening:
                number = ~number
            tag = tree.tags[number]
            if opening and tag and number not in dropped:
                if number in data_cells:
                    writer.start_cell(first=data_cells[number])
                    writer.one_line += 1
                elif tag in BLOCKS:
                    writer.block_break(_break_around(tree, number, tag))
                    if tag == "li":
                        _open_item(tree, number, writer, ordinals)
                    elif tag == "table" and is_data_table(tree, number):
                        data_cells.update(_cells(tree, number))
                    elif tag == "tr":
                        writer.start_row()
                    elif tag in _PREFORMATTED:
                        preformatted += 1
                elif tag == "br":
                    writer.preformatted("\n") if preformatted else writer.line_break()
                elif tag in IMAGES and number in images:
                    writer.image(images[number])
                work.append(~number)
                if text := tree.texts[number]:
                    if preformatted:
                        writer.preformatted(text.removeprefix("\n") if tag == "pre" else text)
                    else:
                        writer.words(text)
                work.extend(reversed(_in_reading_order(tree, number, places)))
                continue
            if not opening and number in data_cells:
                writer.one_line -= 1
            elif not opening and tag in BLOCKS:
                if tag == "li":
                    writer.end_item()
                elif tag in _PREFORMATTED:
                    preformatted -= 1
                writer.block_break(_break_around(tree, number, tag))
            elif opening and tag in BLOCKS:  # dropped, but it still stands between what is before and after it
                writer.block_break(LINE)
            if number != root and (tail := tree.tails[number]):
                writer.preformatted(tail) if preformatted else writer.words(tail)
        writer.block_break(BLANK_LINE)
    return writer.finish()


def is_data_table(tree: VisibleTree, table: int) -> bool:
    """Whether a table holds data in rows and columns, rather than laying out the page."""
    if tree.attributes[table].get("role", "") in ("presentation", "none"):
        return False
    rows: set[int] = set()
    wide = False
    for number in range(table + 1, tree.ends[table]):
        tag = tree.tags[number]
        if tag == "table" or tag in _PREFORMATTED:
            return False
        if tag in _CELLS:
            if tree.chars[number] > _DATA_CELL_CHARS:
                return False
            wide = wide or tree.parents[number] in rows
            rows.add(tree.parents[number])
    return wide


def _cells(tree: VisibleTree, table: int) -> dict[int, bool]:
    cells: dict[int, bool] = {}
    rows: set[int] = set()
    for number in range(table + 1, tree.ends[table]):
        if tree.tags[number] in _CELLS:
            cells[number] = tree.parents[number] not in rows
            rows.add(tree.parents[number])
    return cells


def _break_around(tree: VisibleTree, number: int, tag: str) -> int:
    if tag in _PARAGRAPHS or (tree.own_chars[number] >= _PARAGRAPH_CHARS and tag in ("div", "td", "center")):
        return BLANK_LINE
    return LINE


def _open_item(tree: VisibleTree, item: int, writer: TextWriter, ordinals: dict[int, int]) -> None:
    parent = tree.parents[item]
    if parent < 0 or tree.tags[parent] != "ol":
        writer.start_item("- ")
    else:
        start = _integer(tree.attributes[parent].get("start", ""), 1)
        ordinal = _integer(tree.attributes[item].get("value", ""), ordinals.get(parent, start))
        step = -1 if "reversed" in tree.attributes[parent] else 1
        if step < 0 and parent not in ordinals and "start" not in tree.attributes[parent]:
            ordinal = sum(tree.tags[child] == "li" for child in tree.children[parent])
        ordinals[parent] = ordinal + step
        writer.start_item(f"{ordinal}. ")


def _integer(value: str, otherwise: int) -> int:
    value = value.strip()
    return int(value) if re.fullmatch(r"-?\d{1,6}", value, re.ASCII) else otherwise


def _in_reading_order(tree: VisibleTree, number: int, places: list[int]) -> list[int]:
    """The children, with a caption that stands before the pictures of its figure moved to after them."""
    children = tree.children[number]
    if tree.tags[number] != "figure":
        return children
    captions = [child for child in children if tree.tags[child] == "figcaption"]
    if len(captions) != 1:
        return children
    caption = captions[0]
    holding = [child for child in children if child != caption and _holds_image(tree, child, places)]
    if not holding or holding[0] < caption:
        return children
    order = [child for child in children if child != caption]
    order.insert(order.index(holding[-1]) + 1, caption)
    return order


def _holds_image(tree: VisibleTree, number: int, places: list[int]) -> bool:
    at = bisect_left(places, number)
    return at < len(places) and places[at] < tree.ends[number]
