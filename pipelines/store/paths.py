"""Every read and write of the pipelines, on local paths and on object stores alike.

Local paths go straight to the operating system; anything with a scheme ("gs://", "s3://", "hdfs://") goes through
Beam's FileSystems, imported only then. Files are published whole or not at all: written beside their final name and
renamed, or on an object store put in one request to the final name.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

_NEEDS = {"s3": ("boto3", "aws"), "gs": ("google.cloud", "gcp")}
"""By scheme: the module that Beam needs, and the extra of ours that brings it."""


SCHEMES = ("gs", "s3", "hdfs")
"""What Beam's file systems read and write besides local paths."""


def is_remote(path: str) -> bool:
    return "://" in path


def join(base: str, *names: str) -> str:
    """`base` and `names` with single slashes between them.

    Raises:
        ValueError: no base: what is joined to nothing would stand at the root of the file system.
    """
    if not base:
        raise ValueError(f"no folder to look for {'/'.join(names)} in")
    return "/".join([base.rstrip("/"), *names])


def named(given: str) -> str:
    """A path as a user named it, "~" made his home, without a slash at its end.

    Raises:
        ValueError: empty, not UTF-8, or an address of a kind that cannot be read.
    """
    if not given.strip():
        raise ValueError("an empty path; name a file or folder")
    try:
        given.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(given).decode("utf-8", "backslashreplace")
        raise ValueError(f"{shown}: a name that is not UTF-8; rename it") from None
    scheme, mark, rest = given.partition("://")
    if not mark:
        home = os.path.expanduser(given)  # noqa: PTH111 - pathlib's fails where a file's name begins with "~"
        return home.rstrip("/") or "/"
    if scheme in ("http", "https"):
        raise ValueError(f"{given}: a web address; download it first, and give the file")
    if scheme not in SCHEMES or not rest.strip("/"):
        known = ", ".join(f"{scheme}://..." for scheme in SCHEMES)
        raise ValueError(f"{given}: no address that can be used; give a local path, or one of {known}")
    return given.rstrip("/")


def open_read(path: str) -> BinaryIO:
    """A seekable binary stream of the stored bytes, never decompressed on the way."""
    if not is_remote(path):
        return Path(path).open("rb")
    filesystems, compression = _beam(path)
    stream: BinaryIO = filesystems.open(path, compression_type=compression.UNCOMPRESSED)
    return stream


def read_bytes(path: str) -> bytes:
    with open_read(path) as stream:
        return stream.read()


def read_range(path: str, offset: int, length: int) -> bytes:
    """Exactly `length` bytes from `offset`.

    Raises:
        EOFError: the file ends before.
    """
    with open_read(path) as stream:
        stream.seek(offset)
        data = stream.read(length)
    if len(data) != length:
        raise EOFError(f"{path}: {length} bytes wanted at {offset}, the file ends after {len(data)} of them")
    return data


@contextmanager
def publishing(path: str) -> Iterator[BinaryIO]:
    """A stream whose bytes stand under `path` when the block ends well, and nowhere if it raises."""
    if is_remote(path):
        yield from _publishing_remote(path)
        return
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f".{final.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _publishing_remote(path: str) -> Iterator[BinaryIO]:
    """Spools to a local temporary file, so that a failed block leaves no object behind."""
    import tempfile

    filesystems, compression = _beam(path)
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        with filesystems.create(path, compression_type=compression.UNCOMPRESSED) as stream:
            shutil.copyfileobj(spool, stream, 1 << 20)


def publish(path: str, data: bytes) -> None:
    """Writes a whole file, or nothing."""
    with publishing(path) as stream:
        stream.write(data)


def exists(path: str) -> bool:
    if not is_remote(path):
        return Path(path).exists()
    return bool(_beam(path)[0].exists(path))


def size(path: str) -> int:
    """Bytes of a file."""
    if not is_remote(path):
        return Path(path).stat().st_size
    return int(_beam(path)[0].match([path])[0].metadata_list[0].size_in_bytes)


def list_files(directory: str) -> list[str]:
    """Sorted paths of all finished files below a directory, at any depth; empty if it does not exist."""
    if is_remote(directory):
        matched = _beam(directory)[0].match([join(directory, "**")])[0].metadata_list
        return sorted(entry.path for entry in matched)
    found = []
    for folder, _, names in os.walk(directory):
        found += [str(Path(folder) / name) for name in names if not (name.startswith(".") and name.endswith(".tmp"))]
    return sorted(found)


def delete_file(path: str) -> None:
    """Removes a file; nothing if it does not exist."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif exists(path):
        _beam(path)[0].delete([path])


def delete_unfinished(directory: str, besides: str = "") -> None:
    """Removes what killed attempts of `publishing` left below a local directory, but not below its folder `besides`.

    Not while others write there.
    """
    if not is_remote(directory):
        for path in Path(directory).rglob(".*.tmp"):
            if not besides or not path.is_relative_to(Path(directory) / besides):
                path.unlink(missing_ok=True)


def delete_tree(directory: str) -> None:
    """Removes a directory and all below it; nothing if it does not exist."""
    if not is_remote(directory):
        shutil.rmtree(directory, ignore_errors=True)
        return
    if found := list_files(directory):
        _beam(directory)[0].delete(found)


def _beam(path: str) -> tuple[Any, Any]:
    """Beam's file systems, ready for a path; options of theirs that a pipeline was given stay as they are."""
    needs, extra = _NEEDS.get(path.partition("://")[0], ("", ""))
    if needs and find_spec(needs) is None:
        raise ValueError(f'{path}: pip install "openm3w[{extra}]" first, which brings what reads and writes it')
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems, CompressionTypes
