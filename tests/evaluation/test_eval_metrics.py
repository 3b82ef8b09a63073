"""Metrics on examples worked by hand, and against plain transcriptions of their definitions."""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_model.evaluation import wordnet as wordnet_module
from flamingo_model.evaluation.captions import cider, tokenize
from flamingo_model.evaluation.examples import Example, TaskError, Visual
from flamingo_model.evaluation.metrics import Answer, Pairs, ranks, retrieval_recall, score
from flamingo_model.evaluation.task import Metric
from flamingo_model.evaluation.vqa_accuracy import CONTRACTIONS, normalise, vqa_accuracy
from flamingo_model.evaluation.wordnet import base_form, wordnet, wups

NOTHING = Visual(Path("nothing.jpg"))


def said(text: str, *answers: str, **fields: object) -> tuple[Example, Answer]:
    """An example with these right answers, and what was said."""
    return Example(id="x", visual=NOTHING, answers=answers, **fields), Answer(text)  # type: ignore[arg-type]


def ranked(scores: list[float], right: str, candidates: tuple[str, ...] = ("a", "b", "c")) -> tuple[Example, Answer]:
    example = Example(id="x", visual=NOTHING, answers=(right,), candidates=candidates)
    return example, Answer("", tuple(scores))


def value(metric: Metric, pairs: Pairs) -> float:
    return score(metric, pairs, resamples=10).value


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("A Dog.", "dog"),
        ("the two dogs!", "2 dogs"),
        ("None", "0"),
        ("1,000", "1000"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("black/white", "black white"),
        ("yes, it is", "yes it is"),
        ("6:30", "6:30"),
        ("a\nb", "b"),
        ("well-known", "well known"),
        ("3.5", "3.5"),
    ],
)
def test_vqa_normalisation(answer: str, normal: str) -> None:
    assert normalise(answer) == normal


def test_contractions_have_one_apostrophe_less() -> None:
    assert CONTRACTIONS["theyre"] == "they're" and CONTRACTIONS["hed've"] == "he'd've"
    assert len(CONTRACTIONS) == 114


def test_vqa_accuracy_by_hand() -> None:
    # One of ten said it: for the nine ways that leave another person out 1/3, for the one that leaves him out 0.
    assert vqa_accuracy("cat", ["cat"] + ["dog"] * 9) == pytest.approx(0.3)
    assert vqa_accuracy("cat", ["cat"] * 2 + ["dog"] * 8) == pytest.approx(0.6)
    assert vqa_accuracy("cat", ["cat"] * 3 + ["dog"] * 7) == pytest.approx(0.9)
    assert vqa_accuracy("A cat.", ["cat"] * 4 + ["dog"] * 6) == 1.0
    assert vqa_accuracy("bird", ["cat"] * 10) == 0.0
    assert value("vqa_accuracy", [said("cat", *["cat"] * 10), said("cat", *["dog"] * 10)]) == 50.0
    with pytest.raises(TaskError, match="at least 4"):
        value("vqa_accuracy", [said("cat", "cat")])


def test_accuracy_of_one_answer_and_of_ivqa() -> None:
    assert value("accuracy", [said("The Dog", "dog"), said("cat", "dog"), said("two", "2", "3")]) == pytest.approx(
        200 / 3
    )
    five = ("dog", "dog", "cat", "bird", "bird")
    assert value("ivqa_accuracy", [said("dog", *five), said("a cat", *five), said("cow", *five)]) == 50.0


@pytest.mark.parametrize(
    ("caption", "words"),  # as Stanford's PTBTokenizer 3.4.1 and the COCO evaluation's list of punctuation make them
    [
        ("A man's hat isn't red.", "a man 's hat is n't red"),
        ("Two dogs, one cat: a well-known scene!", "two dogs one cat a well-known scene"),
        ("It costs $1,000.50 (really).", "it costs $ 1,000.50 -lrb- really -rrb-"),
        ('Mr. Smith\'s T-shirt says "hello"...', "mr. smith 's t-shirt says hello"),
        ("a 3-year-old girl w/ a kite & 2 balloons", "a 3-year-old girl w / a kite & 2 balloons"),
        ("The U.S. flag at 10:30 a.m.", "the u.s. flag at 10:30 a.m."),
        ("dogs' bowls; they're empty", "dogs bowls they 're empty"),
        ("I cannot stop", "i can not stop"),
        ("a black/white photo", "a black/white photo"),
        ("women's 5th 100m race", "women 's 5th 100m race"),
    ],
)
def test_words_of_captions(caption: str, words: str) -> None:
    assert " ".join(tokenize(caption)) == words


def test_cider_by_hand() -> None:
    # Two pictures; every n-gram is in one of them, so all weigh log 2. The first is said exactly: cosine 1 for each of
    # n = 1 to 4, times 10. The second shares no word.
    assert cider(["a b c d", "x"], [["a b c d"], ["e f g h"]]) == pytest.approx([10.0, 0.0])
    # One of two words: cosine 1/2 for n = 1, 0 for n = 2, none for 3 and 4; of equal length.
    assert cider(["a x", "q"], [["a b"], ["c d"]])[0] == pytest.approx(10 * 0.5 / 4)
    # A word that both pictures have weighs nothing.
    assert cider(["a", "a"], [["a"], ["a"]]) == [0.0, 0.0]
    # Said twice it counts once (clipping), in a vector that is longer: sqrt(5); and it is one bigram longer.
    assert cider(["a b a", "q"], [["a b"], ["c d"]])[0] == pytest.approx(
        10 * (2 / (math.sqrt(2) * math.sqrt(5)) + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72)
    )
    assert value("cider", [said("a b c d", "a b c d"), said("e f g h", "e f g h")]) == pytest.approx(1000)
    with pytest.raises(ValueError, match="no reference"):
        cider(["a"], [[]])


WORDS = st.lists(st.sampled_from(list("abcde")), min_size=0, max_size=8).map(" ".join)


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_cider_is_the_definition(pictures: list[tuple[str, list[str]]]) -> None:
    """A transcription of the formula with dense vectors over all n-grams that occur."""
    candidates, references = [c for c, _ in pictures], [r for _, r in pictures]

    def grams(text: str, n: int) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    expected = []
    for candidate, own in pictures:
        total = 0.0
        for n in range(1, 5):
            names = sorted({g for c, r in pictures for text in (c, *r) for g in grams(text, n)})
            rare = [
                math.log(len(pictures)) - math.log(max(1, sum(any(g in grams(t, n) for t in r) for _, r in pictures)))
                for g in names
            ]
            for reference in own:
                one = np.array([grams(candidate, n).count(g) * w for g, w in zip(names, rare, strict=True)])
                two = np.array([grams(reference, n).count(g) * w for g, w in zip(names, rare, strict=True)])
                norms = np.linalg.norm(one) * np.linalg.norm(two)
                cosine = float(np.minimum(one, two) @ two / norms) if norms else 0.0
                gap = len(grams(candidate, 2)) - len(grams(reference, 2))
                total += cosine * math.exp(-(gap**2) / 72)
        expected.append(10 * total / 4 / len(own))
    assert cider(candidates, references) == pytest.approx(expected)


def test_ranks_and_top_k() -> None:
    pairs = [ranked([-1, -2, -3], "a"), ranked([-1, -2, -3], "c"), ranked([-1, -1, -5], "b")]
    assert ranks(pairs).tolist() == [0, 2, 1]  # of equal scores the wrong one comes first
    assert value("top1", pairs) == pytest.approx(100 / 3)
    six = tuple("abcdef")
    pairs = [ranked([6, 5, 4, 3, 2, 1], right, six) for right in "aef"]
    assert value("top1_top5", pairs) == pytest.approx(100 * (1 + 0.5 + 0) / 3)
    with pytest.raises(TaskError, match="none of its 3 candidates"):
        value("top1", [ranked([1, 2, 3], "z")])


def test_roc_auc_counts_pairs_in_order() -> None:
    # Margins of the hateful: 2, 0; of the others: 1, -1. Three of the four pairs are in order.
    both = ("yes", "no")
    pairs = [ranked([m, 0.0], right, both) for m, right in ((2.0, "yes"), (0.0, "yes"), (1.0, "no"), (-1.0, "no"))]
    assert value("roc_auc", pairs) == 75.0
    with pytest.raises(TaskError, match="both classes"):
        value("roc_auc", pairs[:2])


def test_ndcg_by_hand() -> None:
    example = Example(id="x", visual=NOTHING, answers=(), candidates=("a", "b", "c"), relevance=(0.0, 1.0, 0.5))
    # Two are relevant. The order said is a, b: 0 / log2(2) + 1 / log2(3); the best is b, c: 1 + 0.5 / log2(3).
    best = 1 + 0.5 / math.log2(3)
    assert value("ndcg", [(example, Answer("", (3.0, 2.0, 1.0)))]) == pytest.approx(100 / math.log2(3) / best)
    assert value("ndcg", [(example, Answer("", (1.0, 3.0, 2.0)))]) == 100.0


def action(number: int, video: str, verb: str, noun: str, mark: int, scores: list[float]) -> tuple[Example, Answer]:
    facts = {"class_id": str(number), "video_id": video, "verb": verb, "noun": noun, "annotation": str(mark)}
    return Example(id=video, visual=NOTHING, answers=(), facts=facts), Answer("", tuple(scores))


def test_mwap_by_hand() -> None:
    """Two segments of one video are right for action 0: each weighs 1/2. One of them comes first, then a segment of
    action 1 (wrong for action 0, weight 1), then the other: precisions 1 and (1/2 + 1/2) / (1/2 + 1 + 1/2) = 1/2, mean
    3/4. For action 1 a segment of action 0 (weight 1/2) comes first, then its own: 1 / (1/2 + 1) = 2/3."""
    # Over the two actions, the probabilities of action 0 are 0.95, 0.27 and 0.38.
    pairs = [
        action(0, "v", "cut", "dog", 1, [0.0, -3.0]),
        action(0, "v", "cut", "dog", 1, [-2.0, -1.0]),
        action(1, "w", "wash", "cat", 1, [-1.0, -0.5]),
    ]
    assert value("mwap", pairs) == pytest.approx(100 * (3 / 4 + 2 / 3) / 2)
    assert value("mwap", [*pairs, action(0, "z", "cut", "dog", 0, [-9.0, 0.0])]) == value("mwap", pairs)
    with pytest.raises(TaskError, match="annotation 1"):
        value("mwap", [action(0, "v", "cut", "dog", 0, [0.0])])


def test_retrieval_recall() -> None:
    similarities = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.8, 0.8]])
    assert retrieval_recall(similarities, [[0], [1], [2]], ks=(1, 2)) == pytest.approx([100 / 3, 100.0])
    assert retrieval_recall(similarities, [[0], [0, 1], [2]], ks=(1,)) == pytest.approx([200 / 3])
    assert retrieval_recall(np.zeros((4, 4)), [[0], [1], [2], [3]], ks=(1, 3)) == [0.0, 0.0]


def test_intervals() -> None:
    pairs = [said("dog", "dog")] * 60 + [said("cat", "dog")] * 40
    found = score("accuracy", pairs)
    assert found.value == 60.0
    # The standard error is sqrt(0.6 * 0.4 / 100) = 4.9 percent.
    assert found.low == pytest.approx(60 - 1.96 * 4.9, abs=2) and found.high == pytest.approx(60 + 1.96 * 4.9, abs=2)
    assert score("accuracy", pairs) == found
    with pytest.raises(TaskError, match="nothing to judge"):
        score("accuracy", [])


@pytest.fixture
def little_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """WordNet's files with thing > animal > dog, cat and thing > stone."""
    import nltk.data

    folder = tmp_path / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    parents = {"thing": "", "animal": "thing", "dog": "animal", "cat": "animal", "stone": "thing"}

    def lines(places: dict[str, int]) -> list[str]:
        made = []
        for word, parent in parents.items():
            above = f"001 @ {places[parent]:08d} n 0000" if parent else "000"
            made.append(f"{places[word]:08d} 03 n 01 {word} 0 {above} | a {word}  \n")
        return made

    places = dict.fromkeys(parents, 0)
    ends = [0]
    for line in lines(places):
        ends.append(ends[-1] + len(line))
    places = dict(zip(parents, (start for start, _ in pairwise(ends)), strict=True))
    (folder / "data.noun").write_text("".join(lines(places)))
    index = [f"{word} n 1 1 @ 1 0 {place:08d}  \n" for word, place in sorted(places.items())]
    (folder / "index.noun").write_text("".join(index))
    (folder / "noun.exc").write_text("kine dog\n")
    for name in ("adj", "adv", "verb"):
        for file in (f"data.{name}", f"index.{name}", f"{name}.exc"):
            (folder / file).write_text("")
    (folder / "lexnames").write_text("".join(f"{n:02d}\tname{n}\t1\n" for n in range(45)))
    for name in ("cntlist.rev", "index.sense"):
        (folder / name).write_text("")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    clear()
    yield
    clear()


def clear() -> None:
    wordnet_module.wordnet.cache_clear()
    wordnet_module.word_similarity.cache_clear()


def test_wups_by_hand(little_wordnet: None) -> None:
    net = wordnet()
    assert base_form("dogs", net) == "dog" and base_form("kine", net) == "dog" and base_form("zzz", net) == "zzz"
    # Depths from 1: thing 1, animal 2, dog 3. dog and cat share animal: 2 * 2 / (3 + 3).
    assert wups("dogs", "cat", net) == pytest.approx(2 / 3)
    # dog and stone (depth 2) share thing: 2 * 1 / (3 + 2).
    assert wups("dog", "stone", net) == pytest.approx(2 / 5)
    assert wups("dog", "stone", net, threshold=0.9) == pytest.approx(0.04)
    assert wups("zzz", "zzz", net) == 1.0 and wups("zzz", "dog", net) == 0.0 and wups("", "dog", net) == 0.0
    # Each word takes its nearest; the lower of both directions.
    assert wups("dog", "dog cat", net) == pytest.approx(2 / 3)
    pairs = [
        said("dog", "cat", "dog"),
        said("cat", "dog", facts={"type": "DO"}),
        said("dogs", "dog", facts={"type": "DC"}),
    ]
    assert value("wups", pairs) == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)


def test_without_wordnet_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    clear()
    with pytest.raises(TaskError, match=r"nltk\.downloader wordnet"):
        value("wups", [said("dog", "cat")])
