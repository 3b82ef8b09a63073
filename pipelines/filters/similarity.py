"""Similarity of an image and its text, by a scorer that the recipe names and that need not be ours.

A scorer is named as "package.module:name". `name` is called once in each process with the recipe's table and gives a
function of a batch of pairs:

    def load(config: SimilarityConfig) -> Score:
        model = read(config.weights)
        return lambda pairs: [model.cosine(picture, text) for picture, text in pairs]

`pipelines.filters.similarity_open_clip:load` is one for CLIP.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from schemas.rejection import Rejected

Pair = tuple[Image.Image, str]
"""The picture as it stands in the shard, in RGB, and the text."""
Score = Callable[[Sequence[Pair]], Iterable[float]]
"""One number for each pair, in their order. The same batch must give the same numbers."""
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, kw_only=True)
class SimilarityConfig:
    """Recipe table [similarity]."""

    scorer: str
    """What measures it, as "package.module:name"; "none" turns the rule off."""
    model: str
    """For the scorer: of CLIP the name of the architecture in open_clip, or the path of its JSON."""
    weights: str
    """For the scorer: local path of the model's weights; empty for a scorer that has none."""
    device: str
    """For the scorer: where the model runs, as PyTorch says it: "cpu", "cuda"."""
    batch_size: int
    """Most pairs that are scored at once, 1 or more. Batches are made by the pairs' keys, whatever the workers."""
    min_score: float
    """Least score, on the scorer's own scale: of CLIP the cosine, -1 to 1."""

    def __post_init__(self) -> None:
        if self.scorer != "none" and not _NAME.fullmatch(self.scorer):
            raise ValueError(f'scorer: {self.scorer!r} is neither "none" nor of the form "package.module:name"')
        if self.batch_size < 1:
            raise ValueError(f"batch_size: {self.batch_size}, must be 1 or more")
        if not math.isfinite(self.min_score):
            raise ValueError(f"min_score: {self.min_score} is not a finite number")

    @property
    def on(self) -> bool:
        return self.scorer != "none"


class ScorerError(RuntimeError):
    """A scorer that cannot be used; the message names it, and the cure where there is one."""


@lru_cache(maxsize=1)
def load_scorer(config: SimilarityConfig) -> Score:
    """The scorer of a recipe, one for the process.

    Raises:
        ScorerError: it cannot be imported or made.
    """
    module, _, name = config.scorer.partition(":")
    try:
        score = getattr(import_module(module), name)(config)
    except Exception as error:  # whatever a plug-in does, its name must stand in the message
        where = "" if not isinstance(error, ModuleNotFoundError) else "; install it, or add its folder to PYTHONPATH"
        raise ScorerError(f"[similarity] scorer {config.scorer!r}: {_described(error)}{where}") from error
    if not callable(score):
        raise ScorerError(f"[similarity] scorer {config.scorer!r}: gave {score!r}, which is no function of pairs")
    return score


def check_scorer(config: SimilarityConfig) -> None:
    """Raises ScorerError unless the scorer measures a grey picture, so that not every pair of a build fails for it."""
    score = load_scorer(config)
    picture = Image.new("RGB", (64, 48), (128, 128, 128))
    for count in {1, min(2, config.batch_size)}:
        if isinstance(found := _scored(score, [(picture, "a grey picture")] * count), Rejected):
            raise ScorerError(
                f"[similarity] scorer {config.scorer!r}: tried on {count} of a grey picture: {found.detail}"
            )


def scorer_file(config: SimilarityConfig) -> Path | None:
    """The file of the module that the scorer stands in: another one gives other scores."""
    spec = find_spec(config.scorer.partition(":")[0])
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def similarities(pairs: Sequence[Pair], config: SimilarityConfig) -> list[float | Rejected]:
    """The score of each pair to four decimals, or `unscorable`.

    Scored in one batch; if that fails, each by itself, so that one pair costs no other.
    """
    score = load_scorer(config)
    found = _scored(score, pairs)
    if not isinstance(found, Rejected):
        return list(found)
    if len(pairs) == 1:
        return [found]
    return [one if isinstance(one := _scored(score, [pair]), Rejected) else one[0] for pair in pairs]


def judge_similarity(score: float | Rejected, config: SimilarityConfig) -> float | Rejected:
    """The score, or `unscorable` or `low_similarity`."""
    if isinstance(score, Rejected) or score >= config.min_score:
        return score
    return Rejected("low_similarity", f"{score:.4f}, at least {config.min_score}")


def _scored(score: Score, pairs: Sequence[Pair]) -> list[float] | Rejected:
    """A finite number for each pair, or what is wrong."""
    try:
        found = list(score(pairs))
        if len(found) != len(pairs):
            return Rejected("unscorable", f"{len(found)} scores for {len(pairs)} pairs")
        # Text would be read as a number by float(), True taken for one.
        if wrong := [one for one in found if isinstance(one, bool) or not hasattr(one, "__float__")]:
            return Rejected("unscorable", f"{wrong[0]!r} is no number"[:300])
        numbers = [round(float(one), 4) for one in found]
    except Exception as error:  # whatever a scorer does, a pair that it could not judge must not pass
        return Rejected("unscorable", _described(error))
    if bad := [number for number in numbers if not math.isfinite(number)]:
        return Rejected("unscorable", f"score {bad[0]}")
    return numbers


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
