"""What is held out has no text, picture or near picture of training, over any number of steps; nothing is lost."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import page, pair, picture, write_shard

from learn.hold_out import hold_out, resemblances
from schemas.document import Image
from schemas.keys import digest
from schemas.shard import Sample, read_shard


def changed(sample: Sample, number: int, **fields: Any) -> Sample:
    """With another key, and its picture's facts changed."""
    slots = tuple(replace(slot, **fields) if isinstance(slot, Image) else slot for slot in sample.document.slots)
    return replace(sample, document=replace(sample.document, slots=slots, key=digest(f"sample {number}")))


def pairs(hashes: Sequence[int], captions: Sequence[str]) -> list[Sample]:
    """Pairs with these perceptual hashes and captions."""
    return [
        changed(pair(number, caption), number, phash=f"{value:016x}")
        for number, (value, caption) in enumerate(zip(hashes, captions, strict=True))
    ]


def parts(tmp_path: Path, samples: Sequence[Sample], share: float) -> tuple[list[Sample], list[Sample], int]:
    """(training, held out, returned)"""
    write_shard(tmp_path / "all.tar", samples)
    split = hold_out([tmp_path / "all.tar"], tmp_path, share)
    read = []
    for path in (split.train, split.held_out):
        with path.open("rb") as stream:
            read.append(list(read_shard(stream)))
    assert (len(read[0]), len(read[1])) == (split.trained, split.held)
    assert sorted(one.document.key for part in read for one in part) == sorted(one.document.key for one in samples)
    return read[0], read[1], split.returned


def test_samples_that_nothing_resembles_are_split_by_share(tmp_path: Path) -> None:
    far = [number * 0x0101_0101_0101_0101 for number in range(200)]  # 8 bits and more from each other
    train, held, returned = parts(tmp_path, pairs(far, [f"Thing {number}." for number in range(200)]), 0.25)
    assert 30 < len(held) < 70 and returned == 0 and resemblances(held, train) == 0


@pytest.mark.parametrize("distance", [4, 5])
def test_near_pictures_are_on_one_side(tmp_path: Path, distance: int) -> None:
    apart = ((1 << distance) - 1) << 52
    hashes = [(number // 2 * 0x0101_0101_0101_0101) ^ (apart if number % 2 else 0) for number in range(120)]
    train, held, returned = parts(tmp_path, pairs(hashes, [f"Thing {number}." for number in range(120)]), 0.5)
    lowest = [{one.document.images[0].phash[-2:] for one in part} for part in (train, held)]  # equal for the two
    assert resemblances(held, train) == 0
    assert bool(lowest[0] & lowest[1]) == (distance > 4) and bool(returned) == (distance <= 4)


def test_a_chain_of_near_pictures_is_on_one_side(tmp_path: Path) -> None:
    chain = [(1 << 3 * number) - 1 for number in range(20)]  # each is 3 bits from the next
    train, held, _ = parts(tmp_path, pairs(chain, [f"Thing {number}." for number in range(20)]), 0.5)
    assert not train or not held


def test_equal_captions_and_equal_pictures_are_on_one_side(tmp_path: Path) -> None:
    far = [number * 0x0101_0101_0101_0101 for number in range(80)]
    captions = [f"thing {number // 2}" if number % 2 else f"Thing  {number // 2}!" for number in range(80)]
    train, held, returned = parts(tmp_path, pairs(far, captions), 0.5)
    assert returned and resemblances(held, train) == 0
    words = [{one.document.text.split()[-1].strip("!") for one in part} for part in (train, held)]
    assert not words[0] & words[1]
    assert resemblances([pair(1, "One.")], [pair(1, "Two.")]) == 1  # the same bytes


def test_pages_with_a_picture_in_common_are_on_one_side(tmp_path: Path) -> None:
    samples = [page(number, [f"Page {number}. ", picture(80, 60, number // 2), " More."]) for number in range(40)]
    far = [
        changed(sample, number, phash=f"{number // 2 * 0x0101_0101_0101_0101:016x}")
        for number, sample in enumerate(samples)
    ]
    train, held, returned = parts(tmp_path, far, 0.5)
    assert returned and held and resemblances(held, train) == 0
