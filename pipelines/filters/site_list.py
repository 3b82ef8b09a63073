"""Sites that pairs may come from: LTIP's come from fewer than ten (Flamingo, arXiv 2204.14198v2, appendix A.3)."""

from dataclasses import dataclass
from functools import lru_cache

from pipelines.filters.page_url import host_and_path, listed_domain, load_domains
from schemas.document import Document
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class SiteListConfig:
    """Recipe table [site_list]."""

    allowed_domains: tuple[str, ...]
    """Domains, in lower case, whose pairs are kept, with all below them."""
    allowed_domains_file: str
    """Path or URL of a file with more of them, one a line ("#" begins a comment); empty for none."""

    def __post_init__(self) -> None:
        for domain in self.allowed_domains:
            if not domain or domain != domain.lower().strip(". ") or "/" in domain:
                raise ValueError(f"allowed_domains: {domain!r} is not a domain in lower case")


def site_list(document: Document, config: SiteListConfig) -> Document | Rejected:
    """The document, or `site_not_allowed`, or `bad_url`. With neither list nor file every site is allowed.

    What counts is the page's address where it is known, and the image's or video's own where it is not.

    Raises:
        OSError: the file of allowed domains cannot be read.
    """
    if not config.allowed_domains and not config.allowed_domains_file:
        return document
    address = document.page_url or document.url
    parts = host_and_path(address)
    if parts is None:
        return Rejected("bad_url", f"not an absolute http or https address: {address[:200]!r}")
    if not listed_domain(parts[0], _allowed(config.allowed_domains, config.allowed_domains_file)):
        return Rejected("site_not_allowed", parts[0])
    return document


@lru_cache(maxsize=8)
def _allowed(domains: tuple[str, ...], path: str) -> frozenset[str]:
    return frozenset(domains) | (load_domains(path) if path else frozenset())
