"""Who works on which unit on this machine, and at what in it: what a worker that is killed leaves behind.

Workers take units from a folder of claims. A claim is a small file that the worker maps into its memory and writes into
what it is at, so that a note costs no system call and outlives the process, however it ends.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

NOTE_BYTES = 1024
_DONE = ".done"
_STOP = "stop"
_note: list[mmap.mmap] = []
"""The note of the unit that this process works on, if anybody watches it."""


class Death(NamedTuple):
    """What a worker was at when it ended."""

    key: str
    """Of the thing in the unit; empty where it was at none that could be told from others."""
    name: str
    """The same for a person; empty if the unit noted nothing."""
    pid: int
    how: str = ""
    """How it ended: "SIGKILL", "exit code 3"."""


def at(key: str, name: str) -> None:
    """Notes what this process works on from now on; nothing where nobody watches."""
    for note in _note:
        text = f"{key}\t{name}".encode("utf-8", "backslashreplace")[: NOTE_BYTES - 10].replace(b"\0", b" ")
        note[10 : 10 + len(text) + 1] = text + b"\0" if len(text) < NOTE_BYTES - 10 else text


@contextmanager
def claimed(folder: str, number: int) -> Iterator[bool]:
    """Whether this worker is the first that asks for a unit; it is done when the block ends without an error."""
    path = Path(folder, str(number))
    if Path(folder, _STOP).exists():
        yield False
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        yield False
        return
    with os.fdopen(descriptor, "r+b") as file:
        file.write(f"{os.getpid():<10d}".encode().ljust(NOTE_BYTES, b"\0"))
        file.flush()
        with mmap.mmap(file.fileno(), NOTE_BYTES) as note:
            _note.append(note)
            try:
                yield True
            finally:
                _note.remove(note)
    path.with_name(path.name + _DONE).touch()


def stop(folder: str) -> None:
    """Lets nobody take another unit."""
    with suppress(FileNotFoundError):  # the folder has gone, all is over
        Path(folder, _STOP).touch()


def unfinished(folder: str, count: int) -> dict[int, Death | None]:
    """The units, of `count`, that were not ended, by number: what was noted of them, None if nobody has begun."""
    left: dict[int, Death | None] = {}
    for number in range(count):
        path = Path(folder, str(number))
        if not path.with_name(path.name + _DONE).exists():
            left[number] = _read(path.read_bytes()) if path.exists() else None
    return left


def _read(note: bytes) -> Death:
    pid, text = note[:10].strip(b"\0 "), note[10:].partition(b"\0")[0].decode(errors="replace")
    key, _, name = text.partition("\t")
    return Death(key, name, int(pid or 0))
