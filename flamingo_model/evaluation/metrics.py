"""How answers are judged: one function for each metric of the paper (section B.1.4), all in percent.

ROC AUC, NDCG and average precision are scikit-learn's. A bootstrap over examples gives each score its interval.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flamingo_model.evaluation.captions import cider
from flamingo_model.evaluation.examples import Example, TaskError
from flamingo_model.evaluation.task import Metric
from flamingo_model.evaluation.vqa_accuracy import normalise, vqa_accuracy
from flamingo_model.evaluation.wordnet import wordnet, wups

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to an example."""

    text: str
    """An open answer, or the likeliest candidate."""
    scores: tuple[float, ...] = ()
    """Log-likelihood of each candidate."""


@dataclass(frozen=True, slots=True)
class Score:
    """Percent, with the interval that holds 95 of 100 bootstrap samples."""

    value: float
    low: float
    high: float


Pairs = Sequence[tuple[Example, Answer]]


def score(metric: Metric, pairs: Pairs, *, resamples: int = 1000, seed: int = 0) -> Score:
    """What so many answers are worth.

    Args:
        pairs: examples, of which each has answers or relevance, and what was said.
        resamples: of the bootstrap; CIDEr's word weights and mWAP's classes stay those of all examples.

    Raises:
        TaskError: answers that the metric cannot judge.
    """
    if not pairs:
        raise TaskError("there is nothing to judge")
    rng = np.random.default_rng(seed)
    if metric in WHOLE:
        whole = WHOLE[metric](pairs)
        value = whole(np.arange(len(pairs)))
        drawn = [whole(rng.integers(0, len(pairs), len(pairs))) for _ in range(min(resamples, 200))]
        values = np.array([one for one in drawn if one == one])  # one class only has no AUC
    else:
        each = np.array(EACH[metric](pairs))
        value = float(each.mean())
        values = np.array([each[rng.integers(0, len(each), len(each))].mean() for _ in range(resamples)])
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (float("nan"), float("nan"))
    return Score(100 * value, 100 * float(low), 100 * float(high))


def _vqa(pairs: Pairs) -> list[float]:
    try:
        return [vqa_accuracy(answer.text, example.answers) for example, answer in pairs]
    except ValueError as error:
        raise TaskError(str(error)) from error


def _accuracy(pairs: Pairs) -> list[float]:
    return [float(normalise(answer.text) in map(normalise, example.answers)) for example, answer in pairs]


def _ivqa(pairs: Pairs) -> list[float]:
    """Two of five people gave it: right; one: half (Yang et al. 2021)."""
    return [
        min(1.0, [normalise(other) for other in example.answers].count(normalise(answer.text)) / 2)
        for example, answer in pairs
    ]


def _cider(pairs: Pairs) -> list[float]:
    try:
        return cider([answer.text for _, answer in pairs], [example.answers for example, _ in pairs])
    except ValueError as error:
        raise TaskError(str(error)) from error


def _wups(pairs: Pairs) -> list[float]:
    """Counts and yes/no (types DC and DB) must be the same, as in NExT-QA's program."""
    net = wordnet()
    values = []
    for example, answer in pairs:
        exact = example.facts.get("type") in ("DC", "DB")
        own = normalise(answer.text)
        each = [float(own == normalise(r)) if exact else wups(answer.text, r, net) for r in example.answers]
        values.append(max(each))
    return values


def ranks(pairs: Pairs) -> Array:
    """Of the best right candidate: 0 is the first. Of equal scores the wrong ones count as better."""
    found = []
    for example, answer in pairs:
        scores = np.array(answer.scores)
        right = [place for place, candidate in enumerate(example.candidates) if candidate in example.answers]
        if not right:
            raise TaskError(f"example {example.id}: none of its {len(scores)} candidates is its answer")
        wrong = np.delete(scores, right)
        found.append(int((wrong >= scores[right].max()).sum()))
    return np.array(found)


def top_k(pairs: Pairs, k: int) -> list[float]:
    """Whether the right candidate is among the first k."""
    return [float(rank < k) for rank in ranks(pairs)]


def _top1_top5(pairs: Pairs) -> list[float]:
    """Kinetics: the mean of both."""
    return [(float(rank < 1) + float(rank < 5)) / 2 for rank in ranks(pairs)]


def _ndcg(pairs: Pairs) -> list[float]:
    """VisDial: over as many of the first candidates as are relevant at all."""
    from sklearn.metrics import ndcg_score

    values = []
    for example, answer in pairs:
        if len(example.relevance) != len(answer.scores):
            raise TaskError(
                f"example {example.id} has {len(example.relevance)} relevances, {len(answer.scores)} scores"
            )
        relevant = sum(value > 0 for value in example.relevance)
        if not relevant:
            raise TaskError(f"example {example.id}: no candidate is relevant")
        values.append(float(ndcg_score([example.relevance], [answer.scores], k=relevant, ignore_ties=True)))
    return values


def _roc_auc(pairs: Pairs) -> Callable[[Array], float]:
    """Two candidates: how much likelier the first is orders the examples."""
    from sklearn.metrics import roc_auc_score

    first = pairs[0][0].candidates[0]
    right = np.array([example.answers[0] == first for example, _ in pairs])
    margin = np.array([answer.scores[0] - answer.scores[1] for _, answer in pairs])
    if right.all() or not right.any():
        raise TaskError("ROC AUC needs examples of both classes; raise the limit")

    def of(rows: Array) -> float:
        some = right[rows]
        return float("nan") if some.all() or not some.any() else float(roc_auc_score(some, margin[rows]))

    return of


def _mwap(pairs: Pairs) -> Callable[[Array], float]:
    """RareAct: mean over actions of the average precision; the segments of one video together weigh 1 in each of the
    groups right, half right and wrong (Miech et al. 2020, and their program).

    A segment that shows one action is wrong for all others; for those with its verb or its noun it is half right.
    """
    from sklearn.metrics import average_precision_score

    facts = [example.facts for example, _ in pairs]
    logits = np.array([answer.scores for _, answer in pairs])
    logits = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    verbs, nouns, videos = (np.array([own[name] for own in facts]) for name in ("verb", "noun", "video_id"))
    classes, marks = (np.array([int(own[name]) for own in facts]) for name in ("class_id", "annotation"))
    names = {int(own["class_id"]): (own["verb"], own["noun"]) for own in facts}
    groups: list[tuple[int, Array]] = []
    for number, (verb, noun) in sorted(names.items()):
        own, shows = classes == number, marks == 1
        verb_only, noun_only = (verbs == verb) & (nouns != noun), (verbs != verb) & (nouns == noun)
        group = np.full(len(pairs), -1)
        group[(own & (marks == 0)) | (shows & (verbs != verb) & (nouns != noun))] = 0
        group[(own & (marks > 1)) | (shows & (verb_only | noun_only))] = 2
        group[own & shows] = 1
        if (group == 1).any():
            groups.append((number, group))
    if not groups:
        raise TaskError("mWAP needs segments that show their action (annotation 1); raise the limit")

    def of(rows: Array) -> float:
        values = []
        for number, group in groups:
            some = rows[group[rows] >= 0]
            if not (group[some] == 1).any():
                continue
            keys = [f"{kind} {video}" for kind, video in zip(group[some], videos[some], strict=True)]
            _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
            weights = 1 / counts[inverse]
            values.append(average_precision_score(group[some] == 1, logits[some, number], sample_weight=weights))
        return float(np.mean(values)) if values else float("nan")

    return of


EACH: Mapping[Metric, Callable[[Pairs], list[float]]] = {
    "vqa_accuracy": _vqa,
    "accuracy": _accuracy,
    "ivqa_accuracy": _ivqa,
    "cider": _cider,
    "wups": _wups,
    "top1": lambda pairs: top_k(pairs, 1),
    "top1_top5": _top1_top5,
    "ndcg": _ndcg,
}
"""Metrics that are the mean of a value for each example."""
WHOLE: Mapping[Metric, Callable[[Pairs], Callable[[Array], float]]] = {"roc_auc": _roc_auc, "mwap": _mwap}
"""Those that are not: from all examples to a function of some of them."""


def retrieval_recall(
    similarities: Array, right: Sequence[Sequence[int]], ks: Sequence[int] = (1, 5, 10)
) -> list[float]:
    """Percent of rows of which a right column is among the k most similar (R@k, section B.1.3).

    Args:
        similarities: [rows, columns], e.g. of pictures and captions.
        right: for each row its right columns.
    """
    best = [row[list(own)].max() for row, own in zip(similarities, right, strict=True)]
    # A wrong column of the same similarity counts as nearer: a model that says the same of all has no recall.
    above = []
    for row, own, value in zip(similarities, right, best, strict=True):
        wrong = np.ones(len(row), dtype=bool)
        wrong[list(own)] = False
        above.append(int((row[wrong] >= value).sum()))
    return [100 * float(np.mean(np.array(above) < k)) for k in ks]
