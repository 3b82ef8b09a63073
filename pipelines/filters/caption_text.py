"""The text of a pair or clip, and its cleaning.

What is undone here is what the page's markup and the site did to a caption, as in CC12M (Changpinyo et al. 2021, arXiv
2102.08981) and COYO-700M: escapes, tags, addresses, file-name endings, quotes around the whole, the site's name at its
end. What the author wrote stays: NFC, not NFKC, for NFKC writes "x2" for a superscript two and "1/2" for a half.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import unescape

from schemas.document import Document, Text
from schemas.rejection import Rejected

# Tags that stand within a word or touch punctuation leave nothing behind, all others a space.
_INLINE = "a|abbr|b|bdi|bdo|big|cite|code|em|font|i|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr"
_BLOCK = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|head|header|hr|html|"
    "iframe|img|label|li|link|meta|noscript|object|ol|p|picture|pre|script|section|source|style|table|tbody|td|th|tr|"
    "ul|video"
)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://|ftp://|www\.)(?:[^\s()]+(?:\([^\s()]*\))?)+|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+",
    re.IGNORECASE,
)
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|\[\s*\]")
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019", "\u201e": "\u201c", "\u00ab": "\u00bb"}
# Format characters that letters need: joiners of Persian, Indic scripts and emoji.
_JOINERS = "\u200c\u200d"
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, kw_only=True)
class CleanCaptionConfig:
    max_chars: int
    """Characters of a caption as it came; a longer one is no caption and is dropped before anything is done to it."""
    file_endings: tuple[str, ...]
    """Endings of file names, in lower case with the dot, that are cut off the caption's end."""
    site_separators: tuple[str, ...]
    """Signs that part the caption from the site's name at its end, white space included; empty keeps such names."""
    site_max_words: int
    """Most words of what such a sign parts off."""
    site_suffixes: tuple[str, ...]
    """Phrases cut off the end with the signs before them, in lower case: "stock photo"."""

    def __post_init__(self) -> None:
        for name in ("max_chars", "site_max_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 1")
        for name in ("file_endings", "site_separators", "site_suffixes"):
            if not all(getattr(self, name)):
                raise ValueError(f"{name}: an empty string would be found everywhere")


def with_text(document: Document, text: str) -> Document:
    """The same document with `text` in place of its first text, and none of its others; media stay where they are.

    A document without text gets it at its end.
    """
    slots = list(document.slots)
    places = [number for number, slot in enumerate(slots) if isinstance(slot, Text)]
    if not places:
        return replace(document, slots=(*slots, Text(text)))
    slots[places[0]] = Text(text)
    return replace(document, slots=tuple(slot for number, slot in enumerate(slots) if number not in places[1:]))


def clean_caption(document: Document, config: CleanCaptionConfig) -> Document | Rejected:
    """The document with its text cleaned, or `empty_caption`, or `huge_caption`."""
    text = document.text
    if len(text) > config.max_chars:
        return Rejected("huge_caption", f"{len(text)} characters, at most {config.max_chars}")
    cleaned = clean(text, config)
    if not cleaned:
        return Rejected("empty_caption", f"nothing left of {text[:80]!r}")
    return document if cleaned == text else with_text(document, cleaned)


def clean(text: str, config: CleanCaptionConfig) -> str:
    """`text` cleaned until nothing changes any more: one step lays bare what another undoes ("&amp;lt;b&amp;gt;")."""
    while (cleaned := _clean_once(text, config)) != text:
        text = cleaned
    return text


def _clean_once(text: str, config: CleanCaptionConfig) -> str:
    if "&" in text:
        text = unescape(text)
    if "<" in text:
        text = _BLOCK_TAG.sub(" ", _INLINE_TAG.sub("", text))
    if _NOT_PLAIN.search(text):
        text = "".join(map(_plain, unicodedata.normalize("NFC", text)))
    if "@" in text or "://" in text or "www." in text.lower():
        text = _EMPTY_BRACKETS.sub(" ", _ADDRESS.sub(" ", text))
    text = _without_suffix(" ".join(text.split()), config)
    return _unquoted(text.strip(" |"))


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """White space of any kind as a space; nothing for what cannot be seen."""
    if character.isspace():
        return " "
    if character == "\ufffd" or (unicodedata.category(character).startswith("C") and character not in _JOINERS):
        return " " if unicodedata.category(character) == "Cc" else ""
    return character


def _without_suffix(text: str, config: CleanCaptionConfig) -> str:
    lower = text.lower()
    if ending := _ending(lower, config.file_endings):
        return text[: len(text) - len(ending)]
    if ending := _ending(lower, config.site_suffixes):
        head = text[: len(text) - len(ending)]
        # "a photo" ends with "photo", and so does "telephoto": only whole words, and never all there is.
        if head[-1:] in (" ", "|", "-", ",", ":", "\u2013", "\u2014") and (rest := head.rstrip(" |-,:\u2013\u2014")):
            return rest
    for separator in config.site_separators:
        head, found, tail = text.rpartition(separator)
        if found and head.strip() and len(tail.split()) <= config.site_max_words:
            return head.rstrip()
    return text


def _ending(lower: str, endings: Sequence[str]) -> str:
    return next((ending for ending in endings if lower.endswith(ending)), "")


def _unquoted(text: str) -> str:
    """Without quotation marks around the whole; those of '"A" and "B"' are not."""
    close = _QUOTES.get(text[:1])
    if close and len(text) > 1 and text.endswith(close) and not {text[0], close}.intersection(text[1:-1]):
        return text[1:-1].strip()
    return text
