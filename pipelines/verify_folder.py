"""What can be wrong with a data set besides its samples: files missing or too many, sums that do not add up."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256

from pipelines.facts import to_json
from pipelines.report import report_of
from pipelines.shard_files import split_and_number
from pipelines.store import paths
from schemas.manifest import FunnelRow, Manifest
from schemas.rejection import DeadLetter
from schemas.shard import FORMAT_VERSION
from schemas.strict import from_plain, to_plain


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """What contradicts itself in a manifest."""
    if manifest.format != FORMAT_VERSION:
        yield f"format {manifest.format!r}, but this program reads {FORMAT_VERSION!r}"
    if sha256(to_json(dict(manifest.recipe)).encode()).hexdigest()[:16] != manifest.recipe_digest:
        yield "recipe_digest is not that of the recipe"
    names = Counter(shard.name for shard in manifest.shards)
    yield from (f"{name} is named {count} times" for name, count in names.items() if count > 1)
    for shard in manifest.shards:
        place = split_and_number(shard.name)
        if not place or shard.name != f"shards/{place[0]}-{place[1]:06d}.tar":
            yield f"{shard.name!r} is no name of a shard"
        elif place[0] != shard.split:
            yield f"{shard.name} is said to be of split {shard.split!r}"
    splits: Counter[str] = Counter()
    for shard in manifest.shards:
        splits[shard.split] += shard.samples
    if dict(splits) != dict(manifest.splits):
        yield f"splits are {dict(manifest.splits)}, but the shards sum up to {dict(splits)}"
    images, videos = (sum(getattr(shard, name) for shard in manifest.shards) for name in ("images", "videos"))
    yield from funnel_problems(manifest.funnel, splits.total(), images, videos)


def funnel_problems(funnel: Sequence[FunnelRow], samples: int, images: int, videos: int) -> Iterator[str]:
    """Rows that do not add up, or do not go on where the row of their kind before them ended."""
    left: dict[str, int] = {}
    for row in funnel:
        name = f"funnel, {row.kind} {row.stage}"
        if min(row.into, row.out, *row.dropped.values()) < 0:
            yield f"{name}: a number below zero"
        if row.into != left.get(row.kind, row.into):
            yield f"{name}: {row.into} came in, but {left[row.kind]} were left before it"
        if row.becomes:
            left[row.becomes], left[row.kind] = left.get(row.becomes, 0) + row.out, row.into
            if row.dropped:
                yield f"{name}: things dropped in a fan-out"
            continue
        if row.into != row.out + sum(row.dropped.values()):
            yield f"{name}: {row.into} in, but {row.out} out and {sum(row.dropped.values())} dropped"
        left[row.kind] = row.out
    media = ("clip", videos) if "clip" in left else ("image_use", images)
    for kind, found in (("sample", samples), media):
        if left.get(kind, found) != found:
            yield f"funnel: {left[kind]} things of kind {kind} are left, but the shards hold {found}"


def report_problems(text: bytes, manifest: Manifest) -> Iterator[str]:
    """Whether report.json says what the manifest says."""
    try:
        if json.loads(text) != json.loads(json.dumps(to_plain(report_of(manifest)))):
            yield "differs from manifest.json"
    except (ValueError, RecursionError) as error:
        yield f"cannot be read: {error}"


def dead_letter_problems(folder: str, funnel: Sequence[FunnelRow]) -> Iterator[tuple[str, str]]:
    """(file, what): whether the dead letters account for every drop of the funnel."""
    found: Counter[tuple[str, str, str]] = Counter()
    for path in paths.list_files(paths.join(folder, "dead_letters")):
        stage = path.rsplit("/", 1)[-1].removesuffix(".jsonl")
        try:
            with paths.open_read(path) as stream:
                for number, line in enumerate(stream, 1):
                    try:
                        letter = from_plain(DeadLetter, json.loads(line), "dead letter")
                    except (ValueError, RecursionError) as error:
                        yield path, f"line {number}: {error}"
                        continue
                    if letter.stage != stage:
                        yield path, f"line {number}: of stage {letter.stage!r}"
                    found[letter.kind, letter.stage, letter.reason] += letter.count
        except OSError as error:
            yield path, f"cannot be read: {error}"
    expected: Counter[tuple[str, str, str]] = Counter()
    for row in funnel:
        for reason, count in row.dropped.items():
            expected[row.kind, row.stage, reason] += count
    for why in sorted({*found, *expected}):
        if found[why] != expected[why]:
            kind, stage, reason = why
            what = f"{found[why]} of kind {kind} dropped for {reason}, but the funnel says {expected[why]}"
            yield paths.join(folder, "dead_letters", f"{stage}.jsonl"), what
