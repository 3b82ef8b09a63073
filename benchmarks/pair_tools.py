"""What the pairs benchmark compares: our build, img2dataset and a bare client, each run in processes of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import urllib3

from benchmarks.build_run import Sampler
from benchmarks.machine import ROOT, say
from benchmarks.picture_server import HOSTS, PictureServer

OURS = "m3w build"
BARE = "bare urllib3"
SIDE = 256
"""Largest side of a picture that is written, pixels."""
QUALITY = 90
"""Of JPEG."""
WORKERS = 2
PEER = "img2dataset 1.47.0"
# What pip chose for it on the day of writing; newer ones may not work with it.
PEER_NEEDS = ("numpy==2.4.6", "opencv-python-headless==4.14.0.94", "albumentations==1.4.24", "pyarrow==26.0.1")
PEER_THREADS = 256
"""Of each process: its own default."""
RECIPE = f"""# align that lets every pair pass and judges nothing but whether the picture can be had.
extends = "align"

[language]
min_score = 0.0

[rare_words]
max_ngrams = 0

[image_url]
min_declared_side = 1

[fetch]
respect_robots = false
retries = 0
max_tries = 1
breaker_failures = 1000

[media]
max_side = {SIDE}
jpeg_quality = {QUALITY}
png_max_bytes_per_pixel = 0.0

[image_filter]
min_side = 1
max_ratio = 1000.0
min_deviation = 0.0
max_dominant_share = 1.0

[image_safety]
scorer = "none"
"""


@dataclass(frozen=True)
class Run:
    """What one run of a tool took."""

    seconds: float
    """Wall time of the command."""
    processor: float
    """User and system time of all its processes, seconds."""
    peak: int
    """Most memory of all its processes together at one time, bytes (PSS)."""
    written: int
    """Pictures that it wrote; of the bare client: bodies that it read."""
    asked: int
    """Requests that the server saw."""


@dataclass(frozen=True)
class Tool:
    """A command that fetches a table of pairs."""

    name: str
    command: Callable[[Path], Sequence[str | Path]]
    """Arguments for an output folder, which does not exist yet unless a run into it was broken off."""
    written: Callable[[Path], int]
    """Pictures in the output folder."""


def tools_for(table: Path, count: int, recipe: Path, python: Path | None) -> list[Tool]:
    """What is compared, for a table of `count` addresses; without img2dataset if there is no `python` that has it."""
    peers = [peer_tool(table, python, count)] if python else []
    return [our_tool(table, recipe, WORKERS if python else 1), *peers, bare_client(table)]


def our_tool(table: Path, recipe: Path, workers: int) -> Tool:
    """`m3w build` as from the command line."""
    build: list[str | Path] = [sys.executable, "-m", "pipelines.cli", "build", recipe, "--input", table]
    build += ["--workers", str(workers), "--contact", "bench@example.org"]
    build += ["--allow-for-test", "loopback", "--allow-for-test", "no-pacing"]
    return Tool(
        OURS,
        lambda output: [*build, "--output", output],
        lambda output: sum(map(pictures_in, (output / "shards").glob("*.tar"))),
    )


def peer_tool(table: Path, python: Path, count: int) -> Tool:
    """img2dataset with the settings that give what ours gives."""
    options = {
        "input_format": "tsv",
        "url_list": table,
        "caption_col": "caption",
        "output_format": "webdataset",
        "processes_count": WORKERS,
        "thread_count": PEER_THREADS,
        "number_sample_per_shard": -(-count // (2 * WORKERS)),
        "image_size": SIDE,
        "resize_mode": "keep_ratio_largest",
        "resize_only_if_bigger": True,
        "skip_reencode": True,
        "encode_format": "jpg",
        "encode_quality": QUALITY,
        "extract_exif": False,
        "compute_hash": "sha256",
    }
    command: list[str | Path] = [
        python.with_name("img2dataset"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    return Tool(
        PEER,
        lambda output: [*command, f"--output_folder={output}"],
        lambda output: sum(map(pictures_in, output.glob("*.tar"))),
    )


def install_peer(folder: Path) -> Path:
    """The Python of an environment of its own with img2dataset."""
    say(f"pairs: installing {PEER}")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PEER.replace(" ", "=="), *PEER_NEEDS], check=True)
    return python


def bare_client(table: Path) -> Tool:
    """urllib3 with keep-alive and as many threads as one of our workers, and nothing behind it."""
    read: list[str | Path] = [sys.executable, "-m", "benchmarks.pair_tools", table]
    return Tool(
        BARE,
        lambda output: [*read, output],
        lambda output: json.loads(output.with_suffix(".log").read_text())["bodies"],
    )


def read_all(table: Path) -> int:
    """Reads every address of a table; how many gave a whole body with status 200."""
    urls = [line.split("\t")[0] for line in table.read_text().splitlines()[1:]]
    pool = urllib3.PoolManager(num_pools=HOSTS, maxsize=32, retries=False)

    def read(url: str) -> bool:
        try:
            return pool.request("GET", url).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    with ThreadPoolExecutor(32) as threads:
        return sum(threads.map(read, urls))


def pictures_in(shard: Path) -> int:
    with tarfile.open(shard) as tar:
        return sum(name.endswith((".jpg", ".png")) for name in tar.getnames())


def run(tool: Tool, output: Path, server: PictureServer) -> Run:
    """Runs a tool to its end and removes what it made.

    Raises:
        RuntimeError: it failed; the message ends as its own did.
    """
    shutil.rmtree(output, ignore_errors=True)
    server.asked()
    with started(tool, output) as process:
        assert process.stdout is not None
        sampler = Sampler(int(process.stdout.readline()))
        begin = time.monotonic()
        sampler.start()
        used = json.loads(process.stdout.readline())
        seconds = time.monotonic() - begin
        sampler.stop()
    check(tool, used["code"], output)
    asked = server.asked().total()
    result = Run(seconds, used["seconds"], sampler.peak, tool.written(output), asked)
    shutil.rmtree(output, ignore_errors=True)
    return result


@contextmanager
def started(tool: Tool, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The tool's command as the leader of a group of processes; nothing of it is left when the block ends."""
    with output.with_suffix(".log").open("wb") as log:
        quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}  # it would ask a registry for news
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(output.with_name("pyc"))}  # as installed
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.process_tree", *map(str, tool.command(output))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **quiet, **compiled},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends all processes of a group, if there still are any, without a warning."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check(tool: Tool, code: int, output: Path) -> None:
    if code:
        said = output.with_suffix(".log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{tool.name}: exit code {code}: {said}")


if __name__ == "__main__":  # the bare client
    print(json.dumps({"bodies": read_all(Path(sys.argv[1]))}))
