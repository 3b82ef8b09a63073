"""A run that is interrupted goes on to the bit as one that is not; what it is interrupted by leaves something whole."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_runs import config_of, make_shards, metrics, run, tensors, write_config

from flamingo_model.model import Flamingo
from flamingo_model.training import state, trainer
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.tokenizer import tokenizer_of

ROOT = Path(__file__).parents[2]
NAMES = ("pages", "short")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 50 steps without an interruption; lines of the log are of three steps."""
    folder = tmp_path_factory.mktemp("whole")
    run(config_of(shards, "run.steps=50", "run.log_every=3", names=NAMES), folder)
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_fifty_steps_with_and_without_an_interruption(workers: int, shards: Path, whole: Path, tmp_path: Path) -> None:
    own = config_of(shards, "run.steps=50", "run.log_every=3", f"loader.workers={workers}", names=NAMES)
    first = config_of(
        shards, "run.steps=50", "run.log_every=3", "run.save_every=10", f"loader.workers={workers}", names=NAMES
    )
    with pytest.raises(KilledError):
        run_until(first, tmp_path, 33)
    shutil.rmtree(tmp_path / "checkpoints/step-00000030")  # as if the last one had not been finished: 20 is the newest
    outcome, said = run(own, tmp_path, resume=True)
    assert "going on after step 20" in said
    assert outcome.step == 50
    assert metrics(tmp_path) == metrics(whole)
    assert len(metrics(whole)) == 17
    theirs = tensors(whole / "latest")
    for name, tensor in tensors(outcome.checkpoint).items():
        assert torch.equal(tensor, theirs[name]), name


class KilledError(Exception):
    """Stands for what ends a process without a word."""


def run_until(config: object, folder: Path, step: int) -> None:
    """Train until a line of the log says that step."""

    def say(line: str) -> None:
        if line.startswith(f"step {step:>2}/"):
            raise KilledError

    trainer.train(config, folder, say=say)  # type: ignore[arg-type]


def test_the_checkpoint_is_a_model(whole: Path) -> None:
    model = Flamingo.from_pretrained(whole / "latest")
    assert len(tokenizer_of(whole / "latest" / "tokenizer")) <= model.eoc_id
    card = (whole / "latest/README.md").read_text()
    assert "after 50 of 50 steps" in card
    assert "| short | pairs |" in card
    names = {path.suffix for path in (whole / "checkpoints").rglob("*") if path.is_file()}
    assert names <= {".json", ".safetensors", ".md", ".jinja"}  # nothing that is unpickled


def test_newest_checkpoints_are_kept(shards: Path, tmp_path: Path) -> None:
    run(config_of(shards, "run.steps=5", "run.save_every=1", "run.keep=2", names=["short"]), tmp_path)
    assert [path.name for path in state.checkpoints(tmp_path)] == ["step-00000004", "step-00000005"]
    assert (tmp_path / "latest").resolve().name == "step-00000005"
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000004", "step-00000005"]


def test_a_run_is_not_begun_twice(shards: Path, whole: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds a run \(step 50\); go on with it by --resume"):
        run(config_of(shards, names=NAMES), whole)
    with pytest.raises(TrainingError, match="has all 50 steps"):
        run(config_of(shards, "run.steps=50", names=NAMES), whole, resume=True)


def test_another_configuration_is_told_field_by_field(shards: Path, whole: Path) -> None:
    changes = "optimiser.lr=0.5", "data.short.weight=1", "run.steps=60", "run.save_every=7"
    changed = config_of(shards, *changes, names=NAMES)
    with pytest.raises(TrainingError) as error:
        run(changed, whole, resume=True)
    assert "data.short.weight was 0.2, is 1.0; optimiser.lr was 0.01, is 0.5" in str(error.value)
    assert "run." not in str(error.value).partition("configuration: ")[2]


def test_a_damaged_checkpoint_is_said(shards: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run", symlinks=True)
    (tmp_path / "run/latest/training.json").write_text('{"format": 1')
    with pytest.raises(TrainingError, match="step-00000050 is not a whole checkpoint"):
        run(config_of(shards, "run.steps=60"), tmp_path / "run", resume=True)


def test_a_full_disk_leaves_the_last_checkpoint(shards: Path, tmp_path: Path) -> None:
    config = config_of(shards, "run.steps=4", "run.save_every=2", names=["short"])
    run(config_of(shards, "run.steps=2", names=["short"]), tmp_path)
    before = tensors(tmp_path / "latest")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, usual[1]))
    try:
        with pytest.raises(TrainingError, match=r"step 4 cannot be written \(.*last whole checkpoint is .*00000002"):
            run(config, tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(tmp_path / "latest").items())
    assert run(config, tmp_path, resume=True)[0].step == 4


def test_ctrl_c_saves_and_stops(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("step 3/"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(trainer, "show", say)
    before = signal.getsignal(signal.SIGINT)
    assert trainer.run_from_terminal(config_of(shards, names=["short"]), tmp_path, resume=False) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "SIGINT: stopping after this step, with a checkpoint; once more to stop at once" in said
    assert said[-2].startswith("stopped by SIGINT after step 4; ")
    assert run(config_of(shards, names=["short"]), tmp_path, resume=True)[0].step == 8


def test_sigterm_to_the_whole_group_saves_and_stops(shards: Path, tmp_path: Path) -> None:
    """The loader's workers get it too, as from torchrun and from a terminal."""
    config = write_config(shards, ["short", "clips"])
    command = [sys.executable, "-m", "flamingo_model.cli", "train", str(config), "--output", str(tmp_path / "run")]
    started = subprocess.Popen(
        [*command, "--set", "run.steps=100000", "--set", "loader.workers=2"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    try:
        assert started.stdout is not None
        for line in started.stdout:
            lines.append(line)
            if line.startswith("step      3/"):
                os.killpg(started.pid, signal.SIGTERM)
        assert started.wait(60) == 0, "".join(lines)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    text = "".join(lines)
    assert "SIGTERM: stopping after this step" in text
    assert "stopped by SIGTERM after step" in text
    step = json.loads((tmp_path / "run/latest/training.json").read_text())["step"]
    assert 3 <= step < 100000
    more = config_of(shards, f"run.steps={step + 1}", names=["short", "clips"])
    assert run(more, tmp_path / "run", resume=True)[0].step == step + 1


def test_shards_that_vanish(tmp_path: Path) -> None:
    """One of two: counted. All of them: a clear stop, from which the run can go on when they are back."""
    folder = make_shards(tmp_path / "shards")
    config = config_of(
        folder, "run.steps=40", "run.save_every=2", "loader.shuffle=0", "loader.streams=1", names=["short"]
    )
    pairs = folder / "pairs"

    def say(line: str) -> None:
        if line.startswith("step  3/"):
            (pairs / "train-000000.tar").rename(pairs / "one")
        if line.startswith("step 12/"):
            (pairs / "train-000001.tar").rename(pairs / "two")

    with pytest.raises(TrainingError, match=r"(?s)can read nothing from 2 shards.*--resume goes on"):
        trainer.train(config, tmp_path / "run", say=say)
    assert metrics(tmp_path / "run")[-1]["passed_over"]["short"]["shard_missing"] >= 1
    (pairs / "one").rename(pairs / "train-000000.tar")
    (pairs / "two").rename(pairs / "train-000001.tar")
    assert run(config, tmp_path / "run", resume=True)[0].step == 40
