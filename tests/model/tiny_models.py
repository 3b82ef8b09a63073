"""Small models with random weights for the tests of the model."""

from collections.abc import Mapping
from typing import Any

import torch

from flamingo_model.config import FlamingoConfig, load_config, with_changes
from flamingo_model.cross_attention import Gate
from flamingo_model.media import Media
from flamingo_model.model import Flamingo


def tiny_config(**tables: Mapping[str, Any]) -> FlamingoConfig:
    """The preset "tiny" with some fields changed."""
    return with_changes(load_config("tiny"), **tables)


def tiny(seed: int = 0, gates: float | None = 0.5, **tables: Mapping[str, Any]) -> Flamingo:
    """A model of that configuration with its gates opened, in evaluation mode."""
    torch.manual_seed(seed)
    model = Flamingo(tiny_config(**tables)).eval()
    if gates is not None:
        open_gates(model, gates)
    return model


def open_gates(model: Flamingo, value: float) -> None:
    """Set all gates, so that images matter before anything has been learnt."""
    for module in model.modules():
        if isinstance(module, Gate):
            module.alpha.data.fill_(value)


def pictures(count: int, seed: int = 1, size: int = 32, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Normal noise [count, 3, size, size]."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed)).to(dtype)


def batch(seed: int = 2) -> tuple[torch.Tensor, Media, torch.Tensor]:
    """Two rows of 12 tokens: three images in "previous" mode with text before the first; two in "next" mode."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 300, (2, 12), generator=generator)
    phi = torch.tensor([[0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3], [1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, 0]])
    return tokens, Media.images(pictures(5, seed), (3, 2)), phi
