"""A synthetic set of pages where only the image that phi names decides the next word.

Each page shows the same four colours in random order and then says the name of the last one. Who sees that one image
is always right; who sees all four, or another one, is right by chance, one time in four.
"""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from datasets import page, write_shard
from PIL import Image
from training_runs import config_of, run

from flamingo_model.batch import Batch
from flamingo_model.data import Loader, LoaderConfig, Recipe
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.samples import PAGES
from flamingo_model.shards import find_shards
from flamingo_model.training.tokenizer import tokenizer_of

COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}
SHOWN = len(COLOURS)


def solid(name: str) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (32, 32), COLOURS[name]).save(stream, "PNG")
    return stream.getvalue()


def page_of(number: int) -> object:
    names = Random(number).sample(sorted(COLOURS), SHOWN)
    return page(number, [*map(solid, names), f" {names[-1]}"])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    write_shard(folder / "pages/train-000000.tar", [page_of(number) for number in range(200)])  # type: ignore[misc]
    write_shard(folder / "dev/dev-000000.tar", [page_of(number) for number in range(1000, 1064)])  # type: ignore[misc]
    return folder


def trained(shards: Path, folder: Path, *changes: str) -> Path:
    """The checkpoint of a short run."""
    config = config_of(
        shards,
        "run.steps=120",
        "run.log_every=20",
        "data.pages.batch_size=16",
        "data.pages.samples={length=64, p_next=0.0, loss_on_marks=false}",
        "augment.brightness=0",
        "augment.flip=0",
        "optimiser.lr=3e-3",
        "optimiser.warmup=10",
        "loader.shuffle=100",
        "loader.streams=1",
        *changes,
        names=["pages"],
    )
    outcome, said = run(config, folder)
    print("\n".join(said))
    return outcome.checkpoint


@torch.no_grad()
def right(checkpoint: Path, shards: Path, shuffled: bool = False) -> float:
    """Share of the unseen pages whose colour is named, in the place where it is asked."""
    model = Flamingo.from_pretrained(checkpoint).eval()
    tokenizer = tokenizer_of(checkpoint / "tokenizer")
    config = LoaderConfig(
        batch_size=16, endless=False, shuffle=0, seed=0, streams=1, workers=0, prefetch=1, pad="longest", pack=False
    )
    samples = replace(PAGES, length=64, p_next=0.0)
    loader = Loader(
        find_shards(str(shards / "dev")), config, samples, tokenizer, model.eoc_id, image_size=32, augment=None
    )
    words = torch.tensor([tokenizer(f" {name}")["input_ids"][-1] for name in sorted(COLOURS)])
    assert len(set(words.tolist())) == SHOWN
    good, asked = 0, 0
    for batch in loader:
        assert batch.pictures is not None
        media = batch.pictures.media(model.vision.mean, model.vision.std)
        media = exchanged(media) if shuffled else media
        logits = model(batch.tokens, media, batch.phi, attention_mask=batch.attention_mask).logits
        row, place = torch.isin(batch.tokens, words).nonzero(as_tuple=True)
        guess = words[logits[row, place - 1][:, words].argmax(-1)]
        good += int((guess == batch.tokens[row, place]).sum())
        asked += len(row)
    assert asked == 64
    print(f"{good} of {asked} are right")
    return good / asked


def exchanged(media: Media) -> Media:
    """The images of each row exchanged at random: phi names another one. Four to a row, as phi must not go back."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(SHOWN, generator=generator) + SHOWN * row for row in range(len(media.per_row))]
    return replace(media, pixels=media.pixels[torch.cat(rows)])


def test_only_the_attended_image_decides(shards: Path, tmp_path: Path) -> None:
    checkpoint = trained(shards, tmp_path)
    assert right(checkpoint, shards) >= 0.95
    assert right(checkpoint, shards, shuffled=True) <= 0.5  # 0.25 by chance


def test_who_sees_all_images_cannot_tell(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without phi: every token sees all four, of which attention cannot know the order."""
    usual = Recipe.batch

    def all_seen(recipe: Recipe, *arguments: Any) -> Batch:
        batch = usual(recipe, *arguments)
        return replace(batch, phi=torch.full_like(batch.phi, SHOWN))

    monkeypatch.setattr(Recipe, "batch", all_seen)
    changes = 'model.changes={cross_attention = {attend = "all_previous"}}'
    assert right(trained(shards, tmp_path, changes), shards) <= 0.5  # 0.25 by chance
