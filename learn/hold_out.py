"""Samples that nothing in training resembles: not their text, not one of their pictures."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.shard import Sample, ShardWriter, read_shard

DISTANCE = 4
"""Bits of 64 in which the perceptual hashes of two pictures that count as the same may differ, at most."""


@dataclass(frozen=True)
class Split:
    """Where the two parts stand, and of how many samples."""

    folder: str
    trained: int
    held: int
    returned: int
    """Candidates for holding out that resembled a sample of training, and so joined it."""

    @property
    def train(self) -> Path:
        return Path(self.folder, "train.tar")

    @property
    def held_out(self) -> Path:
        return Path(self.folder, "held_out.tar")


def hold_out(shards: Sequence[Path], into: Path, share: float) -> Split:
    """Writes the samples of some shards as `train.tar` and `held_out.tar`.

    A share of the samples, chosen by the digest of their keys, are candidates. One whose text, picture or near picture
    is also in training goes into training too; whoever resembles it follows, until nobody does.
    """
    samples = []
    for shard in shards:
        with shard.open("rb") as stream:
            samples += list(read_shard(stream))
    samples.sort(key=lambda sample: sample.document.key)
    candidate = np.array([_drawn(sample.document.key) < share for sample in samples])
    held = candidate & ~_resembling(samples, ~candidate)
    split = Split(str(into), int((~held).sum()), int(held.sum()), int(candidate.sum() - held.sum()))
    for path, wanted in ((split.train, ~held), (split.held_out, held)):
        with path.open("wb") as stream:
            writer = ShardWriter(stream)
            for sample, taken in zip(samples, wanted, strict=True):
                if taken:
                    writer.write(sample)
            writer.close()
    return split


def resemblances(one: Sequence[Sample], other: Sequence[Sample]) -> int:
    """How many samples of `one` have a text, a picture or a near picture that is also in `other`; for the check."""
    together = [*one, *other]
    seen = np.arange(len(together)) >= len(one)
    return int((_linked(together, seen) & ~seen).sum())


def _drawn(key: str) -> float:
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") / 2**64


def _resembling(samples: Sequence[Sample], seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which are in `seen`, or linked to one that is, over any number of others."""
    while (more := _linked(samples, seen)).sum() > seen.sum():
        seen = more
    return seen


def _linked(samples: Sequence[Sample], seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which are in `seen`, or have a text or picture of one that is."""
    texts = {_words(sample) for sample, is_seen in zip(samples, seen, strict=True) if is_seen}
    owner = np.array([number for number, sample in enumerate(samples) for _ in sample.document.images], dtype=np.int64)
    images = [image for sample in samples for image in sample.document.images]
    digests = np.array([image.sha256 for image in images])
    hashes = np.array([int(image.phash or "0", 16) for image in images], dtype=np.uint64)
    shown = seen[owner]
    near = np.isin(digests, digests[shown])
    for place in np.flatnonzero(~near):
        near[place] = bool((np.bitwise_count(hashes[shown] ^ hashes[place]) <= DISTANCE).any())
    linked = seen | np.array([_words(sample) in texts for sample in samples])
    linked[owner[near]] = True
    return linked


def _words(sample: Sample) -> str:
    """A text without case, punctuation and spacing."""
    plain = sample.document.text.lower().translate(str.maketrans("", "", string.punctuation))
    return " ".join(plain.split())
