"""Two processes (gloo) have each other's pictures and texts to choose from: losses and gradients are those of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from contrast_ranks import MICRO, batches, config_for
from contrast_runs import config_of, grads, make_shards, metrics, run, run_of, tensors
from safetensors.torch import load_file

from flamingo_model.config import ConfigError
from flamingo_model.contrastive.step import gradients
from flamingo_model.training.parallel import start

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def pair(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have written."""
    folder = tmp_path_factory.mktemp("pair")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parents[1])))
    ran = subprocess.run(
        [*launch, HERE / "contrast_ranks.py", shards, folder],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


@pytest.mark.parametrize("micro", MICRO)
def test_losses_and_gradients_of_two_are_those_of_one(micro: int, shards: Path, pair: Path) -> None:
    this = run_of(config_for(shards, 0))
    losses = gradients(this, batches())
    alone, two = grads(this.model), load_file(pair / f"gradients-{micro}.safetensors")
    for name, value in losses.items():
        assert float(two.pop(f"loss.{name}")) == pytest.approx(float(value), abs=1e-5)
    assert two.keys() == alone.keys()
    for name, gradient in alone.items():
        size = max(1.0, float(gradient.abs().max()))
        assert (gradient - two[name]).abs().max() < 1e-5 * size, name
    assert max(float(gradient.abs().max()) for gradient in alone.values()) > 1e-2


def test_two_processes_go_on_to_the_bit(shards: Path, pair: Path) -> None:
    assert metrics(pair / "parts") == metrics(pair / "whole")
    theirs = tensors(pair / "whole/latest")
    for name, tensor in tensors(pair / "parts/latest").items():
        assert torch.equal(tensor, theirs[name]), name
    assert metrics(pair / "whole")[-1]["examples"] == {"one": 32.0, "two": 32.0}


def test_batches_are_shared_out_evenly(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="batch_size 8 cannot be shared out over 3 ranks"):
        config_of(shards).data[0].rows(3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"2 processes were started and run\.parallel is 'none'"):
        start(config_of(shards).run)
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ConfigError, match="BertConfig has no field"):
        run(config_of(shards, "text.options.depth=3"), shards / "never")
