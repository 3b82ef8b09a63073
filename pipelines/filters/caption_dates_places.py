"""Dates and places out of captions: the Flamingo paper strips them from LTIP and VTP (arXiv 2204.14198v2, datasheets).

They say what no image shows, and a model that learns to write them invents them. English only; what leads to a date or
a place goes with it, so that "A church in Rome, Italy, 1905" becomes "A church".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.filters.caption_dates import Span, find_dates
from pipelines.filters.caption_places import find_places
from pipelines.filters.caption_text import with_text
from pipelines.filters.gazetteer import SIZES, load_gazetteer
from schemas.document import Document
from schemas.rejection import Rejected

# What the gaps leave behind. Nothing here adds a sign: a space takes the place of several.
_TIDY = (
    (re.compile(r"[(\[]\s*[,;:.\u2013-]*\s*[)\]]"), ""),
    (re.compile(r"(?<=[(\[])[\s,;:]+|[\s,;:]+(?=[)\]])"), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s+(?=[,;:.!?])"), ""),
    (re.compile(r"[,;:]+(?=[,;:.!?])"), ""),
    (re.compile(r"(?<=[.!?])\s\.|(?<=\.)\s\.(?=\s|$)"), ""),
    (re.compile(r"\s[-\u2013\u2014|](?=\s[-\u2013\u2014|]|[,;:.]|\s?$)"), ""),
    (re.compile(r"^[\s,;:.!?|/\u2013\u2014-]+|[\s,;:|/(\u2013\u2014-]+$"), ""),
)
# Left without what it led to, where a gap is the end of a sentence or a part of it.
_DANGLING = re.compile(
    r"(?:^|\s)(?:in|on|at|of|from|near|by|to|since|between|and|or|the|a|around|about|circa|ca?\.|early|late|mid|dated|north|"
    r"south|east|west)$"
)
_ENDS = re.compile(r"\s*(?:$|[,;:.)!?])")


@dataclass(frozen=True, kw_only=True)
class DatesPlacesConfig:
    dates: bool
    """Whether dates are taken out."""
    places: bool
    """Whether places are taken out."""
    languages: tuple[str, ...]
    """Languages of documents that are stripped, others pass as they are; empty strips all, as if they were English."""
    min_population: int
    """People of the smallest cities that are known, 5,000 or more."""
    sure_population: int
    """People of the smallest cities that are taken for places without a preposition or comma that says so."""
    min_words_left: int
    """Fewest words with a letter that must be left of a caption that something was taken out of."""

    def __post_init__(self) -> None:
        if self.min_population < min(SIZES):
            raise ValueError(f"min_population: {self.min_population} is less than {min(SIZES)}")
        if self.sure_population < self.min_population:
            raise ValueError(f"sure_population: {self.sure_population} is less than min_population")
        if self.min_words_left < 0:
            raise ValueError(f"min_words_left: {self.min_words_left} is less than 0")


def strip_dates_places(document: Document, config: DatesPlacesConfig) -> Document | Rejected:
    """The document without dates and places in its text, and how many there were; or `only_dates_places`."""
    if config.languages and document.language not in config.languages:
        return document
    text = document.text
    stripped, found = strip(text, config)
    left = sum(any(map(str.isalpha, word)) for word in stripped.split())
    if found and left < config.min_words_left:
        return Rejected("only_dates_places", f"{left} words left, at least {config.min_words_left}: {text[:80]!r}")
    counts = {kind: sum(span.kind == kind for span in found) for kind in ("date", "place")}
    return (with_text(document, stripped) if found else document).with_scores("dates_places", counts)


def strip(text: str, config: DatesPlacesConfig) -> tuple[str, list[Span]]:
    """The text without dates and places, and what was found in `text` itself.

    What is left is stripped again until nothing is found, for a gap may bring together what was apart.
    """
    first = found = list(find_spans(text, config))
    while found:
        text = _without(text, found)
        found = list(find_spans(text, config))
    return text, first


def find_spans(text: str, config: DatesPlacesConfig) -> Iterator[Span]:
    """Dates and places from left to right, none within another; where they overlap the date goes before."""
    dates = list(find_dates(text)) if config.dates else []
    places = []
    if config.places:
        gazetteer = load_gazetteer(config.min_population, config.sure_population)
        places = [place for place in find_places(text, gazetteer) if not any(_overlap(place, date) for date in dates)]
    yield from sorted(dates + places, key=lambda span: span.start)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _without(text: str, spans: list[Span]) -> str:
    kept, position = "", 0
    for span in spans:
        kept += text[position : span.start]
        position = span.end
        if _ENDS.match(text, position):
            while dangling := _DANGLING.search(rest := kept.rstrip(" ,"), max(len(rest) - 12, 0)):
                kept = rest[: dangling.start()]
    kept += text[position:]
    for pattern, replacement in _TIDY:
        kept = pattern.sub(replacement, kept)
    return kept
