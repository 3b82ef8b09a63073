import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from beam_testing import Shuffled, letters_in, rows_in, run_shuffle, run_units

from dedup.transforms import Group
from pipelines.engine import LocalEngine
from pipelines.facts import FactSet, partition
from pipelines.stage import Dropped, Heartbeat, Out, Read, RunShuffle, Shuffle, Stage, Tally, run_stages
from pipelines.store.work import Work
from schemas.keys import bucket, digest
from schemas.manifest import FunnelRow
from schemas.rejection import DeadLetter, Rejected

# --- stages ----------------------------------------------------------------------------------------------------------


def add(number: int, amount: int) -> int:
    return number + amount


def below(number: int, limit: int) -> int | Rejected:
    return number if number < limit else Rejected("too_large", f"{number}, below {limit}")


def divide(number: int, by: int) -> float:
    return number / by


STAGES = [Stage("add", add, 5), Stage("below", below, 10), Stage("divide", divide, 2)]


def test_a_record_passes_all_stages_in_order() -> None:
    tally = Tally()
    assert run_stages(3, STAGES, "page", tally) == 4.0
    assert [(row.stage, row.into, row.out) for row in tally.rows()] == [
        ("add", 1, 1),
        ("below", 1, 1),
        ("divide", 1, 1),
    ]


def test_a_refusal_ends_it_there_and_is_counted() -> None:
    tally = Tally()
    assert run_stages(5, STAGES, "page", tally) == Dropped("below", Rejected("too_large", "10, below 10"))
    run_stages(1, STAGES, "page", tally)
    assert tally.rows() == [
        FunnelRow(kind="page", stage="add", into=2, out=2, dropped={}),
        FunnelRow(kind="page", stage="below", into=2, out=1, dropped={"too_large": 1}),
        FunnelRow(kind="page", stage="divide", into=1, out=1, dropped={}),
    ]


def test_a_stage_that_raises_costs_one_record_and_says_where() -> None:
    tally = Tally()
    result = run_stages(3, [Stage("divide", divide, 0)], "page", tally)
    assert result.stage == "divide" and result.rejected.reason == "crashed"
    assert "ZeroDivisionError" in result.rejected.detail and "divide, line" in result.rejected.detail
    assert tally.rows() == [FunnelRow(kind="page", stage="divide", into=1, out=0, dropped={"crashed": 1})]


def test_tallies_add_up() -> None:
    one, other = Tally(), Tally()
    for number in range(8):
        run_stages(number, STAGES, "page", one if number % 2 else other)
    total = Tally()
    total.add(one.rows())
    total.add(other.rows())
    assert [(row.stage, row.into, row.out, dict(row.dropped)) for row in total.rows()] == [
        ("add", 8, 8, {}),
        ("below", 8, 5, {"too_large": 3}),
        ("divide", 5, 5, {}),
    ]


# --- units -----------------------------------------------------------------------------------------------------------


def leave_a_file(name: str, folder: str) -> None:
    with (Path(folder) / name).open("a") as file:
        file.write("done\n")


def test_every_unit_is_run(tmp_path: Path) -> None:
    run_units(leave_a_file, [{"name": f"unit{n}", "folder": str(tmp_path)} for n in range(20)])
    assert {path.name for path in tmp_path.iterdir()} == {f"unit{n}" for n in range(20)}


def test_a_repeated_bundle_runs_its_units_again(tmp_path: Path) -> None:
    repeat = LocalEngine(options=("--direct_runner_bundle_repeat=2",))
    run_units(leave_a_file, [{"name": "unit", "folder": str(tmp_path)}], repeat)
    assert (tmp_path / "unit").read_text().count("done") > 1


def fail(number: int) -> None:
    raise RuntimeError(f"unit {number} is broken")


def test_a_unit_that_raises_ends_the_job() -> None:
    with pytest.raises(RuntimeError, match="unit 1 is broken"):
        run_units(fail, [{"number": 1}])


def test_no_units_are_no_error() -> None:
    run_units(fail, [])


def test_a_heartbeat_is_written_at_most_every_second_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "progress" / "unit.json"
    heart = Heartbeat(str(path))
    heart.beat(lambda: {"pages": 1})
    assert not path.exists()
    heart.last -= 2
    heart.beat(lambda: {"pages": 2})
    heart.beat(lambda: {"pages": 3})
    assert json.loads(path.read_text()) == {"pages": 2}
    heart.beat(lambda: {"pages": 4}, last=True)
    assert json.loads(path.read_text()) == {"pages": 4}


# --- shuffles --------------------------------------------------------------------------------------------------------


class Thing(NamedTuple):
    key: str
    value: int


class Sum(NamedTuple):
    key: str
    total: int
    things: int
    others: int


THINGS = FactSet("things", Thing, lambda row: row.key)
OTHERS = FactSet("others", Thing, lambda row: row.key)
SUMS = FactSet("sums", Sum, lambda row: row.key)
PLACED = FactSet("placed", Thing, lambda row: row.key)


def biggest_first(row: Thing) -> tuple[int]:
    return (-row.value,)


def decide(key: str, groups: Mapping[str, Group]) -> Any:
    things, others = groups["things"], groups["others"]
    if not things.total:
        yield DeadLetter(kind="thing", stage="sum", reason="no_things", key=key, count=others.total)
        return
    yield Out(SUMS, Sum(key, sum(row.value for row in things.rows), things.total, others.total))
    yield Out(PLACED, things.rows[0], "odd" if things.rows[0].value % 2 else "even")


SHUFFLE = Shuffle("sum", (Read(THINGS, 2, biggest_first), Read(OTHERS, 1)), decide, (SUMS, PLACED))
KEYS = [digest(str(n)) for n in range(12)]
ROWS = {
    "things": [Thing(KEYS[n % 9], n) for n in range(40)],
    "others": [Thing(KEYS[n % 12], n) for n in range(30)],
}


def expected() -> Shuffled:
    sums = []
    for key in KEYS[:9]:
        values = sorted((row.value for row in ROWS["things"] if row.key == key), reverse=True)
        others = sum(1 for row in ROWS["others"] if row.key == key)
        sums.append(Sum(key, sum(values[:2]), len(values), others))
    letters = [
        DeadLetter(
            kind="thing", stage="sum", reason="no_things", key=key, count=sum(r.key == key for r in ROWS["others"])
        )
        for key in KEYS[9:]
    ]
    placed = [max(row for row in ROWS["things"] if row.key == key) for key in KEYS[:9]]
    return Shuffled({"sums": sorted(sums), "placed": sorted(placed)}, sorted(letters, key=lambda letter: letter.key))


@pytest.mark.parametrize(("partitions", "at_once"), [(1, False), (4, False), (4, True)])
def test_rows_of_a_key_meet_and_nothing_is_lost(tmp_path: Path, partitions: int, at_once: bool) -> None:
    found = run_shuffle(SHUFFLE, ROWS, str(tmp_path), partitions, at_once)
    assert found.rows == expected().rows
    assert sorted(found.letters, key=lambda letter: letter.key) == expected().letters
    work = Work(str(tmp_path), partitions)
    for number in range(partitions):
        assert all(partition(row.key, partitions) == number for row in rows_in(work, SUMS, str(number)))
    assert all(row.value % 2 == 1 for row in rows_in(work, PLACED, "odd"))
    assert all(row.value % 2 == 0 for row in rows_in(work, PLACED, "even"))


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_that_runs_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    run_shuffle(SHUFFLE, ROWS, str(tmp_path))
    before = files_below(tmp_path)
    work = Work(str(tmp_path), 1)
    files = {facts.name: work.fact_files(facts) for facts in (THINGS, OTHERS)}
    step = RunShuffle(SHUFFLE, files, [0], 1, str(tmp_path), "sum.000000")
    repeat = LocalEngine(options=("--direct_runner_bundle_repeat=2",))
    repeat.run("again", lambda pipeline: pipeline | step)
    assert files_below(tmp_path) == before


def test_no_rows_are_no_files(tmp_path: Path) -> None:
    found = run_shuffle(SHUFFLE, {}, str(tmp_path))
    assert found == Shuffled({"sums": [], "placed": []}, [])
    assert not letters_in(Work(str(tmp_path), 1))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_partitions_are_ranges_of_keys(count: int) -> None:
    keys = ["0" * 32, "f" * 32, *(digest(str(n)) for n in range(500))]
    numbers = [partition(key, count) for key in sorted(keys)]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0 and numbers[-1] == count - 1


def test_partition_and_bucket_do_not_depend_on_each_other() -> None:
    pairs = {(partition(key, 4), bucket(key, 4)) for key in (digest(str(n)) for n in range(400))}
    assert len(pairs) == 16
