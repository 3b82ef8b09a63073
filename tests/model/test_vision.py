"""Encoders of every kind behind one interface: positions without class tokens, other sizes, frozen and trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, ViTConfig, ViTImageProcessor, ViTModel

from flamingo_model.config import ConfigError, VisionConfig, load_config, with_changes
from flamingo_model.vision import CLIP, HALF, IMAGENET, VisionEncoder, make_vision

VIT: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
DINO = {k: v for k, v in VIT.items() if k != "intermediate_size"} | {"mlp_ratio": 2}
KINDS: dict[str, tuple[Mapping[str, Any], int]] = {
    "vit": (VIT, 1),
    "deit": (VIT, 2),
    "clip_vision_model": (VIT, 1),
    "siglip_vision_model": (VIT, 0),
    "dinov2": (DINO, 1),
    "dinov2_with_registers": (DINO | {"num_register_tokens": 4}, 5),
}
"""Models with patch tokens: their shape, and how many tokens stand before the patches."""


def config(family: str, name: str, size: int = 32, **fields: Any) -> VisionConfig:
    changes = {"family": family, "name": name, "image_size": size, "options": {}} | fields
    return with_changes(load_config("tiny"), vision=changes).vision


def made(family: str, name: str, size: int = 32, **fields: Any) -> VisionEncoder:
    torch.manual_seed(0)
    return make_vision(config(family, name, size, **fields))


def noise(count: int, size: int = 32, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_the_patches(kind: str) -> None:
    """The library's own output without what stands before the patches, bit for bit; other sizes, more positions."""
    options, prefix = KINDS[kind]
    encoder = made("huggingface", kind, options=options)
    assert (encoder.positions, encoder.dim) == (16, 32)
    own = encoder.model(pixel_values=noise(3)).last_hidden_state
    assert own.shape[1] == prefix + 16
    assert torch.equal(encoder(noise(3)), own[:, prefix:])
    larger = made("huggingface", kind, size=48, options=options)
    assert (larger.positions, larger.dim) == (36, 32)
    assert larger(noise(2, 48)).shape == (2, 36, 32)
    assert bool(larger(noise(2, 48)).isfinite().all())
    with_prefix = made("huggingface", kind, options=options, class_token=True)
    assert torch.equal(with_prefix(noise(3)), own)


def test_a_size_that_is_no_multiple_of_the_patch() -> None:
    """320 pixels and patches of 14, as CLIP ViT-L/14 has them: what is left over at the edges is not seen."""
    encoder = made("huggingface", "clip_vision_model", size=44, options=VIT)
    assert encoder.positions == 25
    assert encoder(noise(1, 44)).shape == (1, 25, 32)


def test_feature_maps_are_read_row_by_row() -> None:
    encoder = made("huggingface", "mobilenet_v2", size=96, options={"depth_multiplier": 0.35, "image_size": 96})
    assert (encoder.positions, encoder.dim) == (9, 1280)
    own = encoder.model(pixel_values=noise(2, 96)).last_hidden_state
    assert torch.equal(encoder(noise(2, 96))[:, 5], own[:, :, 1, 2])
    larger = made("huggingface", "mobilenet_v2", size=160, options={"depth_multiplier": 0.35, "image_size": 96})
    assert larger.positions == 25


def test_nfnet_f0() -> None:
    encoder = made("timm", "dm_nfnet_f0", size=64)
    assert (encoder.positions, encoder.dim) == (4, 3072)
    own = encoder.model.forward_features(noise(1, 64))
    assert own.shape == (1, 3072, 2, 2)
    assert torch.equal(encoder(noise(1, 64))[:, 1], own[:, :, 0, 1])
    assert (tuple(encoder.mean), tuple(encoder.std)) == IMAGENET


def test_the_papers_nfnet_f6() -> None:
    """Table 4: 435M; [3072, 10, 10] at 320 pixels."""
    with torch.device("meta"):
        encoder = make_vision(load_config("flamingo-3b").vision)
        assert encoder.model.forward_features(torch.zeros(1, 3, 320, 320, dtype=torch.bfloat16)).shape[1:] == (
            3072,
            10,
            10,
        )
    assert (encoder.positions, encoder.dim) == (100, 3072)
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 2) == 435.29


@pytest.mark.parametrize(
    ("name", "size", "positions"),
    [
        ("vit_tiny_patch16_224", 96, 36),
        ("vit_small_patch14_reg4_dinov2", 56, 16),
        ("swin_tiny_patch4_window7_224", 224, 49),
    ],
)
def test_other_models_of_timm(name: str, size: int, positions: int) -> None:
    """Positions made for the size that is asked for; registers dropped; feature maps with the channels last."""
    with torch.device("meta"):
        encoder = make_vision(config("timm", name, size))
        own = encoder.model.forward_features(torch.zeros(1, 3, size, size))
    assert encoder.positions == positions
    assert encoder.dim == own.shape[-1]


KINDS_TO_TRAIN = [
    *(("huggingface", kind, options) for kind, (options, _) in KINDS.items()),
    ("huggingface", "mobilenet_v2", {"depth_multiplier": 0.35, "image_size": 32}),
    ("timm", "test_vit", {}),
    ("timm", "test_nfnet", {}),
]


@pytest.mark.parametrize(("family", "name", "options"), KINDS_TO_TRAIN)
def test_frozen_is_frozen(family: str, name: str, options: Mapping[str, Any]) -> None:
    """No gradients, evaluation mode whatever is said, and so the same result each time."""
    encoder = made(family, name, size=64, options=options)
    parent = nn.Sequential(encoder)
    parent.train()
    assert not any(module.training for module in encoder.model.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    picture = noise(2, 64).requires_grad_()
    out = encoder(picture)
    assert not out.requires_grad
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    assert torch.equal(encoder(noise(2, 64)), out)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize(("family", "name", "options"), KINDS_TO_TRAIN)
def test_unfrozen_learns(family: str, name: str, options: Mapping[str, Any]) -> None:
    """Weights are float32, every parameter that is said to learn has a gradient, modes follow train() and eval()."""
    encoder = made(family, name, size=64, options=options, frozen=False, dtype="bfloat16")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert encoder.train().model.training
    assert not encoder.eval().model.training
    encoder(noise(2, 64)).square().sum().backward()
    learning = {key: p.grad is not None for key, p in encoder.named_parameters() if p.requires_grad}
    assert all(learning.values())
    # What is left out are poolers, heads and the norm before them: nothing that features pass through.
    left = {key for key, p in encoder.named_parameters() if not p.requires_grad}
    assert all("pool" in key or "head" in key or "post_layernorm" in key or "mask_token" in key for key in left), left
    with torch.no_grad():
        assert not encoder(noise(1, 64)).requires_grad


@pytest.mark.parametrize(("family", "name", "options"), KINDS_TO_TRAIN)
def test_frozen_bfloat16(family: str, name: str, options: Mapping[str, Any]) -> None:
    """Section B.1.2: stored and applied in bfloat16, also where positions are interpolated."""
    encoder = made(family, name, size=64, options=options, dtype="bfloat16")
    assert {p.dtype for p in encoder.parameters()} == {torch.bfloat16}
    out = encoder(noise(2, 64))
    assert out.dtype == torch.bfloat16
    assert bool(out.isfinite().all())


def test_no_pictures() -> None:
    encoder = made("huggingface", "vit", options=VIT, dtype="bfloat16")
    out = encoder(noise(0))
    assert (out.shape, out.dtype) == ((0, 16, 32), torch.bfloat16)


def saved_vit(folder: Path, mean: list[float], std: list[float]) -> ViTModel:
    torch.manual_seed(7)
    model = ViTModel(ViTConfig(**VIT)).eval()
    model.save_pretrained(folder)
    ViTImageProcessor(image_mean=mean, image_std=std).save_pretrained(folder)
    return model


def test_a_folder_loads_with_its_own_normalisation(tmp_path: Path) -> None:
    model = saved_vit(tmp_path, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    encoder = made("huggingface", str(tmp_path), pretrained=True)
    assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert torch.equal(encoder(noise(2)), model(pixel_values=noise(2)).last_hidden_state[:, 1:])
    given = made("huggingface", str(tmp_path), pretrained=True, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert (given.mean, given.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_hub_name_loads_with_its_own_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a cache laid out as the hub's client does it, without a network."""
    snapshot = tmp_path / "models--somebody--vit" / "snapshots" / ("0" * 40)
    refs = tmp_path / "models--somebody--vit" / "refs"
    snapshot.mkdir(parents=True)
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    saved_vit(snapshot, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    encoder = made("huggingface", "somebody/vit", pretrained=True)
    assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_of_a_whole_clip_only_the_vision_part_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(7)
    text = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 50,
    }
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=dict(VIT), projection_dim=16)).eval()
    model.save_pretrained(tmp_path)
    CLIPImageProcessor().save_pretrained(tmp_path)
    encoder = made("huggingface", str(tmp_path), pretrained=True)
    assert torch.equal(encoder(noise(2)), model.vision_model(pixel_values=noise(2)).last_hidden_state[:, 1:])
    assert not any("text" in key for key, _ in encoder.named_parameters())
    assert torch.allclose(torch.tensor([encoder.mean, encoder.std]), torch.tensor(CLIP), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("vit", HALF),
        ("siglip_vision_model", HALF),
        ("clip_vision_model", CLIP),
        ("dinov2", IMAGENET),
        ("deit", IMAGENET),
    ],
)
def test_normalisation_of_random_weights_is_that_of_the_kind(kind: str, expected: object) -> None:
    encoder = made("huggingface", kind, options=KINDS[kind][0])
    assert (encoder.mean, encoder.std) == expected


def test_depth_and_heads_follow_from_the_options() -> None:
    """Fields that a configuration derives from others: stages from the depth, in models that are also backbones."""
    encoder = made("huggingface", "dinov2", options=DINO | {"num_hidden_layers": 3})
    assert encoder.model.config.stage_names == ["stem", "stage1", "stage2", "stage3"]
    resnet = made("huggingface", "resnet", options={"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]})
    assert (resnet.positions, resnet.dim) == (16, 16)


@pytest.mark.parametrize(
    ("family", "name", "fields", "message"),
    [
        ("timm", "dm_nfnet_f9", {}, "timm has no model 'dm_nfnet_f9'; it has dm_nfnet_f6"),
        ("timm", "#", {}, r"timm has no model '#'; see timm\.list_models\(\)"),
        ("timm", "dm_nfnet_f0.nothing", {}, r"timm cannot make 'dm_nfnet_f0.nothing': Invalid pretrained tag"),
        ("timm", "dm_nfnet_f0", {"options": {"depht": 1}}, "timm cannot make 'dm_nfnet_f0': .*'depht'"),
        ("huggingface", "vitt", {}, "transformers cannot make 'vitt': .*a model type such as 'vit' or"),
        ("huggingface", "/nowhere/model", {}, "transformers cannot make '/nowhere/model': .*give a folder"),
        ("huggingface", "vit", {"options": {"hiden_size": 3}}, "no field 'hiden_size'; did you mean 'hidden_size'"),
        ("huggingface", "gpt2", {}, "'gpt2' does not give features of pictures of 32 pixels"),
        ("huggingface", "vit_mae", {"options": VIT}, "ViTMAEModel gives 5 positions for 16 patches"),
        (
            "huggingface",
            "clip_vision_model",
            {"options": VIT, "image_size": 5},
            r"pictures of 5 pixels .*set vision\.image",
        ),
    ],
)
def test_what_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, family: str, name: str, fields: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=message), torch.device("meta"):
        make_vision(config(family, name, **fields))


def test_any_module_can_be_an_encoder() -> None:
    """The interface itself: a module, and how its features are read."""
    encoder = VisionEncoder(nn.Conv2d(3, 6, 4, 4), lambda m, x: m(x).flatten(2).transpose(1, 2), image_size=16)
    assert (encoder.positions, encoder.dim) == (16, 6)
    assert encoder(noise(2, 16)).shape == (2, 16, 6)
