"""Every read and write of the pipelines, on local paths and on object stores alike.

Local paths go straight to the operating system, addresses ("gs://", "s3://", "hdfs://") to their store, whose module is
imported only then. Files are published whole or not at all: written beside their final name and renamed, or gathered
and then put on the object store under their final name, where they appear when the last byte is there.
"""

import io
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from pipelines.store.remote import Remote, gone

if TYPE_CHECKING:
    from pipelines.store.s3 import S3Settings

SCHEMES = ("gs", "s3", "hdfs")
"""What is read and written besides local paths."""
AT_ONCE = 16
"""Files of an object store that one process reads at once."""
SPOOL_BYTES = 8 << 20
"""What goes to an object store is gathered in memory up to this size, else in the folder for temporary files."""
_NEEDS = {"s3": ("boto3", "aws"), "gs": ("google.auth.transport.requests", "gcs")}
"""By scheme: the module that is needed, and the extra of ours that brings it."""

T = TypeVar("T")


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
    return _remote(path).open(path)


def read_bytes(path: str) -> bytes:
    if not is_remote(path):
        return Path(path).read_bytes()
    return _remote(path).get(path, 0, None)[0]


def read_range(path: str, offset: int, length: int) -> bytes:
    """Exactly `length` bytes from `offset`; on an object store by one request for exactly these.

    Raises:
        EOFError: the file ends before.
    """
    if is_remote(path):
        data, _ = _remote(path).get(path, offset, offset + length)
    else:
        with open_read(path) as stream:
            stream.seek(offset)
            data = stream.read(length)
    if len(data) != length:
        raise EOFError(f"{path}: {length} bytes wanted at {offset}, the file ends after {len(data)} of them")
    return data


def beginning(path: str, count: int) -> tuple[bytes, int]:
    """The first bytes of a file, at most `count`, and its size; on an object store by one request."""
    if is_remote(path):
        return _remote(path).get(path, 0, count)
    with open_read(path) as stream:
        return stream.read(count), os.fstat(stream.fileno()).st_size


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
    """Gathers the bytes here, so that a block that raises leaves no object behind."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        stream = cast(BinaryIO, spool)
        yield stream
        _remote(path).put(path, stream, stream.seek(0, os.SEEK_END))


def publish(path: str, data: bytes) -> None:
    """Writes a whole file, or nothing."""
    if is_remote(path):
        _remote(path).put(path, io.BytesIO(data), len(data))
        return
    with publishing(path) as stream:
        stream.write(data)


def exists(path: str) -> bool:
    if not is_remote(path):
        return Path(path).exists()
    return _remote(path).size(path) is not None


def size(path: str) -> int:
    """Bytes of a file."""
    if not is_remote(path):
        return Path(path).stat().st_size
    found = _remote(path).size(path)
    if found is None:
        raise gone(path)
    return found


def list_files(directory: str) -> list[str]:
    """Sorted paths of all finished files below a directory, at any depth; empty if it does not exist."""
    if is_remote(directory):
        # Tools that show folders make empty objects for them, whose names end with a slash.
        return [path for path in _remote(directory).list_names(join(directory, "")) if not path.endswith("/")]
    found = []
    for folder, _, names in os.walk(directory):
        found += [str(Path(folder) / name) for name in names if not (name.startswith(".") and name.endswith(".tmp"))]
    return sorted(found)


def each(function: Callable[[str], T], some: Sequence[str]) -> list[T]:
    """What a function makes of each path, in order; on object stores of several at once, as each waits for answers."""
    if len(some) < 2 or not is_remote(some[0]):
        return [function(path) for path in some]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, some))


def delete_file(path: str) -> None:
    """Removes a file; nothing if it does not exist."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    else:
        _remote(path).delete([path])


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
    remote = _remote(directory)
    remote.delete(remote.list_names(join(directory, "")))


def prepare(some: Iterable[str]) -> None:
    """Imports what the stores of these paths need, before this process is forked; nothing for local ones."""
    schemes = {path.partition("://")[0] for path in some if is_remote(path)}
    if "s3" in schemes and _installed("s3"):
        from pipelines.store import s3

        s3.prepare()
    if "gs" in schemes and _installed("gs"):
        from pipelines.store import gcs

        gcs.prepare()


def _remote(path: str) -> Remote:
    """The store of a path.

    Raises:
        ValueError: what speaks to it is not installed.
    """
    scheme = path.partition("://")[0]
    if not _installed(scheme):
        extra = _NEEDS[scheme][1]
        raise ValueError(f'{path}: pip install "openm3w[{extra}]" first, which brings what reads and writes it')
    if scheme == "s3":
        from pipelines.store.s3 import S3Store

        return Remote(S3Store(_s3_settings()))
    if scheme == "gs":
        from pipelines.store.gcs import GcsStore

        return Remote(GcsStore())
    if scheme == "hdfs":
        from pipelines.store.hdfs import HdfsStore

        return Remote(HdfsStore())
    raise ValueError(f"{path}: no address that can be used")


@cache
def _installed(scheme: str) -> bool:
    try:
        return scheme not in _NEEDS or find_spec(_NEEDS[scheme][0]) is not None
    except ModuleNotFoundError:
        return False


def _s3_settings() -> "S3Settings":
    """What Beam's options say: those of the command, or in a worker those of its job. Without Beam there are none."""
    from pipelines.store.s3 import S3Settings

    beam = sys.modules.get("apache_beam.io.filesystems")
    options = beam and beam.FileSystems._pipeline_options
    if not options:
        return S3Settings()
    if not _known_settings or _known_settings[0] is not options:
        given = options.get_all_options(drop_default=True)
        names = (field.name for field in fields(S3Settings))
        found = {name: value for name in names if (value := given.get(f"s3_{name}"))}
        _known_settings[:] = [options, S3Settings(**found)]
    settings: S3Settings = _known_settings[1]
    return settings


_known_settings: list[Any] = []
"""Beam's options that were looked at last, which takes some milliseconds, and what they say."""
