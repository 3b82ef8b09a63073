"""GATED XATTN-DENSE: the layers that let a frozen language model see (section 3.1.2, figure 4).

    y += tanh(alpha_xattn) * attention(y; x)
    y += tanh(alpha_dense) * feed_forward(y)

x are the visual tokens, y the text. The gates begin at zero, so that at first nothing changes. The feed-forward layer
acts on every token, whether it sees an image or not; only the attention is zero where phi is 0.

B rows, L tokens, D the language model's width, n images, R visual tokens, H heads, K their size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from flamingo_model.attention import Path, cross_attend
from flamingo_model.config import CrossAttentionConfig
from flamingo_model.layers import FeedForward, Linear, SelfAttention, make_norm, merge_heads, split_heads
from flamingo_model.phi import Layout


class KeysValues(NamedTuple):
    """Of the visual tokens in one layer; computed once for each image, also when decoding."""

    keys: Tensor
    """[n, R, H, K]"""
    values: Tensor
    """[n, R, H, K]"""


class Gate(nn.Module):
    """tanh(alpha) * x with alpha 0 at the start: a scalar, or one value for each channel."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(size))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to the same."""
        return torch.tanh(self.alpha).to(x.dtype) * x


class CrossAttention(nn.Module):
    """From text to the visual tokens of the image that phi names."""

    def __init__(self, config: CrossAttentionConfig, dim: int, visual_dim: int) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.all_previous = config.attend == "all_previous"
        self.path: Path = "auto"
        self.norm_q = make_norm(config.norm, dim, config.norm_eps)
        self.norm_kv = make_norm(config.norm if config.kv_norm else "none", visual_dim, config.norm_eps)
        self.to_q = Linear(dim, inner)
        self.to_k = Linear(visual_dim, inner)
        self.to_v = Linear(visual_dim, inner)
        self.to_out = Linear(inner, dim)
        self.q_norm = make_norm(config.norm if config.qk_norm else "none", config.head_dim, config.norm_eps)
        self.k_norm = make_norm(config.norm if config.qk_norm else "none", config.head_dim, config.norm_eps)

    def keys_values(self, visual: Tensor) -> KeysValues:
        """Of visual tokens [n, R, visual_dim]."""
        visual = self.norm_kv(visual)
        keys, values = (split_heads(project(visual), self.heads) for project in (self.to_k, self.to_v))
        return KeysValues(self.k_norm(keys), values)

    def forward(self, y: Tensor, seen: KeysValues, layout: Layout) -> Tensor:
        """[B, L, D] to the same, without gate and residual; exactly zero where phi is 0."""
        q = self.q_norm(split_heads(self.to_q(self.norm_q(y)), self.heads))
        out = cross_attend(q, *seen, layout, all_previous=self.all_previous, path=self.path)
        return self.to_out(merge_heads(out))


class GatedCrossAttention(nn.Module):
    """One inserted layer."""

    def __init__(self, config: CrossAttentionConfig, dim: int, visual_dim: int) -> None:
        super().__init__()
        self.attention = CrossAttention(config, dim, visual_dim)
        self.attention_gate = _gate(config, dim)
        self.feed_forward, self.feed_forward_gate = None, None
        if config.feed_forward:
            hidden = config.ff_dim or 4 * dim
            self.feed_forward = FeedForward(dim, hidden, config.activation, config.norm, config.norm_eps)
            self.feed_forward_gate = _gate(config, dim)

    def keys_values(self, visual: Tensor) -> KeysValues:
        """Of visual tokens [n, R, visual_dim], to be given to `forward`."""
        return self.attention.keys_values(visual)

    def forward(self, y: Tensor, seen: KeysValues | Tensor, layout: Layout) -> Tensor:
        """[B, L, D] and visual tokens [n, R, visual_dim], or their keys and values, to [B, L, D]."""
        if not isinstance(seen, KeysValues):
            seen = self.keys_values(seen)
        y = y + self.attention_gate(self.attention(y, seen, layout))
        if self.feed_forward is None or self.feed_forward_gate is None:
            return y
        return y + self.feed_forward_gate(self.feed_forward(y))


class GraftLayer(nn.Module):
    """One layer of the stack on top of the language model (table 3, row iv): cross-attention, then a new block."""

    def __init__(self, config: CrossAttentionConfig, dim: int, visual_dim: int) -> None:
        super().__init__()
        self.cross = GatedCrossAttention(config, dim, visual_dim)
        self.attention = SelfAttention(dim, config.heads, config.head_dim, config.norm, causal=True)
        self.feed_forward = FeedForward(dim, config.ff_dim or 4 * dim, config.activation, config.norm, config.norm_eps)

    def forward(self, y: Tensor, visual: Tensor, layout: Layout, mask: Tensor | None = None) -> Tensor:
        """[B, L, D] and visual tokens to [B, L, D]; `mask` of the self-attention, bool [B, 1, L, L], causal if None."""
        y = self.cross(y, visual, layout)
        y = y + self.attention(y, mask)
        return y + self.feed_forward(y)


def _gate(config: CrossAttentionConfig, dim: int) -> nn.Module:
    if config.gate == "none":
        return nn.Identity()
    return Gate(dim if config.gate == "tanh_vector" else 1)
