"""Scorers of pairs by name: what they may give, which reason fires, and what is told at the start."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
from PIL import Image

from pipelines.filters.similarity import (
    Pair,
    ScorerError,
    SimilarityConfig,
    check_scorer,
    judge_similarity,
    load_scorer,
    scorer_file,
    similarities,
)
from schemas.rejection import Rejected

CONFIG = SimilarityConfig(scorer="colour_scorer:load", model="", weights="", device="cpu", batch_size=4, min_score=0.8)


def pair(text: str, colour: str = "#dc1e1e") -> Pair:
    return Image.new("RGB", (40, 30), colour), text


def reasons(found: Sequence[float | Rejected], config: SimilarityConfig = CONFIG) -> list[str]:
    judged = [judge_similarity(score, config) for score in found]
    return [one.reason if isinstance(one, Rejected) else "passed" for one in judged]


def test_each_pair_gets_its_own_score() -> None:
    found = similarities([pair("a red wall"), pair("a blue wall"), pair("a wall")], CONFIG)
    assert found == [1.0, 0.2549, 0.0]
    assert reasons(found) == ["passed", "low_similarity", "low_similarity"]


def test_a_pair_that_cannot_be_scored_costs_no_other() -> None:
    batch = [pair("a red wall"), pair("an unlucky red wall"), pair("an undefined red wall"), pair("a red door")]
    found = similarities(batch, CONFIG)
    assert reasons(found) == ["passed", "unscorable", "unscorable", "passed"]
    assert isinstance(found[1], Rejected) and found[1].detail == "ValueError: what an unlucky text"
    assert isinstance(found[2], Rejected) and found[2].detail == "score nan"


@pytest.mark.parametrize(("score", "passes"), [(0.8, True), (0.7999, False), (-1.0, False), (7.0, True)])
def test_the_limit(score: float, passes: bool) -> None:
    judged = judge_similarity(score, CONFIG)
    assert judged == score if passes else judged == Rejected("low_similarity", f"{score:.4f}, at least 0.8")


def test_scores_have_four_decimals_and_are_judged_so() -> None:
    (found,) = similarities([pair("a red wall", "#d01e1e")], CONFIG)
    assert found == 0.9529
    assert judge_similarity(found, replace(CONFIG, min_score=0.9529)) == found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("short", "0 scores for 1 pairs"),
        ("long", "2 scores for 1 pairs"),
        ("long batch", "9 scores for 2 pairs"),
        ("nan", "score nan"),
        ("text", "'0.5' is no number"),
        ("bool", "True is no number"),
        ("nothing", "TypeError: 'NoneType' object is not iterable"),
        ("raises", "ZeroDivisionError"),
        ("no function", "gave 0.5, which is no function of pairs"),
        ("cannot be made", "OSError: no such model"),
    ],
)
def test_a_scorer_that_does_not_work_is_told_before_a_build(model: str, said: str) -> None:
    config = replace(CONFIG, scorer="colour_scorer:wrong", model=model)
    with pytest.raises(ScorerError) as raised:
        check_scorer(config)
    assert "[similarity] scorer 'colour_scorer:wrong'" in str(raised.value) and said in str(raised.value)


@pytest.mark.parametrize("model", ["short", "long", "nan", "text", "bool", "nothing", "raises"])
def test_what_is_no_score_never_passes(model: str) -> None:
    config = replace(CONFIG, scorer="colour_scorer:wrong", model=model, min_score=-1e9)
    assert reasons(similarities([pair("a"), pair("b")], config), config) == ["unscorable"] * 2


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ("no_such_module:load", "No module named 'no_such_module'; install it, or add its folder to PYTHONPATH"),
        ("colour_scorer:nothing", "has no attribute 'nothing'"),
        ("json:loads", "TypeError"),
    ],
)
def test_a_scorer_that_is_not_there_is_named(scorer: str, said: str) -> None:
    with pytest.raises(ScorerError) as raised:
        check_scorer(replace(CONFIG, scorer=scorer))
    assert repr(scorer) in str(raised.value) and said in str(raised.value)


def test_a_scorer_that_works_is_made_once() -> None:
    check_scorer(CONFIG)
    assert load_scorer(CONFIG) is load_scorer(replace(CONFIG))
    file = scorer_file(CONFIG)
    assert file is not None and file.name == "colour_scorer.py"
    assert scorer_file(replace(CONFIG, scorer="sys:exit")) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scorer", ""),
        ("scorer", "clip"),
        ("scorer", "a.b:"),
        ("scorer", ":c"),
        ("scorer", "a.b:c.d"),
        ("scorer", "/a/b.py:c"),
        ("batch_size", 0),
        ("min_score", float("nan")),
        ("min_score", float("inf")),
    ],
)
def test_a_value_that_does_not_fit_names_its_key(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{key}: "):
        replace(CONFIG, **{key: value})  # type: ignore[arg-type]


def test_none_is_off() -> None:
    assert CONFIG.on and not replace(CONFIG, scorer="none").on


def test_open_clip_that_is_not_installed_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    config = replace(CONFIG, scorer="pipelines.filters.similarity_open_clip:load")
    with pytest.raises(ScorerError, match=r"open_clip is not installed; pip install \"openm3w\[similarity\]\""):
        check_scorer(config)
    file = scorer_file(config)
    assert file is not None and file.name == "similarity_open_clip.py"
