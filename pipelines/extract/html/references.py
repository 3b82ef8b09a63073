"""From bytes of HTML source to the characters that they stand for: line ends and character references."""

import re
from functools import lru_cache
from html import unescape
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[0-9]++;?+|#[xX][0-9a-fA-F]++;?+|[a-zA-Z][a-zA-Z0-9]*+;?+=?+)")
# Numbers far beyond Unicode, and zeros without end: `int` refuses thousands of digits.
_HUGE = re.compile(r"&#(?:0*+[1-9][0-9]{7,}+|[xX]0*+[1-9a-fA-F][0-9a-fA-F]{6,}+);?+")
_ZEROS = re.compile(r"&#0{8,}+")


def decode(source: bytes) -> str:
    """The characters of UTF-8, each line end as a line feed."""
    text = source.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def in_text(text: str) -> str:
    """A text with its character references replaced."""
    return unescape(_tame(text)) if "&" in text else text


def in_attribute(value: str) -> str:
    """The value of an attribute with its references replaced; `&copy` is none in "?a=1&copy=2" and "&copyright"."""
    if "&" in value:
        value = _REFERENCE.sub(_replace, _tame(value))
    return value.replace("\0", "\ufffd") if "\0" in value else value


def _tame(text: str) -> str:
    return _ZEROS.sub("&#0", _HUGE.sub("\ufffd", text)) if "&#" in text else text


def _replace(reference: re.Match[str]) -> str:
    return _replaced(reference[0])


@lru_cache(maxsize=2000)
def _replaced(found: str) -> str:
    """What a character reference in an attribute stands for."""
    if found[1] == "#" or found[1:] in html5:
        return unescape(found)
    if found.endswith(";="):
        return unescape(found[:-1]) + "="
    return found
