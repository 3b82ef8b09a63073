"""What tokens see while decoding, ready for every layer: made again only when phi changes, not for each token.

B rows, t tokens, n images shown so far.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flamingo_model.cross_attention import GatedCrossAttention, KeysValues
from flamingo_model.language import Insert
from flamingo_model.layers import LayerNorm, Linear, RMSNorm
from flamingo_model.phi import Layout


@dataclass(frozen=True)
class View:
    """What some tokens see, for all layers; made again only if phi changes."""

    layout: Layout
    """Of the rows laid end to end: neighbouring rows that see one image (beams) are one run and share its keys."""
    seen: Mapping[int, KeysValues]
    """Of the layout's images, by the block before which the layer stands."""
    joined: bool
    """Rows are laid end to end; False where a token sees more than one image (ablation)."""


def make_view(
    phi: Tensor,
    images: Sequence[tuple[int, ...]],
    seen: Mapping[int, KeysValues],
    *,
    all_previous: bool,
    device: torch.device,
) -> View:
    """What tokens with this phi see.

    Args:
        phi: integers [B, t].
        images: for each row, the places of its images in `seen`.
        seen: for each layer, of all n images.
        all_previous: a token also sees the images before its own (ablation).
        device: of the layout's indices.
    """
    phi = phi.cpu()
    if all_previous:
        order = [place for places in images for place in places]
        return View(Layout(phi, [len(places) for places in images], device=device), _pick(seen, order), joined=False)
    most = max((len(places) for places in images), default=0)
    table = torch.tensor([(-1, *places, *[-1] * (most - len(places))) for places in images])
    kinds, run = torch.unique_consecutive(table.gather(1, phi).flatten(), return_inverse=True)
    seeing = kinds >= 0
    # The images that are seen, in the order in which they are, counted 1, 2, ... as if all rows were one.
    joined = (seeing.cumsum(0) * seeing)[run]
    order = kinds[seeing].tolist()
    return View(Layout(joined[None], (len(order),), device=device), _pick(seen, order), joined=True)


def look(layer: GatedCrossAttention, index: int, view: View) -> Insert:
    """What the layer before block `index` does to the text [B, t, D]."""
    seen, layout = view.seen[index], view.layout

    def insert(y: Tensor) -> Tensor:
        return layer(y.reshape(1, -1, y.shape[-1]) if view.joined else y, seen, layout).view(y.shape)

    return insert


def in_type(layer: nn.Module, dtype: torch.dtype) -> GatedCrossAttention:
    """The layer with the weights that it casts at each use (`layers.py`) cast once; itself if there are none.

    A decoded token costs little more than reading the weights: reading float32, then writing and reading bfloat16,
    would double that. The result is the same bit for bit. Gates stay float32: their tanh is taken before they are cast.
    """
    assert isinstance(layer, GatedCrossAttention)
    parts = [module for module in layer.modules() if isinstance(module, Linear | LayerNorm | RMSNorm)]
    weights = [weight for part in parts for weight in part.parameters(recurse=False)]
    if all(weight.dtype == dtype for weight in weights):
        return layer
    memo: dict[int, Any] = {id(parameter): parameter for parameter in layer.parameters()}
    memo |= {id(weight): nn.Parameter(weight.detach().to(dtype), requires_grad=False) for weight in weights}
    return copy.deepcopy(layer, memo)


def _pick(seen: Mapping[int, KeysValues], order: list[int]) -> dict[int, KeysValues]:
    """The keys and values of some images; neighbours in `seen`, as those of one row are, are not copied."""
    part: Any = order
    if order and order == list(range(order[0], order[0] + len(order))):
        part = slice(order[0], order[0] + len(order))
    return {index: KeysValues(own.keys[part], own.values[part]) for index, own in seen.items()}
