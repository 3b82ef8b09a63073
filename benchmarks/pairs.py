"""Pictures per second from a list of addresses to shards of pairs, beside img2dataset and beside a bare client."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from PIL import Image

from benchmarks.build_run import SAMPLE_SECONDS
from benchmarks.machine import Result, Table, say
from benchmarks.pair_tools import (
    BARE,
    OURS,
    PEER,
    PEER_NEEDS,
    PEER_THREADS,
    QUALITY,
    RECIPE,
    SIDE,
    WORKERS,
    Run,
    Tool,
    check,
    install_peer,
    run,
    started,
    tools_for,
)
from benchmarks.picture_server import HOSTS, KINDS, PictureServer, bad, load_pictures, serving
from pipelines.facts import LedgerRow
from pipelines.store.facts import read_rows
from pipelines.store.media import MediaStore

STARTING = 20
"""Addresses of a table that takes hardly longer than a tool's start."""


def measure(scratch: Path, quick: bool) -> Result:
    count, rounds, kinds = (700, 1, KINDS[:1]) if quick else (5000, 3, KINDS)
    recipe = scratch / "pairs.toml"
    recipe.write_text(RECIPE)
    python = None if quick else install_peer(scratch / "peer")
    tables = []
    with serving(kinds) as server:
        for kind in kinds:
            tools = tools_for(write_table(scratch / "start.tsv", server, kind, STARTING), STARTING, recipe, python)
            for _ in range(2):  # in the first Python compiles what it imports
                started_up = {tool.name: run(tool, scratch / "out", server) for tool in tools}
            tools = tools_for(write_table(scratch / f"{kind}.tsv", server, kind, count), count, recipe, python)
            runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
            for number in range(rounds):
                for tool in tools[:: -1 if number % 2 else 1]:  # none always comes first
                    say(f"pairs: {kind}, {tool.name}, round {number + 1} of {rounds}")
                    runs[tool.name].append(run(tool, scratch / "out", server))
            tables.append(Table(HEAD, rows(runs, started_up), title_of(kind)))
        tools = tools_for(scratch / "jpeg.tsv", count, recipe, python)
        broken = [interrupted(tool, scratch / "broken", server, count) for tool in tools if tool.name != BARE]
    good = sum(not bad(number) for number in range(count))
    return Result(
        "pairs",
        f"Tables of {count} addresses with texts made into WebDataset shards of pictures with a largest side of {SIDE} "
        f"pixels: `m3w build` with {WORKERS} workers, img2dataset with {WORKERS} processes of {PEER_THREADS} threads "
        "and, to see what the server can do, urllib3 with keep-alive in one process that throws the bodies away. In "
        "turn, from the same local server.",
        (*tables, Table(BROKEN_HEAD, broken, "Killed half way and started again")),
        (
            f"{good} of the {count} addresses give a picture, the others a 404, a web page, an X-Robots-Tag or half a "
            f"body. {HOSTS} addresses of loopback stand for as many hosts: keep-alive is worth less where every "
            "address is another host's.",
            f"The same for all: sides above {SIDE} reduced, smaller ones left, JPEG of quality {QUALITY}, SHA-256, "
            "X-Robots-Tag obeyed, no robots.txt, no second try. Ours also judges texts, measures each picture "
            "(perceptual hash, deviation, dominant colour), keeps the originals, and looks for equal pairs.",
            f"Processor time is user and system time of all processes of a tool, not of the server, which runs on the "
            f"same cores. `without start-up`: less what the tool took for {STARTING} addresses. Medians of {rounds}. "
            f"Memory is PSS of all processes of a tool, every {SAMPLE_SECONDS} s.",
            "Killed: SIGKILL to all processes once half of the addresses were asked for and, for ours, something was "
            "committed. Committed: for ours, addresses in the ledger; for img2dataset, those of whole shards.",
            "Without img2dataset: installing it takes minutes." if quick else f"{PEER} with {', '.join(PEER_NEEDS)}.",
        ),
    )


HEAD = (
    "",
    "images per CPU second",
    "times img2dataset",
    "without start-up",
    "times img2dataset",
    "start-up, CPU s",
    "CPU, s",
    "images/s, wall",
    "wall, s",
    "peak memory, MB",
    "images written",
    "requests",
)
BROKEN_HEAD = ("", "asked before", "committed", "of these asked again", "others asked again", "written", "same shards")


def title_of(kind: str) -> str:
    """What a reader needs to know about a kind of pictures."""
    pictures = load_pictures(kind)
    sizes = [Image.open(BytesIO(picture.data)).size for picture in pictures]
    pixels = sum(width * height for width, height in sizes) / len(sizes)
    kilobytes = sum(len(picture.data) for picture in pictures) / len(pictures) / 1e3
    name = {"jpeg": "JPEG", "large": "JPEG, twice as wide and high", "png": "PNG"}[kind]
    return f"{name}: {pixels / 1e6:.2f} megapixels, {kilobytes:.0f} kB on average"


def write_table(path: Path, server: PictureServer, kind: str, count: int) -> Path:
    lines = ["url\tcaption", *(f"{server.url(kind, number)}\t{caption(number)}" for number in range(count))]
    path.write_text("\n".join(lines) + "\n")
    return path


def caption(number: int) -> str:
    """A text that every rule lets pass, of its own for each picture."""
    ones = ("small", "large", "old", "new", "bright", "dark", "red", "green", "blue", "grey")
    three, two, one = (ones[number // step % 10] for step in (100, 10, 1))
    return f"A picture of a {three} window with {two} buttons beside {one} tools, number {number // 1000}"


def rows(runs: Mapping[str, Sequence[Run]], started_up: Mapping[str, Run]) -> list[tuple[str, ...]]:
    """A row for each tool."""
    speeds = {name: median(r.written / r.processor for r in some) for name, some in runs.items()}
    later = {
        name: median((r.written - starts.written) / (r.processor - starts.processor) for r in runs[name])
        for name, starts in started_up.items()
    }
    return [
        (
            name,
            f"{speeds[name]:.0f}",
            f"{speeds[name] / speeds[PEER]:.2f}" if PEER in speeds else "",
            f"{later[name]:.0f}",
            f"{later[name] / later[PEER]:.2f}" if PEER in later else "",
            f"{started_up[name].processor:.1f}",
            f"{median(r.processor for r in some):.1f}",
            f"{median(r.written / r.seconds for r in some):.0f}",
            f"{median(r.seconds for r in some):.1f}",
            f"{median(r.peak for r in some) / 1e6:.0f}",
            " or ".join(str(n) for n in sorted({r.written for r in some})),
            " or ".join(str(n) for n in sorted({r.asked for r in some})),
        )
        for name, some in runs.items()
    ]


def interrupted(tool: Tool, output: Path, server: PictureServer, count: int) -> tuple[str, ...]:
    """Kills the tool half way, starts it again, and says what the server was asked for twice."""
    say(f"pairs: {tool.name}, killed half way")
    shutil.rmtree(output, ignore_errors=True)
    whole = output.with_name("whole")
    if tool.name == OURS:
        with started(tool, whole) as process:
            process.wait()
    server.asked()
    asked: Counter[str] = Counter()
    with started(tool, output) as process:
        while process.poll() is None and not (len(asked) >= count // 2 and (committed(output) or tool.name != OURS)):
            time.sleep(0.05)
            asked += server.asked()
    asked += server.asked()
    done = committed(output)
    with started(tool, output) as process:
        assert process.stdout is not None
        *_, used = process.stdout
    check(tool, json.loads(used)["code"], output)
    again = asked.keys() & server.asked().keys()
    row = (
        tool.name,
        str(len(asked)),
        str(len(done)),
        str(len(again & done)),
        str(len(again - done)),
        str(tool.written(output)),
        ("yes" if digests(whole) == digests(output) else "no") if whole.exists() else "",
    )
    shutil.rmtree(output)
    shutil.rmtree(whole, ignore_errors=True)
    return row


def committed(output: Path) -> set[str]:
    """Paths of the addresses that a broken run need not ask for again."""
    ledger = MediaStore(str(output / "media")).ledger_files() if (output / "media").is_dir() else []
    urls = [LedgerRow._make(row).url for path in ledger for row in read_rows(path, LedgerRow)]
    for path in output.glob("*_stats.json"):  # img2dataset's word that a shard is done
        urls += pq.read_table(path.with_name(path.name.replace("_stats.json", ".parquet")))["url"].to_pylist()
    return {urlsplit(url).path for url in urls}


def digests(output: Path) -> list[str]:
    return [
        sha256(path.read_bytes()).hexdigest() for path in sorted(output.rglob("*.tar")) if "media" not in path.parts
    ]
