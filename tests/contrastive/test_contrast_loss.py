"""The loss against an oracle; gradients of several data sets, of parts of a batch; the temperature."""

import math
from pathlib import Path

import pytest
import torch
from contrast_runs import ALONE, config_of, grads, make_shards, metrics, random_pairs, run, run_of

from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.contrastive.loss import add_gradients, alone, contrastive_loss
from flamingo_model.contrastive.step import gradients, joined
from flamingo_model.contrastive.towers import make_towers


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def config(shards: Path) -> ContrastConfig:
    return config_of(shards)


def oracle(image: list[list[float]], text: list[list[float]], scale: float, smoothing: float) -> float:
    """Written out, one picture and one text at a time."""
    count, total = len(image), 0.0
    for asks, answers in ((image, text), (text, image)):
        for place, own in enumerate(asks):
            logits = [scale * sum(a * b for a, b in zip(own, other, strict=True)) for other in answers]
            log_sum = math.log(sum(math.exp(logit) for logit in logits))
            for other, logit in enumerate(logits):
                target = smoothing / count + (1 - smoothing) * (other == place)
                total -= target * (logit - log_sum) / count
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_sum_of_both_cross_entropies(smoothing: float) -> None:
    torch.manual_seed(1)
    image, text = torch.nn.functional.normalize(torch.randn(2, 5, 3, dtype=torch.float64), dim=-1)
    found = contrastive_loss(image, text, torch.tensor(9.0, dtype=torch.float64), smoothing, ALONE)
    assert float(found) == pytest.approx(oracle(image.tolist(), text.tolist(), 9.0, smoothing), abs=1e-12)
    blind = contrastive_loss(image[:1].expand(5, 3), text[:1].expand(5, 3), torch.tensor(9.0), smoothing, ALONE)
    assert float(blind) == pytest.approx(2 * math.log(5), abs=1e-6)  # chance: who sees nothing


def test_towers_average_over_positions_and_over_tokens_that_are_there(config: ContrastConfig) -> None:
    model, pairs = make_towers(config).eval(), random_pairs(3, 0)
    with torch.no_grad():
        image, text, scale = model(pairs.pixels, pairs.tokens, pairs.mask)
        noise = pairs.tokens + 5 * (1 - pairs.mask)
        assert torch.allclose(model(pairs.pixels, noise, pairs.mask)[1], text, atol=1e-6)
        features = model.vision(pairs.pixels).mean(1) @ model.vision_projection.weight.T
        length = int(pairs.mask[0].sum())
        states = model.text(input_ids=pairs.tokens[:1, :length]).last_hidden_state[0].mean(0)
    assert torch.allclose(image, features / features.norm(dim=1, keepdim=True), atol=1e-6)
    own = model.text_projection.weight @ states
    assert torch.allclose(text[0], own / own.norm(), atol=1e-5)
    assert float(scale.detach()) == pytest.approx(1 / 0.07, rel=1e-5)
    assert image.shape == text.shape == (3, 24)


def test_two_data_sets_give_the_sum_of_their_gradients_and_merged_others(config: ContrastConfig) -> None:
    this = run_of(config)
    one, two = random_pairs(4, 1), random_pairs(6, 2, length=5)
    losses = gradients(this, {"one": one, "two": two})
    both = grads(this.model)
    first, second = ({k: float(v) for k, v in gradients(this, {k: p}).items()} for k, p in (("one", one), ("two", two)))
    summed = grads(this.model)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(first | second)
    for name, gradient in both.items():
        assert torch.allclose(gradient, summed[name], atol=1e-6), name
    merged = float(gradients(this, {"merged": joined([one, two])})["merged"])
    other = grads(this.model)
    assert merged > max(float(value) for value in losses.values())  # ten to choose from
    assert not torch.allclose(other["vision_projection.weight"], both["vision_projection.weight"], atol=1e-4)


@pytest.mark.parametrize("micro", [1, 3, 4])
def test_parts_give_the_gradient_of_the_whole(config: ContrastConfig, micro: int) -> None:
    model, pairs = make_towers(config).eval().double(), random_pairs(8, 3)

    def take(size: int) -> float:
        return float(
            add_gradients(
                model,
                pairs,
                lambda image, text, scale: contrastive_loss(image, text, scale, 0.1, ALONE),
                micro_batch=size,
                last=True,
                synchronising=alone,
                scale=1.0,
            )
        )

    assert take(0) == pytest.approx(take(micro), abs=1e-6)
    model.zero_grad()
    take(0)
    whole = grads(model)
    take(micro)
    for name, gradient in grads(model).items():
        assert torch.allclose(gradient, whole[name], atol=1e-6), name


def test_parts_see_the_same_dropout_twice(config: ContrastConfig) -> None:
    model, pairs = make_towers(config).train(), random_pairs(6, 4)

    def loss(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(image, text, scale, 0.1, ALONE)

    torch.manual_seed(7)
    found = add_gradients(model, pairs, loss, micro_batch=2, last=True, synchronising=alone, scale=1.0)
    after, parts = torch.get_rng_state(), grads(model)
    torch.manual_seed(7)
    made = [model(part.pixels, part.tokens, part.mask) for part in pairs.split(2)]
    assert torch.equal(torch.get_rng_state(), after)
    image, text = (torch.cat([each[place] for each in made]) for place in (0, 1))
    value = loss(image, text, made[0][2])
    value.backward()
    assert float(found) == pytest.approx(float(value.detach()), abs=1e-6)
    for name, gradient in grads(model).items():
        assert torch.allclose(gradient, parts[name], atol=1e-5), name


def test_the_temperature_learns_within_limits(config: ContrastConfig) -> None:
    model, pairs = make_towers(config).eval(), random_pairs(4, 5)
    image = model(pairs.pixels, pairs.tokens, pairs.mask)[0].detach()

    def slope(text: torch.Tensor) -> float:
        model.zero_grad()
        contrastive_loss(image, text, model.log_scale.exp(), 0.0, ALONE).backward()
        assert model.log_scale.grad is not None
        return float(model.log_scale.grad)

    assert slope(image) < 0 < slope(image.roll(1, 0))  # sharper if all is right, softer if all is wrong
    for value, wanted in ((9.0, 100.0), (-1.0, 1.0), (2.0, math.exp(2.0))):
        model.log_scale.data.fill_(value)
        model.limit_scale(100.0)
        assert float(model.log_scale.detach().exp()) == pytest.approx(wanted, rel=1e-5)


def test_ways_of_mixing_in_runs(shards: Path, tmp_path: Path) -> None:
    names = ("one", "two")
    run(config_of(shards, "mixture.how=round_robin", "run.steps=4", names=names), tmp_path / "turns")
    turns = metrics(tmp_path / "turns")
    assert [list(line["losses"]) for line in turns] == [["one"], ["two"], ["one"], ["two"]]
    assert [line["lr"] for line in turns] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    run(config_of(shards, "mixture.how=merged", "run.steps=1", names=names), tmp_path / "merged")
    run(config_of(shards, "run.steps=1", names=names), tmp_path / "both")
    (merged,), (both,) = metrics(tmp_path / "merged"), metrics(tmp_path / "both")
    assert list(merged["losses"]) == ["merged"]
    assert list(both["losses"]) == list(names)
    assert both["objective"] == pytest.approx(sum(both["losses"].values()))
    assert merged["examples"] == both["examples"] == {"one": 8.0, "two": 8.0}
    assert merged["inverse_temperature"] != pytest.approx(1 / 0.07, abs=1e-6)  # it has learnt


def test_memory_and_types(shards: Path, tmp_path: Path) -> None:
    plain = ("run.steps=2", "text.options.hidden_dropout_prob=0.0", "text.options.attention_probs_dropout_prob=0.0")
    run(config_of(shards, *plain), tmp_path / "plain")
    run(config_of(shards, *plain, "run.checkpoint_activations=true"), tmp_path / "again")
    run(config_of(shards, *plain, "mixture.micro_batch=3"), tmp_path / "parts")
    run(config_of(shards, *plain, "precision.autocast=bfloat16"), tmp_path / "half")
    wanted = [line["objective"] for line in metrics(tmp_path / "plain")]
    for name, within in (("again", 1e-5), ("parts", 1e-4), ("half", 0.1)):
        assert [line["objective"] for line in metrics(tmp_path / name)] == pytest.approx(wanted, abs=within), name
    assert metrics(tmp_path / "half")[0]["objective"] != wanted[0]
