"""A page as characters: what the decoder gives and the extractor takes."""

from dataclasses import dataclass, field

from schemas.document import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlPage:
    """An HTML page, decoded."""

    url: str
    utf8: bytes
    """Its characters in UTF-8, without a byte order mark and without NULs; line ends as they came."""
    headers: dict[str, list[str]] = field(default_factory=dict)
    """HTTP response headers, names in lower case, values in order."""
    source: Source
    charset: str
    """WHATWG name of the encoding that the bytes really had: "utf-8", "windows-1252", ..."""
    truncated: str = ""
    """Why the page is not whole ("length", "time", "bad_chunking", ...); empty if it is."""

    @property
    def html(self) -> str:
        return self.utf8.decode("utf-8", "replace")
