"""Trains the two forests, and writes them as integers."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from learn_extraction.pages import FOLDS, Page
from pipelines.extract.features import FEATURES
from pipelines.extract.forest import CERTAIN, Forest
from pipelines.extract.page_tree import Numbers
from pipelines.extract.second_look import SECOND, second_rows

ROUNDS = 160
SETTINGS: Mapping[str, Any] = {
    "objective": "cross_entropy",  # what is wanted is a share
    "num_leaves": 16,
    "learning_rate": 0.1,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "min_data_in_leaf": 60,
    "min_sum_hessian_in_leaf": 0.2,
    "lambda_l2": 2,
    "max_bin": 127,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_FIRST_COLUMNS, _ALL_COLUMNS = list(FEATURES), [*FEATURES, *SECOND]
_LEAF_UNIT = 4096  # of the logarithm of the odds
Rows = npt.NDArray[np.int32]


def fit_both(pages: Sequence[Page]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shapes of the forests for the first look and the second.

    The second learns from first scores of pages that the first had not seen: each fold's by a forest of the others.
    """
    first_rows = [page.values for page in pages]
    held_back: dict[int, Numbers] = {}
    for fold in range(FOLDS):
        others = [number for number, page in enumerate(pages) if page.fold != fold]
        shape = _fit([pages[n] for n in others], [first_rows[n] for n in others], _FIRST_COLUMNS)
        forest = Forest(shape, _FIRST_COLUMNS)
        for number, page in enumerate(pages):
            if page.fold == fold:
                held_back[number] = forest.score(page.rows.values, len(FEATURES), page.blocks.count)
    both = [
        np.concatenate([rows, second_columns(page, held_back[number])], axis=1)
        for number, (page, rows) in enumerate(zip(pages, first_rows, strict=True))
    ]
    return _fit(pages, first_rows, _FIRST_COLUMNS), _fit(pages, both, _ALL_COLUMNS)


def second_columns(page: Page, first: Numbers) -> Rows:
    count = page.blocks.count
    found = np.frombuffer(second_rows(page.rows, first), np.int32)
    return found[: count * len(SECOND)].reshape(count, len(SECOND))


def scores(page: Page, first: dict[str, Any], second: dict[str, Any]) -> Numbers:
    """Of a page's blocks, by two shapes."""
    count, width = page.blocks.count, len(FEATURES)
    look = Forest(first, _FIRST_COLUMNS).score(page.rows.values, width, count)
    more = second_rows(page.rows, look)
    return Forest(second, _ALL_COLUMNS).score(page.rows.values, width, count, more, len(SECOND))


def write(shape: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(shape, separators=(",", ":")) + "\n", "ascii")


def _fit(pages: Sequence[Page], rows: Sequence[Rows], columns: Sequence[str]) -> dict[str, Any]:
    wanted = np.concatenate([page.wanted for page in pages])
    weights = np.concatenate([page.weights for page in pages])
    used = weights > 0
    data = lightgbm.Dataset(np.concatenate(rows)[used], wanted[used], weight=weights[used], params=dict(SETTINGS))
    booster = lightgbm.train(dict(SETTINGS), data, ROUNDS)
    return as_integers(booster.dump_model(), columns)


def as_integers(model: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A model of LightGBM over whole numbers as the shape of a `Forest`."""
    shape: dict[str, Any] = {"features": list(columns)}
    names = ("columns", "thresholds", "lefts", "rights", "leaves", "roots")
    arrays: dict[str, list[int]] = {name: [] for name in names}

    def add(node: dict[str, Any]) -> int:
        if "leaf_value" in node:
            arrays["leaves"].append(round(node["leaf_value"] * _LEAF_UNIT))
            return -len(arrays["leaves"])
        number = len(arrays["columns"])
        arrays["columns"].append(node["split_feature"])
        arrays["thresholds"].append(math.floor(node["threshold"]))
        arrays["lefts"].append(0)
        arrays["rights"].append(0)
        arrays["lefts"][number] = add(node["left_child"])
        arrays["rights"][number] = add(node["right_child"])
        return number

    for tree in model["tree_info"]:
        arrays["roots"].append(add(tree["tree_structure"]))
    steps = [math.ceil(math.log(k / (CERTAIN - k)) * _LEAF_UNIT) for k in range(1, CERTAIN)]
    return {**shape, **arrays, "steps": steps}
