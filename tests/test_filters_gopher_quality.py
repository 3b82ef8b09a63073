"""Which of MassiveText's quality rules a text breaks."""

from dataclasses import replace

import pytest

from pipelines.filters.gopher_quality import GopherQualityConfig, gopher_quality
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

CONFIG = GopherQualityConfig(
    min_words=50,
    max_words=100_000,
    min_mean_word_length=3.0,
    max_mean_word_length=10.0,
    max_unspaced_share=0.5,
    max_hash_ratio=0.1,
    max_ellipsis_ratio=0.1,
    max_bullet_lines=0.9,
    max_ellipsis_lines=0.3,
    min_letter_words=0.8,
    min_stop_words=2,
    stop_words=("the", "be", "to", "of", "and", "that", "have", "with"),
    stop_word_languages=("en",),
    bullets=("\u2022", "- "),
)
SENTENCE = "The harbour of the old town lies to the north, and ships have anchored there since (that) storm."
GOOD = "\n\n".join([SENTENCE] * 4)


def document(text: str, language: str = "en") -> Document:
    return Document(kind="page", url="https://example.com/", slots=(Text(text),), language=language)


def reason(text: str, language: str = "en", config: GopherQualityConfig = CONFIG) -> str:
    result = gopher_quality(document(text, language), config)
    return result.reason if isinstance(result, Rejected) else "passed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, "passed"),
        ("", "too_few_words"),
        ("\u3002" * 60, "too_few_words"),
        (" ".join(["word"] * 49), "too_few_words"),
        ("of to be or " * 25, "short_words"),
        ("incomprehensibilities " * 60, "long_words"),
        (GOOD.replace("old", "#"), "passed"),
        (GOOD.replace("old", "##"), "many_hashes"),
        (GOOD.replace("old", "old... old\u2026"), "many_ellipses"),
        ("\n".join(["\u2022 " + SENTENCE] * 10), "bullet_lines"),
        ("\n".join(["  - " + SENTENCE] * 10), "bullet_lines"),
        ("\n".join(["- " + SENTENCE] * 9 + [SENTENCE]), "passed"),
        ("\n".join(["-" + SENTENCE] * 10), "passed"),
        ("\n".join([SENTENCE + ".."] * 3 + [SENTENCE] * 7), "passed"),
        ("\n".join([SENTENCE + ".."] * 4 + [SENTENCE] * 6), "ellipsis_lines"),
        ("\n".join([SENTENCE + "\u2026", SENTENCE, SENTENCE]), "ellipsis_lines"),
        (GOOD + " 1234" * 19, "few_letter_words"),
        (GOOD + " 1234" * 18, "passed"),
        ("Harbour lights shine brightly over northern waters tonight. " * 10, "few_stop_words"),
        ("The harbour lights shine brightly over the waters tonight. " * 10, "few_stop_words"),
        ("\u6e2f\u53e3\u7684\u706f\u5149\u7167\u4eae\u4e86\u5317\u65b9\u7684\u6d77\u9762\u3002" * 10, "few_stop_words"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    assert reason(text) == expected


def test_upper_limit_of_words() -> None:
    assert reason(GOOD, config=replace(CONFIG, max_words=72)) == "passed"
    assert reason(GOOD, config=replace(CONFIG, max_words=71)) == "too_many_words"


def test_the_stop_word_rule_is_for_its_languages_only() -> None:
    german = "Der alte Hafen liegt weit im Norden, und Schiffe ankern dort seit dem letzten Sturm. " * 5
    assert reason(german, "de") == "passed"
    assert reason(german, "en") == "few_stop_words"
    assert reason(german, "de", replace(CONFIG, stop_word_languages=("en", "de"))) == "few_stop_words"


def test_scripts_without_spaces_have_no_word_length() -> None:
    chinese = "\u6e2f\u53e3\u7684\u706f\u5149\u7167\u4eae\u4e86\u5317\u65b9\u7684\u6d77\u9762\u3002" * 10
    assert reason(chinese, "zh") == "passed"
    assert reason(chinese + " ab" * 20, "zh") == "passed"
    assert reason(chinese + " ab" * 20, "zh", replace(CONFIG, max_unspaced_share=0.9)) == "short_words"


def test_measured_values_stand_in_the_scores() -> None:
    result = gopher_quality(document(GOOD), CONFIG)
    assert isinstance(result, Document)
    assert result.scores == {
        "gopher_quality.words": 72,
        "gopher_quality.unspaced_share": 0,
        "gopher_quality.mean_word_length": 4.3889,
        "gopher_quality.hash_ratio": 0,
        "gopher_quality.ellipsis_ratio": 0,
        "gopher_quality.bullet_lines": 0,
        "gopher_quality.ellipsis_lines": 0,
        "gopher_quality.letter_words": 1,
        "gopher_quality.stop_words": 6,
    }


def test_value_and_limit_stand_in_the_detail() -> None:
    assert gopher_quality(document("four words of text"), CONFIG) == Rejected("too_few_words", "4 words, at least 50")


def test_text_runs_on_across_images() -> None:
    halves = Text(GOOD[:150]), Image(url="https://example.com/a.jpg"), Text(GOOD[150:])
    split = replace(document(""), slots=halves)
    whole = gopher_quality(document(GOOD), CONFIG)
    result = gopher_quality(split, CONFIG)
    assert isinstance(result, Document) and isinstance(whole, Document)
    assert result.scores == whole.scores and result.slots == halves


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_bullet_lines", 1.5), ("min_words", 200_000), ("min_mean_word_length", -1.0), ("min_stop_words", 9)],
)
def test_impossible_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
