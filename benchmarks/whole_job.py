"""A whole build of many pages with their images: how long each job takes, and what comes out."""

from pathlib import Path

from benchmarks.build_run import JOBS, BuildRun, Corpus, make_corpus, run_build, write_recipe
from benchmarks.machine import Result, Table, say

WORKERS = 2


def measure(scratch: Path, quick: bool) -> Result:
    none = write_recipe(scratch / "none.toml", "none")
    cases: list[tuple[str, str | Path, int]]
    cases = [("no scorer", none, 60)] if quick else [("no scorer", none, 20_000), ("opennsfw", "m3w", 2_000)]
    rows = []
    for name, recipe, pages in cases:
        corpus = make_corpus(scratch / f"whole_job-{pages}", pages)
        say(f"whole_job: {name}")
        rows.append(row(name, corpus, run_build(recipe, corpus.folder, scratch / "out", WORKERS)))
    return Result(
        "whole_job",
        f"How long `m3w build m3w --offline --workers {WORKERS}` takes for a crawl of pages and their images, job by "
        "job (wall time, starting of processes included), and what it writes.",
        (Table([name for name, _ in rows[0]], [[cell for _, cell in cells] for cells in rows]),),
        (
            "The pages are copies of the demo crawl's with words exchanged, the images its images with addresses and "
            "bytes of their own; a part of both is dropped by the recipe's rules.",
            "pages/s: pages in, by the wall time of the scan and by that of the whole; images/s: images read, by the "
            "wall time of the fetch.",
        ),
    )


def row(name: str, corpus: Corpus, run: BuildRun) -> list[tuple[str, str]]:
    jobs = [(f"{job}, s", f"{run.jobs.get(job, 0):.0f}") for job in JOBS]
    return [
        ("safety", name),
        ("pages in", str(corpus.pages)),
        ("image records in", str(corpus.image_records)),
        ("input, MB", f"{corpus.bytes / 1e6:.0f}"),
        *jobs,
        ("whole, s", f"{run.seconds:.0f}"),
        ("pages/s, scan", f"{corpus.pages / run.jobs['scan']:.0f}"),
        ("pages/s, whole", f"{corpus.pages / run.seconds:.0f}"),
        ("images read", str(run.images)),
        ("images/s, fetch", f"{run.images / run.jobs['fetch']:.0f}"),
        ("documents out", str(run.samples)),
        ("shards, MB", f"{run.shard_bytes / 1e6:.0f}"),
        ("packs and facts, MB", f"{run.work_bytes / 1e6:.0f}"),
        ("peak memory, MB", f"{run.peak_bytes / 1e6:.0f}"),
    ]
