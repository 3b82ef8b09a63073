"""Lines of a text file, plain or gzip: whole, or those that begin in a range of its bytes.

A line end is one wherever it stands: no byte of a UTF-8 character but itself is 0x0A. So a file whose rows are its
lines can be cut anywhere; a line belongs to the range in which its first byte lies.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from pipelines.store.paths import open_read
from schemas.rejection import Rejected

_PIECE_BYTES = 1 << 20


def is_gzip(path: str) -> bool:
    return path.lower().endswith(".gz")


def lines(path: str, start: int, end: int | None, limit: int) -> Iterator[tuple[int, bytes | Rejected]]:
    """(offset of its first byte, the line with its end) of each line that begins in [start, end).

    A line of `limit` bytes or more is `too_large`; a damaged gzip file ends with `corrupt_file`.

    Args:
        start, end: bytes of a plain file; for a .gz, which is always read whole, 0 and None.

    Raises:
        OSError: the file cannot be read.
    """
    with open_read(path) as stored:
        if is_gzip(path):
            yield from _lines(cast(BinaryIO, gzip.GzipFile(fileobj=stored)), 0, None, limit)
            return
        at = start
        if start:
            stored.seek(start - 1)
            if stored.read(1) != b"\n":
                at += _skip_line(stored)
        yield from _lines(stored, at, end, limit)


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(_PIECE_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _lines(stream: BinaryIO, at: int, end: int | None, limit: int) -> Iterator[tuple[int, bytes | Rejected]]:
    while end is None or at < end:
        try:
            line = stream.readline(limit)
            if not line:
                return
            length, whole = len(line), len(line) < limit or line.endswith(b"\n")
            if not whole:
                length += _skip_line(stream)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield at, Rejected("corrupt_file", f"from byte {at} of the text on: {error}")
            return
        yield at, line if whole else Rejected("too_large", f"a line above {limit} bytes")
        at += length


def json_object(line: bytes) -> dict[str, Any] | Rejected:
    """The object that a line of JSONL holds, or `bad_json`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejected("bad_json", str(error))
    return row if isinstance(row, dict) else Rejected("bad_json", f"{type(row).__name__}, not an object")
