"""Addresses as a page writes them, joined to its own as a browser does."""

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

_EDGE = "".join(map(chr, range(0x21)))  # C0 controls and space: what the URL standard strips from both ends
_SITE = re.compile(r"(https?:)//[a-z0-9][a-z0-9.-]*(?::\d{1,5})?(?=[/?#]|\Z)")
_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
# An address that joining leaves as it is.
_PLAIN = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::\d{1,5})?/[\w%/:=&?~+!$,;'@()*.-]*\Z", re.ASCII)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def resolve_url(base_url: str, raw: str) -> str:
    """Join `raw` to `base_url` as a browser does (RFC 3986 with the URL standard's repairs); "" unless http(s).

    The fragment is dropped; spaces and non-ASCII characters are percent-encoded, a non-ASCII host in IDNA.
    """
    address = whole = raw.strip(_EDGE)
    if address[:1] == "/" and address[-1] != "?" and ";" not in address and (site := _SITE.match(base_url)):
        whole = site[1 if address[:2] == "//" else 0] + address
    if _PLAIN.match(whole) and "/." not in whole:
        return whole
    if "\n" in address or "\t" in address or "\r" in address:
        address = address.replace("\n", "").replace("\t", "").replace("\r", "")
    if not address:
        return ""
    scheme = match[0].lower() if (match := _SCHEME.match(address)) else ""
    if scheme not in ("", "http:", "https:"):
        return ""
    if "\\" in address:
        path, mark, rest = (
            re.split(r"([?#])", address, maxsplit=1) if re.search(r"[?#]", address) else (address, "", "")
        )
        address = path.replace("\\", "/") + mark + rest
    if scheme:  # any number of slashes, even none, stands before the host unless the scheme is the base's own
        tail = address[len(scheme) :]
        if tail.startswith("/") or not base_url.lower().startswith(scheme):
            address = f"{scheme}//{tail.lstrip('/')}"
        else:
            address = tail
    elif address.startswith("//"):
        address = "//" + address.lstrip("/")
    try:
        parts = urlsplit(urljoin(base_url, address))
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or any(c in host for c in '<>"|^`{}%'):
            return ""
        if _BLANK_OR_CONTROL.search(parts.netloc):
            return ""
        netloc = parts.netloc
        if not netloc.isascii():
            netloc = netloc.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        return ""
    # "%" stays: what is encoded already is not encoded again.
    path = quote(parts.path, safe="%/:=&?~#+!$,;'@()*[]|") or "/"
    query = quote(parts.query, safe="%/:=&?~#+!$,;'@()*[]|{}`^\\")
    return urlunsplit((parts.scheme, netloc, path, query, ""))
