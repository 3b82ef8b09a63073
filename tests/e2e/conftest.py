"""Builds that several end-to-end tests look at; none of them may change what stands there."""

from pathlib import Path

import pytest
from builds import build_in, write_recipe
from crawls import CRAWL, cut, small


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "test.toml")


@pytest.fixture(scope="session")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cut of the demo crawl."""
    return cut(tmp_path_factory.mktemp("crawl") / "crawl.warc.gz", small)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, crawl: Path, recipe: Path) -> Path:
    """The small cut, built by one worker in memory."""
    return build_in(tmp_path_factory.mktemp("reference") / "out", crawl, recipe)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole demo crawl, by a recipe that lets the pages with defective images through.

    The demo's own recipe drops some of them for their language or their text before their images are looked at.
    """
    folder = tmp_path_factory.mktemp("demo")
    recipe = write_recipe(
        folder / "lenient.toml",
        source={"range_bytes": 4_000_000},
        shards={"max_bytes": 8_000_000},
        extract={"images": '"optional"'},
        language={"min_score": 0.3},
        gopher_quality={"min_letter_words": 0.55},
        image_filter={"max_ratio": 10.0},
    )
    return build_in(folder / "out", CRAWL, recipe)
