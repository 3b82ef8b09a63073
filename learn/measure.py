"""How much of what a model says depends on the picture, and on which one.

n samples, B rows, L tokens, W ways of a choice.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from flamingo_model.batch import Batch
from flamingo_model.media import Media
from flamingo_model.model import Flamingo

WAYS = 8
"""Pictures of a choice, the right one among them."""


@dataclass(frozen=True)
class Choice:
    """Of texts whose likelihood was taken under several pictures."""

    count: int
    right: float
    """Share of texts that their own picture makes strictly the likeliest; chance is 1 / W."""
    own: float
    """Mean negative log-likelihood of a token of text under its own picture, nats."""
    other: float
    """The same under the others."""

    @property
    def gap(self) -> float:
        """Nats for each token that the right picture gains."""
        return self.other - self.own

    @property
    def error(self) -> float:
        """Standard error of `right`."""
        return (self.right * (1 - self.right) / max(1, self.count)) ** 0.5


@dataclass(frozen=True)
class Shown:
    """Rows whose pictures have gone through the encoder and the resampler."""

    tokens: Tensor
    """int64 [n, L]"""
    phi: Tensor
    labels: Tensor
    attention_mask: Tensor
    visual: Tensor
    """[images of all rows, R, dim]"""
    places: tuple[tuple[int, ...], ...]
    """Of each row's images in `visual`."""
    texts: tuple[str, ...]
    """What is judged, to know equal ones."""


@torch.no_grad()
def show(model: Flamingo, batches: Iterable[Batch]) -> Shown:
    """All rows of some batches of one length."""
    parts, visual, places, texts, count = [], [], [], [], 0
    for batch in batches:
        if batch.pictures is None:
            continue
        media = batch.pictures.media(model.vision.mean, model.vision.std)
        visual.append(model.encode(media))
        for row, images in enumerate(media.per_row):
            parts.append([value[row] for value in (batch.tokens, batch.phi, batch.labels, batch.attention_mask)])
            places.append(tuple(range(count, count + images)))
            texts.append(str(batch.labels[row].tolist()))
            count += images
    columns = [torch.stack(column) for column in zip(*parts, strict=True)]
    return Shown(*columns, torch.cat(visual), tuple(places), tuple(texts))


def choose(model: Flamingo, shown: Shown, rows: Sequence[tuple[int, int]], seed: int, batch_size: int) -> Choice:
    """Replaces one image of a row by each of W - 1 others and asks which makes its text the likeliest.

    Args:
        model: in evaluation.
        shown: from `show`.
        rows: (row, number of the image from 1): the tokens whose phi is that number are judged.
        seed: of the choice of the other images, which are of rows with another text.
        batch_size: choices taken at once.
    """
    rng = Random(seed)
    losses = []
    for begin in range(0, len(rows), batch_size):
        part = rows[begin : begin + batch_size]
        candidates = torch.tensor([_candidates(shown, row, image, rng) for row, image in part])
        losses.append(torch.stack([_loss(model, shown, part, column) for column in candidates.T], 1))
    each = torch.cat(losses)
    own, others = each[:, 0], each[:, 1:]
    right = (own[:, None] < others).all(1).double().mean().item()
    return Choice(len(rows), right, own.mean().item(), others.mean().item())


def segments(shown: Shown, least: int, most: int, seed: int) -> list[tuple[int, int]]:
    """(row, image) of texts of at least `least` judged tokens that see an image, in rows of several images; at most
    `most`, drawn at random."""
    found = []
    for row, images in enumerate(shown.places):
        if len(images) < 2:
            continue
        judged = shown.phi[row].masked_fill(shown.labels[row] < 0, 0)
        found += [(row, image) for image in range(1, len(images) + 1) if int((judged == image).sum()) >= least]
    return sorted(Random(seed).sample(found, min(most, len(found))))


def shuffled(shown: Shown, seed: int) -> Shown:
    """Every text of a row sees another image of its row than its own; rows with one image are as they were.

    The images change places instead of phi, which so still runs from 1 up. A choice then asks how likely a text is
    under an image of the same page that is not its own: what is left is that both are of one subject.
    """
    rng, places = Random(seed), []
    for own in shown.places:
        turn = rng.randrange(1, len(own)) if len(own) > 1 else 0
        places.append(own[turn:] + own[:turn])
    return replace(shown, places=tuple(places))


@contextmanager
def seeing_all(model: Flamingo) -> Iterator[None]:
    """The trained model with every text seeing all images before it too, as the paper's ablation of phi."""
    layers = [layer.attention for layer in model.cross_attention.values()]
    before = [layer.all_previous for layer in layers]
    try:
        for layer in layers:
            layer.all_previous = True
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.all_previous = value


def _candidates(shown: Shown, row: int, image: int, rng: Random) -> list[int]:
    """The image of that row and W - 1 of other rows, by their places in `visual`."""
    others = [
        place
        for other, places in enumerate(shown.places)
        if other != row and shown.texts[other] != shown.texts[row]
        for place in places
    ]
    return [shown.places[row][image - 1], *rng.sample(others, WAYS - 1)]


@torch.no_grad()
def _loss(model: Flamingo, shown: Shown, rows: Sequence[tuple[int, int]], column: Tensor) -> Tensor:
    """Mean loss [B] of the tokens that see the image, which `column` [B] replaces."""
    index = torch.tensor([row for row, _ in rows])
    places = []
    for (row, image), candidate in zip(rows, column.tolist(), strict=True):
        own = list(shown.places[row])
        own[image - 1] = candidate
        places.append(own)
    flat = [place for own in places for place in own]
    phi, mask = shown.phi[index], shown.attention_mask[index]
    numbers = torch.tensor([image for _, image in rows])
    labels = shown.labels[index].where(phi == numbers[:, None], -100)
    length = int(mask.sum(1).max())
    media = Media.images(torch.zeros(len(flat), 3, 1, 1), tuple(map(len, places)))
    out = model(
        shown.tokens[index, :length],
        media,
        phi[:, :length],
        attention_mask=mask[:, :length],
        labels=labels[:, :length],
        visual=shown.visual[flat],
    )
    assert out.token_losses is not None
    return out.token_losses.sum(1) / (labels >= 0).sum(1).clamp(min=1)
