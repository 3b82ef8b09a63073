"""Pictures per second from an address list to shards of image-text pairs, beside img2dataset and beside a bare client."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import urllib3

from benchmarks.build_run import SAMPLE_SECONDS, Sampler
from benchmarks.machine import ROOT, Result, Table, say
from benchmarks.picture_server import BAD_STEP, HOSTS, PictureServer, bad, load_pictures, serving
from pipelines.facts import LedgerRow
from pipelines.store.facts import read_rows
from pipelines.store.media import MediaStore

SIDE = 256
QUALITY = 90
WORKERS = 2
PEER = "img2dataset==1.47.0"
# What pip chose for it on the day of writing; newer ones may not work with it.
PEER_NEEDS = ("numpy==2.4.6", "opencv-python-headless==4.14.0.94", "albumentations==1.4.24", "pyarrow==26.0.1")
PEER_THREADS = (256, 32)
"""Threads of each process: its own default, and what our workers have."""
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


def measure(scratch: Path, quick: bool) -> Result:
    count, rounds = (700, 1) if quick else (5000, 3)
    table, recipe = scratch / "pairs.tsv", scratch / "pairs.toml"
    recipe.write_text(RECIPE)
    with serving() as server:
        table.write_text("".join(["url\tcaption\n", *(f"{server.url(n)}\t{caption(n)}\n" for n in range(count))]))
        ours = our_tool(table, recipe, 1 if quick else WORKERS)
        peers = [] if quick else peer_tools(table, install_peer(scratch / "peer"), count)
        tools = [ours, *peers, bare_client(table)]
        runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
        for number in range(rounds):
            for tool in tools[number % len(tools) :] + tools[: number % len(tools)]:  # none always comes first
                say(f"pairs: {tool.name}, round {number + 1} of {rounds}")
                runs[tool.name].append(run(tool, scratch / "out", server))
        broken = [interrupted(tool, scratch / "broken", server, count) for tool in [ours, *peers[:1]]]
    good = sum(not bad(number) for number in range(count))
    pictures = load_pictures()
    kilobytes = sum(len(picture.data) for picture in pictures) / len(pictures) / 1e3
    return Result(
        "pairs",
        f"A table of {count} addresses with texts made into WebDataset shards of pictures with a largest side of {SIDE} "
        f"pixels: `m3w build` with two workers, img2dataset with two processes, and urllib3 with keep-alive in one "
        "process that throws the bodies away; in turn, from the same server.",
        (
            Table(HEAD, rows(runs)),
            Table(BROKEN_HEAD, broken, "Killed half way and started again"),
        ),
        (
            f"{good} of the {count} addresses give a picture, JPEG and PNG in equal parts, {kilobytes:.0f} kB on average, "
            f"the others a 404, a web page, an X-Robots-Tag or half a body. {HOSTS} addresses of loopback stand for as "
            "many hosts: keep-alive is worth less where every address is another host's.",
            f"The same for all: sides above {SIDE} reduced, smaller ones left, JPEG of quality {QUALITY}, JPEGs that are "
            "small enough kept as they are, SHA-256, X-Robots-Tag obeyed, no robots.txt, no second try. Ours keeps the "
            "originals too, and measures (perceptual hash, deviation, dominant colour) that img2dataset has not.",
            f"Processor time is user and system time of all processes of a tool, its start-up included, the server's "
            f"not; it runs on the same cores. Medians of {rounds}. Memory is PSS every {SAMPLE_SECONDS} s.",
            "Killed: SIGKILL to all processes once half of the addresses were asked for and, for ours, something was "
            "committed. Committed: for ours, addresses in the ledger; for img2dataset, those in shards with statistics.",
            "Without img2dataset: installing it takes minutes." if quick else f"{PEER} with {', '.join(PEER_NEEDS)}.",
        ),
    )


HEAD = ("", "images/s", "images per CPU second", "CPU s", "wall, s", "peak memory, MB", "written", "requests", "ours is")
BROKEN_HEAD = ("", "asked before", "committed", "committed and asked again", "others asked again", "written", "same shards")


def caption(number: int) -> str:
    """A text that every rule lets pass, of its own for each picture."""
    ones = ("small", "large", "old", "new", "bright", "dark", "red", "green", "blue", "grey")
    three, two, one = (ones[number // step % 10] for step in (100, 10, 1))
    return f"A picture of a {three} window with {two} buttons beside {one} tools, number {number // 1000}"


def rows(runs: Mapping[str, Sequence[Run]]) -> list[tuple[str, ...]]:
    """A row for each tool, the last column how many times its images per processor second ours has."""
    found = []
    for name, some in runs.items():
        wall, processor = (median(r.seconds for r in some), median(r.processor for r in some))
        written = sorted({r.written for r in some})
        found.append(
            (
                name,
                f"{written[-1] / wall:.0f}",
                f"{written[-1] / processor:.0f}",
                f"{processor:.1f}",
                f"{wall:.1f}",
                f"{median(r.peak for r in some) / 1e6:.0f}",
                " or ".join(map(str, written)),
                " or ".join(str(n) for n in sorted({r.asked for r in some})),
                f"{processor / median(r.processor for r in next(iter(runs.values()))):.2f} times as fast",
            )
        )
    return found


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
        quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.process_tree", *map(str, tool.command(output))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **quiet},
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


def interrupted(tool: Tool, output: Path, server: PictureServer, count: int) -> tuple[str, ...]:
    """Kills the tool half way, starts it again, and says what the server was asked for twice."""
    say(f"pairs: {tool.name}, killed half way")
    shutil.rmtree(output, ignore_errors=True)
    whole = output.with_name("whole")
    shutil.rmtree(whole, ignore_errors=True)
    ours = tool.name == OURS
    with started(tool, whole) as process:
        process.wait()
    server.asked()
    asked: Counter[int] = Counter()
    with started(tool, output) as process:
        while process.poll() is None and not (len(asked) >= count // 2 and (committed(output) or not ours)):
            time.sleep(0.05)
            asked += server.asked()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    asked += server.asked()
    done = committed(output)
    with started(tool, output) as process:
        process.wait()
    check(tool, process, output)
    again = server.asked()
    twice = asked.keys() & again.keys()
    row = (
        tool.name,
        str(len(asked)),
        str(len(done)),
        str(len(twice & done)),
        str(len(twice - done)),
        str(tool.written(output)),
        "yes" if digests(whole) == digests(output) else "no",
    )
    shutil.rmtree(output)
    shutil.rmtree(whole)
    return row


def committed(output: Path) -> set[int]:
    """Pictures that a broken run need not ask for again."""
    ledger = MediaStore(str(output / "media")).ledger_files() if (output / "media").is_dir() else []
    urls = [LedgerRow._make(row).url for path in ledger for row in read_rows(path, LedgerRow)]
    for path in output.glob("*_stats.json"):  # img2dataset's word for a shard that is done
        import pyarrow.parquet

        urls += pyarrow.parquet.read_table(path.with_name(path.name.replace("_stats.json", ".parquet")))["url"].to_pylist()
    return {int(url.rsplit("/", 1)[1]) for url in urls}


def digests(output: Path) -> list[str]:
    return [sha256(path.read_bytes()).hexdigest() for path in sorted(output.rglob("*.tar")) if "media" not in path.parts]


OURS = "m3w build"


def our_tool(table: Path, recipe: Path, workers: int) -> Tool:
    """`m3w build` as from the command line."""
    lifted = [word for lift in ("loopback", "no-pacing") for word in ("--allow-for-test", lift)]
    build = [sys.executable, "-m", "pipelines.cli", "build", recipe, "--input", table, "--workers", str(workers)]
    return Tool(
        OURS,
        lambda output: [*build, "--output", output, "--contact", "bench@example.org", *lifted],
        lambda output: sum(map(pictures_in, (output / "shards").glob("*.tar"))),
    )


def peer_tools(table: Path, python: Path, count: int) -> list[Tool]:
    """img2dataset with its default of threads and with ours."""
    options = {
        "input_format": "tsv",
        "url_list": table,
        "caption_col": "caption",
        "output_format": "webdataset",
        "processes_count": WORKERS,
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
    command = [python.with_name("img2dataset"), *(f"--{name}={value}" for name, value in options.items())]

    def tool(threads: int) -> Tool:
        return Tool(
            f"img2dataset, {threads} threads",
            lambda output: [*command, f"--thread_count={threads}", f"--output_folder={output}"],
            lambda output: sum(map(pictures_in, output.glob("*.tar"))),
        )

    return [tool(threads) for threads in PEER_THREADS]


def install_peer(folder: Path) -> Path:
    """The Python of an environment of its own with img2dataset."""
    say(f"pairs: installing {PEER}")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PEER, *PEER_NEEDS], check=True)
    return python


def bare_client(table: Path) -> Tool:
    """urllib3 with keep-alive and as many threads as one of our workers, and nothing behind it."""
    read = [sys.executable, "-m", "benchmarks.pairs", table]
    return Tool(
        "bare urllib3",
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


if __name__ == "__main__":
    print(json.dumps({"bodies": read_all(Path(sys.argv[1]))}))
