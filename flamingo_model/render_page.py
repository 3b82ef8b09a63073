"""Batches as one HTML page, nothing loaded from anywhere: each row's pictures as the model gets them, and its text in
the colours of the pictures that it sees.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from flamingo_model.batch import Batch
from flamingo_model.render import headline, parts
from schemas.markup import END_OF_CHUNK, IMAGE

HUES = (190, 40, 130, 300, 225)
"""Degrees, of images 1, 2, ..., which then begin again."""

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #23241f; --soft: #6d6e66; --line: #e3e1d9;
  --tone: 88%; --edge: 45%; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181a; --card: #1d2023; --ink: #dfe0dc; --soft: #979a94;
  --line: #31353a; --tone: 22%; --edge: 60%; } }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.7 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; }
article { margin: 1.2rem 0; padding: 1rem 1.2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
small, .about { color: var(--soft); font-size: .8rem; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; }
figure { margin: 0; border: 3px solid; border-radius: .4rem; padding: .3rem; }
figure img { display: inline-block; max-height: 140px; vertical-align: top; }
figcaption { font-size: .78rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.text span { border-radius: .2rem; padding: .05rem 0; }
.unjudged { opacity: .5; }
b { font-weight: 600; font-size: .72rem; opacity: .7; }
""" + "".join(
    f".i{number} {{ background: hsl({hue} 60% var(--tone)); border-color: hsl({hue} 55% var(--edge)); }}\n"
    for number, hue in enumerate(HUES)
)


def batches_page(batches: Sequence[Batch], tokenizer: Any, eoc_id: int, title: str) -> str:
    """HTML of some batches; texts are escaped, and the page's policy (CSP) forbids scripts and requests."""
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{_digest(STYLE)}'"
    rows = "".join(_row(batch, row, tokenizer, eoc_id) for batch in batches for row in range(len(batch.tokens)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style></head><body>\n'
        f'<h1>{escape(title)}</h1><p class="about">Text has the colour of the picture that it sees (phi); text '
        f"without colour sees none; pale text is not judged. Pictures are as the model gets them.</p>\n{rows}"
        "</body></html>\n"
    )


def _row(batch: Batch, row: int, tokenizer: Any, eoc_id: int) -> str:
    text = "".join(
        f'<span class="{_colour(part.image)}{"" if part.judged else " unjudged"}">{_marked(part.text)}</span>'
        for part in parts(batch, row, tokenizer, eoc_id)
    )
    pictures = "".join(_pictures(batch, row))
    return (
        f"<article><small>{escape(headline(batch, row))}</small>"
        f'<div class="pictures">{pictures}</div><p class="text">{text}</p></article>\n'
    )


def _pictures(batch: Batch, row: int) -> Iterator[str]:
    pictures = batch.pictures
    if pictures is None:
        return
    begin = sum(pictures.per_row[:row])
    shown = pictures.media((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).pixels
    for number in range(1, pictures.per_row[row] + 1):
        frames, first = pictures.frames[begin + number - 1], sum(pictures.frames[: begin + number - 1])
        images = "".join(_image(shown[place], pictures.sizes[place]) for place in range(first, first + frames))
        height, width = pictures.sizes[first].tolist()
        what = f"{width} x {height}" if frames == 1 else f"{frames} frames, {width} x {height}"
        yield f'<figure class="{_colour(number)}">{images}<figcaption>{number}: {what}</figcaption></figure>'


def _image(pixels: Tensor, size: Tensor) -> str:
    """[3, S, S] from 0 to 1, without its padding."""
    height, width = size.tolist()
    top, left = ((side - length) // 2 for side, length in zip(pixels.shape[1:], (height, width), strict=True))
    inside = pixels[:, top : top + height, left : left + width].permute(1, 2, 0)
    stream = BytesIO()
    Image.fromarray((inside.numpy() * 255).round().astype(np.uint8)).save(stream, "JPEG", quality=85)
    return f'<img alt="" src="data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"> '


def _colour(image: int) -> str:
    return f"i{(image - 1) % len(HUES)}" if image else "none"


def _marked(text: str) -> str:
    escaped = escape(text)
    for mark in (IMAGE, END_OF_CHUNK):
        escaped = escaped.replace(escape(mark), f"<b>{escape(mark)}</b>")
    return escaped


def _digest(style: str) -> str:
    return b64encode(sha256(style.encode()).digest()).decode()
