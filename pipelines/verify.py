"""`m3w verify`: re-reads everything of a data set, or of shards alone, and says what is wrong.

Shards are read with the webdataset library, which shows that any WebDataset reader can read them. The key of a page is
a digest of its address and text, and each image has its own, so that such damage is found without a manifest too; with
one, a single changed byte of any shard is.
"""

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text as Line

from pipelines.report import size
from pipelines.shard_files import (
    DamageError,
    DataSetError,
    ShardFiles,
    find_shards,
    manifest_of,
    printable,
    read_whole,
    split_and_number,
)
from pipelines.store import paths
from pipelines.verify_folder import dead_letter_problems, manifest_problems, report_problems
from pipelines.verify_samples import (
    KEY,
    DigestingStream,
    archive_problems,
    document_problems,
    media_problems,
    read_samples,
)
from schemas.keys import bucket
from schemas.manifest import Manifest, Shard
from schemas.shard import decode_sample
from schemas.strict import to_plain

LISTED = 1000
"""Problems that are kept; the others are counted."""
PRINTED = 50
ABSENT_AT_END = 16
"""Shards after the last that there is which may be absent because no sample fell into them."""


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be."""

    file: str
    key: str
    """Of the sample; empty if the problem is not one of a sample."""
    what: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was read, and what is wrong with it."""

    problems: tuple[Problem, ...]
    """The first thousand; empty if all is well."""
    problem_count: int
    checked: Mapping[str, int]
    """Number of shards, samples, images, videos, words and bytes that were read."""
    notes: tuple[str, ...]
    """What could not be checked, and why."""


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, file: str, what: str, key: str = "") -> None:
        self.count += 1
        if self.count <= LISTED:
            self.problems.append(Problem(file, key, what))


@dataclass
class _Place:
    """Samples of one shard by their keys as numbers."""

    path: str
    keys: list[int] = field(default_factory=list)


def verify(names: Sequence[str]) -> Verification:
    """Checks data sets, folders of shards and tar files; never raises for damage in them.

    Raises:
        DataSetError: a name means no shards.
    """
    findings = _Findings()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's opinions on large pictures
        for files in find_shards(names):
            _verify_files(files, findings)
    return Verification(
        problems=tuple(findings.problems),
        problem_count=findings.count,
        checked=dict(findings.checked),
        notes=tuple(findings.notes),
    )


def _verify_files(files: ShardFiles, findings: _Findings) -> None:
    manifest = _verify_folder(files, findings) if files.folder else None
    if manifest is None:
        findings.notes.append("without a manifest, checksums of shards, counts and the funnel are not checked")
    entries = {paths.join(files.folder, shard.name): shard for shard in manifest.shards} if manifest else {}
    places = [_verify_shard(path, entries.get(path), findings) for path in files.shards]
    _verify_keys(places, findings)
    if files.complete:
        _verify_buckets(places, findings)
    else:
        findings.notes.append(
            "whether each sample is in its shard is not checked: a folder's shards were given in part"
        )


# --- the folder ------------------------------------------------------------------------------------------------------


def _verify_folder(files: ShardFiles, findings: _Findings) -> Manifest | None:
    """Everything but the shards' contents; the manifest, if it can be read."""
    folder = files.folder
    if not paths.exists(success := paths.join(folder, "_SUCCESS")):
        findings.add(success, "is missing: the build did not finish")
    path = paths.join(folder, "manifest.json")
    try:
        manifest = manifest_of(folder)
    except (DataSetError, DamageError) as error:
        findings.add(path, str(error).removeprefix(f"{path}: "))
        return None
    for what in manifest_problems(manifest):
        findings.add(path, what)
    named = {paths.join(folder, shard.name) for shard in manifest.shards}
    for shard in sorted(named.difference(files.shards)):
        findings.add(shard, "is missing, but the manifest names it")
    for shard in sorted(set(files.shards) - named):
        findings.add(shard, "is not named by the manifest")
    report = paths.join(folder, "report.json")
    if not paths.exists(report):
        findings.add(report, "is missing")
    else:
        try:
            for what in report_problems(read_whole(report), manifest):
                findings.add(report, what)
        except DamageError as error:
            findings.add(report, str(error).removeprefix(f"{report}: "))
    letters = paths.join(folder, "dead_letters")
    if paths.list_files(letters) or not any(row.dropped for row in manifest.funnel):
        for file, what in dead_letter_problems(folder, manifest.funnel):
            findings.add(file, what)
    else:
        findings.add(letters, "is missing, but the funnel says that things were dropped")
    return manifest


# --- a shard ---------------------------------------------------------------------------------------------------------


def _verify_shard(path: str, entry: Shard | None, findings: _Findings) -> _Place:
    """Reads a shard twice: its headers, then everything as webdataset does."""
    place, counts = _Place(path), Counter[str]()
    found = split_and_number(path)
    if found is None:
        findings.notes.append(f"{path}: its name gives no split and number, which are not checked")
    try:
        opened = paths.open_read(path)
    except OSError as error:
        findings.add(path, f"cannot be read: {error}")
        return place
    whole, digest = True, ""
    with opened as raw:
        try:
            for what in archive_problems(raw):
                findings.add(path, what)
        except Exception as error:  # what a damaged archive or disk makes the library raise is not to be listed
            findings.add(path, f"damaged archive: {_said(error)}")
        raw.seek(0)
        stream = DigestingStream(raw)
        try:
            for key, members in read_samples(path, stream):
                counts.update(_verify_sample(path, key, members, found[0] if found else "", findings))
                if KEY.fullmatch(key):
                    place.keys.append(int(key, 16))
        except Exception as error:  # the same
            whole = False
            findings.add(path, f"webdataset cannot read on: {_said(error)}")
        try:
            digest = stream.finish()
        except OSError as error:
            findings.add(path, f"cannot be read: {error}")
    findings.checked.update(shards=1, bytes=stream.bytes, **counts)
    if entry:
        said = {"bytes": (stream.bytes, entry.bytes), "sha256": (digest, entry.sha256)}
        if whole:
            said |= {name: (counts[name], getattr(entry, name)) for name in ("samples", "images", "videos", "words")}
        for name, (real, written) in said.items():
            if real != written:
                findings.add(path, f"{name} is {real}, but the manifest says {written}")
    return place


def _verify_sample(
    path: str, key: str, members: Mapping[str, bytes], split: str, findings: _Findings
) -> Mapping[str, int]:
    """Numbers of what the sample holds."""
    try:
        sample = decode_sample(key, members)
    except Exception as error:  # hostile JSON may break the decoder in ways that it does not foresee
        findings.add(path, f"cannot be decoded: {_said(error)}", key)
        return {"samples": 1}
    document = sample.document
    for what in [*document_problems(document, split), *media_problems(document, sample.members)]:
        findings.add(path, what, key)
    images = len(document.images)
    words = len(document.text.split())
    return {"samples": 1, "images": images, "videos": len(document.media) - images, "words": words}


def _said(error: Exception) -> str:
    """What an error says, without the streams that webdataset adds to it."""
    return f"{type(error).__name__}: {error.args[0] if error.args else error}"[:300]


# --- keys over all shards --------------------------------------------------------------------------------------------


def _verify_keys(places: Sequence[_Place], findings: _Findings) -> None:
    seen: dict[int, str] = {}
    for place in places:
        for key in place.keys:
            if key in seen:
                findings.add(place.path, f"the same sample stands in {seen[key]}", f"{key:032x}")
            seen[key] = place.path


def _verify_buckets(places: Sequence[_Place], findings: _Findings) -> None:
    """Whether each sample is in the shard that its key gives: key mod the number of shards of its split."""
    by_split: dict[str, list[tuple[int, _Place]]] = {}
    for place in places:
        if found := split_and_number(place.path):
            by_split.setdefault(found[0], []).append((found[1], place))
    for split, numbered in by_split.items():
        count = shard_count([(number, key) for number, place in numbered for key in place.keys])
        if not count:
            findings.notes.append(
                f"whether each sample is in its shard is not checked: number of {split} shards unclear"
            )
            continue
        for number, place in numbered:
            for key in place.keys:
                if (right := bucket(f"{key:032x}", count)) != number:
                    findings.add(place.path, f"belongs to shard {right} of {count}", f"{key:032x}")


def shard_count(samples: Sequence[tuple[int, int]]) -> int:
    """How many shards a split was cut into, from (number of its shard, key as a number) of its samples; 0 if unclear.

    Shards without samples are absent, so the last number is a lower bound only; the count with which most samples are
    where they belong is the right one.
    """
    if not samples:
        return 0
    least = max(number for number, _ in samples) + 1
    some = samples[:: max(1, len(samples) // 1000)]
    fits = {
        count: sum(key % count == number for number, key in some) for count in range(least, least + ABSENT_AT_END + 1)
    }
    best = max(fits, key=lambda count: (fits[count], -count))
    return best if 2 * fits[best] > len(some) else 0


# --- for a person and for a script -----------------------------------------------------------------------------------


def print_verification(found: Verification, console: Console) -> None:
    """Problems first, what could not be checked, then what was read."""
    file = ""
    for problem in found.problems[:PRINTED]:
        if problem.file != file:
            file = problem.file
            console.print(Line(printable(file), "bold"), soft_wrap=True)
        key = (f"{problem.key}: ", "cyan") if problem.key else ""
        console.print(Line.assemble("  ", key, (printable(problem.what), "red")), soft_wrap=True)
    if (more := found.problem_count - len(found.problems[:PRINTED])) > 0:
        console.print(Line(f"  and {more:,} more", "red"))
    for note in found.notes:
        console.print(Line(f"note: {printable(note)}", "yellow"), soft_wrap=True)
    checked = [f"{found.checked.get(name, 0):,} {name}" for name in ("shards", "samples", "images", "words")]
    if videos := found.checked.get("videos"):
        checked.insert(3, f"{videos:,} clips")
    verdict = (f"{found.problem_count:,} problems", "bold red") if found.problem_count else ("good", "bold green")
    console.print(Line.assemble(verdict, f": {', '.join(checked)}, {size(found.checked.get('bytes', 0))} read"))


def verification_json(found: Verification) -> str:
    plain = {"good": not found.problem_count, **to_plain(found)}
    return json.dumps(plain, indent=1, ensure_ascii=False)
