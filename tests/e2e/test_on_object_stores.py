"""Whole builds on object stores, served by real programs on loopback: the same bytes as on a local disk."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import digests, m3w
from object_stores import BUCKET, Proxy, StoreServer, copied

from pipelines.store import paths, remote


@pytest.fixture(scope="module", params=["s3", "gs"])
def server(request: pytest.FixtureRequest, crawl: Path) -> Iterator[StoreServer]:
    with StoreServer(request.param) as server, server.environment(server.port):
        paths.publish(f"{server.scheme}://{BUCKET}/crawl.warc.gz", crawl.read_bytes())
        yield server


def build(server: StoreServer, name: str, recipe: Path, *more: object) -> tuple[int, str, str]:
    base = f"{server.scheme}://{BUCKET}"
    places = ("--input", f"{base}/crawl.warc.gz", "--output", f"{base}/{name}", "--media", f"{base}/{name}-media")
    return m3w("build", recipe, *places, "--offline", *more)


def test_a_build_on_a_store(server: StoreServer, reference: Path, recipe: Path, tmp_path: Path) -> None:
    """By two worker processes, which have clients of their own."""
    with Proxy(server.port) as proxy, server.environment(proxy.port):
        code, _, err = build(server, "out", recipe, "--workers", 2)
        assert code == 0, err
        output = f"{server.scheme}://{BUCKET}/out"
        assert digests(copied(output, tmp_path / "out")) == digests(reference)
        assert not [path for path in paths.list_files(output) if "/work/" in path]
        proxy.requests.clear()
        code, out, err = build(server, "out", recipe)
        assert code == 0 and "complete already" in err and not [r for r in proxy.requests if r.method == "PUT"]
        code, out, err = m3w("verify", output)
        assert code == 0, out + err
        code, out, err = m3w("inspect", output, "--json")
        assert code == 0 and json.loads(out)["samples"] > 10, err
    code, out, err = m3w("report", output, "--rejected", "read")
    assert code == 0, err


def test_a_bucket_that_there_is_not_is_found_out_at_once(server: StoreServer, recipe: Path) -> None:
    nowhere = f"{server.scheme}://no-such-bucket-of-ours"
    for places in (
        ("--input", f"{nowhere}/in", "--output", f"{server.scheme}://{BUCKET}/x"),
        ("--input", f"{server.scheme}://{BUCKET}/crawl.warc.gz", "--output", f"{nowhere}/x"),
    ):
        code, _, err = m3w("build", recipe, *places, "--offline")
        assert code == 2 and "no such bucket" in err and nowhere in err, err


def test_a_store_that_fails_one_request_in_ten(
    server: StoreServer, reference: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server.scheme != "s3":
        pytest.skip("the same above the store; tests/test_object_stores.py has both")
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.01)
    with Proxy(server.port, 0.1, seed=1) as proxy, server.environment(proxy.port):
        code, _, err = build(server, "failing", recipe)
        assert code == 0, err
    assert {request.fault for request in proxy.requests} == {"", "503", "lost", "cut"}
    output = f"{server.scheme}://{BUCKET}/failing"
    assert digests(copied(output, tmp_path / "out")) == digests(reference)


def test_a_store_that_goes_away_ends_the_build_and_loses_nothing(
    server: StoreServer, reference: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable picture costs a build that picture; a store that does not answer must not."""
    if server.scheme != "gs":
        pytest.skip("the same above the store; tests/test_object_stores.py has both")
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(remote, "TRIES", 3)
    seen = 0

    def fails_after_some(self: Proxy) -> str:
        nonlocal seen
        seen += 1
        return "503" if seen > 60 else ""

    with Proxy(server.port) as proxy, server.environment(proxy.port), monkeypatch.context() as patched:
        patched.setattr(Proxy, "fault", fails_after_some)
        code, _, err = build(server, "going", recipe)
        assert code == 1 and "failed 3 times" in err and f"{server.scheme}://{BUCKET}/" in err, err
    code, _, err = build(server, "going", recipe)
    assert code == 0, err
    output = f"{server.scheme}://{BUCKET}/going"
    assert digests(copied(output, tmp_path / "out")) == digests(reference)
