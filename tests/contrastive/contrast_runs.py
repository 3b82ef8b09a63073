"""Coloured pictures that their captions name, a configuration that trains on them in moments, and towers for tests."""

import json
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from datasets import write_shard
from PIL import Image as Picture
from PIL import ImageDraw
from safetensors.torch import load_file

from flamingo_model.contrastive.config import ContrastConfig, load_contrast_config
from flamingo_model.contrastive.loss import Pairs
from flamingo_model.contrastive.step import Run
from flamingo_model.contrastive.towers import Towers, make_towers
from flamingo_model.contrastive.trainer import contrast
from flamingo_model.training.logs import Window
from flamingo_model.training.loop import Outcome
from flamingo_model.training.parallel import Ranks
from flamingo_model.training.run import Tally
from schemas.document import Document, Image, Text
from schemas.keys import pair_key
from schemas.shard import Sample

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 40),
    "blue": (30, 50, 220),
    "yellow": (240, 220, 40),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
    "pink": (250, 130, 190),
    "cyan": (30, 220, 220),
}
SHAPES = {"pole": (12, 0, 19, 31), "beam": (0, 12, 31, 19), "wall": (0, 0, 31, 31), "box": (8, 8, 23, 23)}
ALONE = Ranks(0, 1, torch.device("cpu"))


def coloured(colour: str, shape: str) -> Sample:
    """A picture of a shape and what it says of it."""
    picture = Picture.new("RGB", (32, 32), (128, 128, 128))
    ImageDraw.Draw(picture).rectangle(SHAPES[shape], COLOURS[colour])
    stream = BytesIO()
    picture.save(stream, "PNG")
    caption, url = f"a {colour} {shape} on grey", f"https://img.example.org/{colour}-{shape}.png"
    slots = (Image(url=url, member="png", width=32, height=32), Text(caption))
    return Sample(Document(kind="pair", url=url, slots=slots, key=pair_key(url, caption)), {"png": stream.getvalue()})


def make_shards(folder: Path) -> Path:
    """Two shards of 32 pairs together, in data sets `one` and `two` of one shard each, and `both`."""
    pairs = [coloured(colour, shape) for colour in COLOURS for shape in SHAPES]
    for number, name in enumerate(("one", "two")):
        write_shard(folder / name / "train-000000.tar", pairs[number::2])
        write_shard(folder / "both" / f"train-{number:06d}.tar", pairs[number::2])
    return folder


def write_config(folder: Path, names: Sequence[str], batch_size: int = 8) -> Path:
    """A TOML file for shards that `make_shards` wrote to `folder`."""
    tables = [
        f'[[data]]\nname = "{name}"\nshards = ["{folder / name}"]\nsplit = "train"\nbatch_size = {batch_size}\n'
        for name in names
    ]
    path = folder / f"{'-'.join(names)}-{batch_size}.toml"
    part = path.with_suffix(f".{os.getpid()}")  # other ranks write the same
    part.write_text(
        'extends = "contrast-demo"\n'
        '[vision]\nfamily = "huggingface"\nname = "vit"\nimage_size = 32\n'
        "options = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 2, intermediate_size = 64, "
        "image_size = 32, patch_size = 8 }\n"
        "[text]\nlength = 16\n"
        "options = { vocab_size = 300, hidden_size = 32, num_hidden_layers = 1, num_attention_heads = 2, "
        "intermediate_size = 64, max_position_embeddings = 16 }\n"
        "[joint]\ndim = 24\n"
        "[held_out]\nshards = []\n"
        "[loader]\nshuffle = 5\nworkers = 0\n"
        '[run]\nsteps = 6\nsave_every = 100\nlog_every = 1\ndevice = "cpu"\n' + "\n".join(tables)
    )
    part.replace(path)
    return path


def config_of(folder: Path, *changes: str, names: Sequence[str] = ("both",), batch_size: int = 8) -> ContrastConfig:
    """That configuration, loaded, with changes as `--set` takes them."""
    return load_contrast_config(write_config(folder, names, batch_size), changes)


def run(config: ContrastConfig, folder: Path, resume: bool = False) -> tuple[Outcome, list[str]]:
    """Train; how it ended, and what was printed."""
    said: list[str] = []
    return contrast(config, folder, resume=resume, say=said.append), said


TIMES = ("seconds", "tokens_per_s", "images_per_s", "waited")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what a clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def tensors(checkpoint: Path) -> dict[str, Any]:
    """Weights and moments."""
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimiser.safetensors")


def random_pairs(number: int, seed: int, length: int = 7) -> Pairs:
    """Noise, and captions of different lengths."""
    numbers = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 300, (number, length), generator=numbers)
    mask = (torch.arange(length) <= torch.randint(1, length, (number, 1), generator=numbers)).long()
    return Pairs(torch.randn(number, 3, 32, 32, generator=numbers), tokens * mask, mask)


def run_of(config: ContrastConfig, called: Any = None, model: Towers | None = None, ranks: Ranks = ALONE) -> Run:
    """A run as `gradients` needs it, without data and without dropout."""
    model = make_towers(config).eval() if model is None else model
    optimiser = torch.optim.Adam(model.parameters())
    return Run(config, ranks, model, called or model, optimiser, {}, {}, [], Tally(), Window())


def grads(model: Towers) -> dict[str, torch.Tensor]:
    """Copies of the gradients, by name; then there are none."""
    found = {name: parameter.grad.clone() for name, parameter in model.trained().items() if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    return found
