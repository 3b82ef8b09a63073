"""What every source yields: a page, a media record, or a counted refusal; exactly one for each record read."""

from dataclasses import dataclass, field

from schemas.document import Source
from schemas.rejection import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPage:
    """An HTML page as it came over the wire, content encoding undone, character encoding not."""

    url: str
    body: bytes
    content_type: str = ""
    """Value of the HTTP Content-Type header, or empty."""
    identified_charset: str = ""
    """Charset named by the WARC record (WARC-Identified-Content-Charset), or empty."""
    headers: dict[str, list[str]] = field(default_factory=dict)
    """HTTP response headers, names in lower case, values in order."""
    source: Source
    truncated: str = ""
    """Value of WARC-Truncated ("length", "time", ...); empty if whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMedia:
    """A reference to an image (later: a video) that the input itself holds; its bytes stay where they are."""

    url: str
    content_type: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)
    source: Source
    """`file`, `offset` and `length` of the WARC record or the whole file: `media.originals` reads it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that is neither: why, and where it stands."""

    rejected: Rejected
    url: str = ""
    source: Source


SourceRecord = RawPage | RawMedia | Unreadable
