"""Sizes and SHA-256 of files, read where reading is fast: here, or on a cluster by its workers."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from pipelines.engine import Engine
from pipelines.store import paths
from pipelines.store.facts import digest_of

Digest = Callable[[str], tuple[int, str]]
"""Of a path: bytes, and 64 hex digits. Raises OSError if it cannot be read."""


def digests(files: Iterable[str], engine: Engine, folder: str, name: str) -> Digest:
    """What gives the digests of `files`.

    Args:
        folder: for what workers find; removed before and afterwards.
        name: of the job.
    """
    if not engine.at_once:
        return digest_of
    paths.delete_tree(folder)
    units = [{"number": number, "path": path} for number, path in enumerate(dict.fromkeys(files))]
    engine.for_each(name, partial(note_digest, folder=folder), units)
    noted: Mapping[str, list[object]] = dict(json.loads(paths.read_bytes(path)) for path in paths.list_files(folder))
    paths.delete_tree(folder)

    def digest(path: str) -> tuple[int, str]:
        size, sha256 = noted[path]
        return int(str(size)), str(sha256)

    return digest


def note_digest(number: int, path: str, folder: str) -> None:
    """The work of one worker: a small file with the path, its size and digest."""
    paths.publish(paths.join(folder, f"{number:08d}.json"), json.dumps([path, digest_of(path)]).encode())
