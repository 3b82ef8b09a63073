"""Runs shuffles and units on rows that a test gives, through Beam in this process or without Beam."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dedup.transforms import Group, SmallestRows
from pipelines.accounting import dead_letter_files
from pipelines.engine import Engine, LocalEngine
from pipelines.facts import LEDGER, FactSet, partition
from pipelines.stage import RunShuffle, Shuffle
from pipelines.store import paths
from pipelines.store.facts import read_rows, write_rows
from pipelines.store.work import Work
from schemas.rejection import DeadLetter
from schemas.strict import from_plain

Rows = Mapping[str, Sequence[Any]]
"""Rows by the name of their facts."""


@dataclass(frozen=True)
class Shuffled:
    """What a shuffle made of its rows."""

    rows: dict[str, list[Any]]
    """Sorted, as their NamedTuple, by the name of the facts (or "facts/folder" where a row names its folder)."""
    letters: list[DeadLetter]
    """In the order of their text."""

    def reasons(self) -> dict[tuple[str, str, str], int]:
        """How many things were dropped, by (kind, stage, reason)."""
        found: dict[tuple[str, str, str], int] = {}
        for letter in self.letters:
            key = (letter.kind, letter.stage, letter.reason)
            found[key] = found.get(key, 0) + letter.count
        return found


def run_shuffle(shuffle: Shuffle, rows: Rows, folder: str, partitions: int = 1, at_once: bool = False) -> Shuffled:
    """Writes the rows as facts, each set in two files a partition, runs the shuffle through Beam and reads it back."""
    work = Work(folder, partitions)
    for read in shuffle.reads:
        put(work, read.facts, rows.get(read.facts.name, ()))
    every = list(range(partitions))
    for number, passes in enumerate([every] if at_once else [[p] for p in every]):
        part = f"{shuffle.name}.{number:06d}"
        files = {read.facts.name: [f for p in passes for f in _files(work, read.facts, p)] for read in shuffle.reads}
        step = RunShuffle(shuffle, files, passes, partitions, folder, part, partitions if at_once else 0)
        LocalEngine().run(part, lambda pipeline, step=step: pipeline | step)
    return Shuffled({facts.name: rows_in(work, facts) for facts in shuffle.writes}, letters_in(work, shuffle.name))


def put(work: Work, facts: FactSet, rows: Iterable[Any]) -> None:
    """Writes facts as two parts of a job would."""
    split: dict[tuple[int, int], list[Any]] = {}
    for number, row in enumerate(rows):
        split.setdefault((partition(facts.key(row), work.partitions), number % 2), []).append(tuple(row))
    for (place, part), some in split.items():
        write_rows(work.path("facts", facts.name, str(place), f"part{part}.parquet"), facts.row, some)


def _files(work: Work, facts: FactSet, number: int) -> list[str]:
    return work.fact_files(facts) if facts == LEDGER else work.fact_files(facts, number)


def rows_in(work: Work, facts: FactSet, folder: str | None = None) -> list[Any]:
    return sorted(facts.row._make(row) for path in work.fact_files(facts, folder) for row in read_rows(path, facts.row))


def letters_in(work: Work, job: str = "") -> list[DeadLetter]:
    import json

    lines = [line for path in dead_letter_files(work, job) for line in paths.read_bytes(path).decode().splitlines()]
    return [from_plain(DeadLetter, json.loads(line), "dead letter") for line in sorted(lines)]


def apply_shuffle(shuffle: Shuffle, rows: Rows, order: random.Random) -> Shuffled:
    """The same without Beam: rows in any order, in bundles of any size, combined in any order, then decided."""
    limits = {read.facts.name: read.limit for read in shuffle.reads}
    keyed: dict[str, list[Any]] = {}
    for read in shuffle.reads:
        for row in rows.get(read.facts.name, ()):
            keyed.setdefault(read.facts.key(row), []).append((read.facts.name, read.rank(row), tuple(row)))
    made: dict[str, list[Any]] = {facts.name: [] for facts in shuffle.writes}
    letters: list[DeadLetter] = []
    for key, elements in keyed.items():
        found = combined(SmallestRows(limits), elements, order)
        groups = {}
        for read in shuffle.reads:
            count, some = found.get(read.facts.name, (0, []))
            groups[read.facts.name] = Group(count, [read.facts.row._make(row) for row in some])
        for result in shuffle.decide(key, groups):
            if isinstance(result, DeadLetter):
                letters.append(result)
            else:
                made[result.facts.name].append(result.row)
    return Shuffled({name: sorted(some) for name, some in made.items()}, sorted(letters, key=repr))


def combined(combine: SmallestRows, elements: Sequence[Any], order: random.Random) -> Any:
    """What a runner may do with a CombineFn: shuffle, bundle, combine, merge partly, extract."""
    elements = order.sample(elements, len(elements))
    accumulators = [combine.create_accumulator()]
    for element in elements:
        if order.random() < 0.3:
            accumulators.append(combine.create_accumulator())
        accumulators[-1] = combine.add_input(accumulators[-1], element)
    while len(accumulators) > 1:
        order.shuffle(accumulators)
        some = order.randint(1, len(accumulators))
        accumulators = [combine.merge_accumulators(accumulators[:some]), *accumulators[some:]]
        if some == 1:
            accumulators = [combine.merge_accumulators(accumulators)]
    return combine.extract_output(accumulators[0])


def run_units(function: Callable[..., None], units: Sequence[Mapping[str, Any]], engine: Engine | None = None) -> None:
    """Runs `function(**unit)` for each unit."""
    (engine or LocalEngine()).for_each("units", function, units)
