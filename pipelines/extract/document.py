"""From a parsed page to the document: the order of the steps, and what a page is refused for."""

from pipelines.extract.blocks import content, kept_nodes
from pipelines.extract.config import ExtractConfig
from pipelines.extract.images import find_images, pictures
from pipelines.extract.layout import lay_out
from pipelines.extract.parse import ParsedPage
from pipelines.extract.tags import TEXT
from pipelines.extract.tree import look
from schemas.document import Document, Image, Slot
from schemas.rejection import Rejected

# So many elements may stand for one picture (lazy twins, copies in a gallery): bounds the work on a page full of them.
_ELEMENTS_PER_IMAGE = 4


def extract(page: ParsedPage, config: ExtractConfig) -> Document | Rejected:
    """The page's text and images in reading order. Reasons: no_text, no_images, has_images, too_many_images."""
    shown = look(page.tree)
    kept = shown.states if config.mode == "full" else kept_nodes(shown, *content(shown, config))
    keep = bytearray(tag == TEXT and kept[node] for node, tag in enumerate(page.tree.tags))
    elements = len(pictures(shown))
    if elements > _ELEMENTS_PER_IMAGE * config.max_images:
        return Rejected("too_many_images", f"{elements} picture elements, at most {config.max_images} pictures")
    images = find_images(shown, keep, page.base_url, page.url, config)
    document = Document(
        kind="page",
        url=page.url,
        slots=without_repeats(lay_out(shown, keep, images)),
        title=page.title,
        source=page.source,
    )
    if not document.text.strip():
        return Rejected("no_text", "no visible text")
    count = len(document.images)
    if config.images == "required" and not count:
        return Rejected("no_images", "no picture in the content")
    if config.images == "none" and count:
        return Rejected("has_images", f"{count} pictures in the content")
    if count > config.max_images:
        return Rejected("too_many_images", f"{count} pictures, at most {config.max_images}")
    return document


def without_repeats(slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The slots without a picture that follows itself with no text between: the copies that galleries keep."""
    kept: list[Slot] = []
    for slot in slots:
        if isinstance(slot, Image) and kept and isinstance(kept[-1], Image) and kept[-1].url == slot.url:
            continue
        kept.append(slot)
    return tuple(kept)
