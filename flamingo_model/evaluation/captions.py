"""CIDEr-D, as the COCO caption evaluation computes it, without Java.

Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (2015), with the lengths and clipping of CIDEr-D.
What COCO's server calls CIDEr is this; the paper's captioning scores are this times 100.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

MAX_N = 4
SIGMA = 6.0
"""Of the penalty for another length, in words."""
PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";", '"'])
"""Tokens that the COCO evaluation leaves out. Brackets stay, in the Treebank's spelling: its program looks for them in
capitals, when all has been made lower case."""
BRACKETS = dict(zip("()[]{}", ("-lrb-", "-rrb-", "-lsb-", "-rsb-", "-lcb-", "-rcb-"), strict=True))
_CLITICS = r"n't|'(?:s|m|d|re|ve|ll)"
_SHORT = "mr|mrs|ms|dr|st|jr|sr|vs|e\\.g|i\\.e|no|atty|gen|rev|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|calif|conn"
_WORD = re.compile(
    r"\.\.\.|--"
    r"|\.\d+"
    r"|\d+(?:[.,:/]\d+)*(?:[^\W_]*)(?:-\w+)*"
    rf"|\b(?:{_SHORT})\."
    r"|(?:[^\W\d_]\.){2,}"
    r"|\b[^\W\d_]\.(?=\s|\d)"
    rf"|{_CLITICS}(?!\w)"
    r"|'\d\ds\b|'n'"
    r"|can(?=not\b)|gon(?=na\b)|wan(?=na\b)|got(?=ta\b)"
    rf"|[^\W_]+?(?=(?:{_CLITICS})(?!\w))"
    r"|@?[^\W_]+(?:['./-][^\W_]+)*"
    r"|[^\w\s]|_+",
)
_ASCII = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "--", "\u2014": "--"})
Grams = Counter[tuple[str, ...]]


def tokenize(caption: str) -> list[str]:
    """Lower-case words in the way of the Penn Treebank ("don't": do, n't), without punctuation."""
    text = caption.lower().translate(_ASCII).replace("\n", " ")
    return [BRACKETS.get(word, word) for word in _WORD.findall(text) if word not in PUNCTUATION]


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each candidate, 0 to 10; COCO prints the mean of them, papers this times 100.

    Args:
        candidates: one caption for each picture.
        references: for each picture one or more captions. How rare words are is counted in these.

    Raises:
        ValueError: a picture without references.
    """
    if empty := [place for place, own in enumerate(references) if not own]:
        raise ValueError(f"picture {empty[0]} has no reference caption")
    grams = [[_grams(tokenize(caption)) for caption in own] for own in references]
    pictures_with: Counter[tuple[str, ...]] = Counter()
    for own in grams:
        pictures_with.update({gram for one in own for gram in one})
    log_count = math.log(len(references)) if references else 0.0
    scores = []
    for caption, own in zip(candidates, grams, strict=True):
        candidate = _weighted(_grams(tokenize(caption)), pictures_with, log_count)
        each = [_similarity(candidate, _weighted(one, pictures_with, log_count)) for one in own]
        scores.append(10 * math.fsum(each) / len(each))
    return scores


def _grams(words: Sequence[str]) -> Grams:
    return Counter(tuple(words[i : i + n]) for n in range(1, MAX_N + 1) for i in range(len(words) - n + 1))


Weighted = tuple[list[dict[tuple[str, ...], float]], list[float], int]
"""For each n the weights of its n-grams and their norm; and the length that CIDEr-D compares."""


def _weighted(grams: Grams, pictures_with: Counter[tuple[str, ...]], log_count: float) -> Weighted:
    weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_N)]
    for gram, count in grams.items():
        weights[len(gram) - 1][gram] = count * (log_count - math.log(max(1, pictures_with[gram])))
    norms = [math.sqrt(math.fsum(value * value for value in own.values())) for own in weights]
    # The official program compares the number of bigrams, one less than that of words.
    return weights, norms, sum(count for gram, count in grams.items() if len(gram) == 2)


def _similarity(candidate: Weighted, reference: Weighted) -> float:
    """Mean over n of the cosine, in which no n-gram of the candidate counts more than in the reference."""
    penalty = math.exp(-((candidate[2] - reference[2]) ** 2) / (2 * SIGMA**2))
    total = 0.0
    for own, other, norm, other_norm in zip(candidate[0], reference[0], candidate[1], reference[1], strict=True):
        if norm and other_norm:
            shared = math.fsum(min(value, other[gram]) * other[gram] for gram, value in own.items() if gram in other)
            total += shared / (norm * other_norm)
    return total * penalty / MAX_N
