"""The one record that moves: a document of text, image and video slots in reading order.

A web page is a document of many slots, an image-text pair is `(Image, Text)`, a video-text clip is `(Video, Text)`.
Nothing here knows where a document came from or how it is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

Kind = Literal["page", "pair", "clip"]

EMPTY: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text between two media slots.

    Paragraphs are separated by a blank line. A text carries its own separators, so that the concatenation of a
    document's texts reads as the page does when its media are left out.
    """

    text: str
    """Unicode, no marks: a literal "<image>" here is only the page's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture at its place. Everything below `caption` is known only once its bytes have been read."""

    url: str
    """Absolute address, as a browser would have chosen it."""
    alt: str = ""
    """The `alt` text of the page; empty if none."""
    title: str = ""
    """The `title` text of the page; empty if none."""
    caption: str = ""
    """Text of the figure's caption, if any. It also stands in the document's text."""
    declared_width: int = 0
    """Width attribute in the page, pixels; 0 if not given."""
    declared_height: int = 0
    """Height attribute in the page, pixels; 0 if not given."""
    member: str = ""
    """Name of the member that holds the bytes, without the sample's key: "0.jpg"; empty until written."""
    width: int = 0
    """Pixels, upright (EXIF orientation applied)."""
    height: int = 0
    """Pixels, upright."""
    sha256: str = ""
    """Of the member's bytes, 64 hex digits."""
    original_sha256: str = ""
    """Of the bytes as they were fetched, 64 hex digits."""
    phash: str = ""
    """64-bit perceptual hash (DCT) of the upright picture, 16 hex digits."""
    scores: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    """Scores of filters, for re-thresholding: {"nsfw": 0.01}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtitles:
    """A WebVTT or SubRip file that a page's <track> element names for a video."""

    url: str
    """Absolute address."""
    language: str = ""
    """BCP 47 tag as the page gives it: "en", "pt-BR"; empty if it gives none."""
    kind: str = ""
    """"subtitles", "captions" (they also tell of sounds) or "descriptions" (of what is seen); empty if not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A clip of a video at its place, as frames with their times."""

    url: str
    """Absolute address of the video file."""
    start: float = 0.0
    """Seconds from the beginning of the video."""
    end: float = 0.0
    """Seconds from the beginning of the video."""
    times: tuple[float, ...] = ()
    """Seconds from the beginning of the video, one for each frame, rising."""
    members: tuple[str, ...] = ()
    """Names of the frames' members, one for each time: "0.000.jpg", "0.001.jpg", ..."""
    width: int = 0
    """Of the frames, pixels."""
    height: int = 0
    """Of the frames, pixels."""
    title: str = ""
    """Of the video, as the page or the table says; empty if neither does."""
    caption: str = ""
    """Text of the figure's caption or of the link to the video, or what the page or the table calls its caption."""
    description: str = ""
    """Of the video, as the page or the table says; empty if neither does."""
    subtitles: tuple[Subtitles, ...] = ()
    """Of the whole video, as the page names them, in its order."""
    sha256: str = ""
    """Of the frames' bytes one after the other, 64 hex digits."""
    file: str = ""
    """Name of the member that holds the clip's own packets, not encoded again: "0.mp4"; empty if there is none."""
    file_start: float = 0.0
    """Where the clip begins in that file, which begins at a key frame: seconds."""
    file_sha256: str = ""
    """Of that file, 64 hex digits."""
    scores: Mapping[str, float] = field(default_factory=lambda: EMPTY)


Media = Image | Video
Slot = Text | Image | Video


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a document was read, so that it can be found again."""

    file: str = ""
    """Name of the input, relative to what the user gave; never a path of the machine."""
    offset: int = 0
    """Byte offset of the (compressed) record in the file, or row number in a table."""
    length: int = 0
    """Bytes of the (compressed) record; 0 for a row of a table."""
    date: str = ""
    """When the page was fetched, ISO 8601 in UTC; empty if the input does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Slots in reading order, and what is known of them as a whole."""

    kind: Kind
    url: str
    """Address of the page, the image or the video."""
    slots: tuple[Slot, ...]
    key: str = ""
    """32 hex digits fixed at the source; see `schemas.keys`. Never holds a dot (WebDataset)."""
    page_url: str = ""
    """Address of the page where a pair or a clip stood, if known; empty for a page itself."""
    title: str = ""
    language: str = ""
    """Code of fastText's lid.176: "en", "zh", ...; empty if not identified."""
    scores: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    """Measured values by "<stage>.<measure>", kept so that one can re-threshold."""
    source: Source = Source()
    split: str = ""
    """"train" or "dev"; empty until assigned."""

    @property
    def text(self) -> str:
        """The texts one after the other, without marks."""
        return "".join(slot.text for slot in self.slots if isinstance(slot, Text))

    @property
    def media(self) -> tuple[Media, ...]:
        """The images and videos in reading order."""
        return tuple(slot for slot in self.slots if not isinstance(slot, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(slot for slot in self.slots if isinstance(slot, Image))

    def with_scores(self, stage: str, measures: Mapping[str, float]) -> "Document":
        """The same document with `measures` recorded under "<stage>.<measure>"."""
        scores = {**self.scores, **{f"{stage}.{name}": value for name, value in measures.items()}}
        return replace(self, scores=scores)


def normal_form(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """The slots with adjacent texts joined and empty texts left out: what render and parse agree on."""
    return tuple(_joined(slots))


def _joined(slots: Iterable[Slot]) -> Iterator[Slot]:
    run: list[str] = []
    for slot in slots:
        if isinstance(slot, Text):
            run.append(slot.text)
            continue
        if text := "".join(run):
            yield Text(text)
        run = []
        yield slot
    if text := "".join(run):
        yield Text(text)
