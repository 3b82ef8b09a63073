"""What every source yields: a page, a pair, a media record, or a counted refusal; at least one for each record read.

Most records give one. A sample of an archive gives its image and its pair, a page of a WAT all its pairs.
"""

from collections.abc import Generator, Iterator
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
    """A reference to an image or a video that the input itself holds; its bytes stay where they are."""

    url: str
    content_type: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)
    source: Source
    """`file`, `offset` and `length` of the WARC record, of the bytes of a tar's member or of the whole file:
    `sources.originals` reads them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPair:
    """An image's (or video's) address with the text that goes with it: of a table, an archive of pairs, a WAT file."""

    url: str
    text: str
    """As it came, not cleaned."""
    page_url: str = ""
    """Address of the page it stood on; empty if the input does not say."""
    declared_width: int = 0
    """Pixels, as the input says; 0 if it does not."""
    declared_height: int = 0
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that is none of them: why, and where it stands."""

    rejected: Rejected
    url: str = ""
    source: Source


SourceRecord = RawPage | RawMedia | RawPair | Unreadable

Span = tuple[int, int]
"""Where the first thing of a unit begins and where its last one ends."""


class UnitReader:
    """The records of one unit, to be read once, and after that the span they stood in."""

    def __init__(self, records: Generator[SourceRecord, None, Span]) -> None:
        self._records = records
        self._span: Span | None = None

    def __iter__(self) -> Iterator[SourceRecord]:
        self._span = yield from self._records

    @property
    def span(self) -> Span:
        """(offset of the first gzip member that belonged to the unit, offset just after its last one); (end, end) of
        the unit if none did. For units that are not ranges of a .warc.gz: their (start, end).

        Raises:
            RuntimeError: the records have not all been read.
        """
        if self._span is None:
            raise RuntimeError("the span of a unit is known only when all its records have been read")
        return self._span
