"""Object stores by address: what a store must do, trying again what may pass, and a stream over ranged requests.

A store (`s3`, `gcs`, `hdfs`) does one thing in one try, and says of what goes wrong whether it may pass
(`PassingError`). Trying again, for how long, and what to say in the end is decided here, once for all of them.
"""

import errno
import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol, TypeVar

TRIES = 10
"""Tries of one request before the build ends; with the delays below, they take some 50 seconds."""
FIRST_DELAY = 0.1
MAX_DELAY = 20.0
"""Seconds before the second try, doubled with each further one; a random half of it is left out, so that workers
that failed together do not come again together."""
FIRST_BLOCK = 1 << 20
MAX_BLOCK = 8 << 20
"""Bytes of a stream's request: doubled as long as it is read on, so that a file of facts is one request, and a range of
a WARC a few, with no more than this in memory."""

T = TypeVar("T")


class StoreError(RuntimeError):
    """A store that does not do what it is asked; names the object and says what to do.

    No OSError: those of one picture cost a build that picture, and this must cost it nothing.
    """


class PassingError(Exception):
    """A request that failed, and may succeed when made again."""


class Store(Protocol):
    """An object store.

    Raises:
        PassingError: it may help to try again; not by `list_names` and `delete`, which are many requests and try again
            each by itself.
        FileNotFoundError: there is no such object, or no such bucket.
        StoreError: anything else.
    """

    def get(self, path: str, start: int, stop: int | None) -> tuple[bytes, int]:
        """The bytes in [start, stop), or to the end, fewer where the object ends; and the size of the object."""

    def put(self, path: str, stream: BinaryIO, size: int) -> None:
        """Makes an object of the stream's `size` bytes, from its beginning: whole or not at all."""

    def size(self, path: str) -> int | None:
        """Bytes of an object; None if there is none."""

    def list_names(self, path: str) -> Iterator[str]:
        """Paths of the objects below a folder."""

    def delete(self, paths: Sequence[str]) -> None:
        """Removes objects, of one bucket; those that are not there are no error."""


def retried(path: str, doing: str, function: Callable[[], T]) -> T:
    """The result of the function, tried again as long as it may help.

    Raises:
        StoreError: it failed for the last time.
    """
    delay, begin = FIRST_DELAY, time.monotonic()
    for left in reversed(range(TRIES)):
        try:
            return function()
        except PassingError as error:
            if not left:
                raise StoreError(
                    f"{path}: {doing} failed {TRIES} times in {time.monotonic() - begin:.0f} s, the last time with: "
                    f"{error}. The same command goes on where it stood when the store answers again"
                ) from error
        time.sleep(delay * random.uniform(0.5, 1))
        delay = min(delay * 2, MAX_DELAY)
    raise AssertionError("unreachable")


class Remote:
    """A store whose requests are made again where that may help."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, path: str, start: int, stop: int | None) -> tuple[bytes, int]:
        def whole() -> tuple[bytes, int]:
            data, size = self.store.get(path, start, stop)
            expected = max(0, (size if stop is None else min(stop, size)) - start)
            if len(data) != expected:
                raise PassingError(f"the connection ended after {len(data)} of {expected} bytes")
            return data, size

        return retried(path, "reading", whole)

    def put(self, path: str, stream: BinaryIO, size: int) -> None:
        def again() -> None:
            stream.seek(0)
            self.store.put(path, stream, size)

        retried(path, "writing", again)

    def size(self, path: str) -> int | None:
        return retried(path, "asking for its size", lambda: self.store.size(path))

    def list_names(self, path: str) -> list[str]:
        return sorted(self.store.list_names(path))

    def delete(self, paths: Sequence[str]) -> None:
        if paths:
            self.store.delete(paths)

    def open(self, path: str) -> BinaryIO:
        return io.BufferedReader(ObjectStream(self, path), 1 << 16)


class ObjectStream(io.RawIOBase):
    """An object as a seekable stream: each request asks for a block, larger the longer one reads on."""

    def __init__(self, remote: Remote, path: str) -> None:
        super().__init__()
        self.remote, self.path = remote, path
        self.at = 0
        self.start, self.block = 0, b""
        """What was asked for last, and where it stands."""
        self.ask = FIRST_BLOCK
        self.length: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            if self.length is None:
                self._get(self.at, self.at + FIRST_BLOCK)
            offset += self.length or 0
        elif whence == os.SEEK_CUR:
            offset += self.at
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.path)
        self.at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if not self.start <= self.at < self.start + len(self.block):
            if self.length is not None and self.at >= self.length:
                return 0
            on = self.block and self.at == self.start + len(self.block)
            self.ask = min(self.ask * 2, MAX_BLOCK) if on else FIRST_BLOCK
            self._get(self.at, self.at + self.ask)
        begin = self.at - self.start
        piece = self.block[begin : begin + len(view)]
        view[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """The rest, by one request for what is not there yet."""
        have = self.block[self.at - self.start :] if self.start <= self.at <= self.start + len(self.block) else b""
        begin = self.at + len(have)
        if self.length is None or begin < self.length:
            rest, self.length = self.remote.get(self.path, begin, None)
            have += rest
        self.at += len(have)
        return have

    def _get(self, start: int, stop: int) -> None:
        self.block, self.length = self.remote.get(self.path, start, stop)
        self.start = start


def gone(path: str, what: str = "object") -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, f"no such {what}", path)


def bucket_and_key(path: str) -> tuple[str, str]:
    """("bucket", "a/b") of "s3://bucket/a/b"."""
    bucket, _, key = path.partition("://")[2].partition("/")
    return bucket, key


class PerProcess:
    """Clients of stores, made once in each process: a connection must not be shared with a fork."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make
        self._empty()
        os.register_at_fork(after_in_child=self._empty)

    def _empty(self) -> None:
        self.made: dict[Any, Any] = {}
        self.lock = threading.Lock()

    def of(self, settings: Any) -> Any:
        with self.lock:
            if settings not in self.made:
                self.made[settings] = self.make(settings)
            return self.made[settings]

    def drop(self, settings: Any) -> None:
        """Makes the next one anew."""
        with self.lock:
            self.made.pop(settings, None)
