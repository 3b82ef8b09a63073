"""Accumulated, weighted gradients are the gradient of the weighted sum of losses; other mixtures are not."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_runs import config_of, make_shards, metrics, run

from flamingo_model.batch import Batch
from flamingo_model.loss import IGNORED
from flamingo_model.model import Flamingo
from flamingo_model.training import setup
from flamingo_model.training.config import MixtureTable, TrainConfig
from flamingo_model.training.mixture import Counts, accumulate, count, taking_part, token_weights
from flamingo_model.training.parallel import Ranks

ALONE = Ranks(0, 1, torch.device("cpu"))
Batches = dict[str, list[Batch]]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def made(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, Flamingo, Batches]:
    """A model in double precision with open gates, and two batches of each data set."""
    config = config_of(shards, 'precision.frozen="float32"')
    model = setup.make_model(config, None)
    tokenizer = setup.make_tokenizer(config, model, tmp_path_factory.mktemp("run"), None, ALONE)
    loaders = setup.make_loaders(config, model, tokenizer, ALONE, None, setup.shards_of(config))
    batches = {}
    for name, loader in loaders.items():
        taken = iter(loader)
        batches[name] = [next(taken), next(taken)]
    for name, parameter in model.named_parameters():
        if name.endswith("alpha"):
            parameter.data.fill_(0.5)
    return config, model.double(), batches


def forward_of(model: Flamingo) -> Any:
    def forward(batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
        media = batch.pictures.media(model.vision.mean, model.vision.std) if batch.pictures else None
        out = model(
            batch.tokens,
            media,
            batch.phi,
            attention_mask=batch.attention_mask,
            labels=batch.labels,
            loss_weights=weights,
        )
        return out.loss, out.token_losses

    return forward


def token_losses(model: Flamingo, batch: Batch) -> tuple[Tensor, Tensor]:
    """[B, L - 1] of each token by ordinary cross-entropy of the model's logits, and which are judged."""
    media = batch.pictures.media(model.vision.mean, model.vision.std) if batch.pictures else None
    logits = model(batch.tokens, media, batch.phi, attention_mask=batch.attention_mask).logits
    labels = batch.labels.masked_fill(batch.attention_mask == 0, IGNORED)[:, 1:]
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels, reduction="none")
    return losses, labels != IGNORED


def gradients(model: Flamingo) -> dict[str, Tensor]:
    found = {}
    for name, parameter in model.trained().items():
        assert parameter.grad is not None, name
        found[name] = parameter.grad.clone()
    model.zero_grad()
    return found


def by_hand(config: TrainConfig, mixture: MixtureTable, model: Flamingo, batches: Batches) -> dict[str, Tensor]:
    """Gradient of equation 2 as it is written: sum over data sets of lambda times the expectation of the sum."""
    total = torch.zeros((), dtype=torch.float64)
    pooled, size = torch.zeros((), dtype=torch.float64), 0
    for table in config.data:
        losses = [token_losses(model, batch) for batch in batches[table.name]]
        summed = torch.stack([each.sum() for each, _ in losses]).sum()
        examples = sum(len(batch.tokens) for batch in batches[table.name])
        judged = sum(int(which.sum()) for _, which in losses)
        own = examples if mixture.reduction == "sum_per_example" else judged
        total = total + table.weight * summed / own
        pooled, size = pooled + summed, size + own
    (pooled / size if mixture.how == "merged" else total).backward()
    return gradients(model)


@pytest.mark.parametrize("how", ["accumulate", "merged"])
@pytest.mark.parametrize("reduction", ["sum_per_example", "token_mean"])
def test_accumulated_gradients_are_that_of_the_weighted_sum(
    how: Any, reduction: Any, made: tuple[TrainConfig, Flamingo, Batches]
) -> None:
    config, model, batches = made
    mixture = MixtureTable(how=how, reduction=reduction)
    counts = {name: count(own) for name, own in batches.items()}
    weights = token_weights(mixture, config.data, counts)
    sums = accumulate(forward_of(model), batches, weights, lambda _: nullcontext())
    ours = gradients(model)
    theirs = by_hand(config, mixture, model, batches)
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], rtol=1e-6, atol=1e-9 * float(theirs[name].abs().max())), name
    for name, own in batches.items():
        assert float(sums[name]) == pytest.approx(sum(token_losses(model, batch)[0].sum().item() for batch in own))


def test_round_robin_differs(made: tuple[TrainConfig, Flamingo, Batches]) -> None:
    config, model, batches = made
    mixture = MixtureTable(how="round_robin", reduction="sum_per_example")
    turns = [taking_part("round_robin", config.data, step) for step in range(1, 9)]
    assert [[table.name for table in turn] for turn in turns] == [["pages"], ["short"], ["long"], ["clips"]] * 2
    counts = {name: count(own) for name, own in batches.items()}
    accumulate(forward_of(model), batches, token_weights(mixture, turns[0], counts), lambda _: nullcontext())
    first = gradients(model)
    whole = by_hand(config, replace(mixture, how="accumulate"), model, batches)
    name = "cross_attention.0.attention.to_q.weight"
    assert (first[name] - whole[name]).abs().max() > 0.01 * whole[name].abs().max()


def test_only_the_last_pass_synchronises(made: tuple[TrainConfig, Flamingo, Batches]) -> None:
    config, model, batches = made
    told: list[bool] = []

    def synchronising(last: bool) -> Any:
        told.append(last)
        return nullcontext()

    counts = {name: count(own) for name, own in batches.items()} | {"clips": Counts()}  # nothing to judge: left out
    weights = token_weights(config.mixture, config.data, counts)
    accumulate(forward_of(model), batches, weights, synchronising)
    model.zero_grad()
    assert told == [False] * 5 + [True]


def test_what_is_counted(made: tuple[TrainConfig, Flamingo, Batches]) -> None:
    _, _, batches = made
    for own in batches.values():
        found = count(own)
        assert found.examples == 8
        assert found.tokens == sum(int(batch.attention_mask.sum()) for batch in own)
        assert found.judged == found.tokens - 8  # all but <BOS>
        assert found.images == sum(len(batch.pictures.pixels) for batch in own if batch.pictures)


def test_rows_do_not_depend_on_how_many_go_through_at_a_time(shards: Path, tmp_path: Path) -> None:
    """With one stream and no packing the order of rows is the same; so are the losses, up to rounding."""
    parts = [f"data.{name}.micro_batch=1" for name in ("pages", "short", "long", "clips")]
    common = ["loader.streams=1", "run.steps=4", 'precision.frozen="float32"']
    run(config_of(shards, *common), tmp_path / "whole")
    run(config_of(shards, *common, *parts), tmp_path / "parts")
    for one, other in zip(metrics(tmp_path / "whole"), metrics(tmp_path / "parts"), strict=True):
        assert one["losses"] == pytest.approx(other["losses"], rel=1e-4)
        assert one["examples"] == other["examples"]


@pytest.mark.parametrize("how", ["round_robin", "merged"])
def test_the_switches_train(how: str, shards: Path, tmp_path: Path) -> None:
    _, said = run(config_of(shards, f'mixture.how="{how}"', "run.steps=5"), tmp_path)
    assert ("merged: the data sets' weights are not used" in said) == (how == "merged")
    lines = metrics(tmp_path)
    assert [len(line["losses"]) for line in lines] == [1 if how == "round_robin" else 4] * 5


@pytest.mark.parametrize("changes", [("run.checkpoint_activations=true",), ("run.compile=true",)])
def test_the_same_losses_with_checkpoints_and_compiled(
    changes: tuple[str, ...], shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's own back end takes minutes on a CPU: the graphs are run as they were traced."""
    usual = Flamingo.compile_blocks
    monkeypatch.setattr(Flamingo, "compile_blocks", lambda model: usual(model, backend="eager"))
    run(config_of(shards, "run.steps=2", names=["short"]), tmp_path / "plain")
    run(config_of(shards, "run.steps=2", *changes, names=["short"]), tmp_path / "changed")
    for one, other in zip(metrics(tmp_path / "plain"), metrics(tmp_path / "changed"), strict=True):
        assert one["losses"] == pytest.approx(other["losses"], rel=1e-5)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-4)
