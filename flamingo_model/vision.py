"""Vision encoders behind one small interface: pictures in, a feature vector for each position out (section 3.1.1).

F pictures, S positions, D' width of the features.
"""

import inspect
import json
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flamingo_model.config import ConfigError, VisionConfig
from flamingo_model.hub import load_model, stored_file

Features = Callable[[nn.Module, Tensor], Tensor]
Channels = tuple[float, ...]

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
        mean: Channels = IMAGENET[0],
        std: Channels = IMAGENET[1],
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
        """Normalised pictures [F, 3, H, W] to features [F, S, D'], in the type of the encoder's weights.

        Raises:
            ValueError: pictures of another size than `image_size`.
        """
        dtype, size = next(self.model.parameters()).dtype, self.image_size
        if pixels.shape[1:] != (3, size, size):
            raise ValueError(
                f"pictures are {list(pixels.shape)}, must be [pictures, 3, {size}, {size}] for this encoder; "
                "preprocess.Preprocess makes them so, or set vision.image_size"
            )
        learning = torch.is_grad_enabled() and not self.frozen
        if not len(pixels):
            if not learning:
                return pixels.new_zeros(0, self.positions, self.dim, dtype=dtype)
            # Every rank of a parallel run must have gradients, one without pictures too.
            return self.features(self.model, pixels.new_zeros(1, *pixels.shape[1:], dtype=dtype))[:0]
        with torch.set_grad_enabled(learning):
            return self.features(self.model, pixels.to(dtype))

    def _measure(self) -> tuple[int, int]:
        """Positions and width of the features of one empty picture.

        Of an encoder that learns, what the features do not depend on (poolers, heads) is found out and does not learn:
        it would have no gradient, which parallel training takes for an error.
        """
        weight = next(self.model.parameters())
        self.model.eval()
        picture = torch.zeros(1, 3, self.image_size, self.image_size, dtype=weight.dtype, device=weight.device)
        with torch.set_grad_enabled(not self.frozen):
            features = self.features(self.model, picture)
        if not self.frozen:
            learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            gradients = torch.autograd.grad(features.sum(), learning, allow_unused=True)
            for parameter, gradient in zip(learning, gradients, strict=True):
                parameter.requires_grad_(gradient is not None)
        return int(features.shape[1]), int(features.shape[2])


def make_vision(config: VisionConfig) -> VisionEncoder:
    """The encoder that a configuration names.

    Raises:
        ConfigError: there is no such model, or its weights cannot be had.
    """
    dtype = getattr(torch, config.dtype) if config.frozen else torch.float32
    make = _timm if config.family == "timm" else _huggingface
    model, features, (mean, std) = make(config, dtype)
    try:
        return VisionEncoder(
            model,
            features,
            image_size=config.image_size,
            mean=config.mean or mean,
            std=config.std or std,
            frozen=config.frozen,
        )
    except (TypeError, AssertionError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"{config.name!r} does not give features of pictures of {config.image_size} pixels ({first}); set "
            "vision.image_size to what it was made for, or take an encoder whose positions can be interpolated"
        ) from error


def timm_features(model: Any, pixels: Tensor, class_token: bool = False) -> Tensor:
    """Of a timm model: its last feature map, or its patches without class and register tokens (or with)."""
    features = model.forward_features(pixels)
    if features.dim() == 4 and getattr(model, "output_fmt", "NCHW") == "NHWC":
        return features.flatten(1, 2)
    return _positions(features, 0 if class_token else getattr(model, "num_prefix_tokens", 0))


def huggingface_features(model: Any, pixels: Tensor, class_token: bool = False) -> Tensor:
    """Of a transformers vision model: its last feature map, or its patches without class and register tokens (or with).

    Raises:
        ValueError: it gives fewer positions than it has patches.
    """
    arguments: dict[str, Any] = {}
    own_size = getattr(model.config, "image_size", None)
    if (
        own_size not in (None, pixels.shape[-1])
        and "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    ):
        arguments["interpolate_pos_encoding"] = True
    out = model(pixel_values=pixels, **arguments).last_hidden_state
    patch = getattr(model.config, "patch_size", None)
    if out.dim() == 4 or patch is None:
        return _positions(out, 0)
    patches = (pixels.shape[-2] // patch) * (pixels.shape[-1] // patch)
    if out.shape[1] < patches:
        raise ValueError(f"{type(model).__name__} gives {out.shape[1]} positions for {patches} patches")
    return _positions(out, 0 if class_token else out.shape[1] - patches)


def _positions(features: Tensor, prefix: int) -> Tensor:
    """[F, D', h, w] or [F, prefix + S, D'] to [F, S, D']."""
    return features.flatten(2).transpose(1, 2) if features.dim() == 4 else features[:, prefix:]


def _timm(config: VisionConfig, dtype: torch.dtype) -> tuple[nn.Module, Features, tuple[Channels, Channels]]:
    import timm

    name = config.name
    if ":" not in name and not timm.is_model(name):  # "local-dir:FOLDER" and "hf-hub:NAME" are timm's to judge
        near = get_close_matches(name, timm.list_models(), n=3)
        raise ConfigError(
            f"timm has no model {name!r}" + (f"; it has {', '.join(near)}" if near else "; see timm.list_models()")
        )
    options = dict(config.options)
    try:
        known = timm.get_pretrained_cfg(name) if ":" not in name else None
        if known is not None and known.fixed_input_size:  # positions are made, or interpolated, for this size
            options = {"img_size": config.image_size} | options
        model: Any = timm.create_model(name, pretrained=config.pretrained, num_classes=0, **options)
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"timm cannot make {name!r}: {error}") from error
    own: dict[str, Any] = model.pretrained_cfg or {}
    features = partial(timm_features, class_token=config.class_token)
    return model.to(dtype), features, (own.get("mean", IMAGENET[0]), own.get("std", IMAGENET[1]))


def _huggingface(config: VisionConfig, dtype: torch.dtype) -> tuple[nn.Module, Features, tuple[Channels, Channels]]:
    model = load_model("AutoModel", config.name, config.pretrained, dtype, config.options)
    model = getattr(model, "vision_model", model)
    described = stored_file(config.name, "preprocessor_config.json") if config.pretrained else None
    features = partial(huggingface_features, class_token=config.class_token)
    return model, features, _normalisation(described, model.config.model_type)


def _normalisation(described: Path | None, kind: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation that stand with a model's weights, or those of its kind."""
    if described is not None:
        own = json.loads(described.read_text(encoding="utf-8"))
        if "image_mean" in own and "image_std" in own:
            return tuple(own["image_mean"]), tuple(own["image_std"])
    if "siglip" in kind or kind in ("vit", "mobilenet_v2"):
        return HALF
    return CLIP if "clip" in kind else IMAGENET
