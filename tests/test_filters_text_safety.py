"""Obscene words, by whole words and by share."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters.text_safety import (
    TextSafetyConfig,
    _entries,
    _folder,
    by_first_token,
    count_flagged,
    languages,
    text_safety,
)
from pipelines.filters.words import tokens
from schemas.document import Document, Text
from schemas.rejection import Rejected

CONFIG = TextSafetyConfig(max_flagged_share=0.01, min_flagged=3, lists=())
CLEAN = "The old harbour lies to the north of the town and many ships have anchored there since the storm. " * 5
FLAGGED = ("porn", "blow job", "s&m")


def document(text: str, language: str = "en") -> Document:
    return Document(kind="page", url="https://example.com/", slots=(Text(text),), language=language)


def reason(text: str, language: str = "en", config: TextSafetyConfig = CONFIG) -> str:
    result = text_safety(document(text, language), config)
    return result.reason if isinstance(result, Rejected) else "passed"


def flagged(text: str, *entries: str) -> tuple[int, int]:
    return count_flagged(tokens(text), by_first_token(entries))


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (CLEAN, "en", "passed"),
        ("", "en", "passed"),
        (CLEAN + "porn", "en", "passed"),
        ("porn porn", "en", "passed"),
        ("porn porn porn", "en", "flagged_words"),
        (CLEAN + "Porn, PORN! porn", "en", "flagged_words"),
        (CLEAN * 4 + "porn porn porn", "en", "passed"),
        ("Essex, Sussex, Scunthorpe, Cockburn, analysis, assassin " * 3, "en", "passed"),
        ("Der Hafen im Norden. Fick, ficken, Fotze.", "de", "flagged_words"),
        ("Der Hafen im Norden. Fick, ficken, Fotze.", "en", "passed"),
        ("porn porn porn", "de", "passed"),
        ("porn porn porn", "", "passed"),
        ("\u4e09\u7ea7\u7247\u4e09\u7ea7\u7247\u770b\u4e09\u7ea7\u7247", "zh", "flagged_words"),
        ("\u725b\u4e73\u3001\u725b\u4e73\u3001\u725b\u4e73", "zh", "passed"),
    ],
)
def test_reason(text: str, language: str, expected: str) -> None:
    assert reason(text, language) == expected


def test_lists_for_every_document() -> None:
    assert reason("porn porn porn", "de", replace(CONFIG, lists=("en",))) == "flagged_words"
    assert reason("porn porn porn", "", replace(CONFIG, lists=("en",))) == "flagged_words"
    assert reason("porn Fick porn", "de", replace(CONFIG, lists=("en",))) == "flagged_words"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0)),
        ("a blow job, a BLOW  JOB.", (2, 4)),
        ("blow the job", (0, 0)),
        ("blow", (0, 0)),
        ("S&M", (1, 2)),
        ("it's m", (0, 0)),
        ("porn-free porn's pornography", (2, 2)),
        ("\uff30\uff2f\uff32\uff2e", (1, 1)),
    ],
)
def test_entries_are_found_as_whole_words(text: str, expected: tuple[int, int]) -> None:
    assert flagged(text, *FLAGGED) == expected


def test_the_longest_entry_counts_and_none_inside_it() -> None:
    assert flagged("one two three", "one", "one two three", "two") == (1, 3)


def test_katakana_is_matched_by_whole_runs_and_ideographs_anywhere() -> None:
    assert flagged("\u30e6\u30cb\u30bb\u30c3\u30af\u30b9", "\u30bb\u30c3\u30af\u30b9") == (0, 0)
    assert flagged("\u30bb\u30c3\u30af\u30b9\u306e", "\u30bb\u30c3\u30af\u30b9") == (1, 1)
    assert flagged("\u770b\u4e09\u7ea7\u7247\u5427", "\u4e09\u7ea7\u7247") == (1, 3)


def test_entries_that_would_be_found_in_innocent_text_are_left_out() -> None:
    assert by_first_token(["13.", "\u4e73", "", "69"]) == {}
    assert by_first_token(["\U0001f595", "13\u70b9"]).keys() == {"\U0001f595", "13"}


@given(st.lists(st.sampled_from(["a", "b", "c", "."]), max_size=30), st.sets(st.sampled_from(["a b", "b", "c . a"])))
def test_count_is_that_of_a_regular_expression(text: list[str], entries: set[str]) -> None:

    pattern = "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True))
    found = re.findall(pattern, " ".join(text)) if entries else []
    words = sum(len(entry.replace(".", "").split()) for entry in found)
    assert flagged(" ".join(text), *entries) == (len(found), words)


def test_scores_are_kept() -> None:
    result = text_safety(document(CLEAN + "porn"), CONFIG)
    assert isinstance(result, Document)
    assert result.scores == {"text_safety.flagged": 1, "text_safety.flagged_share": 0.0104}


def test_value_and_limit_stand_in_the_detail() -> None:
    assert text_safety(document("porn porn porn"), CONFIG) == Rejected(
        "flagged_words", "3 found, share 1.0, at most 0.01"
    )


def test_every_list_has_entries_and_its_notice_is_shipped() -> None:
    assert {"en", "de", "fr", "es", "it", "nl", "pt", "ja", "zh", "ru"} <= set(languages())
    assert all(len(_entries((language,))) >= 9 for language in languages())
    assert "CC BY 4.0" in (_folder() / "NOTICE.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("field", "value"), [("max_flagged_share", 2.0), ("min_flagged", 0), ("lists", ("xx",))])
def test_impossible_settings_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
