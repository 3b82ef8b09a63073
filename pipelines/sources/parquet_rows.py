"""Rows of Parquet files, by row groups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.store.paths import open_read, size
from schemas.rejection import Rejected

_AT_ONCE_BYTES = 1 << 23  # of a batch that is turned into Python values as a whole, which is much faster


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


def parquet_columns(path: str) -> list[str]:
    """Names of the columns; none for a file of 0 bytes.

    Raises:
        ValueError: no Parquet file.
    """
    if not size(path):
        return []
    with _parquet(path) as file:
        return list(file.schema_arrow.names)


def parquet_rows(
    path: str, start: int, end: int, wanted: Sequence[str], batch_rows: int
) -> Iterator[tuple[int, Mapping[str, Any] | Rejected]]:
    """(row number in the file, its cells) for the row groups [start, end), those of a damaged one as one refusal.

    Text that is not UTF-8 comes as bytes, a time that Python cannot hold as None.
    """
    if not size(path):
        return
    with _parquet(path) as file:
        columns = [name for name in file.schema_arrow.names if name in wanted]
        number = sum(file.metadata.row_group(index).num_rows for index in range(start))
        for index in range(start, end):
            after = number + file.metadata.row_group(index).num_rows
            try:
                for cells in _cells(file, index, columns, batch_rows):
                    yield number, cells
                    number += 1
            except (pa.ArrowException, OSError) as error:
                yield number, Rejected("corrupt_row_group", f"rows {number} to {after - 1}: {error}")
            number = after


def _cells(file: pq.ParquetFile, index: int, wanted: list[str], batch_rows: int) -> Iterator[Mapping[str, Any]]:
    for batch in file.iter_batches(batch_size=batch_rows, row_groups=[index], columns=wanted, use_threads=False):
        names, columns = batch.schema.names, batch.columns
        if batch.nbytes <= _AT_ONCE_BYTES:
            try:
                for cells in zip(*[column.to_pylist() for column in columns], strict=True):
                    yield dict(zip(names, cells, strict=True))
                continue
            except (ValueError, OverflowError, LookupError):  # also invalid UTF-8: one cell must not cost all of them
                pass
        for row in range(batch.num_rows):
            yield {name: _cell(column, row) for name, column in zip(names, columns, strict=True)}


def _cell(column: Any, row: int) -> Any:
    try:
        return column[row].as_py()
    except UnicodeDecodeError:
        return column[row].as_buffer().to_pybytes()
    except (ValueError, OverflowError, LookupError):  # a time that Python cannot hold, or of an unknown zone
        return None


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
