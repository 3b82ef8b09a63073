"""Small data sets of every kind, a configuration that trains on them in moments, and how to compare two runs."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import page, pair, picture, write_shard
from safetensors.torch import load_file

from flamingo_model.training.config import TrainConfig, load_train_config
from flamingo_model.training.loop import Outcome
from flamingo_model.training.trainer import train
from schemas.document import Document, Text, Video
from schemas.keys import clip_key
from schemas.shard import Sample, frame_member

SETS = {
    "pages": ("pages", 1.0, 64),
    "short": ("pairs", 0.2, 32),
    "long": ("pairs", 0.2, 48),
    "clips": ("clips", 0.03, 32),
}
"""Data sets of a run: kind, lambda, tokens of a row."""


def page_of(number: int) -> Sample:
    """A page of one or two pictures and a text that is longer for some."""
    parts: list[str | bytes] = [
        f"Page {number}: ",
        picture(40, 30, number),
        f"a text of page {number}. " * (number % 4),
    ]
    return page(number, [*parts, *([picture(30, 40, number + 1)] if number % 2 else []), "The end."])


def clip_of(number: int) -> Sample:
    """A clip of two or three frames."""
    frames = 2 + number % 2
    members = {frame_member(0, place): picture(32, 24, number + place) for place in range(frames)}
    url = f"https://videos.example.org/{number}.webm"
    video = Video(url=url, start=0.0, end=float(frames), times=tuple(map(float, range(frames))), members=tuple(members))
    slots = (video, Text(f"Clip {number} shows something."))
    return Sample(Document(kind="clip", url=url, slots=slots, key=clip_key(url, 0, float(frames))), members)


def make_shards(folder: Path) -> Path:
    """Two shards of each kind below `folder`."""
    samples: dict[str, list[Sample]] = {
        "pages": [page_of(number) for number in range(14)],
        "pairs": [
            pair(number, f"Picture {number} has a caption" + " that is long" * (number % 3)) for number in range(20)
        ],
        "clips": [clip_of(number) for number in range(8)],
    }
    for kind, own in samples.items():
        for number in range(2):
            write_shard(folder / kind / f"train-{number:06d}.tar", own[number::2])
    return folder


def write_config(folder: Path, names: Sequence[str] = tuple(SETS), extra: str = "") -> Path:
    """A TOML file that trains the preset `tiny` on shards that `make_shards` wrote to `folder`."""
    tables = [
        f'[[data]]\nname = "{name}"\nkind = "{SETS[name][0]}"\nshards = ["{folder / SETS[name][0]}"]\nsplit = "train"\n'
        f"weight = {SETS[name][1]}\nbatch_size = 4\nmicro_batch = 0\npack = false\n"
        f"samples = {{ length = {SETS[name][2]} }}\n"
        for name in names
    ]
    path = folder / f"run-{os.getpid()}.toml"  # ranks write it at the same time
    path.write_text(
        'extends = "demo"\n'
        '[model]\nconfig = "tiny"\nchanges = {}\n'
        "[augment]\nbrightness = 0.2\nflip = 0.5\n"
        "[loader]\nshuffle = 5\nstreams = 2\nworkers = 0\nprefetch = 2\n"
        "[optimiser]\nwarmup = 5\nlr = 1e-2\n"
        "[run]\nsteps = 8\nsave_every = 100\nlog_every = 1\n" + extra + "\n" + "\n".join(tables)
    )
    return path


def config_of(folder: Path, *changes: str, names: Sequence[str] = tuple(SETS)) -> TrainConfig:
    """That configuration, loaded, with changes as `--set` takes them."""
    return load_train_config(write_config(folder, names), changes)


def run(config: TrainConfig, folder: Path, resume: bool = False) -> tuple[Outcome, list[str]]:
    """Train; how it ended, and what was printed."""
    said: list[str] = []
    return train(config, folder, resume=resume, say=said.append), said


TIMES = ("seconds", "tokens_per_s", "images_per_s", "waited")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what a clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def tensors(checkpoint: Path) -> dict[str, Any]:
    """Weights and moments."""
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimiser.safetensors")
