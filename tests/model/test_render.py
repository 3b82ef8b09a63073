"""Batches as text."""

import re
from dataclasses import replace
from pathlib import Path

from loader_data import EOC, SHORT, loader, make_tokenizer, page, picture, shards_of

from flamingo_model.render import batch_text


def test_a_batch_as_text(tmp_path: Path) -> None:
    samples = [page(1, ["A mat.", picture(40, 30, 1), " A cat.", picture(30, 40, 2), " A dog."])]
    places = shards_of(tmp_path, samples, 1)
    (batch,) = list(loader(places, replace(SHORT, p_next=0.0, loss="seen"), endless=False, batch_size=2))
    text = batch_text(batch, make_tokenizer(), EOC, colour=False)
    key = samples[0].document.key
    first, second = text.split("\n\n")
    assert re.match(rf"row 0: {key}: \d+ tokens of 64, \d+ judged", first)
    assert "[1] picture, 16 x 12" in first and "[2] picture, 12 x 16" in first
    assert first.endswith("[0]<s>A mat.<EOC>[1]<image> A cat.<EOC>[2]<image> A dog.<EOC></s>")
    assert second.startswith("row 1: (no sample): 0 tokens of 64, 0 judged")
    coloured = batch_text(batch, make_tokenizer(), EOC, colour=True)
    assert "\x1b[36m[1]<image> A cat.<EOC>\x1b[0m\x1b[33m[2]" in coloured and "\x1b[2m[0]<s>" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == text
