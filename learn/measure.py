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
from flamingo_model.cross_attention import GatedCrossAttention
from flamingo_model.loss import IGNORED
from flamingo_model.media import Media
from flamingo_model.model import Flamingo

WAYS = 8
"""Of a choice, the right one among them."""
ROWS = 16
"""That go through the model at once."""


@dataclass(frozen=True)
class Choice:
    """Of texts whose likelihood was taken under several pictures, or of pictures under which that of several texts
    was."""

    count: int
    right: float
    """Share in which the right one is strictly the likeliest; chance is 1 / W."""
    own: float
    """Mean negative log-likelihood of a token of a text under its own picture, nats."""
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
    offered: tuple[tuple[int, ...], ...]
    """Which of these are the wrong ones of other rows' choices."""


@torch.no_grad()
def show(model: Flamingo, batches: Iterable[Batch]) -> Shown:
    """All rows with pictures of some batches of one length."""
    rows, visual, places, count = [], [], [], 0
    for batch in batches:
        if batch.pictures is None:
            continue
        media = batch.pictures.media(model.vision.mean, model.vision.std)
        visual.append(model.encode(media))
        for row, images in enumerate(media.per_row):
            if images:
                rows.append([value[row] for value in (batch.tokens, batch.phi, batch.labels, batch.attention_mask)])
                places.append(tuple(range(count, count + images)))
            count += images
    tokens, phi, labels, attended = (torch.stack(column) for column in zip(*rows, strict=True))
    return Shown(tokens, phi, labels, attended, torch.cat(visual), tuple(places), tuple(places))


def choose_picture(model: Flamingo, shown: Shown, texts: Sequence[tuple[int, int]], seed: int) -> Choice:
    """Which of W pictures makes a text the likeliest: its own, or one of those of other rows with another text?

    Args:
        model: in evaluation.
        shown: from `show`.
        texts: (row, number of the image from 1): the tokens whose phi is that number are judged, and the image is
            replaced.
        seed: of the choice of the wrong ones.
    """
    rng = Random(seed)
    judged = _judged(shown)
    ways = []
    for row, image in texts:
        others = [
            place
            for other, places in enumerate(shown.offered)
            if judged[other] != judged[row]
            for place in places
            if place not in shown.places[row]
        ]
        ways.append([shown.places[row][image - 1], *rng.sample(others, WAYS - 1)])
    columns = [_losses(model, shown, texts, column) for column in zip(*ways, strict=True)]
    return _choice(torch.stack(columns, 1))


def choose_text(model: Flamingo, shown: Shown, seed: int) -> Choice:
    """Which of W texts does a picture make the likeliest, by the mean over their tokens? Of rows with one image."""
    rng = Random(seed)
    judged = _judged(shown)
    ways = []
    for row, own in enumerate(judged):
        others = [other for other, text in enumerate(judged) if text != own]
        ways.append([row, *rng.sample(others, WAYS - 1)])
    pictures = [places[0] for places in shown.places]
    columns = [_losses(model, shown, [(text, 1) for text in column], pictures) for column in zip(*ways, strict=True)]
    return _choice(torch.stack(columns, 1))


def segments(shown: Shown, least: int, most: int, seed: int) -> list[tuple[int, int]]:
    """(row, image) of texts of at least `least` judged tokens that see an image, in rows of several images; at most
    `most`, drawn at random."""
    found = []
    for row, images in enumerate(shown.places):
        judged = shown.phi[row].masked_fill(shown.labels[row] == IGNORED, 0)
        numbers = range(1, len(images) + 1) if len(images) > 1 else ()
        found += [(row, image) for image in numbers if int((judged == image).sum()) >= least]
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


def with_shots(shown: Shown, support: Shown, shots: int, seed: int) -> Shown:
    """Before each row with one image those of so many others, whose texts are not judged.

    Args:
        shown, support: rows `<BOS><image>text<EOC><EOS>`; a prompt has one `<BOS>`, and `<EOS>` at its end.
    """
    rng = Random(seed)
    rows = []
    for row in range(len(shown.tokens)):
        examples = rng.sample(range(len(support.tokens)), shots)
        parts = [(support, example, support.visual) for example in examples] + [(shown, row, shown.visual)]
        tokens = [source.tokens[at][source.attention_mask[at] > 0] for source, at, _ in parts]
        cut = [ids[(place > 0) : len(ids) - (place < shots)] for place, ids in enumerate(tokens)]
        phi = [torch.full_like(ids, place) for place, ids in enumerate(cut, 1)]
        own = shown.labels[row][shown.attention_mask[row] > 0][(shots > 0) :]
        labels = torch.cat([torch.full((sum(map(len, cut[:-1])),), IGNORED), own])
        rows.append((torch.cat(cut), torch.cat(phi), labels, examples))
    length = max(len(tokens) for tokens, _, _, _ in rows)

    def padded(values: Iterable[Tensor], fill: int) -> Tensor:
        return torch.stack([torch.nn.functional.pad(each, (0, length - len(each)), value=fill) for each in values])

    offset = len(shown.visual)
    return Shown(
        padded((tokens for tokens, _, _, _ in rows), 0),
        padded((phi for _, phi, _, _ in rows), shots + 1),
        padded((labels for _, _, labels, _ in rows), IGNORED),
        padded((torch.ones_like(tokens) for tokens, _, _, _ in rows), 0),
        torch.cat([shown.visual, support.visual]),
        tuple(
            (*(offset + support.places[example][0] for example in examples), shown.places[row][0])
            for row, (_, _, _, examples) in enumerate(rows)
        ),
        shown.offered,
    )


@contextmanager
def seeing_all(model: Flamingo) -> Iterator[None]:
    """The trained model with every text seeing all images before it too, as the paper's ablation of phi."""
    layers = [layer.attention for layer in model.cross_attention.values() if isinstance(layer, GatedCrossAttention)]
    for layer in layers:
        layer.all_previous = True
    try:
        yield
    finally:
        for layer in layers:
            layer.all_previous = False


def _judged(shown: Shown) -> list[tuple[int, ...]]:
    """The ids that are judged, to know equal texts."""
    return [tuple(labels[labels != IGNORED].tolist()) for labels in shown.labels]


def _choice(losses: Tensor) -> Choice:
    """Of [n, W], the right one first."""
    own, others = losses[:, 0], losses[:, 1:]
    right = (own[:, None] < others).all(1).double().mean().item()
    return Choice(len(losses), right, own.mean().item(), others.mean().item())


def _losses(model: Flamingo, shown: Shown, texts: Sequence[tuple[int, int]], pictures: Sequence[int]) -> Tensor:
    """Mean loss [n] of the tokens of each text that see its image, in whose place stands a picture of `visual`."""
    # Those of like length together, so that little is padding.
    order = sorted(range(len(texts)), key=lambda place: int(shown.attention_mask[texts[place][0]].sum()))
    losses = torch.empty(len(texts), dtype=torch.float64)
    for begin in range(0, len(order), ROWS):
        part = order[begin : begin + ROWS]
        losses[part] = _batch(model, shown, [texts[place] for place in part], [pictures[place] for place in part])
    return losses


@torch.no_grad()
def _batch(model: Flamingo, shown: Shown, texts: Sequence[tuple[int, int]], pictures: Sequence[int]) -> Tensor:
    index = torch.tensor([row for row, _ in texts])
    places = []
    for (row, image), picture in zip(texts, pictures, strict=True):
        own = list(shown.places[row])
        own[image - 1] = picture
        places.append(own)
    flat = [place for own in places for place in own]
    phi, mask = shown.phi[index], shown.attention_mask[index]
    numbers = torch.tensor([image for _, image in texts])
    labels = shown.labels[index].where(phi == numbers[:, None], IGNORED)
    length = int(mask.sum(1).max())
    out = model(
        shown.tokens[index, :length],
        Media.images(torch.zeros(len(flat), 3, 1, 1), tuple(map(len, places))),
        phi[:, :length],
        attention_mask=mask[:, :length],
        labels=labels[:, :length],
        visual=shown.visual[flat],
    )
    assert out.token_losses is not None
    return out.token_losses.double().sum(1) / (labels != IGNORED).sum(1).clamp(min=1)
