"""Which hosts may be asked at all: URLs taken apart, names resolved once, every address judged.

A page can name any address, also one inside the network that runs the job (server-side request forgery). So a name's
addresses are all checked, and the connection goes to a checked address: it is never resolved a second time.
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import idna

from pipelines.web.outcome import FetchError

Resolver = Callable[..., Iterable[tuple[Any, ...]]]
"""Called and answering like `socket.getaddrinfo(host, port, type=...)`."""

MAX_URL_CHARACTERS = 8000  # RFC 9110 section 4.1: what every server should be able to take

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 6761, 6762, 8375, 7686, and what cloud providers and routers serve to their own network
_LOCAL_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "onion")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_V4 = ipaddress.IPv4Network
_V6 = ipaddress.IPv6Network
# The IANA special-purpose registries, named here because `ipaddress` differs between Python releases.
_REFUSED: tuple[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network], ...] = (
    ("metadata", _V4("169.254.169.254/32")),
    ("metadata", _V6("fd00:ec2::254/128")),
    ("unspecified", _V4("0.0.0.0/8")),
    ("private", _V4("10.0.0.0/8")),
    ("carrier-grade NAT", _V4("100.64.0.0/10")),
    ("loopback", _V4("127.0.0.0/8")),
    ("link-local", _V4("169.254.0.0/16")),
    ("private", _V4("172.16.0.0/12")),
    ("reserved", _V4("192.0.0.0/24")),
    ("reserved", _V4("192.0.2.0/24")),
    ("reserved", _V4("192.88.99.0/24")),
    ("private", _V4("192.168.0.0/16")),
    ("reserved", _V4("198.18.0.0/15")),
    ("reserved", _V4("198.51.100.0/24")),
    ("reserved", _V4("203.0.113.0/24")),
    ("multicast", _V4("224.0.0.0/4")),
    ("reserved", _V4("240.0.0.0/4")),
    ("unspecified", _V6("::/128")),
    ("loopback", _V6("::1/128")),
    ("private", _V6("fc00::/7")),
    ("link-local", _V6("fe80::/10")),
    ("private", _V6("fec0::/10")),
    ("multicast", _V6("ff00::/8")),
    ("reserved", _V6("2001::/23")),
    ("reserved", _V6("2001:db8::/32")),
    ("reserved", _V6("3fff::/20")),
)
_GLOBAL_V6 = _V6("2000::/3")
_NAT64 = _V6("64:ff9b::/96")
_LOCAL_NAT64 = _V6("64:ff9b:1::/48")
_COMPATIBLE = _V6("::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked, as far as its text tells."""

    scheme: str
    host: str
    """Lower case ASCII without a final dot, or an address without brackets."""
    port: int
    path: str
    """Request target: path and query, percent-encoded."""

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority: what a robots.txt governs."""
        return f"{self.scheme}://{self.host_header}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def parse_target(url: str, allowed_ports: Sequence[str], *, loopback: bool) -> Target:
    """Take a URL apart, once: what is checked here is what is asked.

    `loopback` lets the name localhost and loopback addresses through, on any port.

    Raises:
        FetchError: bad_url, scheme_not_allowed, port_not_allowed or private_address.
    """
    url = url.strip()
    if len(url) > MAX_URL_CHARACTERS:
        raise FetchError("bad_url", f"{len(url)} characters, at most {MAX_URL_CHARACTERS}")
    if _CONTROL.search(url):
        raise FetchError("bad_url", "control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("bad_url", str(error)) from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise FetchError("scheme_not_allowed", f"{parts.scheme or 'none'}, only http and https")
    if "@" in parts.netloc:
        raise FetchError("bad_url", "user name in the address")
    host = _canonical_host(parts.hostname or "", bracketed="[" in parts.netloc)
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    address = _address(host)
    if address is None:
        _refuse_local_name(host, loopback=loopback)
    lifted = loopback and (host == "localhost" or (address is not None and address.is_loopback))
    if str(port) not in allowed_ports and not lifted:
        raise FetchError("port_not_allowed", f"{port}, only {', '.join(allowed_ports)}")
    path = quote(parts.path or "/", safe="/%:=&~+!$,;'@()*[]|")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:=&?~+!$,;'@()*[]|")
    return Target(parts.scheme, host, port, path)


def _canonical_host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(host)) if "%" not in host else _bad_host(host)
        except ValueError:
            return _bad_host(host)
    host = host.removesuffix(".")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
        except (idna.IDNAError, UnicodeError):
            return _bad_host(host)
    host = host.lower()
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return _bad_host(host)
    # A host that ends in a number is an IPv4 address (WHATWG URL 3.5); resolvers read 127.1, 0x7f000001, 017700000001
    # and 2130706433 as one, nobody writes them honestly.
    if _NUMERIC_LABEL.fullmatch(labels[-1]) and _address(host) is None:
        return _bad_host(host)
    return host


def _bad_host(host: str) -> str:
    raise FetchError("bad_url", f"not a host name or address: {host[:100]!r}")


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refuse_local_name(host: str, *, loopback: bool) -> None:
    if loopback and host == "localhost":
        return
    if "." not in host:
        raise FetchError("private_address", f"{host} is a local name: it has no domain")
    if any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise FetchError("private_address", f"{host} is a local name")


def refused_range(address: str) -> str | None:
    """Name of the special-purpose range that forbids this address ("loopback", "private" ...), or None if it is public.

    An IPv6 form that carries an IPv4 address (mapped, compatible, 6to4, NAT64, Teredo) is judged by that one as well.
    What cannot be read as an address is refused.
    """
    if "%" in address:
        return "scoped"
    parsed = _address(address)
    if parsed is None:
        return "not an address"
    for name, network in _REFUSED:
        if parsed.version == network.version and parsed in network:
            return name
    if isinstance(parsed, ipaddress.IPv4Address):
        return None
    carried, unwrapped = _carried(parsed)
    for inner in carried:
        if refused := refused_range(str(inner)):
            return f"{refused}, inside IPv6"
    return None if unwrapped or parsed in _GLOBAL_V6 else "reserved"


def _carried(address: ipaddress.IPv6Address) -> tuple[list[ipaddress.IPv4Address], bool]:
    """The IPv4 addresses inside, and whether they are all that the address stands for."""
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return [low], True
    if address in _COMPATIBLE or address in _LOCAL_NAT64:
        return [low], False
    inner: list[ipaddress.IPv4Address] = []
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if (int(address) >> 32) & 0xFFFFFFFF in (0x00005EFE, 0x02005EFE):  # ISATAP, RFC 5214
        inner.append(low)
    return inner, False


def resolve(target: Target, resolver: Resolver, seconds: float, *, loopback: bool) -> tuple[str, ...]:
    """The addresses of a target's host, every one of them checked, in the resolver's order.

    Args:
        seconds: longest wait for the answer.
        loopback: let loopback addresses through.

    Raises:
        FetchError: dns_failure, or private_address if even one address is refused: a name with one public and one
            private address is an attack or a mistake.
    """
    literal = _address(target.host) is not None
    addresses = [target.host] if literal else _lookup(target, resolver, seconds)
    for address in addresses:
        if loopback and (parsed := _address(address)) is not None and parsed.is_loopback:
            continue
        if refused := refused_range(address):
            raise FetchError("private_address", f"{target.host} is {address}: {refused}")
    return tuple(dict.fromkeys(addresses))


def _lookup(target: Target, resolver: Resolver, seconds: float) -> list[str]:
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = resolver(target.host, target.port, type=socket.SOCK_STREAM)
            answers.put([str(answer[4][0]) for answer in found])
        except Exception as error:  # whatever a resolver raises is the asking thread's to report
            answers.put(error)

    # getaddrinfo cannot be interrupted: it gets a thread of its own, which ends when the system's resolver gives up.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise FetchError("dns_failure", f"no answer within {seconds:g} s", retryable=True) from None
    if isinstance(answer, socket.gaierror):
        passing = answer.errno not in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        raise FetchError("dns_failure", str(answer.strerror or answer), retryable=passing)
    if isinstance(answer, Exception):
        raise FetchError("dns_failure", repr(answer), retryable=isinstance(answer, OSError))
    if not answer:
        raise FetchError("dns_failure", "no address")
    return answer
