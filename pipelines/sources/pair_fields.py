"""What tables, archives and WAT files say of a pair: its address, text and size, checked in one way."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pipelines.extract.html.address import resolve_url
from pipelines.sources.config import SourceConfig
from pipelines.sources.records import RawPair, Unreadable
from schemas.document import Source
from schemas.rejection import Rejected

IMAGE_TYPES = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif",
    "avif": "image/avif", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "jxl": "image/jxl",
    "heic": "image/heic",
}  # fmt: skip
"""Content type by the ending of a file's name."""
VIDEO_TYPES = {
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "mkv": "video/x-matroska", "ogv": "video/ogg",
    "mov": "video/quicktime", "avi": "video/x-msvideo", "mpg": "video/mpeg", "mpeg": "video/mpeg", "flv": "video/x-flv",
    "wmv": "video/x-ms-wmv", "3gp": "video/3gpp",
}  # fmt: skip
_MAX_PIXELS = 1 << 31


def media_types(config: SourceConfig) -> Mapping[str, str]:
    return VIDEO_TYPES if config.pairs_of == "videos" else IMAGE_TYPES


def by_lower_name(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Cells by the names of their columns in lower case; the first one if two differ in case only."""
    found: dict[str, Any] = {}
    for name, value in cells.items():
        found.setdefault(name.lower(), value)
    return found


def named(cells: Mapping[str, Any], names: Iterable[str]) -> tuple[str, Any]:
    """The first of the names that is there, with what stands there; ("", None) if none is."""
    return next(((name, cells[name]) for name in names if name in cells), ("", None))


def pair(cells: Mapping[str, Any], source: Source, config: SourceConfig) -> RawPair | Unreadable:
    """The pair of a row, or why it is none. `cells` by lower-case names."""
    url_name, given = named(cells, config.url_columns)
    text_name, caption = named(cells, config.text_columns)
    url, text = as_text(given, url_name), as_text(caption, text_name)
    shown = (url if isinstance(url, str) else str(given)).encode("utf-8", "backslashreplace").decode().strip()

    def refuse(rejected: Rejected) -> Unreadable:
        return Unreadable(rejected=rejected, url=shown, source=source)

    if isinstance(url, Rejected):
        return refuse(replace(url, reason="missing_url") if url.reason == "no_text" else url)
    if not shown:
        return refuse(Rejected("missing_url", _nothing_in(url_name)))
    if isinstance(text, Rejected):
        return refuse(replace(text, reason="missing_text") if text.reason == "no_text" else text)
    if not text.strip():
        return refuse(Rejected("missing_text", _nothing_in(text_name)))
    if (length := len(url) + len(text)) > config.max_row_bytes:
        return refuse(Rejected("too_large", f"{length} characters, at most {config.max_row_bytes}"))
    if not (address := resolve_url("", url)):
        return refuse(Rejected("bad_url", "not an absolute http or https address"))
    page = as_text(named(cells, config.page_url_columns)[1], "")
    return RawPair(
        url=address,
        text=text,
        page_url="" if isinstance(page, Rejected) else resolve_url("", page),
        declared_width=pixels(named(cells, config.width_columns)[1]),
        declared_height=pixels(named(cells, config.height_columns)[1]),
        source=source,
    )


def as_text(value: object, name: str) -> str | Rejected:
    """A cell as text that can be written as UTF-8; "" for nothing, else `no_text` or `bad_encoding`."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        return Rejected("no_text", f"column {name} holds a value of type {type(value).__name__}")
    try:
        # A lone surrogate stands for a byte that is no UTF-8, or is half of a pair that JSON wrote.
        value.encode()
    except UnicodeEncodeError:
        return Rejected("bad_encoding", f"column {name} holds what is no character")
    return value


def _nothing_in(name: str) -> str:
    return f"column {name} holds nothing" if name else "it has no such column"


def pixels(value: object) -> int:
    """A side as a table gives it, number or text; 0 if it is none."""
    try:
        number = int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if 0 < number < _MAX_PIXELS else 0
