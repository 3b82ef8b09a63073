"""What people do with a model besides calling it: copies, pickles, state dicts, a language model shared by two."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from tiny_models import batch, open_gates, pictures, tiny

from flamingo_model.media import Media
from flamingo_model.model import Flamingo


def logits(model: Flamingo) -> torch.Tensor:
    with torch.no_grad():
        out = model(*batch()).logits
    assert out is not None
    return out


def pickled(model: Flamingo) -> Flamingo:
    copied = pickle.loads(pickle.dumps(model))
    assert isinstance(copied, Flamingo)
    return copied


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_sees_the_same_images_and_is_independent(copied: Callable[[Flamingo], Flamingo]) -> None:
    """An average of weights (EMA) is kept in a deep copy; hooks of a copy must not ask the original for its images."""
    model = tiny()
    before = logits(model)
    twin = copied(model)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert torch.equal(logits(twin), before)
    tokens, media, phi = batch()
    with torch.no_grad():
        other = twin(tokens, Media.images(pictures(5, seed=7), media.per_row), phi).logits
    assert not torch.equal(other, before)


@pytest.mark.parametrize("prepare", ["checkpoint", "compile"])
def test_a_copy_of_a_prepared_model_runs_its_own_blocks(prepare: str) -> None:
    model = tiny()
    if prepare == "checkpoint":
        model.checkpoint_activations()
    else:
        model.compile_blocks(backend="eager")
    before = logits(model)
    twin = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert torch.equal(logits(twin), before)
    tokens, media, phi = batch()
    twin.train()(tokens, media, phi, labels=tokens).loss.backward()
    assert all(parameter.grad is not None for parameter in twin.trained().values())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_each_tensor_has_one_name() -> None:
    model = tiny()
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    other = tiny(seed=5)
    other.load_state_dict(model.state_dict())
    assert torch.equal(logits(other), logits(model))


def test_two_models_around_one_language_model_do_not_disturb_each_other() -> None:
    first = tiny()
    alone = logits(first)
    second = Flamingo(first.config, vision=first.vision, lm=first.language.lm).eval()
    open_gates(second, 0.7)
    seen = logits(second)
    assert torch.equal(logits(first), alone)
    assert torch.equal(logits(second), seen)
    assert not torch.equal(seen, alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_as_a_whole_in_another_type(dtype: torch.dtype) -> None:
    model = tiny()
    tokens, media, phi = batch()
    wanted = model(tokens, media, phi, labels=tokens).loss
    loss = model.to(dtype)(tokens, media, phi, labels=tokens).loss
    loss.backward()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (loss - wanted).abs() < 0.01
    assert {p.dtype for p in model.trained().values()} == {dtype}


def test_under_autocast() -> None:
    model = tiny().train()
    tokens, media, phi = batch()
    wanted = model(tokens, media, phi, labels=tokens).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(tokens, media, phi, labels=tokens).loss
    loss.backward()
    assert (loss - wanted).abs() < 0.01
    assert all(torch.isfinite(p.grad).all() for p in model.trained().values() if p.grad is not None)


def test_the_loss_in_inference_mode() -> None:
    model = tiny()
    tokens, media, phi = batch()
    wanted = model(tokens, media, phi, labels=tokens).loss
    with torch.inference_mode():
        assert torch.equal(model(tokens, media, phi, labels=tokens).loss, wanted)
