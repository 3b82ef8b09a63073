"""Which addresses are those of video files, by their names and by the types that pages state."""

import re
from collections.abc import Mapping

from pipelines.extract.html.address import resolve_url
from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.pictures.image_address import LAZY_SRC

# By the end of their path: what browsers play (Matroska: some do), and what else is a video file.
_PLAYED_FILES = frozenset({"mp4", "m4v", "webm", "ogv", "mkv"})
_FILES = _PLAYED_FILES | {"mov", "avi"}
# Where it matches nowhere, an address has no name of a video file.
FILE_NAME = re.compile(rf"\.(?:{'|'.join(sorted(_FILES))})", re.IGNORECASE)
_MANIFESTS = frozenset({"m3u8", "mpd"})
_PLAYED_TYPES = frozenset(
    {"video/mp4", "video/x-m4v", "video/webm", "video/ogg", "application/ogg", "video/x-matroska", "video/matroska"}
)
_TYPES = _PLAYED_TYPES | {"video/quicktime", "video/vnd.avi", "video/avi", "video/msvideo", "video/x-msvideo"}
# Joining takes time in the length of the base for each address. No address of a crawl is longer (sitemaps.org protocol:
# "less than 2,048 characters"); with a longer <base>, relative addresses are none.
_LONGEST_BASE = 2048


def lazy_src(attributes: Mapping[str, str]) -> str:
    """What a script would put into src, if it is the name of a video file."""
    return next((raw for name in LAZY_SRC if (raw := attributes.get(name)) and is_file(raw.partition("#")[0], "")), "")


def join(page: ParsedPage, raw: str) -> str:
    """Absolute http(s) address; empty if there is none, or it is the page's own."""
    address = resolve_url(page.base_url if len(page.base_url) <= _LONGEST_BASE else "", raw)
    return "" if address in (page.url.partition("#")[0], page.base_url) else address


def _extension(address: str) -> str:
    return address.partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()


def rank_of(address: str, kind: str) -> int | None:
    """How sure it is that a browser plays a source: 0, 1, 2; None if it is not one of ours."""
    kind = kind.partition(";")[0].strip().lower()
    extension = _extension(address)
    if not address or extension in _MANIFESTS or (kind and kind not in _TYPES):
        return None
    if kind in _PLAYED_TYPES or (not kind and extension in _PLAYED_FILES):
        return 0
    return 1 if kind or extension in _FILES else 2


def is_file(address: str, kind: str) -> bool:
    """Whether an address that no <video> plays is a video file's: by its name, or by its type if the name is mute."""
    kind = kind.partition(";")[0].strip().lower()
    extension = _extension(address)
    if not address or extension in _MANIFESTS or kind in ("text/html", "application/xhtml+xml"):
        return False
    return extension in _FILES or kind in _TYPES
