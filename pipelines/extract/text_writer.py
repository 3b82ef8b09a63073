"""What stands between words and pictures that follow each other: TextWriter knows separators and nothing of HTML."""

import cython

from pipelines.extract.html.nodes import visible
from schemas.document import Slot, Text

if cython.compiled:
    from cython.cimports.libc.string import memcpy

_ROOM = 1 << 14


@cython.cclass
class TextWriter:
    """Writes words, breaks and images; separators are written when the next word or image needs them.

    Breaks are counted in newlines: 1 ends a line, 2 a paragraph. Characters without a meaning in text are left out.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.run = bytearray(_ROOM)  # the text since the last image, UTF-8, with room behind it
        self.size = 0
        self.items = 0
        self.one_line = 0
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
    def plain_words(self, source: bytes, start: cython.int, stop: cython.int) -> cython.void:
        """The same of a text in UTF-8 that can be taken as it stands. Compiled only."""
        data: cython.p_const_uchar = source
        space: cython.bint = False
        while start < stop and data[start] <= 32:
            start += 1
            self.space = True
        if start == stop:
            return
        self.separate()
        self.reserve(stop - start)
        out: cython.p_uchar = cython.cast(cython.p_uchar, cython.cast(cython.p_char, self.run)) + self.size
        at: cython.int
        size: cython.int = 0
        for at in range(start, stop):
            if data[at] <= 32:
                space = True
                continue
            if space:
                out[size] = 32
                size += 1
                space = False
            out[size] = data[at]
            size += 1
        self.size += size
        self.space = space

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
            self.cells = 0  # empty ones at the end of a row
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
        self.separate()
        self.put(visible(text).encode())

    @cython.cfunc
    def separate(self) -> cython.void:
        """Write what stands before the next words."""
        self.break_if_due()
        if self.cells:
            self.put((b" | " * self.cells)[1 if self.written else 0 :])
            self.cells = 0
        elif self.space and not self.written:
            self.put(b" ")
        self.space = False
        if self.marker:
            self.put(self.marker.encode())
            self.marker = ""
        self.written = 0
        self.only_images = False

    @cython.cfunc
    def break_if_due(self) -> cython.void:
        if self.pending > self.written:
            self.put(b"\n" if self.pending - self.written == 1 else b"\n\n")
            self.written = self.pending
        self.pending = 0

    @cython.cfunc
    def put(self, text: bytes) -> cython.void:
        size: cython.int = len(text)
        self.reserve(size)
        if cython.compiled:
            memcpy(cython.cast(cython.p_char, self.run) + self.size, cython.cast(cython.p_char, text), size)
        else:
            self.run[self.size : self.size + size] = text
        self.size += size

    @cython.cfunc
    def reserve(self, size: cython.int) -> cython.void:
        if self.size + size > len(self.run):
            self.run.extend(bytes(len(self.run) + size))

    @cython.cfunc
    def end_run(self) -> cython.void:
        if self.size:
            self.slots.append(Text(self.run[: self.size].decode("utf-8", "replace")))
            self.size = 0
