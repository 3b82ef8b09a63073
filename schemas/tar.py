"""Tar archives as `tarfile` writes them in USTAR format, byte for byte, in a tenth of its time for small files."""

import tarfile
from typing import BinaryIO

_HEADER = bytearray(tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT))
_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 136), slice(148, 156)
_MOST_OCTAL = 8**11
"""What is as large does not fit into the header's eleven digits."""


def header(name: str, size: int) -> bytes:
    """The block before a file's bytes: mode 0644, no owner, no time.

    Raises:
        ValueError: the name is too long or the size too large for the format.
    """
    if not name.isascii() or len(name) > tarfile.LENGTH_NAME or size >= _MOST_OCTAL:
        entry = tarfile.TarInfo(name)
        entry.size = size
        return entry.tobuf(tarfile.USTAR_FORMAT)
    block = _HEADER.copy()
    block[_NAME] = name.encode().ljust(tarfile.LENGTH_NAME, b"\0")
    block[_SIZE] = b"%011o\0" % size
    block[_CHECKSUM] = b" " * 8  # as such they count in the sum
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


class TarWriter:
    """Appends files to a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._end = stream, 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a file; the offset at which its bytes stand."""
        offset = self._end + tarfile.BLOCKSIZE
        padding = -len(data) % tarfile.BLOCKSIZE
        self._stream.write(header(name, len(data)))
        self._stream.write(data)
        self._stream.write(bytes(padding))
        self._end = offset + len(data) + padding
        return offset

    def close(self) -> None:
        """Ends the archive; the stream stays open."""
        end = self._end + 2 * tarfile.BLOCKSIZE
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
