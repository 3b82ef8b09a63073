"""Single attributes of an element, found in its source without a look at the others.

Compiled, these are loops over memory; as plain Python the same answers come from PageTree and regular expressions.
"""

import re

import cython

from pipelines.extract.page_tree import PageTree
from pipelines.extract.tags import TEXT

_HREF = re.compile(rb"(?<![0-9a-z_:-])href(?![0-9a-z_:-])", re.IGNORECASE)


def value_of(tree: PageTree, node: int, name: bytes) -> str:
    """The value of one attribute, without a look at the others; "" if it is not there."""
    source: bytes = tree.source
    start: cython.int = tree.starts[node]
    if not cython.compiled or (tree._merged and node in tree._merged) or tree.tags[node] == TEXT:
        return tree.attributes(node).get(name.decode(), "")
    size: cython.int = len(name)
    place: tuple[cython.int, cython.int] = find_value(source, start, tree.stops[node], name, size)
    if place[0] < 0:
        return ""
    value: bytes = source[place[0] : place[1]]
    if b"&" in value or b"\r" in value or b"\0" in value:
        return tree.attributes(node).get(name.decode(), "")
    return value.decode("utf-8", "replace")


@cython.cfunc
def find_value(
    data: cython.p_const_uchar, at: cython.int, stop: cython.int, name: cython.p_const_uchar, size: cython.int
) -> tuple[cython.int, cython.int]:
    """Where the value of the first attribute of a name is; (-1, -1) if there is none."""
    begin: cython.int
    end: cython.int
    quote: cython.int
    while at < stop:
        if is_space(data[at]) or data[at] == 47:
            at += 1
            continue
        begin = at
        at += 1
        while at < stop and not (is_space(data[at]) or data[at] == 47 or data[at] == 61):
            at += 1
        end = at
        while at < stop and is_space(data[at]):
            at += 1
        found: cython.bint = end - begin == size and is_at(data, begin, end, name, size)
        if at >= stop or data[at] != 61:
            if found:
                return at, at
            continue
        at += 1
        while at < stop and is_space(data[at]):
            at += 1
        begin = at
        if at < stop and (data[at] == 34 or data[at] == 39):
            quote = data[at]
            begin = at = at + 1
            while at < stop and data[at] != quote:
                at += 1
            end = at
            at += 1
        else:
            while at < stop and not is_space(data[at]):
                at += 1
            end = at
        if found:
            return begin, end
    return -1, -1


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
    return byte == 32 or 9 <= byte <= 13


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
