"""A small tokenizer, and small shards of every kind, for the tests of the loader."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import page, pair, picture, write_shard
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.samples import PAGES, SampleConfig
from schemas.document import Document, Text, Video
from schemas.keys import clip_key
from schemas.shard import Sample, frame_member

TEXT = ["<image> A cat on a mat.", "A dog and a log. ", "Words, words; words! "] * 20
EOC = 1000


@lru_cache
def make_tokenizer(bos: bool = True, eos: bool = True, image: bool = False) -> Any:
    """A byte-level tokenizer of a few hundred ids; with `image` the mark is a special token of it."""
    special = {name: token for name, token, wanted in (("bos_token", "<s>", bos), ("eos_token", "</s>", eos)) if wanted}
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, special_tokens=list(special.values()))
    inner.train_from_iterator(TEXT, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **special)
    if image:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return tokenizer


def clip(number: int, frames: int, caption: str, fps: float = 1.0) -> Sample:
    """A clip whose frames are all different."""
    members = {frame_member(0, place): picture(64, 48, number + place) for place in range(frames)}
    url = f"https://videos.example.org/{number}.webm"
    video = Video(
        url=url,
        start=0.0,
        end=frames / fps,
        times=tuple(place / fps for place in range(frames)),
        members=tuple(members),
    )
    document = Document(kind="clip", url=url, slots=(video, Text(caption)), key=clip_key(url, 0, frames / fps))
    return Sample(document, members)


def many_pages(count: int, start: int = 0) -> list[Sample]:
    """Pages of one or two pictures and a text that names their number."""
    made = []
    for number in range(start, start + count):
        parts: list[str | bytes] = [f"Page {number}: ", picture(40, 30, number), f"a text of page {number}. "]
        made.append(page(number, [*parts, *([picture(30, 40, number)] if number % 2 else []), "The end."]))
    return made


def shards_of(folder: Path, samples: Sequence[Sample], count: int) -> tuple[str, ...]:
    """`count` shards of the samples; their addresses."""
    paths = [folder / f"train-{number:06d}.tar" for number in range(count)]
    for number, path in enumerate(paths):
        write_shard(path, samples[number::count])
    return tuple(map(str, paths))


def write_tar(path: Path, members: Mapping[str, bytes]) -> str:
    """Any members as a tar file."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return str(path)


CONFIG = LoaderConfig(
    batch_size=4,
    endless=True,
    shuffle=5,
    seed=7,
    streams=1,
    workers=0,
    prefetch=2,
    pad="length",
    pack=False,
)
SHORT = replace(PAGES, length=64)


def loader(shards: Sequence[str], samples: SampleConfig = SHORT, **changes: Any) -> Loader:
    """A loader of pictures of 16 pixels; `changes` are fields of its configuration or arguments of its own."""
    own = {name: changes.pop(name) for name in list(changes) if name not in vars(CONFIG)}
    arguments: dict[str, Any] = {"image_size": 16, "augment": None} | own
    return Loader(shards, replace(CONFIG, **changes), samples, make_tokenizer(), EOC, **arguments)


__all__ = ["page", "pair", "picture", "write_shard"]
