"""Samples spread evenly over shards."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.samples import counts_of, samples_of, spread
from pipelines.shard_files import find_shards
from schemas.shard import ShardError
from tests.datasets import build, pair, write_shard


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Shards of 0 to 7 pairs."""
    folder = tmp_path_factory.mktemp("shards")
    numbers = iter(range(100))
    for count in (3, 0, 7, 1, 5):
        write_shard(folder / f"train-{count:06d}.tar", [pair(next(numbers), "x") for _ in range(count)])
    return counts_of(find_shards([str(folder)]))


def test_samples_are_counted_where_no_manifest_says(shards: dict[str, int]) -> None:
    assert list(shards.values()) == [0, 1, 3, 5, 7]


@given(wanted=st.integers(1, 20))
def test_spread(shards: dict[str, int], wanted: int) -> None:
    everything = [(shard, sample.document.key) for shard, sample in samples_of(list(shards))]
    places = [everything.index((shard, sample.document.key)) for shard, sample in spread(shards, wanted)]
    assert len(places) == min(wanted, 16) and places == sorted(set(places))
    steps = [after - before for before, after in pairwise(places)]
    assert not steps or max(steps) - min(steps) <= 1
    assert abs(places[0] - (15 - places[-1])) <= 1, "as much is left before the first as after the last"


def test_a_shard_without_a_chosen_sample_is_not_read(tmp_path: Path) -> None:
    build(tmp_path)
    counts = counts_of(find_shards([str(tmp_path)]))
    (chosen, _), *_ = spread(counts, 1)
    for shard in counts:
        if shard != chosen:
            Path(shard).write_bytes(b"no tar")
    assert [shard for shard, _ in spread(counts_of(find_shards([str(tmp_path)])), 1)] == [chosen]
    with pytest.raises(ShardError, match="m3w verify says more"):
        list(spread(counts, 12))


def test_a_manifest_that_promises_too_much(tmp_path: Path) -> None:
    build(tmp_path)
    counts = counts_of(find_shards([str(tmp_path)]))
    assert len(list(spread({shard: count + 2 for shard, count in counts.items()}, 18))) == 12


def test_nothing(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", [])
    assert list(spread(counts_of(find_shards([str(tmp_path / "a.tar")])), 5)) == []
