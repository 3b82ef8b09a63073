"""Lanes: order, pace, retries, breaker, budget, back-pressure; against a real server."""

import dataclasses
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_web_client import AGENT, CONFIG, LIFTED
from webserver import Request, WebServer, drip, hang_up, in_turn, reply

from pipelines.web.client import Client, Failed, Fetched, TestAllowances
from pipelines.web.lane import Outcome, fetch_lanes, lane_of

PACED = TestAllowances(loopback=True, pacing_off=False)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(routes={"/ok*": reply(b"picture")}) as running:
        yield running


def run(
    lanes: dict[str, list[str]], allowances: TestAllowances = LIFTED, workers: int = 4, **changes: Any
) -> list[Outcome]:
    config = dataclasses.replace(CONFIG, **changes)
    with Client(config, AGENT, allowances) as client:
        return list(fetch_lanes(lanes, client, config, workers))


def reasons(outcomes: list[Outcome]) -> dict[str, int]:
    return dict(Counter(result.reason if isinstance(result, Failed) else "ok" for _, result, _ in outcomes))


@given(st.text(), st.integers(min_value=1, max_value=9))
def test_a_lane_has_a_name_for_every_text(url: str, lanes: int) -> None:
    assert int(lane_of(url, lanes).rpartition("#")[2]) < lanes


def test_lanes_of_a_host() -> None:
    urls = [f"http://Example.org/{number}.jpg" for number in range(400)]
    counts = Counter(lane_of(url, 4) for url in urls)
    assert sorted(counts) == [f"example.org#{number}" for number in range(4)]
    assert min(counts.values()) > 60
    assert lane_of("http://example.org/0.jpg", 4) == "example.org#3"  # it must not change between releases
    assert lane_of("http://[", 1) == "#0"


def test_each_url_once_and_in_order_within_its_lane(server: WebServer) -> None:
    lanes = {f"lane {lane}": [server.url(f"/ok{lane}/{number}") for number in range(20)] for lane in range(30)}
    outcomes = run({**lanes, "empty": []})
    assert reasons(outcomes) == {"ok": 600}
    assert all(tries == 1 for _, _, tries in outcomes)
    for urls in lanes.values():
        assert [url for url, _, _ in outcomes if url in urls] == urls
        asked = [server.url(path) for path in server.paths()]
        assert [url for url in asked if url in urls] == urls


def test_nothing_to_do() -> None:
    assert run({}) == []


def test_one_lane_never_asks_two_things_at_once(server: WebServer) -> None:
    at_once = 0
    most = 0
    lock = threading.Lock()

    def careful(_: Request, sock: socket.socket) -> bool:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1
        sock.sendall(reply(b"x"))
        return True

    server.routes["/careful*"] = careful
    run({"lane": [server.url(f"/careful{number}") for number in range(20)]}, workers=8)
    assert most == 1


# Waits can only be seen by the clock. What is asserted is that none ends early, which no slow machine can upset.


def test_the_pace_of_a_host_is_kept(server: WebServer) -> None:
    lanes = {f"host#{lane}": [server.url(f"/ok{lane}/{number}") for number in range(4)] for lane in range(2)}
    begin = time.monotonic()
    run(lanes, PACED, host_interval_seconds=0.05, host_connections=2)
    assert time.monotonic() - begin > 3 * 2 * 0.05
    run(lanes, LIFTED, host_interval_seconds=1000.0, host_connections=2)  # would not end


def test_crawl_delay_sets_the_pace_up_to_its_cap(server: WebServer) -> None:
    server.routes["/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 100")
    lanes = {"lane": [server.url(f"/ok{number}") for number in range(3)]}
    begin = time.monotonic()
    run(lanes, PACED, respect_robots=True, crawl_delay_cap_seconds=0.1, host_connections=1, host_interval_seconds=0.0)
    assert time.monotonic() - begin > 2 * 0.1


def test_what_was_never_asked_needs_no_pace(server: WebServer) -> None:
    server.routes["/robots.txt"] = reply(b"User-agent: *\nDisallow: /")
    lanes = {"lane": [server.url(f"/ok{number}") for number in range(200)]}
    outcomes = run(lanes, PACED, respect_robots=True, host_interval_seconds=5.0, host_budget_seconds=10.0)
    assert reasons(outcomes) == {"robots_disallowed": 200}


@pytest.mark.parametrize(
    ("first", "tries"),
    [
        (reply(b"", "503 Busy"), 2),
        (reply(b"", "429 Slow Down"), 2),
        (hang_up, 2),
        (drip(b"HTTP/1.1 200 OK\r\n"), 2),
    ],
)
def test_failures_that_may_pass_are_tried_again(server: WebServer, first: Any, tries: int) -> None:
    server.routes["/x"] = in_turn(first, reply(b"at last"))
    [(_, result, tried)] = run({"lane": [server.url("/x")]}, total_seconds=0.6)
    assert isinstance(result, Fetched)
    assert (result.body, tried) == (b"at last", tries)


def test_retries_end(server: WebServer) -> None:
    server.routes["/x"] = reply(b"", "500 Oops")
    outcomes = run({"lane": [server.url("/x"), server.url("/ok")]}, retries=2)
    assert [(getattr(result, "status", 0), tries) for _, result, tries in outcomes] == [(500, 3), (200, 1)]


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "410 Gone"])
def test_failures_that_stay_are_not_tried_again(server: WebServer, status: str) -> None:
    server.routes["/x"] = reply(b"", status)
    [(_, _, tries)] = run({"lane": [server.url("/x")]})
    assert tries == 1


def test_retry_after_is_waited_for(server: WebServer) -> None:
    server.routes["/x"] = in_turn(reply(b"", "429 Slow Down", {"Retry-After": "1"}), reply(b"at last"))
    assert reasons(run({"lane": [server.url("/x"), server.url("/ok")]})) == {"ok": 2}
    assert server.paths() == ["/x", "/x", "/ok"]  # the whole lane waits
    assert server.requests[1].time - server.requests[0].time > 1


def test_retry_after_may_be_a_date(server: WebServer) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.routes["/x"] = reply(b"", "429 Slow Down", {"Retry-After": date})
    assert reasons(run({"lane": [server.url("/x"), server.url("/ok")]})) == {"rate_limited": 2}
    assert server.paths() == ["/x"]


def test_a_host_that_asks_for_more_is_left_alone(server: WebServer) -> None:
    server.routes["/x"] = reply(b"", "503 Busy", {"Retry-After": "3600"})
    outcomes = run({"lane": [server.url("/x"), server.url("/ok1"), server.url("/ok2")]}, retry_after_cap_seconds=5.0)
    assert server.paths() == ["/x"]
    assert reasons(outcomes) == {"http_status": 1, "rate_limited": 2}
    assert all(isinstance(result, Failed) and result.retryable for _, result, _ in outcomes)
    assert [tries for _, _, tries in outcomes] == [1, 0, 0]


def test_the_breaker(server: WebServer) -> None:
    server.routes["/x*"] = hang_up
    urls = [server.url(f"/x{number}") for number in range(10)]
    outcomes = run({"lane": urls}, retries=1, breaker_failures=4)
    assert reasons(outcomes) == {"connection_lost": 2, "host_down": 8}
    assert [url for url, _, _ in outcomes] == urls
    assert server.paths() == ["/x0", "/x0", "/x1", "/x1"]


def test_the_breaker_counts_failures_in_a_row_only(server: WebServer) -> None:
    server.routes["/x*"] = hang_up
    urls = [server.url(f"/{'ok' if number % 3 == 2 else 'x'}{number}") for number in range(12)]
    assert reasons(run({"lane": urls}, retries=0, breaker_failures=3)) == {"connection_lost": 8, "ok": 4}


def test_a_dead_name_stays_dead() -> None:
    def nobody(host: str, port: int, type: int) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with Client(CONFIG, AGENT, LIFTED, nobody) as client:
        urls = [f"http://gone.example.org/{number}" for number in range(9)]
        outcomes = list(fetch_lanes({"lane": urls}, client, CONFIG, 1))
    assert reasons(outcomes) == {"dns_failure": 3, "host_down": 6}
    assert not any(result.retryable for _, result, _ in outcomes if isinstance(result, Failed))


def test_the_budget_of_a_host(server: WebServer) -> None:
    lanes = {"slow": [server.url(f"/ok{number}") for number in range(50)]}
    outcomes = run(lanes, PACED, host_budget_seconds=0.35, host_interval_seconds=0.1, host_connections=1)
    counts = reasons(outcomes)
    assert 1 <= counts["ok"] <= 5
    assert counts["ok"] + counts["deferred"] == 50
    assert len(server.paths()) == counts["ok"]
    assert all(tries == 0 for _, result, tries in outcomes if isinstance(result, Failed))


def test_no_wait_beyond_the_budget(server: WebServer) -> None:
    server.routes["/x"] = reply(b"", "503 Busy", {"Retry-After": "4"})
    outcomes = run({"lane": [server.url("/x"), server.url("/ok")]}, host_budget_seconds=2.0)
    assert reasons(outcomes) == {"http_status": 1, "deferred": 1}


def test_bodies_wait_for_their_taker(server: WebServer) -> None:
    lanes = {f"lane {lane}": [server.url(f"/ok{lane}/{number}") for number in range(50)] for lane in range(4)}
    with Client(CONFIG, AGENT, LIFTED) as client:
        outcomes = fetch_lanes(lanes, client, CONFIG, workers=2)
        next(outcomes)
        time.sleep(0.5)
        assert len(server.paths()) <= 2 * 2 + 1
        assert len(list(outcomes)) == 199


def test_stopping_early_ends_the_threads(server: WebServer) -> None:
    lanes = {f"lane {lane}": [server.url(f"/ok{lane}/{number}") for number in range(50)] for lane in range(8)}
    with Client(CONFIG, AGENT, LIFTED) as client:
        outcomes = fetch_lanes(lanes, client, CONFIG, workers=4)
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
        asked = len(server.paths())
        time.sleep(0.1)
        assert len(server.paths()) == asked < 400


def test_a_defect_is_not_swallowed(server: WebServer) -> None:
    class Broken(Client):
        def fetch(self, url: str) -> Fetched | Failed:
            raise RuntimeError("a defect")

    with Broken(CONFIG, AGENT, LIFTED) as client, pytest.raises(RuntimeError, match="a defect"):
        list(fetch_lanes({"lane": ["http://127.0.0.1/"]}, client, CONFIG, 3))
