"""Elements of a page that stand for one picture: lazy ones and their twins for readers without scripts, other sizes."""

import re
from collections.abc import Callable
from itertools import islice

from pipelines.extract.html.kinds import IMAGES
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.tags import NOSCRIPT, TEXT
from pipelines.extract.html.tree import Shown
from pipelines.extract.pictures.image_address import declared_size, is_placeholder
from pipelines.extract.pictures.image_place import TRACKER_PIXELS

# Nodes in the element that holds a noscript, a preview and nothing else to be seen.
_MAX_AROUND = 50
# A number in a file's name, not one of pixels, that makes it the only one of that name; or its length in characters.
_NUMBER = re.compile(r"(?<![x\d])\d{5,}(?![x\d])")
_TELLING_CHARS = 24


def resolve_twins(shown: Shown, noscript: int, addresses: dict[int, str], dropped: dict[int, str]) -> None:
    """Of a lazy picture and its twin in a noscript keep the twin: what the page itself says a script would load."""
    tree = shown.tree
    inside = [node for node in range(noscript, tree.ends[noscript]) if node in addresses]
    if not inside:
        return
    twin = _picture_beside(tree, noscript)
    if twin not in addresses and len(inside) == 1:
        twin = _only_other(shown, noscript, addresses)
    if twin < 0:
        return
    width, height = declared_size(tree.attributes(inside[0]))
    if is_placeholder(addresses[inside[0]]) or 0 < width <= TRACKER_PIXELS or 0 < height <= TRACKER_PIXELS:
        return  # a counter for readers without scripts, which happens to stand beside a picture
    if addresses.pop(twin, None):
        dropped[twin] = "twin"


def _only_other(shown: Shown, noscript: int, addresses: dict[int, str]) -> int:
    """The only other picture in the element that holds a noscript and no text: its preview; -1 if there is none."""
    tree = shown.tree
    parent = tree.parents[noscript]
    if shown.chars[parent] or tree.ends[parent] - parent > _MAX_AROUND:
        return -1
    inside = range(parent, tree.ends[parent])
    others = [node for node in inside if node in addresses and not noscript < node < tree.ends[noscript]]
    return others[0] if len(others) == 1 else -1


def _picture_beside(tree: PageTree, noscript: int) -> int:
    """The picture right before the noscript in its parent, or else right after it; -1 if there is none."""
    parent = tree.parents[noscript]
    if parent < 0:
        return -1
    before = noscript - 1
    while before > parent and tree.tags[before] == TEXT and not tree.text(before).strip():
        before -= 1
    if before > parent and tree.tags[before] in IMAGES:
        return before
    elements = (node for node in range(tree.ends[noscript], tree.ends[parent]) if tree.tags[node] != TEXT)
    for node in islice(elements, 3):
        if tree.tags[node] in IMAGES:
            following = tree.ends[node]
            while following < len(tree) and tree.tags[following] == TEXT:
                following += 1
            alone = following >= len(tree) or tree.tags[following] != NOSCRIPT
            return node if alone else -1
    return -1


def drop_copies(addresses: dict[int, str], dropped: dict[int, str], kept_before: Callable[[int], int]) -> None:
    """Of pictures with one address, or one file name (sizes and crops for other screens), keep one.

    The first with kept text before it: one above the text is often shown again where it belongs. kept_before: how
    much that is.
    """
    chosen: dict[str, int] = {}
    for node in sorted(addresses):
        first = chosen.setdefault(_known_by(addresses[node]), node)
        if node != first and kept_before(node) and not kept_before(first):
            chosen[_known_by(addresses[node])] = node
    for node, address in list(addresses.items()):
        if chosen[_known_by(address)] != node:
            dropped[node] = "copy"
            del addresses[node]


def _known_by(address: str) -> str:
    name = address.partition("?")[0].rpartition("/")[2]
    return name if _is_telling(name) else address


def _is_telling(name: str) -> bool:
    return len(name) >= _TELLING_CHARS or _NUMBER.search(name) is not None
