"""GET of one URL from a host nobody vouches for: every hop checked, every size and time bounded, opt-outs obeyed."""

import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from urllib.parse import urljoin

from pipelines.web.addresses import Resolver, Target, parse_target, resolve
from pipelines.web.config import NO_ALLOWANCES, Agent, FetchConfig, TestAllowances
from pipelines.web.encodings import decode_body
from pipelines.web.opt_out import opt_out_token, robots_directives, tdm_reserved
from pipelines.web.outcome import Failed, Fetched, FetchError
from pipelines.web.robots import Robots
from pipelines.web.transport import Reply, Transport

__all__ = ["Agent", "Client", "Failed", "FetchConfig", "Fetched", "TestAllowances"]

_REDIRECTS = {301, 302, 303, 307, 308}
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 527, 530}
_ROBOTS_REDIRECTS = 5  # RFC 9309 section 2.3.1.2
_CACHED_NAMES = 10_000


class Client:
    """Fetches URLs, from any number of threads at once.

    Proxy settings of the environment are not used: a proxy would resolve names on its own, unchecked.
    """

    def __init__(
        self,
        config: FetchConfig,
        agent: Agent,
        allowances: TestAllowances = NO_ALLOWANCES,
        resolver: Resolver = socket.getaddrinfo,
    ) -> None:
        """
        Args:
            config: limits and manners.
            agent: who asks.
            allowances: what a test run lifts.
            resolver: resolves names as `socket.getaddrinfo` does; asked once for each name.

        Raises:
            ValueError: this machine knows no certificate authorities.
        """
        self.allowances = allowances
        self._config = config
        self._agent = agent
        self._resolver = resolver
        self._transport = Transport(config.connect_seconds)
        self._names: OrderedDict[str, tuple[float, tuple[str, ...] | Failed]] = OrderedDict()
        self._names_lock = threading.Lock()
        self.robots = Robots(self._fetch_robots, config, agent.product)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections and end the watchdog thread."""
        self._transport.close()

    def fetch(self, url: str) -> Fetched | Failed:
        """GET `url` once, following redirects. Never raises for anything a URL or a host can do.

        `total_seconds` bounds it; the first URL of an origin may take as long again for its robots.txt.
        """
        try:
            return self._follow(url, self._config.max_redirects, self._config.max_bytes, for_robots=False)
        except FetchError as error:
            return error.failed

    def crawl_delay(self, url: str) -> float:
        """Seconds between requests that the robots.txt of the URL's origin wishes, if it has been read; else 0."""
        try:
            return self.robots.crawl_delay(self._target(url).origin) if self._config.respect_robots else 0.0
        except FetchError:
            return 0.0

    def _fetch_robots(self, url: str) -> Fetched | Failed:
        try:
            return self._follow(url, _ROBOTS_REDIRECTS, self._config.robots_max_bytes, for_robots=True)
        except FetchError as error:
            return error.failed

    def _target(self, url: str) -> Target:
        return parse_target(url, self._config.allowed_ports, loopback=self.allowances.loopback)

    def _follow(self, url: str, max_redirects: int, max_bytes: int, *, for_robots: bool) -> Fetched:
        seconds = self._config.total_seconds
        deadline = time.monotonic() + seconds
        visited: list[str] = []
        try:
            target = self._target(url)
            while target.url not in visited:
                if len(visited) > max_redirects:
                    raise FetchError("too_many_redirects", f"more than {max_redirects}")
                visited.append(target.url)
                if self._config.respect_robots and not for_robots:
                    before = time.monotonic()
                    if (refused := self.robots.refusal(target)) is not None:
                        raise FetchError.of(refused)
                    deadline += time.monotonic() - before  # robots.txt has a limit of its own
                addresses = self._addresses(target, deadline)
                with self._transport.exchange(target, addresses, self._headers(), deadline) as reply:
                    result = self._read(reply, url, target, max_bytes, for_robots=for_robots)
                if isinstance(result, Fetched):
                    return result
                target = self._target(result)
            raise FetchError("redirect_loop", target.url)
        except FetchError as error:
            raise FetchError.of(replace(error.failed, hops=max(0, len(visited) - 1))) from None

    def _headers(self) -> Mapping[str, str]:
        return {"User-Agent": self._agent.header, "Accept": "*/*", "Accept-Encoding": "identity"}

    def _read(self, reply: Reply, url: str, target: Target, max_bytes: int, *, for_robots: bool) -> Fetched | str:
        """The body, or where a redirect leads."""
        if reply.header_bytes > self._config.max_header_bytes:
            raise FetchError(
                "bad_http", f"header of {reply.header_bytes} bytes, at most {self._config.max_header_bytes}"
            )
        if not for_robots:
            self._check_opt_out(reply)
        location = reply.headers.get("location", [""])[0].strip()
        if reply.status in _REDIRECTS and location:
            reply.drain()
            try:
                # what a header cannot carry is sent as UTF-8 by most servers, and read as Latin-1 by http.client
                return urljoin(target.url, _utf8(location))
            except ValueError as error:
                raise FetchError("bad_url", f"redirect: {error}") from None
        if reply.status != HTTPStatus.OK:
            reply.drain()
            raise FetchError.of(_status_failure(reply))
        declared = reply.declared_bytes
        if declared is not None and declared > max_bytes and not for_robots:
            raise FetchError("too_large", f"{declared} bytes announced, at most {max_bytes}")
        body = reply.read(max_bytes)
        if len(body) > max_bytes and not for_robots:
            raise FetchError("too_large", f"more than {max_bytes} bytes")
        if encoding := ",".join(reply.headers.get("content-encoding", ())):
            body = decode_body(body, encoding, max_bytes)
            if len(body) > max_bytes and not for_robots:
                raise FetchError("too_large", f"more than {max_bytes} bytes once decoded ({encoding})")
        content_type = reply.headers.get("content-type", [""])[0].partition(";")[0].strip().lower()
        return Fetched(
            url=url,
            final_url=target.url,
            status=reply.status,
            headers=reply.headers,
            body=body,
            content_type=content_type,
        )

    def _check_opt_out(self, reply: Reply) -> None:
        if tags := reply.headers.get("x-robots-tag"):
            directives = robots_directives(tags, self._agent.product)
            if token := opt_out_token(directives, self._config.opt_out_tokens):
                raise FetchError("opted_out_header", token, status=reply.status)
        if self._config.tdm_reservation and tdm_reserved(reply.headers):
            raise FetchError("opted_out_tdm", "tdm-reservation", status=reply.status)

    def _addresses(self, target: Target, deadline: float) -> Sequence[str]:
        """The host's checked addresses; a name is asked again only after `dns_cache_seconds`."""
        now = time.monotonic()
        with self._names_lock:
            expires, known = self._names.get(target.host, (0.0, ()))
        if expires > now:
            if isinstance(known, Failed):
                raise FetchError.of(known)
            return known
        seconds = min(self._config.connect_seconds, deadline - now)
        if seconds <= 0:
            raise FetchError("timeout", "the time for one URL is over", retryable=True)
        found: tuple[str, ...] | Failed
        try:
            found = resolve(target, self._resolver, seconds, loopback=self.allowances.loopback)
        except FetchError as error:
            found = error.failed
        if not (isinstance(found, Failed) and found.retryable):
            with self._names_lock:
                self._names[target.host] = (now + self._config.dns_cache_seconds, found)
                if len(self._names) > _CACHED_NAMES:
                    self._names.popitem(last=False)
        if isinstance(found, Failed):
            raise FetchError.of(found)
        return found


def _status_failure(reply: Reply) -> Failed:
    retry_after = parse_retry_after(reply.headers.get("retry-after", [""])[0], datetime.now(UTC))
    reason = "rate_limited" if reply.status == HTTPStatus.TOO_MANY_REQUESTS else "http_status"
    detail = f"{reply.status} {reply.reason}".strip()[:100]
    return Failed(reason, detail, status=reply.status, retryable=reply.status in _MAY_PASS, retry_after=retry_after)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Seconds to wait, from a Retry-After of seconds or of an HTTP date; None if it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def _utf8(header: str) -> str:
    with suppress(UnicodeError):
        return header.encode("latin-1").decode("utf-8")
    return header
