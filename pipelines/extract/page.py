"""A page as text: what the decoder gives and the extractor takes."""

from dataclasses import dataclass, field

from schemas.document import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlPage:
    """An HTML page in Unicode."""

    url: str
    html: str
    """Without a byte order mark and without NULs; line ends as they came."""
    utf8: bytes = field(default=b"", repr=False, compare=False)
    """`html` in UTF-8, if the page came so; else empty."""
    headers: dict[str, list[str]] = field(default_factory=dict)
    """HTTP response headers, names in lower case, values in order."""
    source: Source
    charset: str
    """WHATWG name of the encoding that the bytes really had: "utf-8", "windows-1252", ..."""
    truncated: str = ""
    """Why the page is not whole ("length", "time", "bad_chunking", ...); empty if it is."""
