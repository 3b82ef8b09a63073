"""s3:// and gs:// against real server programs on loopback: what is asked for, what is written, and what fails."""

import io
import os
from collections.abc import Iterator

import pytest
from object_stores import BUCKET, Proxy, StoreServer

from pipelines.store import paths, ranges, remote, s3
from pipelines.store.ranges import Range, Ranges, joined
from pipelines.store.remote import StoreError

DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module", params=["s3", "gs"])
def server(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with StoreServer(request.param) as server:
        yield server


@pytest.fixture
def proxy(server: StoreServer) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy, server.environment(proxy.port):
        yield proxy


@pytest.fixture
def base(server: StoreServer, proxy: Proxy, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("[", "-").replace("]", "")
    return f"{server.scheme}://{BUCKET}/{name}"


def test_a_file_is_written_read_listed_and_deleted(base: str, proxy: Proxy) -> None:
    for name in ("a", "b/c", "b/d e+f%~é"):
        paths.publish(paths.join(base, name), name.encode())
    assert len(proxy.requests) == 3
    assert paths.list_files(base) == sorted(paths.join(base, name) for name in ("a", "b/c", "b/d e+f%~é"))
    assert len(proxy.requests) == 4
    for name in ("a", "b/c", "b/d e+f%~é"):
        path = paths.join(base, name)
        assert (paths.read_bytes(path), paths.size(path)) == (name.encode(), len(name.encode()))
        assert paths.exists(path) and not paths.exists(path + "x")
    paths.delete_file(paths.join(base, "a"))
    paths.delete_file(paths.join(base, "a"))
    assert paths.list_files(base) == [paths.join(base, "b/c"), paths.join(base, "b/d e+f%~é")]
    assert paths.list_files(base[:-1]) == []
    paths.delete_tree(base)
    paths.delete_tree(base)
    assert paths.list_files(base) == []


def test_a_range_is_one_request_for_exactly_its_bytes(base: str, proxy: Proxy) -> None:
    path = paths.join(base, "pack.tar")
    paths.publish(path, DATA)
    proxy.requests.clear()
    assert paths.read_range(path, 1000, 500) == DATA[1000:1500]
    (request,) = proxy.requests
    assert (request.method, request.range, request.sent) == ("GET", "bytes=1000-1499", 500)
    assert paths.beginning(path, 4) == (DATA[:4], len(DATA)) and proxy.requests[-1].sent == 4
    assert paths.read_range(path, 10, 0) == b"" and len(proxy.requests) == 2
    for offset, length in ((len(DATA) - 1, 2), (len(DATA), 1), (len(DATA) + 9, 1)):
        with pytest.raises(EOFError, match=r"pack.tar: \d bytes wanted"):
            paths.read_range(path, offset, length)


def test_an_empty_object(base: str) -> None:
    path = paths.join(base, "empty")
    with paths.publishing(path):
        pass
    assert (paths.size(path), paths.read_bytes(path), paths.beginning(path, 4)) == (0, b"", (b"", 0))
    with paths.open_read(path) as stream:
        assert (stream.read(3), stream.read(), stream.seek(0, os.SEEK_END)) == (b"", b"", 0)


def test_a_stream_is_a_few_requests(base: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    path = paths.join(base, "crawl.warc.gz")
    paths.publish(path, DATA)
    monkeypatch.setattr(remote, "FIRST_BLOCK", 10_000)
    monkeypatch.setattr(remote, "MAX_BLOCK", 40_000)
    proxy.requests.clear()
    with paths.open_read(path) as stream:
        assert b"".join(iter(lambda: stream.read(777), b"")) == DATA
    assert [request.sent for request in proxy.requests] == [10_000, 20_000, *[40_000] * 5, 26_000]
    with paths.open_read(path) as stream:
        assert stream.seek(-16, os.SEEK_END) == len(DATA) - 16
        assert stream.read() == DATA[-16:]
        stream.seek(5)
        assert (stream.read(3), stream.tell()) == (DATA[5:8], 8)
        stream.seek(100_000)
        assert stream.read(50_000) == DATA[100_000:150_000]
    proxy.requests.clear()
    assert paths.read_bytes(path) == DATA
    assert len(proxy.requests) == 1


def test_what_is_not_whole_is_not_there(base: str, proxy: Proxy) -> None:
    path = paths.join(base, "shard.tar")
    with pytest.raises(KeyError), paths.publishing(path) as stream:
        stream.write(DATA)
        raise KeyError
    assert not proxy.requests and not paths.exists(path)
    with paths.publishing(path) as stream:
        stream.write(DATA)
    assert paths.read_bytes(path) == DATA and sum(r.method in ("PUT", "POST") for r in proxy.requests) == 1


def test_what_is_missing(base: str, server: StoreServer, proxy: Proxy) -> None:
    for read in (paths.read_bytes, paths.size, lambda path: paths.read_range(path, 0, 1)):
        with pytest.raises(FileNotFoundError, match="no such object") as raised:
            read(paths.join(base, "nothing"))
        assert raised.value.filename == paths.join(base, "nothing")
    assert len(proxy.requests) == 3, "what is not there is not asked for again"
    nowhere = f"{server.scheme}://no-such-bucket-of-ours/x"
    with pytest.raises(FileNotFoundError, match="no such bucket"):
        paths.list_files(nowhere)
    with pytest.raises(FileNotFoundError):
        paths.publish(nowhere, b"x")
    assert not paths.exists(nowhere)


@pytest.mark.parametrize("fault", ["503", "lost", "cut"])
def test_a_store_that_fails_half_of_the_time(
    fault: str, base: str, server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(remote, "TRIES", 30)
    with Proxy(server.port, 0.5, seed=7, faults=[fault]) as proxy, server.environment(proxy.port):
        for number in range(4):
            path = paths.join(base, str(number))
            paths.publish(path, DATA)
            assert (paths.size(path), paths.read_range(path, 5, 900), paths.read_bytes(path)) == (
                len(DATA),
                DATA[5:905],
                DATA,
            )
            with paths.open_read(path) as stream:
                assert stream.read(1 << 20) == DATA
        assert paths.list_files(base) == [paths.join(base, str(number)) for number in range(4)]
        paths.delete_tree(base)
        assert paths.list_files(base) == []
        assert sum(bool(request.fault) for request in proxy.requests) > 5


def test_a_store_that_never_answers(base: str, server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.001)
    with Proxy(server.port, 1.0, faults=["503"]) as proxy, server.environment(proxy.port):
        with pytest.raises(StoreError, match=rf"{base}/x: reading failed {remote.TRIES} times in .*503"):
            paths.read_range(paths.join(base, "x"), 0, 1)
        assert len(proxy.requests) == remote.TRIES
        with pytest.raises(StoreError, match=f"{base}/x: writing failed"):
            paths.publish(paths.join(base, "x"), b"x")


def test_nobody_listens(base: str, server: StoreServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(remote, "TRIES", 3)
    with Proxy(server.port) as gone:
        pass
    with server.environment(gone.port), pytest.raises(StoreError, match="asking for its size failed 3 times"):
        paths.exists(paths.join(base, "x"))


# --- ranges ----------------------------------------------------------------------------------------------------------


def test_ranges_that_nearly_touch_are_one_request(base: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "GAP_BYTES", 100)
    path, other = paths.join(base, "pack"), paths.join(base, "other")
    paths.publish(path, DATA)
    paths.publish(other, DATA[::-1])
    wanted = [Range(path, 0, 50), Range(path, 150, 50), Range(path, 301, 9), Range(other, 310, 5), Range(path, 160, 5)]
    proxy.requests.clear()
    reader = Ranges()
    for one in reader.ahead(wanted, lambda one: [one]):
        data = DATA if one.path == path else DATA[::-1]
        assert reader.read(*one) == data[one.offset : one.offset + one.length]
    assert sorted(request.range for request in proxy.requests) == ["bytes=0-199", "bytes=301-309", "bytes=310-314"]


def test_a_range_beyond_the_end_spoils_no_other(base: str, proxy: Proxy) -> None:
    path = paths.join(base, "pack")
    paths.publish(path, DATA)
    wanted = [Range(path, 0, 50), Range(path, len(DATA) - 5, 10), Range(paths.join(base, "missing"), 0, 1)]
    reader = Ranges()
    found: list[object] = []
    for one in reader.ahead(wanted, lambda one: [one]):
        try:
            found.append(reader.read(*one))
        except (OSError, EOFError) as error:
            found.append(type(error))
    assert found == [DATA[:50], EOFError, FileNotFoundError]


def test_how_ranges_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "GAP_BYTES", 10)
    monkeypatch.setattr(ranges, "REQUEST_BYTES", 100)

    def spans(*wanted: tuple[str, int, int]) -> list[list[tuple[int, int]]]:
        return [[(one.offset, one.length) for one in group] for group in joined(Range(*one) for one in wanted)]

    assert spans(("a", 20, 5), ("a", 0, 10), ("a", 20, 5)) == [[(0, 10), (20, 5)]]
    assert spans(("a", 0, 10), ("a", 21, 5)) == [[(0, 10)], [(21, 5)]]
    assert spans(("a", 0, 60), ("a", 10, 5), ("a", 60, 50)) == [[(0, 60), (10, 5)], [(60, 50)]]
    assert spans(("a", 0, 10), ("b", 5, 10)) == [[(0, 10)], [(5, 10)]]
    assert spans(("a", 0, 500), ("a", 500, 1)) == [[(0, 500)], [(500, 1)]]


def test_windows_hold_no_more_than_they_may(base: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "WINDOW_BYTES", 1000)
    path = paths.join(base, "pack")
    paths.publish(path, DATA)
    proxy.requests.clear()
    reader = Ranges()
    held = []
    for one in reader.ahead([Range(path, number * 300, 300) for number in range(8)], lambda one: [one]):
        held.append(sum(map(len, reader.held.values())))
        assert reader.read(*one) == DATA[one.offset : one.offset + 300]
    assert held == [900] * 6 + [600] * 2 and len(proxy.requests) == 3
    assert not reader.held


# --- what only S3 has ------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, server: StoreServer) -> int:
    """A small size of parts; S3 itself refuses less than 5 MiB, moto too."""
    if server.scheme != "s3":
        pytest.skip("Google's uploads are one request")
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.001)
    return 5 << 20


def uploads(server: StoreServer) -> list[str]:
    """Keys of uploads in parts that are neither joined nor given up."""
    with server.environment(server.port), s3.S3Store(s3.S3Settings())._asking(f"s3://{BUCKET}/x") as (client, _):
        answer = client.list_multipart_uploads(Bucket=BUCKET)
        return [upload["Key"] for upload in answer.get("Uploads", ())]


def test_a_large_object_is_put_in_parts(base: str, parts: int, server: StoreServer) -> None:
    data = os.urandom(2 * parts + 1000)
    path = paths.join(base, "large")
    # The lost answer to the first request, which begins an upload, leaves one that nobody can name.
    with Proxy(server.port, 0.3, seed=3, faults=["503"]) as proxy, server.environment(proxy.port):
        with paths.publishing(path) as stream:
            stream.write(data)
        assert paths.read_bytes(path) == data
        assert sum(request.method == "PUT" and request.status == 200 for request in proxy.requests) >= 3
    assert uploads(server) == []


def test_parts_of_what_was_given_up_are_removed(
    base: str, parts: int, server: StoreServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        """A spool whose disk fails in the middle."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(size)

    path = paths.join(base, "large")
    with pytest.raises(OSError, match="Input/output error"):
        remote.Remote(s3.S3Store(s3.S3Settings())).put(path, Full(bytes(2 * parts)), 2 * parts)
    assert uploads(server) == [] and not paths.exists(path)
    assert "DELETE" in {request.method for request in proxy.requests}


def test_a_refusal_is_told_at_once(
    base: str, server: StoreServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: object) -> str:
        return "403"

    monkeypatch.setattr(Proxy, "fault", refuses)
    with pytest.raises(StoreError, match=rf"{base}/x: the store refuses access \(403"):
        paths.read_bytes(paths.join(base, "x"))
    assert len(proxy.requests) == 1


def test_without_credentials_it_says_where_they_go(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3._clients._empty()
    s3._session.cache_clear()  # it knows those of other tests
    with pytest.raises(StoreError, match="s3://nobody/x: no credentials for S3; set AWS_ACCESS_KEY_ID"):
        paths.read_bytes("s3://nobody/x")
