"""Pictures, frames and times as a person looks at them: reduced, some of many, on a clock."""

from collections.abc import Sequence
from io import BytesIO
from typing import TypeVar

from PIL import Image as Picture

from schemas.document import Document

T = TypeVar("T")


def reduced(data: bytes, width: int, height: int) -> Picture.Image | None:
    """An RGB picture that fits in a box; None if `data` is no JPEG or PNG that can be decoded."""
    try:
        with Picture.open(BytesIO(data), formats=("JPEG", "PNG")) as picture:
            picture.draft("RGB", (width, height))
            picture.thumbnail((width, height))
            return picture.convert("RGB")
    except Exception:  # decoders raise nearly everything on damaged bytes, and one picture must not cost the rest
        return None


def evenly(things: Sequence[T], count: int) -> list[T]:
    """At most `count` of the things, evenly spaced, the first and the last among them."""
    if len(things) <= count:
        return list(things)
    if count == 1:
        return [things[0]]
    return [things[round(number * (len(things) - 1) / (count - 1))] for number in range(count)]


def clock(seconds: float) -> str:
    """A time in a video as players show it, to a tenth of a second: "0:12", "1:05.5", "1:02:03"."""
    if not 0 <= seconds < 1e9:  # a foreign shard may say anything, "NaN" too
        return f"{seconds:g} s"
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    whole, tenth = divmod(rest, 10)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{whole:02d}" + (f".{tenth}" if tenth else "")


def span(start: float, end: float) -> str:
    """A part of a video: "0:12-0:20 (8 s)"."""
    return f"{clock(start)}-{clock(end)} ({round(end - start, 1):g} s)"


def kinds_in_words(documents: Sequence[Document], total: int) -> str:
    """What so many documents are, if these are some of them: "403 pairs", "1 clip"; "documents" of several kinds."""
    kinds = {document.kind for document in documents}
    (kind,) = kinds if len(kinds) == 1 else ("document",)
    return counted(total, kind)


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
