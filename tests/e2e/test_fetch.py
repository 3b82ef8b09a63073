"""Whole builds whose images come over HTTP from a server that misbehaves, through the command line.

One web is built from in turn: offline, online, again with the media store of before, and with another encoder. What
the server was asked for in each of these runs is what it remembers.
"""

import gzip
import json
import os
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pytest
from builds import check_counts, digests, dropped, letters, m3w, manifest, poisoned, samples, start, write_recipe
from datasets import picture
from webserver import Request, Route, WebServer, drip, flood, hang_up, in_turn, raw, redirect, reply

from pipelines.facts import LedgerRow
from pipelines.store.facts import read_rows
from pipelines.store.media import MediaStore

LENIENT: dict[str, dict[str, Any]] = {
    "extract": {"mode": '"full"'},
    "language": {"min_score": 0.0},
    "gopher_quality": {"min_words": 1, "min_stop_words": 0},
    "gopher_repetition": {
        **dict.fromkeys(("duplicate_lines", "duplicate_line_chars"), 1.0),
        **dict.fromkeys(("duplicate_paragraphs", "duplicate_paragraph_chars"), 1.0),
        **{f"top_{n}_gram": 1.0 for n in (2, 3, 4)},
        **{f"duplicate_{n}_gram": 1.0 for n in range(5, 11)},
    },
    "split": {"dev_share": 0.0},
    "shards": {"max_bytes": 20_000},
}
FETCH: dict[str, Any] = {
    "connect_seconds": 2.0,
    "total_seconds": 2.0,
    "max_bytes": 100_000,
    "max_redirects": 2,
    "retries": 1,
    "max_tries": 3,
    "backoff_seconds": 0.05,
    "retry_after_cap_seconds": 5.0,
    "breaker_failures": 100,
}
LIFTED = ("--contact", "test@example.org", "--allow-for-test", "loopback", "--allow-for-test", "no-pacing", "--quiet")
OK = b"HTTP/1.1 200 OK\r\n"
HTML = b"<!doctype html><title>Not found</title><p>There is no such picture here.</p>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><circle r="9"/></svg>'


def jpeg(seed: int) -> bytes:
    return picture(100, 80, seed)


def claims_pixels(side: int) -> bytes:
    """A PNG of a few bytes whose header claims `side` by `side` pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def image(body: bytes, **headers: str) -> bytes:
    return reply(body, headers={"Content-Type": "image/jpeg", **{k.replace("_", "-"): v for k, v in headers.items()}})


GOOD: dict[str, Route] = {
    "/good-1.jpg": image(jpeg(1)),
    "/good-2.png": image(picture(90, 120, 2, "PNG")),
    "/mislabelled.gif": reply(jpeg(3), headers={"Content-Type": "text/plain"}),
    "/once.jpg": in_turn(reply(b"", "503 Service Unavailable"), image(jpeg(4))),
    "/wait.jpg": in_turn(reply(b"", "429 Too Many Requests", {"Retry-After": "1"}), image(jpeg(5))),
    "/moved.jpg": redirect("/target/moved.jpg"),
    "/gzipped.jpg": image(gzip.compress(jpeg(7)), Content_Encoding="gzip"),
    "/no-length.jpg": raw(OK, b"Content-Type: image/jpeg\r\n\r\n", jpeg(8)),
    "/robots-all.jpg": image(jpeg(9), X_Robots_Tag="nofollow, nosnippet"),
}
BAD: dict[str, tuple[str, Route]] = {
    "/missing.jpg": ("http_status", reply(b"gone", "404 Not Found")),
    "/error.jpg": ("http_status", reply(b"", "500 Internal Server Error")),
    "/drip.jpg": ("timeout", drip(OK + b"Content-Length: 90000\r\n\r\n", seconds=0.05)),
    "/declared.jpg": ("too_large", image(b"x" * 100_001)),
    "/flood.jpg": ("too_large", flood(OK + b"Content-Type: image/jpeg\r\n\r\n")),
    "/far.jpg": ("too_many_redirects", redirect("/target/far-1")),
    "/round.jpg": ("redirect_loop", redirect("/round.jpg")),
    "/inside.jpg": ("private_address", redirect("http://10.0.0.1/x.jpg")),
    "/metadata.jpg": ("private_address", redirect("http://169.254.169.254/latest/meta-data/")),
    "/file.jpg": ("scheme_not_allowed", redirect("file:///etc/passwd")),
    "/closed/x.jpg": ("robots_disallowed", image(jpeg(20))),
    "/noai.jpg": ("opted_out_header", image(jpeg(21), X_Robots_Tag="noai")),
    "/noimageai.jpg": ("opted_out_header", image(jpeg(22), X_Robots_Tag="openm3w: noimageai")),
    "/tdm.jpg": ("opted_out_tdm", image(jpeg(23), TDM_Reservation="1")),
    "/page.jpg": ("not_an_image", image(HTML)),
    "/drawing.jpg": ("svg", image(SVG)),
    "/damaged.jpg": ("undecodable", image(jpeg(24)[:600])),
    "/pixels.png": ("pixel_bomb", image(claims_pixels(19_000))),
    "/cut.jpg": ("truncated_body", raw(OK, b"Content-Length: 9000\r\n\r\n", jpeg(25)[:800])),
    "/bomb.jpg": ("too_large", image(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")),
    "/not-gzip.jpg": ("bad_encoding", image(jpeg(26), Content_Encoding="gzip")),
    "/lost.jpg": ("connection_lost", hang_up),
    "/busy.jpg": ("rate_limited", reply(b"", "429 Too Many Requests", {"Retry-After": "3600"})),
}
RETRYABLE = {"/error.jpg", "/drip.jpg", "/cut.jpg", "/lost.jpg", "/busy.jpg"}
NOT_ASKED = {"/closed/x.jpg"}
UNREACHABLE = "/no-rules.jpg"
"""Good, on a host whose robots.txt cannot be had."""
PAGES: tuple[tuple[str, ...], ...] = (
    ("/good-1.jpg", "/missing.jpg", "/good-2.png", "/error.jpg", "/drip.jpg", "/mislabelled.gif"),
    ("/declared.jpg", "/flood.jpg", "/once.jpg", "/far.jpg", "/wait.jpg", "/round.jpg", "/inside.jpg"),
    ("/moved.jpg", "/gzipped.jpg", "/metadata.jpg", "/file.jpg", "/no-length.jpg", "/closed/x.jpg"),
    ("/noai.jpg", "/noimageai.jpg", "/tdm.jpg", "/page.jpg", "/good-1.jpg", "/drawing.jpg", "/robots-all.jpg"),
    ("/damaged.jpg", "/pixels.png", "/cut.jpg", "/bomb.jpg", "/not-gzip.jpg", "/lost.jpg", "/busy.jpg", UNREACHABLE),
)


def paragraph(page: int, number: int) -> str:
    return f"This is paragraph {number} of page {page} and it says where the pictures around it have to be."


def html(number: int, urls: Sequence[str]) -> str:
    parts = [f'<p>{paragraph(number, n)}</p><p><img src="{escape(url)}"></p>' for n, url in enumerate(urls)]
    return f"<!doctype html><title>Page {number}</title><body>{''.join(parts)}<p>This is the end of the page.</p>"


def write_table(path: Path, pages: Sequence[Sequence[str]]) -> Path:
    rows = [{"url": f"https://www{n}.example.com/page", "html": html(n, urls)} for n, urls in enumerate(pages)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def ledger(folder: Path) -> list[LedgerRow]:
    """All rows of a media store, the oldest first."""
    store = MediaStore(str(folder))
    rows = [LedgerRow._make(plain) for path in store.ledger_files() for plain in read_rows(path, LedgerRow)]
    return sorted(rows, key=lambda row: (row.time, row.tries))


@dataclass
class Built:
    """One build, and what it asked the server for."""

    output: Path
    code: int
    stderr: str
    asked: Counter[str] = field(default_factory=Counter)
    """How often each path was asked for, without robots.txt."""


@dataclass
class Web:
    """The misbehaving web, the pages that show its images, and the builds made of them, one after the other."""

    folder: Path
    server: WebServer
    closed: WebServer
    """Its robots.txt cannot be had."""
    builds: dict[str, Built] = field(default_factory=dict)

    def url(self, path: str) -> str:
        if path == UNREACHABLE:
            return self.closed.url(path)
        return self.server.url(path, "localhost" if path == "/busy.jpg" else "127.0.0.1")

    @property
    def urls(self) -> dict[str, str]:
        """Path by address."""
        return {self.url(path): path for page in PAGES for path in page}

    @property
    def media(self) -> Path:
        """The store that all builds share."""
        return self.folder / "media"

    def build(self, name: str, recipe: Path, pages: Path, *more: object) -> Built:
        output = self.folder / name
        before = len(self.server.requests)
        arguments = ("build", recipe, "--input", pages, "--output", output, "--media", self.media, *more)
        code, _, stderr = m3w(*arguments)
        asked = Counter(r.path for r in self.server.requests[before:] if r.path != "/robots.txt")
        self.builds[name] = Built(output, code, stderr, asked)
        return self.builds[name]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    routes: dict[str, Route] = {**GOOD, **{path: route for path, (_, route) in BAD.items()}}
    routes["/robots.txt"] = reply(b"User-agent: *\nDisallow: /closed/\n")
    routes["/target/moved.jpg"] = image(jpeg(6))
    for number in range(1, 9):
        routes[f"/target/far-{number}"] = redirect(f"/target/far-{number + 1}")
    without_rules: dict[str, Route] = {"/robots.txt": reply(b"", "503 Service Unavailable"), "/*": image(jpeg(30))}
    with WebServer(routes=routes) as server, WebServer(routes=without_rules) as closed:
        made = Web(folder, server, closed)
        recipe = write_recipe(folder / "lenient.toml", **LENIENT, fetch=FETCH)
        smaller = write_recipe(folder / "smaller.toml", **LENIENT, fetch=FETCH, media={"max_side": 70})
        pages = write_table(folder / "pages.jsonl", [[made.url(path) for path in page] for page in PAGES])
        made.build("offline", recipe, pages, "--offline", "--quiet")
        made.build("first", recipe, pages, *LIFTED)
        made.build("second", recipe, pages, *LIFTED)
        made.build("smaller", smaller, pages, *LIFTED)
        yield made


def test_every_class_of_outcome_has_its_reason(web: Web) -> None:
    built = web.builds["first"]
    assert (built.code, built.stderr) == (0, "")
    expected = dict.fromkeys(GOOD, "ok") | {path: reason for path, (reason, _) in BAD.items()}
    expected[UNREACHABLE] = "robots_unreachable"
    rows = {}
    for row in ledger(web.media):
        rows.setdefault(web.urls[row.url], row)  # of the first build that asked
    assert {path: row.outcome for path, row in rows.items()} == expected
    assert {path for path, row in rows.items() if row.retryable} == {*RETRYABLE, UNREACHABLE}
    assert {path for path, row in rows.items() if row.opt_out} == {
        "/closed/x.jpg",
        "/noai.jpg",
        "/noimageai.jpg",
        "/tdm.jpg",
    }
    assert rows["/moved.jpg"].final_url == web.server.url("/target/moved.jpg")
    assert rows["/missing.jpg"].http_status == 404 and rows["/good-1.jpg"].http_status == 200
    found = {web.urls[letter["url"]]: letter for letter in letters(built.output) if letter["kind"] == "image_url"}
    assert {path: letter["reason"] for path, letter in found.items()} == {
        path: reason for path, reason in expected.items() if reason != "ok"
    }
    assert {letter["stage"] for letter in found.values()} == {"fetch"}
    for path, told in {
        "/missing.jpg": "404 Not Found",
        "/declared.jpg": "100001 bytes announced, at most 100000",
        "/flood.jpg": "more than 100000 bytes",
        "/bomb.jpg": "more than 100000 bytes once decoded (gzip)",
        "/inside.jpg": "10.0.0.1 is 10.0.0.1: private",
        "/metadata.jpg": "169.254.169.254 is 169.254.169.254: metadata",
        "/file.jpg": "file, only http and https",
        "/noai.jpg": "noai",
        "/page.jpg": "HTML",
    }.items():
        assert told in found[path]["detail"], path


def without_lost(asked: Mapping[str, int]) -> dict[str, int]:
    """Counts without the path whose connection is closed: where an idle one was tried first, that is no try."""
    assert 2 <= asked["/lost.jpg"] <= 4
    return {path: count for path, count in asked.items() if path != "/lost.jpg"}


def test_the_server_was_asked_as_often_as_it_should(web: Web) -> None:
    twice = {"/once.jpg", "/wait.jpg", "/error.jpg", "/drip.jpg", "/cut.jpg", "/lost.jpg"}
    paths = {*GOOD, *BAD} - NOT_ASKED
    followed = {"/target/moved.jpg", "/target/far-1", "/target/far-2"}
    expected = {path: 2 if path in twice else 1 for path in paths | followed}
    assert without_lost(web.builds["first"].asked) == without_lost(expected)
    assert web.closed.paths() == []
    assert {request.headers["user-agent"].partition("/")[0] for request in web.server.requests} == {"OpenM3W"}
    assert all("(+test@example.org)" in request.headers["user-agent"] for request in web.server.requests)


@pytest.mark.parametrize("name", ["first", "second", "smaller"])
def test_the_funnel_adds_up_and_every_drop_has_a_letter(web: Web, name: str) -> None:
    output = web.builds[name].output
    made = manifest(output)
    counted = Counter(
        {(row.kind, row.stage, reason): n for row in made.funnel for reason, n in row.dropped.items() if n}
    )
    assert all(row.into == row.out + sum(row.dropped.values()) for row in made.funnel if not row.becomes)
    assert dropped(letters(output)) == counted
    assert counted["page", "images_found", "too_few_images"] == 1
    assert m3w("verify", output)[0] == 0
    assert made.test_allowances == ("loopback", "pacing_off")


@pytest.mark.parametrize("name", ["first", "smaller"])
def test_samples_hold_the_good_images_at_their_places(web: Web, name: str) -> None:
    found = {sample.json["title"]: sample for sample in samples(web.builds[name].output).values()}
    kept = {f"Page {n}": [path for path in page if path in GOOD] for n, page in enumerate(PAGES)}
    assert found.keys() == {title for title, paths in kept.items() if paths}
    for number, page in enumerate(PAGES[:-1]):
        sample = found[f"Page {number}"]
        text, images = sample.json["text"], sample.json["images"]
        assert [web.urls[image["url"]] for image in images] == kept[f"Page {number}"]
        assert [paragraph(number, n) in text for n in range(len(page))] == [True] * len(page)
        assert text.rstrip().endswith("This is the end of the page.")
        for image in images:
            before = paragraph(number, page.index(web.urls[image["url"]]))
            assert text[: image["position"]].rstrip().endswith(before), "right behind its own paragraph"
        assert sample.members.keys() == {image["member"] for image in images}
        side = max(max(image["width"], image["height"]) for image in images)
        assert side == 70 if name == "smaller" else side > 70


def test_offline_says_what_the_input_does_not_hold(web: Web) -> None:
    built = web.builds["offline"]
    assert built.code == 1 and "no document was left" in built.stderr
    assert not built.asked
    found = [letter for letter in letters(built.output) if letter["kind"] == "image_url"]
    assert {letter["reason"] for letter in found} == {"not_in_input"}
    assert sorted(web.urls[letter["url"]] for letter in found) == sorted({*GOOD, *BAD, UNREACHABLE})
    assert manifest(built.output).test_allowances == ()
    assert "not_in_input" not in {row.outcome for row in ledger(web.media)}, "a shared store does not learn of it"


def test_a_shared_store_is_asked_before_the_web(web: Web) -> None:
    first, second = web.builds["first"], web.builds["second"]
    assert (second.code, second.stderr) == (0, "")
    twice = RETRYABLE - {"/busy.jpg"}
    expected = {path: 2 if path in twice else 1 for path in RETRYABLE}
    assert without_lost(second.asked) == without_lost(expected), "nothing else is worth asking for"
    assert digests(second.output) == digests(first.output)


def test_another_encoder_works_from_the_store(web: Web) -> None:
    built = web.builds["smaller"]
    assert built.code == 0
    # Refused for the first settings only, and so not stored; and one that was tried twice of three times: all others
    # that are worth another try had theirs, four each, in the builds before.
    assert built.asked == {"/pixels.png": 1, "/busy.jpg": 1}
    originals = {(web.urls[row.url], row.sha256) for row in ledger(web.media) if row.ok}
    assert len(originals) == len(GOOD)
    assert digests(built.output) != digests(web.builds["first"].output)


# --- what cannot be lifted -------------------------------------------------------------------------------------------


def test_without_the_flag_loopback_is_refused(tmp_path: Path) -> None:
    with WebServer(routes={"/*": image(jpeg(1))}) as server, WebServer(routes={"/*": image(jpeg(2))}) as other:
        port, elsewhere = server.port, other.port
        expected = {
            f"http://127.0.0.1:{port}/a.jpg": ("private_address", "loopback"),
            f"http://127.8.9.10:{port}/a.jpg": ("private_address", "loopback"),
            f"http://localhost:{port}/a.jpg": ("private_address", "local name"),
            f"http://localhost.:{port}/b.jpg": ("private_address", "local name"),
            f"http://a.localhost:{port}/a.jpg": ("private_address", "local name"),
            f"http://0.0.0.0:{port}/a.jpg": ("private_address", "unspecified"),
            f"http://[::1]:{port}/a.jpg": ("private_address", "loopback"),
            f"http://[::ffff:127.0.0.1]:{port}/a.jpg": ("private_address", "loopback, inside IPv6"),
            f"http://2130706433:{port}/a.jpg": ("bad_url", "not a host name or address"),
            f"http://127.1:{port}/a.jpg": ("bad_url", "not a host name or address"),
            f"http://0x7f.1:{port}/a.jpg": ("bad_url", "not a host name or address"),
            f"http://user@127.0.0.1:{port}/c.jpg": ("bad_url", "user name"),
            f"http://127.0.0.1:{elsewhere}/a.jpg": ("port_not_allowed", str(elsewhere)),
        }
        pages = tmp_path / "pages"
        pages.mkdir()
        (pages / "index.html").write_text(html(0, list(expected)))
        fetch = {**FETCH, "allowed_ports": f'["80", "{port}"]'}
        recipe = write_recipe(tmp_path / "open.toml", **LENIENT, fetch=fetch)
        output = tmp_path / "out"
        code, _, stderr = m3w(
            "build", recipe, "--input", pages, "--output", output, "--contact", "test@example.org", "--quiet"
        )
        assert (server.connections, other.connections) == (0, 0)
    assert code == 1 and "no document was left" in stderr
    found = {x["url"]: (x["reason"], x["detail"]) for x in letters(output) if x["kind"] == "image_url"}
    assert found.keys() == expected.keys()
    for url, (reason, told) in expected.items():
        assert found[url][0] == reason and told in found[url][1], (url, found[url])
    assert manifest(output).test_allowances == ()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("fetch", "loopback"),
        ("fetch", "allowances"),
        ("fetch", "pacing_off"),
        ("allowances", "loopback"),
        ("test_allowances", "loopback"),
    ],
)
def test_no_key_of_a_recipe_lifts_a_check(tmp_path: Path, table: str, key: str) -> None:
    recipe = write_recipe(tmp_path / "open.toml", **{table: {key: "true"}})
    pages = write_table(tmp_path / "pages.jsonl", [["http://127.0.0.1/a.jpg"]])
    code, _, stderr = m3w(
        "build", recipe, "--input", pages, "--output", tmp_path / "out", "--contact", "test@example.org"
    )
    assert code == 2 and len(stderr.splitlines()) == 1
    assert (key if table == "fetch" else table) in stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "told"), [((), "--offline"), (("--contact", "nobody"), "e-mail address")])
def test_nobody_is_asked_without_saying_who_asks(tmp_path: Path, given: tuple[str, ...], told: str) -> None:
    pages = write_table(tmp_path / "pages.jsonl", [["http://127.0.0.1/a.jpg"]])
    code, stdout, stderr = m3w("build", "demo", "--input", pages, "--output", tmp_path / "out", *given)
    assert (code, stdout, len(stderr.splitlines())) == (2, "", 1)
    assert told in stderr and "contact" in stderr
    assert not (tmp_path / "out").exists()


# --- killed, and side by side ----------------------------------------------------------------------------------------


class Gate:
    """Images under /i/, a third of them missing and some broken; after so many requests all have to wait."""

    def __init__(self, server: WebServer, opens_at_once: int) -> None:
        self.server, self.left = server, opens_at_once
        self.open = False
        server.routes["/i/*"] = self.answer

    def answer(self, request: Request, sock: Any) -> bool:
        number = int(request.path.split("/")[-1].split(".")[0])
        self.left -= 1
        while self.left < 0 and not self.open:
            time.sleep(0.02)
        sock.sendall(outcome_of(number))
        return True


def outcome_of(number: int) -> bytes:
    if number % 3 == 1:
        return reply(b"", "404 Not Found")
    if number % 20 == 0:
        return reply(b"", "500 Internal Server Error")
    return image(picture(64, 64, number) + number.to_bytes(4, "big"))


def wait_for(what: Any, process: Any) -> None:
    until = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)


def parts(media: Path) -> list[str]:
    return MediaStore(str(media)).ledger_files()


@pytest.mark.slow
def test_a_fetch_that_was_killed_asks_for_nothing_that_was_committed(tmp_path: Path) -> None:
    per_page, count = 10, 640
    fetch = {**FETCH, "total_seconds": 60.0, "retries": 0, "max_tries": 2}
    recipe = write_recipe(tmp_path / "lenient.toml", **LENIENT, fetch=fetch, image_frequency={"max_equal": 100})
    with WebServer() as server:
        urls = [server.url(f"/i/{number}.jpg") for number in range(count)]
        pages = [urls[n : n + per_page] for n in range(0, count, per_page)]
        table = write_table(tmp_path / "pages.jsonl", pages)
        command = ("build", recipe, "--input", table, *LIFTED, "--workers", 1, "--output")
        Gate(server, count)
        assert m3w(*command, tmp_path / "whole")[::2] == (0, "")
        server.requests.clear()
        gate = Gate(server, 570)
        media = tmp_path / "killed" / "media"
        with start(*command, tmp_path / "killed") as process:
            wait_for(lambda: parts(media), process)
            os.killpg(process.pid, 9)
        committed = {row.url: row for row in ledger(media)}
        assert 0 < len(committed) < count
        asked_before = Counter(server.paths())
        gate.open = True
        assert m3w(*command, tmp_path / "killed")[::2] == (0, "")
        asked = Counter(server.paths())
    assert asked.keys() == {f"/i/{number}.jpg" for number in range(count)}
    for number, url in enumerate(urls):
        path = f"/i/{number}.jpg"
        if (row := committed.get(url)) is None:
            assert asked[path] == asked_before[path] + 1
        else:
            assert asked[path] == asked_before[path] + row.retryable == 1 + row.retryable
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


@pytest.mark.slow
def test_two_builds_at_once_share_a_store(tmp_path: Path) -> None:
    media = tmp_path / "media"
    recipe = write_recipe(tmp_path / "lenient.toml", **LENIENT, fetch={**FETCH, "total_seconds": 60.0})
    with WebServer() as server:
        urls = [server.url(f"/i/{number}.jpg") for number in (2, 3, 5, 6)]
        one = write_table(tmp_path / "one.jsonl", [urls])
        other = write_table(tmp_path / "other.jsonl", [urls[:1]])
        gate = Gate(server, 3)
        common = (*LIFTED, "--media", media)
        with start("build", recipe, "--input", one, *common, "--output", tmp_path / "one") as process:
            wait_for(lambda: list(media.rglob("*.tmp")) and len(server.paths()) == 4, process)
            server.routes["/i/2.jpg"] = outcome_of(2)  # for the second build, while the first one waits
            code, _, stderr = m3w("build", recipe, "--input", other, *common, "--output", tmp_path / "other")
            assert (code, stderr) == (0, "")
            assert process.poll() is None, "the first build must still be at it"
            gate.open = True
            assert process.wait(60) == 0
    for output in (tmp_path / "one", tmp_path / "other"):
        assert m3w("verify", output)[0] == 0
    assert sum(len(sample.members) for sample in samples(tmp_path / "one").values()) == 4
    named = {row.name for row in ledger(media)}
    assert named == {path.name for path in (media / "packs").iterdir()}


# --- an image that kills its worker ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_image_of_the_web_that_kills_its_worker_each_time(tmp_path: Path) -> None:
    """What was committed is not asked for again; the next build tries the image once more."""
    routes: dict[str, Route] = {f"/{number}.jpg": image(jpeg(100 + number)) for number in range(8)}
    routes["/poison.jpg"] = image(jpeg(99) + b"POISON")
    recipe = write_recipe(tmp_path / "lenient.toml", **LENIENT, fetch={**FETCH, "host_connections": 1})
    with WebServer(routes=routes) as server:
        shown = [[server.url(path) for path in some] for some in (list(routes)[:4], list(routes)[4:])]
        command = ("build", recipe, "--input", write_table(tmp_path / "pages.jsonl", shown), *LIFTED)
        command = (*command, "--workers", 2, "--media", tmp_path / "media", "--output")
        code, _, told = poisoned("web=POISON", "SIGKILL", "", *command, tmp_path / "out")
        assert code == 3 and "1 in all" in told and "--rejected fetch" in told
        asked = Counter(request.path for request in server.requests)
        assert asked["/poison.jpg"] == 4, "once for each death, and once to be given up"
        check_counts(tmp_path / "out")
        (lost,) = [x for x in letters(tmp_path / "out") if (x["kind"], x["reason"]) == ("image_url", "killed_worker")]
        assert lost["url"] == server.url("/poison.jpg")
        server.requests.clear()
        assert m3w(*command, tmp_path / "again") == (0, "", "")
        assert {request.path for request in server.requests} - {"/robots.txt"} == {"/poison.jpg"}
        assert m3w(*command[:-3], "--media", tmp_path / "other", "--output", tmp_path / "undisturbed") == (0, "", "")
    assert digests(tmp_path / "again") == digests(tmp_path / "undisturbed")
