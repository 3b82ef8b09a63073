"""Processes that train together: started by torchrun, DDP or FSDP2, gloo between CPUs, NCCL between GPUs."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from flamingo_model.config import ConfigError
from flamingo_model.model import Flamingo
from flamingo_model.training.config import PrecisionTable, RunTable


@dataclass(frozen=True)
class Ranks:
    """Which process this is."""

    rank: int
    ranks: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of everybody's tensor, on the CPU; in float64 if they are such."""
        values = values.cpu()
        if self.ranks > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """Everybody's value in order of ranks, on the first; an empty list on others."""
        if self.ranks == 1:
            return [value]
        found: list[Any] = [None] * self.ranks
        dist.gather_object(value, found if self.first else None)
        return found if self.first else []

    def told(self, value: Any) -> Any:
        """The first's value, on all."""
        if self.ranks == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]


def start(run: RunTable) -> Ranks:
    """Join the processes that torchrun started, if it did.

    Raises:
        ConfigError: no GPU where one is asked for; several processes, and nothing said of how they train together.
    """
    ranks, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("run.device is 'cuda', but torch sees no GPU")
    cuda = run.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if ranks > 1 and run.parallel == "none":
        raise ConfigError(f"{ranks} processes were started and run.parallel is 'none'; set it to 'ddp' or 'fsdp2'")
    if cuda:
        torch.cuda.set_device(device)
    if ranks > 1 and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(minutes=30))
    return Ranks(rank, ranks, device)


def leave() -> None:
    """Part from the other processes, after everybody is done."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def wrap(model: Flamingo, run: RunTable, precision: PrecisionTable, ranks: Ranks) -> nn.Module:
    """The module to call: the model itself, its DDP, or itself with its parts sharded."""
    if ranks.ranks == 1:
        return model
    if run.parallel == "fsdp2":
        shard(model, precision)
        return model
    learning = not (model.vision.frozen and model.language.frozen)  # only then do buffers change
    devices = [ranks.device.index] if ranks.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=devices, broadcast_buffers=learning)


def shard(model: Flamingo, precision: PrecisionTable) -> None:
    """FSDP2: each block of the language model, each inserted layer, the resampler and the encoder on their own.

    Gradients are added over ranks, not averaged: a token's weight already has the size of everybody's batch.
    """
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard  # takes seconds

    def add_up(sharded: FSDPModule) -> None:
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no other

    sent = torch.bfloat16 if precision.gather == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=sent, reduce_dtype=torch.float32)
    trained = {*model.cross_attention.values(), *model.graft, model.resampler}
    for part in [*model.language.blocks, *model.cross_attention.values(), *model.graft, model.resampler, model.vision]:
        add_up(fully_shard(part, mp_policy=policy if part in trained else MixedPrecisionPolicy()))
    add_up(fully_shard(model))


def synchronising(model: nn.Module) -> Callable[[bool], AbstractContextManager[None]]:
    """For `mixture.accumulate`: ranks add their gradients after the pass for which it is told True."""

    @contextmanager
    def around(last: bool) -> Iterator[None]:
        if hasattr(model, "set_requires_gradient_sync"):  # FSDP2
            fsdp: Any = model
            fsdp.set_requires_gradient_sync(last)
            yield
        elif isinstance(model, nn.parallel.DistributedDataParallel) and not last:
            with model.no_sync():
                yield
        else:
            yield

    return around


def gradient_scale(model: nn.Module, ranks: Ranks) -> float:
    """What undoes DDP's mean over ranks."""
    return float(ranks.ranks) if isinstance(model, nn.parallel.DistributedDataParallel) else 1.0
