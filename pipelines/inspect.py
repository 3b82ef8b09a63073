"""`m3w inspect`: what is in shards, as totals and histograms, as one document, or as a page to read."""

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text as Line

from dedup.urls import registered_domain
from pipelines.page_view import Shown, page, shown
from pipelines.report import largest_first, report_of, size
from pipelines.shard_files import (
    DamageError,
    DataSetError,
    ShardFiles,
    all_shards,
    find_shards,
    manifest_of,
    printable,
)
from pipelines.store import paths
from schemas.document import Document, Image, Text
from schemas.shard import Sample, ShardError, read_shard, sample_json
from schemas.strict import to_plain

EDGES: Mapping[str, tuple[int, ...]] = {
    "images per document": (0, 1, 2, 3, 4, 6, 8, 11, 16, 31, 61),
    "words per document": (0, 1, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "image width": (0, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096),
    "image height": (0, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096),
}
"""Least value of each bar of the histograms; widths and heights in pixels."""

DOMAINS_LISTED = 100
BAR_WIDTH = 16
BARS_SHOWN = 11
"""Enough for each histogram; of languages and domains the largest."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Totals and distributions of some shards."""

    shards: int
    bytes: int
    """Size of the tar files."""
    samples: int
    images: int
    videos: int
    words: int
    """Whitespace-separated words of the texts."""
    splits: Mapping[str, int]
    """Samples by split; this and the next by number, the largest first."""
    kinds: Mapping[str, int]
    languages: Mapping[str, int]
    """Samples by language; "" stands for not identified."""
    formats: Mapping[str, int]
    """Images by the extension of their member."""
    domains: int
    """Different registered domains of the documents."""
    top_domains: Mapping[str, int]
    """Samples by registered domain, the hundred largest."""
    histograms: Mapping[str, Mapping[str, int]]
    """By name, then number by range, from the first that holds any to the last: {"image width": {"64-127": 3}}."""
    problems: tuple[str, ...]
    """What shows that not all is there; `m3w verify` finds more. Empty if nothing does."""


@dataclass
class _Counts:
    splits: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    images: int = 0
    videos: int = 0
    words: int = 0
    bars: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in EDGES})

    def bar(self, name: str, value: int) -> None:
        self.bars[name][bisect_right(EDGES[name], value) - 1] += 1

    def add(self, document: Document) -> None:
        images, words = document.images, len(document.text.split())
        self.splits[document.split] += 1
        self.kinds[document.kind] += 1
        self.languages[document.language] += 1
        self.domains[registered_domain(document.url)] += 1
        self.images += len(images)
        self.videos += len(document.media) - len(images)
        self.words += words
        self.bar("images per document", len(images))
        self.bar("words per document", words)
        for image in images:
            self.formats[image.member.rsplit(".", 1)[-1]] += 1
            self.bar("image width", max(image.width, 0))
            self.bar("image height", max(image.height, 0))


def samples_of(shards: Sequence[str]) -> Iterator[tuple[str, Sample]]:
    """(path of the shard, sample) of all samples, in order.

    Raises:
        DamageError, ShardError: a shard is damaged; the message names it.
    """
    for shard in shards:
        try:
            with paths.open_read(shard) as stream:
                for sample in read_shard(stream):
                    yield shard, sample
        except ShardError as error:
            raise ShardError(f"{shard}: {error}; m3w verify says more") from error
        except OSError as error:
            raise DamageError(f"{shard}: cannot be read: {error.strerror or error}") from error


# --- totals and histograms -------------------------------------------------------------------------------------------


def summarise(names: Sequence[str]) -> Summary:
    """Reads all shards that `names` mean (data sets, folders, tar files, patterns), one sample at a time.

    Raises:
        DataSetError: a name means no shards.
        DamageError, ShardError: a shard is damaged.
    """
    found = find_shards(names)
    shards = [shard for files in found for shard in files.shards]
    counts, read = _Counts(), Counter[str]()
    for shard, sample in samples_of(shards):
        counts.add(sample.document)
        read[shard] += 1
    return Summary(
        shards=len(shards),
        bytes=sum(map(paths.size, shards)),
        samples=counts.kinds.total(),
        images=counts.images,
        videos=counts.videos,
        words=counts.words,
        splits=largest_first(counts.splits),
        kinds=largest_first(counts.kinds),
        languages=largest_first(counts.languages),
        formats=largest_first(counts.formats),
        domains=len(counts.domains),
        top_domains=dict(islice(largest_first(counts.domains).items(), DOMAINS_LISTED)),
        histograms={name: _histogram(EDGES[name], bars) for name, bars in counts.bars.items()},
        problems=tuple(what for files in found for what in _not_there(files, read)),
    )


def not_there(names: Sequence[str]) -> list[str]:
    """What of the data sets among `names` is not there: `_SUCCESS`, manifest or shards."""
    return [what for files in find_shards(names) for what in _not_there(files, None)]


def _not_there(files: ShardFiles, read: Mapping[str, int] | None) -> Iterator[str]:
    """The same of one data set; with the number of samples read of each shard, also whether these are all."""
    if not files.folder:
        return
    if not paths.exists(paths.join(files.folder, "_SUCCESS")):
        yield f"{files.folder} is not finished: it has no _SUCCESS; the command that builds it goes on where it stood"
    try:
        manifest = manifest_of(files.folder)
    except DamageError as error:
        yield str(error)
        return
    except DataSetError as error:
        if paths.exists(paths.join(files.folder, "_SUCCESS")):
            yield str(error)
        return
    for shard in manifest.shards:
        path = paths.join(files.folder, shard.name)
        if path not in files.shards:
            yield f"{path} is missing, but the manifest names it"
        elif read is not None and read[path] != shard.samples:
            yield f"{path}: {read[path]} samples can be read, the manifest says {shard.samples}; m3w verify says more"


def _histogram(edges: Sequence[int], bars: Mapping[int, int]) -> dict[str, int]:
    """Numbers by range, from the first range that holds something to the last."""
    if not bars:
        return {}
    labels = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(edges)]
    labels.append(f"{edges[-1]}+")
    return {labels[number]: bars.get(number, 0) for number in range(min(bars), max(bars) + 1)}


def summary_json(summary: Summary) -> str:
    return json.dumps(to_plain(summary), indent=1, ensure_ascii=False)


def print_summary(summary: Summary, console: Console) -> None:
    """Totals, then histograms two by two; fits 100 columns."""
    for label, value in _totals(summary):
        console.print(Line.assemble((f" {label:10s}", "bold"), value))
    charts = {
        **summary.histograms,
        "languages": summary.languages,
        "image formats": summary.formats,
        f"domains ({summary.domains:,})": summary.top_domains,
    }
    filled = [_chart(name, bars, console) for name, bars in charts.items() if bars]
    grid = Table.grid(padding=(1, 4, 0, 1))
    for row in range(0, len(filled), 2):
        grid.add_row(*filled[row : row + 2])
    console.print(grid)


def _totals(summary: Summary) -> Iterator[tuple[str, str]]:
    def listed(counts: Mapping[str, int]) -> str:
        return ", ".join(f"{printable(name) or '(none)'} {count:,}" for name, count in counts.items())

    each = f", {summary.words / summary.samples:,.0f} a document" if summary.samples else ""
    kinds = f"  ({listed(summary.kinds)}; {listed(summary.splits)})" if summary.samples else ""
    yield "samples", f"{summary.samples:,}{kinds}"
    if summary.images:
        yield "images", f"{summary.images:,}, {summary.images / max(summary.samples, 1):.1f} a document"
    if summary.videos:
        yield "videos", f"{summary.videos:,}"
    yield "words", f"{summary.words:,}{each}"
    yield "shards", f"{summary.shards:,}, {size(summary.bytes)}"


def _chart(name: str, bars: Mapping[str, int], console: Console) -> Group:
    block = "\u2588" if console.encoding.startswith("utf") else "#"
    listed = dict(islice(bars.items(), BARS_SHOWN))
    top = max(listed.values())
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=10, max_width=20, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for label, count in listed.items():
        bar = block * max(round(BAR_WIDTH * count / top), 1 if count else 0)
        table.add_row(Line(printable(label) or "(none)"), Line(bar.ljust(BAR_WIDTH), "green"), f"{count:,}")
    if rest := sum(bars.values()) - sum(listed.values()):
        table.add_row(Line("others"), "", f"{rest:,}")
    return Group(Line(name, "bold cyan"), table)


# --- one document ----------------------------------------------------------------------------------------------------


def show_sample(names: Sequence[str], which: str, save_images_to: str | None = None) -> str:
    """One document as text, with a line in brackets where each image stands.

    Args:
        names: data sets, folders, tar files or patterns.
        which: a sample's key (32 hex digits, or the first few), or its number from 0.
        save_images_to: folder for its images; None saves none.

    Raises:
        DataSetError: there is no such sample.
    """
    shard, sample = _find(all_shards(names), which)
    lines = [*_head(shard, sample.document), "", *_body(sample.document)]
    if save_images_to is not None:
        lines += ["", *(f"saved {path}" for path in _save(sample, Path(save_images_to)))]
    return printable("\n".join(lines))


def sample_as_json(names: Sequence[str], which: str, save_images_to: str | None = None) -> str:
    """The same document as the JSON that its shard holds, and its images saved."""
    _, sample = _find(all_shards(names), which)
    if save_images_to is not None:
        list(_save(sample, Path(save_images_to)))
    return json.dumps(sample_json(sample.document), indent=1, ensure_ascii=False)


def _find(shards: Sequence[str], which: str) -> tuple[str, Sample]:
    number = int(which) if which.isdecimal() and len(which) < 9 else -1
    count = 0
    for shard, sample in samples_of(shards):
        if number == count or (number < 0 and sample.document.key.startswith(which)):
            return shard, sample
        count += 1
    what = f"no sample number {number}: there are {count}" if number >= 0 else f"no sample with the key {which!r}"
    raise DataSetError(f"{what}, in {len(shards)} shards")


def _head(shard: str, document: Document) -> Iterator[str]:
    source = document.source
    yield f"key       {document.key}  in {shard}"
    yield f"url       {document.url}"
    yield f"title     {document.title}"
    yield f"kind      {document.kind}, split {document.split or '(none)'}, language {document.language or '(none)'}"
    yield f"source    {source.file} at {source.offset}, {source.length} bytes, {source.date or 'no date'}"
    yield f"scores    {', '.join(f'{name} {value:g}' for name, value in document.scores.items()) or '(none)'}"
    yield f"size      {len(document.text.split())} words, {len(document.images)} images"


def _body(document: Document) -> Iterator[str]:
    number = 0
    for slot in document.slots:
        if isinstance(slot, Text):
            yield slot.text.strip("\n")
            continue
        if isinstance(slot, Image):
            form, alt = slot.member.rsplit(".", 1)[-1], json.dumps(slot.alt, ensure_ascii=False)
            yield f"[image {number}: {slot.width}x{slot.height} {form} {alt} {slot.url}]"
        else:
            length = f"{slot.start:g}-{slot.end:g} s, {len(slot.times)} frames"
            yield f"[video {number}: {slot.width}x{slot.height} {length} {slot.url}]"
        number += 1


def _save(sample: Sample, folder: Path) -> Iterator[Path]:
    """Writes the media as KEY.N.jpg, ...; the names are ours, because those in a foreign shard could be paths."""
    folder.mkdir(parents=True, exist_ok=True)
    key = re.sub(r"\W", "_", sample.document.key)
    for number, (name, data) in enumerate(sorted(sample.members.items())):
        extension = name.rsplit(".", 1)[-1]
        path = folder / f"{key}.{number}.{extension if extension in ('jpg', 'png') else 'bin'}"
        path.write_bytes(data)
        yield path


# --- a page to read --------------------------------------------------------------------------------------------------


def write_html(names: Sequence[str], out_file: str, limit: int) -> int:
    """Writes one self-contained HTML page with up to `limit` documents; returns how many it shows."""
    found = find_shards(names)
    shards = [shard for files in found for shard in files.shards]
    manifest = None
    if len(found) == 1 and found[0].folder:
        try:
            manifest = manifest_of(found[0].folder)
        except (DataSetError, DamageError):  # shards can be looked at before the build is done
            manifest = None
    documents: list[Shown] = [shown(shard, sample) for shard, sample in islice(samples_of(shards), limit)]
    title = Path(found[0].folder).name if len(found) == 1 and found[0].folder else f"{len(shards)} shards"
    text = page(title, documents, len(shards), report_of(manifest) if manifest else None)
    paths.publish(out_file, text.encode("utf-8", "replace"))
    return len(documents)
