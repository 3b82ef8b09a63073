"""Trains the two forests, and writes them as integers."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from learn_extraction.measure import word_f1
from learn_extraction.pages import FOLDS, Page
from pipelines.extract.html.page_tree import Numbers
from pipelines.extract.text.features import CERTAIN, DEPTH, FEATURES, LEAST, SECOND, WIDTH
from pipelines.extract.text.forest import Forest
from pipelines.extract.text.second_look import look_again

ROUNDS = 160
SETTINGS: Mapping[str, Any] = {
    "objective": "cross_entropy",  # what is wanted is a share
    "num_leaves": 16,
    "max_depth": DEPTH,
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
ALL = (*FEATURES, *SECOND)
_LEAF_UNIT = 4096  # of the logarithm of the odds
_LEAST_TRUST = 0.1


def fit_both(pages: Sequence[Page]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shapes of the forests for the first look and the second.

    The second learns from first scores of pages that the first had not seen: each fold's by a forest of the others.
    Where those scores and a page's annotation disagree, the annotation is often to blame, and weighs less.
    """
    for page in pages:
        page.trust = 1.0
    seen = [np.ones(page.blocks.count, bool) for page in pages]
    for fold in range(FOLDS):
        others = [number for number, page in enumerate(pages) if page.fold != fold]
        forest = Forest(_fit([pages[n] for n in others], [seen[n] for n in others], FEATURES), FEATURES)
        for page in pages:
            if page.fold == fold:
                page.first = forest.score(page.rows.values, WIDTH, page.blocks.count)
    shape = _fit(pages, seen, FEATURES)
    for page in pages:
        look_again(page.rows, page.first)
        page.trust = max(_LEAST_TRUST, word_f1(page, page.first))
    again = [np.array(page.first[: page.blocks.count]) >= LEAST for page in pages]
    return shape, _fit(pages, again, ALL)


def scores(page: Page, first: Forest, second: Forest) -> Numbers:
    """Of a page's blocks."""
    look = first.score(page.rows.values, WIDTH, page.blocks.count)
    look_again(page.rows, look)
    return second.score(page.rows.values, WIDTH, page.blocks.count, look)


def write(shape: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(shape, separators=(",", ":")) + "\n", "ascii")


def _fit(pages: Sequence[Page], used: Sequence[npt.NDArray[np.bool_]], columns: Sequence[str]) -> dict[str, Any]:
    """used: of each page, the blocks to learn from."""
    pairs = [(page, mask & (page.weights > 0)) for page, mask in zip(pages, used, strict=True)]
    rows = np.concatenate([page.values[mask, : len(columns)] for page, mask in pairs])
    wanted = np.concatenate([page.wanted[mask] for page, mask in pairs])
    weights = np.concatenate([page.weights[mask] * page.trust for page, mask in pairs])
    data = lightgbm.Dataset(rows, wanted, weight=weights, params=dict(SETTINGS))
    return as_integers(lightgbm.train(dict(SETTINGS), data, ROUNDS).dump_model(), columns)


def as_integers(model: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A model of LightGBM over whole numbers as the shape of a `Forest`: every tree filled up to DEPTH questions."""
    inner, leaves = 2**DEPTH - 1, 2**DEPTH
    trees = model["tree_info"]
    asked, thresholds, values = [0] * (inner * len(trees)), [0] * (inner * len(trees)), [0] * (leaves * len(trees))

    def fill(number: int, place: int, node: dict[str, Any]) -> None:
        if place >= inner:
            values[number * leaves + place - inner] = round(node["leaf_value"] * _LEAF_UNIT)
            return
        below = (node, node)
        if "split_feature" in node:
            asked[number * inner + place] = node["split_feature"]
            thresholds[number * inner + place] = math.floor(node["threshold"])
            below = (node["left_child"], node["right_child"])
        for side, child in enumerate(below, 1):
            fill(number, 2 * place + side, child)

    for number, tree in enumerate(trees):
        fill(number, 0, tree["tree_structure"])
    steps = [math.ceil(math.log(k / (CERTAIN - k)) * _LEAF_UNIT) for k in range(1, CERTAIN)]
    return {"features": list(columns), "columns": asked, "thresholds": thresholds, "leaves": values, "steps": steps}
