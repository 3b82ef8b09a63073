"""Rules on the letters and words of a caption that need no tagger.

CC3M (Sharma et al. 2018, section 3.2) drops captions with much repetition or many capitals; CC12M (arXiv 2102.08981,
section 2) gives up the rule on capitals and allows a share of repeated words of 0.2. ALIGN's rare words ("image tid
25&id mggqpuweqdpd&cache 0&lan code 0", arXiv 2102.05918, section 3) are caught here by their look; by how rare they are
only where the whole input meets.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from pipelines.filters.words import MARKS, has_unspaced, tokens, words
from schemas.document import Document
from schemas.rejection import Rejected

# Vowel signs of Indic scripts belong to letters, and are none to Python.
_MARKS = frozenset(MARKS)
_CODE_SIGNS = frozenset("=&%_\\{}<>|#@~^$*+[]")
_MIXED = re.compile(r"[^\W\d_]\d|\d[^\W\d_]")
_ORDINAL_OR_UNIT = re.compile(r"\d+(?:st|nd|rd|th|s|m|mm|cm|km|g|kg|mg|ml|in|ft|am|pm|d|x|k|px|c|f|v|w|mp|gb|tb)", re.I)


@dataclass(frozen=True, kw_only=True)
class CaptionQualityConfig:
    min_letter_share: float
    """Least share of the characters, white space left out, that are letters or belong to them, 0 to 1."""
    max_digit_share: float
    """Largest share of the characters, white space left out, that are digits, 0 to 1."""
    max_upper_share: float
    """Largest share of the cased letters that are capitals, 0 to 1; 1 turns it off."""
    max_capitalised_share: float
    """Largest share of the words that begin with a capital, 0 to 1; 1 turns it off."""
    max_repeated_share: float
    """Largest share of the words that stand before in the caption, 0 to 1; not for scripts without spaces."""
    max_run: int
    """Most equal words in a row."""
    max_code_share: float
    """Largest share of the words that look like a piece of an address or a code ("id=25", "mgg4pq", "a_b"), 0 to 1."""
    max_word_chars: int
    """Most characters of a word; not for scripts without spaces."""

    def __post_init__(self) -> None:
        for name in (
            "min_letter_share",
            "max_digit_share",
            "max_upper_share",
            "max_capitalised_share",
            "max_repeated_share",
            "max_code_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not between 0 and 1")
        for name in ("max_run", "max_word_chars"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 1")


def caption_quality(document: Document, config: CaptionQualityConfig) -> Document | Rejected:
    """The document with what was measured, or the first rule it breaks.

    The reasons are `few_letters`, `many_digits`, `many_capitals`, `many_capitalised_words`, `repeated_words`,
    `word_run`, `code_like` and `long_word`.
    """
    measures = measure_caption(document.text)
    if measures["letter_share"] < config.min_letter_share:
        return Rejected("few_letters", f"{measures['letter_share']}, at least {config.min_letter_share}")
    limits = (
        ("many_digits", "digit_share", config.max_digit_share),
        ("many_capitals", "upper_share", config.max_upper_share),
        ("many_capitalised_words", "capitalised_share", config.max_capitalised_share),
        ("repeated_words", "repeated_share", config.max_repeated_share),
        ("word_run", "run", config.max_run),
        ("code_like", "code_share", config.max_code_share),
        ("long_word", "word_chars", config.max_word_chars),
    )
    for reason, measure, limit in limits:
        if measures[measure] > limit:
            return Rejected(reason, f"{measures[measure]}, at most {limit}")
    return document.with_scores("caption_quality", measures)


def measure_caption(text: str) -> dict[str, float]:
    """The values that the rules judge, to four decimals."""
    found = words(text)
    spaced = not has_unspaced(text)
    signs = "".join(text.split())
    letters = sum(map(str.isalpha, signs)) + (0 if signs.isascii() else sum(map(_MARKS.__contains__, signs)))
    upper, lower = sum(map(str.isupper, signs)), sum(map(str.islower, signs))
    plain = [token for token in tokens(text) if token[0].isalnum()] if spaced else []
    measures = {
        "letter_share": letters / max(len(signs), 1),
        "digit_share": sum(map(str.isdigit, signs)) / max(len(signs), 1),
        "upper_share": upper / max(upper + lower, 1),
        "capitalised_share": sum(word[0].isupper() for word in found) / max(len(found), 1),
        "repeated_share": 1 - len(set(plain)) / len(plain) if plain else 0.0,
        "run": _longest_run(plain),
        "code_share": sum(map(_code_like, found)) / max(len(found), 1),
        "word_chars": max(map(len, found), default=0) if spaced else 0,
    }
    return {name: round(value, 4) for name, value in measures.items()}


def _longest_run(found: list[str]) -> int:
    longest = run = min(len(found), 1)
    for before, word in pairwise(found):
        run = run + 1 if word == before else 1
        longest = max(longest, run)
    return longest


def _code_like(word: str) -> bool:
    bare = word.strip(".,;:!?()\"'\u2019")
    if len(bare) > 1 and not _CODE_SIGNS.isdisjoint(bare):
        return not (bare[0] in "#@$" and bare[1:].replace("_", "").isalnum())
    if bare.count("/") > 1:
        return True
    return _MIXED.search(bare) is not None and _ORDINAL_OR_UNIT.fullmatch(bare) is None and len(bare) > 4
