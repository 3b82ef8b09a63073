"""IDEFICS of transformers and ours with its weights give the same: tiny models, random weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import IdeficsConfig, IdeficsForVisionText2Text

from flamingo_model.checkpoint import CheckpointError
from flamingo_model.config import ConfigError
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.peers import idefics

SIZE = 16
IMAGES = (3, 2)
"""Of the two rows."""
PHI = torch.tensor([[0, 0, 1, 1, 1, 2, 2, 3, 3, 3], [0, 1, 1, 1, 1, 1, 2, 2, 0, 0]])
"""Text before the first image in both; the second row ends with a new document, which sees none."""


def peer(seed: int = 0, **changes: Any) -> IdeficsForVisionText2Text:
    """With every tensor moved away from its first value, gates too."""
    vision = {
        "embed_dim": 24,
        "image_size": SIZE,
        "patch_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 40,
    }
    perceiver = {"resampler_depth": 2, "resampler_n_heads": 3, "resampler_head_dim": 8, "resampler_n_latents": 5}
    fields: dict[str, Any] = {
        "vocab_size": 60,
        "additional_vocab_size": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "cross_layer_interval": 2,
        "qk_layer_norms": True,
        "use_resampler": True,
        "vision_config": vision,
        "perceiver_config": perceiver | {"qk_layer_norms_perceiver": True},
        "rms_norm_eps": 1e-3,  # far from other norms', so that a wrong one shows
    }
    config = IdeficsConfig(**(fields | changes))
    torch.manual_seed(seed)
    model = IdeficsForVisionText2Text(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def inputs(model: IdeficsForVisionText2Text) -> tuple[Tensor, Tensor]:
    """Ids [2, 10] with IDEFICS's additional ones among them, pictures [2, 3, 3, H, W]; the last of row 1 is padding."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, 60, (2, 10), generator=generator)
    tokens[0, [2, 5, 7]] = 60 if model.config.additional_vocab_size else 1
    tokens[1, [1, 6]] = 61 if model.config.additional_vocab_size else 2
    return tokens, torch.randn(2, 3, 3, SIZE, SIZE, generator=generator)


def theirs(model: IdeficsForVisionText2Text, tokens: Tensor, pictures: Tensor, padding: Tensor | None = None) -> Tensor:
    mask = (PHI[..., None] == torch.arange(1, 4)).long()
    assert torch.equal(idefics.phi(mask), PHI)
    return model(tokens, attention_mask=padding, pixel_values=pictures, image_attention_mask=mask).logits


def ours(model: Flamingo, tokens: Tensor, pictures: Tensor, padding: Tensor | None = None) -> Tensor:
    media = Media.images(torch.cat([row[:count] for row, count in zip(pictures, IMAGES, strict=True)]), IMAGES)
    logits = model(tokens, media, PHI, attention_mask=padding).logits
    assert logits is not None
    return logits[..., :-1]  # without our <EOC>


def converted(model: IdeficsForVisionText2Text) -> Flamingo:
    return idefics.build(model.config.to_dict(), model.state_dict()).eval()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"alpha_type": "vector"},
        {"use_resampler": False},
        {"qk_layer_norms": False, "perceiver_config": {"resampler_n_heads": 3, "resampler_head_dim": 8}},
        {"cross_layer_interval": 1, "additional_vocab_size": 0},
        {"tie_word_embeddings": True},
        {"rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}},
    ],
    ids=["as-9b", "vector-gates", "no-resampler", "no-qk-norm", "every-block", "tied", "rope"],
)
def test_logits(changes: dict[str, Any]) -> None:
    model = peer(**changes)
    tokens, pictures = inputs(model)
    with torch.no_grad():
        wanted = theirs(model, tokens, pictures)
        got = ours(converted(model), tokens, pictures)
    assert wanted.std() > 0.1
    assert (got - wanted).abs().max() < 1e-5 * max(1, wanted.abs().max())


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_with_padding(side: str) -> None:
    model = peer()
    tokens, pictures = inputs(model)
    padding = torch.ones(2, 10, dtype=torch.long)
    padding[1, slice(0, 1) if side == "left" else slice(8, 10)] = 0
    with torch.no_grad():
        wanted = theirs(model, tokens, pictures, padding)
        got = ours(converted(model), tokens, pictures, padding)
    real = padding.bool()
    assert (got - wanted)[real].abs().max() < 1e-5 * max(1, wanted.abs().max())


def test_gradients() -> None:
    """Of the loss over all logits, for every tensor that both train."""
    model = peer()
    tokens, pictures = inputs(model)
    made = converted(model)
    weights = torch.randn(2, 10, 62, generator=torch.Generator().manual_seed(5))
    (theirs(model, tokens, pictures) * weights).sum().backward()
    (ours(made, tokens, pictures) * weights).sum().backward()
    theirs_by_name = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    wanted = idefics.tensors(theirs_by_name, made.config)
    trained = {name: p for name, p in made.trained().items() if name not in idefics.OWN}
    assert any("resampler" in name for name in trained) and any("cross_attention.2" in name for name in trained)
    for name, parameter in trained.items():
        assert parameter.grad is not None and wanted[name].abs().max() > 0, name
        assert (parameter.grad - wanted[name]).abs().max() < 1e-5 * max(1, wanted[name].abs().max()), name


def test_from_a_folder_and_through_a_checkpoint_of_ours(tmp_path: Path) -> None:
    model = peer()
    model.save_pretrained(tmp_path / "theirs")
    made = idefics.load(tmp_path / "theirs").eval()
    made.save_pretrained(tmp_path / "ours")
    again = Flamingo.from_pretrained(tmp_path / "ours").eval()
    tokens, pictures = inputs(model)
    with torch.no_grad():
        wanted = ours(made, tokens, pictures)
        assert torch.equal(ours(again, tokens, pictures), wanted)
        assert (wanted - theirs(model, tokens, pictures)).abs().max() < 1e-5 * max(1, wanted.abs().max())


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    model = peer()
    state = model.state_dict()
    with pytest.raises(CheckpointError, match=r"model\.layers_2\.x \[1\] is no tensor of IDEFICS that is known here"):
        idefics.build(model.config.to_dict(), state | {"model.layers_2.x": torch.zeros(1)})
    lacking = {name: tensor for name, tensor in state.items() if "gated_cross_attn_layers.1.mlp" not in name}
    said = r"lacks cross_attention\.2\.feed_forward\.down\.weight \[32, 48\] \(and 2 more\)"
    with pytest.raises(CheckpointError, match=said):
        idefics.build(model.config.to_dict(), lacking)
    with pytest.raises(ConfigError, match="hidden_act of IDEFICS is 'gelu'"):
        idefics.flamingo_config(model.config.to_dict() | {"hidden_act": "gelu"})
    with pytest.raises(ValueError, match="several images"):
        idefics.phi(torch.ones(1, 2, 2, dtype=torch.long))
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        idefics.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_dict()))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        idefics.load(tmp_path)
