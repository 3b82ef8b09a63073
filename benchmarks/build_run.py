"""One `m3w build` in processes of its own: how long each job took, and the memory of all its processes together."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.corpus import load_templates, write_corpus
from benchmarks.machine import ROOT, say

SAMPLE_SECONDS = 0.2
JOBS = ("scan", "select", "fetch", "write", "publish")
"""The jobs of a build in order; it says on stderr when one has ended."""


@dataclass(frozen=True)
class Corpus:
    """A made crawl."""

    folder: Path
    pages: int
    image_uses: int
    image_records: int
    bytes: int


@dataclass(frozen=True)
class BuildRun:
    """What one build took."""

    seconds: float
    """Wall time of the command."""
    jobs: dict[str, float]
    """Wall time of each job, seconds."""
    pages: int
    """Pages read."""
    images: int
    """Images read."""
    samples: int
    shard_bytes: int
    work_bytes: int
    """Packs, facts and whatever else the build kept besides the shards until its end; only with `keep_work`."""
    peak_bytes: int
    """Most memory of all its processes together at one time (PSS: pages that processes share count once)."""
    peak_job: str
    """The job that was running then."""
    peak_processes: int
    """How many processes there were then."""
    job_peaks: dict[str, int]


def make_corpus(folder: Path, pages: int, images: int | None = None, facts_only: bool = False) -> Corpus:
    """The crawl that `python -m benchmarks.corpus FOLDER --pages PAGES ...` makes.

    Args:
        images: pictures of a page; None: those of the real page.
        facts_only: addresses of pictures but no records of them.
    """
    say(f"making {pages} pages")
    totals = write_corpus(folder, load_templates(None, images), pages, 0, not facts_only)
    return Corpus(folder, totals.pages, totals.image_uses, totals.image_records, totals.bytes)


def write_recipe(path: Path, scorer: str) -> Path:
    """The recipe `m3w` with another safety scorer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'# m3w with another scorer.\nextends = "m3w"\n\n[image_safety]\nscorer = "{scorer}"\n')
    return path


def run_build(recipe: str | Path, corpus: Path, output: Path, workers: int) -> BuildRun:
    """Runs `m3w build` to its end and removes what it made.

    Raises:
        RuntimeError: it failed; the message ends as its own did.
    """
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "pipelines.cli", "build", str(recipe), "--input", str(corpus)]
    command += ["--output", str(output), "--workers", str(workers), "--offline", "--keep-work"]
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    sampler = Sampler(process.pid)
    sampler.start()
    errors: list[str] = []
    for line in process.stderr or ():
        errors.append(line)
        sampler.job_ended(line.partition(" ")[0])
    process.wait()
    seconds = time.monotonic() - begin
    sampler.stop()
    if not (output / "_SUCCESS").exists():  # a crawl of addresses only leaves no document: whole, with exit code 1
        raise RuntimeError(f"{' '.join(command)}: {''.join(errors)[-2000:]}")
    run = json.loads((output / "run.json").read_text())
    totals = json.loads((output / "report.json").read_text())["totals"]
    result = BuildRun(
        seconds=seconds,
        jobs=run["jobs"],
        pages=run["counts"]["scan"]["pages"],
        images=run["counts"].get("fetch", {}).get("images", 0),
        samples=totals["samples"],
        shard_bytes=totals["bytes"],
        work_bytes=sum(path.stat().st_size for path in (output / "work").rglob("*") if path.is_file()),
        peak_bytes=sampler.peak,
        peak_job=sampler.peak_job,
        peak_processes=sampler.peak_processes,
        job_peaks=sampler.job_peaks,
    )
    shutil.rmtree(output)
    return result


class Sampler(threading.Thread):
    """Notes every so often what a process and all below it take together."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root, self.job = psutil.Process(pid), JOBS[0]
        self.peak = self.peak_processes = 0
        self.peak_job = ""
        self.job_peaks: dict[str, int] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            processes = family(self.root)
            used = sum(map(memory_of, processes))
            job = self.job
            self.job_peaks[job] = max(self.job_peaks.get(job, 0), used)
            if used > self.peak:
                self.peak, self.peak_job, self.peak_processes = used, job, len(processes)

    def job_ended(self, name: str) -> None:
        """The job of this name has ended and the next begins; anything else is no job."""
        if name in JOBS[:-1]:
            self.job = JOBS[JOBS.index(name) + 1]

    def stop(self) -> None:
        self._ended.set()
        self.join()


def family(root: psutil.Process) -> Sequence[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory_of(process: psutil.Process) -> int:
    """Proportional set size in bytes: a page that n processes share counts 1/n for each; 0 if it has ended."""
    try:
        with (Path("/proc") / str(process.pid) / "smaps_rollup").open() as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    except ProcessLookupError:
        return 0
    except OSError:  # another system than Linux, or a process that ended meanwhile
        try:
            return int(process.memory_info().rss)
        except psutil.Error:
            return 0
