"""Which shards a person means by a data set, a folder of shards, tar files or a pattern of them."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob

from pipelines.store import paths
from schemas.manifest import Manifest, ManifestError, read_manifest

_SHARD_NAME = re.compile(r"(?:^|/)([a-z]+)-(\d{6,})\.tar$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class DataSetError(ValueError):
    """What was given is neither a data set nor shards; the message says what is missing."""


class DamageError(RuntimeError):
    """A file of a data set that cannot be read as what it should be; the message names it."""


@dataclass(frozen=True)
class ShardFiles:
    """Shards that belong together."""

    folder: str
    """Folder of the data set; empty for tar files alone."""
    shards: tuple[str, ...]
    """Paths, "train" before "dev", then by name."""
    complete: bool
    """All shards of their folder were given."""


def find_shards(names: Sequence[str]) -> list[ShardFiles]:
    """The data sets and shards that `names` mean, each once: each data set by itself, all other tar files together.

    Raises:
        DataSetError: a name is none of a data set, a folder with tar files, a tar file, a pattern that matches some.
    """
    found: dict[str, ShardFiles] = {}
    loose: dict[str, str] = {}
    complete = True
    for name in names:
        if is_data_set(name):
            folder = name.rstrip("/")
            shards = in_order(tar_files(paths.join(folder, "shards")))
            found.setdefault(_place(folder), ShardFiles(folder, tuple(shards), True))
            continue
        if name.endswith(".tar") and paths.exists(name):
            tars, complete = [name], False
        elif not (tars := tar_files(name)):
            tars = [path for path in glob(name) if path.endswith(".tar")]  # noqa: PTH207 - keeps the path as given
            complete = False
        if not tars:
            raise DataSetError(f"{name}: no data set, no folder with tar files, and no tar file")
        for path in tars:
            loose.setdefault(_place(path), path)
    for files in found.values():
        for path in files.shards:
            loose.pop(_place(path), None)
    alone = [ShardFiles("", tuple(in_order(loose.values())), complete)] if loose else []
    return [*found.values(), *alone]


def _place(path: str) -> str:
    """The same for all names of one place."""
    return path.rstrip("/") if paths.is_remote(path) else os.path.realpath(path)


def all_shards(names: Sequence[str]) -> list[str]:
    """Paths of all shards that `names` mean."""
    return [shard for files in find_shards(names) for shard in files.shards]


def is_data_set(name: str) -> bool:
    """Whether a folder is, or was to become, a data set."""
    folder = name.rstrip("/")
    if any(paths.exists(paths.join(folder, file)) for file in ("_SUCCESS", "manifest.json", "plan.json")):
        return True
    return bool(tar_files(paths.join(folder, "shards")))


def tar_files(folder: str) -> list[str]:
    """The tar files that lie directly in a folder."""
    base = folder.rstrip("/") + "/"
    return [path for path in paths.list_files(folder) if path.endswith(".tar") and "/" not in path.removeprefix(base)]


def manifest_of(folder: str) -> Manifest:
    """The manifest of a data set.

    Raises:
        DataSetError: there is none.
        DamageError: it cannot be read.
    """
    path = paths.join(folder, "manifest.json")
    if not paths.exists(path):
        raise DataSetError(f"{folder} is no finished data set: it has no manifest.json")
    try:
        return read_manifest(read_whole(path).decode("utf-8", "replace"), path)
    except ManifestError as error:
        raise DamageError(str(error)) from error


def read_whole(path: str) -> bytes:
    """The bytes of a small file that there is.

    Raises:
        DamageError: it cannot be read.
    """
    try:
        return paths.read_bytes(path)
    except OSError as error:
        raise DamageError(f"{path}: cannot be read: {error.strerror or error}") from error


def split_and_number(path: str) -> tuple[str, int] | None:
    """("train", 3) of ".../train-000003.tar"; None for a name of another form."""
    match = _SHARD_NAME.search(path)
    return (match[1], int(match[2])) if match else None


def in_order(shards: Iterable[str]) -> list[str]:
    """Sorted, with "dev" last: who looks at the first few wants to see what is trained on."""
    return sorted(shards, key=lambda path: (path.rsplit("/", 1)[-1].startswith("dev-"), path))


def printable(text: str) -> str:
    """Text of a page as a terminal may show it: control characters, which could steer the terminal, replaced."""
    return _CONTROL.sub("\ufffd", text)
