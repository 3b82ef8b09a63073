"""From what the user names as input to units of work, and from a unit to its records."""

import stat
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from pipelines.sources.config import SourceConfig
from pipelines.sources.html_folder import (
    HTML_SUFFIXES,
    FolderFile,
    address,
    default_base_url,
    files_in,
    listing,
    read_html,
)
from pipelines.sources.pair_archive import check_shard_table, read_archive, read_shard_table, shard_folder
from pipelines.sources.pair_table import PAIR_TABLE_SUFFIXES, ColumnsError, pair_table_ranges, read_pair_table
from pipelines.sources.parquet_rows import parquet_ranges
from pipelines.sources.records import SourceRecord, Span, UnitReader
from pipelines.sources.table import JSONL_SUFFIXES, missing_columns, read_table
from pipelines.sources.units import Unit, UnitKind
from pipelines.sources.warc import read_warc
from pipelines.sources.warc_records import compression_of
from pipelines.sources.wat import WAT_SUFFIXES, read_wat
from pipelines.store.paths import beginning, exists, is_remote, named, size

WARC_SUFFIXES = (".warc", ".warc.gz", ".warc.zst")
PAGE_TABLE_SUFFIXES = (".parquet", *JSONL_SUFFIXES)
ARCHIVE_SUFFIXES = (".tar",)


class InputError(ValueError):
    """An input that cannot be used: names it, and says what to do."""


def suffixes(config: SourceConfig) -> dict[str, tuple[str, ...]]:
    """What the names of a recipe's inputs end with, by their kind."""
    kinds: dict[str, tuple[str, ...]] = {
        "WARC": WARC_SUFFIXES,
        "HTML": HTML_SUFFIXES,
        "table": PAIR_TABLE_SUFFIXES if config.tables == "pairs" else PAGE_TABLE_SUFFIXES,
    }
    return {**kinds, "WAT": WAT_SUFFIXES, "archive": ARCHIVE_SUFFIXES} if config.pairs_of else kinds


def _known(config: SourceConfig) -> str:
    kinds = suffixes(config)
    names = ", ".join(f"*{suffix}" for kind, some in kinds.items() for suffix in (some if kind != "HTML" else some[:1]))
    also = ", or the output of img2dataset" if config.pairs_of else ""
    return f"{names}, or a folder of them{also}"


def plan_units(inputs: Sequence[str], base_url: str, config: SourceConfig) -> list[Unit]:
    """The units of all inputs, sorted by (name, start); the same for any order of `inputs`.

    Args:
        inputs: files, or folders of one kind: of WARC files, of saved HTML with its images, or of tables; where the
            recipe reads pairs also of WAT files, or what img2dataset wrote.
        base_url: address that stands for a folder of HTML; empty: one under the reserved domain .invalid.

    Raises:
        InputError: missing, empty, of unknown type or of several, without the columns needed, or two of one name.
    """
    if not inputs:
        raise InputError(f"no input given: name at least one of {_known(config)}")
    units = [unit for path in inputs for unit in _units(path, base_url, config)]
    for name in dict.fromkeys(name for unit in units for name in (unit.path, unit.name)):
        _usable(name)
    _refuse_twins(units)
    return sorted(units, key=lambda unit: (unit.name, unit.start))


def _refuse_twins(units: Sequence[Unit]) -> None:
    first = [unit for unit in units if unit.start == 0]
    by_name: dict[str, list[str]] = {}
    by_path: dict[str, list[str]] = {}
    addresses: Counter[str] = Counter()
    for unit in first:
        by_name.setdefault(unit.name, []).append(unit.path)
        by_path.setdefault(unit.path, []).append(unit.name)
        if unit.kind == "html":
            addresses[address(unit.base_url, unit.name if unit.single_file else "")] += 1
    for path, names in sorted(by_path.items()):
        if len(names) > 1:
            raise InputError(f"{path}: given {len(names)} times; give it once")
    for name, paths in sorted(by_name.items()):
        if len(paths) > 1:
            raise InputError(f"two inputs named {name}: {' and '.join(sorted(paths))}; rename one of them")
    for url, times in sorted(addresses.items()):
        if times > 1:
            raise InputError(
                f"{times} inputs would have the address {url}; leave out the base URL, or build one at a time"
            )


def read_unit(unit: Unit, config: SourceConfig) -> UnitReader:
    """The records of a unit; see `UnitReader.span` for what is known after them.

    Raises:
        OSError: while iterating, if the input itself cannot be read.
    """
    return UnitReader(_records(unit, config))


def _records(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    if unit.kind == "warc":
        return read_wat(unit, config) if unit.path.lower().endswith(WAT_SUFFIXES) else read_warc(unit, config)
    if unit.kind == "html":
        return read_html(unit, config)
    if unit.kind == "archive":
        return read_archive(unit, config)
    if unit.kind == "table":
        return read_pair_table(unit, config) if config.tables == "pairs" else read_table(unit, config)
    return read_shard_table(unit, config)


def _units(given: str, base_url: str, config: SourceConfig) -> Iterator[Unit]:
    path = _usable(given)
    known = tuple(suffix for some in suffixes(config).values() for suffix in some)
    if is_remote(path):
        is_folder = not path.lower().endswith(known)
        missing = not is_folder and not exists(path)
    else:
        is_folder, missing = Path(path).is_dir(), not Path(path).exists()
    if missing:
        raise InputError(f"{given}: no such file or folder; check the path")
    if is_folder:
        yield from _folder_units(path, base_url, config)
        return
    name = _name_of(path)
    if not path.lower().endswith(known):
        raise InputError(f"{given}: unknown type of input; give {_known(config)}{_pairs_hint(path, config)}")
    if path.lower().endswith(HTML_SUFFIXES):
        _refuse_pipe(path)
        folder = default_base_url(_name_of(path.rpartition("/")[0] or "."))
        yield Unit(kind="html", name=name, path=path, start=0, end=1, base_url=base_url or folder, single_file=True)
    else:
        yield from _file_units(path, name, config)


def _folder_units(path: str, base_url: str, config: SourceConfig) -> Iterator[Unit]:
    try:
        files = files_in(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; check that it can be read") from error
    if any(file.name == "manifest.json" for file in files) and any(file.name.startswith("shards/") for file in files):
        raise InputError(
            f"{path}: a data set that m3w build made, and no input; give what it was built from, which its "
            "manifest.json names under inputs (a recipe of pairs takes the same pages as one of pages)"
        )
    folder = _name_of(path)
    shards = shard_tables(files) if config.pairs_of else {}
    kinds = {
        kind: found
        for kind, some in suffixes(config).items()
        if (found := [file for file in files if file.name.lower().endswith(some) and file.name not in shards])
    }
    if shards:
        kinds.setdefault("archive", [])
    if "HTML" not in kinds:  # there each is counted as a record
        for file in files:
            if why := file.unreadable or (file.outside and Path(file.path).is_dir() and "it leads out of the folder"):
                raise InputError(f"{file.path}: {why}; make it readable, or give the files beside it one by one")
    if not kinds:
        hint = next((hint for file in files if (hint := _pairs_hint(file.name, config))), "")
        raise InputError(
            f"{path}: a folder with {len(files)} files and none of a known type; give {_known(config)}{hint}"
        )
    if len(kinds) > 1:
        counts = " and ".join(f"{len(found) or len(shards)} of kind {kind}" for kind, found in kinds.items())
        raise InputError(
            f"{path}: a folder with files of several kinds, {counts}; put each kind in a folder of its own"
        )
    if "HTML" not in kinds:
        for file in next(iter(kinds.values())):
            yield from _file_units(file.path, f"{folder}/{file.name}", config)
        for file in files:
            if kind := shards.get(file.name):
                yield from _shard_table_units(file.path, f"{folder}/{file.name}", kind, config)
        return
    count = config.html_files_per_unit
    base = base_url or default_base_url(folder)
    unit = Unit(kind="html", name=folder, path=path, start=0, end=0, base_url=base, listing=listing(files))
    for start in range(0, len(files), count):
        yield replace(unit, start=start, end=min(start + count, len(files)))


def shard_tables(files: Sequence[FolderFile]) -> dict[str, UnitKind]:
    """The Parquet files of a folder that img2dataset wrote for its shards, each beside a tar or a folder of its name.

    The folder of a shard of which nothing came is empty, so nothing of it is among `files`.
    """
    names = {file.name for file in files}
    folders = {file.name.rpartition("/")[0] for file in files}
    tables = [name for name in names if shard_folder(name) != name]
    found: dict[str, UnitKind] = {name: "failures" for name in tables if f"{shard_folder(name)}.tar" in names}
    others = [name for name in tables if name not in found and f"{shard_folder(name)}_stats.json" in names]
    if any(shard_folder(name) in folders for name in others):
        found.update(dict.fromkeys(others, "files"))
    return found


def _pairs_hint(path: str, config: SourceConfig) -> str:
    """What to say to who gives pairs to a recipe of pages."""
    of_pairs = (*PAIR_TABLE_SUFFIXES, *WAT_SUFFIXES, *ARCHIVE_SUFFIXES)
    if config.pairs_of or not path.lower().endswith(of_pairs) or path.lower().endswith(PAGE_TABLE_SUFFIXES):
        return ""
    return f". {_name_of(path)} is for a recipe of pairs or clips, such as align, ltip or vtp"


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What is wrong with a file that is looked into, as an error for the user."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = (isinstance(error, OSError) and error.strerror) or str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: {why}; check that the file is whole and can be read") from error


def _file_units(path: str, name: str, config: SourceConfig) -> Iterator[Unit]:
    with _told(path):
        _refuse_pipe(path)
        lower = path.lower()
        if lower.endswith((*WARC_SUFFIXES, *WAT_SUFFIXES)):
            yield from _warc_units(path, name, config)
        elif lower.endswith(ARCHIVE_SUFFIXES):
            yield Unit(kind="archive", name=name, path=path, start=0, end=size(path))
        else:
            yield from _table_units(path, name, config)


def _warc_units(path: str, name: str, config: SourceConfig) -> Iterator[Unit]:
    head, length = beginning(path, 4)
    compression = compression_of(name, head)
    # Only gzip members can be found from the middle of a file.
    parts = max(1, -(-length // config.range_bytes)) if compression == "gzip" else 1
    for start, end in pairwise(length * part // parts for part in range(parts + 1)):
        yield Unit(kind="warc", name=name, path=path, start=start, end=end)


def _table_units(path: str, name: str, config: SourceConfig) -> Iterator[Unit]:
    if config.tables == "pairs":
        try:
            ranges = pair_table_ranges(path, config)
        except ColumnsError as error:
            raise InputError(f"{path}: {error}") from error
    else:
        missing, columns = missing_columns(path, config)
        if missing:
            raise InputError(
                f"{path}: no column {' and no column '.join(missing)}; it has {', '.join(columns) or 'none'}. "
                "Name the right ones as url_column and html_column in the recipe's [source]; "
                "for a table of addresses with texts take a recipe of pairs or clips, such as align, ltip or vtp"
            )
        ranges = [(0, 1)] if path.lower().endswith(JSONL_SUFFIXES) else parquet_ranges(path, config.range_bytes)
    for start, end in ranges:
        yield Unit(kind="table", name=name, path=path, start=start, end=end)


def _shard_table_units(path: str, name: str, kind: UnitKind, config: SourceConfig) -> Iterator[Unit]:
    with _told(path):
        check_shard_table(path)
        for start, end in parquet_ranges(path, config.range_bytes):
            yield Unit(kind=kind, name=name, path=path, start=start, end=end)


def _refuse_pipe(path: str) -> None:
    """Reading a pipe or a device may never end, and a build reads twice."""
    if not is_remote(path) and not stat.S_ISREG(Path(path).stat().st_mode):
        raise InputError(f"{path}: not a regular file; save what it gives to one")


def _usable(given: str) -> str:
    try:
        return named(given)
    except ValueError as error:
        raise InputError(f"--input: {error}") from error


def _name_of(path: str) -> str:
    """The last part of a path, also of "." and ".."."""
    name = path.rpartition("/")[2]
    return name if is_remote(path) or name not in ("", ".", "..") else Path(path).resolve().name or "root"
