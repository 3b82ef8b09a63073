"""Which picture elements of a page become images, and what the page says of each: address, sizes, alt text, caption."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

from pipelines.extract.attribute_scan import value_of
from pipelines.extract.config import ExtractConfig
from pipelines.extract.image_address import choose_address, declared_size, image_files_in, is_placeholder, resolve_url
from pipelines.extract.image_place import TRACKER_PIXELS, Places, file_reason
from pipelines.extract.kinds import HIDDEN, IMAGES, SHOWN, SILENT
from pipelines.extract.nodes import children, clean, line_of, nodes_of
from pipelines.extract.page_tree import PageTree
from pipelines.extract.tags import FIGCAPTION, FIGURE, NOSCRIPT, PICTURE, SOURCE, TEXT, A
from pipelines.extract.tree import Shown
from schemas.document import Image

# Classes that content systems give to the caption of a picture where they have no <figcaption> (WordPress, MediaWiki).
_CAPTION_CLASSES = frozenset({"wp-caption-text", "thumbcaption", "image-caption", "caption-text", "photo-caption"})
# What may stand beside the picture and its caption in the element that holds both, characters.
_BESIDE_CAPTION_CHARS = 40
# How far up from a picture its figure may be, levels.
_LEVELS_TO_FIGURE = 8
_LEVELS_TO_CAPTION = 3
# A file's name of so many characters is no other file's on the page.
_TELLING_NAME = 12
# So many children are looked at for a caption beside a picture.
_MAX_BESIDE = 20


def find_images(
    shown: Shown,
    keep: bytearray,
    base_url: str,
    page_url: str,
    config: ExtractConfig,
    why: dict[int, str] | None = None,
) -> dict[int, Image]:
    """The pictures that are content, by their element: one of each lazy picture and its <noscript> twin.

    keep: 1 for each text that is content. why: takes the reason of each picture that is not.
    """
    tree = shown.tree
    own = resolve_url(page_url, page_url)
    places = Places(shown, keep, config) if config.mode == "main" else None
    addresses: dict[int, str] = {}
    dropped: dict[int, str] = {} if why is None else why
    for node in pictures(shown):
        reason = places.reason_against(node) if places else ""
        if not reason:
            address = _address(tree, node, base_url, own, config)
            reason = (file_reason(address) if places else "") if address else "no_address"
        if reason:
            dropped[node] = reason
        else:
            addresses[node] = address
    for noscript in nodes_of(tree, NOSCRIPT):
        if shown.states[noscript] == SILENT:
            _resolve_twins(shown, noscript, addresses, dropped)
    if places:
        _drop_copies(addresses, dropped)
    return {node: _image(shown, node, address) for node, address in addresses.items()}


def _drop_copies(addresses: dict[int, str], dropped: dict[int, str]) -> None:
    """Of pictures with one file name at several addresses keep the first: sizes and crops for other screens."""
    known: dict[str, str] = {}
    for node in sorted(addresses):
        address = addresses[node]
        name = address.partition("?")[0].rpartition("/")[2]
        if len(name) >= _TELLING_NAME and known.setdefault(name, address) != address:
            dropped[node] = "copy"
            del addresses[node]


def pictures(shown: Shown) -> list[int]:
    """The picture elements of a page, hidden ones left out, in document order."""
    tree = shown.tree
    found = [node for tag in IMAGES for node in nodes_of(tree, tag) if shown.states[node] != HIDDEN]
    found.sort()
    for figure in nodes_of(tree, FIGURE):
        if shown.states[figure] == SHOWN:
            at = bisect_left(found, figure)
            if (at == len(found) or found[at] >= tree.ends[figure]) and _named_picture(tree.attributes(figure)):
                found.insert(at, figure)
    return found


def _named_picture(attributes: Mapping[str, str]) -> str:
    """The picture that a script would put into an empty figure: a schema.org ImageObject, or a file in an attribute."""
    if "imageobject" in attributes.get("itemtype", "").lower() and (identity := attributes.get("itemid", "")):
        return identity
    return next(image_files_in(attributes), "")


def _address(tree: PageTree, node: int, base_url: str, page_url: str, config: ExtractConfig) -> str:
    parent = tree.parents[node]
    sources: list[Mapping[str, str]] = []
    if parent >= 0 and tree.tags[parent] == PICTURE:
        before = islice((child for child in children(tree, parent) if child < node), 50)
        sources = [tree.attributes(child) for child in before if tree.tags[child] == SOURCE]
    if tree.tags[node] == FIGURE:
        return resolve_url(base_url, _named_picture(tree.attributes(node)))
    return choose_address(tree.attributes(node), sources, _link(tree, node), base_url, page_url, config)


def _link(tree: PageTree, node: int) -> str:
    while node > 0:
        node = tree.parents[node]
        if tree.tags[node] == A and (link := value_of(tree, node, b"href")):
            return link
    return ""


def _resolve_twins(shown: Shown, noscript: int, addresses: dict[int, str], dropped: dict[int, str]) -> None:
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
    if shown.chars[parent]:
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


def _image(shown: Shown, node: int, address: str) -> Image:
    attributes = shown.tree.attributes(node)
    width, height = declared_size(attributes)
    return Image(
        url=address,
        alt=clean(attributes.get("alt", "")),
        title=clean(attributes.get("title", "")),
        caption=_caption_of(shown, node),
        declared_width=width,
        declared_height=height,
    )


def _caption_of(shown: Shown, node: int) -> str:
    """The text of the caption in the innermost figure around a picture, or beside it under a caption's name."""
    tree = shown.tree
    holder = node if tree.tags[node] != FIGURE else node + 1
    for level in range(_LEVELS_TO_FIGURE):
        holder = tree.parents[holder]
        if holder < 0:
            break
        if tree.tags[holder] == FIGURE:
            return next((line_of(tree, caption) for caption in _captions(tree, holder)), "")
        if level < _LEVELS_TO_CAPTION and shown.chars[holder] > 0:
            for child in islice(children(tree, holder), _MAX_BESIDE):
                if tree.tags[child] != TEXT and _is_caption(value_of(tree, child, b"class")):
                    fits = shown.chars[holder] - shown.chars[child] <= _BESIDE_CAPTION_CHARS
                    return line_of(tree, child) if fits else ""
    return ""


def _captions(tree: PageTree, figure: int) -> Iterator[int]:
    """The captions of a figure, not those of figures in it."""
    node = figure + 1
    while node < tree.ends[figure]:
        if tree.tags[node] == FIGCAPTION:
            yield node
        node = tree.ends[node] if tree.tags[node] == FIGURE else node + 1


@lru_cache(maxsize=20_000)
def _is_caption(name: str) -> bool:
    return not _CAPTION_CLASSES.isdisjoint(name.lower().split())
