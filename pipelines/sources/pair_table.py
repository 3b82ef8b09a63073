"""Tables of pairs: Parquet, JSONL, CSV and TSV files with a column of image (or video) addresses and one of texts.

Which columns these are the recipe says, by lists of names of which the first that a table has is taken. So LAION, COYO,
DataComp and img2dataset's own tables need no word; nor do CC3M and CC12M, whose TSV has no header: a first row with
exactly one web address in it is a pair itself and no header.

Files whose rows are lines are read in ranges of bytes. CSV is one unit unless there is no quote in it: a line end
inside of quotes looks like the end of a row to who begins there. So is a .gz, which can only be read from its start.
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

from pipelines.sources.config import SourceConfig
from pipelines.sources.delimited import DELIMITED_SUFFIXES, can_be_cut, dialect_of, first_row, read_rows
from pipelines.sources.pair_fields import by_lower_name, pair
from pipelines.sources.parquet_rows import parquet_columns, parquet_ranges, parquet_rows
from pipelines.sources.records import SourceRecord, Span, Unreadable
from pipelines.sources.table import JSONL_SUFFIXES, json_columns
from pipelines.sources.text_lines import is_gzip, json_object, lines
from pipelines.sources.units import Unit
from pipelines.store.paths import size
from schemas.document import Source
from schemas.rejection import Rejected

PAIR_TABLE_SUFFIXES = (".parquet", *JSONL_SUFFIXES, *DELIMITED_SUFFIXES)
_BATCH_ROWS = 1024
_PROBED_ROWS = 100
_WEB_ADDRESS = re.compile(r"\s*https?://\S", re.IGNORECASE)
_PAIR = 2  # columns that a file without a header may have

Rows = Iterator[tuple[int, Mapping[str, Any] | Rejected]]
"""(row number of a Parquet file or byte offset in a text, its cells by names in lower case)."""


class ColumnsError(ValueError):
    """A table whose columns are not known; the message says which it has, and what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a CSV or TSV file."""

    names: Sequence[str]
    """In lower case; none for a file without rows."""
    given: bool
    """They stand in the first row, which is then no pair."""


def pair_table_ranges(path: str, config: SourceConfig) -> list[tuple[int, int]]:
    """The parts of a table: row groups of Parquet; bytes of a text; (0, 1) for a whole .gz.

    Raises:
        ColumnsError: without the columns needed.
        ValueError: no such table.
    """
    length = size(path)
    if not length:
        return [(0, 0)]
    _check_columns(path, config)
    if path.lower().endswith(".parquet"):
        return parquet_ranges(path, config.range_bytes)
    if is_gzip(path):
        return [(0, 1)]
    parts = -(-length // config.range_bytes)
    is_json = path.lower().endswith(JSONL_SUFFIXES)
    if parts > 1 and not is_json and not can_be_cut(path, dialect_of(path, config.tsv_quotes)):
        parts = 1
    return list(pairwise(length * part // parts for part in range(parts + 1)))


def _check_columns(path: str, config: SourceConfig) -> None:
    if path.lower().endswith(".parquet"):
        names: Sequence[str] = parquet_columns(path)
    elif path.lower().endswith(JSONL_SUFFIXES):
        probed = [row for _, row in islice(_json_rows(path, 0, None, config), _PROBED_ROWS)]
        if not probed:
            return
        names = json_columns(probed)
    else:
        header = header_of(path, config)
        if not header.names:
            return
        names = header.names
    known = {name.lower() for name in names}
    lacks = [
        f"no column of {what} ({', '.join(wanted)})"
        for what, wanted in (("addresses", config.url_columns), ("texts", config.text_columns))
        if known.isdisjoint(wanted)
    ]
    if lacks:
        raise ColumnsError(
            f"{' and '.join(lacks)}; it has {', '.join(names) or 'none'}. Name the right ones as url_columns and "
            "text_columns in the recipe's [source]"
        )


def header_of(path: str, config: SourceConfig) -> Header:
    """The columns of a CSV or TSV file, by its first row.

    Raises:
        ColumnsError: no header and not two columns.
        ValueError: no text in UTF-8.
    """
    row = first_row(path, dialect_of(path, config.tsv_quotes), config.max_row_bytes)
    addresses = [index for index, field in enumerate(row) if _WEB_ADDRESS.match(field)]
    if len(addresses) != 1:
        return Header([name.strip().lower() for name in row], given=True)
    if len(row) != _PAIR:
        raise ColumnsError(
            f"{len(row)} columns and no header: which of them is the text? Put a line with their names before the first"
        )
    url, text = config.url_columns[0], config.text_columns[0]
    return Header((url, text) if addresses == [0] else (text, url), given=False)


def read_pair_table(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """A pair or a refusal for each row; returns (start, end)."""
    empty = unit.start == 0
    for at, cells in _rows(unit, config):
        empty = False
        source = Source(file=unit.name, offset=at)
        yield Unreadable(rejected=cells, source=source) if isinstance(cells, Rejected) else pair(cells, source, config)
    if empty and not _goes_on(unit, config):
        yield Unreadable(rejected=Rejected("empty_file", "no rows"), source=Source(file=unit.name))
    return unit.start, unit.end


def _goes_on(unit: Unit, config: SourceConfig) -> bool:
    """Whether other units of the file have rows, so that it is not empty: its header may fill a small first range."""
    if unit.path.lower().endswith(".parquet"):
        return unit.end > 1
    rest = replace(unit, end=size(unit.path))
    return rest != unit and next(_rows(rest, config), None) is not None


def _rows(unit: Unit, config: SourceConfig) -> Rows:
    path = unit.path
    if path.lower().endswith(".parquet"):
        return _parquet_rows(unit, config)
    end = None if is_gzip(path) else unit.end
    if path.lower().endswith(JSONL_SUFFIXES):
        return ((at, _lower(row)) for at, row in _json_rows(path, unit.start, end, config))
    return _delimited_rows(path, unit.start, end, config)


def _parquet_rows(unit: Unit, config: SourceConfig) -> Rows:
    """Only the first of each list of columns is read."""
    if not size(unit.path):
        return
    there = {name.lower(): name for name in reversed(parquet_columns(unit.path))}
    lists = (
        config.url_columns,
        config.text_columns,
        config.page_url_columns,
        config.width_columns,
        config.height_columns,
    )
    wanted = [there[found] for names in lists if (found := next((name for name in names if name in there), ""))]
    for at, cells in parquet_rows(unit.path, unit.start, unit.end, wanted, _BATCH_ROWS):
        yield at, _lower(cells)


def _lower(cells: Mapping[str, Any] | Rejected) -> Mapping[str, Any] | Rejected:
    return cells if isinstance(cells, Rejected) else by_lower_name(cells)


def _json_rows(path: str, start: int, end: int | None, config: SourceConfig) -> Rows:
    for at, line in lines(path, start, end, config.max_row_bytes):
        if isinstance(line, Rejected):
            yield at, line
        elif line.strip():
            yield at, json_object(line)


def _delimited_rows(path: str, start: int, end: int | None, config: SourceConfig) -> Rows:
    header = header_of(path, config)
    dialect = dialect_of(path, config.tsv_quotes)
    rows = read_rows(path, start, end, dialect, config.max_row_bytes, len(header.names))
    if header.given and start == 0:
        next(rows, None)
    names = header.names
    for at, row in rows:
        if isinstance(row, Rejected):
            yield at, row
        else:
            cells: dict[str, str] = {}
            for name, field in zip(names, row, strict=True):
                cells.setdefault(name, field)
            yield at, cells
