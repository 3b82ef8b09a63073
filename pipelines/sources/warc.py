"""WARC files (ISO 28500) as pages, images and counted refusals; a .warc.gz also in ranges, for many workers at once.

Where a range begins may have been judged wrongly (see `warc_records`); `misplaced` compares the spans that neighbours
really read and says which of them to read again, and from where.
"""

import re
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from fastwarc.warc import HeaderMap, WarcRecord, WarcRecordType

from pipelines.sources.config import SourceConfig
from pipelines.sources.gzip_members import MAGIC
from pipelines.sources.http_body import decode_body, is_media, kind_of
from pipelines.sources.records import RawMedia, RawPage, SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.sources.warc_frames import MAX_HEADER_BYTES, Frame, GivenUp, Lookahead, frames
from pipelines.sources.warc_records import read_records
from pipelines.store.paths import read_range
from schemas.document import Source
from schemas.rejection import Rejected

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
NAMED_TYPES = ("warcinfo", "request", "metadata", "revisit")


def read_warc(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """One page, image or refusal for each record of the unit; returns the span.

    Raises:
        OSError: the file itself cannot be read.
    """

    def interpret(frame: Frame, source: Source, addressable: bool) -> list[SourceRecord]:
        return [_interpreted(frame, source, config, addressable)]

    return (yield from read_records(unit, config, interpret))


def misplaced(read: Sequence[tuple[Unit, Span | None]]) -> list[tuple[Unit, Unit]]:
    """Units of one .warc.gz that began at a wrong place, each with the unit to read in its stead.

    Give all units of the file with the spans of their readers, in order. What the wrong units yielded must be thrown
    away, and the check made again with the new units and spans, until nothing is returned: at the latest after as many
    rounds as there are units, since each round makes at least one more of them right. Of a unit without a span it is
    not known where it ended: the one after it is taken as it is.
    """
    wrong: list[tuple[Unit, Unit]] = []
    reached: int | None = 0
    for unit, span in read:
        if span is None:
            reached = None
            continue
        first, end = span
        begin = first if reached is None else min(reached, unit.end)
        owns_any = end > first
        if first != begin if owns_any else begin < unit.end:
            wrong.append((unit, replace(unit, start=begin, exact=True)))
        reached = max(reached or 0, end if owns_any else unit.end)
    return wrong


def read_record_body(
    path: str, offset: int, length: int, max_bytes: int, read: Callable[[str, int, int], bytes] = read_range
) -> bytes:
    """The HTTP body (or the block of a resource record) that stands at `offset` of a WARC file, decoded.

    Args:
        offset, length: of `Source`: the gzip member, or header and body in an uncompressed file.
        max_bytes: limit of the body; no more than about that is held at any time.
        read: gives the bytes of a range of a file.

    Raises:
        ValueError: no readable record there, or a larger one.
        EOFError, OSError: the file is shorter or cannot be read.
    """
    if length > max_bytes + MAX_HEADER_BYTES:
        raise ValueError(f"{path}: the record at {offset} has {length} bytes, at most {max_bytes} allowed")
    data = read(path, offset, length)
    try:
        if data.startswith(MAGIC):
            engine = zlib.decompressobj(31)
            limit = max_bytes + MAX_HEADER_BYTES
            data = engine.decompress(data, limit)
            if not engine.eof:
                raise ValueError(f"more than {limit} bytes, or not the whole gzip member")
        frame = next(frames(Lookahead(iter([data])), max_bytes + MAX_HEADER_BYTES, max_bytes + MAX_HEADER_BYTES), None)
        if frame is None or frame.refused:
            raise ValueError(frame.refused.detail if frame and frame.refused else "no record")
        record = parsed(frame)
        body = record.reader.read()
        if record.is_http_parsed:
            decoded = decode_body(_headers(record.http_headers), body, max_bytes)
            if isinstance(decoded, Rejected):
                raise ValueError(f"{decoded.reason}: {decoded.detail}")
            body, _ = decoded
    except (zlib.error, OSError, GivenUp, ValueError) as error:
        raise ValueError(f"{path}: the record at {offset}: {error}") from error
    if len(body) > max_bytes:
        raise ValueError(
            f"{path}: the body of the record at {offset} has {len(body)} bytes, at most {max_bytes} allowed"
        )
    return body


def parsed(frame: Frame) -> WarcRecord:
    """A whole record, the HTTP header of a response read."""
    record = WarcRecord.from_bytes(frame.data)
    if record.is_http and record.record_type == WarcRecordType.response:
        record.parse_http(quirks_mode=True, max_header_len=MAX_HEADER_BYTES)
    return record


def _interpreted(frame: Frame, source: Source, config: SourceConfig, addressable: bool) -> SourceRecord:
    record = parsed(frame)
    date = header_text(record.headers, b"WARC-Date")
    source = replace(source, date=date if DATE.fullmatch(date) else "")
    url = header_text(record.headers, b"WARC-Target-URI").strip("<> ")

    def refuse(reason: str, detail: str = "") -> Unreadable:
        return Unreadable(rejected=Rejected(reason, detail), url=url, source=source)

    is_response = record.record_type == WarcRecordType.response
    if not is_response and record.record_type != WarcRecordType.resource:
        name = header_text(record.headers, b"WARC-Type").lower()
        return refuse(name) if name in NAMED_TYPES else refuse("other_record_type", name)
    if not url:
        return refuse("missing_url", "no WARC-Target-URI")
    if is_response and not url.lower().startswith(("http:", "https:")):
        return refuse("other_record_type", f"response of {url.partition(':')[0]}:")
    headers: dict[str, list[str]] = {}
    declared = header_text(record.headers, b"Content-Type")
    status = 200
    if is_response:
        if not record.is_http or not (record.http_headers.status_line_bytes or b"").startswith(b"HTTP/"):
            return refuse("bad_http", "no HTTP status line")
        status = record.http_headers.status_code or 0
        if not 200 <= status <= 299:
            return refuse("http_error_status" if status else "bad_http", str(status) if status else "no status code")
        headers = _headers(record.http_headers)
        declared = headers.get("content-type", [""])[-1]
    body = record.reader.read()
    if not body.strip():
        return refuse("empty_body")
    decoded = decode_body(headers, body, config.max_body_bytes)
    if isinstance(decoded, Rejected):
        return refuse(decoded.reason, decoded.detail)
    body, trouble = decoded
    if not body.strip():
        return refuse("empty_body", "after its content encoding was undone")
    kind = kind_of(header_text(record.headers, b"WARC-Identified-Payload-Type"), declared, body)
    if is_media(kind, body, config):
        if not addressable:
            return refuse("not_addressable", "a picture or video that shares its compressed block with other records")
        return RawMedia(url=url, content_type=declared, headers=headers, source=source)
    if kind != "html":
        return refuse("not_html", kind)
    if not is_response and not url.lower().startswith(("http:", "https:")):
        return refuse("other_record_type", f"resource of {url.partition(':')[0]}:")
    truncated = header_text(record.headers, b"WARC-Truncated") or trouble
    if not truncated and header_text(record.headers, b"WARC-Segment-Number"):
        truncated = "segmented"
    return RawPage(
        url=url,
        body=body,
        content_type=declared,
        identified_charset=header_text(record.headers, b"WARC-Identified-Content-Charset"),
        headers=headers,
        source=source,
        truncated=truncated or ("partial_content" if status == 206 else ""),
    )


def header_text(headers: HeaderMap, name: bytes) -> str:
    """Value of a header without spaces around it, empty if there is none."""
    return _decoded(headers.get_bytes(name) or b"").strip()


def _headers(headers: HeaderMap) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers.items_bytes():
        found.setdefault(_decoded(name).strip().lower(), []).append(_decoded(value).strip())
    return found


def _decoded(value: bytes) -> str:
    """Header bytes are ASCII by the book; in the wild UTF-8 or Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
