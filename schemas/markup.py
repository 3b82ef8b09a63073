"""The `<image>` and `<EOC>` rules (arXiv 2204.14198v2, section 2.4 and appendix A.3.3): render and its inverse.

`<image>` stands where an image or video stood. `<EOC>` (end of chunk) stands before every `<image>` but one at the very
start, and at the end of the document. A pair renders as `<image>caption<EOC>`. Marks are known by position, never by
searching the text: a page whose own words contain "<image>" or "<EOC>" renders and parses like any other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.document import Media, Slot, Text, normal_form

IMAGE = "<image>"
END_OF_CHUNK = "<EOC>"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in a rendered text."""

    position: int
    """Characters (code points) of the rendered text before the mark."""
    media: Media | None
    """What `<image>` stands for; None: the mark is `<EOC>`."""

    @property
    def string(self) -> str:
        return END_OF_CHUNK if self.media is None else IMAGE


def render(slots: Iterable[Slot]) -> tuple[str, tuple[Mark, ...]]:
    """The text with its marks, and where each mark stands, in rising order."""
    parts: list[str] = []
    marks: list[Mark] = []
    length = 0

    def add(part: str) -> None:
        nonlocal length
        parts.append(part)
        length += len(part)

    def mark(media: Media | None) -> None:
        marks.append(Mark(length, media))
        add(marks[-1].string)

    for slot in normal_form(slots):
        if isinstance(slot, Text):
            add(slot.text)
            continue
        if length:
            mark(None)
        mark(slot)
    mark(None)
    return "".join(parts), tuple(marks)


def parse(text: str, marks: Sequence[Mark]) -> tuple[Slot, ...]:
    """The slots, in normal form, that `render` made `text` and `marks` from.

    Raises:
        ValueError: a mark does not stand where it is said to.
    """
    slots: list[Slot] = []
    end = 0
    for mark in marks:
        if mark.position < end or not text.startswith(mark.string, mark.position):
            raise ValueError(f"no {mark.string} at character {mark.position}")
        slots.append(Text(text[end : mark.position]))
        if mark.media is not None:
            slots.append(mark.media)
        end = mark.position + len(mark.string)
    slots.append(Text(text[end:]))
    return normal_form(slots)
