"""Real pictures and videos in files, a small tokenizer, and a small model in a folder, for the tests of evaluation."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from video_files import encode, pan, pictures

from flamingo_model.config import load_config
from flamingo_model.cross_attention import Gate
from flamingo_model.evaluation.opened import Opened
from flamingo_model.model import Flamingo

WORDS = ["<image> Output: A cat on a mat.", "<image> Question: What is it? Answer: A dog and a log."] * 20


@lru_cache
def make_tokenizer() -> Any:
    """A byte-level tokenizer of the 300 ids that the preset "tiny" has."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"]
    )
    inner.train_from_iterator(WORDS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


def make_model(seed: int = 0) -> Flamingo:
    """The preset "tiny" with its gates opened, so that pictures matter, and a language model to which all its text
    matters."""
    torch.manual_seed(seed)
    model = Flamingo(load_config("tiny")).eval()
    for name, weight in model.language.lm.named_parameters():
        if "layers" in name and weight.dim() > 1:
            weight.data.mul_(6)
    for module in model.modules():
        if isinstance(module, Gate):
            module.alpha.data.fill_(0.5)
    return model


def make_opened(seed: int = 0) -> Opened:
    """The same, ready to be asked; it has no folder."""
    return Opened(make_model(seed), make_tokenizer(), Path())


def save_model(folder: Path, seed: int = 0) -> Path:
    """The same in a folder, as a training run leaves it."""
    make_model(seed).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder / "tokenizer")
    return folder


def save_picture(path: Path, number: int) -> Path:
    """One of nine real pictures, in the format of the name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures()[number % len(pictures())].save(path)
    return path


def save_video(path: Path, number: int, seconds: float = 2.0) -> Path:
    """The camera goes over one of the pictures, 10 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx", ".avi": "mpeg4"}[path.suffix]
    return encode(path, pan(pictures()[number % len(pictures())], seconds, fps=10), codec=codec, fps=10)


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, lines: Sequence[Any]) -> Path:
    """JSON lines of objects, or lines of text as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return path
