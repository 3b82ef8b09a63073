"""Which shards a person means by a data set, a folder of shards, tar files or a pattern of them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob

from pipelines.store import paths
from schemas.manifest import Manifest, read_manifest

_SHARD_NAME = re.compile(r"(?:^|/)([a-z]+)-(\d{6,})\.tar$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class DataSetError(ValueError):
    """What was given is neither a data set nor shards; the message says what is missing."""


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
    """The data sets and shards that `names` mean: each data set by itself, all other tar files together.

    Raises:
        DataSetError: a name is none of a data set, a folder with tar files, a tar file, a pattern that matches some.
    """
    found: list[ShardFiles] = []
    loose: list[str] = []
    folders = 0
    for name in names:
        if is_data_set(name):
            folder = name.rstrip("/")
            found.append(ShardFiles(folder, tuple(in_order(tar_files(paths.join(folder, "shards")))), True))
        elif name.endswith(".tar") and paths.exists(name):
            loose.append(name)
        elif tars := tar_files(name):
            folders += 1
            loose += tars
        elif matched := [path for path in glob(name) if path.endswith(".tar")]:  # noqa: PTH207 - keeps the path as given
            loose += matched
        else:
            raise DataSetError(f"{name}: no data set, no folder with tar files, and no tar file")
    if loose:
        found.append(ShardFiles("", tuple(in_order(set(loose))), folders == len(names)))
    return found


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
        ManifestError: it cannot be read.
    """
    path = paths.join(folder, "manifest.json")
    if not paths.exists(path):
        raise DataSetError(f"{folder} is no finished data set: it has no manifest.json")
    return read_manifest(paths.read_bytes(path).decode("utf-8", "replace"), path)


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
