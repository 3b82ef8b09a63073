"""Members of a tar, to its end: what is damaged, cut off or added behind its end is told and not passed over."""

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from schemas.rejection import Rejected

_BLOCK = tarfile.BLOCKSIZE
_PIECE_BYTES = 1 << 20


def members(stream: BinaryIO, length: int) -> Iterator[tuple[int, tarfile.TarInfo | Rejected]]:
    """(offset of its header, member) for each file of a tar of `length` bytes, not compressed.

    Folders are passed over; links and other things that hold no bytes of their own are `not_a_file`. What cannot be
    read ends the archive with one `corrupt_file`. Archives that were joined end to end are read as one.

    Raises:
        OSError: the stream cannot be read.
    """
    at = 0
    while at < length:
        stream.seek(at)
        try:
            tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - the stream is the caller's
            while (member := tar.next()) is not None:
                at = member.offset
                tar.members.clear()  # type: ignore[attr-defined] # else it would keep all of them
                # Names may be any bytes; those that are not UTF-8 would break every file they are written to.
                member.name = os.fsencode(member.name).decode("utf-8", "backslashreplace")
                if member.isdir():
                    continue
                if not member.isfile() or member.issparse():
                    yield at, Rejected("not_a_file", f"{member.name} is a link, a device or a sparse file")
                elif member.offset_data + member.size > length:
                    yield at, Rejected("corrupt_file", f"it ends within {member.name}")
                    return
                else:
                    yield at, member
            at = tar.offset
        except (tarfile.TarError, ValueError) as error:
            yield at, Rejected("corrupt_file", f"no tar from byte {at} on: {error}")
            return
        stream.seek(at)
        block = stream.read(_BLOCK)
        if block.strip(b"\0") or len(block) < _BLOCK:
            why = f"no header at byte {at}" if block else f"it ends at byte {at} without the mark of an end"
            yield at, Rejected("corrupt_file", f"{why}; the rest is not read")
            return
        at = _next_archive(stream, at + _BLOCK, length)


def _next_archive(stream: BinaryIO, at: int, length: int) -> int:
    """Offset of the first block that is not all zeros; `length` if there is none."""
    stream.seek(at)
    while piece := stream.read(_PIECE_BYTES):
        if rest := piece.lstrip(b"\0"):
            return at + (len(piece) - len(rest)) // _BLOCK * _BLOCK
        at += len(piece)
    return length
