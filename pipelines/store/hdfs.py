"""hdfs:// by Beam's file systems, one try at a time."""

from collections.abc import Iterator, Sequence
from shutil import copyfileobj
from typing import Any, BinaryIO

from pipelines.store.remote import gone


class HdfsStore:
    """A `remote.Store`; Beam's errors are passed on as they are."""

    def get(self, path: str, start: int, stop: int | None) -> tuple[bytes, int]:
        size = self.size(path)
        if size is None:
            raise gone(path)
        systems, plain = _beam()
        with systems.open(path, compression_type=plain) as stream:
            stream.seek(start)
            end = size if stop is None else min(stop, size)
            return stream.read(max(0, end - start)), size

    def put(self, path: str, stream: BinaryIO, size: int) -> None:
        systems, plain = _beam()
        with systems.create(path, compression_type=plain) as file:
            copyfileobj(stream, file, 1 << 20)

    def size(self, path: str) -> int | None:
        found = _beam()[0].match([path])[0].metadata_list
        return int(found[0].size_in_bytes) if found else None

    def list_names(self, path: str) -> Iterator[str]:
        yield from (entry.path for entry in _beam()[0].match([path + "**"])[0].metadata_list)

    def delete(self, paths: Sequence[str]) -> None:
        _beam()[0].delete([path for path in paths if self.size(path) is not None])


def _beam() -> tuple[Any, Any]:
    """Beam's file systems; options of theirs that a pipeline was given stay as they are."""
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems, CompressionTypes.UNCOMPRESSED
