"""Two processes (gloo) with DDP and with FSDP2 train as one does; interrupted they go on to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_ranks import one_process, two_ranks
from training_runs import make_shards, metrics, run, tensors

from flamingo_model.model import Flamingo
from flamingo_model.training.config import ConfigError
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.parallel import start

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    run(one_process(shards, 8), folder)
    return folder


@pytest.fixture(scope="module")
def pairs(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes, below a folder for each kind."""
    folder = tmp_path_factory.mktemp("pairs")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parents[1])))
    ran = subprocess.run(
        [*launch, HERE / "training_ranks.py", shards, folder],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_train_as_one(kind: str, shards: Path, alone: Path, pairs: Path) -> None:
    folder = pairs / kind
    ours, theirs = metrics(alone), metrics(folder / "whole")
    assert len(ours) == len(theirs) == 8
    for one, two in zip(ours, theirs, strict=True):
        assert one["losses"] == pytest.approx(two["losses"], abs=1e-5)
        assert one["norm"] == pytest.approx(two["norm"], rel=1e-5)
        assert one["examples"] == two["examples"]
        assert one["gates"] == {name: pytest.approx(values, abs=1e-5) for name, values in two["gates"].items()}
    one_model, two_model = (Flamingo.from_pretrained(folder / "latest") for folder in (alone, folder / "whole"))
    for (name, one), two in zip(one_model.named_parameters(), two_model.parameters(), strict=True):
        assert (one - two).abs().max() < 1e-5, name
    assert metrics(folder / "parts") == theirs
    whole = tensors(folder / "whole/latest")
    for name, tensor in tensors(folder / "parts/latest").items():
        assert torch.equal(tensor, whole[name]), name
    with pytest.raises(TrainingError, match="has 2 processes, this is one of 1"):
        run(two_ranks(kind, shards, 9), folder / "parts", resume=True)


def test_several_processes_must_be_told_how(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"2 processes were started and run\.parallel is 'none'"):
        start(one_process(shards, 8).run)
