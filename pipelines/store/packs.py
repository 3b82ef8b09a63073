"""Packs of the media store: tar files that any tool opens, written once, read by range."""

from types import TracebackType
from typing import BinaryIO, Self

from pipelines.store import paths
from schemas.tar import TarWriter


class PackWriter:
    """Appends files to a pack that appears under its name when it is closed without an error, and not otherwise."""

    def __init__(self, path: str) -> None:
        self.path, self.files, self.bytes = path, 0, 0
        self._publishing = paths.publishing(path)

    def __enter__(self) -> Self:
        self._stream: BinaryIO = self._publishing.__enter__()
        self._tar = TarWriter(self._stream)
        return self

    def add(self, name: str, data: bytes) -> int:
        """Adds a file; the offset in the pack at which its bytes stand."""
        self.files += 1
        self.bytes += len(data)
        return self._tar.add(name, data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tar.close()
        self._publishing.__exit__(kind, error, trace)
