"""Which captions are too short or too long."""

from dataclasses import replace

import pytest

from pipelines.filters.caption_length import CaptionLengthConfig, caption_length
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

CONFIG = CaptionLengthConfig(
    min_words=3,
    max_words=20,
    min_chars=6,
    max_chars=200,
    max_unspaced_share=0.5,
    min_unspaced_words=5,
    max_unspaced_words=60,
)
CHINESE = "\u7ea2\u8272\u7684\u6c7d\u8f66\u505c\u5728\u6865\u4e0a"


def run(text: str, config: CaptionLengthConfig = CONFIG) -> Document | Rejected:
    slots = (Image(url="https://example.com/a.jpg"), Text(text))
    return caption_length(Document(kind="pair", url="https://example.com/a.jpg", slots=slots), config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red car", "passed"),
        ("red car", "too_few_words"),
        ("red - car !", "too_few_words"),
        ("", "too_few_words"),
        ("a b c", "too_few_chars"),
        ("a bc d", "passed"),
        ("word " * 20, "passed"),
        ("word " * 21, "too_many_words"),
        ("w" * 67 + " " + "w" * 67 + " " + "w" * 67, "too_many_chars"),
        (CHINESE, "passed"),
        (CHINESE[:4], "too_few_words"),
        (CHINESE * 6, "passed"),
        (CHINESE * 7, "too_many_words"),
        (CHINESE[:5], "too_few_chars"),
        (f"the {CHINESE[:2]} sign in a street of the old town", "passed"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    result = run(text)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_words_and_characters_stand_in_the_scores() -> None:
    result = run(" A red car, 2019 ")
    assert isinstance(result, Document)
    assert result.scores == {"caption_length.words": 4, "caption_length.chars": 15}


def test_value_and_limit_stand_in_the_detail() -> None:
    assert run("car") == Rejected("too_few_words", "1 words, at least 3")


@pytest.mark.parametrize(("field", "value"), [("min_words", 21), ("min_chars", -1), ("max_unspaced_share", 1.5)])
def test_impossible_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
