"""Beam's Prism, which has no code in common with the local engine, gives the same bytes (make test-prism)."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from builds import build_in, digests

from pipelines.engine import BeamEngine, Engine, engine

PRISM = Path(__file__).parents[2] / "build/prism"

pytestmark = pytest.mark.skipif(not PRISM.exists(), reason="`make test-prism` builds Prism, which needs Go")


@pytest.fixture
def prism() -> Iterator[Engine]:
    logging.getLogger("apache_beam.utils.subprocess_server").setLevel(logging.ERROR)  # at exit it tells what it ends
    made = engine(1, ["--runner=PrismRunner", f"--prism_location={PRISM}"])
    assert isinstance(made, BeamEngine)
    yield made
    made.close()


def test_the_same_bytes(reference: Path, crawl: Path, recipe: Path, prism: Engine, tmp_path: Path) -> None:
    output = build_in(tmp_path / "out", crawl, recipe, prism)
    assert digests(output) == digests(reference)
    assert json.loads((output / "run.json").read_text())["engine"] == "BeamEngine"


def test_a_unit_that_raises_is_told_with_its_words(prism: Engine) -> None:
    with pytest.raises(RuntimeError, match=r"JSONDecodeError: Expecting value: line 1 column 1") as raised:
        prism.for_each("units", json.loads, [{"s": "[]"}, {"s": "?"}])
    assert "Traceback" not in str(raised.value)
