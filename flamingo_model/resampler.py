"""From the features of an image or a video, any number of frames, to R visual tokens (section 3.1.1, figure 5).

n images or videos, F frames of all of them packed one after the other, T frames of one, S positions of a frame,
M = T * S, R latents, D width, H heads.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flamingo_model.config import ConfigError, ResamplerConfig
from flamingo_model.layers import FeedForward, Linear, SelfAttention, attend, make_norm, merge_heads, split_heads


class Resampler(nn.Module):
    """Features to visual tokens: input projection, time, the part that resamples, norm, output projection.

    Args:
        config: its `kind` says what resamples.
        features_dim: width D' of what the encoder gives.

    Raises:
        ConfigError: the widths do not fit and no projection is allowed.
    """

    def __init__(self, config: ResamplerConfig, features_dim: int) -> None:
        super().__init__()
        dim = features_dim if config.kind == "none" else config.dim
        project = config.input_projection == "always" or features_dim != dim
        if project and config.input_projection == "never":
            raise ConfigError(
                f"resampler.dim is {config.dim}, the encoder's features have width {features_dim}; "
                'set resampler.input_projection = "auto", or dim to the same'
            )
        bodies = {"perceiver": Perceiver, "transformer": LatentTransformer, "mlp": PooledMLP}
        self.input = Linear(features_dim, dim) if project else nn.Identity()
        self.time = TimeEmbeddings(config.time_embeddings, dim) if config.time_embeddings else None
        self.body = nn.Identity() if config.kind == "none" else bodies[config.kind](config)
        self.final_norm = make_norm(config.norm if config.final_norm else "none", dim)
        self.output = Linear(dim, config.output_dim) if config.output_dim else nn.Identity()
        self.dim = config.output_dim or dim

    def forward(self, features: Tensor) -> Tensor:
        """[n, T, S, D'] to [n, R, dim]."""
        x = self.input(features)
        if self.time is not None:
            x = x + self.time(x.shape[1])[:, None].to(x.dtype)
        return self.output(self.final_norm(self.body(x.flatten(1, 2))))

    def pack(self, features: Tensor, frames: Sequence[int]) -> Tensor:
        """The visual tokens of images and videos of different numbers of frames, none of them padded.

        Args:
            features: [F, S, D'], the frames of all images and videos one after the other.
            frames: T of each; they sum to F.

        Returns:
            [n, R, dim]
        """
        if not frames:
            # A blank one, so that everything has a gradient (the sum is 0; it leads back to an encoder that learns).
            return self(features.new_zeros(1, 1, *features.shape[1:]) + features.sum())[:0]
        if len(set(frames)) == 1:
            return self(features.unflatten(0, (len(frames), frames[0])))
        parts = features.split(list(frames))
        out: dict[int, Tensor] = {}
        for length in sorted(set(frames)):
            members = [i for i, t in enumerate(frames) if t == length]
            tokens = self(torch.stack([parts[i] for i in members]))
            out |= dict(zip(members, tokens.unbind(0), strict=True))
        return torch.stack([out[i] for i in range(len(frames))])


class TimeEmbeddings(nn.Module):
    """One learnt vector for each frame, interpolated for videos of more frames than in training (section B.1.2)."""

    def __init__(self, frames: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(frames, dim))

    def forward(self, frames: int) -> Tensor:
        """[frames, D]: the first ones for as many or fewer than learnt, else stretched so that both ends stay.

        The paper trains on 8 frames at 1 frame/s and shows 30 at 3 frames/s: nearly the same time, closer frames.
        """
        if frames <= len(self.weight):
            return self.weight[:frames]
        return F.interpolate(self.weight.T[None], size=frames, mode="linear", align_corners=True)[0].T


class Perceiver(nn.Module):
    """The paper's: `layers` times x += attention(x; features, x), x += feed_forward(x)."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(config.latents, config.dim))
        self.attention = nn.ModuleList(PerceiverAttention(config) for _ in range(config.layers))
        self.feed_forward = nn.ModuleList(_feed_forward(config) for _ in range(config.layers))

    def forward(self, features: Tensor) -> Tensor:
        """[n, M, D] to [n, R, D]."""
        x = self.latents.to(features.dtype).expand(len(features), -1, -1)
        for attention, feed_forward in zip(self.attention, self.feed_forward, strict=True):
            x = x + attention(x, features)
            x = x + feed_forward(x)
        return x


class PerceiverAttention(nn.Module):
    """Latents ask the features and themselves: keys and values of both, features first (section A.1.1)."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.shared_latent_norm = config.shared_latent_norm
        self.norm_q = make_norm(config.norm, config.dim)
        self.norm_kv = make_norm(config.norm, config.dim)
        self.to_q = Linear(config.dim, inner)
        self.to_k = Linear(config.dim, inner)
        self.to_v = Linear(config.dim, inner)
        self.to_out = Linear(inner, config.dim)
        self.q_norm = make_norm(config.norm if config.qk_norm else "none", config.head_dim)
        self.k_norm = make_norm(config.norm if config.qk_norm else "none", config.head_dim)

    def forward(self, latents: Tensor, features: Tensor) -> Tensor:
        """[n, R, D] and [n, M, D] to [n, R, D], without the residual."""
        asking = self.norm_q(latents)
        asked = torch.cat([self.norm_kv(features), asking if self.shared_latent_norm else self.norm_kv(latents)], dim=1)
        q, k, v = (split_heads(x, self.heads) for x in (self.to_q(asking), self.to_k(asked), self.to_v(asked)))
        return self.to_out(merge_heads(attend(self.q_norm(q), self.k_norm(k), v)))


class LatentTransformer(nn.Module):
    """Ablation (table 3, row vi): features and latents in one sequence through an ordinary Transformer."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.empty(config.latents, config.dim))
        self.attention = nn.ModuleList(
            SelfAttention(config.dim, config.heads, config.head_dim, config.norm) for _ in range(config.layers)
        )
        self.feed_forward = nn.ModuleList(_feed_forward(config) for _ in range(config.layers))

    def forward(self, features: Tensor) -> Tensor:
        """[n, M, D] to [n, R, D]."""
        x = torch.cat([features, self.latents.to(features.dtype).expand(len(features), -1, -1)], dim=1)
        for attention, feed_forward in zip(self.attention, self.feed_forward, strict=True):
            x = x + attention(x)
            x = x + feed_forward(x)
        return x[:, -len(self.latents) :]


class PooledMLP(nn.Module):
    """Ablation (table 3, row vi): an MLP on each token; nothing is asked of other positions.

    The paper does not say how its MLP comes to a fixed number of tokens; here neighbouring positions are averaged.
    """

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.tokens = config.latents
        self.feed_forward = nn.ModuleList(_feed_forward(config) for _ in range(config.layers))

    def forward(self, features: Tensor) -> Tensor:
        """[n, M, D] to [n, R, D]."""
        x = F.adaptive_avg_pool1d(features.transpose(1, 2), self.tokens).transpose(1, 2)
        for feed_forward in self.feed_forward:
            x = x + feed_forward(x)
        return x


def _feed_forward(config: ResamplerConfig) -> FeedForward:
    return FeedForward(config.dim, round(config.dim * config.ff_mult), config.activation, config.norm)
