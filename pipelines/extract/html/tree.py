"""What of a page is shown, and how much text each part of it holds: one pass over a PageTree."""

import re
from array import array

import cython

from pipelines.extract.html.hiding import hides_itself
from pipelines.extract.html.kinds import BLOCK, KINDS, SHOWN, SILENT, UNSHOWN, UNSHOWN_OTHERS
from pipelines.extract.html.page_tree import Numbers, PageTree
from pipelines.extract.html.tags import (
    BUTTON,
    DT,
    H1,
    H6,
    NOSCRIPT,
    OTHER,
    PRE,
    SUMMARY,
    TEXT,
    A,
    P,
)  # fmt: skip

if cython.compiled:
    from cython.cimports.libc.string import memcmp
    from cython.cimports.pipelines.extract.html.attribute_scan import has_href
    from cython.cimports.pipelines.extract.html.hiding import may_hide
else:
    from pipelines.extract.html.attribute_scan import has_href
    from pipelines.extract.html.hiding import may_hide

# With less visible text than this, and so many times more that is not, the page waits for its script; characters.
_SCRIPTED_CHARS = 1500
_SCRIPTED_RATIO = 3
_BLANK = re.compile(rb"&nbsp;|\xc2\xa0|\xe3\x80\x80|\xe2\x80[\x80-\x8f]|[\x00-\x20]")
_REFERENCE = re.compile(rb"&[#0-9A-Za-z]{1,31};")
_NOT_COUNTED = bytes(range(0x21)) + bytes(range(0x80, 0xC0))


class Shown:
    """A page's nodes, which of them are shown, and how many characters (white space not counted) they hold."""

    __slots__ = ("chars", "link_chars", "own_chars", "states", "tree")

    def __init__(self, tree: PageTree) -> None:
        size = len(tree)
        self.tree = tree
        self.states = bytearray(size)
        """HIDDEN, SHOWN or SILENT."""
        self.chars = array("i", bytes(4 * size))
        """Of a node: characters of shown text in it."""
        self.link_chars = array("i", bytes(4 * size))
        """Those of `chars` that are links."""
        self.own_chars = array("i", bytes(4 * size))
        """Of a block: characters in it and in no block inside it."""


def look(tree: PageTree) -> Shown:
    """Find what of a page is shown, and measure its text.

    Of a <noscript> only the pictures are looked at. But where next to nothing is visible, a script builds the page or
    unveils it: then hidden elements and the text of <noscript> are read as well.
    """
    shown = _look(tree, False)
    if shown.chars[0] < _SCRIPTED_CHARS:
        whole = _look(tree, True)
        if whole.chars[0] > _SCRIPTED_RATIO * shown.chars[0]:
            return whole
    return shown


def look_at_all(tree: PageTree) -> Shown:
    """As `look`, as if nothing were hidden and no script ran."""
    return _look(tree, True)


def _look(tree: PageTree, read_all: bool) -> Shown:
    found = Shown(tree)
    source: bytes = tree.source
    data: cython.p_const_uchar = source
    size: cython.int = len(tree)
    tags: cython.short[:] = tree.tags
    parents: cython.int[:] = tree.parents
    ends: cython.int[:] = tree.ends
    starts: cython.int[:] = tree.starts
    stops: cython.int[:] = tree.stops
    states: cython.uchar[:] = found.states
    chars: cython.int[:] = found.chars
    link_chars: cython.int[:] = found.link_chars
    own: cython.int[:] = found.own_chars
    blocks: cython.int[:] = array("i", bytes(4 * size))
    links: cython.uchar[:] = bytearray(size)
    kinds: cython.int[:] = KINDS
    next_paragraph: cython.int = 0
    node: cython.int = 0
    above: cython.int
    tag: cython.int
    count: cython.int
    visible: cython.bint
    silent: cython.bint
    known: dict[tuple[int, bytes], bool] = {}
    while node < size:
        above = parents[node] if node else 0
        tag = tags[node]
        if tag == TEXT:
            if states[above] == SHOWN:
                states[node] = SHOWN
                count = count_chars(data, starts[node], stops[node])
                chars[node] = count
                own[blocks[above]] += count
                if links[above] and tags[blocks[above]] != PRE:
                    link_chars[node] = count
            node += 1
            continue
        if kinds[tag] & UNSHOWN:
            visible = False
            # Over a folded section it is the heading, often a question; one that holds paragraphs was never closed.
            if tag == BUTTON:
                while next_paragraph < size and (next_paragraph <= node or tags[next_paragraph] != P):
                    next_paragraph += 1
                visible = (
                    next_paragraph < ends[node]
                    or (H1 <= tags[above] <= H6 or tags[above] == DT or tags[above] == SUMMARY)
                    or _asks(tree, node)
                )
        elif tag == OTHER and _is_unshown_other(source, starts[node]):
            visible = False
        elif read_all or stops[node] <= starts[node] or not may_hide(data, starts[node], stops[node]):
            visible = True
        else:
            key = tag, source[starts[node] : stops[node]]
            hides = known.get(key)
            if hides is None:
                hides = known[key] = hides_itself(tag, tree.attributes(node))
            visible = not hides
        if not visible:
            node = ends[node]
            continue
        silent = (node > 0 and states[above] == SILENT) or (tag == NOSCRIPT and not read_all)
        states[node] = SILENT if silent else SHOWN
        blocks[node] = node if node == 0 or (not silent and (kinds[tag] & BLOCK or tag == NOSCRIPT)) else blocks[above]
        links[node] = links[above] or (tag == A and has_href(data, starts[node], stops[node]))
        node += 1
    _sum_up(found)
    return found


def _sum_up(found: Shown) -> None:
    chars: cython.int[:] = found.chars
    links: cython.int[:] = found.link_chars
    parents: cython.int[:] = found.tree.parents
    node: cython.int
    for node in range(len(found.tree) - 1, 0, -1):
        if chars[node]:
            chars[parents[node]] += chars[node]
            links[parents[node]] += links[node]


def _asks(tree: PageTree, button: int) -> bool:
    """Whether the text of a button is a question, in any script."""
    node = tree.ends[button] - 1
    while node > button and (tree.tags[node] != TEXT or not tree.text(node).strip()):
        node -= 1
    return node > button and tree.text(node).rstrip().endswith(("?", "\uff1f", "\u061f"))


@cython.cfunc
def _is_unshown_other(source: bytes, stop: cython.int) -> cython.bint:
    return source[max(stop - 14, 0) : stop].lower().endswith(UNSHOWN_OTHERS)


@cython.cfunc
@cython.exceptval(check=False)
def count_chars(data: cython.p_const_uchar, start: cython.int, stop: cython.int) -> cython.int:
    """Characters of a text that are not white space; a reference such as &amp; is one."""
    if not cython.compiled:
        text = data[start:stop]
        if b"&" in text:
            text = _REFERENCE.sub(b"x", _BLANK.sub(b" ", text))
        return len(_BLANK.sub(b"", text).translate(None, _NOT_COUNTED))
    count: cython.int = 0
    at: cython.int = start
    end: cython.int
    byte: cython.int
    while at < stop:
        byte = data[at]
        at += 1
        if byte <= 32 or 128 <= byte < 192:
            continue
        if byte == 38:
            end = at
            while end < stop and end - at < 31 and (
                97 <= (data[end] | 32) <= 122 or 48 <= data[end] <= 57 or data[end] == 35
            ):  # fmt: skip
                end += 1
            if at < end < stop and data[end] == 59:
                if end - at == 4 and memcmp(data + at, b"nbsp", 4) == 0:
                    count -= 1
                at = end + 1
        elif byte == 0xC2:
            if at < stop and data[at] == 0xA0:
                continue
        elif byte == 0xE3:
            if at + 1 < stop and data[at] == 0x80 and data[at + 1] == 0x80:
                continue
        elif byte == 0xE2 and at + 1 < stop and data[at] == 0x80 and data[at + 1] < 0x90:
            continue
        count += 1
    return count


def kept_before(shown: Shown, keep: bytearray) -> tuple[Numbers, Numbers]:
    """For each node (and one past the last): characters of kept texts before it, and of shown texts before it."""
    size: cython.int = len(keep)
    kept_sums = array("i", bytes(4 * size + 4))
    shown_sums = array("i", bytes(4 * size + 4))
    kept: cython.int[:] = kept_sums
    all_: cython.int[:] = shown_sums
    flags: cython.uchar[:] = keep
    tags: cython.short[:] = shown.tree.tags
    chars: cython.int[:] = shown.chars
    node: cython.int
    for node in range(size):
        kept[node + 1] = kept[node]
        all_[node + 1] = all_[node]
        if tags[node] == TEXT:
            all_[node + 1] += chars[node]
            if flags[node]:
                kept[node + 1] += chars[node]
    return kept_sums, shown_sums
