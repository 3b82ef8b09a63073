"""The flow of a recipe."""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines import m3w, pairs, videos
from pipelines.flow import Flow
from pipelines.recipe import Recipe

MAKERS: Mapping[str, Callable[[Any], Flow]] = {"pages": m3w.flow, "pairs": pairs.flow, "clips": videos.flow}


def flow_of(recipe: Recipe) -> Flow:
    return MAKERS[recipe.flow](recipe)
