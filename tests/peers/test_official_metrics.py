"""VQA accuracy and CIDEr beside the official programs."""

import random

import pytest

from flamingo_model.evaluation.captions import cider, tokenize
from flamingo_model.evaluation.vqa_accuracy import ARTICLES, CONTRACTIONS, NUMBERS, PUNCTUATION, normalise, vqa_accuracy

SENTENCES = [
    "A man's dog runs on the beach",
    "two dogs, running!",
    "a dog runs in the sand",
    "The cat isn't here.",
    "1,000 red balloons",
    "couldnt've been none",
    "black/white cat",
    "A well-known red beach; 3.5 miles",
    "theyre at St. Mary's",
    "six dogs (maybe 7)",
    "'twas a dog's cat",
    "",
]


def test_vqa_accuracy() -> None:
    theirs = pytest.importorskip("open_flamingo.eval.vqa_metric", reason="make test-peers", exc_type=ImportError)
    official = theirs.VQAEval(None, None)
    known = {short: word for short, word in official.contractions.items() if short.islower() and short != word}
    assert known == CONTRACTIONS
    assert official.manualMap == NUMBERS and set(official.punct) == set(PUNCTUATION)
    assert official.articles == list(ARTICLES)
    rng = random.Random(0)
    words = [word for sentence in SENTENCES for word in sentence.split()] + [
        *CONTRACTIONS,
        *NUMBERS,
        *";/?!.,",
        "3,000",
        "e.g.",
    ]
    texts = SENTENCES + [" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(2000)]
    for text in texts:
        expected = official.processDigitArticle(official.processPunctuation(text.strip()))
        assert normalise(text) == expected
    for _ in range(200):
        people = rng.choices(texts[:20], k=10)
        answer = rng.choice(people + texts[:3])
        records = [{"answer": normalise(text), "answer_id": number} for number, text in enumerate(people)]
        each = []
        for record in records:
            others = [other for other in records if other != record]
            each.append(min(1, sum(other["answer"] == normalise(answer) for other in others) / 3))
        assert vqa_accuracy(answer, people) == pytest.approx(sum(each) / 10)


def test_cider() -> None:
    theirs = pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="make test-peers", exc_type=ImportError)
    rng = random.Random(1)
    words = "a the dog cat man red beach runs on in sits two".split()  # noqa: SIM905
    captions = ["", *(" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(300))]
    for count in (1, 2, 40):
        candidates = rng.choices(captions, k=count)
        references = [rng.choices(captions, k=rng.randint(1, 5)) for _ in range(count)]
        scorer = theirs.CiderScorer(n=4, sigma=6.0)
        for candidate, own in zip(candidates, references, strict=True):
            scorer += (" ".join(tokenize(candidate)), [" ".join(tokenize(one)) for one in own])
        _, each = scorer.compute_score()
        assert cider(candidates, references) == pytest.approx(list(each))
