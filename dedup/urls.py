"""When two addresses are the same page or the same image.

A page's address is brought to a normal form that is an identity, not an address to fetch: http and https are the same,
the fragment, tracking parameters and trailing slashes are dropped, and parameters are sorted by name (those of equal
name keep their order). An image's address keeps scheme, query and slashes, since image servers sign and cut by them.
Both forms follow RFC 3986 section 6.2.2 and what browsers do to an address before they send it.
"""

import re
from functools import lru_cache

import idna
from tldextract import TLDExtract

from schemas.keys import digest

# Parameters that say who follows a link, not what it leads to; "utm_*" stands for all that begin with "utm_". They are
# no setting of a recipe: a page's key must be the same in every run, or later crawls could not be compared to it.
TRACKING_PARAMETERS = (
    *("utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "yclid", "twclid", "igshid"),
    *("mc_cid", "mc_eid", "mkt_tok", "_ga", "_gl", "_hsenc", "_hsmi", "srsltid"),
    *("jsessionid", "phpsessid", "aspsessionid*", "sessionid", "cfid", "cftoken"),
)

_HTTP = re.compile(r"(https?):[/\\]{2,}([^/\\?#]*)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
# Unreserved and reserved characters of RFC 3986, less "%": nothing is done to a path or query of these alone.
_PLAIN = r"A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;="
_NOT_PLAIN = re.compile(f"[^{_PLAIN}]")
_TO_RECODE = re.compile(f"(?:%[0-9A-Fa-f]{{2}})+|[^{_PLAIN}%]+|%")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HOST = re.compile(r"[a-z0-9\-_.]+")
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|$)")

# The bundled list of public suffixes: the default would try the network, and then differ from run to run.
_extract = TLDExtract(suffix_list_urls=(), cache_dir=None)


def normalise_url(url: str, dropped_parameters: tuple[str, ...] = TRACKING_PARAMETERS) -> str:
    """The normal form of a page's address; what is no http or https address is only stripped.

    Args:
        dropped_parameters: names, in lower case, of query and path (";jsessionid=...") parameters that do not change
            the page; a "*" at the end stands for anything.
    """
    parts = _split(url)
    if parts is None:
        return url.strip(_CONTROLS_AND_SPACE)
    _, host, port, path, query = parts
    # With http and https the same, so are their ports.
    authority = host if port in ("", *_DEFAULT_PORTS.values()) else f"{host}:{port}"
    exact, prefixes = _dropped(dropped_parameters)
    if ";" in path:
        path = "/".join(_kept(segment, ";", exact, prefixes) for segment in path.split("/"))
    path = _without_dot_segments(path).rstrip("/")
    if query:
        kept = [piece for piece in query.split("&") if piece and not _is_dropped(piece, exact, prefixes)]
        query = "&".join(sorted(kept, key=_parameter_name))
    return f"https://{authority}{path or '/'}{'?' if query else ''}{query}"


def url_key(url: str, dropped_parameters: tuple[str, ...] = TRACKING_PARAMETERS) -> str:
    """32 hex digits that two addresses of the same page share."""
    return _digest(normalise_url(url, dropped_parameters))


def normalise_image_url(url: str) -> str:
    """The normal form of an image's address, which still fetches the same image."""
    parts = _split(url)
    if parts is None:
        return url.strip(_CONTROLS_AND_SPACE)
    scheme, host, port, path, query = parts
    authority = host if port in ("", _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{authority}{_without_dot_segments(path) or '/'}{'?' if query else ''}{query}"


def image_url_key(url: str) -> str:
    """32 hex digits that two addresses of the same image share."""
    return _digest(normalise_image_url(url))


def registered_domain(url: str) -> str:
    """The domain that one can register under a public suffix: "example.co.uk" of "https://www.example.co.uk/".

    An IP address stands for itself. Where the top level is on no list (".invalid", an intranet) the last two labels
    are taken, as the list's own rule for such cases has it; a public suffix itself and a single label stand for
    themselves. Only the list's ICANN part is used: all of "blogspot.com" is one. Empty if `url` has no host.
    """
    parts = _split(url)
    return _registered(parts[1]) if parts else ""


@lru_cache(maxsize=1 << 16)
def _registered(host: str) -> str:
    if host.startswith("["):
        return host
    found = _extract(host)
    if found.suffix:
        return found.top_domain_under_public_suffix or host
    return host if found.domain == host else ".".join(host.split(".")[-2:])


def _split(url: str) -> tuple[str, str, str, str, str] | None:
    """Scheme, host, port, path and query of an http or https address, all but the port in normal encoding."""
    match = _HTTP.match(url.strip(_CONTROLS_AND_SPACE).translate(_LINE_BREAKS))
    if match is None:
        return None
    scheme, authority, path, query = match.groups()
    host, port = _host_and_port(authority.rpartition("@")[2])
    if not host:
        return None
    path = path.replace("\\", "/")
    return scheme.lower(), host, port, _recoded(path), _recoded(query) if query else ""


@lru_cache(maxsize=1 << 14)
def _host_and_port(authority: str) -> tuple[str, str]:
    """Host in lower case and punycode, and port without leading zeros; the host is empty if it cannot be one."""
    host, colon, port = authority.rpartition(":")
    if not colon or not (port == "" or (port.isascii() and port.isdigit())):
        host, port = authority, ""
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return "", ""
    return _host(host), port.lstrip("0") or port[:1]


def _host(host: str) -> str:
    if host.isascii():
        return host.lower().rstrip(".")
    try:
        encoded: str = idna.encode(host.lower(), uts46=True).decode("ascii").rstrip(".")
    except (idna.IDNAError, UnicodeError):
        encoded = ""
    return encoded if _HOST.fullmatch(encoded) else _recoded(host).lower().rstrip(".")


def _recoded(part: str) -> str:
    """`part` in the one percent encoding: unreserved characters bare, all else that needs it as %XX in capitals."""
    return _TO_RECODE.sub(_recode_run, part) if _NOT_PLAIN.search(part) else part


def _recode_run(match: re.Match[str]) -> str:
    run = match[0]
    if run[0] != "%" or run == "%":
        return "".join(f"%{byte:02X}" for byte in run.encode("utf-8", "surrogatepass"))
    decoded = bytes.fromhex(run.replace("%", ""))
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in decoded)


def _without_dot_segments(path: str) -> str:
    """`path` as RFC 3986 section 5.2.4 leaves it."""
    if not _DOT_SEGMENT.search(path):
        return path
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


@lru_cache(maxsize=16)
def _dropped(parameters: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    prefixes = tuple(name[:-1] for name in parameters if name.endswith("*"))
    return frozenset(name for name in parameters if not name.endswith("*")), prefixes


def _kept(text: str, separator: str, exact: frozenset[str], prefixes: tuple[str, ...]) -> str:
    first, *parameters = text.split(separator)
    return separator.join([first, *(piece for piece in parameters if not _is_dropped(piece, exact, prefixes))])


def _is_dropped(piece: str, exact: frozenset[str], prefixes: tuple[str, ...]) -> bool:
    name = _parameter_name(piece).lower()
    return name in exact or name.startswith(prefixes)


def _parameter_name(piece: str) -> str:
    return piece.partition("=")[0]


def _digest(text: str) -> str:
    return digest(text.encode("utf-8", "surrogatepass"))
