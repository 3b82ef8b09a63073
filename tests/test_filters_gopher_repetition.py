"""MassiveText's repetition rules, against a slow and plain reading of their definition."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters.gopher_repetition import GopherRepetitionConfig, gopher_repetition, measure_repetition
from schemas.document import Document, Text
from schemas.rejection import Rejected

CONFIG = GopherRepetitionConfig(
    duplicate_lines=0.3,
    duplicate_line_chars=0.2,
    duplicate_paragraphs=0.3,
    duplicate_paragraph_chars=0.2,
    top_2_gram=0.2,
    top_3_gram=0.18,
    top_4_gram=0.16,
    duplicate_5_gram=0.15,
    duplicate_6_gram=0.14,
    duplicate_7_gram=0.13,
    duplicate_8_gram=0.12,
    duplicate_9_gram=0.11,
    duplicate_10_gram=0.1,
)
OFF = replace(CONFIG, **{field.name: 1.0 for field in fields(CONFIG)})


def distinct(start: int, count: int) -> str:
    """Words of equal length, none twice."""
    return " ".join(f"w{number:03d}" for number in range(start, start + count))


def document(text: str) -> Document:
    return Document(kind="page", url="https://example.com/", slots=(Text(text),))


def reason(text: str, config: GopherRepetitionConfig = CONFIG) -> str:
    result = gopher_repetition(document(text), config)
    return result.reason if isinstance(result, Rejected) else "passed"


def oracle_duplicates(parts: list[str]) -> tuple[float, float]:
    copies = [part for number, part in enumerate(parts) if part in parts[:number]]
    chars = sum(len(part) for part in parts)
    return (len(copies) / len(parts), sum(map(len, copies)) / chars) if parts else (0.0, 0.0)


def oracle_share(all_words: list[str], starts: list[int], size: int) -> float:
    """Characters of the words that at least one of the n-grams at `starts` holds."""
    held = {number for start in starts for number in range(start, start + size)}
    chars = sum(map(len, all_words))
    return sum(len(all_words[number]) for number in held) / chars if chars else 0.0


def oracle(text: str) -> dict[str, float]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    measures = {}
    for name, parts in (("line", lines), ("paragraph", ["\n".join(part).strip() for part in paragraphs if part])):
        measures[f"duplicate_{name}s"], measures[f"duplicate_{name}_chars"] = oracle_duplicates(parts)
    all_words = text.split()
    for size in range(2, 11):
        ngrams = [all_words[start : start + size] for start in range(len(all_words) - size + 1)]
        if size <= 4:
            most = max((ngrams.count(ngram) for ngram in ngrams), default=0)
            value = 0.0
            for ngram in ngrams if most > 1 else []:
                if ngrams.count(ngram) == most:
                    starts = [start for start, other in enumerate(ngrams) if other == ngram]
                    value = max(value, oracle_share(all_words, starts, size))
            measures[f"top_{size}_gram"] = value
        else:
            starts = [start for start, ngram in enumerate(ngrams) if ngram in ngrams[:start]]
            measures[f"duplicate_{size}_gram"] = oracle_share(all_words, starts, size)
    return measures


WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "\n", "\n\n", "\n \n"]), max_size=60)
PASSAGES = st.lists(st.sampled_from([distinct(0, 12), distinct(3, 7), distinct(20, 5), "\n", "\n\n"]), max_size=8)


@given(st.one_of(WORDS, PASSAGES).map(" ".join))
def test_measures_are_those_of_the_definition(text: str) -> None:
    assert measure_repetition(text) == pytest.approx(oracle(text), abs=5.1e-5)


@given(st.text(max_size=200))
def test_any_text_is_measured_from_0_to_1(text: str) -> None:
    measures = measure_repetition(text)
    assert list(measures) == [field.name for field in fields(GopherRepetitionConfig)]
    assert all(0 <= value <= 1 for value in measures.values())


def test_one_word_over_and_over_is_all_repetition() -> None:
    measures = measure_repetition("spam " * 100)
    assert [measures[f"top_{size}_gram"] for size in (2, 3, 4)] == [1.0, 1.0, 1.0]
    # The first occurrence of the n-gram is not a duplicate, and overlaps all words of the second but one.
    assert [measures[f"duplicate_{size}_gram"] for size in range(5, 11)] == [0.99] * 6


def test_overlapping_duplicates_count_once() -> None:
    measures = measure_repetition(f"{distinct(0, 20)} {distinct(100, 60)} {distinct(0, 20)}")
    assert [measures[f"duplicate_{size}_gram"] for size in range(5, 11)] == [0.2] * 6


def test_the_most_frequent_ngram_counts_not_the_longest_and_of_equals_the_longest() -> None:
    often = "a b " + distinct(0, 2) + " a b " + distinct(10, 2) + " a b "
    assert measure_repetition(often + "long words " * 2)["top_2_gram"] == round(6 / 40, 4)
    equal = f"a b {distinct(0, 4)} a b long words w900 long words"
    assert measure_repetition(equal)["top_2_gram"] == round(18 / 42, 4)


FILLER = [distinct(100 * number, 10) for number in range(1, 10)]
LINES_OF_THREE = [f"{line}\n{line[:9]}!\n{line[:9]}?" for line in FILLER]


def with_copies(count: int, length: int, total: int) -> str:
    """`total` words of equal length, at the end `count` passages of `length` words that stand above too."""
    copies = " ".join(f"w{900 + number} {distinct(20 * number, length)}" for number in range(count))
    return f"{distinct(0, total - count * (length + 1))} {copies}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "passed"),
        (distinct(0, 300), "passed"),
        ("\n\n \n\n".join(FILLER), "passed"),
        ("\n".join([*FILLER[:6], "w001", " w001", "w001 ", "w001"]), "passed"),
        ("\n".join([*FILLER[:5], "w001", " w001", "w001 ", "w001"]), "duplicate_lines"),
        ("\n".join([*FILLER, FILLER[0], FILLER[1], FILLER[2]]), "duplicate_line_chars"),
        ("\n\n".join([*LINES_OF_THREE[:5], *["w1\nw2"] * 4]), "duplicate_paragraphs"),
        ("\n\n".join([*LINES_OF_THREE[:6], *["w1\nw2"] * 3]), "passed"),
        (distinct(0, 40) + " w900 w901" * 6, "top_2_gram"),
        (" ".join(f"{distinct(10 * number, 9)} w900 w901 w902" for number in range(9)), "top_3_gram"),
        (" ".join(f"{distinct(20 * number, 16)} w900 w901 w902 w903" for number in range(9)), "top_4_gram"),
        (with_copies(3, 5, 99), "duplicate_5_gram"),
        (with_copies(3, 5, 100), "passed"),
        (with_copies(2, 6, 85), "duplicate_6_gram"),
        (with_copies(2, 6, 86), "passed"),
        (with_copies(2, 7, 107), "duplicate_7_gram"),
        (with_copies(2, 7, 108), "passed"),
        (with_copies(2, 8, 133), "duplicate_8_gram"),
        (with_copies(2, 8, 134), "passed"),
        (with_copies(1, 9, 81), "duplicate_9_gram"),
        (with_copies(1, 9, 82), "passed"),
        (with_copies(1, 10, 99), "duplicate_10_gram"),
        (with_copies(1, 10, 100), "passed"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    assert reason(text) == expected


@pytest.mark.parametrize("name", [field.name for field in fields(CONFIG)])
def test_each_limit_alone_fires(name: str) -> None:
    text = "\n\n".join([distinct(0, 12)] * 4)
    value = measure_repetition(text)[name]
    assert 0 < value < 1
    assert reason(text, replace(OFF, **{name: value})) == "passed"
    assert reason(text, replace(OFF, **{name: value - 0.0001})) == name


def test_measured_values_stand_in_the_scores_and_details() -> None:
    result = gopher_repetition(document(distinct(0, 100)), CONFIG)
    assert isinstance(result, Document)
    assert result.scores == {f"gopher_repetition.{field.name}": 0 for field in fields(CONFIG)}
    refused = gopher_repetition(document(f"{distinct(0, 5)}\n" * 2), CONFIG)
    assert refused == Rejected("duplicate_lines", "0.5, at most 0.3")


def test_characters_of_chinese_are_its_words() -> None:
    sentence = "\u6e2f\u53e3\u7684\u706f\u5149\u7167\u4eae\u4e86\u5317\u65b9\u6d77\u9762\u3002"
    assert measure_repetition(sentence * 2)["duplicate_10_gram"] == 0.5


def test_impossible_settings_are_named() -> None:
    with pytest.raises(ValueError, match="top_3_gram"):
        replace(CONFIG, top_3_gram=18.0)
