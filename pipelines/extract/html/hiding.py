"""Which elements their own attributes hide."""

import re
from collections.abc import Mapping
from functools import lru_cache

import cython

from pipelines.extract.html.kinds import IMAGES
from pipelines.extract.html.tags import BODY, HTML

if cython.compiled:
    from cython.cimports.pipelines.extract.html.attribute_scan import is_at, next_attribute
else:
    from pipelines.extract.html.attribute_scan import is_at, next_attribute

# Words that style sheets use for "read this aloud, do not show it".
_UNSHOWN_CLASSES = frozenset(
    {"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only", "screenreader-only",
     "element-invisible", "u-hidden", "is-hidden", "a11y-hidden", "noprint-hidden"}
)  # fmt: skip
_HIDING_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# Without one of these, no attribute hides.
_MAY_HIDE = re.compile(rb"hidden|none|sr-only|reader|invisible|&", re.IGNORECASE)


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
        return _MAY_HIDE.search(data, start, stop) is not None
    found: tuple[cython.int, cython.int, cython.int, cython.int, cython.int] = next_attribute(data, start, stop)
    while found[0] < found[1]:
        if _may_hide(data, found[0], found[1] - found[0], found[2], found[3]):
            return True
        found = next_attribute(data, found[4], stop)
    return False


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _may_hide(
    data: cython.p_const_uchar, name: cython.int, size: cython.int, start: cython.int, stop: cython.int
) -> cython.bint:
    """Whether one attribute may; its value is read in full where it holds a reference."""
    at: cython.int
    if size == 5 and is_at(data, name, name + size, b"class", size):
        for at in range(start, stop):
            if data[at] == 38 or (
                (at + 1 == stop or data[at + 1] <= 32 or data[at + 1] > 127) and _is_hiding_end(data, start, at + 1)
            ):
                return True
        return False
    if size == 5 and is_at(data, name, name + size, b"style", size):
        for at in range(start, stop):
            if data[at] == 38 or is_at(data, at, stop, b"none", 4) or is_at(data, at, stop, b"hidden", 6):
                return True
        return False
    return (size == 6 and is_at(data, name, name + size, b"hidden", size)) or (
        size == 11 and is_at(data, name, name + size, b"aria-hidden", size)
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_hiding_end(data: cython.p_const_uchar, start: cython.int, end: cython.int) -> cython.bint:
    """Whether what ends there may be one of _UNSHOWN_CLASSES."""
    last: cython.int = data[end - 1] | 32
    if end - start < 7:
        return False
    if last == 110:
        return is_at(data, end - 3, end, b"den", 3)
    if last == 121:
        return is_at(data, end - 5, end, b"-only", 5)
    if last == 116:
        return is_at(data, end - 5, end, b"-text", 5)
    return last == 101 and is_at(data, end - 4, end, b"ible", 4)
