"""AdamW's groups, the schedule, one global norm, steps that are left out."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_runs import config_of, make_shards, metrics, run, tensors

from flamingo_model.config import ConfigError
from flamingo_model.training import step as step_module
from flamingo_model.training.config import load_train_config
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.optim import gradient_norm, learning_rate, make_optimiser, parameter_groups, update
from flamingo_model.training.setup import make_model

PAPER = load_train_config("paper").optimiser


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


def named(count: int = 3, value: float = 1.0) -> dict[str, nn.Parameter]:
    names = ["resampler.latents", "cross_attention.0.attention.to_q.weight", "language.eoc_input"][:count]
    return {name: nn.Parameter(torch.full((4,), value)) for name in names}


def test_weight_decay_on_all_but_the_resampler(shards: Path) -> None:
    model = make_model(config_of(shards), None)
    trained = model.trained()
    groups: Any = parameter_groups(trained, PAPER)
    by_decay = {group["weight_decay"]: {id(p) for p in group["params"]} for group in groups}
    assert by_decay.keys() == {0.0, 0.1}
    assert by_decay[0.0] == {id(p) for name, p in trained.items() if name.startswith("resampler.")}
    assert by_decay[0.1] == {id(p) for name, p in trained.items() if not name.startswith("resampler.")}
    assert {name.partition(".")[0] for name in trained} == {"resampler", "cross_attention", "language"}


def test_groups_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"no trained parameter's name begins with 'perceiver\.'"):
        parameter_groups(named(), replace(PAPER, no_decay=("perceiver.",)))
    with pytest.raises(ConfigError, match="learns"):
        parameter_groups({}, PAPER)


def test_warm_up_then_constant() -> None:
    assert learning_rate(1, PAPER, 500_000) == pytest.approx(1e-4 / 5000)
    assert learning_rate(2500, PAPER, 500_000) == pytest.approx(0.5e-4)
    assert [learning_rate(step, PAPER, 500_000) for step in (5000, 5001, 500_000)] == [1e-4] * 3


def test_warm_up_then_down_to_a_tenth() -> None:
    table = replace(PAPER, schedule="exponential", warmup=10, lr=1e-5)
    rates = [learning_rate(step, table, 110) for step in range(10, 111)]
    assert rates[0] == 1e-5
    assert rates[-1] == pytest.approx(1e-6)
    ratios = {round(after / before, 12) for before, after in pairwise(rates)}
    assert ratios == {round(0.1**0.01, 12)}
    assert learning_rate(1, replace(table, warmup=0), 1) == pytest.approx(1e-6)


def test_the_clip_is_of_all_gradients_together() -> None:
    parameters = named()
    for number, parameter in enumerate(parameters.values()):
        parameter.grad = torch.full((4,), float(number + 1))
    norm = math.sqrt(4 * (1 + 4 + 9))
    assert float(gradient_norm(parameters.values())) == pytest.approx(norm)
    optimiser = make_optimiser(parameters, PAPER)
    assert update(optimiser, 1e-3, clip=1.0) == pytest.approx(norm)
    assert float(gradient_norm(parameters.values())) == pytest.approx(1.0, abs=1e-5)
    moments = [optimiser.state[parameter]["exp_avg"][0].item() for parameter in parameters.values()]
    first, _ = PAPER.betas
    assert moments == pytest.approx([(1 - first) * number / norm for number in (1, 2, 3)], rel=1e-4)


def test_a_gradient_below_the_limit_is_left_alone() -> None:
    parameters = named(1)
    parameters["resampler.latents"].grad = torch.full((4,), 0.01)
    update(make_optimiser(parameters, PAPER), 1e-3, clip=1.0)
    assert torch.equal(parameters["resampler.latents"].grad, torch.full((4,), 0.01))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad: float) -> None:
    parameters = named()
    for parameter in parameters.values():
        parameter.grad = torch.ones(4)
    parameters["language.eoc_input"].grad[2] = bad  # type: ignore[index]
    optimiser = make_optimiser(parameters, PAPER)
    assert not math.isfinite(update(optimiser, 1e-3, clip=1.0))
    assert all(torch.equal(parameter, torch.ones(4)) for parameter in parameters.values())
    assert not optimiser.state


def broken(bad_steps: Iterator[bool]) -> Any:
    """`update` before which one gradient becomes NaN in some steps."""

    def broken_update(optimiser: torch.optim.Optimizer, lr: float, clip: float) -> float:
        if next(bad_steps):
            optimiser.param_groups[0]["params"][0].grad.view(-1)[0] = math.nan
        return update(optimiser, lr, clip)

    return broken_update


def test_steps_that_are_not_finite_are_left_out_and_counted(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(shards, "run.steps=6", "run.save_every=1", "run.keep=0", names=["short"])
    monkeypatch.setattr(step_module, "update", broken(iter([False, True, False, True, True, False])))
    run(config, tmp_path)
    lines = metrics(tmp_path)
    assert [line["nonfinite"] for line in lines] == [0, 1, 1, 2, 3, 3]
    assert [line["norm"] is None for line in lines] == [False, True, False, True, True, False]
    saved = [tensors(tmp_path / f"checkpoints/step-{step:08d}") for step in range(1, 7)]
    same = [all(torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(saved)]
    assert same == [True, False, True, True, False]


def test_too_many_of_them_in_a_row_stop_the_run(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(shards, "run.steps=9", "optimiser.max_nonfinite=3", "run.save_every=2", names=["short"])
    monkeypatch.setattr(step_module, "update", broken(iter([False, True, False, True, True, True])))
    with pytest.raises(TrainingError, match="not finite in 3 steps in a row, the last of them 6"):
        run(config, tmp_path)
    assert (tmp_path / "latest").resolve().name == "step-00000004"


def test_batches_without_anything_to_judge_are_counted(shards: Path, tmp_path: Path) -> None:
    """With phi "after_mark" and nothing but marks, no token sees an image: there is no label."""
    nothing = 'data.long.samples={length=4, loss="seen", pair_phi="after_mark", max_images=0}'
    run(config_of(shards, "run.steps=3", nothing, names=["short", "long"]), tmp_path / "both")
    lines = metrics(tmp_path / "both")
    assert lines[-1]["empty"] == {"long": 3}
    assert list(lines[-1]["losses"]) == ["short"]
    only = [line.replace("data.short", "data.long") for line in [nothing]]
    run(config_of(shards, "run.steps=2", *only, names=["long"]), tmp_path / "none")
    lines = metrics(tmp_path / "none")
    assert (lines[-1]["empty"], lines[-1]["objective"], lines[-1]["nonfinite"]) == ({"long": 2}, None, 0)
