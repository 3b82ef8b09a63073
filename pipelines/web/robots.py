"""robots.txt as RFC 9309 has it: asked once for each origin, or known beforehand from a crawl's own records.

Protego does the rules (longest match, * and $). What it is given is cut down first to the groups that can concern us:
a hostile file of 20,000 names over 20,000 rules would otherwise become 400 million rules in memory.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from protego import Protego

from pipelines.web.addresses import Target
from pipelines.web.config import FetchConfig
from pipelines.web.outcome import Failed, Fetched

_AGENT_LINE = re.compile(r"[ \t]*user[- ]?agent[ \t]*:?[ \t]*(?P<name>[^#]*)", re.IGNORECASE)
_CACHED_ORIGINS = 10_000
# If the host itself cannot be asked, that is the more useful thing to say of its URLs.
_OF_THE_HOST = {
    "private_address",
    "port_not_allowed",
    "dns_failure",
    "connect_failure",
    "connection_lost",
    "tls_failure",
}


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: Protego | Failed | None = None
    expires: float = 0.0


class Robots:
    """The robots.txt of every origin met so far."""

    def __init__(self, fetch: Callable[[str], Fetched | Failed], config: FetchConfig, product: str) -> None:
        """
        Args:
            fetch: GETs a robots.txt, safely, and follows redirects.
            product: our name, as a robots.txt would name it.
        """
        self._fetch = fetch
        self._config = config
        self._product = product
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def seed(self, origin: str, body: bytes) -> None:
        """Take `body` for the robots.txt of an origin ("https://example.org"), for as long as this object lives."""
        entry = self._entry(origin.rstrip("/").lower())
        with entry.lock:
            entry.answer = parse_robots(body[: self._config.robots_max_bytes], self._product)
            entry.expires = float("inf")

    def refusal(self, target: Target) -> Failed | None:
        """Why we may not ask this target: robots_disallowed, robots_unreachable, or that its host cannot be asked."""
        rules = self._rules(target.origin)
        if isinstance(rules, Failed):
            return rules
        if rules.can_fetch(target.url, self._product):
            return None
        return Failed("robots_disallowed", "robots.txt")

    def crawl_delay(self, origin: str) -> float:
        """Seconds between requests that the origin's robots.txt wishes, as far as it has been read; 0 if none."""
        with self._lock:
            entry = self._entries.get(origin)
        rules = entry.answer if entry else None
        return (rules.crawl_delay(self._product) or 0.0) if isinstance(rules, Protego) else 0.0

    def _rules(self, origin: str) -> Protego | Failed:
        entry = self._entry(origin)
        with entry.lock:
            if entry.answer is None or entry.expires <= time.monotonic():
                result = self._fetch(f"{origin}/robots.txt")
                failed = _unreachable(result)
                body = result.body if isinstance(result, Fetched) else b""
                entry.answer = failed or parse_robots(body[: self._config.robots_max_bytes], self._product)
                # a failure is kept for those who waited for it; the next try comes after a back-off
                kept = self._config.backoff_seconds if failed else self._config.robots_cache_seconds
                entry.expires = time.monotonic() + kept
            return entry.answer

    def _entry(self, origin: str) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(origin, _Entry())
            self._entries.move_to_end(origin)
            if len(self._entries) > _CACHED_ORIGINS:
                self._entries.popitem(last=False)
            return entry


def parse_robots(body: bytes, product: str) -> Protego:
    """The rules of a robots.txt that hold for `product` or, without a group of its own, for everyone."""
    text = body.decode("utf-8", errors="replace").removeprefix("\ufeff")
    return Protego.parse("\n".join(_concerning(line, product.lower()) for line in text.splitlines()))


def _concerning(line: str, product: str) -> str:
    found = _AGENT_LINE.match(line)
    if found is None:
        return line
    name = found["name"].strip().lower().partition("/")[0].strip()
    name = name if name in ("*", product) else "-"  # Protego takes the start of our name for our name: so "-"
    return f"user-agent: {name}"


def _unreachable(result: Fetched | Failed) -> Failed | None:
    """RFC 9309 section 2.3.1: 4xx means no rules; an error of the server or the net means everything is forbidden."""
    if isinstance(result, Fetched):
        return None
    if result.reason == "http_status" and 300 <= result.status < 500:
        return None
    if result.reason in ("too_many_redirects", "redirect_loop"):
        return None  # section 2.3.1.2: may be taken as unavailable
    if result.reason in _OF_THE_HOST:
        return Failed(result.reason, f"robots.txt: {result.detail}", retryable=result.retryable)
    detail = f"{result.reason}: {result.detail}"
    return Failed("robots_unreachable", detail, status=result.status, retryable=True, retry_after=result.retry_after)
