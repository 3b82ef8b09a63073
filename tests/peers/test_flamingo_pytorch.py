"""Blocks and resampler of flamingo-pytorch 0.1.2 and ours with their weights give the same. Random weights.

Needs, beside our own packages: pip install einops einops-exts && pip install --no-deps flamingo-pytorch==0.1.2
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flamingo_model.checkpoint import CheckpointError
from flamingo_model.peers import flamingo_pytorch as peer
from flamingo_model.peers.open_flamingo import block_tensors, resampler_tensors
from flamingo_model.phi import Layout

theirs = pytest.importorskip(
    "flamingo_pytorch",
    reason="needs flamingo-pytorch: pip install einops einops-exts; pip install --no-deps flamingo-pytorch==0.1.2",
    exc_type=ImportError,
)

PHI = torch.tensor([[0, 0, 1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2, 2, 2]])


def moved(module: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


def near(got: Tensor, wanted: Tensor) -> bool:
    got, wanted = got.detach(), wanted.detach()
    return bool((got - wanted).abs().max() < 1e-5 * max(1.0, float(wanted.abs().max())))


def test_block_and_its_gradients() -> None:
    block = moved(theirs.GatedCrossAttentionBlock(dim=40, dim_head=16, heads=4))
    ours = peer.block(block.state_dict(), head_dim=16)
    assert (ours.attention.heads, ours.attention.to_q.out_features) == (4, 64)
    text, media = torch.randn(2, 8, 40), torch.randn(2, 3, 5, 40)
    locations = torch.diff(PHI, dim=1, prepend=torch.zeros(2, 1, dtype=PHI.dtype)) > 0
    one, other = text.clone().requires_grad_(), text.clone().requires_grad_()
    seen_one, seen_other = media.clone().requires_grad_(), media.clone().requires_grad_()
    wanted = block(one, seen_one, media_locations=locations)
    got = ours(other, ours.keys_values(seen_other.flatten(0, 1)), Layout(PHI, (3, 3)))
    assert near(got, wanted)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    (got * weight).sum().backward()
    assert near(other.grad, one.grad) and near(seen_other.grad, seen_one.grad)
    gradients = block_tensors({name: p.grad for name, p in block.named_parameters()})
    for name, parameter in ours.named_parameters():
        assert near(parameter.grad, gradients[name]) and gradients[name].abs().max() > 0, name


def test_resampler_and_its_gradients() -> None:
    """Each place in a row has its own vector there."""
    perceiver = moved(theirs.PerceiverResampler(dim=40, depth=2, dim_head=16, heads=4, num_latents=6))
    x = torch.randn(2, 3, 7, 40)
    wanted = perceiver(x)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    gradients = resampler_tensors({n: p.grad for n, p in perceiver.named_parameters() if n != "media_pos_emb"})
    ours = [peer.resampler(perceiver.state_dict(), place, head_dim=16) for place in range(3)]
    for place, resampler in enumerate(ours):
        got = resampler(x[:, place, None])
        assert near(got, wanted[:, place])
        (got * weight[:, place]).sum().backward()
        vector = resampler.get_parameter("time.weight").grad
        assert vector is not None and near(vector, perceiver.media_pos_emb.grad[place])
    for name, gradient in gradients.items():
        assert near(sum(resampler.get_parameter(name).grad for resampler in ours), gradient), name


def test_five_images_are_too_many_there() -> None:
    """The paper's five (ours: tests/model/test_bugs_of_others.py)."""
    perceiver = theirs.PerceiverResampler(dim=40, depth=1)
    with pytest.raises(RuntimeError):
        perceiver(torch.randn(1, 5, 7, 40))
    with pytest.raises(ValueError, match="place is 4, flamingo-pytorch knows 4 places"):
        peer.resampler(perceiver.state_dict(), 4)


def test_what_does_not_fit_is_named() -> None:
    state = theirs.GatedCrossAttentionBlock(dim=40).state_dict()
    with pytest.raises(CheckpointError, match=r"lacks feed_forward\.down\.weight \[40, 160\]"):
        peer.block({name: tensor for name, tensor in state.items() if name != "ff.3.weight"})
    with pytest.raises(CheckpointError, match=r"attn\.more \[1\] is no tensor of a GatedCrossAttentionBlock"):
        peer.block(state | {"attn.more": torch.zeros(1)})
