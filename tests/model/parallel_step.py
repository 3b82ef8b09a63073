"""One rank of a two-process step, run by torchrun in test_parallel.py: `parallel_step.py ddp|fsdp OUT`.

Each rank takes one row of the batch (the second has no image); the loss is the sum over both, as one process has it.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tiny_models import batch, tiny
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from flamingo_model.media import Media
from flamingo_model.model import Flamingo


def rows(begin: int, end: int) -> tuple[torch.Tensor, Media | None, torch.Tensor]:
    """Part of a batch whose second row has no image."""
    tokens, media, phi = batch()
    phi = phi * torch.tensor([[1], [0]])
    images = Media.images(media.pixels[:3], (3, 0)[begin:end]) if begin == 0 else None
    return tokens[begin:end], images, phi[begin:end]


def step(model: torch.nn.Module, part: tuple[torch.Tensor, Media | None, torch.Tensor]) -> torch.Tensor:
    """Loss of the part, its gradients taken."""
    tokens, media, phi = part
    loss = model(tokens, media, phi, labels=tokens, loss_weights=torch.full(tokens.shape, 0.1)).loss
    loss.backward()
    return loss.detach()


def shard(model: Flamingo) -> None:
    """FSDP2: each frozen block, each inserted layer, the resampler and the encoder in groups of their own."""
    for part in [*model.language.blocks, *model.cross_attention.values(), model.resampler, model.vision, model]:
        sharded = fully_shard(part)
        assert isinstance(sharded, FSDPModule)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # Gloo knows no other


def main(kind: str, out: str) -> None:
    """Run as a rank."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    model = tiny().train()
    wrapped: torch.nn.Module = model
    if kind == "fsdp":
        shard(model)
    else:
        wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=False)
    loss = step(wrapped, rows(rank, rank + 1))
    dist.all_reduce(loss)
    gradients = {}
    for name, parameter in model.trained().items():
        gradient = parameter.grad
        assert gradient is not None, name
        full = gradient.full_tensor() if isinstance(gradient, DTensor) else gradient * dist.get_world_size()
        gradients[name] = full.detach().clone()
    if rank == 0:
        torch.save({"loss": loss, "gradients": gradients}, Path(out))
    dist.barrier()
    # Gloo's threads now and then abort a process that takes itself down in order; what is tested is done.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
