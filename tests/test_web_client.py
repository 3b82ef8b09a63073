"""The client against a real server on loopback that misbehaves in every way we could think of."""

import dataclasses
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webserver import (
    Request,
    Route,
    WebServer,
    drip,
    flood,
    hang_up,
    in_turn,
    raw,
    redirect,
    reply,
    reset,
    self_signed,
)

from pipelines.web.client import Agent, Client, Failed, FetchConfig, Fetched, TestAllowances, parse_retry_after

CONFIG = FetchConfig(
    connect_seconds=1.0,
    total_seconds=3.0,
    max_bytes=100_000,
    max_bytes_at_once=10_000_000,
    max_header_bytes=32_768,
    max_redirects=3,
    retries=2,
    max_tries=5,
    backoff_seconds=0.01,
    retry_after_cap_seconds=5.0,
    host_connections=4,
    host_interval_seconds=0.1,
    host_budget_seconds=60.0,
    breaker_failures=3,
    crawl_delay_cap_seconds=5.0,
    allowed_ports=("80", "443", "8080", "8443"),
    dns_cache_seconds=60.0,
    respect_robots=False,
    robots_max_bytes=512_000,
    robots_cache_seconds=3600.0,
    opt_out_tokens=("noai", "noimageai", "noindex", "noimageindex"),
    tdm_reservation=True,
    user_agent_product="OpenM3W",
)
AGENT = Agent("OpenM3W", "0.1", "https://example.org/crawler")
LIFTED = TestAllowances(loopback=True, pacing_off=True)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DATED = "unavailable_after: 1 Jan 2030 1:02:03 GMT, noai"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 a picture")
    with WebServer(tmp_path) as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(CONFIG, AGENT, LIFTED) as made:
        yield made


def fetch(url: str, resolver: Any = socket.getaddrinfo, **changes: Any) -> Fetched | Failed:
    with Client(dataclasses.replace(CONFIG, **changes), AGENT, LIFTED, resolver) as client:
        return client.fetch(url)


def to_loopback(*names: str) -> Any:
    """A resolver that knows `names` only, and keeps what it was asked."""

    def resolver(host: str, port: int, type: int) -> Any:
        asked.append(host)
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, type, 6, "", ("127.0.0.1", port))]

    asked: list[str] = []
    resolver.asked = asked  # type: ignore[attr-defined]
    return resolver


def test_a_file(server: WebServer) -> None:
    result = fetch(server.url("/a.jpg"))
    assert isinstance(result, Fetched)
    assert (result.body, result.status, result.content_type) == (b"\xff\xd8 a picture", 200, "image/jpeg")
    assert result.final_url == result.url == server.url("/a.jpg")
    asked = server.requests[0]
    assert asked.headers["user-agent"] == "OpenM3W/0.1 (+https://example.org/crawler)"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


def test_connections_are_kept_alive(server: WebServer) -> None:
    with Client(CONFIG, AGENT, LIFTED) as client:
        for _ in range(5):
            assert isinstance(client.fetch(server.url("/a.jpg")), Fetched)
            assert isinstance(client.fetch(server.url("/missing.jpg")), Failed)
    assert len(server.requests) == 10
    assert server.connections == 1


def test_a_kept_connection_that_the_host_has_closed(server: WebServer) -> None:
    def last_one(_: Request, sock: socket.socket) -> None:
        sock.sendall(reply(b"one"))
        time.sleep(0.05)

    server.routes["/one"] = last_one
    with Client(CONFIG, AGENT, LIFTED) as client:
        for _ in range(3):
            assert isinstance(client.fetch(server.url("/one")), Fetched)
            time.sleep(0.1)
    server.routes["/two"] = in_turn(reply(b"two"), hang_up, reply(b"again"))
    with Client(CONFIG, AGENT, LIFTED) as client:
        bodies = [result.body for _ in range(2) if isinstance(result := client.fetch(server.url("/two")), Fetched)]
    assert bodies == [b"two", b"again"]


def test_query_and_odd_characters_reach_the_server(server: WebServer) -> None:
    server.routes["/b%20%C3%A9.jpg?x=%20&y=1"] = reply(b"odd")
    result = fetch(server.url("/b \u00e9.jpg?x= &y=1#top"))
    assert isinstance(result, Fetched)
    assert result.body == b"odd"


MANY_HEADERS = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(60))
HUGE_GZIP = gzip.compress(bytes(50_000_000))

BROKEN: dict[str, tuple[Route, str]] = {
    "status 404": (reply(b"no", "404 Not Found"), "http_status"),
    "status 500": (reply(b"no", "500 Oops"), "http_status"),
    "status 204": (reply(b"", "204 No Content"), "http_status"),
    "part of a file": (reply(b"no", "206 Partial Content"), "http_status"),
    "redirect to nowhere": (reply(b"", "302 Found"), "http_status"),
    "status 429": (reply(b"no", "429 Slow Down"), "rate_limited"),
    "hangs up": (hang_up, "connection_lost"),
    "resets": (reset, "connection_lost"),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_http"),
    "status is no number": (raw(b"HTTP/1.1 abc OK\r\n\r\n"), "bad_http"),
    "endless status line": (flood(b"HTTP/1.1 200 "), "bad_http"),
    "endless header": (flood(OK + b"X: "), "bad_http"),
    "endlessly many headers": (flood(OK, b"X: y\r\n" * 1000), "bad_http"),
    "large header": (raw(OK, MANY_HEADERS, b"\r\n"), "bad_http"),
    "two lengths": (raw(OK, b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "bad_http"),
    "chunk size is no number": (raw(CHUNKED, b"zz\r\n"), "truncated_body"),
    "endless chunk size": (flood(CHUNKED, b"1" * 999), "bad_http"),
    "chunks break off": (raw(CHUNKED, b"5\r\nab"), "truncated_body"),
    "shorter than announced": (raw(OK, b"Content-Length: 100\r\n\r\nabc"), "truncated_body"),
    "announced too large": (raw(OK, b"Content-Length: 100001\r\n\r\n"), "too_large"),
    "endless body": (flood(OK + b"\r\n"), "too_large"),
    "endless chunks": (
        flood(CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
        "too_large",
    ),
    "bomb": (reply(HUGE_GZIP, headers={"Content-Encoding": "gzip"}), "too_large"),
    "not what it says": (reply(b"\xff\xd8", headers={"Content-Encoding": "gzip"}), "bad_encoding"),
    "noai": (
        reply(b"x", headers={"X-Robots-Tag": DATED}),
        "opted_out_header",
    ),
    "two tags": (raw(OK, b"X-Robots-Tag: a: noai\r\nX-Robots-Tag: noimageai\r\n\r\n"), "opted_out_header"),
    "TDM": (reply(b"x", headers={"TDM-Reservation": "1"}), "opted_out_tdm"),
    "to a file": (redirect("file:///etc/passwd"), "scheme_not_allowed"),
    "to a private address": (redirect("http://10.0.0.1/"), "private_address"),
    "to metadata": (redirect("http://169.254.169.254/latest/meta-data/"), "private_address"),
    "to a local name": (redirect("http://metadata.google.internal/"), "private_address"),
    "to a user": (redirect("http://a@example.org/"), "bad_url"),
    "to nonsense": (redirect("http://[/"), "bad_url"),
    "to a port": (redirect("http://93.184.216.34:22/"), "port_not_allowed"),
    "to itself": (redirect("/broken"), "redirect_loop"),
    "redirect says noai": (reply(b"", "302 Found", {"Location": "/a.jpg", "X-Robots-Tag": "noai"}), "opted_out_header"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(server: WebServer, name: str) -> None:
    route, reason = BROKEN[name]
    server.routes["/broken"] = route
    result = fetch(server.url("/broken"))
    assert isinstance(result, Failed)
    assert result.reason == reason, result.detail
    assert result.detail
    assert server.paths() == ["/broken"]


LINES = [OK, b"HTTP/1.1 302 Found\r\n", b"Location: ", b"Content-Length: ", b"Content-Encoding: gzip", b"Retry-After: "]
BITS = [b"Transfer-Encoding: chunked", b"X-Robots-Tag: ", b"\r\n", b"5", b"abcde", b"\x00", b"\xff", b" ", b":", b"\n"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(LINES + BITS) | st.binary(max_size=10), max_size=12).map(b"".join))
def test_no_bytes_make_it_raise(server: WebServer, client: Client, answer: bytes) -> None:
    server.routes["/any"] = raw(answer)
    assert isinstance(client.fetch(server.url("/any")), Fetched | Failed)


def test_failures_leave_no_connection_open(server: WebServer) -> None:
    routes = [route for route, _ in BROKEN.values()]
    server.routes["/broken"] = in_turn(*routes)
    with Client(CONFIG, AGENT, LIFTED) as client:
        for _ in routes:
            client.fetch(server.url("/broken"))
        ours = [link for link in psutil.Process().net_connections() if link.raddr and link.raddr.port == server.port]
        assert len(ours) <= 1  # one may be kept alive


SLOW: dict[str, Route] = {
    "no answer": drip(b"", b""),
    "status line": drip(b"HTTP/1.1 2", b"0"),
    "header": drip(OK + b"X: ", b"y"),
    "headers": drip(OK, b"X: y\r\n"),
    "interim answers": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drip(OK + b"Content-Length: 5000\r\n\r\n"),
    "body without a length": drip(OK + b"\r\n"),
    "chunks": drip(CHUNKED, b"1\r\nx\r\n"),
    "chunk size": drip(CHUNKED, b"0"),
    "trailers": drip(CHUNKED + b"0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_dripping_is_cut_off(server: WebServer, name: str) -> None:
    server.routes["/slow"] = SLOW[name]
    result = fetch(server.url("/slow"), total_seconds=0.3)
    assert isinstance(result, Failed)
    assert (result.reason, result.retryable) == ("timeout", True)


def test_the_limit_holds_over_redirects(server: WebServer) -> None:
    def later(request: Request, sock: socket.socket) -> None:
        time.sleep(0.2)
        sock.sendall(redirect(request.path + "x"))

    server.routes["/r*"] = later
    result = fetch(server.url("/r"), total_seconds=0.5, max_redirects=50)
    assert isinstance(result, Failed)
    assert result.reason == "timeout"
    assert result.hops <= 3


def test_a_body_longer_than_announced_is_cut_and_its_connection_closed(server: WebServer) -> None:
    server.routes["/long"] = reply(b"abcdefgh" * 10_000, headers={"Content-Length": "3"})
    with Client(CONFIG, AGENT, LIFTED) as client:
        for _ in range(3):
            result = client.fetch(server.url("/long"))
            assert isinstance(result, Fetched)
            assert result.body == b"abc"
    assert server.connections == 3


def test_body_at_the_cap_passes(server: WebServer) -> None:
    server.routes["/full"] = reply(bytes(100_000))
    server.routes["/more"] = raw(OK, b"\r\n", bytes(100_001))
    assert isinstance(fetch(server.url("/full")), Fetched)
    assert fetch(server.url("/more")) == Failed("too_large", "more than 100000 bytes")


@pytest.mark.parametrize(("status", "retryable"), [(403, False), (404, False), (410, False), (503, True), (408, True)])
def test_what_may_pass(server: WebServer, status: int, retryable: bool) -> None:
    server.routes["/x"] = reply(b"", f"{status} Because", {"Retry-After": "7"})
    assert fetch(server.url("/x")) == Failed(
        "http_status", f"{status} Because", status=status, retryable=retryable, retry_after=7.0
    )


def test_bodies_with_an_encoding_nobody_asked_for(server: WebServer) -> None:
    server.routes["/z"] = reply(gzip.compress(b"abc"), headers={"Content-Encoding": "gzip"})
    result = fetch(server.url("/z"))
    assert isinstance(result, Fetched)
    assert result.body == b"abc"


def test_redirects_are_followed(server: WebServer) -> None:
    server.routes["/1"] = redirect("2?x", "301 Moved")
    server.routes["/2?x"] = redirect(server.url("/\u00e9"), "307 Temporary")
    server.routes["/%C3%A9"] = redirect("/a.jpg", "308 Permanent")
    result = fetch(server.url("/1"))
    assert isinstance(result, Fetched)
    assert result.final_url == server.url("/a.jpg")
    assert server.paths() == ["/1", "/2?x", "/%C3%A9", "/a.jpg"]
    result = fetch(server.url("/1"), max_redirects=2)
    assert isinstance(result, Failed)
    assert (result.reason, result.hops) == ("too_many_redirects", 2)


def test_redirect_circle(server: WebServer) -> None:
    server.routes["/1"] = redirect("/2")
    server.routes["/2"] = redirect("/1")
    result = fetch(server.url("/1"))
    assert isinstance(result, Failed)
    assert result.reason == "redirect_loop"
    assert server.paths() == ["/1", "/2"]


def test_no_opt_out_without_tokens(server: WebServer) -> None:
    server.routes["/x"] = reply(b"x", headers={"X-Robots-Tag": "noai", "TDM-Reservation": "1"})
    assert isinstance(fetch(server.url("/x"), opt_out_tokens=(), tdm_reservation=False), Fetched)


def test_loopback_is_closed_unless_lifted(server: WebServer) -> None:
    ports = (*CONFIG.allowed_ports, str(server.port))
    with Client(dataclasses.replace(CONFIG, allowed_ports=ports), AGENT) as client:
        for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"):
            result = client.fetch(server.url("/a.jpg", host))
            assert isinstance(result, Failed)
            assert result.reason == "private_address"
    assert server.connections == 0


def test_a_name_is_resolved_once_and_pinned(server: WebServer) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]  # DNS rebinding: the second answer would lead inside

    def rebinding(host: str, port: int, type: int) -> Any:
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in answers.pop(0)]

    server.routes["/hop"] = redirect("/a.jpg")
    server.routes["/shut"] = raw(reply(b"x", headers={"Connection": "close"}))
    config = dataclasses.replace(CONFIG, allowed_ports=(str(server.port),))
    with Client(config, AGENT, LIFTED, rebinding) as client:
        for path in ("/hop", "/shut", "/shut", "/a.jpg"):
            assert isinstance(client.fetch(server.url(path, "images.example.org")), Fetched)
    assert len(answers) == 1
    assert {request.headers["host"] for request in server.requests} == {f"images.example.org:{server.port}"}


def test_a_name_is_checked_at_every_hop(server: WebServer) -> None:
    def inside(host: str, port: int, type: int) -> Any:
        address = {"outside.example.org": "127.0.0.1", "inside.example.org": "10.0.0.1"}[host]
        return [(socket.AF_INET, type, 6, "", (address, port))]

    server.routes["/hop"] = redirect(server.url("/secret", "inside.example.org"))
    ports = (str(server.port),)
    result = fetch(server.url("/hop", "outside.example.org"), inside, allowed_ports=ports)
    assert isinstance(result, Failed)
    assert (result.reason, result.hops) == ("private_address", 1)
    assert server.paths() == ["/hop"]


def test_absent_names_are_asked_once() -> None:
    resolver = to_loopback()
    with Client(CONFIG, AGENT, LIFTED, resolver) as client:
        for _ in range(3):
            assert client.fetch("http://gone.example.org/") == Failed("dns_failure", "no such name")
    assert resolver.asked == ["gone.example.org"]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = fetch(f"http://127.0.0.1:{port}/")
    assert isinstance(result, Failed)
    assert (result.reason, result.retryable) == ("connect_failure", True)


def test_the_next_address_is_tried(server: WebServer) -> None:
    def two(host: str, port: int, type: int) -> Any:
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    ports = (str(server.port),)
    assert isinstance(fetch(server.url("/a.jpg", "images.example.org"), two, allowed_ports=ports), Fetched)


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"secure")
    certificate = self_signed(tmp_path, "images.example.org", "127.0.0.1")
    resolver = to_loopback("images.example.org", "other.example.org")
    with WebServer(tmp_path, certificate) as server:
        ports = (str(server.port),)
        unknown = fetch(server.url("/a.jpg", "images.example.org"), resolver, allowed_ports=ports)
        assert isinstance(unknown, Failed)
        assert (unknown.reason, unknown.retryable) == ("tls_failure", False)
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        for host in ("images.example.org", "127.0.0.1"):
            assert isinstance(fetch(server.url("/a.jpg", host), resolver, allowed_ports=ports), Fetched)
        assert [request.server_name for request in server.requests] == ["images.example.org", ""]
        wrong = fetch(server.url("/a.jpg", "other.example.org"), resolver, allowed_ports=ports)
        assert isinstance(wrong, Failed)
        assert wrong.reason == "tls_failure"
        assert "other.example.org" in wrong.detail


def test_kept_alive_and_cut_off_under_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    routes = {"/x": reply(b"x"), "/slow": SLOW["headers"], "/s2": SLOW["body"]}
    config = dataclasses.replace(CONFIG, total_seconds=1.0)
    with WebServer(tmp_path, certificate, routes) as server, Client(config, AGENT, LIFTED) as client:
        for _ in range(3):
            assert isinstance(client.fetch(server.url("/x")), Fetched)
        assert server.connections == 1
        for path in ("/slow", "/s2"):
            result = client.fetch(server.url(path))
            assert isinstance(result, Failed)
            assert result.reason == "timeout"


def test_no_tls_where_it_is_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_plainly() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(reply(b"", "400 Bad Request"))
                sock.recv(10_000)

        threading.Thread(target=answer_plainly, daemon=True).start()
        result = fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert isinstance(result, Failed)
    assert result.reason == "tls_failure"


def test_a_silent_tls_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", connect_seconds=0.2)
    assert isinstance(result, Failed)
    assert result.reason == "connect_failure"


def test_retry_after() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert parse_retry_after(" 17 ", now) == 17
    assert parse_retry_after(format_datetime(now + timedelta(seconds=90), usegmt=True), now) == 90
    assert parse_retry_after(format_datetime(now - timedelta(seconds=90), usegmt=True), now) == 0
    for value in ("", "soon", "-5", "1.5", "\u0663", "Mon, 99 Jan 2030"):
        assert parse_retry_after(value, now) is None


@pytest.mark.parametrize(
    "contact", ["", "me", "me@", "@example.org", "ftp://example.org", "http://", "a b@example.org", "a@b.org\r\nX: y"]
)
def test_a_contact_is_required(contact: str) -> None:
    with pytest.raises(ValueError, match="give an e-mail address or an http"):
        Agent("OpenM3W", "0.1", contact)


def test_agent_header() -> None:
    assert Agent("OpenM3W", "0.1", "me@example.org").header == "OpenM3W/0.1 (+me@example.org)"
    with pytest.raises(ValueError, match="product"):
        Agent("Open M3W", "0.1", "me@example.org")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_seconds", 0),
        ("max_bytes", 0),
        ("retries", -1),
        ("host_connections", 0),
        ("allowed_ports", ("http",)),
        ("allowed_ports", ("70000",)),
        ("opt_out_tokens", ("NoAI",)),
        ("user_agent_product", "Open M3W"),
    ],
)
def test_settings_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(CONFIG, **{name: value})


@pytest.mark.parametrize(
    ("at_once", "wanted", "expected"), [(10**9, 32, 32), (100_000 * 9, 32, 4), (100_000 * 2, 32, 1), (1, 32, 1)]
)
def test_large_bodies_mean_fewer_requests_at_once(at_once: int, wanted: int, expected: int) -> None:
    assert dataclasses.replace(CONFIG, max_bytes_at_once=at_once).connections(wanted) == expected
