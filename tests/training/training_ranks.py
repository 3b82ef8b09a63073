"""One rank of runs of two processes, started by torchrun in test_training_ranks.py: `training_ranks.py SHARDS OUT`.

For DDP and for FSDP2 a run of eight steps, and the same in two parts.
"""

import os
import sys
from pathlib import Path

from training_runs import config_of

from flamingo_model.training.config import TrainConfig
from flamingo_model.training.trainer import train

NAMES = ("pages", "clips")


def two_ranks(kind: str, shards: Path, steps: int) -> TrainConfig:
    """Each rank has one stream, and half of each batch."""
    return config_of(shards, f'run.parallel="{kind}"', "loader.streams=1", f"run.steps={steps}", names=NAMES)


def one_process(shards: Path, steps: int) -> TrainConfig:
    """The same streams and halves of batches, one after the other."""
    halves = [f"data.{name}.micro_batch=2" for name in NAMES]
    return config_of(shards, "loader.streams=2", f"run.steps={steps}", *halves, names=NAMES)


def main(shards: str, out: str) -> None:
    """Run as a rank."""
    for kind in ("ddp", "fsdp2"):
        train(two_ranks(kind, Path(shards), 8), Path(out) / kind / "whole")
        train(two_ranks(kind, Path(shards), 4), Path(out) / kind / "parts")
        train(two_ranks(kind, Path(shards), 8), Path(out) / kind / "parts", resume=True)
    sys.stdout.flush()
    # Gloo's threads now and then abort a process that takes itself down in order; what is tested is done.
    import torch.distributed as dist

    dist.barrier()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
