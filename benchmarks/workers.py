"""What a second worker is worth on a job of some minutes."""

from pathlib import Path
from statistics import median

from benchmarks.build_run import JOBS, BuildRun, make_corpus, run_build, write_recipe
from benchmarks.machine import Result, Table, say


def measure(scratch: Path, quick: bool) -> Result:
    pages, repeats = (60, 1) if quick else (20_000, 2)
    corpus = make_corpus(scratch / "workers", pages)
    recipe = write_recipe(scratch / "none.toml", "none")
    runs: dict[int, list[BuildRun]] = {1: [], 2: []}
    for number in range(repeats):
        for workers in sorted(runs, reverse=number % 2 == 1):  # neither always comes first
            say(f"workers: {workers}, round {number + 1} of {repeats}")
            runs[workers].append(run_build(recipe, corpus.folder, scratch / "out", workers))
    rows = [(str(workers), *(f"{of(found, job):.1f}" for job in ("", *JOBS))) for workers, found in runs.items()]
    ratios = [f"{of(runs[1], job) / max(of(runs[2], job), 0.1):.2f}" for job in ("", *JOBS)]
    gains = [one.seconds / two.seconds for one, two in zip(runs[1], runs[2], strict=True)]
    return Result(
        "workers",
        "Wall time of `m3w build --offline` with one worker and with two, the runs in turn on the same crawl.",
        (Table(("workers", "whole, s", *(f"{job}, s" for job in JOBS)), [*rows, ("1 / 2", *ratios)]),),
        (
            f"{pages} pages with their images ({corpus.bytes / 1e6:.0f} MB); recipe m3w with no safety scorer; medians "
            f"of {repeats}. The second worker's gain by pair of runs: {', '.join(f'{gain:.2f}' for gain in gains)}.",
            "Workers are processes of their own, one too. Shuffles of facts (select, "
            "and a part of write) run in one process.",
        ),
    )


def of(runs: list[BuildRun], job: str) -> float:
    """The median wall time of a job, or of the whole."""
    return median(run.jobs.get(job, 0.0) if job else run.seconds for run in runs)
