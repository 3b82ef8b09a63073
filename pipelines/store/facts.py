"""Fact files: Parquet, one for each part of a job and partition, written whole and sorted."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.store import paths

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_BATCH_ROWS = 8192


class FactsError(RuntimeError):
    """A fact file that is damaged; the message names it and the cure."""


@lru_cache
def arrow_schema(row: type) -> pa.Schema:
    """The Parquet schema of a NamedTuple of plain values."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in get_type_hints(row).items()])


def write_rows(path: str, row: type, rows: Iterable[tuple[Any, ...]]) -> int:
    """Writes sorted rows under `path`, whole or not at all; how many."""
    schema = arrow_schema(row)
    ordered = sorted(rows)
    columns = list(zip(*ordered, strict=True)) or [()] * len(schema)
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
    with paths.publishing(path) as stream:
        pq.write_table(table, stream, compression="zstd")
    return len(ordered)


def read_rows(path: str, row: type) -> Iterator[tuple[Any, ...]]:
    """The rows of a fact file as plain tuples, in order."""
    names = arrow_schema(row).names
    with _reading(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def read_table(path: str, row: type) -> pa.Table:
    """A fact file as a table of Arrow."""
    with _reading(path) as file:
        return file.read(columns=arrow_schema(row).names)


def count_rows(path: str) -> int:
    with _reading(path) as file:
        return int(file.metadata.num_rows)


def sum_column(path: str, column: str) -> int:
    """The sum of an integer column."""
    with _reading(path) as file:
        return sum(sum(batch.column(0).to_pylist()) for batch in file.iter_batches(columns=[column]))


def sums_by(path: str, key: str, column: str) -> dict[str, tuple[int, int]]:
    """For each value of a column of texts: how many rows have it, and the sum of an integer column of these."""
    found: dict[str, tuple[int, int]] = {}
    with _reading(path) as file:
        for batch in file.iter_batches(columns=[key, column]):
            table = pa.Table.from_batches([batch]).group_by(key).aggregate([(column, "count"), (column, "sum")])
            for row in table.to_pylist():
                count, total = found.get(row[key], (0, 0))
                found[row[key]] = (count + row[f"{column}_count"], total + row[f"{column}_sum"])
    return found


@contextmanager
def _reading(path: str) -> Iterator[pq.ParquetFile]:
    """The file, open; what it raises for damage says which file and what to do."""
    try:
        with paths.open_read(path) as stream:
            yield pq.ParquetFile(stream)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        said = str(error).partition("\n")[0]
        kept = "/ledger/" in path  # the media store's: --fresh does not touch it
        cure = "delete it: its images are then fetched again" if kept else "the same command with --fresh begins anew"
        raise FactsError(f"{path} is damaged ({said}); {cure}") from error


def digest_of(path: str) -> tuple[int, str]:
    """Bytes and SHA-256 of a file."""
    state, size = sha256(), 0
    with paths.open_read(path) as stream:
        while block := stream.read(1 << 20):
            state.update(block)
            size += len(block)
    return size, state.hexdigest()
