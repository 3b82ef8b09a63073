"""The loss: negative log-likelihood of each token given the text before it and the images that phi names (equation 2).

Only positions with a label are sent through the head, a chunk at a time, so that logits [tokens, vocabulary] of a whole
batch never exist. It costs no second pass: a chunk's gradients are taken while its logits are there.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
"""A label that asks for nothing."""


def next_token_loss(
    hidden: Tensor,
    labels: Tensor,
    logits: Callable[[Tensor], Tensor],
    parameters: Sequence[Tensor],
    weights: Tensor | None = None,
    chunk: int = 512,
) -> tuple[Tensor, Tensor]:
    """Weighted sum of the tokens' losses.

    Args:
        hidden: [B, L, D], what the head takes.
        labels: [B, L], for each place the token that stands there, or -100; a token is judged from the place before it.
        logits: from [M, D] to [M, V].
        parameters: what `logits` learns.
        weights: [B, L] of each label; None: the mean over all labels.
        chunk: positions whose logits exist at a time.

    Returns:
        The loss (a scalar, float32 or float64, zero if nothing has a label), and the loss of each token [B, L] without
        weight and gradient, 0 where there is no label.

    Raises:
        ValueError: labels of another shape.
    """
    if labels.shape != hidden.shape[:2]:
        raise ValueError(f"labels are {list(labels.shape)}, must be {list(hidden.shape[:2])} as the tokens")
    row, place = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    wanted = labels[row, place + 1].long()
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    if weights is None:
        weight = torch.full(wanted.shape, 1 / max(1, len(wanted)), device=hidden.device, dtype=dtype)
    else:
        weight = weights[row, place + 1].to(dtype)
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (hidden, *parameters))
    total, losses = _Chunked.apply(hidden[row, place], wanted, weight, logits, chunk, learning, *parameters)
    each = torch.zeros(labels.shape, device=hidden.device, dtype=dtype)
    each[row, place + 1] = losses
    return total, each


class _Chunked(torch.autograd.Function):
    """Gradients are taken in the forward pass and scaled in the backward one."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        wanted: Tensor,
        weight: Tensor,
        logits: Callable[[Tensor], Tensor],
        chunk: int,
        learning: bool,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        needed = [*(p for p in parameters if p.requires_grad)]
        gradients = [torch.zeros_like(p) for p in needed] if learning else []
        of_hidden = torch.empty_like(hidden) if learning else hidden
        losses = torch.empty(len(wanted), device=hidden.device, dtype=weight.dtype)
        for begin in range(0, len(wanted), chunk):
            part = slice(begin, begin + chunk)
            with torch.set_grad_enabled(learning):
                x = hidden[part].detach().requires_grad_(learning)
                nll = F.cross_entropy(logits(x).to(weight.dtype), wanted[part], reduction="none")
                losses[part] = nll.detach()
                if learning:
                    mine = torch.autograd.grad((nll * weight[part]).sum(), [x, *needed])
                    of_hidden[part] = mine[0]
                    for total, gradient in zip(gradients, mine[1:], strict=True):
                        total += gradient
        ctx.save_for_backward(of_hidden, *gradients)
        ctx.which = [p.requires_grad for p in parameters]
        ctx.mark_non_differentiable(losses)
        return (losses * weight).sum(), losses

    @staticmethod
    def backward(ctx: Any, of_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        of_hidden, *gradients = ctx.saved_tensors
        given = iter(gradients)
        of_parameters = [next(given) * of_total if which else None for which in ctx.which]
        return of_hidden * of_total, None, None, None, None, None, *of_parameters
