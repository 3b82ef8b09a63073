"""Repetition rules of MassiveText (Rae et al. 2021, "Gopher", arXiv 2112.11446, Table A1).

The paper names what it measures and leaves some of it open. Here:
- a line, paragraph or n-gram is a duplicate if the same one begins earlier in the document: the first is the original.
  (Others count the first as well; the values of the paper are then stricter by a factor of two for a passage that
  stands twice.)
- Lines are parted by line breaks, paragraphs by blank lines; white space around them and empty ones do not count.
- The characters of an n-gram are those of its words. White space counts neither above nor below the fraction bar,
  so a document that is one phrase over and over comes to 1.
- Characters in several overlapping occurrences count once, for the most frequent n-gram too.
- The most frequent n-gram must occur twice; among equally frequent ones the one that covers most counts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate

from pipelines.filters.words import words
from schemas.document import Document
from schemas.rejection import Rejected

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)
_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, kw_only=True)
class GopherRepetitionConfig:
    """Each field is the largest value of the measure of the same name, a share from 0 to 1."""

    duplicate_lines: float
    """Lines that are duplicates, of all lines."""
    duplicate_line_chars: float
    """Characters in duplicate lines, of those in all lines."""
    duplicate_paragraphs: float
    """Paragraphs that are duplicates, of all paragraphs."""
    duplicate_paragraph_chars: float
    """Characters in duplicate paragraphs, of those in all paragraphs."""
    top_2_gram: float
    """Characters in the most frequent 2-gram of words, of those in all words."""
    top_3_gram: float
    """The same of the most frequent 3-gram."""
    top_4_gram: float
    """The same of the most frequent 4-gram."""
    duplicate_5_gram: float
    """Characters in duplicate 5-grams of words, each counted once, of those in all words."""
    duplicate_6_gram: float
    """The same of 6-grams."""
    duplicate_7_gram: float
    """The same of 7-grams."""
    duplicate_8_gram: float
    """The same of 8-grams."""
    duplicate_9_gram: float
    """The same of 9-grams."""
    duplicate_10_gram: float
    """The same of 10-grams."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ValueError(f"{field.name}: {getattr(self, field.name)} is not between 0 and 1")


def gopher_repetition(document: Document, config: GopherRepetitionConfig) -> Document | Rejected:
    """The document with what was measured, or the first rule it breaks: the reason is the field's name."""
    measures = measure_repetition(document.text)
    for name, value in measures.items():
        limit = getattr(config, name)
        if value > limit:
            return Rejected(name, f"{value}, at most {limit}")
    return document.with_scores("gopher_repetition", measures)


def measure_repetition(text: str) -> dict[str, float]:
    """The measures of `GopherRepetitionConfig`, to four decimals; all 0 for a text without words."""
    lines = _without_empty(text.split("\n"))
    paragraphs = _without_empty(_BLANK_LINES.split(text))
    measures = {
        **dict(zip(("duplicate_lines", "duplicate_line_chars"), _duplicates(lines), strict=True)),
        **dict(zip(("duplicate_paragraphs", "duplicate_paragraph_chars"), _duplicates(paragraphs), strict=True)),
        **_repeated_ngrams(words(text)),
    }
    return {name: round(value, 4) for name, value in measures.items()}


def _without_empty(parts: Sequence[str]) -> list[str]:
    return [part for part in map(str.strip, parts) if part]


def _duplicates(parts: Sequence[str]) -> tuple[float, float]:
    """Share of the parts, and of their characters, that stand in the sequence before."""
    distinct = set(parts)
    if len(distinct) == len(parts):
        return 0.0, 0.0
    chars = sum(map(len, parts))
    return 1 - len(distinct) / len(parts), 1 - sum(map(len, distinct)) / chars


def _repeated_ngrams(all_words: Sequence[str]) -> dict[str, float]:
    # ends[i] is the number of characters before word i.
    ends = list(accumulate(map(len, all_words), initial=0))
    chars = max(ends[-1], 1)
    # An n-gram can only be repeated where the (n-1)-grams at its place and at the next are, so what is looked at
    # shrinks with n; in most documents hardly anything is left at n = 4.
    origins = _repeated(_first_positions(all_words))
    measures = {}
    for size in range(2, DUPLICATE_SIZES[-1] + 1):
        origins = _longer(origins)
        if size in TOP_SIZES:
            measures[f"top_{size}_gram"] = _top_chars(origins, size, ends) / chars
        if size in DUPLICATE_SIZES:
            measures[f"duplicate_{size}_gram"] = _duplicate_chars(origins, size, ends) / chars
    return measures


def _first_positions(all_words: Sequence[str]) -> dict[int, int]:
    """For each position the one where its word stands first."""
    first: dict[str, int] = {}
    return dict(enumerate(map(first.setdefault, all_words, range(len(all_words)))))


def _repeated(origins: Mapping[int, int]) -> dict[int, int]:
    """The positions, in order, whose n-gram occurs more than once, each with the first position of that n-gram."""
    again = {origin for position, origin in origins.items() if origin != position}
    return {position: origin for position, origin in origins.items() if origin in again}


def _longer(origins: Mapping[int, int]) -> dict[int, int]:
    """What `_repeated` gives for n + 1, from what it gives for n: equal at this place and at the next is equal."""
    first: dict[tuple[int, int], int] = {}
    longer = {}
    for position, origin in origins.items():
        following = origins.get(position + 1)
        if following is not None:
            longer[position] = first.setdefault((origin, following), position)
    return _repeated(longer)


def _top_chars(origins: Mapping[int, int], size: int, ends: Sequence[int]) -> int:
    """Characters in the most frequent n-gram."""
    counts: dict[int, int] = {}
    covered: dict[int, int] = {}
    reached: dict[int, int] = {}
    for position, origin in origins.items():
        begin = max(position, reached.get(origin, 0))
        reached[origin] = position + size
        counts[origin] = counts.get(origin, 0) + 1
        covered[origin] = covered.get(origin, 0) + ends[position + size] - ends[begin]
    return max(((count, covered[origin]) for origin, count in counts.items()), default=(0, 0))[1]


def _duplicate_chars(origins: Mapping[int, int], size: int, ends: Sequence[int]) -> int:
    """Characters in n-grams that occur before, each counted once."""
    covered = reached = 0
    for position, origin in origins.items():
        if origin != position:
            begin = max(position, reached)
            reached = position + size
            covered += ends[reached] - ends[begin]
    return covered
