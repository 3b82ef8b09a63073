"""A batch as a person wants to see it: its text, coloured by the image that each part of it sees."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from flamingo_model.batch import Batch
from flamingo_model.loss import IGNORED
from schemas.markup import END_OF_CHUNK

COLOURS = (36, 33, 32, 35, 34)
"""ANSI colours of images 1, 2, ..., which then begin again: cyan, yellow, green, magenta, blue."""
PLAIN, FAINT = "\x1b[0m", "\x1b[2m"


def batch_text(batch: Batch, tokenizer: Any, eoc_id: int, *, colour: bool) -> str:
    """The rows of a batch.

    Each stretch of text that sees one image begins with that image's number in brackets, [0] for none. With `colour`
    the stretches have the colours of their images; text without image is plain, text that is not judged is faint.
    """
    return "\n\n".join("\n".join(_row(batch, row, tokenizer, eoc_id, colour)) for row in range(len(batch.tokens)))


def _row(batch: Batch, row: int, tokenizer: Any, eoc_id: int, colour: bool) -> Iterator[str]:
    keys = ", ".join(batch.keys[row]) or "(no sample)"
    used = int(batch.attention_mask[row].sum()) if batch.keys[row] else 0
    judged = int((batch.labels[row] != IGNORED).sum())
    yield f"row {row}: {keys}: {used} tokens of {batch.tokens.shape[1]}, {judged} judged"
    yield from _pictures(batch, row)
    tokens, phi, labels = (value[row, :used].tolist() for value in (batch.tokens, batch.phi, batch.labels))
    kinds = [(image, label != IGNORED) for image, label in zip(phi, labels, strict=True)]
    text, place, last = "", 0, None
    for (image, is_judged), run in groupby(kinds):
        length = len(list(run))
        part = _decoded(tokens[place : place + length], tokenizer, eoc_id)
        number = "" if image == last else f"[{image}]"
        codes = (f"\x1b[{COLOURS[(image - 1) % len(COLOURS)]}m" if image else "") + ("" if is_judged else FAINT)
        text += f"{codes}{number}{part}{PLAIN}" if colour and codes else number + part
        place, last = place + length, image
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
