"""Peak memory of all processes of a build, for crawls of very different size: it must be small and must not grow."""

import shutil
from pathlib import Path

from benchmarks.build_run import JOBS, SAMPLE_SECONDS, make_corpus, run_build, write_recipe
from benchmarks.machine import Result, Table, say

WORKERS = 2
IMAGES = 10
"""Image addresses of a page."""
LIMIT = 2_000_000_000
"""Bytes that a build on one machine should never need."""


def measure(scratch: Path, quick: bool) -> Result:
    with_images = [40] if quick else [1_000, 5_000, 20_000]
    facts_only = [60] if quick else [100_000]
    recipe = write_recipe(scratch / "none.toml", "none")
    rows = []
    for pages in [*with_images, *facts_only]:
        only = pages in facts_only
        corpus = make_corpus(scratch / f"memory-{pages}", pages, IMAGES, only)
        say(f"memory: {pages} pages")
        run = run_build(recipe, corpus.folder, scratch / "out", WORKERS)
        shutil.rmtree(corpus.folder)
        rows.append(
            [
                f"{pages}{', addresses only' if only else ''}",
                f"{corpus.bytes / 1e6:.0f}",
                str(corpus.image_uses),
                f"{run.peak_bytes / 1e6:.0f}",
                f"{run.peak_job} ({run.peak_processes})",
                *(f"{run.job_peaks.get(job, 0) / 1e6:.0f}" for job in JOBS),
                f"{run.seconds:.0f}",
            ]
        )
    return Result(
        "memory",
        f"The most memory that all processes of `m3w build --offline --workers {WORKERS}` take together at one time. "
        f"It must stay below {LIMIT / 1e9:.0f} GB and must not grow with the crawl.",
        (
            Table(
                (
                    "pages",
                    "input, MB",
                    "image uses",
                    "peak, MB",
                    "in job (processes)",
                    *JOBS,
                    "wall time, s",
                ),
                rows,
            ),
        ),
        (
            f"Pages of {IMAGES} image addresses each, with the images in the crawl; `addresses only`: without them, as "
            "if all were to be fetched and none could be.",
            f"PSS (what processes share counts once) of the command and all its children, every {SAMPLE_SECONDS} s; "
            "recipe m3w with no safety scorer (its network adds about the same to every worker, at any size).",
            "The columns of the jobs are the peaks in each of them, MB.",
        ),
    )
