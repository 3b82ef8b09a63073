"""The measures of the proof of learning, on a model whose answers are known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from flamingo_model.media import Media
from flamingo_model.model import FlamingoOutput
from learn.measure import Shown, choose_picture, choose_text, segments, shuffled, with_shots


class Known(nn.Module):
    """A model whose loss of a token is how far it is from the number of the picture that it sees."""

    def forward(
        self, tokens: Tensor, images: Media, phi: Tensor, *, attention_mask: Tensor, labels: Tensor, visual: Tensor
    ) -> FlamingoOutput:
        begins = torch.tensor([sum(images.per_row[:row]) for row in range(len(tokens))])
        seen = visual[:, 0, 0][begins[:, None] + phi.clamp(min=1) - 1]
        losses = (tokens - seen).abs() * (labels >= 0) * (phi > 0)
        return FlamingoOutput(None, losses.mean(), losses)


def rows(*numbers: tuple[int, ...], width: int = 4) -> Shown:
    """Each row has a picture for each number, and `width` tokens that are the number after its own begin token."""
    length = max(len(own) for own in numbers) * width
    tokens = torch.zeros(len(numbers), length, dtype=torch.int64)
    phi, mask = tokens.clone(), tokens.clone()
    visual, places = [], []
    for row, own in enumerate(numbers):
        places.append(tuple(range(len(visual), len(visual) + len(own))))
        visual += list(own)
        for place, number in enumerate(own):
            part = slice(place * width, (place + 1) * width)
            tokens[row, part], phi[row, part], mask[row, part] = number, place + 1, 1
    labels = tokens.where(mask > 0, -100)
    labels[:, 0] = -100
    seen = torch.tensor(visual, dtype=torch.float32)[:, None, None]
    return Shown(tokens, phi, labels, mask, seen, tuple(places), tuple(places))


MODEL: "Known" = Known()


def test_who_sees_chooses_rightly() -> None:
    shown = rows(*((number,) for number in range(1, 31)))
    found = choose_picture(MODEL, shown, [(row, 1) for row in range(30)], seed=0)  # type: ignore[arg-type]
    assert (found.count, found.right, found.own) == (30, 1.0, 0.0) and found.gap == found.other > 1
    assert choose_text(MODEL, shown, seed=0).right == 1.0  # type: ignore[arg-type]


def test_who_is_blind_never_chooses_rightly_since_all_are_equal() -> None:
    shown = rows(*((number,) for number in range(1, 31)))
    blind = replace(shown, visual=torch.zeros_like(shown.visual))
    found = choose_picture(MODEL, blind, [(row, 1) for row in range(30)], seed=0)  # type: ignore[arg-type]
    assert found.right == 0 and found.gap == pytest.approx(0)


def test_wrong_pictures_are_never_those_of_an_equal_text() -> None:
    shown = rows(*((number // 2 + 1,) for number in range(40)))
    assert choose_picture(MODEL, shown, [(row, 1) for row in range(40)], seed=1).right == 1  # type: ignore[arg-type]


def test_the_texts_of_pages_and_their_shuffled_images() -> None:
    shown = rows(*((number, number + 40, number + 80) for number in range(1, 31)), (7,))
    texts = segments(shown, 3, 1000, seed=0)
    assert len(texts) == 89 + 1 and (30, 1) not in texts  # the first text of a row has one judged token less
    assert segments(shown, 4, 1000, seed=0) == [(row, image) for row in range(30) for image in (2, 3)]
    assert len(segments(shown, 3, 10, seed=0)) == 10
    assert choose_picture(MODEL, shown, texts, seed=0).right == 1  # type: ignore[arg-type]
    mixed = shuffled(shown, seed=0)
    assert all(set(one) == set(two) for one, two in zip(mixed.places, shown.places, strict=True))
    assert all(one != two for row in range(30) for one, two in zip(mixed.places[row], shown.places[row], strict=True))
    assert choose_picture(MODEL, mixed, texts, seed=0).right < 0.3  # type: ignore[arg-type]


def test_shots_stand_before_the_text_and_are_not_judged() -> None:
    shown, support = rows(*((number,) for number in range(1, 21))), rows(*((number,) for number in range(101, 121)))
    few = with_shots(shown, support, 2, seed=0)
    assert few.tokens.shape == (20, 3 + 2 + 3)  # one <BOS>, at the begin, and one <EOS>, at the end
    for row in range(20):
        ids = few.tokens[row][few.attention_mask[row] > 0]
        assert few.phi[row].tolist() == [1] * 3 + [2] * 2 + [3] * 3
        assert ids[-1] == row + 1 and (ids[:5] > 100).all()
        assert not (few.labels[row][:5] >= 0).any() and (few.labels[row][5:] >= 0).all()
        assert few.visual[list(few.places[row])].flatten().tolist() == [int(ids[0]), int(ids[3]), row + 1]
    texts = [(row, 3) for row in range(20)]
    assert choose_picture(MODEL, few, texts, seed=0).right == 1  # type: ignore[arg-type]
    none = with_shots(shown, support, 0, seed=0)
    assert torch.equal(none.tokens, shown.tokens) and torch.equal(none.labels, shown.labels)
