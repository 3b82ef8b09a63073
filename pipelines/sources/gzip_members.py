"""Gzip members of a .warc.gz: finding them from any offset, and inflating one in bounded memory.

A WARC.gz is a row of gzip members, each with one record by the standard (ISO 28500, annex D). Compressed bytes carry no
marks, so a reader that starts in mid-file looks for the magic of a member that inflates to "WARC/". A member can also
stand inside another one, where a crawl captured a .warc.gz and deflate stored it unchanged. No local look can tell
these apart; `warc.misplaced` finds them afterwards, because the spans of neighbouring ranges then do not meet.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

MAGIC = b"\x1f\x8b\x08"
_READ_BYTES = 1 << 20  # one request to the file; a stream of an object store asks for more at once
_FEED_BYTES = 1 << 15  # zlib copies what it leaves unused of each piece, so pieces are small
_INFLATE_BYTES = 1 << 20  # most output held at a time
_GZIP = 31  # zlib's wbits for "gzip header and checksum"


class StoredBytes:
    """Reads a file by offset through one buffer."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._start = 0
        self._buffer = b""
        self.size = size

    def view(self, offset: int, limit: int) -> memoryview:
        """At most `limit` bytes from `offset`, at least one before the end of the file."""
        at = self._index(offset)
        return memoryview(self._buffer)[at : at + limit]

    def find(self, wanted: bytes, start: int, end: int) -> int | None:
        """Offset of the first occurrence that begins in [start, end)."""
        offset = start
        while offset < min(end, self.size):
            at = self._index(offset)
            if len(self._buffer) - at < len(wanted):
                at = self._index(offset, len(wanted))  # it may straddle the buffer's end
            found = self._buffer.find(wanted, at)
            if found >= 0:
                return self._start + found if self._start + found < end else None
            offset = max(offset + 1, self._start + len(self._buffer) - len(wanted) + 1)
        return None

    def _index(self, offset: int, wanted: int = 1) -> int:
        """Where `offset` stands in the buffer, with `wanted` bytes after it if the file has them."""
        at = offset - self._start
        if not 0 <= at <= len(self._buffer) - wanted:
            self._stream.seek(offset)
            self._buffer = self._stream.read(_READ_BYTES)
            self._start, at = offset, 0
        return at


class Member:
    """One gzip member as a stream of inflated pieces, none larger than 1 MiB."""

    def __init__(self, stored: StoredBytes, offset: int) -> None:
        self._stored = stored
        self.offset = offset
        self.end = 0
        """Offset just after the member; 0 until it has been inflated to its end and its checksum held."""

    def pieces(self) -> Iterator[bytes]:
        """The inflated bytes.

        Raises:
            zlib.error: this is no gzip member, or its data or checksum is broken.
            EOFError: the file ends before the member does.
        """
        engine = zlib.decompressobj(_GZIP)
        at = self.offset
        while not engine.eof:
            data = self._stored.view(at, _FEED_BYTES)
            if not data:
                raise EOFError(f"the file ends after {at - self.offset} bytes of the member")
            at += len(data)
            piece = engine.decompress(data, _INFLATE_BYTES)
            while piece:
                yield piece
                # A full piece may have left output behind in zlib even if it took all its input.
                full = len(piece) == _INFLATE_BYTES and not engine.eof
                piece = engine.decompress(engine.unconsumed_tail, _INFLATE_BYTES) if full else b""
        self.end = at - len(engine.unused_data)


def find_member(stored: StoredBytes, start: int, end: int) -> int | None:
    """Offset of the first gzip member beginning in [start, end) that inflates to the start of a WARC record."""
    at = start
    while (found := stored.find(MAGIC, at, end)) is not None:
        if _begins_with_record(stored, found):
            return found
        at = found + 1
    return None


def _begins_with_record(stored: StoredBytes, offset: int) -> bool:
    engine = zlib.decompressobj(_GZIP)
    text = b""
    limit = offset + _FEED_BYTES  # a gzip header may hold a file name or comment of any length
    try:
        while len(text) < 5 and not engine.eof and offset < limit and (data := stored.view(offset, 512)):
            text += engine.decompress(data, 5 - len(text))
            offset += len(data)
    except zlib.error:
        return False
    return text == b"WARC/"
