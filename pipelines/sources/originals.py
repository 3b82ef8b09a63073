"""Images that the input itself holds, read in place: records of a WARC, files beside saved HTML."""

from collections.abc import Mapping

from pipelines.sources.config import SourceConfig
from pipelines.sources.warc import read_record_body
from pipelines.store import paths


def read_original(
    places: Mapping[str, str], origin: str, name: str, offset: int, length: int, config: SourceConfig
) -> bytes:
    """The bytes of an image of the input.

    Args:
        places: where each input is, by its name.
        origin: "warc" or "file".
        name: `Source.file`: the name of an input, or of a file below a folder that is one.
        offset, length: of `Source`.

    Raises:
        ValueError: no such record, or larger than the source's limit.
        OSError: the file cannot be read.
    """
    if origin == "warc":
        return read_record_body(places[name], offset, length, config.max_body_bytes)
    folder, _, rest = name.partition("/")
    path = paths.join(places[folder], rest) if rest else places[name]
    if length > config.max_body_bytes:
        raise ValueError(f"{name} has {length} bytes, at most {config.max_body_bytes} allowed")
    return paths.read_range(path, 0, length)
