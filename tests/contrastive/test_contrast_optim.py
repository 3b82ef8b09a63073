"""Adaptive clipping worked by hand, against timm's, and what it is applied to."""

from pathlib import Path

import pytest
import torch
from contrast_runs import config_of, make_shards
from timm.utils.agc import adaptive_clip_grad
from torch import nn

from flamingo_model.contrastive.config import load_contrast_config
from flamingo_model.contrastive.optim import clip_adaptively, learning_rate, make_optimiser, update
from flamingo_model.contrastive.towers import make_towers


def with_grad(weights: object, gradient: object) -> nn.Parameter:
    parameter = nn.Parameter(torch.tensor(weights, dtype=torch.float32))
    parameter.grad = torch.tensor(gradient, dtype=torch.float32)
    return parameter


def test_units_of_a_matrix() -> None:
    # Norms of the rows: 5 and 10, so 0.05 and 0.1 at most; those of the gradient: 0.5 (a tenth stays) and 0.05.
    matrix = with_grad([[3.0, 4.0], [6.0, 8.0]], [[0.3, 0.4], [0.03, 0.04]])
    clip_adaptively([matrix], 0.01)
    assert matrix.grad is not None
    assert torch.allclose(matrix.grad, torch.tensor([[0.03, 0.04], [0.03, 0.04]]))


def test_a_vector_is_one_unit_also_as_gains_of_a_convolution() -> None:
    bias = with_grad([3.0, 4.0], [0.0, 0.5])
    gain = with_grad([[[[3.0]]], [[[4.0]]]], [[[[0.0]]], [[[0.5]]]])
    clip_adaptively([bias, gain], 0.01)
    assert bias.grad is not None and gain.grad is not None
    assert torch.allclose(bias.grad, torch.tensor([0.0, 0.05]))
    assert torch.allclose(gain.grad.flatten(), torch.tensor([0.0, 0.05]))


def test_weights_that_are_zero_can_begin() -> None:
    zero = with_grad([[0.0, 0.0]], [[3.0, 4.0]])
    clip_adaptively([zero, nn.Parameter(torch.ones(2))], 0.01)
    assert zero.grad is not None
    assert torch.allclose(zero.grad, torch.tensor([[0.6e-5, 0.8e-5]]))


def test_convolutions_are_clipped_as_timm_does() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.randn(6, 4, 3, 3)) for _ in range(2))
    theirs.data.copy_(ours.data)
    gradient = torch.randn(6, 4, 3, 3) * torch.logspace(-4, 1, 6)[:, None, None, None]
    ours.grad, theirs.grad = gradient.clone(), gradient.clone()
    clip_adaptively([ours], 0.01)
    adaptive_clip_grad([theirs], 0.01)
    assert torch.allclose(ours.grad, theirs.grad)
    same = [bool(torch.equal(*rows)) for rows in zip(ours.grad, gradient, strict=True)]
    assert any(same) and not all(same)


def test_each_encoder_has_its_clipping_and_projections_have_none(tmp_path: Path) -> None:
    config = config_of(make_shards(tmp_path))
    model = make_towers(config)
    for parameter in model.trained().values():
        parameter.grad = torch.ones_like(parameter)
    optimiser = make_optimiser(model, config.optimiser)
    before = {name: p.detach().clone() for name, p in model.vision.named_parameters() if p.requires_grad}
    count = sum(parameter.numel() for parameter in model.trained().values())
    assert update(model, optimiser, 1e-3, config.optimiser) == pytest.approx(count**0.5, rel=1e-5)

    def norm(part: nn.Module) -> float:
        return float(torch.stack([p.grad.norm() for p in part.parameters() if p.grad is not None]).norm())

    assert norm(model.text) == pytest.approx(10, rel=1e-4)
    clipped = [name for name, weights in before.items() if weights.squeeze().dim() > 1]
    for name in clipped:
        gradient = model.vision.get_parameter(name).grad
        assert gradient is not None
        most = 0.01 * before[name].flatten(1).norm(dim=1).clamp(min=1e-3)
        assert torch.allclose(gradient.flatten(1).norm(dim=1), most, rtol=1e-4), name
    assert len(clipped) > 5
    for own in (model.vision_projection.weight, model.text_projection.weight, model.log_scale):
        assert own.grad is not None
        assert bool((own.grad == 1).all())


def test_steps_that_are_not_finite_change_nothing(tmp_path: Path) -> None:
    config = config_of(make_shards(tmp_path))
    model = make_towers(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for parameter in model.trained().values():
        parameter.grad = torch.full_like(parameter, float("nan"))
    update(model, make_optimiser(model, config.optimiser), 1e-3, config.optimiser)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_rate_falls_linearly_to_zero() -> None:
    table = load_contrast_config("contrast-paper").optimiser
    assert [learning_rate(step, table, 4) for step in (1, 2, 4, 5)] == pytest.approx([1e-3, 7.5e-4, 2.5e-4, 0])
