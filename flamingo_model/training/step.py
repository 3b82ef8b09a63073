"""One update: a batch of each data set that takes part, gradients added up, AdamW.

Every rank runs the same code; what must be the same on all (whether to stop, how many tokens a batch has, whether a
gradient is finite) is added up over ranks and decided by all alike.
"""

import math
import signal
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from flamingo_model.batch import Batch
from flamingo_model.model import Flamingo
from flamingo_model.shards import LoaderError
from flamingo_model.training.config import DataTable, TrainConfig
from flamingo_model.training.errors import TrainingError, last_line
from flamingo_model.training.mixture import FIELDS, Counts, accumulate, count, taking_part, token_weights
from flamingo_model.training.optim import learning_rate, update
from flamingo_model.training.parallel import gradient_scale, synchronising
from flamingo_model.training.run import Run
from flamingo_model.training.signals import Asked

FlamingoRun = Run[TrainConfig, Flamingo]


def take_step(run: FlamingoRun, step: int, asked: Asked) -> int:
    """One update; the signal that asks to stop after it, or 0."""
    config, ranks = run.config, run.ranks
    part = taking_part(config.mixture.how, config.data, step)
    batches, problem = _take(run, part)
    counts, asked_for = _agree(run, part, batches, problem, asked)
    weights = token_weights(config.mixture, part, counts)
    run.optimiser.zero_grad(set_to_none=True)
    sums = accumulate(_forward(run), batches, weights, synchronising(run.called), gradient_scale(run.called, ranks))
    names = list(weights)
    total = ranks.total(torch.stack([sums[name].cpu() for name in names])) if names else torch.zeros(0)
    nll = dict(zip(names, total.tolist(), strict=True))
    objective = sum(weights[name] * nll[name] for name in names)
    finite = math.isfinite(objective)
    run.norm = None
    if names:
        lr = learning_rate(step, config.optimiser, config.run.steps)
        norm = update(run.optimiser, lr, config.optimiser.clip) if finite else math.nan
        finite = math.isfinite(norm)
        run.norm = norm if finite else None
    tally = run.tally
    tally.add(counts)
    tally.in_a_row = 0 if finite else tally.in_a_row + 1
    tally.nonfinite += not finite
    if tally.in_a_row == config.optimiser.max_nonfinite:
        raise TrainingError(
            f"loss or gradient was not finite in {tally.in_a_row} steps in a row, the last of them {step}; a smaller "
            "optimiser.lr or a longer warm-up may help. Checkpoints are of before"
        )
    run.window.add(objective, nll, counts, finite and bool(names))
    run.clock.tokens += sum(own.tokens for own in counts.values())
    run.clock.images += sum(own.images for own in counts.values())
    return asked_for


def _take(run: FlamingoRun, part: list[DataTable]) -> tuple[dict[str, list[Batch]], str]:
    """This rank's batches of a step, and why there are none."""
    try:
        return {
            table.name: [next(run.batches[table.name]) for _ in range(table.rows(run.ranks.ranks)[1])] for table in part
        }, ""
    except (LoaderError, ValueError) as error:  # ValueError: a tokenizer of another model
        return {}, last_line(error)


def _agree(
    run: FlamingoRun, part: list[DataTable], batches: Mapping[str, list[Batch]], problem: str, asked: Asked
) -> tuple[dict[str, Counts], int]:
    """Everybody's counts by data set, and the signal that anybody has got.

    Raises:
        TrainingError: on all ranks, if one has no batch.
    """
    own = [count(batches.get(table.name, ())) for table in part]
    values = [float(getattr(each, name)) for each in own for name in FIELDS]
    flags = [float(bool(problem)), float(asked.signal == signal.SIGINT), float(asked.signal == signal.SIGTERM)]
    failed, interrupted, terminated, *sums = run.ranks.total(
        torch.tensor([*flags, *values], dtype=torch.float64)
    ).tolist()
    if failed:
        raise TrainingError(
            f"{problem or 'another rank has no data; it says why'}. --resume goes on from the last checkpoint"
        )
    each = [Counts(*sums[place : place + len(FIELDS)]) for place in range(0, len(sums), len(FIELDS))]
    asked_for = signal.SIGINT if interrupted else signal.SIGTERM if terminated else 0
    return {table.name: counts for table, counts in zip(part, each, strict=True)}, int(asked_for)


def _forward(run: FlamingoRun) -> Callable[[Batch, Tensor], tuple[Tensor, Tensor]]:
    """From a batch and its tokens' weights to the weighted loss and the tokens' losses."""
    device, vision = run.ranks.device, run.model.vision
    wanted = run.config.precision.autocast == "bfloat16"

    def forward(batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        media = batch.pictures.media(vision.mean, vision.std, device) if batch.pictures else None
        on = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=wanted):
            out = run.called(
                on.tokens,
                media,
                on.phi,
                attention_mask=on.attention_mask,
                documents=on.documents,
                labels=on.labels,
                loss_weights=weights.to(device),
            )
        return out.loss, out.token_losses

    return forward
