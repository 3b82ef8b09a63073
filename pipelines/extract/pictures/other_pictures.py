"""Pictures that are no <img>: in empty figures, and if wanted behind elements, before videos and in the head."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html.address import resolve_url
from pipelines.extract.html.attribute_scan import value_of
from pipelines.extract.html.kinds import HIDDEN, SHOWN
from pipelines.extract.html.nodes import nodes_of
from pipelines.extract.html.page_tree import PageTree
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tags import AMP_VIDEO, FIGURE, META, TEXT, VIDEO
from pipelines.extract.html.tree import Shown
from pipelines.extract.pictures.image_address import image_files_in
from schemas.document import Image

_BACKGROUND = re.compile(r"background(?:-image)?\s*:[^;]*?url\(\s*[\"']?([^\"')]+)", re.IGNORECASE)
_PAGE_IMAGES = ("og:image:secure_url", "og:image:url", "og:image", "twitter:image")


def other_pictures(shown: Shown, images: list[int], config: ExtractConfig) -> list[int]:
    """The elements that name a picture and are no picture element. images: those that are, in document order."""
    tree = shown.tree
    found: list[int] = []
    for figure in nodes_of(tree, FIGURE):
        if shown.states[figure] == SHOWN:
            at = bisect_left(images, figure)
            empty = at == len(images) or images[at] >= tree.ends[figure]
            if empty and _named_picture(tree.attributes(figure)):
                found.append(figure)
    if config.posters:
        found += [node for tag in (VIDEO, AMP_VIDEO) for node in nodes_of(tree, tag) if value_of(tree, node, b"poster")]
    if config.backgrounds:
        found += [node for node in _styled(shown) if _BACKGROUND.search(value_of(tree, node, b"style"))]
    return found


def _styled(shown: Shown) -> Iterator[int]:
    """The shown elements whose attributes speak of an address in a style."""
    tree = shown.tree
    for node, tag in enumerate(tree.tags):
        visible = tag != TEXT and shown.states[node] != HIDDEN
        if visible and tree.source.find(b"url(", tree.starts[node], tree.stops[node]) >= 0:
            yield node


def named_address(tree: PageTree, node: int) -> str:
    """The address in the page of the picture that an element of `other_pictures` names."""
    if tree.tags[node] in (VIDEO, AMP_VIDEO):
        return value_of(tree, node, b"poster")
    if found := _BACKGROUND.search(value_of(tree, node, b"style")):
        return found[1].strip()
    return _named_picture(tree.attributes(node))


def _named_picture(attributes: Mapping[str, str]) -> str:
    """The picture that a script would put into an empty figure: a schema.org ImageObject, or a file in an attribute."""
    if "imageobject" in attributes.get("itemtype", "").lower() and (identity := attributes.get("itemid", "")):
        return identity
    return next(image_files_in(attributes), "")


def page_image(page: ParsedPage) -> Image | None:
    """The picture that stands for the page where it is shared (Open Graph, Twitter cards)."""
    named: dict[str, str] = {}
    for node in nodes_of(page.tree, META):
        about = page.tree.attributes(node)
        name = (about.get("property") or about.get("name") or "").strip().lower()
        named.setdefault(name, about.get("content", "").strip())
    for name in _PAGE_IMAGES:
        if address := resolve_url(page.base_url, named.get(name, "")):
            return Image(url=address, alt=named.get("og:image:alt", ""))
    return None
