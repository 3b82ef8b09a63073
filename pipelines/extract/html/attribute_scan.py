"""The attributes of an element, read from its source: all of them, or one without a look at the others.

Compiled, these are loops over memory; as plain Python the same answers come from regular expressions.
"""

import re
from functools import lru_cache
from typing import Any, Protocol

import cython

from pipelines.extract.html.references import decode, in_attribute
from pipelines.extract.html.tags import TEXT

if cython.compiled:
    from cython.cimports.pipelines.extract.html.html_scan import find_byte

_ATTRIBUTE = re.compile(
    rb"""[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)
    (?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|([^\t\n\f\r >"'][^\t\n\f\r >]*+))?+)?+""",
    re.VERBOSE,
)
_HREF = re.compile(rb"(?<![0-9a-z_:-])href(?![0-9a-z_:-])", re.IGNORECASE)


def read_attributes(source: bytes, start: cython.int, stop: cython.int, values: dict[str, str]) -> None:
    """Add the attributes that stand there to `values`, names in lower case; the first of equal names counts."""
    if not cython.compiled:
        for match in _ATTRIBUTE.finditer(source, start, stop):
            name = _name(match[1])
            if name not in values:
                values[name] = in_attribute(decode(match[2] or match[3] or match[4] or b""))
        return
    data: cython.p_const_uchar = source
    found: tuple[cython.int, cython.int, cython.int, cython.int, cython.int] = next_attribute(data, start, stop)
    while found[0] < found[1]:
        key: str = _name(source[found[0] : found[1]])
        if key not in values:
            values[key] = _value(data, found[2], found[3])
        found = next_attribute(data, found[4], stop)


@lru_cache(maxsize=2000)
def _name(source: bytes) -> str:
    return decode(source.lower()).replace("\0", "\ufffd")


@cython.cfunc
def _value(data: cython.p_const_uchar, start: cython.int, stop: cython.int) -> str:
    if start >= stop:
        return ""
    if find_byte(data, 38, start, stop) < stop or find_byte(data, 13, start, stop) < stop:  # & and return
        return in_attribute(decode(data[start:stop]))
    value: str = data[start:stop].decode("utf-8", "replace")
    return value.replace("\0", "\ufffd") if "\0" in value else value


class Tree(Protocol):
    """What `value_of` asks of a PageTree, whose module imports this one."""

    source: bytes
    tags: Any
    starts: Any
    stops: Any
    _merged: dict[int, list[tuple[int, int]]]

    def attributes(self, node: int) -> dict[str, str]: ...


def value_of(tree: Tree, node: int, name: bytes) -> str:
    """The value of one attribute, without a look at the others; "" if it is not there."""
    if not cython.compiled or (tree._merged and node in tree._merged) or tree.tags[node] == TEXT:
        return tree.attributes(node).get(name.decode(), "")
    source: bytes = tree.source
    place: tuple[cython.int, cython.int] = find_value(source, tree.starts[node], tree.stops[node], name, len(name))
    return _value(source, place[0], place[1])


@cython.cfunc
def find_value(
    data: cython.p_const_uchar, start: cython.int, stop: cython.int, name: cython.p_const_uchar, size: cython.int
) -> tuple[cython.int, cython.int]:
    """Where the value of the first attribute of a name is; (-1, -1) if there is none."""
    found: tuple[cython.int, cython.int, cython.int, cython.int, cython.int] = next_attribute(data, start, stop)
    while found[0] < found[1]:
        if found[1] - found[0] == size and is_at(data, found[0], found[1], name, size):
            return found[2], found[3]
        found = next_attribute(data, found[4], stop)
    return -1, -1


@cython.cfunc
@cython.exceptval(check=False)
def next_attribute(
    data: cython.p_const_uchar, at: cython.int, stop: cython.int
) -> tuple[cython.int, cython.int, cython.int, cython.int, cython.int]:
    """The next attribute: where its name begins and ends, where its value does, and where to look on.

    An attribute without a value has an empty one. Where there is no more attribute, the name is empty.
    """
    begin: cython.int
    end: cython.int
    name: cython.int
    name_end: cython.int
    while at < stop and (is_space(data[at]) or data[at] == 47):
        at += 1
    name = at
    if at < stop:
        at += 1
    while at < stop and not (is_space(data[at]) or data[at] == 47 or data[at] == 61):
        at += 1
    name_end = at
    while at < stop and is_space(data[at]):
        at += 1
    if at >= stop or data[at] != 61:
        return name, name_end, at, at, at
    at += 1
    while at < stop and is_space(data[at]):
        at += 1
    begin = at
    if at < stop and (data[at] == 34 or data[at] == 39):
        begin = at + 1
        end = find_byte(data, data[at], begin, stop)
        at = end + 1
    else:
        while at < stop and not is_space(data[at]):
            at += 1
        end = at
    return name, name_end, begin, end, at


@cython.cfunc
@cython.exceptval(check=False)
def has_href(data: cython.p_const_uchar, start: cython.int, stop: cython.int) -> cython.bint:
    """Whether an attribute there is (or, which is rare, a value holds the word) "href"."""
    if not cython.compiled:
        return _HREF.search(data, start, stop) is not None
    at: cython.int
    for at in range(start, stop - 3):
        if (
            data[at] | 32 == 104 and data[at + 1] | 32 == 114 and data[at + 2] | 32 == 101 and data[at + 3] | 32 == 102
            and (at == start or not _in_name(data[at - 1])) and (at + 4 >= stop or not _in_name(data[at + 4]))
        ):  # fmt: skip
            return True
    return False


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _in_name(byte: cython.int) -> cython.bint:
    return 97 <= (byte | 32) <= 122 or 48 <= byte <= 58 or byte == 45 or byte == 95


@cython.cfunc
@cython.exceptval(check=False)
def is_space(byte: cython.int) -> cython.bint:
    return byte == 32 or (9 <= byte <= 13 and byte != 11)


@cython.cfunc
@cython.exceptval(check=False)
def is_at(
    data: cython.p_const_uchar, at: cython.int, stop: cython.int, word: cython.p_const_uchar, size: cython.int
) -> cython.bint:
    """Whether a word, in lower case, stands there in any case."""
    index: cython.int
    if at + size > stop:
        return False
    for index in range(size):
        if data[at + index] != word[index] and not (word[index] >= 97 and data[at + index] | 32 == word[index]):
            return False
    return True
