"""Tables of web pages: Parquet and JSONL files with a column of addresses and one of HTML."""

import gzip
import json
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.config import SourceConfig
from pipelines.sources.http_body import kind_of, media_type
from pipelines.sources.records import RawPage, SourceRecord, Span, Unreadable
from pipelines.sources.units import Unit
from pipelines.store.paths import open_read, size
from schemas.document import Source
from schemas.rejection import Rejected

JSONL_SUFFIXES = (".jsonl", ".jsonl.gz")
_BATCH_ROWS = 64
_PROBED_ROWS = 100


def parquet_ranges(path: str, range_bytes: int) -> list[tuple[int, int]]:
    """Runs of row groups of about `range_bytes` stored bytes each, as (first, end).

    Raises:
        ValueError: no Parquet file.
    """
    if not size(path):
        return [(0, 0)]
    with _parquet(path) as file:
        sizes = [_stored_bytes(file.metadata.row_group(index)) for index in range(file.metadata.num_row_groups)]
    ranges: list[tuple[int, int]] = []
    first = held = 0
    for index, stored in enumerate(sizes):
        held += stored
        if held >= range_bytes:
            ranges.append((first, index + 1))
            first, held = index + 1, 0
    if first < len(sizes) or not ranges:
        ranges.append((first, len(sizes)))
    return ranges


def missing_columns(path: str, config: SourceConfig) -> tuple[list[str], list[str]]:
    """Columns that a table must have and has not, and those it has. For JSONL by its first 100 rows; without rows none.

    Raises:
        ValueError: no such table.
    """
    if not size(path):
        return [], []
    if path.lower().endswith(JSONL_SUFFIXES):
        probed = [row for _, row in islice(_json_rows(path, "", config), _PROBED_ROWS)]
        if not probed:
            return [], []
        rows = [row for row in probed if not isinstance(row, Unreadable)]
        if not rows:
            why = next(row.rejected.detail for row in probed if isinstance(row, Unreadable))
            raise ValueError(f"none of the first {len(probed)} lines is a JSON object: {why}")
        columns = list(dict.fromkeys(name for row in rows for name in row))
    else:
        with _parquet(path) as file:
            columns = list(file.schema_arrow.names)
    return [name for name in (config.url_column, config.html_column) if name not in columns], columns


def read_table(unit: Unit, config: SourceConfig) -> Generator[SourceRecord, None, Span]:
    """A page or a refusal for each row; returns (start, end)."""
    empty = True
    for record in _rows(unit, config):
        empty = False
        yield record
    if empty:
        yield Unreadable(rejected=Rejected("empty_file", "no rows"), source=Source(file=unit.name, offset=unit.start))
    return unit.start, unit.end


def _rows(unit: Unit, config: SourceConfig) -> Iterator[SourceRecord]:
    if unit.path.lower().endswith(JSONL_SUFFIXES):
        for number, row in _json_rows(unit.path, unit.name, config):
            yield row if isinstance(row, Unreadable) else _page(row, Source(file=unit.name, offset=number), config)
        return
    if not size(unit.path):
        return
    with _parquet(unit.path) as file:
        number = sum(file.metadata.row_group(index).num_rows for index in range(unit.start))
        for index in range(unit.start, unit.end):
            end = number + file.metadata.row_group(index).num_rows
            try:
                for cells in _parquet_rows(file, index, config):
                    yield _page(cells, Source(file=unit.name, offset=number), config)
                    number += 1
            except (pa.ArrowException, OSError) as error:
                lost = Rejected("corrupt_row_group", f"rows {number} to {end - 1}: {error}")
                yield Unreadable(rejected=lost, source=Source(file=unit.name, offset=number))
            number = end


def _parquet_rows(file: pq.ParquetFile, index: int, config: SourceConfig) -> Iterator[Mapping[str, Any]]:
    wanted = (config.url_column, config.html_column, *config.date_columns, config.content_type_column)
    columns = [name for name in file.schema_arrow.names if name in wanted]
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[index], columns=columns, use_threads=False):
        # Not the whole batch at once: invalid UTF-8 in one cell would lose all of them.
        for row in range(batch.num_rows):
            yield {name: _cell(batch.column(place), row) for place, name in enumerate(batch.schema.names)}


def _cell(column: Any, row: int) -> Any:
    try:
        return column[row].as_py()
    except UnicodeDecodeError:
        return column[row].as_buffer().to_pybytes()
    except (ValueError, OverflowError, LookupError):  # a time that Python cannot hold, or of an unknown zone
        return None


def _json_rows(path: str, name: str, config: SourceConfig) -> Iterator[tuple[int, Mapping[str, Any] | Unreadable]]:
    """(row number, row) for each line that is not blank."""
    # JSON writes a byte of HTML in up to six ("\\u003c"), and has other columns.
    limit = 8 * config.max_body_bytes
    number = 0
    with open_read(path) as stored:
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if path.lower().endswith(".gz") else stored
        while True:
            source = Source(file=name, offset=number)
            try:
                line = stream.readline(limit)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                lost = Rejected("corrupt_file", f"from row {number} on: {error}")
                yield number, Unreadable(rejected=lost, source=source)
                return
            if not line:
                return
            if len(line) >= limit and not line.endswith(b"\n"):
                while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                    pass
                yield number, Unreadable(rejected=Rejected("too_large", f"a line above {limit} bytes"), source=source)
            elif line.strip():
                yield number, _json_row(line, source)
            number += 1


def _json_row(line: bytes, source: Source) -> Mapping[str, Any] | Unreadable:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Unreadable(rejected=Rejected("bad_json", str(error)), source=source)
    if not isinstance(row, dict):
        return Unreadable(rejected=Rejected("bad_json", f"{type(row).__name__}, not an object"), source=source)
    return row


def _page(row: Mapping[str, Any], source: Source, config: SourceConfig) -> SourceRecord:
    date = next((row[name] for name in config.date_columns if row.get(name) is not None), "")
    source = Source(file=source.file, offset=source.offset, date=_date(date))
    url, html = row.get(config.url_column), row.get(config.html_column)
    content_type = row.get(config.content_type_column)
    content_type = content_type if isinstance(content_type, str) else ""

    shown = url.encode("utf-8", "backslashreplace").decode() if isinstance(url, str) else ""

    def refuse(reason: str, detail: str = "") -> Unreadable:
        return Unreadable(rejected=Rejected(reason, detail), url=shown, source=source)

    if not isinstance(url, str) or not url.strip():
        return refuse("missing_url", f"column {config.url_column} holds {_named(url)}")
    if shown != url:
        return refuse("bad_url", "it holds half of a surrogate pair, which is no character")
    if not isinstance(html, str | bytes):
        return refuse("missing_html", f"column {config.html_column} holds {_named(html)}")
    if isinstance(html, str):
        # Text is decoded already: whatever its <meta> or Content-Type says of an encoding no longer holds.
        html = html.encode("utf-8", "replace")
        content_type = f"{media_type(content_type) or 'text/html'}; charset=utf-8"
    if not html.strip():
        return refuse("empty_body")
    if len(html) > config.max_body_bytes:
        return refuse("too_large", f"{len(html)} bytes, at most {config.max_body_bytes}")
    if (kind := kind_of("", content_type or "text/html", html)) != "html":
        return refuse("not_html", kind)
    return RawPage(url=url.strip(), body=html, content_type=content_type, source=source)


def _named(value: object) -> str:
    return "nothing" if value is None or value == "" else type(value).__name__


def _date(value: object) -> str:
    """ISO 8601 in UTC; times without a zone are taken for UTC, as tables of crawls have them."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return ""
    if not isinstance(value, datetime):
        return ""
    try:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:  # the first or last hours that can be told
        return ""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _stored_bytes(group: pq.RowGroupMetaData) -> int:
    return sum(group.column(index).total_compressed_size for index in range(group.num_columns))


@contextmanager
def _parquet(path: str) -> Iterator[pq.ParquetFile]:
    with open_read(path) as stream:
        try:
            file = pq.ParquetFile(stream, pre_buffer=False)
        except pa.ArrowException as error:
            raise ValueError(f"{path}: no readable Parquet file: {error}") from error
        with file:
            yield file
