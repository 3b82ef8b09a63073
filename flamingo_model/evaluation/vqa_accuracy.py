"""The accuracy of VQA (v2, OK-VQA, TextVQA, VizWiz): agreement with ten people, after the official normalisation.

An answer is right to the degree to which others gave it: min(1, number of the same answers / 3), as the mean over all
ways of leaving one person out (Antol et al. 2015, and the evaluation program of visualqa.org, version 2).
"""

import re
from collections.abc import Sequence

ARTICLES = ("a", "an", "the")
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
} | {"none": "0"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
LEAST_ANSWERS = 4
"""With fewer, three others cannot agree."""
_APOSTROPHES = [
    "ain't",
    "aren't",
    "can't",
    "could've",
    "couldn't",
    "couldn't've",
    "didn't",
    "doesn't",
    "don't",
    "hadn't",
    "hadn't've",
    "hasn't",
    "haven't",
    "he'd",
    "he'd've",
    "he's",
    "how'd",
    "how'll",
    "how's",
    "isn't",
    "it'd",
    "it'd've",
    "it'll",
    "ma'am",
    "mightn't",
    "mightn't've",
    "might've",
    "mustn't",
    "must've",
    "needn't",
    "not've",
    "o'clock",
    "oughtn't",
    "shan't",
    "she'd've",
    "should've",
    "shouldn't",
    "shouldn't've",
    "somebody'd've",
    "somebody'll",
    "somebody's",
    "someone'd",
    "someone'd've",
    "someone'll",
    "someone's",
    "something'd",
    "something'd've",
    "something'll",
    "that's",
    "there'd",
    "there'd've",
    "there're",
    "there's",
    "they'd",
    "they'd've",
    "they'll",
    "they're",
    "they've",
    "'twas",
    "wasn't",
    "we'd've",
    "we've",
    "weren't",
    "what'll",
    "what're",
    "what's",
    "what've",
    "when's",
    "where'd",
    "where's",
    "where've",
    "who'd",
    "who'd've",
    "who'll",
    "who's",
    "who've",
    "why'll",
    "why're",
    "why's",
    "won't",
    "would've",
    "wouldn't",
    "wouldn't've",
    "y'all",
    "y'all'll",
    "y'all'd've",
    "you'd",
    "you'd've",
    "you'll",
    "you're",
    "you've",
]
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_NUMBER_COMMA = re.compile(r"\d,\d")


def _contractions() -> dict[str, str]:
    """Each word with one of its apostrophes left out, to the word; as in the official table, which has two words more
    that lose or gain one."""
    found = {"somebody'd": "somebodyd", "ow's'at": "'ow's'at", "'ows'at": "'ow's'at", "'ow'sat": "'ow's'at"}
    for word in _APOSTROPHES:
        for place in [place for place, sign in enumerate(word) if sign == "'"]:
            found[word[:place] + word[place + 1 :]] = word
    return found


CONTRACTIONS = _contractions()


def normalise(answer: str) -> str:
    """Lower case, numbers as digits, no articles and punctuation, contractions with their apostrophe."""
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    with_comma = _NUMBER_COMMA.search(text) is not None
    out = text
    for sign in PUNCTUATION:
        apart = f"{sign} " in text or f" {sign}" in text or with_comma
        out = out.replace(sign, "" if apart else " ")
    words = [NUMBERS.get(word, word) for word in _PERIOD.sub("", out).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """0 to 1.

    Raises:
        ValueError: fewer than four people.
    """
    if len(people) < LEAST_ANSWERS:
        raise ValueError(
            f"{len(people)} answer(s) {list(people)[:3]}: VQA accuracy compares those of several people (VQA has ten), "
            f'at least {LEAST_ANSWERS}; with fewer, take metric = "accuracy"'
        )
    own = normalise(answer)
    same = [normalise(other) == own for other in people]
    return sum(min(1.0, (sum(same) - left_out) / 3) for left_out in same) / len(people)
