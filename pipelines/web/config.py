"""What the fetcher may do: the recipe's table, who we say we are, and what a test run may lift."""

import re
from dataclasses import dataclass, fields

_CONTACT = re.compile(r"https?://[^\s()<>]+\.[^\s()<>]+|[^\s@()<>]+@[^\s@()<>]+\.[^\s@()<>]+")
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MAY_BE_ZERO = {
    "max_redirects",
    "retries",
    "backoff_seconds",
    "retry_after_cap_seconds",
    "host_interval_seconds",
    "crawl_delay_cap_seconds",
    "dns_cache_seconds",
}
_MOST_SECONDS = 2_000_000
"""23 days: what the clock of a socket can hold."""


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """Limits and manners of fetching from hosts we do not know."""

    connect_seconds: float
    """Longest wait for a name, for a connection and for a TLS handshake, each. Seconds, above 0."""
    total_seconds: float
    """Longest wall time for one URL: name, redirects, headers and body. Seconds, above 0."""
    max_bytes: int
    """Largest body, as sent and after undoing its content encoding. Bytes, at least 1."""
    max_bytes_at_once: int
    """Bytes of bodies that a worker may hold at once, if all are as large as they may be: fewer requests run at once
    where bodies may be large (videos). At least 1."""
    max_header_bytes: int
    """Largest response header. Bytes, at least 1."""
    max_redirects: int
    """Redirects followed, each checked like a first URL. 0 or more."""
    retries: int
    """Further tries of a URL whose failure may pass (429, 5xx, time-outs, lost connections). 0 or more."""
    max_tries: int
    """Requests for one URL, over all runs that share a media store, after which it is not asked again. At least 1."""
    backoff_seconds: float
    """Wait before the first further try; doubled each time, with up to as much again at random. Seconds."""
    retry_after_cap_seconds: float
    """Longest Retry-After that is waited for; a host that asks for more is left alone for this run. Seconds."""
    host_connections: int
    """Lanes of one host: its URLs are split over so many connections, each one URL after the other. At least 1."""
    host_interval_seconds: float
    """Least time between two requests to one host, over all its lanes. Seconds."""
    host_budget_seconds: float
    """Longest time spent on one host; what is left then is `deferred`. Seconds, above 0."""
    breaker_failures: int
    """Failures in a row after which the rest of a lane is `host_down`. At least 1."""
    crawl_delay_cap_seconds: float
    """Longest Crawl-delay of a robots.txt that is honoured; a longer one counts as this. Seconds."""
    allowed_ports: tuple[str, ...]
    """TCP ports that may be asked, as decimal numbers."""
    dns_cache_seconds: float
    """How long a name's checked addresses, or its absence, are remembered. Seconds."""
    respect_robots: bool
    """Whether robots.txt is asked first (RFC 9309)."""
    robots_max_bytes: int
    """How much of a robots.txt is read. Bytes; RFC 9309 section 2.5 asks for at least 500 KiB (512000)."""
    robots_cache_seconds: float
    """How long a robots.txt is remembered; RFC 9309 section 2.4: at most 24 h. Seconds, above 0."""
    opt_out_tokens: tuple[str, ...]
    """X-Robots-Tag directives that mean "not for us", in lower case: "noai", "noimageai" ..."""
    tdm_reservation: bool
    """Whether the header `TDM-Reservation: 1` (W3C TDMRep) means "not for us"."""
    user_agent_product: str
    """Our name in User-Agent, robots.txt and X-Robots-Tag."""

    def connections(self, wanted: int) -> int:
        """Requests at once: as many as wanted, or as `max_bytes_at_once` allows (see `fetch_lanes`), at least one."""
        return max(1, min(wanted, (self.max_bytes_at_once // self.max_bytes - 1) // 2))

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            if not value >= 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                least = "0 or more" if field.name in _MAY_BE_ZERO else "above 0"
                raise ValueError(f"{field.name} must be {least}, not {value}")
            if field.name.endswith("_seconds") and value > _MOST_SECONDS:
                raise ValueError(f"{field.name} must be at most {_MOST_SECONDS}, not {value}")
        for port in self.allowed_ports:
            if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"allowed_ports must hold numbers from 1 to 65535, not {port!r}")
        for token in self.opt_out_tokens:
            if token != token.lower().strip() or not token:
                raise ValueError(f"opt_out_tokens must be words in lower case, not {token!r}")
        if not _TOKEN.fullmatch(self.user_agent_product):
            raise ValueError(f"user_agent_product must be letters, digits, - or _, not {self.user_agent_product!r}")


@dataclass(frozen=True)
class Agent:
    """Who asks. The contact comes from the person who runs the job, never from a recipe.

    Raises:
        ValueError: `contact` is neither an e-mail address nor an http(s) URL, or `product` is not a token.
    """

    product: str
    """Our name, as a robots.txt would name it."""
    version: str
    contact: str
    """Where a site's owner reaches the person who runs the job: an e-mail address or an http(s) URL."""

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.product):
            raise ValueError(f"the agent's product must be letters, digits, - or _, not {self.product!r}")
        if not re.fullmatch(r"[A-Za-z0-9._+-]+", self.version):
            raise ValueError(f"the agent's version must be one word, not {self.version!r}")
        if not self.contact.isascii() or not _CONTACT.fullmatch(self.contact):
            raise ValueError(
                f"fetching needs a contact that site owners can reach, not {self.contact!r}: "
                "give an e-mail address or an http(s) URL"
            )

    @property
    def header(self) -> str:
        """Value of the User-Agent header."""
        return f"{self.product}/{self.version} (+{self.contact})"


@dataclass(frozen=True, kw_only=True)
class TestAllowances:
    """What a test against a server of one's own may lift. Set on the command line only; no recipe reaches it."""

    __test__ = False  # pytest would take the name for a test class

    loopback: bool
    """Let 127.0.0.0/8, ::1 and the name localhost be asked, on any port."""
    pacing_off: bool
    """Leave out the time between requests to a host. Retry-After and back-off still hold."""


NO_ALLOWANCES = TestAllowances(loopback=False, pacing_off=False)
