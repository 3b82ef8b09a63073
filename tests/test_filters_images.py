"""Rules on an image, from the facts of its decode."""

from dataclasses import replace

import pytest

from pipelines.filters.images import ImageFacts, ImageFilterConfig, ImageSafetyConfig, judge_image, judge_safety
from schemas.rejection import Rejected

FACTS = ImageFacts(width=640, height=480, format="jpeg", bytes=50_000, deviation=60.0, dominant_share=0.05, nsfw=0.01)
CONFIG = ImageFilterConfig(
    formats=("jpeg", "png"),
    min_bytes=100,
    min_side=64,
    max_side=20_000,
    max_ratio=3.0,
    min_deviation=1.0,
    max_dominant_share=0.99,
)
SAFETY = ImageSafetyConfig(scorer="opennsfw", max_score=0.8, scope="document")
NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "passed"),
        ({"format": "bmp"}, "unwanted_format"),
        ({"bytes": 99}, "too_few_bytes"),
        ({"bytes": 100}, "passed"),
        ({"width": 64, "height": 64}, "passed"),
        ({"width": 63, "height": 64}, "image_too_small"),
        ({"width": 64, "height": 63}, "image_too_small"),
        ({"width": 0, "height": 0}, "image_too_small"),
        ({"width": 20_000, "height": 20_000}, "passed"),
        ({"width": 20_001, "height": 20_000}, "image_too_large"),
        ({"width": 20_000, "height": 20_001}, "image_too_large"),
        ({"width": 300, "height": 100}, "passed"),
        ({"width": 301, "height": 100}, "aspect_ratio"),
        ({"width": 100, "height": 301}, "aspect_ratio"),
        ({"deviation": 1.0}, "passed"),
        ({"deviation": 0.9}, "single_colour"),
        ({"deviation": NAN}, "single_colour"),
        ({"dominant_share": 0.99}, "passed"),
        ({"dominant_share": 0.991}, "single_colour"),
        ({"dominant_share": NAN}, "single_colour"),
    ],
)
def test_image_reason(changes: dict[str, float], expected: str) -> None:
    result = judge_image(replace(FACTS, **changes), CONFIG)  # type: ignore[arg-type]
    assert (result.reason if result else "passed") == expected


def test_no_formats_keeps_every_format() -> None:
    assert judge_image(replace(FACTS, format="bmp"), replace(CONFIG, formats=())) is None


def test_an_image_without_pixels_never_passes() -> None:
    rejected = judge_image(replace(FACTS, width=0), replace(CONFIG, min_side=0))
    assert rejected == Rejected("image_too_small", "0 x 480 px, at least 0")


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, "passed"), (0.8, "passed"), (0.81, "unsafe"), (1.0, "unsafe"), (-1.0, "unscored"), (NAN, "unscored")],
)
def test_safety_reason(score: float, expected: str) -> None:
    result = judge_safety(replace(FACTS, nsfw=score), SAFETY)
    assert (result.reason if result else "passed") == expected


def test_without_a_scorer_no_score_is_asked_for() -> None:
    assert judge_safety(replace(FACTS, nsfw=-1.0), replace(SAFETY, scorer="none")) is None


def test_details_give_value_and_limit() -> None:
    assert judge_image(replace(FACTS, width=50), CONFIG) == Rejected("image_too_small", "50 x 480 px, at least 64")
    assert judge_safety(replace(FACTS, nsfw=0.9), SAFETY) == Rejected("unsafe", "opennsfw 0.9000, at most 0.8")


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (CONFIG, "max_ratio", 0.5),
        (CONFIG, "min_side", 30_000),
        (CONFIG, "max_dominant_share", 99.0),
        (SAFETY, "max_score", 80.0),
        (SAFETY, "scope", "page"),
    ],
)
def test_impossible_settings_are_named(
    config: ImageFilterConfig | ImageSafetyConfig, field: str, value: object
) -> None:
    with pytest.raises(ValueError, match=field):
        replace(config, **{field: value})  # type: ignore[arg-type]
