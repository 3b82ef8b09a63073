"""Shards as they come from a disk or a network: names to addresses, an address to the raw samples in it.

Addresses are whatever `webdataset` opens: paths, http(s) (through curl), gs://, s3://, hf://, and `pipe:COMMAND`, which
runs the command in a shell, so take addresses from nobody. What is damaged is said and passed over, never raised.
"""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import braceexpand
from webdataset.gopen import gopen
from webdataset.tariterators import base_plus_ext

from schemas.manifest import ManifestError, read_manifest
from schemas.rejection import Rejected

BLOCK = 512
"""Bytes of a block of a tar file; an archive ends with two that are empty."""


class LoaderError(OSError):
    """Nothing can be loaded: the message names the shards and the reasons."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The members of one sample, as they stand in the shard."""

    key: str
    files: Mapping[str, bytes]
    """By name without the key: "json", "0.jpg"."""


def find_shards(places: str | Path | Sequence[str | Path], split: str = "train") -> tuple[str, ...]:
    """Addresses of shards, in a fixed order.

    Args:
        places: one or several of: the folder of a data set (the shards of `split` that its manifest names); a folder of
            tar files; a pattern of files ("shards/*.tar"); an address, in which "{000000..000041}" stands for many.
        split: of data sets that have a manifest.

    Raises:
        LoaderError: a place without shards, or a manifest that cannot be read.
    """
    found: list[str] = []
    for place in [places] if isinstance(places, str | Path) else places:
        new = _in_place(str(place), split)
        if not new:
            raise LoaderError(f"no shard of split {split!r} in {str(place)!r}")
        found += new
    return tuple(found)


def _in_place(place: str, split: str) -> list[str]:
    folder = Path(place)
    if folder.is_dir():
        manifest = folder / "manifest.json"
        if manifest.is_file():
            try:
                shards = read_manifest(manifest.read_text(encoding="utf-8"), str(manifest)).shards
            except ManifestError as error:
                raise LoaderError(str(error)) from error
            return [str(folder / shard.name) for shard in shards if shard.split == split]
        return sorted(str(path) for path in folder.glob("*.tar"))
    if ":" not in place and any(sign in place for sign in "*?["):
        return sorted(str(path) for path in Path(folder.anchor).glob(str(folder.relative_to(folder.anchor))))
    return [place] if place.startswith("pipe:") else list(braceexpand.braceexpand(place))


def read_shard(url: str) -> Iterator[Raw | Rejected]:
    """The samples of a shard in order, each with its members in memory; what is wrong stands between them.

    After `shard_missing` or `shard_damaged` nothing follows; `duplicate_member` stands in the place of one sample. A
    shard that breaks off is noticed even between two members: it has no end mark.
    """
    try:
        stream = gopen(url)
    except Exception as error:  # as many kinds as there are ways to open something
        yield Rejected("shard_missing", f"{url}: {error}")
        return
    key, files, doubled = "", dict[str, bytes](), False
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            while (entry := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                name, extension = base_plus_ext(entry.name)
                data = tar.extractfile(entry)
                if name is None or data is None or name.startswith("__"):
                    continue
                if name != key and files:
                    yield _sample(key, files, doubled)
                    files, doubled = {}, False
                key = name
                doubled = doubled or extension in files
                files[extension] = data.read()
            # tarfile takes a header that makes no sense, and the end of the file, for the end of the archive.
            if tar.fileobj is None or tar.fileobj.read(BLOCK) != bytes(BLOCK):
                raise tarfile.ReadError("the archive has no end mark")
        stream.close()
    except Exception as error:  # tarfile, zlib and the network each have their own
        # The sample that was being read may lack members: it is lost.
        yield Rejected("shard_damaged", f"{url}, after sample {key or '(none)'}: {error}")
        return
    finally:
        _close(stream)
    if files:
        yield _sample(key, files, doubled)


def _sample(key: str, files: dict[str, bytes], doubled: bool) -> Raw | Rejected:
    return Rejected("duplicate_member", f"{key}: a member stands twice") if doubled else Raw(key, files)


def _close(stream: Any) -> None:
    try:
        stream.close()
    except Exception:  # a command that was stopped halfway says so; nobody wants to know
        return
