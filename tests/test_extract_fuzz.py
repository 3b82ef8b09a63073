"""Some thousands of broken pages: what `make fuzz` does with very many, the same ones each time."""

import sys
from itertools import islice
from types import FrameType

import fuzz_extract
import pytest


@pytest.mark.parametrize("seed", range(4))
def test_broken_pages_keep_what_is_promised(seed: int) -> None:
    for data in islice(fuzz_extract.mutations(fuzz_extract.seeds(), seed), 500):
        fuzz_extract.check(data)


def test_work_is_linear_in_the_page() -> None:
    """Counted in calls, which no other process on the machine can slow."""
    for data in islice(fuzz_extract.mutations(fuzz_extract.seeds(), 4), 150):
        assert calls(data) <= 5_000 + 6 * len(data)


def calls(data: bytes) -> int:
    """Calls of functions, those in C too, that a check of a page makes."""
    count = 0

    def event(frame: FrameType, name: str, argument: object) -> None:
        nonlocal count
        count += name in ("call", "c_call")

    sys.setprofile(event)
    try:
        fuzz_extract.check(data)
    finally:
        sys.setprofile(None)
    return count
