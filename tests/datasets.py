"""Small data sets for tests, written as a build writes them: real pictures, shards, manifest, dead letters."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image as Picture

from pipelines import cli
from pipelines.facts import to_json
from pipelines.report import report_of
from schemas.document import Document, Image, Slot, Source, Text
from schemas.keys import bucket, page_key, pair_key
from schemas.manifest import FunnelRow, Input, Manifest, Shard, manifest_json
from schemas.rejection import DeadLetter
from schemas.shard import FORMAT_VERSION, Sample, ShardWriter, image_member
from schemas.strict import to_plain

RECIPE = {
    "name": "test",
    "language": {"languages": ["en"], "min_score": 0.8},
    "image_safety": {"scorer": "none", "max_score": 0.8, "scope": "document"},
    "blocklist": {"digest_files": [], "phash_files": [], "phash_distance": 4},
}


def m3w(*arguments: object) -> tuple[int, str]:
    """Exit code and output of a command, its messages on stderr included."""
    out, usual = StringIO(), (sys.stdout, sys.stderr, sys.argv)
    sys.stdout, sys.stderr, sys.argv = out, out, ["m3w", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    finally:
        sys.stdout, sys.stderr, sys.argv = usual
    return 0, out.getvalue()


def picture(width: int, height: int, seed: int, form: str = "JPEG") -> bytes:
    """A colour gradient that differs with `seed`, as JPEG or PNG."""
    side = Picture.linear_gradient("L").resize((width, height))
    channels = [side, side.rotate(180), side.point(lambda level: (level * (seed % 7 + 1) + 40 * seed) % 256)]
    stream = BytesIO()
    Picture.merge("RGB", channels).save(stream, form)
    return stream.getvalue()


def page(number: int, parts: Sequence[str | bytes], url: str = "", split: str = "train", **head: str) -> Sample:
    """A page whose `parts` are its texts and the bytes of its pictures, in reading order."""
    slots: list[Slot] = []
    members: dict[str, bytes] = {}
    for part in parts:
        if isinstance(part, str):
            slots.append(Text(part))
            continue
        with Picture.open(BytesIO(part)) as opened:
            extension, size = ("jpg" if opened.format == "JPEG" else "png"), opened.size
        member = image_member("page", len(members), extension)
        members[member] = part
        slots.append(
            Image(
                url=f"https://img.example.org/{number}/{member}",
                alt=f"picture {len(members) - 1} of page {number}",
                member=member,
                width=size[0],
                height=size[1],
                sha256=sha256(part).hexdigest(),
            )
        )
    address = url or f"https://site{number % 3}.example.com/page-{number}"
    document = Document(
        kind="page",
        url=address,
        slots=tuple(slots),
        title=head.get("title", f"Page {number}"),
        language=head.get("language", "en"),
        scores={"language.score": 0.97, "gopher_quality.words": 30},
        source=Source(file="crawl.warc.gz", offset=1000 * number, length=900, date="2024-05-01T00:00:00Z"),
        split=split,
    )
    return Sample(replace(document, key=page_key(address, document.text)), members)


def pair(number: int, caption: str, split: str = "train") -> Sample:
    """An image and its caption."""
    data = picture(80, 60, number)
    url = f"https://img.example.org/pair-{number}.jpg"
    image = Image(url=url, member="jpg", width=80, height=60, sha256=sha256(data).hexdigest())
    document = Document(kind="pair", url=url, slots=(image, Text(caption)), key=pair_key(url, caption), split=split)
    return Sample(document, {"jpg": data})


def pages(count: int = 12) -> list[Sample]:
    """Pages of one to three pictures; each fourth belongs to "dev"."""
    made = []
    for n in range(count):
        parts: list[str | bytes] = [f"Page {n} begins with some words.\n\n", picture(96 + n, 72, n)]
        if n % 2:
            parts += ["Between two pictures stands a text.\n\n", picture(70, 100 + n, n, "PNG")]
        if n % 3 == 0:
            parts += [picture(64, 64, n + 100)]
        made.append(page(n, [*parts, f"The end of page {n}."], split="dev" if n % 4 == 3 else "train"))
    return made


def write_shard(path: Path, samples: Sequence[Sample]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        writer = ShardWriter(stream)
        for sample in sorted(samples, key=lambda sample: sample.document.key):
            writer.write(sample)
        writer.close()


def write_shards(folder: Path, samples: Sequence[Sample], counts: Mapping[str, int]) -> list[Shard]:
    """Shards of `samples` below `folder`, `counts` of each split, and their entries of a manifest."""
    shards = []
    for split, count in counts.items():
        for number in range(count):
            part = [s for s in samples if s.document.split == split and bucket(s.document.key, count) == number]
            if part:
                name = f"shards/{split}-{number:06d}.tar"
                write_shard(folder / name, part)
                shards.append(describe(folder, name, part))
    return shards


def describe(folder: Path, name: str, samples: Sequence[Sample]) -> Shard:
    data = (folder / name).read_bytes()
    return Shard(
        name=name,
        split=name.removeprefix("shards/").split("-")[0],
        samples=len(samples),
        images=sum(len(sample.document.images) for sample in samples),
        videos=sum(len(sample.document.media) - len(sample.document.images) for sample in samples),
        words=sum(len(sample.document.text.split()) for sample in samples),
        bytes=len(data),
        sha256=sha256(data).hexdigest(),
    )


def funnel(samples: int, images: int) -> tuple[FunnelRow, ...]:
    """A funnel that ends with so many samples and images."""

    def row(kind: str, stage: str, into: int, **dropped: int) -> FunnelRow:
        return FunnelRow(kind=kind, stage=stage, into=into, out=into - sum(dropped.values()), dropped=dropped)

    def fan(kind: str, becomes: str, into: int, out: int) -> FunnelRow:
        return FunnelRow(kind=kind, stage=f"{becomes}s", into=into, out=out, dropped={}, becomes=becomes)

    return (
        row("record", "read", samples + 17, not_html=5),
        fan("record", "media", samples + 12, 2),
        fan("record", "page", samples + 12, samples + 10),
        row("media", "opt_out", 2),
        row("page", "page_url", samples + 10, url_word=1),
        row("page", "gopher_quality", samples + 9, too_few_words=6, stop_words=2),
        fan("page", "image_use", samples + 1, images + 4),
        row("image_use", "image_url", images + 4, declared_too_small=4),
        row("page", "images_left", samples + 1, too_few_images=1),
        fan("image_use", "image_url", images, images),
        fan("image_url", "image", images, images),
        fan("page", "sample", samples, samples),
        row("sample", "write", samples),
    )


def letters(rows: Sequence[FunnelRow]) -> list[DeadLetter]:
    """Dead letters that account for the drops of a funnel."""
    return [
        DeadLetter(kind=row.kind, stage=row.stage, reason=reason, detail=f"{reason} {n}", url=f"https://x.example/{n}")
        for row in rows
        for reason, count in row.dropped.items()
        for n in range(count)
    ]


def build(folder: Path, samples: Sequence[Sample] | None = None, counts: Mapping[str, int] | None = None) -> Manifest:
    """A whole data set in `folder`."""
    given = pages() if samples is None else samples
    shards = write_shards(folder, given, counts or {"train": 2, "dev": 1})
    rows = funnel(len(given), sum(shard.images for shard in shards))
    for letter in letters(rows):
        path = folder / "dead_letters" / f"{letter.stage}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps(to_plain(letter)) + "\n")
    splits = {split: sum(s.samples for s in shards if s.split == split) for split in sorted({s.split for s in shards})}
    manifest = Manifest(
        format=FORMAT_VERSION,
        version="0.1.0",
        name="test",
        recipe=RECIPE,
        recipe_digest=sha256(to_json(RECIPE).encode()).hexdigest()[:16],
        inputs=(Input(name="crawl.warc.gz", bytes=12345, sha256="ab" * 32),),
        lists=(),
        ledger_digest="0" * 32,
        test_allowances=(),
        splits=splits,
        shards=tuple(shards),
        funnel=rows,
    )
    (folder / "manifest.json").write_text(manifest_json(manifest))
    (folder / "report.json").write_text(json.dumps(to_plain(report_of(manifest)), indent=1) + "\n")
    (folder / "_SUCCESS").touch()
    return manifest
