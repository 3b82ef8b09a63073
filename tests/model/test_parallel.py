"""Two processes (gloo) with DDP and with FSDP2 give the loss and gradients of one, also where a rank has no image."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from parallel_step import rows, step
from tiny_models import tiny

HERE = Path(__file__).parent


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_agree_with_one(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "rank0.pt"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ran = subprocess.run(
        [*launch, HERE / "parallel_step.py", kind, out],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1]), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    theirs = torch.load(out, weights_only=True)
    model = tiny().train()
    loss = step(model, rows(0, 2))
    assert (theirs["loss"] - loss).abs() < 1e-5
    for name, parameter in model.trained().items():
        assert parameter.grad is not None, name
        assert (theirs["gradients"][name] - parameter.grad).abs().max() < 1e-5, name
