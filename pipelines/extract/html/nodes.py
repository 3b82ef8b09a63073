"""Small questions to a page's tree."""

import re
from collections.abc import Callable, Iterator

import cython

from pipelines.extract.html.hiding import hides_itself
from pipelines.extract.html.kinds import BLOCK, KINDS, UNSHOWN
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import BR, NOSCRIPT, TEXT

# Controls without a meaning in text, soft hyphens and byte order marks.
INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\ufeff\ufffe\uffff]")


def nodes_of(tree: PageTree, tag: cython.int) -> list[int]:
    """The elements with a tag, in document order."""
    known: cython.short[:] = tree.tags
    return [node for node in range(len(tree)) if known[node] == tag]


def children(tree: PageTree, node: int) -> Iterator[int]:
    """The elements and texts that stand in an element and in no other in it, in document order."""
    child, end = node + 1, tree.ends[node]
    while child < end:
        yield child
        child = tree.ends[child]


def line_of(tree: PageTree, root: int, without: Callable[[PageTree, int], bool] | None = None) -> str:
    """The text that an element shows, as one line. without: tells the elements in it that are left out."""
    parts: list[str] = []
    node, end = root + 1, tree.ends[root]
    block_ends: list[int] = []
    while node < end:
        while block_ends and block_ends[len(block_ends) - 1] <= node:
            block_ends.pop()
            parts.append(" ")
        tag = tree.tags[node]
        if tag == TEXT:
            parts.append(tree.text(node))
        elif (
            KINDS[tag] & UNSHOWN
            or tag == NOSCRIPT
            or (without is not None and without(tree, node))
            or (tree.stops[node] > tree.starts[node] and hides_itself(tag, tree.attributes(node)))
        ):
            node = tree.ends[node]
            continue
        elif KINDS[tag] & BLOCK:
            parts.append(" ")
            block_ends.append(tree.ends[node])
        elif tag == BR:
            parts.append(" ")
        node += 1
    return clean("".join(parts))


def clean(text: str) -> str:
    """One line of text: white space (NBSP too) collapsed, control characters gone."""
    return " ".join(visible(text).split()) if text else ""


def visible(text: str) -> str:
    """A text without INVISIBLE characters."""
    return text if text.isprintable() else INVISIBLE.sub("", text)
