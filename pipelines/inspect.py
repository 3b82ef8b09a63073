"""`m3w inspect`: what is in shards, as totals and histograms, as a page to read, or as a contact sheet.

One document as text is `pipelines.sample_view`.
"""

import json
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
from pipelines.contact_sheet import entry, sheet
from pipelines.fonts import Fonts
from pipelines.page_view import Shown, page, shown
from pipelines.previews import counted, kinds_in_words
from pipelines.report import largest_first, report_of, size
from pipelines.samples import counts_of, samples_of, spread
from pipelines.shard_files import DamageError, DataSetError, ShardFiles, find_shards, manifest_of, printable
from pipelines.store import paths
from schemas.document import Document, Image
from schemas.strict import to_plain

EDGES: Mapping[str, tuple[int, ...]] = {
    "images per document": (0, 1, 2, 3, 4, 6, 8, 11, 16, 31, 61),
    "words per document": (0, 1, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "words per text": (0, 1, 2, 3, 5, 8, 12, 16, 24, 32, 64, 128, 256),
    "frames per clip": (0, 1, 2, 4, 8, 9, 16, 17, 32, 64, 128),
    "seconds per clip": (0, 1, 2, 3, 5, 8, 12, 20, 30, 60, 120, 300),
    "image width": (0, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096),
    "image height": (0, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 4096),
    "frame width": (0, 64, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 2048),
    "frame height": (0, 64, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 2048),
}
"""Least value of each bar of the histograms; widths and heights in pixels. "Per document" is of pages, "per text" of
pairs and clips. Seconds are cut to whole ones."""

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
    """Clips: two of one video are two."""
    frames: int
    """Of all clips."""
    seconds: float
    """Length of all clips together."""
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
    """Different registered domains, of the page of a pair or clip where that is known."""
    top_domains: Mapping[str, int]
    """Samples by registered domain, the hundred largest."""
    histograms: Mapping[str, Mapping[str, int]]
    """By name, then number by range, from the first that holds any to the last: {"image width": {"64-127": 3}}.
    Only those of what there is."""
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
    frames: int = 0
    seconds: float = 0.0
    words: int = 0
    bars: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in EDGES})

    def bar(self, name: str, value: float) -> None:
        self.bars[name][bisect_right(EDGES[name], value) - 1] += 1

    def add(self, document: Document) -> None:
        words = len(document.text.split())
        self.splits[document.split] += 1
        self.kinds[document.kind] += 1
        self.languages[document.language] += 1
        self.domains[registered_domain(document.page_url or document.url)] += 1
        self.words += words
        if document.kind == "page":
            self.bar("images per document", len(document.images))
        self.bar("words per document" if document.kind == "page" else "words per text", words)
        for media in document.media:
            if isinstance(media, Image):
                self.images += 1
                self.formats[media.member.rsplit(".", 1)[-1]] += 1
            else:
                self.videos += 1
                self.frames += len(media.members)
                self.seconds += media.end - media.start
                self.bar("frames per clip", len(media.members))
                self.bar("seconds per clip", max(media.end - media.start, 0))
            what = "image" if isinstance(media, Image) else "frame"
            self.bar(f"{what} width", max(media.width, 0))
            self.bar(f"{what} height", max(media.height, 0))


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
        frames=counts.frames,
        seconds=round(counts.seconds, 3),
        words=counts.words,
        splits=largest_first(counts.splits),
        kinds=largest_first(counts.kinds),
        languages=largest_first(counts.languages),
        formats=largest_first(counts.formats),
        domains=len(counts.domains),
        top_domains=dict(islice(largest_first(counts.domains).items(), DOMAINS_LISTED)),
        histograms={name: _histogram(EDGES[name], bars) for name, bars in counts.bars.items() if bars},
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

    def each(count: int, form: str) -> str:
        """The mean of a document, where one is not as the other by its kind."""
        of = "text" if "page" not in summary.kinds else "document"
        return f", {count / summary.samples:,{form}} a {of}" if summary.samples else ""

    kinds = f"  ({listed(summary.kinds)}; {listed(summary.splits)})" if summary.samples else ""
    yield "samples", f"{summary.samples:,}{kinds}"
    if summary.images:
        yield "images", f"{summary.images:,}{each(summary.images, '.1f') if 'page' in summary.kinds else ''}"
    if summary.videos:
        yield "clips", f"{summary.videos:,}, {counted(summary.frames, 'frame')}, {summary.seconds:,.1f} s"
    yield "words", f"{summary.words:,}{each(summary.words, '.0f')}"
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


# --- a page to read --------------------------------------------------------------------------------------------------


def write_html(names: Sequence[str], out_file: str, limit: int) -> int:
    """Writes one self-contained HTML page with up to `limit` documents, spread evenly; returns how many it shows."""
    found = find_shards(names)
    counts = counts_of(found)
    manifest = None
    if len(found) == 1 and found[0].folder:
        try:
            manifest = manifest_of(found[0].folder)
        except (DataSetError, DamageError):  # shards can be looked at before the build is done
            manifest = None
    documents: list[Shown] = [shown(shard, sample) for shard, sample in spread(counts, limit)]
    report = report_of(manifest) if manifest else None
    text = page(_title(found), documents, sum(counts.values()), len(counts), report)
    paths.publish(out_file, text.encode("utf-8", "replace"))
    return len(documents)


def write_sheet(names: Sequence[str], out_file: str, count: int) -> tuple[str, str]:
    """Writes a contact sheet of up to `count` samples, spread evenly over the shards, as PNG.

    Returns:
        What it shows, and which of the characters no font of this machine has ("" if there are none), for a person.
    """
    found = find_shards(names)
    counts = counts_of(found)
    entries = [entry(sample) for _, sample in spread(counts, count)]
    shards = counted(len(counts), "shard")
    shows = f"{len(entries)} of {kinds_in_words([one.document for one in entries], sum(counts.values()))}"
    made = sheet(_title(found), f"{shows}, spread evenly over {shards}", entries, Fonts())
    paths.publish(out_file, made.png)
    return shows, made.lacking


def _title(found: Sequence[ShardFiles]) -> str:
    if len(found) == 1 and found[0].folder:
        return Path(found[0].folder).name
    return counted(sum(len(files.shards) for files in found), "shard")
