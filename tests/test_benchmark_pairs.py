"""benchmarks.pairs: its server does what it says, all processor time is counted, and its figures can be taken."""

import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import urllib3
from PIL import Image

from benchmarks.pairs import measure
from benchmarks.picture_server import BAD, BAD_STEP, KINDS, PictureServer, bad, load_pictures, serving

ROOT = Path(__file__).parent.parent
FORMATS = {"jpeg": "JPEG", "large": "JPEG", "png": "PNG"}
ORPHAN = """
import os, time
if os.fork() == 0:  # outlives its parent, which does not wait for it
    while time.process_time() < 0.4:
        pass
    os._exit(0)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PictureServer]:
    with serving(KINDS) as served:
        yield served


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_every_address_gives_a_picture_of_its_own(kind: str, server: PictureServer, pool: urllib3.PoolManager) -> None:
    step = len(load_pictures(kind))
    numbers = [number for number in (0, 1, 2, step, step + 1, 2 * step) if not bad(number)]
    assert len(numbers) >= 4
    bodies = [pool.request("GET", server.url(kind, number)).data for number in numbers]
    assert len(set(bodies)) == len(bodies)
    for body in bodies:
        with Image.open(BytesIO(body)) as image:
            image.load()
            assert image.format == FORMATS[kind] and max(image.size) > 400
    assert pool.request("GET", server.url(kind, 0)).data == bodies[0]


def test_one_in_twenty_misbehaves(server: PictureServer, pool: urllib3.PoolManager) -> None:
    faults = {bad(number): number for number in range(BAD_STEP * len(BAD)) if bad(number)}
    assert set(faults) == set(BAD)
    assert sum(bool(bad(number)) for number in range(10 * BAD_STEP)) == 10
    urls = {fault: server.url("jpeg", number) for fault, number in faults.items()}
    assert pool.request("GET", urls["missing"]).status == 404
    assert pool.request("GET", urls["no picture"]).data.startswith(b"<!doctype html>")
    assert pool.request("GET", urls["opted out"]).headers["X-Robots-Tag"] == "noai"
    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        pool.request("GET", urls["cut"])


def test_requests_are_counted_by_address_and_connections_kept(server: PictureServer) -> None:
    server.asked()
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False) as pool:
        for number in (3, 4, 3):
            pool.request("GET", f"/png/{number}")
        assert pool.num_connections == 1
    assert server.asked() == {"/png/3": 2, "/png/4": 1}
    assert not server.asked(), "counted from the last look on"


def test_the_time_of_a_process_that_nobody_waited_for_counts() -> None:
    command = [sys.executable, "-m", "benchmarks.process_tree", sys.executable, "-c"]
    told = [
        subprocess.run([*command, code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        for code in (ORPHAN, "raise SystemExit(3)")
    ]
    orphan, failed = (json.loads(second) for _, second in told)
    assert orphan["code"] == 0 and orphan["seconds"] >= 0.4
    assert failed["code"] == 3
    assert all(int(first) > 1 for first, _ in told)


@pytest.mark.slow
def test_figures_can_be_taken(tmp_path: Path) -> None:
    pairs, broken = measure(tmp_path, quick=True).tables
    ours, bare = (dict(zip(pairs.head[-2:], row[-2:], strict=True)) for row in pairs.rows)
    assert ours == {"images written": "665", "requests": "700"}
    assert bare == {"images written": "683", "requests": "700"}, "it does not look at what it reads"
    (row,) = broken.rows
    _, asked, committed, twice, others, written, same = row
    assert 0 < int(committed) <= int(asked) <= 700
    assert int(others) == int(asked) - int(committed), "what was asked for and not committed, and only that"
    assert (twice, written, same) == ("0", "665", "yes")
