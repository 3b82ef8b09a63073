"""Quality rules of MassiveText (Rae et al. 2021, "Gopher", arXiv 2112.11446)."""

import re
from dataclasses import dataclass

from pipelines.filters.words import has_unspaced, is_unspaced, words
from schemas.document import Document
from schemas.rejection import Rejected

ELLIPSES = ("...", "\u2026")
_ALPHANUMERICS = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class GopherQualityConfig:
    min_words: int
    """Least words of a document."""
    max_words: int
    """Most words of a document."""
    min_mean_word_length: float
    """Least mean length of the words, characters."""
    max_mean_word_length: float
    """Greatest mean length of the words, characters."""
    max_unspaced_share: float
    """Share of words from scripts without spaces (Chinese, ...) above which the mean length is not judged, 0 to 1."""
    max_hash_ratio: float
    """Most "#" signs for each word, 0 or more."""
    max_ellipsis_ratio: float
    """Most ellipses for each word, 0 or more."""
    max_bullet_lines: float
    """Largest share of lines that begin with a bullet, 0 to 1."""
    max_ellipsis_lines: float
    """Largest share of lines that end with an ellipsis, 0 to 1."""
    min_letter_words: float
    """Least share of words that hold a letter, 0 to 1."""
    min_stop_words: int
    """How many different words of `stop_words` a document must hold."""
    stop_words: tuple[str, ...]
    """Words of one language that hardly a text goes without, in lower case."""
    stop_word_languages: tuple[str, ...]
    """Languages of documents that the stop word rule is for; empty turns it off."""
    bullets: tuple[str, ...]
    """Signs that make a line a bulleted one when it begins with them."""

    def __post_init__(self) -> None:
        for name in ("max_unspaced_share", "max_bullet_lines", "max_ellipsis_lines", "min_letter_words"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not between 0 and 1")
        for low, high in (("min_words", "max_words"), ("min_mean_word_length", "max_mean_word_length")):
            if not 0 <= getattr(self, low) <= getattr(self, high):
                raise ValueError(f"{low}: {getattr(self, low)} is not between 0 and {high} ({getattr(self, high)})")
        for name in ("max_hash_ratio", "max_ellipsis_ratio"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: {getattr(self, name)}, must be 0 or more")
        if not 0 <= self.min_stop_words <= len(self.stop_words):
            raise ValueError(
                f"min_stop_words: {self.min_stop_words} is not between 0 and the number of stop_words "
                f"({len(self.stop_words)})"
            )


def gopher_quality(document: Document, config: GopherQualityConfig) -> Document | Rejected:
    """The document with what was measured, or the first rule it breaks."""
    text = document.text
    all_words = words(text)
    count = len(all_words)
    if count < max(config.min_words, 1):
        return Rejected("too_few_words", f"{count} words, at least {config.min_words}")
    if count > config.max_words:
        return Rejected("too_many_words", f"{count} words, at most {config.max_words}")
    measures = measure_quality(text, all_words, config)
    if broken := _broken_rule(measures, document.language, config):
        return broken
    return document.with_scores("gopher_quality", measures)


def measure_quality(text: str, all_words: list[str], config: GopherQualityConfig) -> dict[str, float]:
    """The values that the rules judge, to four decimals; `all_words` are those of `text`, at least one."""
    count = len(all_words)
    spaced = [word for word in all_words if not is_unspaced(word)] if has_unspaced(text) else all_words
    distinct_words = " ".join(set(all_words)).lower()
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    measures = {
        "words": count,
        "unspaced_share": 1 - len(spaced) / count,
        "mean_word_length": sum(map(len, spaced)) / max(len(spaced), 1),
        "hash_ratio": text.count("#") / count,
        "ellipsis_ratio": sum(map(text.count, ELLIPSES)) / count,
        "bullet_lines": sum(line.startswith(config.bullets) for line in lines) / len(lines),
        "ellipsis_lines": sum(line.endswith(ELLIPSES) for line in lines) / len(lines),
        "letter_words": sum(map(_has_letter, all_words)) / count,
        "stop_words": len(set(config.stop_words).intersection(_ALPHANUMERICS.findall(distinct_words))),
    }
    return {name: round(value, 4) for name, value in measures.items()}


def _has_letter(word: str) -> bool:
    return word[0].isalpha() or any(map(str.isalpha, word))


def _broken_rule(measures: dict[str, float], language: str, config: GopherQualityConfig) -> Rejected | None:
    length = measures["mean_word_length"]
    if measures["unspaced_share"] <= config.max_unspaced_share:
        if length < config.min_mean_word_length:
            return Rejected("short_words", f"mean length {length}, at least {config.min_mean_word_length}")
        if length > config.max_mean_word_length:
            return Rejected("long_words", f"mean length {length}, at most {config.max_mean_word_length}")
    at_most = {
        "hash_ratio": ("many_hashes", config.max_hash_ratio),
        "ellipsis_ratio": ("many_ellipses", config.max_ellipsis_ratio),
        "bullet_lines": ("bullet_lines", config.max_bullet_lines),
        "ellipsis_lines": ("ellipsis_lines", config.max_ellipsis_lines),
    }
    for measure, (reason, limit) in at_most.items():
        if measures[measure] > limit:
            return Rejected(reason, f"{measures[measure]}, at most {limit}")
    if measures["letter_words"] < config.min_letter_words:
        return Rejected("few_letter_words", f"{measures['letter_words']}, at least {config.min_letter_words}")
    if language in config.stop_word_languages and measures["stop_words"] < config.min_stop_words:
        return Rejected("few_stop_words", f"{measures['stop_words']}, at least {config.min_stop_words}")
    return None
