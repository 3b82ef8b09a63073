"""Rules on a page's address: before its text is looked at, and so without cost. Images' addresses share the core."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from pipelines.sources.records import RawPage
from pipelines.store.paths import read_bytes
from schemas.rejection import Rejected

# "siteLogo" is two words, and so is "XMLIcon".
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LETTERS = re.compile(r"[^\W\d_]+")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20\x7f<>^|%\"`{}\\]")


@dataclass(frozen=True, kw_only=True)
class PageUrlConfig:
    blocked_domains: str
    """Path or URL of a file with a domain a line ("#" begins a comment), blocked with all below it; empty for none."""
    host_words: tuple[str, ...]
    """Words that the host must not hold, in lower case; whole words between signs or digits: "sex" spares essex."""
    path_words: tuple[str, ...]
    """The same for the path; the query is not looked at."""


def check_page_url(page: RawPage, config: PageUrlConfig) -> RawPage | Rejected:
    """The page, or the first rule that its address breaks: `bad_url`, `blocked_domain` or `url_word`."""
    return url_rules(page.url, config.blocked_domains, config.host_words, config.path_words) or page


def url_rules(
    url: str, blocked_domains: str, host_words: tuple[str, ...], path_words: tuple[str, ...]
) -> Rejected | None:
    """The first rule that an address breaks, if any; the arguments are the fields of `PageUrlConfig`.

    Raises:
        OSError: the file of blocked domains cannot be read.
    """
    parts = host_and_path(url)
    if parts is None:
        return Rejected("bad_url", f"not an absolute http or https address: {url[:200]!r}")
    host, path = parts
    if blocked_domains and (domain := listed_domain(host, load_domains(blocked_domains))):
        return Rejected("blocked_domain", domain)
    if found := url_words(host).intersection(host_words) or url_words(path).intersection(path_words):
        return Rejected("url_word", min(found))
    return None


def host_and_path(url: str) -> tuple[str, str] | None:
    """Host in lower case and decoded path of an absolute http or https URL; None if it is not one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises if it is not a number below 65536
    except ValueError:
        return None
    host = host.removesuffix(".")
    if parts.scheme not in ("http", "https") or not host or _FORBIDDEN_IN_HOST.search(host):
        return None
    return host, unquote(parts.path)


def url_words(part: str) -> set[str]:
    """The words in a host or path, in lower case: runs of letters, parted at capitals too ("siteLogo2": site, logo)."""
    return {word.lower() for word in _LETTERS.findall(_CAMEL_CASE.sub(" ", part))}


@lru_cache(maxsize=8)
def load_domains(path: str) -> frozenset[str]:
    """The domains of a file, in lower case and punycode, read once in a process."""
    lines = read_bytes(path).decode("utf-8").splitlines()
    return frozenset(_ascii(domain) for line in lines if (domain := line.split("#")[0].strip().strip(".").lower()))


def listed_domain(host: str, domains: frozenset[str]) -> str:
    """The domain on the list that `host` is or lies under; empty if there is none."""
    domain = _ascii(host)
    while domain:
        if domain in domains:
            return domain
        domain = domain.partition(".")[2]
    return ""


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host
