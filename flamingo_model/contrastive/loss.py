"""The two-term contrastive loss over all ranks, and its gradient, if need be part by part of the batch.

b pairs of one rank, B of all, D joint width.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from flamingo_model.training.parallel import Ranks

Synchronising = Callable[[bool], AbstractContextManager[None]]


@dataclass(frozen=True)
class Pairs:
    """A batch as the towers take it, on their device."""

    pixels: Tensor
    """float32 [b, 3, H, W], normalised."""
    tokens: Tensor
    """int64 [b, L]."""
    mask: Tensor
    """int64 [b, L], 0 for padding."""

    def __len__(self) -> int:
        return len(self.tokens)

    def split(self, size: int) -> list["Pairs"]:
        """Parts of at most `size` pairs; 0: one part."""
        size = size or len(self)
        each = (tensor.split(size) for tensor in (self.pixels, self.tokens, self.mask))
        return [Pairs(*part) for part in zip(*each, strict=True)]


class _Gathered(torch.autograd.Function):
    """Everybody's rows in order of ranks; a row's gradient is the sum of what all ranks have for it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.rows = ranks, len(own)
        parts = [torch.empty_like(own) for _ in range(ranks.ranks)]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].contiguous()
        dist.all_reduce(whole)
        return whole[ctx.ranks.rank * ctx.rows :][: ctx.rows], None


def gathered(own: Tensor, ranks: Ranks) -> Tensor:
    """[b, D] of this rank to [B, D] of all, which have as many rows each; gradients flow back to whose they are."""
    if ranks.ranks == 1:
        return own
    found: Tensor = _Gathered.apply(own, ranks)
    return found


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, smoothing: float, ranks: Ranks) -> Tensor:
    """This rank's share of the loss; the shares of all ranks sum to that of the whole batch.

    The loss is the sum of two cross-entropies, each a mean over B: of a picture's own text among all texts, and of a
    text's own picture among all pictures; the logits are cosines times `scale`.

    Args:
        image, text: vectors of length 1 [b, D].
        scale: the inverse temperature.
        smoothing: share of the target that is spread evenly over all B (label smoothing).
    """
    own = len(image)
    right = torch.arange(own, device=image.device) + ranks.rank * own
    total = 0 * scale
    for asks, answers in ((image, gathered(text, ranks)), (text, gathered(image, ranks))):
        logits = scale * asks @ answers.T
        total = total + F.cross_entropy(logits, right, label_smoothing=smoothing, reduction="sum")
    return total / (own * ranks.ranks)


def add_gradients(
    model: nn.Module,
    pairs: Pairs,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    micro_batch: int,
    last: bool,
    synchronising: Synchronising,
    scale: float,
) -> Tensor:
    """Add the gradients of one batch to those that the parameters have; the loss, without gradient.

    In parts (GradCache, arXiv 2101.06983): the features of the whole batch, without what a gradient needs; the loss
    and its gradient for the features; then each part again, with the same random numbers, from the features' gradient
    to that of the weights. The outcome is that of the whole at once, unless the encoder has batch normalisation.

    Args:
        model: `Towers` or its DDP.
        loss: of both kinds of features and the inverse temperature.
        micro_batch: pairs of a part; 0: all.
        last: the last batch of the update, after which ranks add their gradients.
        synchronising: around each pass that gives gradients: whether it is the last one.
        scale: of the gradients, where adding over ranks would divide them.
    """
    parts = pairs.split(micro_batch)
    if len(parts) == 1:
        with synchronising(last):
            value = loss(*model(pairs.pixels, pairs.tokens, pairs.mask))
            (value * scale).backward()
        return value.detach()
    states, features = [], []
    for part in parts:
        states.append(_random_state(part.pixels.device))
        with torch.no_grad():
            features.append(model(part.pixels, part.tokens, part.mask))
    image, text = (torch.cat([found[place] for found in features]).requires_grad_() for place in (0, 1))
    inverse = features[0][2].requires_grad_()
    value = loss(image, text, inverse)
    gradients = torch.autograd.grad(value * scale, (image, text, inverse))
    after = _random_state(pairs.pixels.device)
    of_image, of_text = (gradient.split(micro_batch) for gradient in gradients[:2])
    for number, (part, state) in enumerate(zip(parts, states, strict=True)):
        _set_random_state(state, part.pixels.device)
        final = number == len(parts) - 1
        with synchronising(last and final):
            made = model(part.pixels, part.tokens, part.mask)
            of_scale = gradients[2] if final else torch.zeros_like(gradients[2])
            torch.autograd.backward(made, (of_image[number], of_text[number], of_scale))
    _set_random_state(after, pairs.pixels.device)
    return value.detach()


@contextmanager
def alone(_: bool) -> Iterator[None]:
    """`synchronising` of a single process."""
    yield


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
