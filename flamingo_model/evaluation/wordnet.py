"""WUPS: how near two answers are in WordNet (Malinowski and Fritz 2014), as NExT-QA's evaluation has it.

WordNet itself is data that no package brings: NLTK's copy of it, where NLTK looks (the environment's NLTK_DATA).
"""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from flamingo_model.evaluation.captions import tokenize
from flamingo_model.evaluation.examples import TaskError

FAR = 0.1
"""Factor of a similarity below the threshold."""


@lru_cache(maxsize=1)
def wordnet() -> Any:
    """NLTK's reader of WordNet 3.0.

    Raises:
        TaskError: NLTK or the data is not there.
    """
    try:
        from nltk.corpus.reader.wordnet import WordNetCorpusReader
        from nltk.data import find
    except ModuleNotFoundError as error:
        raise TaskError(
            "WUPS needs NLTK and WordNet: pip install nltk, then python -m nltk.downloader wordnet"
        ) from error
    problem = ""
    for place in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other languages, which nobody asked for
                return WordNetCorpusReader(find(place), None)
        except LookupError:
            continue
        except OSError as error:
            problem = f" ({error})"
    raise TaskError(
        f"WUPS needs WordNet 3.0, which is not here{problem}: python -m nltk.downloader wordnet, or a folder with "
        "corpora/wordnet in it, named by the environment's NLTK_DATA; see https://wordnet.princeton.edu"
    )


def base_form(word: str, net: Any) -> str:
    """As WordNet lists it: "dogs" and "dog" are one. (The official program tags parts of speech first.)"""
    return next((found for part in "nvar" if (found := net.morphy(word, part))), word)


@lru_cache(maxsize=100_000)
def word_similarity(one: str, other: str, net: Any) -> float:
    """Wu-Palmer similarity of the first meanings, 0 to 1; 1 for the same word, 0 for one that WordNet has not."""
    if one == other:
        return 1.0
    first, second = net.synsets(one)[:1], net.synsets(other)[:1]
    if not first or not second:
        return 0.0
    return float(first[0].wup_similarity(second[0]) or 0.0)


def wups(answer: str, right: str, net: Any, threshold: float = 0.0) -> float:
    """0 to 1: each word is as good as the nearest of the other answer's; the product, the lower of both directions.

    Words that are near nothing are passed over, as in NExT-QA's program.
    """
    words = [[base_form(word, net) for word in tokenize(text)] for text in (answer, right)]

    def one_way(those: Sequence[str], others: Sequence[str]) -> float:
        product, any_near = 1.0, False
        for word in those:
            values = [word_similarity(word, other, net) for other in others]
            best = max((value if value >= threshold else FAR * value for value in values), default=0.0)
            if best > 0:
                product, any_near = product * best, True
        return product if any_near else 0.0

    return min(one_way(*words), one_way(*words[::-1]))
