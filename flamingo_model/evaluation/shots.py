"""Which examples stand in a prompt before the question: none, some at random, or the most similar (section A.2).

Whatever the choice: never the example that is asked, nor one with the same picture.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, permutations
from random import Random
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from flamingo_model.evaluation.examples import Example, TaskError
from flamingo_model.media import Media
from flamingo_model.model import Flamingo

T = TypeVar("T")


def draw_support(examples: Sequence[Example], size: int, per_label: int, seed: int) -> list[Example]:
    """The examples among which shots are chosen (section B.1.4), in the order in which they were given.

    Args:
        size: so many of all; 0: all of them.
        per_label: if above 0, so many of each label instead, all where a label has fewer.
    """
    rng = Random(f"support/{seed}")
    if per_label:
        of_label: dict[str, list[int]] = {}
        for place, example in enumerate(examples):
            of_label.setdefault(example.label, []).append(place)
        chosen = [p for own in of_label.values() for p in rng.sample(own, min(per_label, len(own)))]
    elif size and size < len(examples):
        chosen = rng.sample(range(len(examples)), size)
    else:
        return list(examples)
    return [examples[place] for place in sorted(chosen)]


def random_order(count: int, query: str, seed: int) -> Iterator[int]:
    """All places of a support in a random order of the query's own: it does not depend on other queries."""
    rng = Random(f"{seed}/{query}")
    places = list(range(count))
    while places:
        yield places.pop(rng.randrange(len(places)))


def similar_order(similarities: Tensor) -> Iterator[int]:
    """All places of a support, the most similar first; of equals the earlier.

    Args:
        similarities: [examples of the support] of one query.
    """
    yield from similarities.argsort(descending=True, stable=True).tolist()


def take(order: Iterable[int], count: int, allowed: Callable[[int], bool]) -> list[int]:
    """The first `count` of the places that are allowed; fewer if there are fewer."""
    return list(islice(filter(allowed, order), count))


def no_leak(
    query: tuple[str, str], support: Callable[[int], tuple[str, str]], same_split: bool
) -> Callable[[int], bool]:
    """Which places of a support may be shown to a query.

    Args:
        query: id and digest of the picture.
        support: the same of a place.
        same_split: both come from the same files, so that equal ids are the same example. Ids of two files that both
            count from 0 mean nothing.
    """

    def free(place: int) -> bool:
        name, picture = support(place)
        return picture != query[1] and not (same_split and name == query[0])

    return free


def orders(shots: Sequence[T], count: int, query: str, seed: int) -> list[list[T]]:
    """Different orders of the shots for an ensemble, the given one first; all of them if there are fewer."""
    total = math.factorial(min(len(shots), 20))
    found: list[tuple[int, ...]] = [tuple(range(len(shots)))]
    if count >= total:
        found = list(permutations(range(len(shots))))
    else:
        rng = Random(f"orders/{seed}/{query}")
        while len(found) < count:
            drawn = tuple(rng.sample(range(len(shots)), len(shots)))
            if drawn not in found:
                found.append(drawn)
    return [[shots[place] for place in order] for order in found]


def mean_scores(scores: Sequence[Sequence[float]]) -> list[float]:
    """The ensemble: the mean over the prompts of each candidate's log-likelihood."""
    return [math.fsum(own) / len(own) for own in zip(*scores, strict=True)]


@torch.no_grad()
def picture_features(model: Flamingo, media: Media) -> Tensor:
    """float32 [n, D'], length 1: the frozen encoder's features, mean over positions and frames."""
    features = model.vision(media.pixels).float().mean(1)
    return F.normalize(torch.stack([own.mean(0) for own in features.split(list(media.frames))]), dim=-1)


def features_key(model: Flamingo, digests: Sequence[str], settings: str) -> str:
    """What kept features are of: the encoder's weights, the pictures, how they were read."""
    whole = hashlib.sha256(settings.encode())
    for name, weight in model.vision.model.named_parameters():
        whole.update(f"{name} {list(weight.shape)} {weight.detach().float().double().sum().item():.9e}".encode())
    for own in digests:
        whole.update(own.encode())
    return whole.hexdigest()


def need(count: int, found: int, task: str) -> None:
    """Raises:
    TaskError: the support has too few examples.
    """
    if found < count:
        raise TaskError(
            f"{task}: {count} shots are wanted, the support has only {found} that can be read and are not the query "
            "or of its picture"
        )
