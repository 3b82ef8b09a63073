"""Which picture elements of a page become images, and what the page says of each: address, sizes, alt text, caption."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice

from pipelines.extract.config import ExtractConfig
from pipelines.extract.image_address import choose_address, declared_size, is_placeholder, resolve_url
from pipelines.extract.layout import clean, lay_out
from pipelines.extract.tree import IMAGES, VisibleTree
from schemas.document import Image, Text

# Classes that content systems give to the caption of a picture where they have no <figcaption> (WordPress, MediaWiki).
_CAPTION_CLASSES = frozenset({"wp-caption-text", "thumbcaption", "image-caption", "caption-text", "photo-caption"})
# What may stand beside the picture and its caption in the element that holds both, characters.
_BESIDE_CAPTION_CHARS = 40
# A declared side no longer than this is no picture's twin, pixels.
_TRACKER_PIXELS = 2
# How far up from a picture its figure may be, levels.
_LEVELS_TO_FIGURE = 8


def find_images(
    tree: VisibleTree, kept: Iterable[int], base_url: str, page_url: str, config: ExtractConfig
) -> dict[int, Image]:
    """The pictures among the kept elements by their element: one of each lazy image and its <noscript> twin."""
    own = resolve_url(page_url, page_url)
    addresses: dict[int, str] = {}
    noscripts: list[int] = []
    captions: list[int] = []
    for number in kept:
        tag = tree.tags[number]
        if tag in IMAGES:
            if address := _address(tree, number, base_url, own, config):
                addresses[number] = address
        elif tag == "noscript":
            noscripts.append(number)
        elif tag == "figcaption" or (tree.attributes[number] and _is_caption(tree.attributes[number].get("class", ""))):
            captions.append(number)
    for noscript in noscripts:
        _resolve_twins(tree, noscript, addresses)
    holders = _holders(tree, captions)
    return {number: _image(tree, number, address, holders) for number, address in addresses.items()}


def _address(tree: VisibleTree, number: int, base_url: str, page_url: str, config: ExtractConfig) -> str:
    parent = tree.parents[number]
    sources: list[Mapping[str, str]] = []
    if parent >= 0 and tree.tags[parent] == "picture":
        before = islice((child for child in tree.children[parent] if child < number), 50)
        sources = [tree.attributes[child] for child in before if tree.tags[child] == "source"]
    link = tree.links[number]
    href = tree.attributes[link].get("href", "") if link >= 0 else ""
    return choose_address(tree.attributes[number], sources, href, base_url, page_url, config)


def _resolve_twins(tree: VisibleTree, noscript: int, addresses: dict[int, str]) -> None:
    """Of a lazy picture and its twin in a noscript keep the twin: what the page itself says a script would load."""
    inside = [number for number in range(noscript, tree.ends[noscript]) if number in addresses]
    if not inside:
        return
    twin = _picture_beside(tree, noscript)
    if twin < 0:
        return
    width, height = declared_size(tree.attributes[inside[0]])
    if is_placeholder(addresses[inside[0]]) or 0 < width <= _TRACKER_PIXELS or 0 < height <= _TRACKER_PIXELS:
        return  # a counter for readers without scripts, which happens to stand beside a picture
    addresses.pop(twin, None)


def _picture_beside(tree: VisibleTree, noscript: int) -> int:
    """The picture right before the noscript in its parent, or else right after it; -1 if there is none."""
    end = tree.ends[noscript]
    parent = tree.parents[noscript]
    if parent < 0:
        return -1
    before = noscript - 1
    if before > parent and tree.tags[before] in IMAGES:
        return before
    if end < tree.ends[parent]:
        for number in range(end, min(end + 3, tree.ends[parent])):
            if tree.tags[number] in IMAGES:
                following = tree.ends[number]
                alone = following >= len(tree) or tree.tags[following] != "noscript"
                return number if alone else -1
    return -1


def _holders(tree: VisibleTree, captions: list[int]) -> dict[int, int]:
    """The caption of each element that holds a picture with its caption: a figure, or the parent of a named caption."""
    holders: dict[int, int] = {}
    for caption in captions:
        holder = tree.parents[caption]
        if tree.tags[caption] == "figcaption":
            for _ in range(2):  # it may stand in a div of its figure
                if holder >= 0 and tree.tags[holder] != "figure":
                    holder = tree.parents[holder]
            fits = holder >= 0 and tree.tags[holder] == "figure"
        else:
            fits = holder >= 0 and tree.chars[holder] - tree.chars[caption] <= _BESIDE_CAPTION_CHARS
        if fits:
            holders.setdefault(holder, caption)
    return holders


@lru_cache(maxsize=20_000)
def _is_caption(name: str) -> bool:
    return not _CAPTION_CLASSES.isdisjoint(name.lower().split())


def _image(tree: VisibleTree, number: int, address: str, holders: Mapping[int, int]) -> Image:
    attributes = tree.attributes[number]
    width, height = declared_size(attributes)
    return Image(
        url=address,
        alt=clean(attributes.get("alt", "")),
        title=clean(attributes.get("title", "")),
        caption=_caption_of(tree, number, holders) if holders else "",
        declared_width=width,
        declared_height=height,
    )


def _caption_of(tree: VisibleTree, number: int, holders: Mapping[int, int]) -> str:
    holder = tree.parents[number]
    for _ in range(_LEVELS_TO_FIGURE):
        if holder < 0:
            break
        if holder in holders:
            slots = lay_out(tree, [holders[holder]], (), {})
            return clean("".join(slot.text for slot in slots if isinstance(slot, Text)))
        if tree.tags[holder] == "figure":
            break
        holder = tree.parents[holder]
    return ""
