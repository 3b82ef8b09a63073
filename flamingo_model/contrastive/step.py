"""One update: a batch of each data set that takes part, their gradients added up, Adam.

What must be the same on all ranks (whether to stop, whether the loss is finite) is added up and decided by all alike.
"""

import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.contrastive.held_out import pairs_of
from flamingo_model.contrastive.loss import Pairs, add_gradients, contrastive_loss
from flamingo_model.contrastive.optim import learning_rate, update
from flamingo_model.contrastive.towers import Towers
from flamingo_model.shards import LoaderError
from flamingo_model.training.errors import TrainingError, last_line
from flamingo_model.training.mixture import Counts, taking_part
from flamingo_model.training.parallel import Ranks, gradient_scale, synchronising
from flamingo_model.training.run import Run
from flamingo_model.training.signals import Asked

MERGED = "merged"
"""Name of the one loss of merged data sets."""


@dataclass
class ContrastRun(Run[ContrastConfig, Towers]):
    """A run that is judged on pairs which are held out."""

    held_out: list[Pairs] = field(default_factory=list)
    """On the first rank, if there are any."""


def take_step(run: ContrastRun, step: int, asked: Asked) -> int:
    """One update; the signal that asks to stop after it, or 0."""
    config, ranks = run.config, run.ranks
    part = [table.name for table in taking_part(config.mixture.how, config.data, step)]
    pairs, problem = _take(run, part)
    asked_for = _agree(ranks, problem, asked)
    counts = {
        name: Counts(examples=len(own) * ranks.ranks, judged=1, tokens=float(own.mask.sum()) * ranks.ranks)
        for name, own in pairs.items()
    }
    passes = {MERGED: joined(list(pairs.values()))} if config.mixture.how == "merged" else pairs
    run.optimiser.zero_grad(set_to_none=True)
    losses = gradients(run, passes)
    total = ranks.total(torch.stack([losses[name].double().cpu() for name in passes])).tolist()
    finite = all(map(math.isfinite, total))
    rate = learning_rate(step, config.optimiser, config.run.steps)
    norm = update(run.model, run.optimiser, rate, config.optimiser) if finite else math.nan
    run.model.limit_scale(config.joint.max_scale)
    finite = math.isfinite(norm)
    run.norm = norm if finite else None
    _count(run, step, counts, finite)
    values = dict(zip(passes, total, strict=True))
    run.window.add(sum(total), values, {name: Counts(judged=1) for name in passes}, finite)
    return asked_for


def gradients(run: ContrastRun, passes: Mapping[str, Pairs]) -> dict[str, Tensor]:
    """Add up the gradients of some batches, a loss for each; this rank's shares of the losses."""
    config, ranks = run.config, run.ranks

    def loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
        return contrastive_loss(image, text, scale, config.joint.label_smoothing, ranks)

    found: dict[str, Tensor] = {}
    with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.precision.autocast == "bfloat16"):
        for number, (name, pairs) in enumerate(passes.items()):
            found[name] = add_gradients(
                run.called,
                pairs,
                loss,
                micro_batch=config.mixture.micro_batch,
                last=number == len(passes) - 1,
                synchronising=synchronising(run.called),
                scale=gradient_scale(run.called, ranks),
            )
    return found


def joined(batches: list[Pairs]) -> Pairs:
    """Several batches as one; shorter captions are padded."""
    longest = max(own.tokens.shape[1] for own in batches)
    tokens, mask = (
        torch.cat([F.pad(tensor, (0, longest - tensor.shape[1])) for tensor in tensors])
        for tensors in ([own.tokens for own in batches], [own.mask for own in batches])
    )
    return Pairs(torch.cat([own.pixels for own in batches]), tokens, mask)


def _take(run: ContrastRun, part: list[str]) -> tuple[dict[str, Pairs], str]:
    """This rank's batches of a step, and why there are none."""
    try:
        return {name: pairs_of(next(run.batches[name]), run.model, run.ranks.device) for name in part}, ""
    except (LoaderError, ValueError) as error:  # ValueError: a tokenizer of another model
        return {}, last_line(error)


def _agree(ranks: Ranks, problem: str, asked: Asked) -> int:
    """The signal that anybody has got.

    Raises:
        TrainingError: on all ranks, if one has no batch.
    """
    flags = [float(bool(problem)), float(asked.signal == signal.SIGINT), float(asked.signal == signal.SIGTERM)]
    failed, interrupted, terminated = ranks.total(torch.tensor(flags)).tolist()
    if failed:
        raise TrainingError(
            f"{problem or 'another rank has no data; it says why'}. --resume goes on from the last checkpoint"
        )
    return int(signal.SIGINT if interrupted else signal.SIGTERM if terminated else 0)


def _count(run: ContrastRun, step: int, counts: Mapping[str, Counts], finite: bool) -> None:
    """Raises:
    TrainingError: too many steps in a row were not finite.
    """
    tally = run.tally
    tally.add(counts)
    for name, own in counts.items():
        tally.images[name] += own.examples
        run.clock.tokens += own.tokens
        run.clock.images += own.examples
    tally.in_a_row = 0 if finite else tally.in_a_row + 1
    tally.nonfinite += not finite
    if tally.in_a_row == run.config.optimiser.max_nonfinite:
        raise TrainingError(
            f"loss or gradient was not finite in {tally.in_a_row} steps in a row, the last of them {step}; a smaller "
            "optimiser.lr may help. Checkpoints are of before"
        )
