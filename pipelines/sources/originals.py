"""Images that the input itself holds, read in place: records of a WARC, members of a tar, files in folders."""

from collections.abc import Callable, Mapping

from pipelines.sources.config import SourceConfig
from pipelines.sources.pair_archive import shard_folder
from pipelines.sources.warc import read_record_body
from pipelines.store import paths
from pipelines.store.paths import read_range


def read_original(
    places: Mapping[str, str],
    origin: str,
    name: str,
    offset: int,
    length: int,
    config: SourceConfig,
    read: Callable[[str, int, int], bytes] = read_range,
) -> bytes:
    """The bytes of an image of the input.

    Args:
        places: where each input is, by its name.
        origin: "warc" or "file".
        name: `Source.file`: the name of an input, or of a file below a folder that is one, or below the folder that
            belongs to one (see `pair_archive.read_shard_table`).
        offset, length: of `Source`.
        read: gives the bytes of a range of a file.

    Raises:
        ValueError: no such record, or larger than the source's limit.
        OSError: the file cannot be read.
    """
    if origin == "warc":
        return read_record_body(places[name], offset, length, config.max_body_bytes, read)
    if length > config.max_body_bytes:
        raise ValueError(f"{name} has {length} bytes, at most {config.max_body_bytes} allowed")
    return read(path_of(name, places), offset, length)


def path_of(name: str, places: Mapping[str, str]) -> str:
    """The file that is named as `read_original` is told."""
    if name in places:
        return places[name]
    folder, _, rest = name.partition("/")
    if folder in places:
        return paths.join(places[folder], rest)
    shard, _, file = name.rpartition("/")
    return paths.join(shard_folder(places[f"{shard}.parquet"]), file)
