"""Small pages from large ones, so that the judge learns from pages of every size.

Annotated pages are whole pages of large sites. A page of a dozen paragraphs is one of them with most of it left out:
some runs of its text blocks stay, with the elements around them.
"""

import random
from array import array
from collections.abc import Sequence

from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import DIV, HEAD, SPAN, TEXT
from pipelines.extract.text.block_measures import Blocks

_CONTENT, _REST = (1, 2, 3, 4, 6, 8, 12, 20), (1, 2, 3, 4, 6, 8, 12, 20, 30)
"""How many blocks of each stay: one of these is drawn."""
_RUN = 4  # blocks that stay together, at most
_NEAR = 3  # an element without text stays if one that stays is so many nodes away
_FLAT = 0.6  # of the pages lose the <div>s that hold one element only


def smaller(blocks: Blocks, content: Sequence[bool], seed: str) -> tuple[PageTree, list[int]] | None:
    """A small page, and for each of its nodes the node that it was; None if the page has only content, or none.

    content: of each block, whether it is.
    """
    draw = random.Random(seed)
    inside = [block for block, wanted in enumerate(content) if wanted]
    outside = [block for block, wanted in enumerate(content) if not wanted]
    if not inside or not outside:
        return None
    chosen = _runs(inside, draw.choice(_CONTENT), draw) | _runs(outside, draw.choice(_REST), draw)
    tree = blocks.shown.tree
    keep = bytearray(len(tree))
    for block in chosen:
        for at in range(blocks.firsts[block], blocks.firsts[block + 1]):
            node = blocks.texts[at]
            while node >= 0 and not keep[node]:
                keep[node] = 1
                node = tree.parents[node]
    _keep_near(tree, keep)
    if draw.random() < _FLAT:
        _flatten(tree, keep)
    return _only(tree, keep)


def _runs(blocks: list[int], count: int, draw: random.Random) -> set[int]:
    found: set[int] = set()
    while len(found) < min(count, len(blocks)):
        start = draw.randrange(len(blocks))
        found.update(blocks[start : start + min(draw.randint(1, _RUN), count - len(found))])
    return found


def _keep_near(tree: PageTree, keep: bytearray) -> None:
    """The head, and elements without text that stand beside what stays."""
    last = -_NEAR
    chosen = bytes(keep)
    for node in range(len(tree)):
        if tree.tags[node] == HEAD:
            keep[node : tree.ends[node]] = b"\1" * (tree.ends[node] - node)
        near = node - last <= _NEAR or any(chosen[node : node + _NEAR])
        if chosen[node]:
            last = node
        elif near and tree.tags[node] != TEXT and tree.ends[node] == node + 1 and keep[tree.parents[node]]:
            keep[node] = 1


def _flatten(tree: PageTree, keep: bytearray) -> None:
    """Take out what only wraps one other element that stays."""
    inside = [0] * len(tree)
    for node in range(1, len(tree)):
        if keep[node]:
            inside[tree.parents[node]] += 2 if tree.tags[node] == TEXT else 1
    for node in range(1, len(tree)):
        if keep[node] and tree.tags[node] in (DIV, SPAN) and inside[node] == 1:
            keep[node] = 0


def _only(tree: PageTree, keep: bytearray) -> tuple[PageTree, list[int]]:
    kept = [node for node in range(len(tree)) if keep[node]]
    place = {node: number for number, node in enumerate(kept)}
    before = array("i", bytes(4 * len(tree) + 4))  # kept nodes before each
    above = array("i", tree.parents)  # the nearest kept one
    for node in range(len(tree)):
        before[node + 1] = before[node] + keep[node]
        while above[node] >= 0 and not keep[above[node]]:
            above[node] = above[above[node]]
    small = PageTree(
        tree.source,
        array("h", (tree.tags[node] for node in kept)),
        array("i", (place.get(above[node], -1) for node in kept)),
        array("i", (before[tree.ends[node]] for node in kept)),
        array("i", (tree.starts[node] for node in kept)),
        array("i", (tree.stops[node] for node in kept)),
        {place[node]: spans for node, spans in tree._merged.items() if node in place},
    )
    return small, kept
