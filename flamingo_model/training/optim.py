"""AdamW as the paper has it: with and without weight decay, warm-up, one global norm, steps that are left out."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from flamingo_model.checkpoint import whole
from flamingo_model.config import ConfigError
from flamingo_model.training.config import OptimiserTable


def parameter_groups(trained: Mapping[str, nn.Parameter], table: OptimiserTable) -> list[dict[str, object]]:
    """All parameters that learn: those with weight decay, then those without.

    Raises:
        ConfigError: nothing learns, or a beginning in `no_decay` that no parameter's name has.
    """
    if not trained:
        raise ConfigError("no parameter of the model learns")
    for prefix in table.no_decay:
        if not any(name.startswith(prefix) for name in trained):
            raise ConfigError(f"optimiser.no_decay: no trained parameter's name begins with {prefix!r}")
    without = {name for name in trained if name.startswith(table.no_decay)}
    groups: list[dict[str, object]] = [
        {"params": [p for name, p in trained.items() if name not in without], "weight_decay": table.weight_decay},
        {"params": [p for name, p in trained.items() if name in without], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimiser(trained: Mapping[str, nn.Parameter], table: OptimiserTable) -> torch.optim.AdamW:
    """AdamW over what learns; the rate is set before each step."""
    first, second = table.betas
    return torch.optim.AdamW(parameter_groups(trained, table), lr=0.0, betas=(first, second), eps=table.eps)


def learning_rate(step: int, table: OptimiserTable, steps: int) -> float:
    """Rate of update `step`, counted from 1, of a run of `steps`: after the warm-up's last it is `lr`."""
    if step <= table.warmup:
        return table.lr * step / table.warmup
    if table.schedule == "constant" or steps <= table.warmup:
        return table.lr
    return float(table.lr * table.final ** ((step - table.warmup) / (steps - table.warmup)))


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The norm of all gradients together, those on other ranks included (every rank must ask)."""
    return whole(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))


def update(optimiser: torch.optim.Optimizer, lr: float, clip: float) -> float:
    """Clip and step; nothing happens if the gradients are not finite.

    Returns:
        The norm before clipping.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = gradient_norm(parameters)
    value = float(norm)
    if math.isfinite(value):
        if clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.step()
    return value
