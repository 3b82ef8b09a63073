"""A build that is killed at any point goes on with the same command and gives the same bytes."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from builds import build_in, digests, m3w, start, unfinished, write_recipe
from crawls import CRAWL

from pipelines.engine import Build, LocalEngine
from pipelines.facts import LEDGER, LedgerRow
from pipelines.store.facts import read_rows


def done(output: Path, job: str) -> dict[str, int]:
    """The done-files of a job, with the times at which they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (output / "work" / "done" / job).glob("*.json")}


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command as a process group that does not outlive the block."""
    process = start(*arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(process: subprocess.Popen[str], reached: Callable[[], object]) -> None:
    while not reached():
        if process.poll() is not None:
            raise AssertionError(f"it ended before it was to be killed: {process.communicate()}")
        time.sleep(0.001)


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finish(*arguments: object) -> None:
    process = start(*arguments)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out, err) == (0, "", "")


@dataclass
class Dies(LocalEngine):
    """Stops after so many shuffles, the last of which is written and not committed."""

    shuffles: int = 0

    def run(self, name: str, build: Build, workers: int = 0) -> None:
        super().run(name, build, workers)
        if "." in name:
            self.shuffles -= 1
            if not self.shuffles:
                raise ConnectionError("the engine is gone")


@pytest.mark.parametrize("shuffles", [1, 3, 7, 9])
@pytest.mark.parametrize("cluster_first", [True, False])
def test_begun_on_a_cluster_and_finished_on_one_machine(
    shuffles: int, cluster_first: bool, reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    """Facts are split otherwise, and the passes are others."""
    size = -(-crawl.stat().st_size // 3)
    with pytest.raises(ConnectionError, match="the engine is gone"):
        build_in(tmp_path / "out", crawl, recipe, Dies(at_once=cluster_first, shuffles=shuffles), size, 40)
    output = build_in(tmp_path / "out", crawl, recipe, LocalEngine(at_once=not cluster_first), size, 40)
    assert digests(output) == digests(reference)


def test_killed_in_each_job_and_resumed(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work")
    with running(*command) as process:
        wait_until(process, lambda: len(done(output, "scan")) >= 3)
        os.killpg(process.pid, signal.SIGSTOP)
        code, _, error = m3w(*command)
        assert (
            code == 2 and error == f"m3w: another build is writing to {output}; wait for it, or give another folder\n"
        )
        kill_group(process)
    scanned = done(output, "scan")
    assert len(scanned) < 20 and not done(output, "shuffles")

    packs = output / "work" / "media" / "packs"
    with running(*command) as process:
        wait_until(process, lambda: list(packs.glob("*.tmp")))  # an image was encoded, and no ledger names it yet
        kill_group(process)
    assert done(output, "scan").items() >= scanned.items(), "what was committed is not done again"
    scanned, selected = done(output, "scan"), done(output, "shuffles")
    assert unfinished(output) and "all.json" not in done(output, "fetch")

    with running(*command) as process:
        wait_until(process, lambda: done(output, "shards"))
        kill_group(process)
    written, ledger = (
        done(output, "shards"),
        {path: path.stat().st_mtime_ns for path in output.glob("work/media/ledger/*")},
    )
    shards = sum(name.startswith("shards/") for name in digests(reference))
    assert 1 <= len(written) < shards and not (output / "_SUCCESS").exists() and ledger

    finish(*command)
    assert digests(output) == digests(reference)
    assert unfinished(output) == []
    assert done(output, "scan") == scanned
    assert done(output, "shards").items() >= written.items()
    assert {path: path.stat().st_mtime_ns for path in output.glob("work/media/ledger/*")} == ledger
    kept = {name: at for name, at in selected.items() if not name.startswith("fetch_plan.")}
    assert kept and done(output, "shuffles").items() >= kept.items()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and the whole demo crawl built with it by one worker in memory."""
    folder = tmp_path_factory.mktemp("large")
    recipe = write_recipe(folder / "test.toml", shards={"max_bytes": 1_000_000})
    return recipe, build_in(folder / "out", CRAWL, recipe)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("job", ["scan", "fetch", "shards"])
def test_two_workers_killed_in_a_job(job: str, large: tuple[Path, Path], tmp_path: Path) -> None:
    """Also of the fetch, of which the whole demo crawl has several units: what they committed is not done again."""
    recipe, reference = large
    output = tmp_path / "out"
    command = ("build", recipe, "--input", CRAWL, "--output", output, "--offline", "--quiet", "--keep-work")
    with running(*command, "--workers", 2) as process:
        wait_until(process, lambda: done(output, job))
        kill_group(process)
    assert not (output / "_SUCCESS").exists()
    ledger = set(output.glob("work/media/ledger/*"))
    assert ledger or job == "scan"
    finish(*command, "--workers", 2)
    assert digests(output) == digests(reference)
    assert unfinished(output) == []
    parts = set(output.glob("work/media/ledger/*"))
    assert parts >= ledger
    rows = [LedgerRow._make(row) for part in parts for row in read_rows(str(part), LEDGER.row)]
    addresses = Counter(row.url_key for row in rows if row.outcome != "not_in_input")  # those cost nothing
    assert addresses and set(addresses.values()) == {1}, "what was read and committed is not read again"


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes themselves, not the server that they are forked from: alone it has children."""
    return [worker for child in psutil.Process(process.pid).children() for worker in child.children()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("job", ["scan", "fetch", "shards"])
def test_one_worker_is_killed_and_the_command_goes_on(job: str, large: tuple[Path, Path], tmp_path: Path) -> None:
    """From outside, in the middle of whatever it does; deaths at certain things: test_faults.py."""
    recipe, reference = large
    output = tmp_path / "out"
    command = ("build", recipe, "--input", CRAWL, "--output", output, "--offline", "--workers", 2)
    with running(*command) as process:
        wait_until(process, lambda: done(output, job) and workers_of(process))
        workers_of(process)[0].kill()
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and "samples" in out, err
    assert "a worker process ended here (SIGKILL)" in err or job == "shards", "there are few shards: it may have ended"
    assert digests(output) == digests(reference)
    assert unfinished(output) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stopped_while_workers_start(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """Ctrl-C reaches all processes of the terminal, and workers before they have begun to listen to the driver; a
    signal may also reach the driver alone, while its workers are in the middle of a unit."""
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--workers", 2)
    for seconds, send in ((0.0, os.killpg), (1.5, os.killpg), (1.5, os.kill)):
        with running(*command) as process:
            wait_until(process, lambda process=process: len(workers_of(process)) == 2)  # type: ignore[misc]
            time.sleep(seconds)
            workers = workers_of(process)
            send(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (130, "", "m3w: stopped; the same command goes on where it stood\n")
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    finish(*command)
    assert digests(output) == digests(reference)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_do_not_outlive_the_command(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--workers", 2)
    with running(*command) as process:
        wait_until(process, lambda: done(output, "scan"))
        workers = workers_of(process)
        process.kill()
        assert len(workers) == 2
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    finish(*command)
    assert digests(output) == digests(reference)
