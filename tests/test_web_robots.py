"""robots.txt by RFC 9309, from a real server and from a crawl's own records."""

import dataclasses
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_web_client import AGENT, CONFIG, LIFTED
from webserver import Route, WebServer, drip, flood, hang_up, in_turn, redirect, reply

from pipelines.web.client import Client, Failed, Fetched
from pipelines.web.robots import parse_robots

ROBOTS = dataclasses.replace(CONFIG, respect_robots=True, total_seconds=2.0)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(routes={"/a*": reply(b"picture"), "/b*": reply(b"picture")}) as running:
        yield running


def fetch(server: WebServer, path: str) -> Fetched | Failed:
    with Client(ROBOTS, AGENT, LIFTED) as client:
        return client.fetch(server.url(path))


def allowed(rules: str, path: str) -> bool:
    return parse_robots(rules.encode(), "OpenM3W").can_fetch(f"http://example.org{path}", "OpenM3W")


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("User-agent: *\nDisallow:", "/a", True),
        ("user-agent:*\r\ndisallow:/a # why\r\n", "/a", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/a", False),
        ("Disallow: /", "/a", True),  # rules before any group are nobody's
        ("User-agent: *\nDisallow: /\n\nUser-agent: OpenM3W\nDisallow:", "/a", True),
        ("User-agent: openm3w\nDisallow: /\n\nUser-agent: *\nAllow: /", "/a", False),
        ("User-agent: OpenM3W/1.0\nDisallow: /", "/a", False),
        ("User-agent: Open\nDisallow: /", "/a", True),  # only the start of our name
        ("User-agent: MyOpenM3W\nDisallow: /", "/a", True),
        ("User-agent: otherbot\nDisallow: /", "/a", True),
        ("User-agent: otherbot\nUser-agent: openm3w\nDisallow: /", "/a", False),
        ("User-agent: openm3w\nDisallow: /a\n\nUser-agent: other\n\nUser-agent: openm3w\nDisallow: /b", "/b", False),
        # the longest match wins, Allow in a tie (section 2.2.2)
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", False),
        ("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.jpg$", "/x/y.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/x/y.jpg?z", True),
        ("User-agent: *\nDisallow: /*.jpg", "/x/y.jpg?z", False),
        ("User-agent: *\nDisallow: /a*b*c", "/axxbxxc", False),
        ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9", False),
        ("User-agent: *\nDisallow: /?x=", "/?x=1", False),
    ],
)
def test_rules(rules: str, path: str, expected: bool) -> None:
    assert allowed(rules, path) is expected


@given(st.binary(max_size=300) | st.text(alphabet="User-agent:*Disallow/$ %\n", max_size=300).map(str.encode))
def test_no_file_breaks_the_parser(body: bytes) -> None:
    assert parse_robots(body, "OpenM3W").can_fetch("http://example.org/a", "OpenM3W") in (True, False)


@pytest.mark.timeout(60)  # 225 million rules would take minutes, and gigabytes
def test_many_names_over_many_rules_stay_small() -> None:
    names = "".join(f"User-agent: a{number}\n" for number in range(15_000))
    rules = "".join(f"Disallow: /{number}\n" for number in range(15_000))
    assert allowed(names + "User-agent: *\n" + rules, "/14999") is False


ANSWERS: dict[str, tuple[Route, str]] = {
    "allows": (reply(b"User-agent: *\nAllow: /"), ""),
    "forbids": (reply(b"User-agent: *\nDisallow: /"), "robots_disallowed"),
    "absent": (reply(b"", "404 Not Found"), ""),
    "forbidden itself": (reply(b"", "403 Forbidden"), ""),
    "a page": (reply(b"<html>Disallow: /"), ""),
    "elsewhere": (redirect("/b/robots.txt"), "robots_disallowed"),
    "in a circle": (redirect("/robots.txt"), ""),
    "server error": (reply(b"", "503 Busy"), "robots_unreachable"),
    "too many requests": (reply(b"", "429 Slow Down"), "robots_unreachable"),
    "hangs up": (hang_up, "connection_lost"),
    "never ends": (drip(b"HTTP/1.1 200 OK\r\n\r\n"), "robots_unreachable"),
    "too large": (flood(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /a\n", b"#" * 65536), "robots_disallowed"),
    "private": (redirect("http://10.0.0.1/robots.txt"), "private_address"),
    "noindex": (reply(b"", headers={"X-Robots-Tag": "noindex"}), ""),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(server: WebServer, name: str) -> None:
    server.routes["/robots.txt"], reason = ANSWERS[name]
    server.routes["/b/robots.txt"] = reply(b"User-agent: *\nDisallow: /a")
    result = fetch(server, "/a")
    if reason:
        assert isinstance(result, Failed)
        assert (result.reason, result.retryable) == (reason, reason not in ("robots_disallowed", "private_address"))
        assert "/a" not in server.paths()
    else:
        assert isinstance(result, Fetched)


def test_asked_once_for_an_origin(server: WebServer) -> None:
    server.routes["/robots.txt"] = reply(b"User-agent: *\nDisallow: /b")
    with Client(ROBOTS, AGENT, LIFTED) as client:
        for path in ("/a1", "/a2", "/b", "/a3"):
            client.fetch(server.url(path))
    assert [request.path for request in server.requests] == ["/robots.txt", "/a1", "/a2", "/a3"]


def test_asked_again_after_a_failure(server: WebServer) -> None:
    server.routes["/robots.txt"] = in_turn(reply(b"", "503 Busy"), reply(b""))
    with Client(ROBOTS, AGENT, LIFTED) as client:
        assert isinstance(client.fetch(server.url("/a")), Failed)
        time.sleep(2 * ROBOTS.backoff_seconds)
        assert isinstance(client.fetch(server.url("/a")), Fetched)


def test_asked_at_every_hop(server: WebServer) -> None:
    with WebServer(routes={"/robots.txt": reply(b"User-agent: *\nDisallow: /")}) as other:
        server.routes["/a"] = redirect(other.url("/x"))
        result = fetch(server, "/a")
        assert isinstance(result, Failed)
        assert (result.reason, result.hops) == ("robots_disallowed", 1)
        assert other.paths() == []


def test_known_beforehand(server: WebServer) -> None:
    server.routes["/robots.txt"] = reply(b"User-agent: *\nAllow: /")
    with Client(ROBOTS, AGENT, LIFTED) as client:
        client.robots.seed(server.url("/"), b"User-agent: *\nDisallow: /a\nCrawl-delay: 3")
        assert client.crawl_delay(server.url("/")) == 3
        result = client.fetch(server.url("/a"))
    assert isinstance(result, Failed)
    assert result.reason == "robots_disallowed"
    assert server.requests == []
