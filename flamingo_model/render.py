"""A batch as a person wants to see it: its text, coloured by the image that each part of it sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from flamingo_model.batch import Batch
from flamingo_model.loss import IGNORED
from schemas.markup import END_OF_CHUNK

COLOURS = (36, 33, 32, 35, 34)
"""ANSI colours of images 1, 2, ..., which then begin again: cyan, yellow, green, magenta, blue."""
PLAIN, FAINT = "\x1b[0m", "\x1b[2m"


@dataclass(frozen=True)
class Part:
    """A stretch of a row's text of which all tokens see one image, and all or none are judged."""

    image: int
    """Number in its row, from 1; 0: none."""
    judged: bool
    begins: bool
    """The part before it saw another image."""
    text: str


def batch_text(batch: Batch, tokenizer: Any, eoc_id: int, *, colour: bool) -> str:
    """The rows of a batch.

    Each stretch of text that sees one image begins with that image's number in brackets, [0] for none. With `colour`
    the stretches have the colours of their images; text without image is plain, text that is not judged is faint.
    """
    return "\n\n".join("\n".join(_row(batch, row, tokenizer, eoc_id, colour)) for row in range(len(batch.tokens)))


def headline(batch: Batch, row: int) -> str:
    """Which documents a row is of, and of how many tokens."""
    keys = ", ".join(batch.keys[row]) or "(no sample)"
    judged = int((batch.labels[row] != IGNORED).sum())
    return f"row {row}: {keys}: {_used(batch, row)} tokens of {batch.tokens.shape[1]}, {judged} judged"


def parts(batch: Batch, row: int, tokenizer: Any, eoc_id: int) -> Iterator[Part]:
    """The text of a row, with its marks and special tokens."""
    used = _used(batch, row)
    tokens, phi, labels = (value[row, :used].tolist() for value in (batch.tokens, batch.phi, batch.labels))
    kinds = [(image, label != IGNORED) for image, label in zip(phi, labels, strict=True)]
    place, last = 0, None
    for (image, judged), run in groupby(kinds):
        length = len(list(run))
        yield Part(image, judged, image != last, _decoded(tokens[place : place + length], tokenizer, eoc_id))
        place, last = place + length, image


def _used(batch: Batch, row: int) -> int:
    return int(batch.attention_mask[row].sum()) if batch.keys[row] else 0


def _row(batch: Batch, row: int, tokenizer: Any, eoc_id: int, colour: bool) -> Iterator[str]:
    yield headline(batch, row)
    yield from _pictures(batch, row)
    text = ""
    for part in parts(batch, row, tokenizer, eoc_id):
        number = f"[{part.image}]" if part.begins else ""
        own = f"\x1b[{COLOURS[(part.image - 1) % len(COLOURS)]}m" if part.image else ""
        codes = own + ("" if part.judged else FAINT)
        text += f"{codes}{number}{part.text}{PLAIN}" if colour and codes else number + part.text
    yield text


def _pictures(batch: Batch, row: int) -> Iterator[str]:
    if batch.pictures is None:
        return
    begin = sum(batch.pictures.per_row[:row])
    for number in range(batch.pictures.per_row[row]):
        frames = batch.pictures.frames[begin + number]
        height, width = batch.pictures.sizes[sum(batch.pictures.frames[: begin + number])].tolist()
        what = "picture" if frames == 1 else f"{frames} frames"
        yield f"  [{number + 1}] {what}, {width} x {height}"


def _decoded(tokens: list[int], tokenizer: Any, eoc_id: int) -> str:
    """With `<EOC>` and the tokenizer's special tokens spelt out."""
    parts = []
    for is_eoc, run in groupby(tokens, lambda token: token == eoc_id):
        ids = list(run)
        parts.append(END_OF_CHUNK * len(ids) if is_eoc else tokenizer.decode(ids, skip_special_tokens=False))
    return "".join(parts)
