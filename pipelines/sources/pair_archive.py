"""What img2dataset wrote, read where it is: its bytes are not fetched again.

Its "webdataset" format is a tar with KEY.jpg, KEY.txt and KEY.json for each image that came, and beside it a Parquet
file with a row for each address, where those that did not come have another status than "success". Its "files" format
has a folder in place of the tar. A tar from elsewhere with members of these names is read the same way; what a member's
name holds up to the first dot is the key of its sample, as in WebDataset.
"""

import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from pipelines.extract.html.address import resolve_url
from pipelines.sources.config import SourceConfig
from pipelines.sources.html_folder import address, default_base_url
from pipelines.sources.pair_fields import as_text, by_lower_name, media_types, named, pair
from pipelines.sources.parquet_rows import parquet_columns, parquet_rows
from pipelines.sources.records import RawMedia, SourceRecord, Span, Unreadable
from pipelines.sources.tar_members import members
from pipelines.sources.text_lines import json_object
from pipelines.sources.units import Unit
from pipelines.store.paths import join, list_files, open_read, size
from schemas.document import Source
from schemas.rejection import Rejected

_BATCH_ROWS = 1024
_FAILURES = ("failed_to_download", "failed_to_resize")


@dataclass(frozen=True, slots=True)
class Sample:
    """Members of a tar that follow each other and share their key."""

    key: str
    members: list[tuple[str, tarfile.TarInfo]]
    """With what their names hold after the key and the dot, in lower case."""


def read_archive(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """For each sample of a tar its image (or video) and its pair, or why there is none; returns (start, end).

    Raises:
        OSError: the file cannot be read.
    """
    empty = True
    with open_read(unit.path) as stream:
        for sample in _samples(stream, size(unit.path)):
            empty = False
            if isinstance(sample, Sample):
                yield from _records(sample, stream, unit, config)
            else:
                at, rejected = sample
                yield Unreadable(rejected=rejected, source=Source(file=unit.name, offset=at))
    if empty:
        yield Unreadable(rejected=Rejected("empty_file", "no samples"), source=Source(file=unit.name))
    return unit.start, unit.end


def _samples(stream: BinaryIO, length: int) -> Iterator[Sample | tuple[int, Rejected]]:
    held: Sample | None = None
    for at, member in members(stream, length):
        if isinstance(member, Rejected):
            if held and any(ending == "json" for ending, _ in held.members):
                yield held
            elif held:  # what it lacks may be in the damage: its address, its text
                member = replace(member, detail=f"{member.detail}; sample {held.key} before it may not be whole")
            held = None
            yield at, member
            continue
        folder, slash, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        key = folder + slash + stem
        if held and held.key != key:
            yield held
            held = None
        held = held or Sample(key, [])
        held.members.append((ending.lower(), member))
    if held:
        yield held


def _records(sample: Sample, stream: BinaryIO, unit: Unit, config: SourceConfig) -> Iterator[SourceRecord]:
    types = media_types(config)
    media = [(ending.rpartition(".")[2], member) for ending, member in sample.members]
    media = [(ending, member) for ending, member in media if ending in types]
    first = sample.members[0][1]
    if not media:
        names = ", ".join(member.name for _, member in sample.members)
        refused = Rejected("missing_media", f"no {config.pairs_of[:-1]} among {names}")
        yield Unreadable(rejected=refused, source=Source(file=unit.name, offset=first.offset))
        return
    ending, member = media[0]
    place = Source(file=unit.name, offset=member.offset_data, length=member.size)
    cells = _cells(sample, stream, config)
    if isinstance(cells, Rejected):
        yield Unreadable(rejected=cells, source=place)
        return
    yield from _media_and_pair(cells, unit, member.name, types[ending], place, config)
    for _, extra in media[1:]:
        refused = Rejected("extra_media", f"{extra.name}, after {member.name} in one sample")
        yield Unreadable(rejected=refused, source=Source(file=unit.name, offset=extra.offset_data, length=extra.size))


def _cells(sample: Sample, stream: BinaryIO, config: SourceConfig) -> dict[str, Any] | Rejected:
    """What KEY.json says, by names in lower case, and KEY.txt as the first column of texts."""
    found: dict[str, bytes] = {}
    for ending, member in sample.members:
        if ending in ("json", "txt") and ending not in found:
            if member.size > config.max_row_bytes:
                return Rejected("too_large", f"{member.name}: {member.size} bytes, at most {config.max_row_bytes}")
            stream.seek(member.offset_data)
            found[ending] = stream.read(member.size)
    cells = json_object(found.get("json", b"{}"))
    if isinstance(cells, Rejected):
        return cells
    cells = by_lower_name(cells)
    if found.get("txt", b"").strip():
        cells[config.text_columns[0]] = found["txt"]
    return cells


def _media_and_pair(
    cells: dict[str, Any], unit: Unit, name: str, content_type: str, place: Source, config: SourceConfig
) -> Iterator[SourceRecord]:
    """The image that stands at `place` under `name`, and its pair, which may be refused alone: for want of a text."""
    given = as_text(named(cells, config.url_columns)[1], "")
    # The bytes are here: whose own address is lost needs only one that nobody else has, and the same each time.
    stable = address(default_base_url(unit.name), name)
    url = (not isinstance(given, Rejected) and resolve_url("", given)) or resolve_url("", stable)
    if not 0 < place.length <= config.max_body_bytes:
        reason = "too_large" if place.length else "empty_body"
        detail = f"{name}: {place.length} bytes, at most {config.max_body_bytes}"
        yield Unreadable(rejected=Rejected(reason, detail), url=url, source=place)
        return
    yield RawMedia(url=url, content_type=content_type, source=place)
    yield pair({**cells, config.url_columns[0]: url}, place, config)


def check_shard_table(path: str) -> None:
    """Raises ValueError if the Parquet file of a shard is not as img2dataset writes it."""
    if size(path) and (lacks := {"key", "status"} - set(parquet_columns(path))):
        raise ValueError(f"beside a shard of that name and without the column {min(lacks)} of img2dataset's tables")


def read_shard_table(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """The rows of the Parquet file that img2dataset writes for each shard; returns (start, end).

    Beside a tar (`Unit.kind` "failures") only the addresses that did not come are told, as refusals: the others are
    samples of the tar. Beside a folder of files ("files") the others give their image and their pair.

    Raises:
        OSError: the file cannot be read.
    """
    there = parquet_columns(unit.path)
    files = _files(unit, config) if unit.kind == "files" else {}
    for at, row in parquet_rows(unit.path, unit.start, unit.end, there, _BATCH_ROWS):
        source = Source(file=unit.name, offset=at)
        if isinstance(row, Rejected):
            yield Unreadable(rejected=row, source=source)
            continue
        cells = by_lower_name(row)
        if (status := cells.get("status")) != "success":
            reason = status if status in _FAILURES else "not_fetched"
            url = as_text(named(cells, config.url_columns)[1], "")
            why = Rejected(reason, str(cells.get("error_message") or ""))
            yield Unreadable(rejected=why, url="" if isinstance(url, Rejected) else url, source=source)
        elif unit.kind == "files":
            name = files.get(str(cells.get("key")))
            if name is None:
                yield Unreadable(rejected=Rejected("missing_media", f"no file {cells.get('key')}.*"), source=source)
                continue
            length = size(join(shard_folder(unit.path), name))
            place = Source(file=f"{shard_folder(unit.name)}/{name}", length=length)
            ending = name.rpartition(".")[2].lower()
            yield from _media_and_pair(cells, unit, name, media_types(config)[ending], place, config)
    return unit.start, unit.end


def shard_folder(table: str) -> str:
    """The folder of a shard in the "files" format, by the name or path of its Parquet file."""
    return table.removesuffix(".parquet")


def _files(unit: Unit, config: SourceConfig) -> dict[str, str]:
    """Names of the images in the shard's folder by their keys."""
    types = media_types(config)
    names = (path.rpartition("/")[2] for path in list_files(shard_folder(unit.path)))
    return {name.partition(".")[0]: name for name in names if name.rpartition(".")[2].lower() in types}
