"""Which elements their own attributes hide."""

import re
from collections.abc import Mapping
from functools import lru_cache

import cython

from pipelines.extract.kinds import IMAGES
from pipelines.extract.tags import BODY, HTML

if cython.compiled:
    from cython.cimports.pipelines.extract.attribute_scan import is_at, is_space
else:
    from pipelines.extract.attribute_scan import is_at, is_space

# Words that style sheets use for "read this aloud, do not show it".
_UNSHOWN_CLASSES = frozenset(
    {"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only", "screenreader-only",
     "element-invisible", "u-hidden", "is-hidden", "a11y-hidden", "noprint-hidden"}
)  # fmt: skip
_HIDING_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Without one of these, no attribute hides: the classes and styles above, and the attributes hidden and aria-hidden.
_MAY_HIDE = re.compile(
    rb"""(?<=[yusta]-)hidden|(?<=y)hidden|(?<=[y\s]:)hidden|(?<=[:\s]\s)hidden|(?<![^\s"'/])hidden(?=[=/\s]|\Z)"""
    rb"""|(?<=[:\s])none|sr-o|reader-|(?<=-)invis""",
    re.IGNORECASE,
)


def hides_itself(tag: int, attributes: Mapping[str, str]) -> bool:
    """Whether an element's own attributes hide it: hidden, aria-hidden, inline style, or a class for screen readers.

    The page as a whole is never hidden (scripts show it later), and aria-hidden does not hide a picture from the eye.
    """
    if tag in (HTML, BODY):
        return False
    if "hidden" in attributes:  # "S:..." is how React sends a part that its script puts in place at once
        return attributes["hidden"].lower() != "until-found" and not attributes.get("id", "").startswith("S:")
    if attributes.get("aria-hidden", "").strip().lower() == "true" and tag not in IMAGES:
        return True
    if "style" in attributes and _HIDING_STYLE.search(attributes["style"]):
        return True
    return "class" in attributes and _is_hiding_class(attributes["class"][:2000])


@lru_cache(maxsize=20_000)
def _is_hiding_class(value: str) -> bool:
    return not _UNSHOWN_CLASSES.isdisjoint(value.lower().split())


@cython.cfunc
@cython.exceptval(check=False)
def may_hide(data: cython.p_const_uchar, start: cython.int, stop: cython.int) -> cython.bint:
    """Whether the attributes there may hide their element; most cannot."""
    if not cython.compiled:
        return _MAY_HIDE.search(data[start:stop]) is not None
    at: cython.int
    byte: cython.int
    for at in range(start, stop - 3):
        byte = data[at] | 32
        if byte == 104:
            if is_at(data, at, stop, b"hidden", 6) and _hides_there(data, start, at, stop):
                return True
        elif byte == 110:
            if at > start and is_at(data, at, stop, b"none", 4) and (data[at - 1] == 58 or is_space(data[at - 1])):
                return True
        elif byte == 115:
            if is_at(data, at, stop, b"sr-o", 4):
                return True
        elif byte == 114:
            if is_at(data, at, stop, b"reader-", 7):
                return True
        elif byte == 105 and at > start and data[at - 1] == 45 and is_at(data, at, stop, b"invis", 5):
            return True
    return False


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _hides_there(
    data: cython.p_const_uchar, start: cython.int, at: cython.int, stop: cython.int
) -> cython.bint:  # fmt: skip
    """What _MAY_HIDE asks of the bytes around the word "hidden"."""
    last: cython.int = data[at - 1] if at > start else 32
    before: cython.int = data[at - 2] if at > start + 1 else 0
    small: cython.int = before | 32
    if last == 45:  # -
        return small == 121 or small == 117 or small == 115 or small == 116 or small == 97
    if last | 32 == 121:  # y
        return True
    if last == 58:  # :
        return small == 121 or is_space(before)
    if is_space(last) and at > start and (before == 58 or is_space(before)):
        return True
    if is_space(last) or last == 34 or last == 39 or last == 47:
        return at + 6 >= stop or data[at + 6] == 61 or data[at + 6] == 47 or is_space(data[at + 6])
    return False
