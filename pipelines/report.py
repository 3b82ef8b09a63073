"""`m3w report`: what came in, which rule dropped how much of it, what came out."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.shard_files import DamageError, DataSetError, manifest_of, printable, read_whole
from pipelines.store import paths
from schemas.manifest import FunnelRow, Manifest
from schemas.rejection import DeadLetter
from schemas.strict import from_plain, to_plain

KINDS = {
    "record": "records of the input",
    "media": "images in the input",
    "page": "pages",
    "pair": "pairs",
    "image_use": "places of images",
    "image_url": "image addresses",
    "image": "different images",
    "video": "videos",
    "clip": "clips",
    "sample": "samples",
}
"""What a row of the funnel counts, in words."""
OF_VIDEOS = {
    "media": "videos and subtitles in the input",
    "image_use": "places of videos and subtitles",
    "image_url": "addresses of videos and subtitles",
}
"""The same where videos are looked for: they and their subtitles go the way of images, under the same names."""

K = TypeVar("K", str, tuple[str, str])

TOTALS = ("samples", "images", "videos", "words", "bytes")


@dataclass(frozen=True, kw_only=True)
class Report:
    """report.json."""

    name: str
    """The recipe's name."""
    totals: Mapping[str, int]
    """Samples, images, words and bytes of the shards; videos (clips) where there are any."""
    splits: Mapping[str, int]
    """Samples by split."""
    funnel: tuple[FunnelRow, ...]


@dataclass(frozen=True)
class Rejections:
    """What a stage dropped."""

    stage: str
    counts: Mapping[tuple[str, str], int]
    """Dropped things by (kind, reason), the largest first."""
    examples: tuple[DeadLetter, ...]
    """Some of each, in that order."""


def report_of(manifest: Manifest) -> Report:
    """The report that a manifest holds."""
    totals = {name: sum(getattr(shard, name) for shard in manifest.shards) for name in TOTALS}
    if not totals["videos"]:
        del totals["videos"]
    return Report(name=manifest.name, totals=totals, splits=manifest.splits, funnel=manifest.funnel)


def report_for(path: str) -> Report:
    """The report of a data set, from its report.json or else its manifest.json.

    Raises:
        DataSetError: the folder is no finished data set.
        DamageError: its report cannot be read.
    """
    file = paths.join(path, "report.json")
    if not paths.exists(file):
        return report_of(manifest_of(path))
    try:
        return from_plain(Report, json.loads(read_whole(file)), "report")
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{file}: {error}") from error


def print_report(found: Manifest | Report, console: Console) -> None:
    """The funnel as a table, one section for each kind of thing, then the totals."""
    report = report_of(found) if isinstance(found, Manifest) else found
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("stage", no_wrap=True, min_width=24)
    table.add_column("in", justify="right", no_wrap=True)
    table.add_column("dropped", overflow="fold")
    table.add_column("out", justify="right", no_wrap=True)
    table.add_column("kept", justify="right", no_wrap=True)
    kinds = kinds_of(report.funnel)
    for kind, rows in by_kind(report.funnel).items():
        table.add_section()
        table.add_row(Text(kinds.get(kind, kind), style="bold cyan"))
        for row in rows:
            _add_row(table, row, kinds)
    console.print(table)
    console.print(totals_line(report))


def by_kind(funnel: Sequence[FunnelRow]) -> dict[str, list[FunnelRow]]:
    """The rows of each kind, kinds in the order in which they come up."""
    groups: dict[str, list[FunnelRow]] = {}
    for row in funnel:
        groups.setdefault(row.kind, []).append(row)
        if row.becomes:
            groups.setdefault(row.becomes, [])
    return {kind: rows for kind, rows in groups.items() if rows}


def kinds_of(funnel: Sequence[FunnelRow]) -> Mapping[str, str]:
    """What the rows of a funnel count, by kind, in words."""
    of_videos = any("video" in (row.kind, row.becomes) for row in funnel)
    return {**KINDS, **OF_VIDEOS} if of_videos else KINDS


def largest_first(counts: Mapping[K, int]) -> dict[K, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def share_kept(row: FunnelRow) -> str:
    """Percent of a row's things that went on, rounded down: 100.0% means all of them; empty for a fan-out."""
    return "" if row.becomes or not row.into else f"{1000 * row.out // row.into / 10:.1f}%"


def totals_line(report: Report) -> Text:
    """One line: what the data set holds."""
    splits = ", ".join(f"{split} {count:,}" for split, count in sorted(report.splits.items(), reverse=True))
    totals = report.totals
    videos = totals.get("videos", 0)
    images = f", {totals.get('images', 0):,} images" if totals.get("images", 0) or not videos else ""
    line = Text.assemble(
        " ",
        (report.name, "bold"),
        f": {totals.get('samples', 0):,} samples",
        f" ({splits})" if splits else "",
        images,
        f", {videos:,} clips" if videos else "",
        f", {totals.get('words', 0):,} words, {size(totals.get('bytes', 0))}",
    )
    line.highlight_regex(r"\d[\d,.]*", "bold")
    return line


def size(count: int) -> str:
    """A number of bytes for a person: "1.4 GB"."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def rejected(path: str, stage: str, limit: int) -> Rejections:
    """What a stage of a build dropped, with up to `limit` examples, shared out among its reasons.

    Raises:
        DataSetError: the build has no such stage; the message lists the stages.
        DamageError: a line cannot be read.
    """
    folder = paths.join(path, "dead_letters")
    files = {file.rsplit("/", 1)[-1].removesuffix(".jsonl"): file for file in paths.list_files(folder)}
    if stage not in files:
        known = {row.stage for row in report_for(path).funnel if not row.becomes}
        if stage in known:
            return Rejections(stage, {}, ())
        with_drops = ", ".join(sorted(files)) or "none"
        raise DataSetError(f"{path} has no stage {stage!r}. Stages that dropped something: {with_drops}")
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[DeadLetter]] = {}
    with paths.open_read(files[stage]) as stream:
        for number, line in enumerate(stream, 1):
            try:
                letter = from_plain(DeadLetter, json.loads(line), "dead letter")
            except (ValueError, RecursionError) as error:
                raise DamageError(f"{files[stage]}, line {number}: {error}") from error
            why = letter.kind, letter.reason
            counts[why] += letter.count
            some = examples.setdefault(why, [])
            if len(some) < limit:
                some.append(letter)
    ordered = largest_first(counts)
    shares = share_out(limit, [len(examples[why]) for why in ordered])
    chosen = [letter for why, n in zip(ordered, shares, strict=True) for letter in examples[why][:n]]
    return Rejections(stage, ordered, tuple(chosen))


def share_out(limit: int, sizes: Sequence[int]) -> list[int]:
    """How many to take of each heap, turn by turn, until `limit` are taken or all is."""
    taken = [0] * len(sizes)
    while limit:
        before = limit
        for heap, available in enumerate(sizes):
            if limit and taken[heap] < available:
                taken[heap] += 1
                limit -= 1
        if limit == before:
            break
    return taken


def print_rejected(path: str, stage: str, limit: int, console: Console) -> None:
    """Prints `rejected`: each reason with its number, and examples below it."""
    found = rejected(path, stage, limit)
    try:
        kinds = kinds_of(report_for(path).funnel)
    except DataSetError:  # a build that is not finished
        kinds = KINDS
    if not found.counts:
        console.print(Text(f"{stage} dropped nothing"))
    for (kind, reason), count in found.counts.items():
        head = (f"{count:,} ", "bold"), (printable(reason), "bold red"), f"  {kinds.get(kind, kind)}"
        console.print(Text.assemble(*head))
        for letter in found.examples:
            if (letter.kind, letter.reason) == (kind, reason):
                console.print(_letter(letter, kinds), soft_wrap=True)


def rejected_json(path: str, stage: str, limit: int) -> str:
    """The examples of `rejected` as a JSON array of dead letters."""
    return json.dumps(to_plain(rejected(path, stage, limit).examples), indent=1, ensure_ascii=False)


def _letter(letter: DeadLetter, kinds: Mapping[str, str]) -> Text:
    place = letter.url or letter.key or f"{letter.source.file}, byte {letter.source.offset}"
    text = Text.assemble("  ", (printable(place), "cyan"))
    if letter.count > 1:
        text.append(f" ({letter.count:,} {kinds.get(letter.kind, letter.kind)})")
    if letter.detail:
        text.append(f"\n    {printable(letter.detail)}", "dim")
    return text


def _add_row(table: Table, row: FunnelRow, kinds: Mapping[str, str]) -> None:
    if row.becomes:
        arrow = Text(f"  -> {kinds.get(row.becomes, row.becomes)}", style="green")
        table.add_row(arrow, f"{row.into:,}", "", Text(f"{row.out:,}", style="green"), "")
        return
    reasons = largest_first(row.dropped)
    width = max((len(f"{count:,}") for count in reasons.values()), default=0)
    lines = [f"{count:>{width},} {printable(reason)}" for reason, count in reasons.items()]
    table.add_row(f"  {row.stage}", f"{row.into:,}", Text("\n".join(lines), "red"), f"{row.out:,}", share_kept(row))
