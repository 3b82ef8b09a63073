"""Which rule on letters and words a caption breaks."""

from dataclasses import replace

import pytest

from pipelines.filters.caption_quality import CaptionQualityConfig, caption_quality
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

CONFIG = CaptionQualityConfig(
    min_letter_share=0.6,
    max_digit_share=0.3,
    max_upper_share=0.8,
    max_capitalised_share=1.0,
    max_repeated_share=0.4,
    max_run=2,
    max_code_share=0.3,
    max_word_chars=30,
)


def run(text: str, config: CaptionQualityConfig = CONFIG) -> Document | Rejected:
    slots = (Image(url="https://example.com/a.jpg"), Text(text))
    return caption_quality(Document(kind="pair", url="https://example.com/a.jpg", slots=slots), config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red car on the old bridge over the river", "passed"),
        ("!!! *** a red car *** !!!", "few_letters"),
        ("", "few_letters"),
        ("part abcdefgh no 12345678", "many_digits"),
        ("BUY THIS CAR NOW AND SAVE", "many_capitals"),
        ("a car, a red car, a blue car, a car", "repeated_words"),
        ("a very very very old car on a bridge", "word_run"),
        ("a very very old car on a bridge", "passed"),
        ("image tid 25&id mggqpuweqdpd&cache 0&lan code 0", "code_like"),
        ("product_photo front_view ab-c/x red", "code_like"),
        ("sku ab12cd34 zz98yy red", "code_like"),
        ("the 2nd of the 35mm films by #anna in 4k", "passed"),
        ("a " + "w" * 31 + " on a bridge", "long_word"),
        ("\u7ea2\u8272\u7684\u6c7d\u8f66\u505c\u5728\u7ea2\u8272\u7684\u7ea2\u8272\u7684\u6865\u4e0a" * 3, "passed"),
        ("\u0905\u0928\u093e\u0930 \u0915\u0940 \u0915\u093f\u0924\u093e\u092c \u092e\u0947\u0902", "passed"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    result = run(text)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_titles_are_dropped_where_the_recipe_says_so() -> None:
    title = "The Tailor Leaving His Workshop"
    result = run(title, replace(CONFIG, max_capitalised_share=0.9))
    assert isinstance(run(title), Document)
    assert result == Rejected("many_capitalised_words", "1.0, at most 0.9")


def test_measured_values_stand_in_the_scores() -> None:
    result = run("The dog, the cat and 12 mice")
    assert isinstance(result, Document)
    assert result.scores == {
        "caption_quality.letter_share": 0.8636,
        "caption_quality.digit_share": 0.0909,
        "caption_quality.upper_share": 0.0526,
        "caption_quality.capitalised_share": 0.1429,
        "caption_quality.repeated_share": 0.1429,
        "caption_quality.run": 1,
        "caption_quality.code_share": 0,
        "caption_quality.word_chars": 4,
    }


@pytest.mark.parametrize(("field", "value"), [("max_run", 0), ("min_letter_share", 1.5), ("max_code_share", -0.1)])
def test_impossible_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
