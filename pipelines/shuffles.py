"""Shuffles on an engine: in passes that fit the memory of one machine, or all at once on a cluster.

One machine holds facts split by key into partitions, and a pass takes as many of them as have `rows_per_pass` rows. A
cluster reads all facts at once, so they are not split by key: each file it writes has the rows of some groups, by the
key of the group, and stays small however often one address or host occurs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipelines.engine import Engine
from pipelines.facts import LEDGER, FactSet
from pipelines.ledger_parts import split_ledger
from pipelines.stage import DEAD_LETTERS, RunShuffle, Shuffle
from pipelines.store import paths
from pipelines.store.facts import count_rows
from pipelines.store.media import MediaStore
from pipelines.store.work import ANY, Work


@dataclass(frozen=True, kw_only=True)
class Shuffles:
    """Runs the shuffles of a build, each going on from the passes that are done."""

    engine: Engine
    work: Work
    ledgers: tuple[MediaStore, ...]
    rows_per_pass: int
    """Rows of facts that a pass takes, or that go into one file of a cluster."""

    def run(self, shuffle: Shuffle) -> None:
        """Runs the passes that are not done yet."""
        steps = self.steps(shuffle)
        parts = {f"{shuffle.name}.{number:06d}": step for number, step in enumerate(steps)}
        done = self.done(shuffle)
        if not done.items() <= parts.items():  # another engine, or another size of passes, began it
            self.forget(shuffle)
            done = {}
        left = {part: step for part, step in parts.items() if part not in done}
        if left:
            self.remove(shuffle, lambda name: name[: len(shuffle.name) + 7] not in done)
            ledger = self.ledger(shuffle, len(parts) > 1)
            for part, step in left.items():
                self.engine.run(part, partial(self.add_pass, shuffle, step, part, ledger))
                self.work.mark_done("shuffles", part, step)

    def forget(self, shuffle: Shuffle) -> None:
        """Makes the shuffle one that never ran."""
        for part in self.done(shuffle):
            paths.delete_file(self.work.done_path("shuffles", part))  # first: what is half deleted is not done
        self.remove(shuffle, lambda name: True)

    def done(self, shuffle: Shuffle) -> dict[str, dict[str, Any]]:
        """The passes that are done, by the names of their parts."""
        parts = sorted(part for part in self.work.done_parts("shuffles") if part.startswith(f"{shuffle.name}."))
        return dict(zip(parts, self.work.all_done("shuffles", parts), strict=True))

    def remove(self, shuffle: Shuffle, unwanted: Callable[[str], bool]) -> None:
        """Deletes files of the shuffle, by name."""
        folders = [self.work.path("facts", facts.name) for facts in shuffle.writes]
        for folder in (*folders, self.work.path(DEAD_LETTERS)):
            for path in paths.list_files(folder):
                name = path.rsplit("/", 1)[1]
                if name.startswith(f"{shuffle.name}.") and unwanted(name):
                    paths.delete_file(path)

    def steps(self, shuffle: Shuffle) -> list[dict[str, Any]]:
        """What each pass takes: its partitions, and the files that a cluster writes of each set of facts.

        The ledger does not count: it may have grown when a build goes on, and the passes must be those of before.
        """
        facts = [read.facts for read in shuffle.reads if read.facts != LEDGER]
        every = list(range(self.work.partitions))
        anywhere = sum(self.rows(some, ANY) for some in facts)
        if self.engine.at_once:
            total = anywhere + sum(self.rows(some, str(number)) for some in facts for number in every)
            return [{"partitions": every, "files": max(1, -(-total // self.rows_per_pass))}]
        found: list[list[int]] = []
        total = 0
        for number in every:
            rows = sum(self.rows(some, str(number)) for some in facts) + anywhere // len(every)
            if found and total + rows <= self.rows_per_pass:
                found[-1].append(number)
                total += rows
            else:
                found.append([number])
                total = rows
        return [{"partitions": passes, "files": 0} for passes in found]

    def rows(self, facts: FactSet, place: str) -> int:
        return sum(paths.each(count_rows, self.work.fact_files(facts, place)))

    def ledger(self, shuffle: Shuffle, split: bool) -> Callable[[list[int]], list[str]]:
        """The files of the ledger that partitions need."""
        if LEDGER not in {read.facts for read in shuffle.reads}:
            return lambda partitions: []
        files = [path for store in self.ledgers for path in store.ledger_files()]
        if not split:
            return lambda partitions: files
        split_ledger(files, self.work)
        return lambda partitions: [path for p in partitions for path in self.work.fact_files(LEDGER, p)]

    def add_pass(
        self,
        shuffle: Shuffle,
        step: dict[str, Any],
        part: str,
        ledger: Callable[[list[int]], list[str]],
        pipeline: Any,
    ) -> Any:
        partitions: list[int] = step["partitions"]
        files = {
            read.facts.name: ledger(partitions)
            if read.facts == LEDGER
            else [path for place in (ANY, *map(str, partitions)) for path in self.work.fact_files(read.facts, place)]
            for read in shuffle.reads
        }
        return pipeline | RunShuffle(
            shuffle, files, partitions, self.work.partitions, self.work.folder, part, step["files"]
        )
