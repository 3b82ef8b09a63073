"""How long a caption may be, in words and in characters.

ALIGN (Jia et al. 2021, arXiv 2102.05918, section 3) keeps 3 to 20 words, DataComp's basic filter (Gadre et al. 2023,
arXiv 2304.14108) more than 2 words and 5 characters, COYO-700M 3 to 256 words and more than 5 characters.
"""

from dataclasses import dataclass

from pipelines.filters.words import has_unspaced, is_unspaced, words
from schemas.document import Document
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class CaptionLengthConfig:
    min_words: int
    """Fewest words, counting those that hold a letter or digit."""
    max_words: int
    """Most words."""
    min_chars: int
    """Fewest characters of any caption."""
    max_chars: int
    """Most characters of any caption."""
    max_unspaced_share: float
    """Share of words from scripts without spaces (Chinese, ...) above which words are not counted, 0 to 1."""
    min_unspaced_words: int
    """Fewest characters of such a caption, vowel signs not counted; a run of katakana is one."""
    max_unspaced_words: int
    """Most characters of such a caption."""

    def __post_init__(self) -> None:
        for unit in ("words", "chars", "unspaced_words"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if not 0 <= low <= high:
                raise ValueError(f"min_{unit}: {low} is not between 0 and max_{unit} ({high})")
        if not 0 <= self.max_unspaced_share <= 1:
            raise ValueError(f"max_unspaced_share: {self.max_unspaced_share} is not between 0 and 1")


def caption_length(document: Document, config: CaptionLengthConfig) -> Document | Rejected:
    """The document with its length, or `too_few_words`, `too_many_words`, `too_few_chars` or `too_many_chars`."""
    text = document.text.strip()
    found = [word for word in words(text) if any(map(str.isalnum, word))]
    count, low, high = len(found), config.min_words, config.max_words
    if has_unspaced(text) and sum(map(is_unspaced, found)) > config.max_unspaced_share * count:
        low, high = config.min_unspaced_words, config.max_unspaced_words
    if count < low:
        return Rejected("too_few_words", f"{count} words, at least {low}")
    if count > high:
        return Rejected("too_many_words", f"{count} words, at most {high}")
    if len(text) < config.min_chars:
        return Rejected("too_few_chars", f"{len(text)} characters, at least {config.min_chars}")
    if len(text) > config.max_chars:
        return Rejected("too_many_chars", f"{len(text)} characters, at most {config.max_chars}")
    return document.with_scores("caption_length", {"words": count, "chars": len(text)})
