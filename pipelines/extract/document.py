"""From a parsed page to the document: the order of the steps, and what a page is refused for."""

from dataclasses import dataclass, field, replace

from pipelines.extract.config import ExtractConfig
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.html.tree import Shown, look, look_at_all
from pipelines.extract.layout import lay_out
from pipelines.extract.obelics import kept_by_obelics
from pipelines.extract.pictures.images import find_images, pictures
from pipelines.extract.pictures.other_pictures import page_image
from pipelines.extract.text.judge import judge
from pipelines.extract.text.reasons import reasons
from schemas.document import Document, Image, Slot
from schemas.rejection import Rejected

# So many elements may stand for one picture (lazy twins, copies in a gallery): bounds the work on a page full of them.
_ELEMENTS_PER_IMAGE = 4


@dataclass(frozen=True)
class Choice:
    """What of a page goes into its document."""

    shown: Shown
    keep: bytearray
    """1 for each text that does; other nodes may have any value."""
    images: dict[int, Image]
    """By their element."""


@dataclass(frozen=True)
class Why:
    """Reasons against what is left out, by the node: for a person."""

    texts: dict[int, str] = field(default_factory=dict)
    images: dict[int, str] = field(default_factory=dict)


def choose(page: ParsedPage, config: ExtractConfig, why: Why | None = None) -> Choice | Rejected:
    """Choose the texts, then the images by where the texts are. Reason: too_many_images. why: takes the reasons."""
    shown, kept = _kept(page, config, why)
    found = pictures(shown, config)
    if len(found) > _ELEMENTS_PER_IMAGE * config.max_images:
        return Rejected("too_many_images", f"{len(found)} picture elements, at most {config.max_images} pictures")
    if config.mode == "obelics":
        found = [node for node in found if kept[node]]
    images = find_images(shown, kept, found, page.base_url, page.url, config, None if why is None else why.images)
    return Choice(shown, kept, images)


def _kept(page: ParsedPage, config: ExtractConfig, why: Why | None) -> tuple[Shown, bytearray]:
    """The page as it is shown, and 1 for each text of its content (other nodes may have any value)."""
    if config.mode == "obelics":
        return look_at_all(page.tree), kept_by_obelics(page.tree)
    shown = look(page.tree)
    if config.mode == "full":
        return shown, shown.states
    judgement = judge(shown, page.url)
    if why is not None:
        why.texts.update(reasons(judgement))
    return shown, judgement.keep()


def extract(page: ParsedPage, config: ExtractConfig) -> Document | Rejected:
    """The page's text and images in reading order. Reasons: no_text, no_images, has_images, too_many_images."""
    choice = choose(page, config)
    return choice if isinstance(choice, Rejected) else assemble(page, choice, config)


def assemble(page: ParsedPage, choice: Choice, config: ExtractConfig) -> Document | Rejected:
    """The chosen texts and images in reading order. Reasons: as `extract`."""
    document = Document(
        kind="page",
        url=page.url,
        slots=without_repeats(lay_out(choice.shown, choice.keep, choice.images)),
        title=page.title,
        source=page.source,
    )
    if config.page_image and not document.images and (image := page_image(page)):
        document = replace(document, slots=(image, *document.slots))
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
