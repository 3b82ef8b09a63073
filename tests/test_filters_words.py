"""What counts as a word in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters.words import _WORD, has_unspaced, is_unspaced, tokens, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One, two\u00a0three\u2028four-five!", ["One,", "two", "three", "four-five!"]),
        ("\u4e16\u754c\uff0cAPI 2.0\u3002", ["\u4e16", "\u754c", "API", "2.0"]),
        ("\u30ab\u30bf\u30ab\u30ca\u3067\u66f8\u304f", ["\u30ab\u30bf\u30ab\u30ca", "\u3067", "\u66f8", "\u304f"]),
        ("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", ["\u0e2a", "\u0e27\u0e31", "\u0e2a", "\u0e14\u0e35"]),
        ("\uc548\ub155 \uc138\uc0c1", ["\uc548\ub155", "\uc138\uc0c1"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert has_unspaced(text) == any(map(is_unspaced, expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't", ["don", "'", "t"]),
        ("\uff21\uff30\uff29 STRASSE stra\u00dfe", ["api", "strasse", "strasse"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("\u0915\u093f\u0924\u093e\u092c \u4e16\u754c", ["\u0915\u093f\u0924\u093e\u092c", "\u4e16", "\u754c"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


MIXED = st.text(
    st.one_of(st.characters(), st.sampled_from(" \n\x1c\u3000ab\u4e16\u30ab\u0e27\u0e31\u0915\u093f\u3002."))
)


@given(MIXED)
def test_the_short_way_for_spaced_text_gives_the_same_words(text: str) -> None:
    if not has_unspaced(text):
        separators_apart = "".join(" " if "\u3000" <= c <= "\u30ff" or "\uff01" <= c <= "\uff65" else c for c in text)
        assert words(separators_apart) == _WORD.findall(separators_apart)


@given(MIXED)
def test_words_hold_no_white_space_and_lose_no_letter(text: str) -> None:
    found = words(text)
    assert not any(c.isspace() for word in found for c in word)
    assert [c for word in found for c in word if c.isalnum()] == [c for c in text if c.isalnum()]


@given(MIXED, MIXED)
def test_tokens_of_parts_are_the_tokens_of_the_whole(one: str, two: str) -> None:
    assert tokens(f"{one} {two}") == tokens(one) + tokens(two)
