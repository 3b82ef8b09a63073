"""Flamingo: a frozen vision encoder and a frozen language model, joined by a resampler and gated cross-attention.

Read in this order: `resampler.py` (section 3.1.1), `cross_attention.py` (3.1.2), `phi.py` and `attention.py` (3.1.3),
`language.py` (how layers come between those of any language model), `loss.py` (equation 2), and then the class here.

B rows, L tokens, D width of the language model, n images and videos of the batch, R visual tokens of each, V ids.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flamingo_model.checkpoint import from_pretrained, save_pretrained
from flamingo_model.config import FlamingoConfig
from flamingo_model.cross_attention import Gate, GatedCrossAttention, GraftLayer
from flamingo_model.hub import load_model
from flamingo_model.language import Insert, LanguageModel, checkpointed, text_mask
from flamingo_model.layers import Linear
from flamingo_model.loss import IGNORED, next_token_loss
from flamingo_model.media import Media
from flamingo_model.phi import Layout, check_named
from flamingo_model.resampler import LatentTransformer, Perceiver, Resampler, TimeEmbeddings
from flamingo_model.vision import VisionEncoder, make_vision

Images = Media | Tensor | None


@dataclass(frozen=True)
class FlamingoOutput:
    """What a forward pass gives."""

    logits: Tensor | None
    """[B, L, V + 1], the last id is `<EOC>`; None if labels were given."""
    loss: Tensor | None
    """Scalar, float32; None without labels."""
    token_losses: Tensor | None
    """[B, L] without gradient, 0 where there is no label; None without labels."""


class Flamingo(nn.Module):
    """The whole model.

    Args:
        config: what it is made of.
        vision: an encoder to use instead of the configuration's.
        lm: a transformers causal model to use instead of the configuration's.

    Raises:
        ConfigError: parts that cannot be made, or do not fit.
        ArchitectureError: a language model that cannot be wrapped.
    """

    def __init__(self, config: FlamingoConfig, vision: VisionEncoder | None = None, lm: Any = None) -> None:
        super().__init__()
        self.config = config
        self.given = frozenset(name for name, part in (("vision", vision), ("lm", lm)) if part is not None)
        """Parts that the configuration does not describe."""
        self.vision = vision or make_vision(config.vision)
        self.language = LanguageModel(_language_model(config) if lm is None else lm, config.language.frozen)
        self.resampler = Resampler(config.resampler, self.vision.dim)
        own, cross = self.language.dim, config.cross_attention
        points = cross.insertion_points(len(self.language.blocks))
        self.cross_attention = nn.ModuleDict(
            {str(point): GatedCrossAttention(cross, own, self.resampler.dim) for point in points}
        )
        grafts = cross.graft_layers if cross.placement == "grafting" else 0
        self.graft = nn.ModuleList(GraftLayer(cross, own, self.resampler.dim) for _ in range(grafts))
        self.checkpointing = False
        self.initialise()

    @property
    def eoc_id(self) -> int:
        """Id of `<EOC>`, the first after the language model's own."""
        return self.language.eoc_id

    def forward(
        self,
        tokens: Tensor,
        images: Images,
        phi: Tensor,
        *,
        attention_mask: Tensor | None = None,
        documents: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        visual: Tensor | None = None,
    ) -> FlamingoOutput:
        """Logits, or the loss if labels are given.

        Args:
            tokens: ids [B, L].
            images: packed pictures; or the paper's [B, N, T, 3, H, W], where those after the last that phi names are
                padding; or None. Packed ones must end, if there are labels, with one that phi names (`Media.named`).
            phi: [B, L], for each token the 1-based index of its row's image, or 0 (section 2.3). It is read on the CPU:
                leave it there, and a GPU is not waited for.
            attention_mask: bool or 0/1 [B, L], 0 for padding on either side; None: no padding.
            documents: ids [B, L] of documents packed into a row; None: each row is one.
            labels: [B, L], for each place the token that stands there, -100 for none; padding has none anyway.
            loss_weights: [B, L] of the labels; None: the mean over all labels.
            visual: visual tokens [n, R, dim] of the images from `encode`, to save encoding them again; `images` then
                only says how many each row has.

        Raises:
            ValueError: shapes that do not fit. PhiError: phi that does not fit the images.
        """
        _check_shapes(tokens, phi, attention_mask, documents, labels, loss_weights)
        media = as_media(images, len(tokens))
        layout = Layout(phi, media.per_row if media else (0,) * len(tokens), device=tokens.device)
        if labels is not None and isinstance(images, Media):  # A prompt's text may be yet to come.
            check_named(layout.phi, images.per_row)
        visual = self.encode(media) if visual is None else self.checked_visual(visual, media)
        hidden = self.hidden(tokens, self.inserts(visual, layout), attention_mask=attention_mask, documents=documents)
        hidden = self.grafted(hidden, visual, layout, attention_mask, documents)
        if labels is None:
            return FlamingoOutput(self.language.logits(hidden), None, None)
        if attention_mask is not None:
            labels = labels.masked_fill(attention_mask == 0, IGNORED)
        parameters = self.language.head_parameters()
        loss, each = next_token_loss(hidden, labels, self.language.logits, parameters, loss_weights)
        return FlamingoOutput(None, loss, each)

    def encode(self, media: Media | None) -> Tensor:
        """Visual tokens [n, R, dim] of the images and videos, in the language model's type."""
        dtype = self.compute_dtype
        if media is None:
            size = self.vision.image_size
            media = Media(torch.zeros(0, 3, size, size, device=self.language.eoc_input.device), (), ())
        features = self.vision(media.pixels).to(dtype)
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self.resampler.pack, features, media.frames, use_reentrant=False)
        return self.resampler.pack(features, media.frames)

    def checked_visual(self, visual: Tensor, media: Media | None) -> Tensor:
        """Visual tokens that a caller kept.

        Raises:
            ValueError: they are not of these images, or not as `encode` gives them.
        """
        count = len(media.frames) if media else 0
        if visual.dim() != 3 or (len(visual), visual.shape[2]) != (count, self.resampler.dim):
            raise ValueError(
                f"visual is {list(visual.shape)}, must be [{count}, R, {self.resampler.dim}] as from encode(images)"
            )
        return visual.to(self.compute_dtype)

    @property
    def compute_dtype(self) -> torch.dtype:
        """Type of the text stream and of the arithmetic of the trained layers."""
        weight = self.language.lm.get_input_embeddings().weight
        return weight.dtype

    def inserts(self, visual: Tensor, layout: Layout) -> dict[int, Insert]:
        """What is done to the input of the language model's blocks, by index."""
        return {int(index): self._insert(layer, visual, layout) for index, layer in self.cross_attention.items()}

    def hidden(self, tokens: Tensor, inserts: dict[int, Insert], **arguments: Any) -> Tensor:
        """[B, L] ids to [B, L, D], the input of the head; arguments as `LanguageModel.hidden` takes them."""
        return self.language.hidden(self.language.embed(tokens), inserts, **arguments)

    def grafted(
        self, hidden: Tensor, visual: Tensor, layout: Layout, attention_mask: Tensor | None, documents: Tensor | None
    ) -> Tensor:
        """The stack on top of the language model, if it is the configuration's placement: [B, L, D] to the same."""
        if not self.graft:
            return hidden
        mask = None if attention_mask is None and documents is None else text_mask(documents, attention_mask)
        for layer in self.graft:
            hidden = layer(hidden, visual, layout, mask)
        return hidden

    def checkpoint_activations(self) -> None:
        """Compute activations again for the gradient instead of keeping them; of the frozen blocks too."""
        if not self.checkpointing:
            self.checkpointing = True
            self.language.wrap_blocks(checkpointed)

    def compile_blocks(self, **options: Any) -> None:
        """Compile each layer on its own (`torch.compile` arguments)."""
        self.language.wrap_blocks(lambda forward: torch.compile(forward, **options))
        for layer in [*self.cross_attention.values(), *self.graft, self.resampler]:
            nn.Module.compile(layer, **options)

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a checkpoint (`checkpoint.py`): what is trained, the configuration, how to know the frozen parts."""
        save_pretrained(self, folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, vision: VisionEncoder | None = None, lm: Any = None) -> "Flamingo":
        """The model of a checkpoint; `vision` and `lm` if it was made with such (CheckpointError says so)."""
        return from_pretrained(cls, folder, vision, lm)

    def _insert(self, layer: nn.Module, visual: Tensor, layout: Layout) -> Insert:
        if self.checkpointing and torch.is_grad_enabled():
            return lambda y: checkpoint(layer, y, visual, layout, use_reentrant=False)
        return lambda y: layer(y, visual, layout)

    @torch.no_grad()
    def initialise(self) -> None:
        """First values of all that is trained. The paper gives none but the gates'; ours:

        | gates | 0, so that the language model is as it was |
        | linear layers | normal, standard deviation 1 / sqrt(inputs) |
        | latents, time embeddings | normal, 0.02 |
        | rows of `<EOC>` | normal, with the standard deviation of the vocabulary's |
        """
        for module in [*self.resampler.modules(), *self.cross_attention.modules(), *self.graft.modules()]:
            if isinstance(module, Linear):
                module.weight.normal_(std=module.in_features**-0.5)
            elif isinstance(module, Gate):
                module.alpha.zero_()
            elif isinstance(module, TimeEmbeddings):
                module.weight.normal_(std=0.02)
            elif isinstance(module, Perceiver | LatentTransformer):
                module.latents.normal_(std=0.02)
        for row, weights in (
            (self.language.eoc_input, self.language.lm.get_input_embeddings().weight),
            (self.language.eoc_output, self.language.lm.get_output_embeddings().weight),
        ):
            row.normal_().mul_(weights[:1000].float().std())


def as_media(images: Images, rows: int) -> Media | None:
    """Packed pictures of any of the forms that `Flamingo.forward` takes."""
    if images is None:
        return None
    if not isinstance(images, Media | Tensor):
        raise ValueError(f"images are {type(images).__name__}, must be Media, a tensor [B, N, T, 3, H, W], or None")
    media = Media.padded(images) if isinstance(images, Tensor) else images
    if len(media.per_row) != rows:
        raise ValueError(f"the images are of {len(media.per_row)} rows, the tokens of {rows}")
    return media


def _language_model(config: FlamingoConfig) -> Any:
    language = config.language
    dtype = getattr(torch, language.dtype) if language.frozen else torch.float32
    return load_model("AutoModelForCausalLM", language.name, language.pretrained, dtype, language.options)


def _check_shapes(tokens: Tensor, phi: Tensor, *others: Tensor | None) -> None:
    if tokens.dim() != 2 or tokens.is_floating_point():
        raise ValueError(f"tokens are {tokens.dtype} {list(tokens.shape)}, must be integers [batch, tokens]")
    if not tokens.numel():
        raise ValueError(f"tokens are {list(tokens.shape)}: there is no token")
    if phi is None:
        raise ValueError("phi is None, must be integers [batch, tokens]: 0 for each token that sees no image")
    names = ("phi", "attention_mask", "documents", "labels", "loss_weights")
    for name, value in zip(names, (phi, *others), strict=True):
        if value is not None and value.shape != tokens.shape:
            raise ValueError(f"{name} is {list(value.shape)}, must be {list(tokens.shape)} as the tokens")
        if name == "labels" and value is not None and value.is_floating_point():
            raise ValueError(f"labels are {value.dtype}, must be integers")
