"""The work folder of a build: what each job leaves for the next, and what says that it is whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.facts import FactSet
from pipelines.store import paths


@dataclass(frozen=True)
class Work:
    """Where a build keeps its packs, facts, dead letters and done-files."""

    folder: str
    partitions: int
    """Parts that facts are split into by key; a local run shuffles one at a time."""

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

    def fact_files(self, facts: FactSet, partition: int | str | None = None) -> list[str]:
        """The files of a set of facts, of one partition or of all."""
        folder = self.path("facts", facts.name)
        return paths.list_files(folder if partition is None else paths.join(folder, str(partition)))
