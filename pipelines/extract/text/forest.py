"""Gradient-boosted trees in integers: thresholds, leaves and sums are whole numbers, so every machine agrees."""

import json
from array import array
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import cython

from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.features import DEPTH, LEAST

_INNER, _LEAVES = (1 << DEPTH) - 1, 1 << DEPTH
_PROBE = 40  # trees after which hopeless rows are let go
_HOPELESS = -14000  # the sum of their leaves is below this


class Forest:
    """Trees over rows of integers, each complete: DEPTH questions, whether a column's value is above a threshold.

    The inner nodes of a tree stand level by level, those below node n are 2n + 1 (no) and 2n + 2 (yes). The sum of the
    leaves, looked up among `steps`, is the score. So there is no branch to foretell, and no number that is not whole.
    """

    __slots__ = ("columns", "leaves", "steps", "thresholds")

    def __init__(self, shape: dict[str, Any], columns: Sequence[str]) -> None:
        """shape: as `learn_extraction` writes it. columns: what the values of a row are called, as in training."""
        if tuple(shape["features"]) != tuple(columns):
            raise ValueError("the forest was trained with other features than there are: train it again")
        self.columns = array("i", shape["columns"])
        self.thresholds = array("i", shape["thresholds"])
        self.leaves = array("i", shape["leaves"])
        self.steps = array("i", shape["steps"])
        """Ascending: the score is the number of steps that the sum is not below."""

    def score(self, rows: Numbers, width: int, count: int, before: Numbers | None = None) -> Numbers:
        """The scores of `count` rows of `width` values. before: their scores at a first look."""
        return _score(self, rows, width, count, before if before is not None else array("i", [LEAST]) * (count + 1))


def _score(forest: Forest, rows: Numbers, row_width: int, row_count: int, before: Numbers) -> Numbers:
    values: cython.int[:] = rows
    columns: cython.int[:] = forest.columns
    thresholds: cython.int[:] = forest.thresholds
    leaves: cython.int[:] = forest.leaves
    steps: cython.int[:] = forest.steps
    first_scores: cython.int[:] = before
    width: cython.int = row_width
    count: cython.int = row_count
    trees: cython.int = len(forest.leaves) // _LEAVES
    highest: cython.int = len(forest.steps)
    scores = array("i", bytes(4 * row_count + 4))
    out: cython.int[:] = scores
    row: cython.int
    tree: cython.int
    first: cython.int
    at: cython.int
    node: cython.int
    level: cython.int
    low: cython.int
    high: cython.int
    middle: cython.int
    total: cython.int
    for row in range(count):
        if first_scores[row] < LEAST:
            out[row] = first_scores[row]
            continue
        total = 0
        at = row * width
        for tree in range(trees):
            if tree == _PROBE and total < _HOPELESS:
                break
            first = tree * _INNER
            node = 0
            for level in range(DEPTH):  # noqa: B007
                node = 2 * node + 1 + (values[at + columns[first + node]] > thresholds[first + node])
            total += leaves[tree * _LEAVES + node - _INNER]
        low = 0
        high = highest
        while low < high:
            middle = (low + high) // 2
            if total >= steps[middle]:
                low = middle + 1
            else:
                high = middle
        out[row] = low
    return scores


def load(name: str, columns: Sequence[str]) -> Forest:
    """A forest that is shipped with the package."""
    text = files("pipelines.extract.text").joinpath("data", name).read_text("ascii")
    return Forest(json.loads(text), columns)
