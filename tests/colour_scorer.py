"""Scorers of an image and its text that need no weights, for tests: does the text name the colour of the picture?

What the environment's COLOUR_LOG names gets a line for each pair that is scored; with COLOUR_DIE the process ends like
one that is killed when so many lines stand there.
"""

import os
from pathlib import Path

from PIL import ImageStat

from pipelines.filters.similarity import Pair, Score, SimilarityConfig

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 170, 40),
    "blue": (30, 50, 220),
    "yellow": (230, 220, 40),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
}


def load(config: SimilarityConfig) -> Score:
    """1 where the mean colour is the one that the text names, 0 where it is as far from it as can be or none is named.

    A text with "unlucky" is one that it fails on, one with "undefined" gives no number.
    """
    assert config.weights == ""
    return lambda pairs: [_colour(pair) for pair in pairs]


def crowd(config: SimilarityConfig) -> Score:
    """A score that tells in which batch a pair was: how many there were, and its place among them."""
    return lambda pairs: [round(_colour(pair), 1) + len(pairs) + place / 100 for place, pair in enumerate(pairs)]


def wrong(config: SimilarityConfig) -> Score:
    """What no scorer may do, by `model`."""
    results = {
        "short": lambda pairs: [0.5] * (len(pairs) - 1),
        "long": lambda pairs: [0.5] * (len(pairs) + 1),
        "long batch": lambda pairs: [0.5] * (len(pairs) if len(pairs) == 1 else 9),
        "nan": lambda pairs: [float("nan") for _ in pairs],
        "text": lambda pairs: ["0.5" for _ in pairs],
        "bool": lambda pairs: [True for _ in pairs],
        "nothing": lambda pairs: None,
        "raises": lambda pairs: [1 / 0 for _ in pairs],
        "no function": 0.5,
    }
    if config.model == "cannot be made":
        raise OSError("no such model")
    return results[config.model]  # type: ignore[return-value]


def _colour(pair: Pair) -> float:
    picture, text = pair
    assert picture.mode == "RGB"
    _note(text)
    if "unlucky" in text:
        raise ValueError("what an unlucky text")
    if "undefined" in text:
        return float("nan")
    named = [COLOURS[word] for word in text.split() if word in COLOURS]
    if not named:
        return 0.0
    mean = ImageStat.Stat(picture).mean
    far = max(abs(one - other) for one, other in zip(mean, named[0], strict=True))
    return 1 - far / 255


def _note(text: str) -> None:
    if not (log := os.environ.get("COLOUR_LOG")):
        return
    with Path(log).open("a") as stream:
        stream.write(f"{text}\n")
    if len(Path(log).read_text().splitlines()) == int(os.environ.get("COLOUR_DIE", 0)):
        os._exit(9)
