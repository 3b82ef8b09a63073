"""Which picture elements of a page become images, and what the page says of each: address, sizes, alt text, caption."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

from pipelines.extract.config import ExtractConfig
from pipelines.extract.image_address import choose_address, declared_size, is_placeholder, resolve_url
from pipelines.extract.kinds import IMAGES, SHOWN
from pipelines.extract.page_tree import PageTree
from pipelines.extract.tags import FIGCAPTION, FIGURE, NOSCRIPT, PICTURE, SOURCE, TEXT, A
from pipelines.extract.tree import Shown, children, clean, line_of
from schemas.document import Image

# Classes that content systems give to the caption of a picture where they have no <figcaption> (WordPress, MediaWiki).
_CAPTION_CLASSES = frozenset({"wp-caption-text", "thumbcaption", "image-caption", "caption-text", "photo-caption"})
# What may stand beside the picture and its caption in the element that holds both, characters.
_BESIDE_CAPTION_CHARS = 40
# A declared side no longer than this is no picture's twin, pixels.
_TRACKER_PIXELS = 2
# How far up from a picture its figure may be, levels.
_LEVELS_TO_FIGURE = 8


def find_images(shown: Shown, kept: bytearray, base_url: str, page_url: str, config: ExtractConfig) -> dict[int, Image]:
    """The pictures among the kept elements by their element: one of each lazy image and its <noscript> twin."""
    tree = shown.tree
    own = resolve_url(page_url, page_url)
    addresses: dict[int, str] = {}
    noscripts: list[int] = []
    captions: list[int] = []
    for node, tag in enumerate(tree.tags):
        if tag == TEXT or not kept[node]:
            continue
        if tag in IMAGES:
            if address := _address(tree, node, base_url, own, config):
                addresses[node] = address
        elif tag == NOSCRIPT and shown.states[node] != SHOWN:
            noscripts.append(node)
        elif tag == FIGCAPTION or _is_caption(tree.attributes(node).get("class", "")):
            captions.append(node)
    for noscript in noscripts:
        _resolve_twins(tree, noscript, addresses)
    holders = _holders(shown, captions)
    return {node: _image(tree, node, address, holders) for node, address in addresses.items()}


def _address(tree: PageTree, node: int, base_url: str, page_url: str, config: ExtractConfig) -> str:
    parent = tree.parents[node]
    sources: list[Mapping[str, str]] = []
    if parent >= 0 and tree.tags[parent] == PICTURE:
        before = islice((child for child in children(tree, parent) if child < node), 50)
        sources = [tree.attributes(child) for child in before if tree.tags[child] == SOURCE]
    return choose_address(tree.attributes(node), sources, _link(tree, node), base_url, page_url, config)


def _link(tree: PageTree, node: int) -> str:
    while node > 0:
        node = tree.parents[node]
        if tree.tags[node] == A and (link := tree.attributes(node).get("href", "")):
            return link
    return ""


def _resolve_twins(tree: PageTree, noscript: int, addresses: dict[int, str]) -> None:
    """Of a lazy picture and its twin in a noscript keep the twin: what the page itself says a script would load."""
    inside = [node for node in range(noscript, tree.ends[noscript]) if node in addresses]
    if not inside:
        return
    twin = _picture_beside(tree, noscript)
    if twin < 0:
        return
    width, height = declared_size(tree.attributes(inside[0]))
    if is_placeholder(addresses[inside[0]]) or 0 < width <= _TRACKER_PIXELS or 0 < height <= _TRACKER_PIXELS:
        return  # a counter for readers without scripts, which happens to stand beside a picture
    addresses.pop(twin, None)


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


def _holders(shown: Shown, captions: list[int]) -> dict[int, int]:
    """The caption of each element that holds a picture with its caption: a figure, or the parent of a named caption."""
    tree = shown.tree
    holders: dict[int, int] = {}
    for caption in captions:
        holder = tree.parents[caption]
        if tree.tags[caption] == FIGCAPTION:
            for _ in range(2):  # it may stand in a div of its figure
                if holder >= 0 and tree.tags[holder] != FIGURE:
                    holder = tree.parents[holder]
            fits = holder >= 0 and tree.tags[holder] == FIGURE
        else:
            fits = holder >= 0 and shown.chars[holder] - shown.chars[caption] <= _BESIDE_CAPTION_CHARS
        if fits:
            holders.setdefault(holder, caption)
    return holders


@lru_cache(maxsize=20_000)
def _is_caption(name: str) -> bool:
    return not _CAPTION_CLASSES.isdisjoint(name.lower().split())


def _image(tree: PageTree, node: int, address: str, holders: Mapping[int, int]) -> Image:
    attributes = tree.attributes(node)
    width, height = declared_size(attributes)
    return Image(
        url=address,
        alt=clean(attributes.get("alt", "")),
        title=clean(attributes.get("title", "")),
        caption=_caption_of(tree, node, holders) if holders else "",
        declared_width=width,
        declared_height=height,
    )


def _caption_of(tree: PageTree, node: int, holders: Mapping[int, int]) -> str:
    holder = tree.parents[node]
    for _ in range(_LEVELS_TO_FIGURE):
        if holder < 0:
            break
        if holder in holders:
            return line_of(tree, holders[holder])
        if tree.tags[holder] == FIGURE:
            break
        holder = tree.parents[holder]
    return ""
