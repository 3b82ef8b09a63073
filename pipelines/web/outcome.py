"""What became of one URL: its bytes, or the one reason why there are none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body that came whole. Whether it is a picture is for the caller to find out."""

    url: str
    """As it was asked for."""
    final_url: str
    """Where the body came from, after redirects."""
    status: int
    headers: dict[str, list[str]]
    """Names in lower case, values in order."""
    body: bytes
    """Content encoding undone."""
    content_type: str
    """Media type in lower case, without parameters; empty if the host named none."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A URL without a body."""

    reason: str
    """Stable snake_case name: bad_url, scheme_not_allowed, port_not_allowed, private_address, dns_failure,
    connect_failure, connection_lost, tls_failure, timeout, too_large, too_many_redirects, redirect_loop, http_status,
    rate_limited, truncated_body, bad_encoding, bad_http, opted_out_header, opted_out_tdm, robots_disallowed,
    robots_unreachable, host_down, deferred."""
    detail: str = ""
    """The value and the limit, for a person."""
    status: int = 0
    """HTTP status, 0 if none came."""
    retryable: bool = False
    """Whether a later run may have more luck."""
    retry_after: float | None = None
    """Seconds the host asked us to wait, None if it did not say."""
    hops: int = 0
    """Redirects followed before it failed."""


class FetchError(Exception):
    """Carries a `Failed` up to `Client.fetch`, which returns it; it never leaves this package."""

    def __init__(self, reason: str, detail: str = "", *, status: int = 0, retryable: bool = False) -> None:
        super().__init__(reason, detail)
        self.failed = Failed(reason, detail, status=status, retryable=retryable)

    @classmethod
    def of(cls, failed: Failed) -> "FetchError":
        error = cls(failed.reason, failed.detail)
        error.failed = failed
        return error
