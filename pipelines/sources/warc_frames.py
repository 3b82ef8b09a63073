"""Cuts a stream of WARC records into single ones, and finds the next one after damage.

The cutting is ours and not fastwarc's because a damaged record must cost exactly one refusal and nothing behind it:
fastwarc stops, or skips without a word, where the length of a record does not fit.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from schemas.rejection import Rejected

MAX_HEADER_BYTES = 1 << 17
"""Longest header of a record, bytes: some writers put an URL of tens of kB into it several times."""

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\nContent-Length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?\n", re.IGNORECASE)
_RECORD = re.compile(rb"WARC/[01]\.\d+[ \t]*\r?\n")
_NEXT_RECORD = re.compile(rb"\r?\n\r?\n(?=WARC/[01]\.\d+[ \t]*\r?\n)")
_NEXT_RECORD_BYTES = 32  # longest text the pattern above looks at
_LINE_ENDS = re.compile(rb"[\r\n]*")
_NOTHING = 1 << 62


class GivenUp(Exception):  # noqa: N818 - a way out, not an error
    """What is left of a gzip member is not worth inflating."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One record of a stream, or the damage in its place."""

    offset: int
    """Of its first byte in the stream."""
    length: int
    """Bytes of header and body, or of the damage."""
    data: bytes
    """Header and body; empty if refused."""
    refused: Rejected | None
    last: bool
    """Nothing but line ends follows."""


class Lookahead:
    """A forward reader of byte pieces that can look ahead and step back within what it holds."""

    def __init__(
        self, pieces: Iterator[bytes], reopen: Callable[[int], Iterator[bytes]] | None = None, size: int = 0
    ) -> None:
        """`reopen` gives the pieces from an offset on, where the stream allows it; `size` is then its length."""
        self._pieces = pieces
        self._reopen = reopen
        self._size = size
        self._buffer = b""
        self._at = 0
        self._base = 0  # offset of the buffer in the stream
        self._damage: Exception | None = None
        self._kept = _NOTHING  # index in the buffer from which on nothing may be let go

    @property
    def position(self) -> int:
        return self._base + self._at

    @property
    def seekable(self) -> bool:
        return self._reopen is not None

    def fill(self, wanted: int) -> int:
        """Bytes that can be had at once: `wanted` of them, or all there are before the end.

        Damage in the stream is raised only when no bytes are left before it.
        """
        held = len(self._buffer) - self._at
        if held >= wanted:
            return wanted
        cut = min(self._at, self._kept)
        parts = [self._buffer[cut:]]
        try:
            while held < wanted and (piece := next(self._pieces, None)) is not None:
                parts.append(piece)
                held += len(piece)
        except (zlib.error, OSError, EOFError) as error:
            self._damage = error
        self._base += cut
        self._at -= cut
        self._kept -= cut if self._kept != _NOTHING else 0
        self._buffer = parts[-1] if not parts[0] and len(parts) == 2 else b"".join(parts)
        if self._damage and not held:
            raise self._damage
        return min(held, wanted)

    def keep(self, kept: bool) -> None:
        """Holds on to all bytes from here, so that one can step back to this place; or to none of those passed."""
        self._kept = self._at if kept else _NOTHING

    def match(self, pattern: re.Pattern[bytes], wanted: int) -> re.Match[bytes] | None:
        self.fill(wanted)
        return pattern.match(self._buffer, self._at)

    def header(self) -> bytes:
        """The lines from here to the first blank line, with it; empty if there is none near. Stays before them."""
        for limit in (1 << 12, MAX_HEADER_BYTES):
            held = self.fill(limit)
            if found := _BLANK_LINE.search(self._buffer, self._at, self._at + limit):
                return self._buffer[self._at : found.end()]
            if held < limit:
                break
        return b""

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        held = self.fill(count)
        self._at += held
        return self._buffer[self._at - held : self._at]

    def skip(self, count: int) -> int:
        """Goes `count` bytes on, less at the end; returns how many."""
        if self._reopen and count > len(self._buffer) - self._at:
            count = min(count, self._size - self.position)
            self.seek(self.position + count)
            return count
        left = count
        while left and (held := self.fill(min(left, 1 << 16))):
            self._at += held
            left -= held
        return count - left

    def seek(self, position: int) -> None:
        """Goes to a position that is held, or anywhere in a stream that can be reopened; else stays here."""
        if self._base <= position <= self._base + len(self._buffer):
            self._at = position - self._base
        elif self._reopen:
            self._pieces = self._reopen(position)
            self._buffer, self._at, self._base = b"", 0, position

    def skip_line_ends(self) -> None:
        while self.fill(1) and (found := _LINE_ENDS.match(self._buffer, self._at)) and found.end() > self._at:
            self._at = found.end()

    def seek_record(self, most: int) -> bool:
        """Goes to the next record, or to the end of the stream; False after `most` bytes with neither."""
        limit = self.position + most
        while self.fill(1 << 16):
            if found := _NEXT_RECORD.search(self._buffer, self._at):
                self._at = found.end()
                return True
            if self.position > limit:
                return False
            # The last bytes may be the beginning of what is looked for, unless they are the last of all.
            ended = len(self._buffer) - self._at < 1 << 16
            self._at = len(self._buffer) - (0 if ended else _NEXT_RECORD_BYTES)
        return True


def frames(stream: Lookahead, max_body_bytes: int, max_skip_bytes: int) -> Iterator[Frame]:
    """The records of a stream in order, each held whole; damage is one refused frame, then the next record follows.

    Raises:
        GivenUp: after the frame of a record with more than `max_skip_bytes` to be inflated and thrown away.
        Whatever reading the stream raises; nothing was yielded then for the record it stood in.
    """
    while True:
        stream.skip_line_ends()
        if not stream.fill(1):
            return
        start = stream.position
        header = stream.header()
        length = _body_length(header)
        if length is None:
            cut_off = not header and stream.match(_RECORD, 64) and stream.fill(MAX_HEADER_BYTES) < MAX_HEADER_BYTES
            reason = "truncated_member" if cut_off else "corrupt_member"
            detail = "no whole WARC header where a record should begin"
            yield from _damaged(stream, start, reason, detail, max_skip_bytes)
            continue
        if length > max_skip_bytes and not stream.seekable:
            detail = f"{length} bytes, at most {max_body_bytes}; what follows it in the same gzip member is not read"
            yield Frame(start, length, b"", Rejected("too_large", detail), False)
            raise GivenUp
        held = length <= max_body_bytes
        stream.skip(len(header))
        stream.keep(held)
        body = stream.take(length) if held else b""
        got = len(body) if held else stream.skip(length)
        end = stream.position
        stream.skip_line_ends()
        # A whole record is followed by an empty line, as it should be, or by what can only be a record or the end.
        ended = stream.position - end >= 4 or not stream.fill(1) or stream.match(_RECORD, 64) is not None
        fits = got == length and ended
        if not fits:
            # Either the length lies or the body lacks bytes: a record may have begun in what was taken for its body.
            stream.seek(start + len(header))
        stream.keep(False)
        if not fits:
            reason = "truncated_member" if got < length else "corrupt_member"
            detail = f"Content-Length {length} does not lead to the next record"
            yield from _damaged(stream, start, reason, detail, max_skip_bytes)
        elif held:
            yield Frame(start, end - start, header + body, None, not stream.fill(1))
        else:
            refused = Rejected("too_large", f"{length} bytes, at most {max_body_bytes}")
            yield Frame(start, end - start, b"", refused, not stream.fill(1))


def _damaged(stream: Lookahead, start: int, reason: str, detail: str, max_skip_bytes: int) -> Iterator[Frame]:
    """One frame for all up to the next record."""
    found = stream.seek_record(max_skip_bytes)
    more = stream.fill(1) > 0
    # Truncated is what nothing follows; a record that breaks off before another one is corrupt.
    reason = "corrupt_member" if more else reason
    yield Frame(start, stream.position - start, b"", Rejected(reason, detail), not more)
    if not found:
        raise GivenUp


def _body_length(header: bytes) -> int | None:
    if not _RECORD.match(header):
        return None
    found = _CONTENT_LENGTH.search(header)
    return int(found.group(1)) if found else None
