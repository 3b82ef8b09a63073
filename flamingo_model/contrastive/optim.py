"""Adam as section B.1.3 has it: a rate that falls to 0, one clipping for each encoder."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from flamingo_model.contrastive.config import OptimiserTable
from flamingo_model.contrastive.towers import Towers
from flamingo_model.training.optim import gradient_norm

LEAST_NORM = 1e-3
"""Of weights, for adaptive clipping: without it those that are 0 at first would stay so (arXiv 2102.06171)."""


def make_optimiser(model: Towers, table: OptimiserTable) -> torch.optim.Adam:
    """Adam over what learns, without weight decay; the rate is set before each step."""
    first, second = table.betas
    return torch.optim.Adam(list(model.trained().values()), lr=0.0, betas=(first, second), eps=table.eps)


def learning_rate(step: int, table: OptimiserTable, steps: int) -> float:
    """Rate of update `step`, counted from 1, of a run of `steps`: `lr` at the first, 0 after the last."""
    return table.lr * (steps - step + 1) / steps


def unit_norms(x: Tensor) -> Tensor:
    """Of a matrix or a convolution the norms of what each output unit is made of, [units, 1, ...]; of a vector (biases,
    gains, whatever ones its shape has) the norm of all of it.

    timm's `adaptive_clip_grad` takes each gain of an NFNet, [units, 1, 1, 1], for a unit of its own; the authors' code
    takes them together, as here.
    """
    if x.squeeze().dim() <= 1:
        return torch.linalg.vector_norm(x)
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True)


@torch.no_grad()
def clip_adaptively(parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Scale the gradient of each unit down to `factor` times the norm of its weights (arXiv 2102.06171, equation 3)."""
    for parameter in parameters:
        if parameter.grad is None:
            continue
        most = factor * unit_norms(parameter).clamp(min=LEAST_NORM)
        own = unit_norms(parameter.grad)
        parameter.grad.mul_(torch.where(own > most, most / own.clamp(min=1e-12), 1.0))


def update(model: Towers, optimiser: torch.optim.Optimizer, lr: float, table: OptimiserTable) -> float:
    """Clip and step; nothing happens if the gradients are not finite.

    The projections and the temperature are not clipped: that of the pictures is the last linear layer, to which
    adaptive clipping is not applied.

    Returns:
        The norm of all gradients before clipping.
    """
    norm = float(gradient_norm(model.trained().values()))
    if math.isfinite(norm):
        if table.agc:
            clip_adaptively(model.vision.parameters(), table.agc)
        if table.clip_text:
            nn.utils.clip_grad_norm_(model.text.parameters(), table.clip_text)
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.step()
    return norm
