"""Pages whose headers or meta elements say "not for machine learning" are left alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.extract.html.parse import ParsedPage, opt_out_meta
from pipelines.web.opt_out import page_opt_out
from schemas.rejection import Rejected

TDM = "tdm-reservation"
US = "openm3w"


@dataclass(frozen=True, kw_only=True)
class OptOutConfig:
    tokens: tuple[str, ...]
    """Directives of X-Robots-Tag and of meta robots that mean "not for us", in lower case: "noai", "noimageai", ..."""
    tdm_reservation: bool
    """Whether a reservation by the W3C's TDM Reservation Protocol, in header or meta element, means the same."""

    def __post_init__(self) -> None:
        for token in self.tokens:
            if not token or token != token.strip().lower():
                raise ValueError(f"tokens: {token!r} is not a word in lower case")


def respect_opt_out(page: ParsedPage, config: OptOutConfig) -> ParsedPage | Rejected:
    """The page, or `opted_out`."""
    token = page_opt_out(page.headers, _for_us(opt_out_meta(page)), config.tokens, config.tdm_reservation)
    return Rejected("opted_out", token) if token else page


def _for_us(meta: Iterable[str]) -> Iterator[str]:
    """The words for all robots and for us; those for another one ("googlebot:noindex") hold for it alone."""
    for entry in meta:
        name, colon, value = entry.partition(":")
        if not colon:
            yield from entry.split()
        elif name == US:
            yield from value.split()
        elif name == TDM and value.strip() == "1":
            yield TDM
