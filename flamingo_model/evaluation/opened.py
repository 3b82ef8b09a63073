"""A model from its folder with its tokenizer, and pictures to visual tokens, each encoded once."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from flamingo_model.checkpoint import CONFIG, WEIGHTS, CheckpointError
from flamingo_model.evaluation.examples import Frames, Visual, read
from flamingo_model.evaluation.shots import picture_features
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.preprocess import Preprocess
from schemas.rejection import Rejected

KEPT = 4096
"""Pictures whose visual tokens are kept at a time."""


@dataclass(frozen=True)
class Opened:
    """A model that is ready to be asked."""

    model: Flamingo
    tokenizer: Any
    folder: Path
    kept: "OrderedDict[tuple[Visual, Frames], Tensor | Rejected]" = field(default_factory=OrderedDict)
    """Visual tokens [R, dim] by picture, on the model's device."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.language.eoc_input.device

    def media(self, pictures: Sequence[Sequence[Image.Image]]) -> Media:
        """Pictures and videos as the encoder takes them, one row."""
        vision = self.model.vision
        ready = Preprocess(vision.image_size, vision.mean, vision.std, augment=None)
        pixels = torch.cat([ready(list(frames)) for frames in pictures])
        return Media(pixels.to(self.device), tuple(map(len, pictures)), (len(pictures),))

    @torch.no_grad()
    def visual(self, picture: Visual, frames: Frames) -> Tensor | Rejected:
        """Visual tokens [R, dim], or why there are none."""
        key = (picture, frames)
        if key not in self.kept:
            pictures = read(picture, frames)
            self.kept[key] = (
                pictures if isinstance(pictures, Rejected) else self.model.encode(self.media([pictures]))[0]
            )
            if len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return self.kept[key]

    def features(self, picture: Visual, frames: Frames) -> Tensor | Rejected:
        """What RICES compares, [D'], on the CPU."""
        pictures = read(picture, frames)
        return (
            pictures
            if isinstance(pictures, Rejected)
            else picture_features(self.model, self.media([pictures]))[0].cpu()
        )


def open_model(folder: str | Path, tokenizer: str = "", device: str = "auto") -> Opened:
    """The model of a folder that `save_pretrained` wrote, or of a training run: its newest checkpoint.

    Args:
        tokenizer: folder or hub name; "": that of the checkpoint, or of the language model.
        device: "auto": a GPU if there is one.

    Raises:
        CheckpointError: no model, or no tokenizer.
    """
    found = checkpoint_folder(Path(folder))
    on = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    words = load_tokenizer(found, tokenizer)  # first: a mistake is told before the weights are read
    model = Flamingo.from_pretrained(found).to(on).eval()
    return Opened(model, words, found)


def checkpoint_folder(folder: Path) -> Path:
    """The folder itself, or the newest checkpoint of a run in it."""
    steps = sorted(folder.glob("checkpoints/step-*"))
    for place in (folder, folder / "latest", *reversed(steps)):
        if (place / CONFIG).is_file():
            return place.resolve()
    raise CheckpointError(
        f"{folder} is no model: it has neither {CONFIG} (Flamingo.save_pretrained writes it) nor checkpoints of a "
        "training run"
    )


def load_tokenizer(folder: Path, name: str = "") -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    from transformers import AutoTokenizer

    if not name:
        own = [place for place in (folder / "tokenizer", folder) if (place / "tokenizer_config.json").is_file()]
        language = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("config", {}).get("language", {})
        if not own and not language.get("pretrained"):
            raise CheckpointError(
                f"{folder} has no tokenizer, and its language model ({language.get('name')!r}, made anew) brings none; "
                "give --tokenizer FOLDER, or save it there: tokenizer.save_pretrained(folder / 'tokenizer')"
            )
        name = str(own[0]) if own else language["name"]
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"no tokenizer in {name!r}: {str(error).strip().splitlines()[0]}") from error


def fingerprint(opened: Opened) -> str:
    """Of the weights: answers of one model are never taken for another's."""
    stats = [(opened.folder / name).stat() for name in (CONFIG, WEIGHTS)]
    return _digest(opened.folder, tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


@lru_cache(maxsize=8)
def _digest(folder: Path, _state: tuple[tuple[int, int], ...]) -> str:
    whole = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()[:16]
