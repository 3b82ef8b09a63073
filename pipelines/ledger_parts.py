"""The ledger split by key, for a machine that shuffles some keys at a time.

A media store keeps its ledger as it grew, a few hundred addresses of all keys in a file: each pass of a shuffle would
read all of it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.facts import LEDGER
from pipelines.store import paths
from pipelines.store.facts import read_table
from pipelines.store.work import Work

BATCH_ROWS = 100_000
"""Rows that are held at once: some 200 MB with their copies."""


def split_ledger(files: Sequence[str], work: Work) -> None:
    """Writes the rows of the ledger's files to the folders of their partitions, in place of those of before."""
    paths.delete_tree(work.path("facts", LEDGER.name))
    held: list[pa.Table] = []
    written = 0
    for number, path in enumerate(files):
        held.append(read_table(path, LEDGER.row))
        if sum(table.num_rows for table in held) >= BATCH_ROWS or number == len(files) - 1:
            _save(pa.concat_tables(held), work, f"split-{written:06d}")
            held, written = [], written + 1


def _save(table: pa.Table, work: Work, name: str) -> None:
    first = pc.utf8_slice_codeunits(table["url_key"], 0, 8).to_pylist()
    keys = np.frombuffer(bytes.fromhex("".join(first)), ">u4").astype(np.uint64)
    places = (keys * np.uint64(work.partitions)) >> np.uint64(32)  # pipelines.facts.partition
    order = np.argsort(places, kind="stable")
    ordered, sorted_places = table.take(order), places[order]
    for place in np.unique(places):
        begin, end = np.searchsorted(sorted_places, [place, place + 1])
        with paths.publishing(work.path("facts", LEDGER.name, str(place), f"{name}.parquet")) as stream:
            pq.write_table(ordered.slice(begin, end - begin), stream, compression="zstd")
