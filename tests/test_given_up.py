"""What is noted by a worker, what becomes of its unit when it dies, and when a build gives up."""

import os
from pathlib import Path

import pytest

from pipelines.claims import NOTE_BYTES, Death, at, claimed, stop, unfinished
from pipelines.given_up import AT_MOST, Mending, described, told
from schemas.manifest import FunnelRow

# --- claims ----------------------------------------------------------------------------------------------------------


def test_a_unit_is_claimed_once_and_what_is_noted_stays(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with claimed(folder, 0) as ours:
        assert ours
        with claimed(folder, 0) as again:
            assert not again
        at("key", "some name")
        assert unfinished(folder, 2) == {0: Death("key", "some name", os.getpid()), 1: None}
        at("", "other")
        assert unfinished(folder, 1) == {0: Death("", "other", os.getpid())}
    assert unfinished(folder, 2) == {1: None}
    at("key", "nobody watches any more")


def test_nothing_is_taken_any_more_once_it_is_to_stop(tmp_path: Path) -> None:
    with claimed(str(tmp_path), 0) as one:
        stop(str(tmp_path))
        with claimed(str(tmp_path), 1) as other:
            assert (one, other) == (True, False)
    assert unfinished(str(tmp_path), 2) == {1: None}, "what was begun is ended"
    stop(str(tmp_path / "gone"))


def test_a_unit_that_raises_is_not_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), claimed(str(tmp_path), 0):
        raise ValueError("x")
    assert unfinished(str(tmp_path), 1) == {0: Death("", "", os.getpid())}


@pytest.mark.parametrize("name", ["é" * NOTE_BYTES, "x\0y", "\ud800", "a\tb", "x" * (NOTE_BYTES - 14)])
def test_any_name_can_be_noted(name: str, tmp_path: Path) -> None:
    with claimed(str(tmp_path), 0):
        at("key", name)
        at("k", name)
        (death,) = unfinished(str(tmp_path), 1).values()
    assert death and death.key == "k" and death.pid == os.getpid()
    assert death.name[:1] in (name[:1], "\\")


def test_a_note_that_was_never_written_is_no_death_of_anybody(tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    assert unfinished(str(tmp_path), 1) == {0: Death("", "", 0)}


# --- mending ---------------------------------------------------------------------------------------------------------

UNIT = {"unit": "held-000001"}


def deaths(*keys: str) -> list[Death]:
    return [Death(key, f"at {key or 'nothing'}", 7, "SIGSEGV") for key in keys]


def test_a_unit_is_run_again_until_one_thing_has_killed_often_enough() -> None:
    said: list[str] = []
    mend = Mending("fetch", 3, said.append)
    assert mend(UNIT, deaths("a")) == mend(UNIT, deaths("a", "b")) == mend(UNIT, deaths("a", "b", "a")) == UNIT
    assert said[-1] == (
        "fetch, held-000001, at a: a worker process ended here (SIGSEGV); what is not committed is done again, alone"
    )
    less = mend(UNIT, deaths("a", "b", "a", "a"))
    assert less == {**UNIT, "given_up": {"a": "3 worker processes ended here: SIGSEGV"}}
    assert "given up, it ended 3 worker processes (SIGSEGV); all else goes on" in said[-1]
    assert mend(less, deaths("a", "b", "a", "a", "b", "b"))["given_up"].keys() == {"a", "b"}


@pytest.mark.parametrize("times", [1, 2, 5])
def test_how_often_can_be_chosen(times: int) -> None:
    mend = Mending("fetch", times, lambda _: None)
    for number in range(1, times):
        assert mend(UNIT, deaths(*["a"] * number)) == UNIT
    assert "given_up" in mend(UNIT, deaths(*["a"] * times))


def test_what_has_no_name_ends_the_build() -> None:
    with pytest.raises(RuntimeError, match="shards, train-000003, at nothing: 3 worker processes ended here"):
        Mending("shards", 3, lambda _: None)({"name": "train-000003"}, deaths("", "", ""))


def test_what_kills_though_it_is_given_up_ends_the_build() -> None:
    unit = {**UNIT, "given_up": {"a": "3 worker processes ended here: SIGSEGV"}}
    with pytest.raises(RuntimeError, match="4 worker processes ended here"):
        Mending("fetch", 3, lambda _: None)(unit, deaths("a", "a", "a", "a"))


def test_deaths_at_ever_other_places_end_the_build() -> None:
    mend, dead = Mending("fetch", 2, lambda _: None), [str(number) for number in range(100)]
    with pytest.raises(RuntimeError, match="worker processes ended here"):
        for number in range(1, 100):
            mend(UNIT, deaths(*dead[:number]))
    assert number == 2 * AT_MOST


@pytest.mark.parametrize(("units", "most"), [(1, AT_MOST), (100 * AT_MOST, AT_MOST), (5000, 50)])
def test_too_many_that_are_given_up_end_the_build(units: int, most: int) -> None:
    mend = Mending("fetch", 1, lambda _: None, units)
    for number in range(most):
        mend({"unit": str(number)}, deaths("a"))
    with pytest.raises(RuntimeError, match="too many such places before"):
        mend({"unit": "last"}, deaths("a"))


def test_units_are_described() -> None:
    assert described("train-000001") == "train-000001"
    unit = {"kind": "warc", "name": "a.warc.gz", "start": 5, "end": 9, "path": "/x/a.warc.gz"}
    assert described(unit) == "a.warc.gz bytes 5 to 9"
    assert described({**unit, "kind": "html"}) == "a.warc.gz from 5 to 9"


# --- what a person is told -------------------------------------------------------------------------------------------


def test_nothing_is_told_where_nothing_was_given_up() -> None:
    assert told([FunnelRow(kind="page", stage="one", into=2, out=1, dropped={"crashed": 1})], "out") == ""


def test_each_thing_is_told_once() -> None:
    """A video of the fetch is an address and the places where it stands."""
    lost = {"killed_worker": 2}
    funnel = [
        FunnelRow(kind="record", stage="read", into=9, out=7, dropped=lost),
        FunnelRow(kind="image_url", stage="fetch", into=9, out=8, dropped={"killed_worker": 1, "timeout": 0}),
        FunnelRow(kind="image_use", stage="fetch", into=9, out=6, dropped={"killed_worker": 3}),
    ]
    words = told(funnel, "out")
    assert "3 in all" in words and words.count("--rejected read") == words.count("--rejected fetch") == 1
