"""The chunked loss against the plain one."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from flamingo_model.loss import IGNORED, next_token_loss


def case(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 7, 5, generator=generator, dtype=dtype).requires_grad_()
    head = torch.randn(11, 5, generator=generator, dtype=dtype).requires_grad_()
    labels = torch.randint(0, 11, (3, 7), generator=generator)
    labels[1, :4] = IGNORED
    labels[2] = IGNORED
    weights = torch.rand(3, 7, generator=generator, dtype=dtype)
    return hidden, head, labels, weights


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_value_and_gradients_are_the_plain_loss(chunk: int) -> None:
    hidden, head, labels, weights = case()
    plain = cross_entropy((hidden @ head.T)[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none")
    wanted = (plain * weights[:, 1:].flatten()).sum()
    theirs = torch.autograd.grad(wanted, [hidden, head])
    loss, each = next_token_loss(hidden, labels, lambda x: x @ head.T, [head], weights, chunk=chunk)
    assert (loss - wanted).abs() < 1e-10
    assert (each[:, 1:].flatten() - plain).abs().max() < 1e-10
    assert (each[:, 0] == 0).all()
    assert (each[labels == IGNORED] == 0).all()
    for mine, other in zip(torch.autograd.grad(loss, [hidden, head]), theirs, strict=True):
        assert (mine - other).abs().max() < 1e-10


def test_without_weights_it_is_the_mean_over_labels() -> None:
    hidden, head, labels, _ = case()
    wanted = cross_entropy((hidden @ head.T)[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
    assert (next_token_loss(hidden, labels, lambda x: x @ head.T, [head])[0] - wanted).abs() < 1e-10


def test_a_loss_that_is_scaled_scales_its_gradients() -> None:
    hidden, head, labels, _ = case()
    once, _ = next_token_loss(hidden, labels, lambda x: x @ head.T, [head])
    single = torch.autograd.grad(once, [hidden, head])
    again, _ = next_token_loss(hidden, labels, lambda x: x @ head.T, [head])
    for mine, other in zip(torch.autograd.grad(again * 0.2, [hidden, head]), single, strict=True):
        assert torch.allclose(mine, other * 0.2)


def test_nothing_to_learn_is_zero_and_not_nan() -> None:
    hidden, head, labels, _ = case()
    loss, each = next_token_loss(hidden, torch.full_like(labels, IGNORED), lambda x: x @ head.T, [head])
    loss.backward()
    assert loss == 0
    assert (each == 0).all()
    assert hidden.grad is not None
    assert (hidden.grad == 0).all()


def test_a_frozen_head_has_no_gradient() -> None:
    hidden, head, labels, _ = case()
    frozen = head.detach()
    next_token_loss(hidden, labels, lambda x: x @ frozen.T, [frozen])[0].backward()
    assert hidden.grad is not None
    assert frozen.grad is None


def test_without_gradients_nothing_is_kept() -> None:
    hidden, head, labels, _ = case()
    graphs = []

    def logits(x: torch.Tensor) -> torch.Tensor:
        out = x @ head.T
        graphs.append(out.requires_grad)
        return out

    wanted, _ = next_token_loss(hidden, labels, logits, [head])
    assert graphs == [True]
    for mode in (torch.no_grad(), torch.inference_mode()):
        graphs.clear()
        with mode:
            loss, _ = next_token_loss(hidden, labels, logits, [head])
        assert not loss.requires_grad
        assert graphs == [False]
        assert torch.equal(loss, wanted)


def test_labels_of_32_bits() -> None:
    hidden, head, labels, _ = case()
    wanted, _ = next_token_loss(hidden, labels, lambda x: x @ head.T, [head])
    assert torch.equal(next_token_loss(hidden, labels.int(), lambda x: x @ head.T, [head])[0], wanted)


def test_labels_of_another_shape() -> None:
    hidden, head, labels, _ = case()
    with pytest.raises(ValueError, match=r"labels are \[3, 6\], must be \[3, 7\]"):
        next_token_loss(hidden, labels[:, 1:], lambda x: x @ head.T, [head])
