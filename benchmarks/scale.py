"""Shuffles of millions of made facts by the build's own code: rows per second, and whether memory stays flat."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.build_run import SAMPLE_SECONDS, Sampler, write_recipe
from benchmarks.machine import ROOT, Result, Table, say

IMAGES = 5
"""Of a page."""


@dataclass(frozen=True)
class FactRun:
    """The shuffles of one made crawl."""

    engine: str
    pages: int
    steps: Sequence[dict[str, Any]]
    """What `fact_flow` says of each shuffle."""
    end: dict[str, Any]
    seconds: float
    """Wall time of all shuffles."""
    peak: int
    """Most memory of all processes together at one time, bytes (PSS)."""

    @property
    def rows(self) -> int:
        return sum(step["rows"] for step in self.steps)

    @property
    def bytes(self) -> int:
        """Of the files of facts that the shuffles read, compressed."""
        return sum(step["bytes"] for step in self.steps)


def measure(scratch: Path, quick: bool) -> Result:
    sizes = [1_000, 3_000] if quick else [25_000, 100_000, 400_000]
    recipe = write_recipe(scratch / "none.toml", "none")
    runs = [run("one machine", recipe, scratch / "facts", pages) for pages in sizes]
    if not quick and (ROOT / "build/spark/job-server.jar").exists() and (ROOT / ".venv-spark").exists():
        runs += [run("Spark", recipe, scratch / "facts", pages, "--spark") for pages in sizes[:1]]
    for one in runs:
        if one.end != next(other for other in runs if other.pages == one.pages).end:
            raise RuntimeError(f"{one.engine} counts otherwise than one machine: {one.end}")
    largest = max((one for one in runs if one.engine == "one machine"), key=lambda one: one.pages)
    return Result(
        "scale",
        f"Pages of {IMAGES} picture addresses each, as rows of facts, through all shuffles of `m3w build m3w`, with a "
        "ledger of all addresses. One host has a third of all pages, and one picture stands on every page.",
        (
            Table(
                ("engine", "pages", "rows into shuffles", "bytes a page", "shuffles, s", "rows/s", "peak memory, MB"),
                [
                    (
                        one.engine,
                        f"{one.pages:,}",
                        f"{one.rows:,}",
                        f"{one.bytes / one.pages:,.0f}",
                        f"{one.seconds:.0f}",
                        f"{one.rows / one.seconds:,.0f}",
                        f"{one.peak / 1e6:.0f}",
                    )
                    for one in runs
                ],
            ),
            Table(
                ("shuffle", "rows in", "s", "rows/s", "files out", "rows of the largest"),
                [
                    (
                        step["name"],
                        f"{step['rows']:,}",
                        f"{step['seconds']:.0f}",
                        f"{step['rows'] / step['seconds']:,.0f}",
                        f"{step['files']:,}",
                        f"{step['largest']:,}",
                    )
                    for step in largest.steps
                ],
                f"{largest.pages:,} pages on one machine",
            ),
        ),
        (
            "One machine: one process, in passes of 100,000 rows. Spark: a standalone cluster of two cores on the same "
            "machine, all rows at once; its memory is that of all Java and Python processes, its time has some seconds "
            "of start for each shuffle.",
            f"Memory is PSS, every {SAMPLE_SECONDS} s. The counts of the funnel are the same on both engines.",
            "`fetch_plan` and `outcomes` read the ledger too.",
        ),
    )


def run(engine: str, recipe: Path, folder: Path, pages: int, *options: str) -> FactRun:
    """The shuffles in processes of their own.

    Raises:
        RuntimeError: they failed.
    """
    say(f"scale: {engine}, {pages} pages")
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.fact_flow", str(folder), "--recipe", str(recipe)]
    command += ["--pages", str(pages), "--images", str(IMAGES), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    sampler = Sampler(process.pid)
    sampler.start()
    told = [json.loads(line) for line in process.stdout or ()]
    errors = process.stderr.read() if process.stderr else ""
    sampler.stop()
    if process.wait():
        raise RuntimeError(f"{' '.join(command)}: {errors[-2000:]}")
    shutil.rmtree(folder)
    steps = [line for line in told if "rows" in line]
    return FactRun(
        engine=engine,
        pages=pages,
        steps=steps,
        end=told[-1],
        seconds=sum(step["seconds"] for step in steps),
        peak=sampler.peak,
    )
