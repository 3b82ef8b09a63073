"""Several data sets, one update (section 2.4): which take part, what each token's loss weighs, gradients added up.

A data set's loss is a sum over tokens divided by the number of examples (equation 2) or tokens of its whole batch, that
of all ranks and all parts; so a token's weight is known before the first pass, and passes can be added in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from flamingo_model.batch import Batch
from flamingo_model.loss import IGNORED
from flamingo_model.training.config import DataTable, MixtureTable

Table = TypeVar("Table")
FIELDS = ("examples", "judged", "tokens", "images")


@dataclass(frozen=True)
class Counts:
    """Of some batches."""

    examples: float = 0
    """Documents."""
    judged: float = 0
    """Tokens with a label that the loss is of."""
    tokens: float = 0
    """All but padding."""
    images: float = 0
    """Pictures and frames."""


def count(batches: Sequence[Batch]) -> Counts:
    """Of one data set's batches of a step, on this rank."""
    return Counts(
        examples=sum(len(keys) for batch in batches for keys in batch.keys),
        judged=sum(int((_labels(batch)[:, 1:] != IGNORED).sum()) for batch in batches),
        tokens=sum(int(batch.attention_mask.sum()) for batch in batches if any(batch.keys)),
        images=sum(sum(batch.pictures.frames) for batch in batches if batch.pictures is not None),
    )


def taking_part(how: str, data: Sequence[Table], step: int) -> list[Table]:
    """The data sets of which step `step`, counted from 1, takes a batch."""
    return [data[(step - 1) % len(data)]] if how == "round_robin" else list(data)


def token_weights(mixture: MixtureTable, data: Sequence[DataTable], counts: Mapping[str, Counts]) -> dict[str, float]:
    """What the loss of one token of each data set is multiplied by; nothing for those without a token to judge.

    Args:
        mixture: how they are mixed and reduced.
        data: those that take part.
        counts: of all ranks.
    """
    live = [table for table in data if counts[table.name].judged]
    field = "examples" if mixture.reduction == "sum_per_example" else "judged"
    size = {table.name: getattr(counts[table.name], field) for table in live}
    if mixture.how == "merged":
        return {table.name: 1 / sum(size.values()) for table in live}
    return {table.name: table.weight / size[table.name] for table in live}


def accumulate(
    forward: Callable[[Batch, Tensor], tuple[Tensor, Tensor]],
    batches: Mapping[str, Sequence[Batch]],
    weights: Mapping[str, float],
    synchronising: Callable[[bool], AbstractContextManager[None]],
    scale: float = 1.0,
) -> dict[str, Tensor]:
    """Gradients of all batches, added up where the parameters keep theirs.

    Args:
        forward: from a batch and the weight of each of its tokens to the weighted loss, and the tokens' own losses.
        batches: of each data set those of this rank.
        weights: of `token_weights`; data sets that it does not name are left out, on all ranks alike.
        synchronising: around each pass: whether it is the last one, after which ranks add their gradients.
        scale: of the gradients, where adding over ranks would divide them.

    Returns:
        For each data set the sum of its tokens' losses on this rank, on the device, without gradient.
    """
    passes = [(name, batch) for name in weights for batch in batches[name]]
    sums: dict[str, Tensor] = {}
    for number, (name, batch) in enumerate(passes):
        with synchronising(number == len(passes) - 1):
            loss, losses = forward(batch, torch.full(batch.labels.shape, weights[name] * scale, dtype=torch.float64))
            loss.backward()
        own = losses.sum(dtype=torch.float64)
        sums[name] = sums[name] + own if name in sums else own
    return sums


def _labels(batch: Batch) -> Tensor:
    return batch.labels.masked_fill(batch.attention_mask == 0, IGNORED)
