"""From a row of a table, or a picture of a page, to an image-text pair: which text goes with the image."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipelines.sources.records import RawPair
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

TEXTS = ("caption", "alt", "title")


@dataclass(frozen=True, kw_only=True)
class PairTextConfig:
    """Recipe table [pair_text]."""

    texts: tuple[str, ...]
    """Texts of a page's picture, the first that is not empty is taken: "caption" of its figure, "alt", "title"."""

    def __post_init__(self) -> None:
        if unknown := [name for name in self.texts if name not in TEXTS]:
            raise ValueError(f"texts: {unknown[0]!r} is not one of {', '.join(TEXTS)}")
        if not self.texts:
            raise ValueError(f"texts: give at least one of {', '.join(TEXTS)}")


def pictures_of(page: Document) -> Iterator[Document]:
    """Each picture of a page's content as a pair that has no text yet."""
    for image in page.images:
        yield Document(kind="pair", url=image.url, page_url=page.url, slots=(image,), source=page.source)


def pair_text(record: RawPair | Document, config: PairTextConfig) -> Document | Rejected:
    """The pair, its image first. Reason: no_text."""
    if isinstance(record, RawPair):
        image = Image(url=record.url, declared_width=record.declared_width, declared_height=record.declared_height)
        pair = Document(kind="pair", url=record.url, page_url=record.page_url, slots=(image,), source=record.source)
        text = record.text
    else:
        pair, image = record, record.images[0]
        text = next((found for name in config.texts if (found := getattr(image, name).strip())), "")
    if not text.strip():
        return Rejected("no_text", f"neither {' nor '.join(config.texts)}")
    return replace(pair, slots=(image, Text(text)))
