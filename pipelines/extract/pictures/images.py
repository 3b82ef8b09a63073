"""Which picture elements of a page become images, and what the page says of each: address, sizes, alt text, caption."""

from collections.abc import Mapping
from itertools import islice

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html.address import resolve_url
from pipelines.extract.html.attribute_scan import value_of
from pipelines.extract.html.kinds import HIDDEN, IMAGES, SILENT
from pipelines.extract.html.nodes import children, clean, nodes_of
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tags import NOSCRIPT, PICTURE, SOURCE, A
from pipelines.extract.html.tree import Shown
from pipelines.extract.pictures.captions import Captions
from pipelines.extract.pictures.image_address import choose_address, declared_size
from pipelines.extract.pictures.image_place import Places, file_reason
from pipelines.extract.pictures.image_twins import drop_copies, resolve_twins
from pipelines.extract.pictures.other_pictures import named_address, other_pictures
from schemas.document import Image


def find_images(
    shown: Shown,
    keep: bytearray,
    found: list[int],
    base_url: str,
    page_url: str,
    config: ExtractConfig,
    why: dict[int, str] | None = None,
) -> dict[int, Image]:
    """The pictures that are content, by their element: one of each lazy picture and its <noscript> twin.

    keep: 1 for each text that is content. found: the elements to choose from, from `pictures`. why: takes the reason
    of each picture that is not.
    """
    tree = shown.tree
    own = resolve_url(page_url, page_url)
    places = Places(shown, keep, config) if config.mode == "main" else None
    addresses: dict[int, str] = {}
    dropped: dict[int, str] = {} if why is None else why
    for node in found:
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
            resolve_twins(shown, noscript, addresses, dropped)
    if places:
        drop_copies(addresses, dropped, places.kept_before)
    captions = Captions(shown)
    return {node: _image(tree, node, address, captions) for node, address in addresses.items()}


def address_of(page: ParsedPage, node: int, config: ExtractConfig) -> str:
    """The address of a picture, content or not; "" if it has none."""
    return _address(page.tree, node, page.base_url, resolve_url(page.url, page.url), config)


def pictures(shown: Shown, config: ExtractConfig) -> list[int]:
    """The elements of a page that are or name a picture, hidden ones left out, in document order."""
    found = [node for tag in IMAGES for node in nodes_of(shown.tree, tag) if shown.states[node] != HIDDEN]
    found.sort()
    found += other_pictures(shown, found, config)
    found.sort()
    return found


def _address(tree: PageTree, node: int, base_url: str, page_url: str, config: ExtractConfig) -> str:
    if tree.tags[node] not in IMAGES:
        return resolve_url(base_url, named_address(tree, node))
    parent = tree.parents[node]
    sources: list[Mapping[str, str]] = []
    if parent >= 0 and tree.tags[parent] == PICTURE:
        before = islice((child for child in children(tree, parent) if child < node), 50)
        sources = [tree.attributes(child) for child in before if tree.tags[child] == SOURCE]
    return choose_address(tree.attributes(node), sources, _link(tree, node), base_url, page_url, config)


def _link(tree: PageTree, node: int) -> str:
    while node > 0:
        node = tree.parents[node]
        if tree.tags[node] == A and (link := value_of(tree, node, b"href")):
            return link
    return ""


def _image(tree: PageTree, node: int, address: str, captions: Captions) -> Image:
    attributes = tree.attributes(node)
    width, height = declared_size(attributes)
    return Image(
        url=address,
        alt=clean(attributes.get("alt", "")),
        title=clean(attributes.get("title", "")),
        caption=captions.of(node),
        declared_width=width,
        declared_height=height,
    )
