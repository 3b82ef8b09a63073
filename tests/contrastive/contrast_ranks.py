"""One rank of two, started by torchrun in test_contrast_ranks.py: `contrast_ranks.py SHARDS OUT`.

Losses and gradients of its half of two batches; then a run, and the same in two parts.
"""

import os
import sys
from pathlib import Path

import torch
from contrast_runs import config_of, grads, random_pairs, run, run_of
from safetensors.torch import save_file
from torch import nn

from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.contrastive.loss import Pairs
from flamingo_model.contrastive.step import gradients
from flamingo_model.contrastive.towers import make_towers
from flamingo_model.training.parallel import start

MICRO = (0, 2)


def config_for(shards: Path, micro: int, *changes: str) -> ContrastConfig:
    return config_of(shards, 'run.parallel="ddp"', f"mixture.micro_batch={micro}", *changes, names=("one", "two"))


def batches() -> dict[str, Pairs]:
    """Of all ranks."""
    return {"one": random_pairs(8, 1), "two": random_pairs(8, 2, length=5)}


def main(shards: str, out: str) -> None:
    """Run as a rank."""
    torch.set_num_threads(1)
    for micro in MICRO:
        config = config_for(Path(shards), micro)
        ranks = start(config.run)
        model = make_towers(config).eval()
        called = nn.parallel.DistributedDataParallel(model)
        half = slice(4 * ranks.rank, 4 * ranks.rank + 4)
        own = {name: Pairs(p.pixels[half], p.tokens[half], p.mask[half]) for name, p in batches().items()}
        losses = gradients(run_of(config, called, model, ranks), own)
        values = {f"loss.{name}": ranks.total(value.clone()) for name, value in losses.items()}
        if ranks.first:
            save_file(grads(model) | values, Path(out) / f"gradients-{micro}.safetensors")
    run(config_for(Path(shards), 2, "run.steps=4"), Path(out) / "whole")
    run(config_for(Path(shards), 2, "run.steps=4", "run.save_every=2"), Path(out) / "parts")
    if ranks.first:
        (Path(out) / "parts/checkpoints/step-00000004").rename(Path(out) / "last")
    torch.distributed.barrier()
    run(config_for(Path(shards), 2, "run.steps=4"), Path(out) / "parts", resume=True)
    # Gloo's threads now and then abort a process that takes itself down in order; what is tested is done.
    torch.distributed.barrier()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
