"""The only seam between plain functions and Beam.

Three shapes are all the jobs need:

* `Stage`: a function of one record and its frozen config. `run_stages` passes a record through a list of them,
  counts, and turns refusals and crashes into dead letters. A stage's name is its counter, its recipe table and its
  name in the dead letter.
* `ForEachUnit`: a function of a unit of work (a range of a WARC, a lane of hosts, a shard) that writes files.
* `Shuffle`: rows of facts that share a key meet, and a pure function of the group decides.
"""

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam

from dedup.transforms import Group, SmallestRows
from pipelines.claims import claimed
from pipelines.facts import FactSet, partition
from pipelines.store import paths
from pipelines.store.facts import read_rows, write_rows
from pipelines.store.work import ANY
from schemas.manifest import FunnelRow
from schemas.rejection import DeadLetter, Rejected
from schemas.strict import to_plain

DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True)
class Stage:
    """One step of what happens to a record."""

    name: str
    function: Callable[[Any, Any], Any]
    """(record, config) -> the record that goes on, or Rejected. Pure."""
    config: Any


@dataclass
class Tally:
    """Counts of one job: for each (kind, stage), in the order they were met, what came in and what was dropped."""

    into: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def see(self, kind: str, stage: str, count: int = 1) -> None:
        self.into[kind, stage] += count

    def drop(self, kind: str, stage: str, reason: str, count: int = 1) -> None:
        self.dropped.setdefault((kind, stage), Counter())[reason] += count

    def add(self, rows: Iterable[FunnelRow]) -> None:
        """Adds the rows of another tally."""
        for row in rows:
            self.see(row.kind, row.stage, row.into)
            for reason, count in row.dropped.items():
                self.drop(row.kind, row.stage, reason, count)

    def rows(self) -> list[FunnelRow]:
        result = []
        for (kind, stage), into in self.into.items():
            dropped = dict(sorted(self.dropped.get((kind, stage), Counter()).items()))
            out = into - sum(dropped.values())
            result.append(FunnelRow(kind=kind, stage=stage, into=into, out=out, dropped=dropped))
        return result


class Dropped(NamedTuple):
    """A record that a stage refused."""

    stage: str
    rejected: Rejected


def run_stages(record: Any, stages: Sequence[Stage], kind: str, tally: Tally) -> Any:
    """The record after all stages, or `Dropped`. A stage that raises drops the record with reason "crashed"."""
    for stage in stages:
        tally.see(kind, stage.name)
        try:
            record = stage.function(record, stage.config)
        except Exception as error:  # a defect of ours must cost one record, be counted, and show where it is
            where = traceback.extract_tb(error.__traceback__)[-1]
            record = Rejected("crashed", f"{error!r} at {where.name}, line {where.lineno}")
        if isinstance(record, Rejected):
            tally.drop(kind, stage.name, record.reason)
            return Dropped(stage.name, record)
    return record


def dead_letter_line(letter: DeadLetter) -> str:
    return json.dumps(to_plain(letter), ensure_ascii=False)


# --- units -----------------------------------------------------------------------------------------------------------


class ForEachUnit(beam.PTransform):
    """Runs `function(**unit)` for each unit, in parallel, each at least once.

    A unit's effects are files, committed by its done-file; it may run twice or on two workers at once. Nothing consumes
    an output: what was done is read from the done-files.

    Args:
        claims: an empty folder on this machine, if all workers are here: a worker then takes its next unit when it has
            done the last. Otherwise units are dealt as the engine likes; Beam's local one deals all of them beforehand.
        workers: how many take from the claims.
    """

    def __init__(
        self, function: Callable[..., None], units: Sequence[Mapping[str, Any]], claims: str = "", workers: int = 1
    ) -> None:
        super().__init__()
        every = [dict(unit) for unit in units]
        self.function, self.claims = function, claims
        self.shares = [every] * workers if claims else [[unit] for unit in every]

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | "units" >> beam.Create(self.shares).with_output_types(list[dict[str, Any]])  # spreads them itself
            | "run" >> beam.ParDo(_RunUnits(self.function, self.claims))
        )


class _RunUnits(beam.DoFn):
    def __init__(self, function: Callable[..., None], claims: str) -> None:
        self.function, self.claims = function, claims

    def process(self, element: list[dict[str, Any]]) -> None:
        for number, unit in enumerate(element):
            if not self.claims:
                self.function(**unit)
                continue
            with claimed(self.claims, number) as ours:
                if ours:
                    self.function(**unit)


class Heartbeat:
    """Tells the driver how far a unit is, by a small file that is written again every second or so."""

    def __init__(self, path: str) -> None:
        self.path, self.last = path, time.monotonic()

    def beat(self, counts: Callable[[], Mapping[str, int]], last: bool = False) -> None:
        """Writes the counts if a second has passed, or if it is the last time."""
        if paths.is_remote(self.path) or (time.monotonic() - self.last < 1 and not last):
            return
        self.last = time.monotonic()
        paths.publish(self.path, json.dumps(dict(counts())).encode())


# --- shuffles --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """Facts that take part in a shuffle."""

    facts: FactSet
    limit: int
    """Rows of one key that are kept, the smallest; the others are counted."""
    rank: Callable[[Any], tuple[Any, ...]] = lambda row: ()
    """What makes a row smaller than others; ties go by the row itself."""


class Out(NamedTuple):
    """A row for a set of facts."""

    facts: FactSet
    row: tuple[Any, ...]
    partition: str = ""
    """Folder of the row where the key of the facts does not decide."""


Decide = Callable[[str, Mapping[str, Group]], Iterable[Out | DeadLetter]]
"""(key, groups by the name of the facts) -> rows and dead letters. Pure; rows come as their NamedTuple."""


class Fan(NamedTuple):
    """Things of one kind become things of another before a shuffle: a row of the funnel of its own."""

    kind: str
    becomes: str
    facts: FactSet
    """Its rows are the things that came out, ..."""
    after: bool = False
    """... except those that the shuffle itself drops: `facts` is written after that."""
    expected: tuple[FactSet, str] | None = None
    """Facts and column whose sum (or number, without a column) must be as many: what was lost on the way shows here."""


class Leaves(NamedTuple):
    """How many things of a kind must be left after a shuffle: rows of facts, or the sum of one of their columns."""

    kind: str
    facts: FactSet
    column: str = ""


@dataclass(frozen=True)
class Shuffle:
    """Rows of one key meet, and `decide` says what becomes of them; the rest is what the accounting checks."""

    name: str
    reads: tuple[Read, ...]
    decide: Decide
    writes: tuple[FactSet, ...]
    fans: tuple[Fan, ...] = ()
    drops: tuple[tuple[str, str], ...] = ()
    """(kind, stage) of the dead letters it may write, in the order of the funnel."""
    leaves: tuple[Leaves, ...] = ()


class RunShuffle(beam.PTransform):
    """One pass of a shuffle over some partitions of its inputs.

    Writes `<folder>/facts/<name>/<partition>/<part>.parquet` and `<folder>/dead_letters/<part>-<partition>.jsonl`, each
    file whole, its rows sorted: a bundle that runs twice writes the same bytes twice. Dead letters are in the order of
    their keys, within a file and from file to file.

    Args:
        passes: the partitions of this pass.
        part: name of the pass.
        slices: if not 0, facts are not split by their own key but into so many files by the key of the group they come
            from, `<folder>/facts/<name>/any/<part>.<slice>.parquet`: one hot key makes no large file.
    """

    def __init__(
        self,
        shuffle: Shuffle,
        files: Mapping[str, Sequence[str]],
        passes: Sequence[int],
        partitions: int,
        folder: str,
        part: str,
        slices: int = 0,
    ) -> None:
        super().__init__()
        self.shuffle, self.files, self.passes = shuffle, files, frozenset(passes)
        self.partitions, self.folder, self.part, self.slices = partitions, folder, part, slices

    def expand(self, begin: Any) -> Any:
        reads = {read.facts.name: read for read in self.shuffle.reads}
        files = [(name, path) for name in reads for path in self.files[name]]
        return (
            begin
            | "files" >> beam.Create(files).with_output_types(tuple[str, str])  # spreads them itself
            | "read" >> beam.FlatMap(_keyed_rows, reads, self.passes, self.partitions)
            | "meet"
            >> beam.CombinePerKey(SmallestRows({name: read.limit for name, read in reads.items()})).with_output_types(
                tuple[str, Any]
            )
            | "decide" >> beam.FlatMap(_decided, self.shuffle, self.partitions, self.slices)
            | "by file" >> beam.GroupByKey()
            | "write" >> beam.Map(_write, {facts.name: facts for facts in self.shuffle.writes}, self.folder, self.part)
        )


def _keyed_rows(
    file: tuple[str, str], reads: Mapping[str, Read], passes: frozenset[int], partitions: int
) -> Iterator[tuple[str, Any]]:
    """(key, (tag, rank, row)) of the rows of a file of facts that belong to these passes."""
    name, path = file
    read = reads[name]
    make = read.facts.row._make
    for plain in read_rows(path, read.facts.row):
        row = make(plain)
        key = read.facts.key(row)
        if partition(key, partitions) in passes:
            yield key, (name, read.rank(row), plain)


def _decided(element: tuple[str, Any], shuffle: Shuffle, partitions: int, slices: int) -> Iterator[tuple[str, Any]]:
    """(file, row) of what a group becomes; a dead letter goes by the key of its group."""
    key, found = element
    range_of_key = f"{partition(key, slices or partitions):06d}"
    groups = {}
    for read in shuffle.reads:
        count, rows = found.get(read.facts.name, (0, []))
        groups[read.facts.name] = Group(count, [read.facts.row._make(row) for row in rows])
    for result in shuffle.decide(key, groups):
        if isinstance(result, DeadLetter):
            yield f"{DEAD_LETTERS}/{range_of_key}", (key, dead_letter_line(result))
        elif slices and not result.partition:
            yield f"{result.facts.name}/{ANY}/{range_of_key}", tuple(result.row)
        else:
            number = result.partition or partition(result.facts.key(result.row), partitions)
            yield f"{result.facts.name}/{number}", tuple(result.row)


def _write(element: tuple[str, Iterable[Any]], facts: Mapping[str, FactSet], folder: str, part: str) -> None:
    name, number, *a_slice = element[0].split("/")
    if name == DEAD_LETTERS:
        text = "".join(line + "\n" for _, line in sorted(element[1]))
        paths.publish(paths.join(folder, DEAD_LETTERS, f"{part}-{number}.jsonl"), text.encode())
    else:
        file = ".".join([part, *a_slice, "parquet"])
        write_rows(paths.join(folder, "facts", name, number, file), facts[name].row, element[1])
