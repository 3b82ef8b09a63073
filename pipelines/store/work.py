"""The work folder of a build: what each job leaves for the next, and what says that it is whole."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.facts import FactSet, partition
from pipelines.store import paths
from pipelines.store.facts import write_rows

ANY = "any"
"""Folder of facts that are not split by key."""


@dataclass(frozen=True)
class Work:
    """Where a build keeps its packs, facts, dead letters and done-files."""

    folder: str
    partitions: int
    """Parts that facts are split into by key; a local run shuffles one at a time."""
    whole: bool = False
    """Facts are not split by key: a cluster reads all of them at once, and files by unit and key would be too many."""

    def path(self, *names: str) -> str:
        return paths.join(self.folder, *names)

    def done_path(self, job: str, part: str) -> str:
        return self.path("done", job, f"{part}.json")

    def is_done(self, job: str, part: str) -> bool:
        return paths.exists(self.done_path(job, part))

    def done_parts(self, job: str) -> set[str]:
        """The parts of a job that are done: one listing, however many there are."""
        return {path.rpartition("/")[2].removesuffix(".json") for path in paths.list_files(self.path("done", job))}

    def mark_done(self, job: str, part: str, facts: Mapping[str, Any]) -> None:
        """Commits a part of a job with what is to be known of it."""
        paths.publish(self.done_path(job, part), json.dumps(facts, indent=1).encode())

    def done(self, job: str, part: str) -> dict[str, Any]:
        """What `mark_done` was given."""
        facts: dict[str, Any] = json.loads(paths.read_bytes(self.done_path(job, part)))
        return facts

    def all_done(self, job: str, parts: Sequence[str]) -> list[dict[str, Any]]:
        """`done` of each part."""
        files = [self.done_path(job, part) for part in parts]
        return [json.loads(data) for data in paths.each(paths.read_bytes, files)]

    def progress(self, job: str, part: str) -> str:
        return self.path("progress", job, f"{part}.json")

    def place(self, key: str) -> str:
        """The folder of a row of facts."""
        return ANY if self.whole else str(partition(key, self.partitions))

    def places(self) -> list[str]:
        """Every such folder, also those of a build that began on another engine."""
        return [ANY, *map(str, range(self.partitions))]

    def save_facts(self, facts: FactSet, rows: Iterable[tuple[Any, ...]], part: str) -> None:
        """Writes the rows of a part of a job, a file for each folder that has some."""
        split: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            split.setdefault(self.place(facts.key(row)), []).append(tuple(row))
        for place, some in split.items():
            write_rows(self.path("facts", facts.name, place, f"{part}.parquet"), facts.row, some)

    def fact_files(self, facts: FactSet, partition: int | str | None = None) -> list[str]:
        """The files of a set of facts, of one partition or of all."""
        folder = self.path("facts", facts.name)
        return paths.list_files(folder if partition is None else paths.join(folder, str(partition)))
