"""Rare words: sorted files of hashes say the same as counting all words in memory."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from beam_testing import letters_in, rows_in
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.facts import PAIRS, PAIRS_COMMON, DocumentFact, partition
from pipelines.flow import Places
from pipelines.limits import RareWordsConfig
from pipelines.rare_words import count_range, drop_rare, least_count, ngram_hashes, save_texts
from pipelines.store.facts import write_rows
from pipelines.store.media import MediaStore
from pipelines.store.work import Work
from schemas.keys import digest

WORDS = ["harbour", "boats", "red", "two", "dawn", "nets"]


def pair(number: int) -> DocumentFact:
    types = DocumentFact.__annotations__
    blank = DocumentFact(**{name: types[name]() for name in DocumentFact._fields})
    return blank._replace(kind="pair", key=digest(str(number)), url=f"https://x.example/{number}", pack_offset=number)


def run(folder: Path, units: Sequence[Sequence[str]], partitions: int, config: RareWordsConfig) -> tuple[set[int], int]:
    """The numbers of the texts that pass, and the least count."""
    work = Work(str(folder), partitions)
    places = Places(work=work, inputs={}, shared=MediaStore(""), own=MediaStore(""))
    number = 0
    for name, texts in enumerate(units):
        save_texts(work, f"unit{name}", [ngram_hashes(text) for text in texts])
        rows = [pair(number + place) for place in range(len(texts))]
        number += len(texts)
        for part in range(partitions):
            if own := [tuple(row) for row in rows if partition(row.key, partitions) == part]:
                write_rows(work.path("facts", PAIRS.name, str(part), f"unit{name}.parquet"), DocumentFact, own)
    names = [f"unit{name}" for name in range(len(units))]
    for part in range(partitions):
        count_range(str(part), places)
    least = least_count(work, config)
    for name in names:
        drop_rare(name, places, config)
    return {row.pack_offset for row in rows_in(work, PAIRS_COMMON)}, least


def plain(units: Sequence[Sequence[str]], config: RareWordsConfig) -> tuple[set[int], int]:
    """The same by counting strings."""
    texts = [text for unit in units for text in unit]

    def ngrams(text: str) -> list[str]:
        found = text.casefold().replace(",", " ").split()
        return found + [f"{one} {other}" for one, other in pairwise(found)]

    counts = Counter(ngram for text in texts for ngram in ngrams(text))
    heights = sorted(counts.values(), reverse=True)
    fits = [height for height in set(heights) if sum(h >= height for h in heights) <= config.max_ngrams]
    least = max(min(fits, default=max(heights, default=0) + 1), config.min_count)
    return {n for n, text in enumerate(texts) if all(counts[ngram] >= least for ngram in ngrams(text))}, least


TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(1, 5), st.integers(1, 40), st.integers(1, 3))
def test_files_of_hashes_say_what_counting_says(
    tmp_path_factory: pytest.TempPathFactory,
    units: list[list[str]],
    partitions: int,
    max_ngrams: int,
    min_count: int,
) -> None:
    config = RareWordsConfig(max_ngrams=max_ngrams, min_count=min_count)
    assert run(tmp_path_factory.mktemp("rare"), units, partitions, config) == plain(units, config)


def test_what_is_dropped_is_named(tmp_path: Path) -> None:
    config = RareWordsConfig(max_ngrams=100, min_count=2)
    passed, least = run(tmp_path, [["red boats", "red boats"], ["red nets"]], 2, config)
    assert (passed, least) == ({0, 1}, 2)
    (letter,) = letters_in(Work(str(tmp_path), 2))
    assert (letter.kind, letter.stage, letter.reason, letter.url) == (
        "pair",
        "rare_words",
        "rare_words",
        "https://x.example/2",
    )
    assert letter.detail == "2 of 3 words and pairs of words stand fewer than 2 times in the input"


def test_case_and_punctuation_make_no_other_word() -> None:
    assert ngram_hashes("Red boats, two!") == ngram_hashes("red BOATS two")
    assert ngram_hashes("red boats") != ngram_hashes("boats red")
    assert ngram_hashes("...") == []
