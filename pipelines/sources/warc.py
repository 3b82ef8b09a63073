"""WARC files (ISO 28500) as pages, images and counted refusals; a .warc.gz also in ranges, for many workers at once.

A range [start, end) of a .warc.gz owns the gzip members whose first byte lies in it. Which bytes begin a member cannot
always be told from inside the file (see `gzip_members`); `misplaced` compares the spans that neighbours really read and
says which of them to read again, and from where.
"""

import re
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from fastwarc.stream_io import ZstdReader
from fastwarc.warc import HeaderMap, WarcRecord, WarcRecordType

from pipelines.sources.config import SourceConfig
from pipelines.sources.gzip_members import MAGIC, Member, StoredBytes, find_member
from pipelines.sources.http_body import decode_body, kind_of
from pipelines.sources.records import RawMedia, RawPage, SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.sources.warc_frames import MAX_HEADER_BYTES, Frame, GivenUp, Lookahead, frames
from pipelines.store.paths import open_read, read_range, size
from schemas.document import Source
from schemas.rejection import Rejected

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"  # a frame that may stand before all others (IIPC's proposal for .warc.zst)
_PIECE_BYTES = 1 << 20
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_NAMED_TYPES = ("warcinfo", "request", "metadata", "revisit")


def compression_of(name: str, first_bytes: bytes) -> str:
    """ "gzip", "zstd" or "" by the first four bytes of a WARC file; damaged ones are what their name says."""
    if first_bytes.startswith(b"WARC"):
        return ""
    if first_bytes in (_ZSTD_FRAME, _ZSTD_DICTIONARY):
        return "zstd"
    if first_bytes.startswith(MAGIC):
        return "gzip"
    return "gzip" if name.lower().endswith(".gz") else ""


def read_warc(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """One record of any kind for each record of the unit; returns the span.

    Damage costs one `Unreadable`, then reading goes on at the next record that can be found.

    Raises:
        OSError: the file itself cannot be read.
    """
    with open_read(unit.path) as stream:
        length = size(unit.path)
        if not length:
            yield Unreadable(rejected=Rejected("empty_file", "0 bytes"), source=Source(file=unit.name))
            return unit.start, unit.end
        compression = compression_of(unit.name, stream.read(4))
        if compression == "gzip":
            return (yield from _read_members(StoredBytes(stream, length), unit, config))
        if compression == "zstd":
            yield from _read_zstd(stream, unit, config)
        else:
            yield from _read_plain(stream, length, unit, config)
    return unit.start, unit.end


def misplaced(read: Sequence[tuple[Unit, Span]]) -> list[tuple[Unit, Unit]]:
    """Units of one .warc.gz that began at a wrong place, each with the unit to read in its stead.

    Give all units of the file with the spans of their readers, in order. What the wrong units yielded must be thrown
    away, and the check made again with the new units and spans, until nothing is returned: at the latest after as many
    rounds as there are units, since each round makes at least one more of them right.
    """
    wrong: list[tuple[Unit, Unit]] = []
    reached = 0
    for unit, (first, end) in read:
        begin = min(reached, unit.end)
        owns_any = end > first
        if first != begin if owns_any else begin < unit.end:
            wrong.append((unit, replace(unit, start=begin, exact=True)))
        reached = max(reached, end if owns_any else unit.end)
    return wrong


def read_record_body(path: str, offset: int, length: int, max_bytes: int) -> bytes:
    """The HTTP body (or the block of a resource record) that stands at `offset` of a WARC file, decoded.

    Args:
        offset, length: of `Source`: the gzip member, or header and body in an uncompressed file.
        max_bytes: limit of the body; no more than about that is held at any time.

    Raises:
        ValueError: no readable record there, or a larger one.
        EOFError, OSError: the file is shorter or cannot be read.
    """
    if length > max_bytes + MAX_HEADER_BYTES:
        raise ValueError(f"{path}: the record at {offset} has {length} bytes, at most {max_bytes} allowed")
    data = read_range(path, offset, length)
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
        record = _parsed(frame)
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


def _read_members(stored: StoredBytes, unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    end = min(unit.end, stored.size)
    if unit.exact or unit.start == 0:
        first = unit.start
    else:
        found = find_member(stored, unit.start, end)
        first = unit.end if found is None else found
    at = first
    while at < end:
        at = yield from _read_member(stored, at, unit.name, config)
    return first, at


def _read_member(
    stored: StoredBytes, offset: int, name: str, config: SourceConfig
) -> Generator[SourceRecord, None, int]:
    """Returns where the next member begins."""
    member = Member(stored, offset)
    rejected = None
    try:
        for number, frame in enumerate(
            frames(Lookahead(member.pieces()), config.max_body_bytes, config.max_skip_bytes)
        ):
            # Only what has a gzip member to itself can be addressed by it.
            alone = number == 0 and frame.last
            source = Source(file=name, offset=offset, length=member.end - offset if alone else 0)
            yield _record(frame, source, config, addressable=alone)
    except GivenUp:
        pass
    except EOFError as error:
        rejected = Rejected("truncated_member", str(error))
    except zlib.error as error:
        rejected = Rejected("corrupt_member", str(error))
    if member.end:
        return member.end
    # The damage may have hidden where the member ends, so the next one is looked for from its first byte on.
    found = find_member(stored, offset + 1, stored.size)
    end = stored.size if found is None else found
    if rejected:
        # Where others follow, it is chance whether zlib stumbles over them or reads on to the end of the file.
        rejected = rejected if found is None else replace(rejected, reason="corrupt_member")
        yield Unreadable(rejected=rejected, source=Source(file=name, offset=offset, length=end - offset))
    return end


def _read_plain(stream: BinaryIO, length: int, unit: Unit, config: SourceConfig) -> Iterator[SourceRecord]:
    def reopen(position: int) -> Iterator[bytes]:
        stream.seek(position)
        return iter(partial(stream.read, _PIECE_BYTES), b"")

    for frame in frames(Lookahead(reopen(0), reopen, length), config.max_body_bytes, config.max_skip_bytes):
        source = Source(file=unit.name, offset=frame.offset, length=frame.length)
        yield _record(frame, source, config, addressable=True)


def _read_zstd(stream: BinaryIO, unit: Unit, config: SourceConfig) -> Iterator[SourceRecord]:
    """Offsets are those of the inflated file: the frames of a .warc.zst are not told apart here."""
    damage: list[OSError] = []
    at = 0
    counted = False
    try:
        for frame in frames(Lookahead(_inflated_zstd(stream, damage)), config.max_body_bytes, config.max_skip_bytes):
            at = frame.offset + frame.length
            source = Source(file=unit.name, offset=frame.offset, length=frame.length)
            counted = bool(frame.refused) and frame.last
            yield _record(frame, source, config, addressable=False)
    except GivenUp:
        counted = True
    if damage and not counted:
        rejected = Rejected("corrupt_member", f"{damage[0]}; the rest of the file is not read")
        yield Unreadable(rejected=rejected, source=Source(file=unit.name, offset=at))


def _inflated_zstd(stream: BinaryIO, damage: list[OSError]) -> Iterator[bytes]:
    """Inflated pieces up to the damage, if there is any, which is put into `damage`."""
    given = 0
    step = _PIECE_BYTES
    while True:
        stream.seek(0)
        reader = ZstdReader(stream)
        try:
            reader.seek(given)
            while piece := reader.read(step):
                given += len(piece)
                yield piece
            return
        except OSError as error:
            # What the failing call had inflated is lost with it: once more, byte by byte from the last good place.
            if step == 1:
                damage.append(error)
                return
            step = 1


def _record(frame: Frame, source: Source, config: SourceConfig, *, addressable: bool) -> SourceRecord:
    if frame.refused:
        return Unreadable(rejected=frame.refused, source=source)
    try:
        return _interpreted(frame, source, config, addressable)
    except Exception as error:  # whatever a strange record sets off, it must not stop the file
        return Unreadable(rejected=Rejected("unreadable", repr(error)), source=source)


def _parsed(frame: Frame) -> WarcRecord:
    record = WarcRecord.from_bytes(frame.data)
    if record.is_http and record.record_type == WarcRecordType.response:
        record.parse_http(quirks_mode=True, max_header_len=MAX_HEADER_BYTES)
    return record


def _interpreted(frame: Frame, source: Source, config: SourceConfig, addressable: bool) -> SourceRecord:
    record = _parsed(frame)
    date = _text(record.headers, b"WARC-Date")
    source = replace(source, date=date if _DATE.fullmatch(date) else "")
    url = _text(record.headers, b"WARC-Target-URI").strip("<> ")

    def refuse(reason: str, detail: str = "") -> Unreadable:
        return Unreadable(rejected=Rejected(reason, detail), url=url, source=source)

    is_response = record.record_type == WarcRecordType.response
    if not is_response and record.record_type != WarcRecordType.resource:
        name = _text(record.headers, b"WARC-Type").lower()
        return refuse(name) if name in _NAMED_TYPES else refuse("other_record_type", name)
    if not url:
        return refuse("missing_url", "no WARC-Target-URI")
    if is_response and not url.lower().startswith(("http:", "https:")):
        return refuse("other_record_type", f"response of {url.partition(':')[0]}:")
    headers: dict[str, list[str]] = {}
    declared = _text(record.headers, b"Content-Type")
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
    kind = kind_of(_text(record.headers, b"WARC-Identified-Payload-Type"), declared, body)
    if kind == "image":
        if not addressable:
            return refuse("not_addressable", "an image that shares its compressed block with other records")
        return RawMedia(url=url, content_type=declared, headers=headers, source=source)
    if kind != "html":
        return refuse("not_html", kind)
    if not is_response and not url.lower().startswith(("http:", "https:")):
        return refuse("other_record_type", f"resource of {url.partition(':')[0]}:")
    truncated = _text(record.headers, b"WARC-Truncated") or trouble
    if not truncated and _text(record.headers, b"WARC-Segment-Number"):
        truncated = "segmented"
    return RawPage(
        url=url,
        body=body,
        content_type=declared,
        identified_charset=_text(record.headers, b"WARC-Identified-Content-Charset"),
        headers=headers,
        source=source,
        truncated=truncated or ("partial_content" if status == 206 else ""),
    )


def _text(headers: HeaderMap, name: bytes) -> str:
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
