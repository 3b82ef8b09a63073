"""Held-out pictures with what the model says of them, as one picture."""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from flamingo_model.evaluation.opened import Opened
from flamingo_model.generate import generate
from flamingo_model.preprocess import upright_rgb
from flamingo_model.prompt import decode, prompts
from schemas.shard import Sample, read_shard

ACROSS, DOWN = 6, 4
CELL, LINES = 190, 62
"""Pixels of a picture's square, and of the text below it."""


def write_sheet(opened: Opened, shard: Path, path: Path) -> None:
    """The first pictures of a shard: below each its caption in grey, and the model's in black."""
    with shard.open("rb") as stream:
        samples = [sample for sample, _ in zip(read_shard(stream), range(ACROSS * DOWN), strict=False)]
    sheet = Image.new("RGB", (ACROSS * CELL, DOWN * (CELL + LINES)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, (sample, said) in enumerate(zip(samples, captions(opened, samples), strict=True)):
        x, y = place % ACROSS * CELL, place // ACROSS * (CELL + LINES)
        picture = _picture(sample)
        picture.thumbnail((CELL - 12, CELL - 12))
        sheet.paste(picture, (x + (CELL - picture.width) // 2, y + (CELL - picture.height) // 2))
        draw.text((x + 6, y + CELL), _fit(sample.document.text, draw, font), "#888888", font)
        draw.text((x + 6, y + CELL + 20), _fit(said, draw, font), "black", font)
    sheet.save(path)


@torch.no_grad()
def captions(opened: Opened, samples: list[Sample]) -> list[str]:
    """One for each, by beam search."""
    model = opened.model
    asked = prompts([[_picture(sample)] for sample in samples], opened.tokenizer, model)
    ids = generate(
        model, asked.tokens, asked.media, asked.phi, attention_mask=asked.attention_mask, max_new_tokens=12, num_beams=3
    )
    return [decode(own, opened.tokenizer, model.eoc_id).strip() for own in ids]


def _picture(sample: Sample) -> Image.Image:
    (data,) = sample.members.values()
    return upright_rgb(Image.open(BytesIO(data)))


def _fit(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much as the cell is wide."""
    text = " ".join(text.split())
    while draw.textlength(text, font) > CELL - 12:
        text = text[:-2].rstrip() + "\u2026"
    return text
