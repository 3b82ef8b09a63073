"""Captions that say nothing of the image: names of files, placeholders, what a content system writes by itself.

The words and patterns live in the recipe. They gather what is named in CC3M (Sharma et al. 2018, section 3.2: "click to
enlarge picture", "stock photo", "embedded image permalink", "profile photo"), ALIGN (arXiv 2102.05918, section 3:
"1920x1080", "alt img") and COYO-700M ("thumbnail for", "image for", "picture of").
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.document import Document
from schemas.rejection import Rejected

_BARE_URL = re.compile(r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|info|de|co\.uk|ru|jp|io)(?:/\S*)?")
_SIGNS = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class CaptionBoilerplateConfig:
    file_names: tuple[str, ...]
    """Regular expressions; a caption that one of them matches as a whole, whatever the case, is a file's name."""
    placeholders: tuple[str, ...]
    """Whole captions, in lower case and without punctuation; "image" also bars "Image 2"."""
    prefixes: tuple[str, ...]
    """Words that a caption must not begin with, in lower case."""
    suffixes: tuple[str, ...]
    """Words that a caption must not end with, in lower case."""
    phrases: tuple[str, ...]
    """Words that must not stand anywhere in a caption, in lower case."""

    def __post_init__(self) -> None:
        for pattern in self.file_names:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"file_names: {pattern!r} is no regular expression: {error}") from error
        for name in ("placeholders", "prefixes", "suffixes", "phrases"):
            for phrase in getattr(self, name):
                if not phrase or phrase != _simple(phrase):
                    raise ValueError(f"{name}: {phrase!r} must be words in lower case, parted by single spaces")


def caption_boilerplate(document: Document, config: CaptionBoilerplateConfig) -> Document | Rejected:
    """The document, or the first rule its caption breaks.

    The reasons are `no_letters`, `bare_url`, `file_name`, `placeholder`, `boilerplate_prefix`, `boilerplate_suffix` and
    `boilerplate_phrase`; the detail names the words.
    """
    text = document.text.strip()
    if not any(map(str.isalpha, text)):
        return Rejected("no_letters", repr(text[:80]))
    if _BARE_URL.fullmatch(text):
        return Rejected("bare_url", text[:80])
    if _compiled(config.file_names).fullmatch(text):
        return Rejected("file_name", text[:80])
    simple = _simple(text)
    if simple in config.placeholders or simple.rstrip("0123456789 ") in config.placeholders:
        return Rejected("placeholder", simple)
    padded = f" {simple} "
    for reason, phrases, found in (
        ("boilerplate_prefix", _padded(config.prefixes), padded.startswith),
        ("boilerplate_suffix", _padded(config.suffixes), padded.endswith),
    ):
        if found(phrases):
            return Rejected(reason, next(phrase.strip() for phrase in phrases if found(phrase)))
    for phrase in _padded(config.phrases):
        if phrase in padded:
            return Rejected("boilerplate_phrase", phrase.strip())
    return document


@lru_cache(maxsize=8)
def _padded(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """With a space on both sides, so that only whole words are found."""
    return tuple(f" {phrase} " for phrase in phrases)


def _simple(text: str) -> str:
    """Lower case, words parted by single spaces, no punctuation."""
    return _SIGNS.sub(" ", text.lower()).strip()


@lru_cache(maxsize=8)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)", re.IGNORECASE)
