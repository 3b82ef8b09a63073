"""The small layers that the resampler and the cross-attention share: linear, norms, activations, feed-forward.

Trained weights are float32; the arithmetic is done in the type of what comes in (bfloat16 beside a frozen bfloat16
language model), into which weights are cast on the way, as section B.1.2 of the paper has it.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from flamingo_model.config import Activation, Norm


class Linear(nn.Linear):
    """A linear layer without bias that computes in the type of its input.

    The paper gives no biases; its parameter counts (194M, 1.2B) are met without.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        return F.linear(x, self.weight.to(x.dtype))


class LayerNorm(nn.LayerNorm):
    """Layer norm with learnt scale and bias (v1, section 3.1.2), in the type of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to the same."""
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class RMSNorm(nn.RMSNorm):
    """Root-mean-square norm (IDEFICS), in the type of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to the same."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def make_norm(kind: Norm, dim: int, eps: float = 1e-5) -> nn.Module:
    """The norm of that name over the last axis of size `dim`."""
    if kind == "layer_norm":
        return LayerNorm(dim, eps=eps)
    return RMSNorm(dim, eps=eps) if kind == "rms_norm" else nn.Identity()


class FeedForward(nn.Module):
    """norm, linear, activation, linear (pre-norm, as GPT-2; squared ReLU in the paper, section A.1.4)."""

    def __init__(self, dim: int, hidden: int, activation: Activation, norm: Norm, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = make_norm(norm, dim, eps)
        self.up = Linear(dim, hidden)
        self.gate = Linear(dim, hidden) if activation == "swiglu" else None
        self.down = Linear(hidden, dim)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to the same, without the residual."""
        x = self.norm(x)
        if self.gate is not None:
            return self.down(F.silu(self.gate(x)) * self.up(x))
        return self.down(activate(self.up(x), self.activation))


class SelfAttention(nn.Module):
    """Norm and self-attention, without the residual."""

    def __init__(self, dim: int, heads: int, head_dim: int, norm: Norm, causal: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.norm = make_norm(norm, dim)
        self.to_q = Linear(dim, heads * head_dim)
        self.to_k = Linear(dim, heads * head_dim)
        self.to_v = Linear(dim, heads * head_dim)
        self.to_out = Linear(heads * head_dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, L, dim] to the same; `mask` as in `attend`, instead of the causal one."""
        x = self.norm(x)
        q, k, v = (split_heads(project(x), self.heads) for project in (self.to_q, self.to_k, self.to_v))
        return self.to_out(merge_heads(attend(q, k, v, mask, causal=self.causal and mask is None)))


def activate(x: Tensor, activation: Activation) -> Tensor:
    """An activation without a gate, element by element."""
    if activation == "squared_relu":
        return F.relu(x).square()
    return F.relu(x) if activation == "relu" else F.gelu(x)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[..., L, heads * K] to [..., L, heads, K]."""
    return x.unflatten(-1, (heads, -1))


def merge_heads(x: Tensor) -> Tensor:
    """[..., L, heads, K] to [..., L, heads * K]."""
    return x.flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Softmax attention.

    Args:
        q: [B, L, H, K].
        k, v: [B, M, H, K].
        mask: bool, broadcast to [B, H, L, M]; True where a query sees a key. A query that sees none gets zeros.
        causal: each query sees the keys up to its own place.

    Returns:
        [B, L, H, K]
    """
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask, is_causal=causal
    )
    return out.transpose(1, 2)
