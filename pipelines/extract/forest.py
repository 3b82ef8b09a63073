"""Gradient-boosted trees in integers: thresholds, leaves and sums are whole numbers, so every machine agrees."""

import json
from array import array
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import cython

from pipelines.extract.page_tree import Numbers

CERTAIN = 1000
"""Scores are 0..CERTAIN."""


class Forest:
    """Trees over rows of integers.

    An inner node asks whether a column's value is at most its threshold; yes goes to its left. A number below 0 is the
    complement of a leaf's. The sum of the leaves, looked up among `steps`, is the score.
    """

    __slots__ = ("columns", "leaves", "lefts", "rights", "roots", "steps", "thresholds")

    def __init__(self, shape: dict[str, Any], columns: Sequence[str]) -> None:
        """shape: as `learn_extraction` writes it. columns: what the values of a row are called, as in training."""
        if tuple(shape["features"]) != tuple(columns):
            raise ValueError("the forest was trained with other features than there are: train it again")
        self.columns = array("i", shape["columns"])
        self.thresholds = array("i", shape["thresholds"])
        self.lefts = array("i", shape["lefts"])
        self.rights = array("i", shape["rights"])
        self.leaves = array("i", shape["leaves"])
        self.roots = array("i", shape["roots"])
        self.steps = array("i", shape["steps"])
        """Ascending: the score is the number of steps that the sum is not below."""

    def score(self, rows: Numbers, width: int, count: int, more: Numbers | None = None, more_width: int = 0) -> Numbers:
        """The scores of `count` rows; `more` holds further columns of each."""
        return _score(self, rows, width, count, more if more is not None else array("i", [0]), more_width)


def _score(forest: Forest, first: Numbers, first_width: int, rows: int, second: Numbers, second_width: int) -> Numbers:
    values: cython.int[:] = first
    more: cython.int[:] = second
    columns: cython.int[:] = forest.columns
    thresholds: cython.int[:] = forest.thresholds
    lefts: cython.int[:] = forest.lefts
    rights: cython.int[:] = forest.rights
    leaves: cython.int[:] = forest.leaves
    roots: cython.int[:] = forest.roots
    steps: cython.int[:] = forest.steps
    width: cython.int = first_width
    more_width: cython.int = second_width
    count: cython.int = rows
    trees: cython.int = len(forest.roots)
    highest: cython.int = len(forest.steps)
    scores = array("i", bytes(4 * rows + 4))
    out: cython.int[:] = scores
    row: cython.int
    tree: cython.int
    node: cython.int
    column: cython.int
    value: cython.int
    low: cython.int
    high: cython.int
    middle: cython.int
    total: cython.int
    for row in range(count):
        total = 0
        for tree in range(trees):
            node = roots[tree]
            while node >= 0:
                column = columns[node]
                value = values[row * width + column] if column < width else more[row * more_width + column - width]
                node = lefts[node] if value <= thresholds[node] else rights[node]
            total += leaves[-1 - node]
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
    text = files("pipelines.extract").joinpath("data", name).read_text("ascii")
    return Forest(json.loads(text), columns)
