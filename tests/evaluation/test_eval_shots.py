"""Which examples are shown: at random, the most similar, never the one that is asked."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from eval_files import make_opened, save_picture
from PIL import Image

from flamingo_model.evaluation.examples import Example, Frames, TaskError, Visual
from flamingo_model.evaluation.shots import (
    draw_support,
    features_key,
    mean_scores,
    need,
    no_leak,
    orders,
    picture_features,
    random_order,
    similar_order,
    take,
)
from flamingo_model.preprocess import Preprocess


def examples(count: int, labels: int = 3) -> list[Example]:
    return [
        Example(id=str(n), visual=Visual(Path(f"{n}.jpg")), answers=("a",), label=str(n % labels)) for n in range(count)
    ]


def test_support_is_drawn_by_the_seed_alone() -> None:
    every = examples(50)
    drawn = draw_support(every, 10, 0, seed=1)
    assert drawn == draw_support(every, 10, 0, seed=1) != draw_support(every, 10, 0, seed=2)
    assert len({example.id for example in drawn}) == 10
    assert draw_support(every, 0, 0, seed=1) == every == draw_support(every, 99, 0, seed=1)


def test_support_of_each_label() -> None:
    drawn = draw_support(examples(50), 0, 5, seed=1)
    assert Counter(example.label for example in drawn) == {"0": 5, "1": 5, "2": 5}
    assert len(draw_support(examples(4), 0, 5, seed=1)) == 4


def test_random_order_is_the_querys_own() -> None:
    one = list(random_order(20, "q", 0))
    assert sorted(one) == list(range(20))
    assert one == list(random_order(20, "q", 0))
    assert one != list(random_order(20, "r", 0)) and one != list(random_order(20, "q", 1))
    # Every example is as likely to come first.
    first = Counter(next(random_order(4, str(query), 0)) for query in range(2000))
    assert all(abs(count - 500) < 5 * math.sqrt(375) for count in first.values())


def test_the_most_similar_come_first_and_are_shown_last() -> None:
    similarities = torch.tensor([0.1, 0.9, 0.5, 0.9, -1.0])
    assert list(similar_order(similarities)) == [1, 3, 2, 0, 4]
    assert take(similar_order(similarities), 3, lambda place: place != 3) == [1, 2, 0]


def test_features_are_the_mean_of_the_encoders_of_length_one(tmp_path: Path) -> None:
    opened = make_opened()
    paths = [save_picture(tmp_path / f"{n}.png", n) for n in range(3)]
    vision = opened.model.vision
    ready = Preprocess(vision.image_size, vision.mean, vision.std, augment=None)
    for path in paths:
        found = opened.features(Visual(path), Frames(1, 1.0))
        assert isinstance(found, torch.Tensor)
        with torch.no_grad(), Image.open(path) as picture:
            plain = vision(ready(picture.convert("RGB"))[None])[0].mean(0)
        assert torch.allclose(found, plain / plain.norm(), atol=1e-6)
    # A video's are the mean over its frames.
    with torch.no_grad():
        pictures = [Image.open(path).convert("RGB") for path in paths]
        video = picture_features(opened.model, opened.media([pictures]))[0]
        each = vision(torch.stack([ready(picture) for picture in pictures])).mean((0, 1))
    assert torch.allclose(video, each / each.norm(), atol=1e-6)
    same = opened.features(Visual(paths[0]), Frames(1, 1.0))
    assert isinstance(same, torch.Tensor) and float(same @ same) == pytest.approx(1, abs=1e-5)


def test_kept_features_are_of_these_pictures_and_this_encoder() -> None:
    model = make_opened().model
    key = features_key(model, ["a", "b"], "s")
    assert key == features_key(model, ["a", "b"], "s")
    others = [features_key(model, ["b", "a"], "s"), features_key(model, ["a", "b"], "t")]
    others.append(features_key(make_opened(seed=1).model, ["a", "b"], "s"))
    assert len({key, *others}) == 4


def test_no_leak_by_picture_and_by_id() -> None:
    support = [("0", "A"), ("1", "B"), ("2", "A"), ("3", "C")]
    assert [no_leak(("9", "A"), support.__getitem__, True)(place) for place in range(4)] == [False, True, False, True]
    assert [no_leak(("1", "X"), support.__getitem__, True)(place) for place in range(4)] == [True, False, True, True]
    # Two files that both count from 0: equal numbers mean nothing.
    assert all(no_leak(("1", "X"), support.__getitem__, False)(place) for place in range(4))


def test_orders_of_an_ensemble() -> None:
    shots = ["a", "b", "c", "d"]
    found = orders(shots, 6, "q", 0)
    assert found[0] == shots and len({tuple(order) for order in found}) == 6
    assert all(sorted(order) == shots for order in found)
    assert found == orders(shots, 6, "q", 0) != orders(shots, 6, "r", 0)
    assert orders(["a", "b"], 6, "q", 0) == [["a", "b"], ["b", "a"]]
    assert orders(shots, 1, "q", 0) == [shots] and orders([], 6, "q", 0) == [[]]
    assert len(orders(list(range(32)), 6, "q", 0)) == 6


def test_mean_of_log_likelihoods() -> None:
    assert mean_scores([[-1.0, -2.0], [-3.0, -6.0]]) == [-2.0, -4.0]


def test_too_few_examples_are_an_error() -> None:
    need(3, 3, "t")
    with pytest.raises(TaskError, match="4 shots are wanted, the support has only 3"):
        need(4, 3, "t")
