"""Vision encoders behind one small interface: pictures in, a feature vector for each position out (section 3.1.1).

F pictures, S positions, D' width of the features.
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flamingo_model.config import ConfigError, VisionConfig

Features = Callable[[nn.Module, Tensor], Tensor]

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


class VisionEncoder(nn.Module):
    """An encoder and how its features are read.

    Args:
        model: any module.
        features: from the model and pictures [F, 3, H, W] to [F, S, D'].
        image_size: height and width of the pictures, pixels.
        mean, std: of the three channels, in units of full scale, with which pictures are normalised.
        frozen: no gradients, evaluation mode whatever `train()` says.
    """

    def __init__(
        self,
        model: nn.Module,
        features: Features,
        *,
        image_size: int,
        mean: tuple[float, ...] = IMAGENET[0],
        std: tuple[float, ...] = IMAGENET[1],
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.model = model
        self.features = features
        self.image_size, self.mean, self.std, self.frozen = image_size, mean, std, frozen
        if frozen:
            model.requires_grad_(False)
        self.positions, self.dim = self._measure()
        self.train(self.training)

    def train(self, mode: bool = True) -> "VisionEncoder":
        """As of any module, but a frozen encoder stays in evaluation mode: no dropout, no stochastic depth."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pictures [F, 3, H, W] to features [F, S, D'], in the type of the encoder's weights."""
        dtype = next(self.model.parameters()).dtype
        if not len(pixels):
            return pixels.new_zeros(0, self.positions, self.dim, dtype=dtype)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.features(self.model, pixels.to(dtype))

    @torch.no_grad()
    def _measure(self) -> tuple[int, int]:
        """Positions and width of the features of one empty picture."""
        weight = next(self.model.parameters())
        self.model.eval()
        picture = torch.zeros(1, 3, self.image_size, self.image_size, dtype=weight.dtype, device=weight.device)
        shape = self.features(self.model, picture).shape
        return int(shape[1]), int(shape[2])


def make_vision(config: VisionConfig) -> VisionEncoder:
    """The encoder that a configuration names.

    Raises:
        ConfigError: there is no such model, or its weights cannot be had.
    """
    dtype = getattr(torch, config.dtype) if config.frozen else torch.float32
    make = _timm if config.family == "timm" else _huggingface
    model, features, (mean, std) = make(config, dtype)
    return VisionEncoder(
        model,
        features,
        image_size=config.image_size,
        mean=config.mean or mean,
        std=config.std or std,
        frozen=config.frozen,
    )


def timm_features(model: Any, pixels: Tensor) -> Tensor:
    """Of a timm model: its last feature map, or its patches without class and register tokens."""
    return _positions(model.forward_features(pixels), getattr(model, "num_prefix_tokens", 0))


def huggingface_features(model: Any, pixels: Tensor) -> Tensor:
    """Of a transformers vision model: its last feature map, or its patches without class and register tokens."""
    arguments: dict[str, Any] = {}
    own_size = getattr(model.config, "image_size", None)
    if (
        own_size not in (None, pixels.shape[-1])
        and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    ):
        arguments["interpolate_pos_encoding"] = True
    out = model(pixel_values=pixels, **arguments).last_hidden_state
    patch = getattr(model.config, "patch_size", None)
    prefix = out.shape[1] - (pixels.shape[-1] // patch) ** 2 if out.dim() == 3 and patch else 0
    return _positions(out, prefix)


def _positions(features: Tensor, prefix: int) -> Tensor:
    """[F, D', h, w] or [F, prefix + S, D'] to [F, S, D']."""
    return features.flatten(2).transpose(1, 2) if features.dim() == 4 else features[:, prefix:]


def _timm(config: VisionConfig, dtype: torch.dtype) -> tuple[nn.Module, Features, tuple[Any, Any]]:
    import timm

    if not timm.is_model(config.name.split(".")[0]):
        near = ", ".join(timm.list_models(f"*{config.name.split('_')[-1]}*")[:5])
        raise ConfigError(f"timm has no model {config.name!r}" + (f"; it has {near}" if near else ""))
    try:
        model: Any = timm.create_model(config.name, pretrained=config.pretrained, num_classes=0, **config.options)
    except (RuntimeError, OSError, TypeError) as error:
        raise ConfigError(f"timm cannot make {config.name!r}: {error}") from error
    own: dict[str, Any] = model.pretrained_cfg or {}
    return model.to(dtype), timm_features, (own.get("mean", IMAGENET[0]), own.get("std", IMAGENET[1]))


def _huggingface(config: VisionConfig, dtype: torch.dtype) -> tuple[nn.Module, Features, tuple[Any, Any]]:
    from flamingo_model.hub import load_model

    model = load_model("AutoModel", config.name, config.pretrained, dtype, config.options)
    model = getattr(model, "vision_model", model)
    return model, huggingface_features, _normalisation(config.name, model.config.model_type)


def _normalisation(name: str, kind: str) -> tuple[Any, Any]:
    """Mean and standard deviation of a model's folder, or those of its kind."""
    described = Path(name) / "preprocessor_config.json"
    if described.is_file():
        own = json.loads(described.read_text(encoding="utf-8"))
        if "image_mean" in own and "image_std" in own:
            return tuple(own["image_mean"]), tuple(own["image_std"])
    if "siglip" in kind or kind in ("vit", "mobilenet_v2"):
        return HALF
    return CLIP if "clip" in kind else IMAGENET
