"""Cross-attention from text to the one image that phi names, three ways with one result.

DeepMind computed the attention to all images and masked it, and noted that one only needs the named image (v1, section
3.1.3). "segments" and "varlen" do that: the tokens of one image are a run, and a run needs no mask.

    reference   any device, any mask; keys padded to the most images of a row and masked
    segments    one attention for each run of tokens: the fast way on a CPU, exact in any type
    varlen      all runs in one FlashAttention kernel, on a GPU in bfloat16 or float16

B rows, L tokens, n images of the batch packed one after the other, R visual tokens of an image, H heads of size K.
"""

from typing import Literal

import torch
from torch import Tensor

from flamingo_model.layers import attend
from flamingo_model.phi import Layout

Path = Literal["auto", "reference", "segments", "varlen"]


def cross_attend(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, *, all_previous: bool = False, path: Path = "auto"
) -> Tensor:
    """What each token takes from its image; exactly zero for a token without one.

    Args:
        q: [B, L, H, K].
        k, v: [n, R, H, K], of each image.
        layout: which token sees which image.
        all_previous: a token also sees the images before its own (ablation, table 10).
        path: see the module; "auto" takes what was fastest in `benchmarks/`.

    Returns:
        [B, L, H, K]

    Raises:
        ValueError: the number of images is not the layout's, or "varlen" is asked for what it cannot do.
    """
    if len(k) != layout.images:
        raise ValueError(f"{len(k)} images have keys, the layout has {layout.images}")
    if path == "auto":
        half = q.dtype in (torch.bfloat16, torch.float16)
        path = "segments" if not (q.is_cuda and half) else "reference" if all_previous else "varlen"
    if path == "reference":
        return _reference(q, k, v, layout, all_previous)
    if path == "varlen":
        return _varlen(q, k, v, layout, all_previous)
    return _segments(q, k, v, layout, all_previous)


def _reference(q: Tensor, k: Tensor, v: Tensor, layout: Layout, all_previous: bool) -> Tensor:
    index = layout.padded_images
    if not index.numel():
        return _nothing(q, k, v)
    # A query that sees no key gets zeros from a boolean mask; an additive mask of large negatives would give it a mean.
    mask = layout.mask(k.shape[1], all_previous)
    return attend(q, k[index].flatten(1, 2), v[index].flatten(1, 2), mask)


def _segments(q: Tensor, k: Tensor, v: Tensor, layout: Layout, all_previous: bool) -> Tensor:
    if not any(run.image >= 0 for run in layout.runs):
        return _nothing(q, k, v)
    if layout.equal_runs is not None and not all_previous:
        length, images = layout.equal_runs
        runs = q.reshape(-1, length, *q.shape[2:])
        if images is not None:
            k, v = k[images], v[images]
        return attend(runs, k, v).reshape(q.shape)
    pieces = q.flatten(0, 1).split([run.length for run in layout.runs])
    out = []
    for piece, run in zip(pieces, layout.runs, strict=True):
        if run.image < 0:
            out.append(torch.zeros_like(piece))
            continue
        first = run.first if all_previous else run.image
        keys, values = (x[first : run.image + 1].flatten(0, 1)[None] for x in (k, v))
        out.append(attend(piece[None], keys, values)[0])
    return torch.cat(out).view(q.shape)


def _varlen(q: Tensor, k: Tensor, v: Tensor, layout: Layout, all_previous: bool) -> Tensor:
    if not q.is_cuda or q.dtype not in (torch.bfloat16, torch.float16) or all_previous:
        raise ValueError(
            "the varlen attention needs a GPU, bfloat16 or float16, and single images, "
            f"not {q.device.type}, {q.dtype}, "
            f'{"all previous images" if all_previous else "single images"}; take path="reference"'
        )
    from torch.nn.attention.varlen import varlen_attn

    if not layout.images:
        return _nothing(q, k, v)
    edges, longest = layout.edges
    keys = torch.arange(layout.images + 1, device=q.device, dtype=torch.int32) * k.shape[1]
    out = varlen_attn(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), edges, keys, longest, k.shape[1])
    assert isinstance(out, Tensor)
    return out.view(q.shape).masked_fill((layout.packed < 0)[..., None, None], 0)


def _nothing(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Zeros that still depend on everything, so that every rank of a parallel run has the same gradients to reduce."""
    return q * 0 + (k.sum() + v.sum()) * 0
