"""Many ranges of packs and WARCs at a time: those that nearly touch in one request, several requests at once.

A request to an object store takes some 30 ms before its first byte comes, and costs the same for 5 kB as for 5 MB. Who
knows what he will read says so (`ahead`), and then reads as ever (`read`). Local files are read when they are wanted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from pipelines.store import paths

GAP_BYTES = 256 << 10
"""Ranges with no more than this between them are one request: at 100 MB/s that takes 3 ms, a tenth of a request."""
REQUEST_BYTES = 8 << 20
"""No request becomes larger by joining: what is tried again when a connection ends, and held besides the ranges."""
WINDOW_BYTES = 64 << 20
"""What is read ahead at most, unless a single thing needs more."""
REQUESTS_AT_ONCE = 8

T = TypeVar("T")


class Range(NamedTuple):
    """Bytes of a file."""

    path: str
    offset: int
    length: int


class Ranges:
    """Reads ranges of files, those that were announced without a request of their own."""

    def __init__(self) -> None:
        self.held: dict[Range, bytes] = {}

    def soon(self, wanted: Iterable[Range]) -> None:
        """Reads what lies on object stores and holds it, in place of what was held; what cannot be read is left out."""
        requests = joined([some for some in wanted if paths.is_remote(some.path)])
        self.held = {}
        if requests:
            with ThreadPoolExecutor(min(REQUESTS_AT_ONCE, len(requests))) as pool:
                for pieces in pool.map(_pieces, requests):
                    self.held.update(pieces)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """As `paths.read_range`."""
        if (data := self.held.get(Range(path, offset, length))) is not None:
            return data
        return paths.read_range(path, offset, length)

    def ahead(self, things: Iterable[T], ranges_of: Callable[[T], Iterable[Range]]) -> Iterator[T]:
        """The things, in order; before each its ranges are held, with those of as many after it as a window takes."""
        window: list[T] = []
        wanted: list[Range] = []
        size = 0
        for thing in things:
            some = list(ranges_of(thing))
            more = sum(one.length for one in some)
            if window and size + more > WINDOW_BYTES:
                self.soon(wanted)
                yield from window
                window, wanted, size = [], [], 0
            window.append(thing)
            wanted += some
            size += more
        self.soon(wanted)
        yield from window
        self.held = {}


def joined(wanted: Iterable[Range]) -> list[list[Range]]:
    """The ranges, each once, in groups that are to be one request each."""
    groups: list[list[Range]] = []
    start, end, path = 0, 0, ""
    for one in sorted(set(wanted)):
        last = one.offset + one.length
        if groups and one.path == path and one.offset - end <= GAP_BYTES and max(end, last) - start <= REQUEST_BYTES:
            groups[-1].append(one)
            end = max(end, last)
        else:
            groups.append([one])
            path, start, end = one.path, one.offset, last
    return groups


def _pieces(group: Sequence[Range]) -> dict[Range, bytes]:
    """What stands in the ranges of one request; nothing where it fails: whoever wants it is told then."""
    path, start = group[0].path, group[0].offset
    end = max(one.offset + one.length for one in group)
    try:
        data = paths.read_range(path, start, end - start)
    except (OSError, EOFError):
        return {}
    return {one: data[one.offset - start : one.offset - start + one.length] for one in group}
