"""Many URLs from many hosts at once, and each host no faster than is polite.

A host's URLs are split over a few lanes. A lane asks one URL after the other; lanes take turns on a bounded number of
threads, and a lane that has to wait (pace, back-off, Retry-After, Crawl-delay) holds no thread meanwhile.
"""

import heapq
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from urllib.parse import urlsplit

from pipelines.web.client import Client
from pipelines.web.config import FetchConfig
from pipelines.web.outcome import Failed, Fetched

Outcome = tuple[str, Fetched | Failed, int]
"""URL, what became of it, and how many times it was asked for in this run."""

_LANES_PER_THREAD = 8  # lanes mostly wait for their pace; more of them keep the threads busy

_TRY_AGAIN = {
    "timeout",
    "connect_failure",
    "connection_lost",
    "dns_failure",
    "truncated_body",
    "http_status",
    "rate_limited",
    "robots_unreachable",
}
_OF_THE_HOST = {
    "timeout",
    "connect_failure",
    "connection_lost",
    "dns_failure",
    "tls_failure",
    "private_address",
    "rate_limited",
    "robots_unreachable",
}
_NOT_ASKED = {
    "bad_url",
    "scheme_not_allowed",
    "port_not_allowed",
    "private_address",
    "dns_failure",
    "robots_disallowed",
}


def lane_of(url: str, lanes: int) -> str:
    """Name of the lane a URL belongs to: its host and a number below `lanes` that depends on the URL alone."""
    try:
        host = (urlsplit(url.strip()).hostname or "").removesuffix(".")
    except ValueError:
        host = ""
    number = int.from_bytes(sha256(url.encode("utf-8", errors="surrogatepass")).digest()[:8], "big") % lanes
    return f"{host}#{number}"


@dataclass
class Lane:
    """Where one lane stands. Times are on the clock of `time.monotonic`."""

    urls: deque[str]
    tries: int = 0
    """Times the first of `urls` has been asked for."""
    failures: int = 0
    """Failures of the host in a row."""
    ready: float = 0.0
    """When the next request may start."""
    until: float = field(default=float("inf"))
    """When the lane's time is over; set at its first request."""


def advance(lane: Lane, client: Client, config: FetchConfig) -> Iterator[Outcome]:
    """Ask for the lane's first URL once, and say what is settled by that: nothing if it will be tried again.

    Sets `lane.ready` for what is left.
    """
    begin = time.monotonic()
    lane.until = min(lane.until, begin + config.host_budget_seconds)
    if begin >= lane.until:
        yield from _give_up(lane, _deferred(config))
        return
    url = lane.urls[0]
    result = client.fetch(url)
    lane.tries += 1
    lane.failures = lane.failures + 1 if _is_of_the_host(result) else 0
    wait = _wait_before_retry(url, result, lane.tries, config)
    asked = result.retry_after if isinstance(result, Failed) else None
    if asked is not None and isinstance(result, Failed) and result.retryable and asked > config.retry_after_cap_seconds:
        yield _settle(lane, result)
        detail = f"the host asked to wait {asked:.0f} s, at most {config.retry_after_cap_seconds:g} s"
        yield from _give_up(lane, Failed("rate_limited", detail, retryable=True, retry_after=asked))
    elif lane.failures >= config.breaker_failures and isinstance(result, Failed):
        yield _settle(lane, result)
        detail = f"{lane.failures} failures in a row, the last: {result.reason}"
        yield from _give_up(lane, Failed("host_down", detail, retryable=result.retryable))
    elif wait is None:
        yield _settle(lane, result)
        lane.ready = begin + (_interval(url, client, config) if _was_asked(result) else 0.0)
        # a host that asked us to wait is left alone, also when this URL has had its tries
        lane.ready = max(lane.ready, time.monotonic() + (asked or 0.0))
    elif time.monotonic() + wait >= lane.until:
        yield _settle(lane, result)
        yield from _give_up(lane, _deferred(config))
    else:
        lane.ready = max(begin + _interval(url, client, config), time.monotonic() + wait)


def _settle(lane: Lane, result: Fetched | Failed) -> Outcome:
    tries, lane.tries = lane.tries, 0
    return lane.urls.popleft(), result, tries


def _give_up(lane: Lane, failed: Failed) -> Iterator[Outcome]:
    while lane.urls:
        yield _settle(lane, failed)


def _deferred(config: FetchConfig) -> Failed:
    return Failed("deferred", f"{config.host_budget_seconds:g} s for this host are over", retryable=True)


def _is_of_the_host(result: Fetched | Failed) -> bool:
    return isinstance(result, Failed) and (result.reason in _OF_THE_HOST or result.status == 503)


def _was_asked(result: Fetched | Failed) -> bool:
    return isinstance(result, Fetched) or result.hops > 0 or result.reason not in _NOT_ASKED


def _wait_before_retry(url: str, result: Fetched | Failed, tries: int, config: FetchConfig) -> float | None:
    """Seconds until the URL's next try, None if there is none."""
    if isinstance(result, Fetched) or not result.retryable or result.reason not in _TRY_AGAIN:
        return None
    if tries > config.retries:
        return None
    jitter = random.Random(f"{url}#{tries}").random()
    backoff = config.backoff_seconds * 2 ** (tries - 1) * (1 + jitter)
    return max(backoff, result.retry_after or 0.0)


def _interval(url: str, client: Client, config: FetchConfig) -> float:
    """Seconds between two requests of a lane: the host's own interval times its lanes."""
    if client.allowances.pacing_off:
        return 0.0
    crawl_delay = min(client.crawl_delay(url), config.crawl_delay_cap_seconds)
    return max(config.host_interval_seconds, crawl_delay) * config.host_connections


def fetch_lanes(
    urls_by_lane: Mapping[str, Sequence[str]], client: Client, config: FetchConfig, workers: int
) -> Iterator[Outcome]:
    """Fetch all URLs of all lanes, yielding outcomes as they come, in no fixed order, each URL once.

    Back-pressure: at most 2 * `workers` + 1 bodies are in memory, however slowly outcomes are taken. Closing the
    iterator early ends the threads once their running requests are over.

    Args:
        urls_by_lane: URLs by `lane_of`.
        client: what asks.
        config: the table the client was made with.
        workers: threads, that is, requests at once over all hosts.
    """
    outcomes: queue.Queue[Outcome | BaseException | None] = queue.Queue(maxsize=workers)
    turns = _Turns(deque(urls for urls in urls_by_lane.values() if urls), workers * _LANES_PER_THREAD)

    def work() -> None:
        try:
            turns.run(lambda lane: advance(lane, client, config), outcomes.put)
        except BaseException as error:  # a defect of ours: the taker must see it, whichever thread met it
            outcomes.put(error)
        finally:
            outcomes.put(None)

    threads = [threading.Thread(target=work, name=f"fetch-{number}", daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    running = workers
    try:
        while running:
            outcome = outcomes.get()
            if outcome is None:
                running -= 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                yield outcome
    finally:
        turns.stop()
        while running:  # threads may be waiting to hand something over
            running -= outcomes.get() is None


class _Turns:
    """Hands lanes to threads when they are ready."""

    def __init__(self, waiting: deque[Sequence[str]], most: int) -> None:
        self._waiting = waiting  # lanes not begun, so that the budget of a lane starts when its turn comes
        self._most = most
        self._ready: list[tuple[float, int, Lane]] = []
        self._order = count()
        self._asking = 0
        self._changed = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self, step: Callable[[Lane], Iterator[Outcome]], put: Callable[[Outcome], None]) -> None:
        while (lane := self._next()) is not None:
            try:
                for outcome in step(lane):
                    put(outcome)
                    if self._stopped:
                        break
            finally:
                self._return(lane)

    def _next(self) -> Lane | None:
        """The next lane, once it is ready; None when there is nothing left to do."""
        with self._changed:
            while not self._stopped:
                while self._waiting and len(self._ready) + self._asking < self._most:
                    lane = Lane(deque(self._waiting.popleft()))
                    heapq.heappush(self._ready, (lane.ready, next(self._order), lane))
                if not self._ready and not self._asking:
                    return None
                wait = self._ready[0][0] - time.monotonic() if self._ready else None
                if wait is not None and wait <= 0:
                    self._asking += 1
                    return heapq.heappop(self._ready)[2]
                self._changed.wait(wait)
            return None

    def _return(self, lane: Lane) -> None:
        with self._changed:
            self._asking -= 1
            if lane.urls:
                heapq.heappush(self._ready, (lane.ready, next(self._order), lane))
                self._changed.notify()
            else:
                self._changed.notify_all()
