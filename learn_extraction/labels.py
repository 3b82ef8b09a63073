"""From a page's annotation to what each of its text blocks should score: the share of it that is content."""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

_WORD = re.compile(r"\w+")
_GRAM = 4
_MOST_PLACES = 40  # of a short block in the content; of a 4-gram
_DRIFT = 12  # words that may be missing or added within a block
_DIAGONALS = 6
_SURE = 6  # a block of so many words may stand elsewhere in the content than its place on the page says
_SNIPPET_WEIGHT = 1.0
_TRACK_WEIGHTS = {"readability": 2.0}  # few pages, well annotated
_ROOT_WEIGHT = 0.5
_LEAST_CONTENT = 150  # words; of a page with less, an error weighs no more


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def labels(annotation: Mapping[str, Any], texts: Sequence[str]) -> tuple[list[float], list[float]]:
    """Of each block: the share that is content, and what an error weighs."""
    if annotation["track"] == "snippets":
        return _from_snippets(annotation, texts)
    wanted = words(content(annotation))
    blocks = [words(text) for text in texts]
    if not wanted:  # nothing, or nothing annotated: nobody knows
        return [0.0] * len(texts), [0.0] * len(texts)
    return align(blocks, wanted), block_weights([len(block) for block in blocks], len(wanted), annotation)


def block_weights(sizes: Sequence[int], content_words: float, annotation: Mapping[str, Any]) -> list[float]:
    """What an error weighs in blocks of so many words, on a page with so many of content."""
    scale = _TRACK_WEIGHTS.get(annotation["track"], 1.0) / max(content_words, _LEAST_CONTENT) ** _ROOT_WEIGHT
    return [(size + 1.5) ** _ROOT_WEIGHT * scale for size in sizes]


def content(annotation: Mapping[str, Any]) -> str:
    if "text" in annotation:
        return str(annotation["text"])
    return "\n".join(slot["text"] for slot in annotation["slots"] if "text" in slot)


def _from_snippets(annotation: Mapping[str, Any], texts: Sequence[str]) -> tuple[list[float], list[float]]:
    flat = [" ".join(text.split()) for text in texts]
    found, weights = [0.0] * len(texts), [0.0] * len(texts)
    for key in ("without", "with"):
        for snippet in annotation[key]:
            snippet = " ".join(snippet.split())
            holding = [block for block, text in enumerate(flat) if snippet in text]
            for block in holding:
                found[block] = float(key == "with")
                weights[block] = _SNIPPET_WEIGHT / len(holding)
    return found, weights


def align(blocks: Sequence[Sequence[str]], wanted: Sequence[str]) -> list[float]:
    """The share of each block's words that is content, where the content follows the order of the page.

    So a word of the navigation that is also somewhere in the content is not content. A long block may stand elsewhere,
    if nothing else has taken its place.
    """
    candidates = _candidates(blocks, wanted)
    found = [0.0] * len(blocks)
    taken = [False] * len(wanted)
    for block, start, stop, matched in _heaviest_chain(candidates, len(blocks), len(wanted)):
        found[block] = matched / len(blocks[block])
        taken[start:stop] = [True] * (stop - start)
    for block, start, stop, matched in sorted(candidates, key=lambda candidate: -candidate[3]):
        enough = matched >= max(_SURE, 0.6 * len(blocks[block]))
        if not found[block] and enough and sum(taken[start:stop]) < 0.3 * (stop - start):
            found[block] = matched / len(blocks[block])
            taken[start:stop] = [True] * (stop - start)
    return found


_Candidate = tuple[int, int, int, int]
"""Block, place in the content from and to, words that agree."""


def _candidates(blocks: Sequence[Sequence[str]], wanted: Sequence[str]) -> list[_Candidate]:
    singles: dict[str, list[int]] = defaultdict(list)
    grams: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, word in enumerate(wanted):
        singles[word].append(place)
    for place in range(len(wanted) - _GRAM + 1):
        grams[tuple(wanted[place : place + _GRAM])].append(place)
    found: list[_Candidate] = []
    for number, block in enumerate(blocks):
        size = len(block)
        if 0 < size < _GRAM:
            places = [p for p in singles.get(block[0], ()) if list(wanted[p : p + size]) == list(block)]
            found += [(number, place, place + size, size) for place in places[:_MOST_PLACES]]
            continue
        diagonals: Counter[int] = Counter()
        for at in range(size - _GRAM + 1):
            for place in grams.get(tuple(block[at : at + _GRAM]), ())[:_MOST_PLACES]:
                diagonals[place - at] += 1
        ordered = sorted(diagonals)
        before = [0]
        for diagonal in ordered:
            before.append(before[-1] + diagonals[diagonal])
        for diagonal, _ in diagonals.most_common(_DIAGONALS):
            low, high = bisect_right(ordered, diagonal - _DRIFT - 1), bisect_right(ordered, diagonal + _DRIFT)
            matched = min(size, before[high] - before[low] + _GRAM - 1)
            start = max(diagonal, 0)
            if matched * 10 >= size:
                found.append((number, start, max(min(len(wanted), diagonal + size), start + 1), matched))
    return found


def _heaviest_chain(candidates: Sequence[_Candidate], blocks: int, size: int) -> list[_Candidate]:
    """Candidates of which most words agree, one for each block at most, in the order of both."""
    best: list[tuple[float, int]] = [(0.0, -1)] * (size + 2)  # a Fenwick tree of maxima over ends in the content
    scores, links = [0.0] * len(candidates), [-1] * len(candidates)
    at = 0
    while at < len(candidates):
        end = at
        while end < len(candidates) and candidates[end][0] == candidates[at][0]:
            end += 1
        for number in range(at, end):
            _, start, _, matched = candidates[number]
            place = min(size + 1, start + 1 + min(3, matched // 4))
            top = (0.0, -1)
            while place > 0:
                top = max(top, best[place])
                place -= place & -place
            scores[number] = top[0] + (matched if matched >= _GRAM else 0.6 * matched)
            links[number] = top[1]
        for number in range(at, end):
            place = min(size + 1, candidates[number][2] + 1)
            while place <= size + 1:
                best[place] = max(best[place], (scores[number], number))
                place += place & -place
        at = end
    chain = []
    number = max(range(len(candidates)), key=scores.__getitem__, default=-1)
    while number >= 0:
        chain.append(candidates[number])
        number = links[number]
    return chain
