"""Rare words: pairs go whose text has a word or pair of words outside the most frequent ones of the whole input.

ALIGN's rule (arXiv 2102.05918, section 3). Frequencies of all words of a crawl fit in no side input; here they are
sorted files of 64-bit hashes with their counts, one for each range of hashes, which workers map into memory:

scan        -> for each unit, the hashes of each text's words and pairs of words
ngrams      -> for each range of hashes, each with its count in all units
(the least count that at most `max_ngrams` reach)
rare_words  -> for each unit of the scan, the pairs that have no rarer one
"""

from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import blake2b
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.accounting import Funnel, dropped_by, rows_of
from pipelines.facts import PAIRS, PAIRS_COMMON, DocumentFact
from pipelines.filters.words import tokens
from pipelines.flow import Places, UnitJob
from pipelines.limits import RareWordsConfig
from pipelines.select import document_letter
from pipelines.stage import DEAD_LETTERS, dead_letter_line
from pipelines.store import paths
from pipelines.store.facts import read_rows
from pipelines.store.work import Work

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


def ngram_hashes(text: str) -> list[int]:
    """64-bit hashes of the words of a text and of each two that follow each other; punctuation does not count."""
    found = [token for token in tokens(text) if token[0].isalnum()]
    return [_hash(word) for word in found] + [_hash(f"{one} {other}") for one, other in pairwise(found)]


def _hash(ngram: str) -> int:
    return int.from_bytes(blake2b(ngram.encode(), digest_size=8).digest(), "big")


def save_texts(work: Work, unit: str, texts: Iterable[Sequence[int]]) -> None:
    """What the scan of a unit leaves: the hashes of its texts one after the other, where each text ends, and all
    different hashes in order with their counts, of which each range takes its part."""
    lists = list(texts)
    hashes = np.fromiter((value for some in lists for value in some), np.uint64)
    _save(work.path("ngrams", "texts", f"{unit}.npy"), hashes)
    unique, times = np.unique(hashes, return_counts=True)
    _save(work.path("ngrams", "unique", f"{unit}.npy"), unique)
    _save(work.path("ngrams", "times", f"{unit}.npy"), times)
    _save(work.path("ngrams", "ends", f"{unit}.npy"), np.cumsum([len(some) for some in lists], dtype=np.int64))


def rare_words_jobs(config: RareWordsConfig) -> list[UnitJob]:
    """The steps of the rule, none if it is off."""
    if not config.max_ngrams:
        return []
    return [
        UnitJob(name="ngrams", units=ranges, function=count_range),
        UnitJob(name="rare_words", units=scanned, function=partial(drop_rare, config=config), account=account),
    ]


def ranges(work: Work) -> list[str]:
    return [str(number) for number in range(work.partitions)]


def scanned(work: Work) -> list[str]:
    """The units of the scan."""
    return [path.rpartition("/")[2].removesuffix(".npy") for path in paths.list_files(work.path("ngrams", "ends"))]


def account(funnel: Funnel, work: Work) -> None:
    funnel.drop("pair", "rare_words", dropped_by(work, "rare_words").get(("pair", "rare_words"), {}))
    funnel.check("pair", rows_of(work, PAIRS_COMMON), "rare_words")


def count_range(unit: str, places: Places) -> None:
    """Counts the n-grams of one of `work.partitions` equal ranges of hashes over all units of the scan."""
    work = places.work
    if work.is_done("ngrams", unit):
        return
    low, high = _range(int(unit), work)
    hashes, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for name in scanned(work):
        unique = _load(work.path("ngrams", "unique", f"{name}.npy"))
        part = _within(unique, low, high)
        times = _load(work.path("ngrams", "times", f"{name}.npy"))[part]
        hashes, counts = _merged(np.concatenate([hashes, unique[part]]), np.concatenate([counts, times]))
    _save(work.path("ngrams", "hashes", f"{unit}.npy"), hashes)
    _save(work.path("ngrams", "counts", f"{unit}.npy"), counts)
    heights, how_many = np.unique(counts, return_counts=True)
    work.mark_done("ngrams", unit, {"heights": heights.tolist(), "ngrams": how_many.tolist()})


def _merged(hashes: Hashes, counts: Counts) -> tuple[Hashes, Counts]:
    unique, places = np.unique(hashes, return_inverse=True)
    return unique, np.bincount(places, weights=counts, minlength=len(unique)).astype(np.int64)


def least_count(work: Work, config: RareWordsConfig) -> int:
    """The least count of an n-gram that is not rare: at most `max_ngrams` have it, or more."""
    heights: dict[int, int] = {}
    for number in range(work.partitions):
        done = work.done("ngrams", str(number))
        for height, ngrams in zip(done["heights"], done["ngrams"], strict=True):
            heights[height] = heights.get(height, 0) + ngrams
    least, total = max(heights, default=0) + 1, 0
    for height in sorted(heights, reverse=True):
        total += heights[height]
        if total > config.max_ngrams:
            break
        least = height
    return max(least, config.min_count)


def drop_rare(unit: str, places: Places, config: RareWordsConfig) -> None:
    """Passes on the pairs of a unit of the scan that have no n-gram of a smaller count."""
    work = places.work
    if work.is_done("rare_words", unit):
        return
    least = least_count(work, config)
    rows = [
        DocumentFact._make(row)
        for place in work.places()
        if paths.exists(path := work.path("facts", PAIRS.name, place, f"{unit}.parquet"))
        for row in read_rows(path, DocumentFact)
    ]
    rows.sort(key=lambda row: row.pack_offset)  # as the scan saw them
    hashes, ends = _load(work.path("ngrams", "texts", f"{unit}.npy")), _load(work.path("ngrams", "ends", f"{unit}.npy"))
    rare = np.concatenate([[0], np.cumsum(~_common(hashes, work, least))])
    kept: list[DocumentFact] = []
    letters = []
    for row, start, end in zip(rows, np.concatenate([[0], ends])[:-1], ends, strict=True):
        if count := int(rare[end] - rare[start]):
            detail = f"{count} of {end - start} words and pairs of words stand fewer than {least} times in the input"
            letters.append(dead_letter_line(document_letter(row, "rare_words", "rare_words", detail)))
        else:
            kept.append(row)
    work.save_facts(PAIRS_COMMON, kept, unit)
    if letters:
        paths.publish(work.path(DEAD_LETTERS, f"rare_words.{unit}.jsonl"), "".join(f"{x}\n" for x in letters).encode())
    work.mark_done("rare_words", unit, {"kept": len(rows) - len(letters)})


def _common(hashes: Hashes, work: Work, least: int) -> npt.NDArray[np.bool_]:
    """For each hash whether its n-gram stands at least `least` times in the input."""
    result = np.zeros(len(hashes), bool)
    order = np.argsort(hashes)
    ordered = hashes[order]
    for number in range(work.partitions):
        part = _within(ordered, *_range(number, work))
        if part.start < part.stop:
            known = _load(work.path("ngrams", "hashes", f"{number}.npy"))
            counts = _load(work.path("ngrams", "counts", f"{number}.npy"))
            result[order[part]] = counts[np.searchsorted(known, ordered[part])] >= least
    return result


def _range(number: int, work: Work) -> tuple[int, int]:
    """The first and the last hash of one of `work.partitions` equal ranges."""
    low, end = (-(-((number + edge) << 64) // work.partitions) for edge in (0, 1))
    return low, end - 1


def _within(ordered: Hashes, low: int, high: int) -> slice:
    """Where the hashes of a range stand in an array in order."""
    return slice(int(np.searchsorted(ordered, np.uint64(low))), int(np.searchsorted(ordered, np.uint64(high), "right")))


def _save(path: str, values: npt.NDArray[Any]) -> None:
    with paths.publishing(path) as stream:
        np.save(stream, values, allow_pickle=False)


def _load(path: str) -> npt.NDArray[Any]:
    """The array in a file: mapped, so that the workers of a machine share it, or read whole from an object store."""
    if paths.is_remote(path):
        return np.load(BytesIO(paths.read_bytes(path)), allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)
