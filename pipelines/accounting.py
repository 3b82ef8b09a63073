"""The funnel: every thing that came in is counted out again or named as dropped, or the build fails.

Numbers are read back from the files that the jobs committed (rows of facts, lines of dead letters), never from counters
of an engine: what an engine loses shows as a sum that does not add up.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pipelines.facts import DOCUMENTS, MEDIA
from pipelines.flow import Flow
from pipelines.stage import DEAD_LETTERS, Shuffle, Stage, Tally
from pipelines.store import paths
from pipelines.store.facts import count_rows, sum_column
from pipelines.store.work import Work
from schemas.manifest import FunnelRow, Shard
from schemas.strict import from_plain


class AccountingError(RuntimeError):
    """Things were lost or doubled on the way: the result must not be published."""


class Funnel:
    """Rows of the funnel in order, and how many things of each kind are left."""

    def __init__(self) -> None:
        self.rows: list[FunnelRow] = []
        self.left: dict[str, int] = {}

    def fan(self, kind: str, becomes: str, out: int) -> None:
        self.rows.append(
            FunnelRow(kind=kind, stage=f"{becomes}s", into=self.left[kind], out=out, dropped={}, becomes=becomes)
        )
        self.left[becomes] = self.left.get(becomes, 0) + out

    def drop(self, kind: str, stage: str, dropped: Mapping[str, int]) -> None:
        into = self.left[kind]
        self.left[kind] = out = into - sum(dropped.values())
        self.rows.append(FunnelRow(kind=kind, stage=stage, into=into, out=out, dropped=dict(sorted(dropped.items()))))

    def check(self, kind: str, found: int, where: str) -> None:
        if self.left[kind] != found:
            raise AccountingError(
                f"{where}: {self.left[kind]} things of kind {kind} should be left, {found} are. Nothing is published; "
                "run the same command with --fresh, and report it if it happens again"
            )


def account_scan(funnel: Funnel, work: Work, done: Iterable[Mapping[str, Any]], flow: Flow) -> None:
    """Adds the rows of the scan from the done-files of its units, and checks them against its facts."""
    tally = Tally()
    for unit in done:
        tally.add(from_plain(FunnelRow, row, "done-file") for row in unit["funnel"])
    rows = {(row.kind, row.stage): row for row in tally.rows()}

    def dropped(kind: str, stage: str) -> Mapping[str, int]:
        return rows[kind, stage].dropped if (kind, stage) in rows else {}

    def into(kind: str, stage: str) -> int:
        return rows[kind, stage].into if (kind, stage) in rows else 0

    def through(kind: str, stages: Sequence[Stage]) -> None:
        for number, stage in enumerate(stages):
            if (found := into(kind, stage.name)) or not number:
                funnel.check(kind, found, f"scan, before {stage.name}")
            funnel.drop(kind, stage.name, dropped(kind, stage.name))

    funnel.left["record"] = into("record", "read")
    funnel.drop("record", "read", dropped("record", "read"))
    made = {kind: into("record", f"{kind}s") for kind in ("media", "page", flow.kind)}
    for kind, count in made.items():
        if count or kind == "media" or (kind == flow.kind and not flow.page_stages):
            funnel.fan("record", kind, count)
    funnel.check("record", sum(made.values()), "scan")
    funnel.check("media", into("media", "opt_out"), "scan, before opt_out")
    funnel.drop("media", "opt_out", dropped("media", "opt_out"))
    funnel.check("media", rows_of(work, MEDIA), "scan")
    if flow.page_stages and made["page"]:
        through("page", flow.page_stages)
        funnel.fan("page", flow.kind, into("page", f"{flow.kind}s"))
    funnel.left.setdefault(flow.kind, 0)
    through(flow.kind, flow.stages)
    funnel.check(flow.kind, rows_of(work, DOCUMENTS[flow.kind]), "scan")


def account_shuffle(funnel: Funnel, work: Work, shuffle: Shuffle) -> None:
    """Adds the rows of a finished shuffle from its dead letters, and checks them against the facts it wrote."""
    dropped = dropped_by(work, shuffle.name)
    if unknown := dropped.keys() - set(shuffle.drops):
        raise AccountingError(f"{shuffle.name}: dead letters of {sorted(unknown)}, which it does not declare")
    for fan in shuffle.fans:
        out = rows_of(work, fan.facts)
        if fan.after:
            out += sum(sum(reasons.values()) for (kind, _), reasons in dropped.items() if kind == fan.becomes)
        funnel.fan(fan.kind, fan.becomes, out)
        if fan.expected:
            funnel.check(fan.becomes, rows_of(work, *fan.expected), shuffle.name)
    for kind, stage in shuffle.drops:
        funnel.drop(kind, stage, dropped.get((kind, stage), {}))
    for leaves in shuffle.leaves:
        funnel.check(leaves.kind, rows_of(work, leaves.facts, leaves.column), shuffle.name)


def account_shards(funnel: Funnel, shards: Sequence[Shard], sample_kind: str = "") -> None:
    """Checks what was written against what was to be written."""
    funnel.drop("sample", "write", {})
    funnel.check("sample", sum(shard.samples for shard in shards), "shards")
    if sample_kind == "clip":
        funnel.check("clip", sum(shard.videos for shard in shards), "shards")
    else:
        funnel.check("image_use", sum(shard.images for shard in shards), "shards")


def rows_of(work: Work, facts: Any, column: str = "") -> int:
    """Rows of a set of facts, or the sum of a column."""
    counted = partial(sum_column, column=column) if column else count_rows
    return sum(paths.each(counted, work.fact_files(facts)))


def dropped_by(work: Work, job: str) -> dict[tuple[str, str], Counter[str]]:
    """Numbers of dropped things by (kind, stage) and reason, from the dead letters of a job."""
    result: dict[tuple[str, str], Counter[str]] = {}
    for data in paths.each(paths.read_bytes, dead_letter_files(work, job)):
        for line in data.splitlines():
            letter = json.loads(line)
            result.setdefault((letter["kind"], letter["stage"]), Counter())[letter["reason"]] += letter["count"]
    return result


def dead_letter_files(work: Work, job: str = "") -> list[str]:
    """The dead letters of a job, or of all jobs; a file's name begins with "<job>."."""
    folder = work.path(DEAD_LETTERS)
    return [path for path in paths.list_files(folder) if path.rsplit("/", 1)[1].startswith(f"{job}." if job else "")]
