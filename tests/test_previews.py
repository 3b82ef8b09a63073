"""Reduced pictures, some of many, times on a clock."""

import math
from fractions import Fraction
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from pipelines.previews import clock, counted, evenly, kinds_in_words, reduced, span
from tests.datasets import page, pair, picture


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0:00"),
        (0.04, "0:00"),
        (9.96, "0:10"),
        (12.5, "0:12.5"),
        (65, "1:05"),
        (59.97, "1:00"),
        (3723, "1:02:03"),
        (360000, "100:00:00"),
        (-1.5, "-1.5 s"),
        (math.inf, "inf s"),
        (math.nan, "nan s"),
    ],
)
def test_clock(seconds: float, said: str) -> None:
    assert clock(seconds) == said


@given(st.integers(0, 10_000_000))
def test_clock_can_be_read_back_to_a_tenth(tenths: int) -> None:
    parts = [Fraction(part) for part in clock(tenths / 10).split(":")]
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == Fraction(tenths, 10)


def test_span() -> None:
    assert span(12.0, 20.25) == "0:12-0:20.2 (8.2 s)"


@given(st.integers(0, 200), st.integers(1, 30))
def test_evenly(length: int, count: int) -> None:
    chosen = evenly(range(length), count)
    assert len(chosen) == min(length, count) and chosen == sorted(set(chosen))
    if length > count > 1:
        assert (chosen[0], chosen[-1]) == (0, length - 1)
        steps = [after - before for before, after in pairwise(chosen)]
        assert max(steps) - min(steps) <= 1


def test_reduced() -> None:
    small = reduced(picture(800, 400, 1), 100, 100)
    assert small is not None and (small.size, small.mode) == ((100, 50), "RGB")
    kept = reduced(picture(30, 20, 1, "PNG"), 100, 100)
    assert kept is not None and kept.size == (30, 20), "nothing is enlarged"
    stream = BytesIO()
    Picture.new("RGB", (9, 9)).save(stream, "GIF")
    for data in (b"", b"\xff\xd8\xff nothing", picture(80, 40, 1)[:300], stream.getvalue()):
        assert reduced(data, 100, 100) is None


def test_words_for_numbers() -> None:
    one, other = pair(1, "a").document, page(1, ["b"]).document
    assert (counted(1, "clip"), counted(1200, "clip")) == ("1 clip", "1,200 clips")
    assert kinds_in_words([one], 403) == "403 pairs"
    assert kinds_in_words([one, other], 2) == "2 documents"
    assert kinds_in_words([], 0) == "0 documents"
