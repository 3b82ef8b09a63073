"""What a build of many pages takes, from the figures of the benchmarks: the table of docs/scale.md.

    python -m benchmarks.estimate [--pages 1e6 1e8 3e9] [--core-hour 0.05] ...

Every figure but the prices was measured by a benchmark of this repository; what it was measured on decides it, so put
in your own.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

PAGES = (1e6, 1e8, 3e9)
"""A test, a large data set, and about one crawl of Common Crawl."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one page that comes in, unless said otherwise."""

    scan: float = 213.0
    """Pages that a core reads in a second, from its bytes to its facts (results/pages.md)."""
    input_bytes: float = 30e3
    """Compressed, without images: about what Common Crawl has."""
    wanted: float = 1.17
    """Images that are fetched (results/whole_job.md: 23,351 for 20,000 pages)."""
    fetch: float = 136.0
    """Images that a core fetches, measures and encodes in a second (results/pairs.md, JPEG of 0.5 megapixels)."""
    safety: float = 0.026
    """Seconds of a core for an image's safety score (results/whole_job.md: 2,393 images in 38 s on two cores, without
    it 23,351 in 64 s)."""
    image_bytes: float = 46e3
    """Of an original (results/pairs.md)."""
    rows: float = 28.0
    """Rows of facts that go into shuffles (results/scale.md)."""
    shuffle: float = 18_000.0
    """Rows that a core shuffles in a second (results/scale.md)."""
    fact_bytes: float = 1_800.0
    """Of the files of facts that shuffles read (results/scale.md)."""
    pack_bytes: float = 12.9e3
    """Of packs and facts between the jobs (results/whole_job.md: 258 MB for 20,000 pages)."""
    documents: float = 0.355
    """Documents that come out (results/whole_job.md: 7,103 of 20,000 pages)."""
    write: float = 190.0
    """Documents that a core writes in a second (results/whole_job.md: 7,103 in 19 s on two cores)."""
    document_bytes: float = 72.6e3
    """Of a document with its images in a shard (results/whole_job.md: 516 MB)."""
    requests: float = 3.05
    """To an object store, each range for itself (results/object_store.md): of a large crawl a shard takes few
    neighbours. Joined, as of a small one, they are 0.4."""
    shard_bytes: float = 1e9
    """Most that a shard holds (recipe m3w)."""
    unit_bytes: float = 32 * 2**20
    """Of a unit of the scan (recipe m3w)."""
    rows_per_file: float = 100_000.0
    """Rows of facts that go into one file on a cluster."""
    core_hour: float = 0.05
    """Price of a core with 4 GB for an hour, dollars: what clouds ask for machines that may be taken away."""
    thousand_requests: float = 0.0004
    """Price of 1000 reads of an object store, dollars."""
    gigabyte_month: float = 0.02
    """Price of keeping a GB for a month, dollars."""


def table(figures: Figures, pages: Sequence[float]) -> list[tuple[str, ...]]:
    """Rows of (what, a cell for each number of pages)."""
    rows: list[tuple[str, ...]] = []

    def row(what: str, each: float, form: str = ",.0f", least: float = 0.0) -> None:
        rows.append((what, *(f"{max(least, each * count):{form}}" for count in pages)))

    scan, fetch = 1 / figures.scan / 3600, figures.wanted / figures.fetch / 3600
    shuffle, write = figures.rows / figures.shuffle / 3600, figures.documents / figures.write / 3600
    safety = figures.wanted * figures.safety / 3600
    hours = scan + fetch + safety + shuffle + write
    out = figures.documents * figures.document_bytes
    kept = out + figures.wanted * figures.image_bytes
    row("documents out", figures.documents)
    row("core hours: scan", scan, ",.1f")
    row("core hours: fetch", fetch, ",.1f")
    row("core hours: safety of images", safety, ",.1f")
    row("core hours: shuffles", shuffle, ",.1f")
    row("core hours: shards", write, ",.1f")
    row("days on 16 cores", hours / 16 / 24, ",.2f")
    row("hours on 1,000 cores", hours / 1000, ",.2f")
    row("input read, GB", figures.input_bytes / 1e9)
    row("images fetched, GB", figures.wanted * figures.image_bytes / 1e9)
    row("facts through shuffles, GB", figures.fact_bytes / 1e9, ",.1f")
    row("packs and facts between jobs, GB", figures.pack_bytes / 1e9)
    row("units of the scan, a pack each", figures.input_bytes / figures.unit_bytes, least=1)
    row("files of facts that a shuffle writes on a cluster", figures.rows / 10 / figures.rows_per_file, least=1)
    row("requests to an object store, at most", figures.requests)
    row("shards", out / figures.shard_bytes, least=1)
    row("shards, GB", out / 1e9)
    row("computing, dollars", hours * figures.core_hour)
    row("requests, dollars", figures.requests / 1000 * figures.thousand_requests)
    row("keeping shards and originals a month, dollars", kept / 1e9 * figures.gigabyte_month)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=float, nargs="+", default=PAGES)
    for field in fields(Figures):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = vars(parser.parse_args())
    pages = given.pop("pages")
    for what, *cells in table(replace(Figures(), **given), pages):
        print(f"{what:50s}", *(f"{cell:>16s}" for cell in cells))


if __name__ == "__main__":
    main()
