"""Beam transforms of the deduplication: groups whose size does not grow with the crawl."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import apache_beam as beam

Tagged = tuple[str, tuple[Any, ...], tuple[Any, ...]]
"""(tag, rank, row): what is grouped. Rows of one tag are kept in the order of rank, then row."""


class Group(NamedTuple):
    """The rows of one key and tag."""

    total: int
    """All rows there were."""
    rows: list[Any]
    """The smallest of them, up to the tag's limit, in order."""


class SmallestRows(beam.CombineFn):
    """For each tag the smallest rows up to a limit, and how many there were in all.

    The state of a key is bounded by the limits, however hot the key is: a tracking pixel that stands on every page
    costs no more than a picture seen twice. The result does not depend on order or bundles.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)

    def create_accumulator(self) -> dict[str, Any]:
        return {}

    def add_input(self, accumulator: dict[str, Any], element: Tagged) -> dict[str, Any]:
        tag, rank, row = element
        count, rows = accumulator.get(tag, (0, []))
        rows.append((rank, row))
        accumulator[tag] = (count + 1, self._cut(rows, tag) if len(rows) > 2 * self.limits[tag] else rows)
        return accumulator

    def merge_accumulators(self, accumulators: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for accumulator in accumulators:
            for tag, (count, rows) in accumulator.items():
                before, others = merged.get(tag, (0, []))
                merged[tag] = (before + count, self._cut(others + rows, tag))
        return merged

    def extract_output(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        return {tag: (count, [row for _, row in self._cut(rows, tag)]) for tag, (count, rows) in accumulator.items()}

    def _cut(self, rows: list[Any], tag: str) -> list[Any]:
        return sorted(rows)[: self.limits[tag]]
