"""Interrupted runs go on to the bit; signals; what is refused; the command."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from contrast_runs import config_of, make_shards, metrics, run, tensors, write_config

from flamingo_model import cli
from flamingo_model.config import ConfigError
from flamingo_model.contrastive import trainer
from flamingo_model.contrastive.config import load_contrast_config
from flamingo_model.training import state
from flamingo_model.training.errors import TrainingError

NAMES = ("one", "two")
CHANGES = ("run.steps=12", "run.log_every=5", "mixture.micro_batch=4")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(config_of(shards, *CHANGES, names=NAMES), folder)
    return folder


def test_an_interrupted_run_goes_on_to_the_bit(shards: Path, whole: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def say(line: str) -> None:
        if "step-00000008" in line:
            raise KilledError

    with pytest.raises(KilledError):
        trainer.contrast(config_of(shards, *CHANGES, "run.save_every=4", names=NAMES), tmp_path, say=say)
    outcome, said = run(config_of(shards, *CHANGES, "loader.workers=1", names=NAMES), tmp_path, resume=True)
    assert "going on after step 8" in said
    assert outcome.step == 12
    assert metrics(tmp_path) == metrics(whole)
    theirs = tensors(whole / "latest")
    ours = tensors(outcome.checkpoint)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_what_does_not_fit_is_said(shards: Path, whole: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds a run \(step 12\); go on with it by --resume"):
        run(config_of(shards, *CHANGES, names=NAMES), whole)
    with pytest.raises(TrainingError, match="has all 12 steps"):
        run(config_of(shards, *CHANGES, names=NAMES), whole, resume=True)
    changed = config_of(shards, *CHANGES, "run.steps=20", "joint.dim=8", names=NAMES)
    with pytest.raises(TrainingError, match=r"joint\.dim was 24, is 8; run\.steps was 12, is 20$"):
        run(changed, whole, resume=True)


def test_a_rate_that_is_too_high_stops_the_run(shards: Path, tmp_path: Path) -> None:
    changes = (
        "optimiser.lr=1e30",
        "optimiser.max_nonfinite=2",
        "run.steps=30",
        "optimiser.agc=0",
        "optimiser.clip_text=0",
    )
    with pytest.raises(TrainingError, match="not finite in 2 steps in a row"):
        run(config_of(shards, *changes), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_stop(
    number: signal.Signals, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("step 2/"):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(trainer, "show", say)
    before = signal.getsignal(number)
    code = trainer.run_from_terminal(config_of(shards), tmp_path, resume=False)
    assert code == (130 if number == signal.SIGINT else 0)
    assert signal.getsignal(number) is before
    assert said[-2].startswith(f"stopped by {number.name} after step 3; ")
    found = state.find(tmp_path)
    assert found is not None and found.step == 3
    assert run(config_of(shards), tmp_path, resume=True)[0].step == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("vision.frozen=true", "here the encoder is what is trained"),
        ("run.parallel=fsdp2", "must be 'none' or 'ddp'"),
        ("joint.scale=200", "scale is 200.0, must be 1 to 100"),
        ("text.length=99", r"length is 99, but options.max_position_embeddings is 16"),
        ("text.options.hidden=3", "BertConfig has no field 'hidden'"),
        ("data.both.batch_size=1", "there is nothing to choose from"),
        ("optimiser.sgd=true", "sgd"),
    ],
)
def test_mistakes_are_one_clear_line(change: str, message: str, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        run(config_of(shards, change), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_shipped_configurations() -> None:
    paper = load_contrast_config("contrast-paper")
    assert (paper.joint.dim, paper.vision.image_size, paper.run.steps) == (1376, 288, 1_200_000)
    assert [table.batch_size for table in paper.data] == [16384, 16384]
    demo = load_contrast_config("contrast-demo")
    assert demo.vision.name == "test_nfnet" and demo.run.parallel == "none"
    with pytest.raises(ConfigError, match="shipped: contrast-demo, contrast-paper"):
        load_contrast_config("demo")


def test_the_command(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["flamingo", "contrast", str(write_config(shards, ["both"])), "--output", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", [*command, "--set", "run.steps=1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert "done: step 1; " in out
    assert f'name = "{tmp_path}/run/checkpoints/step-00000001/vision"' in out
    assert "Writing" not in err
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"flamingo: {tmp_path}/run holds a run (step 1); ")
