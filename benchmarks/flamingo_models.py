"""The models that the benchmark of Flamingo compares, of equal parts: ours, open_flamingo, IDEFICS, a bare LM.

Runs in an environment of its own (see `benchmarks/flamingo.py`), so that open_flamingo can be imported.

All have a language model of SmolLM2-135M's shape and a vision encoder of CLIP ViT-B/32's, both with random weights and
frozen. B rows, L tokens, N images of a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, CLIPVisionConfig, CLIPVisionModel

from flamingo_model.config import FlamingoConfig, load_config, with_changes
from flamingo_model.decoding import extend, start
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.vision import CLIP, VisionEncoder, huggingface_features

LM = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
SIZE = 224
"""Of the pictures, pixels."""
IMAGE_TOKEN = 5
"""An ordinary token that stands for `<image>` in open_flamingo, which finds images by it."""
TOKENS = 256


@dataclass(frozen=True)
class Batch:
    """What all models are given."""

    tokens: Tensor
    """[B, L]; the first token of each image's text is IMAGE_TOKEN."""
    phi: Tensor
    """[B, L]"""
    counts: tuple[int, ...]
    pixels: Tensor
    """[sum of counts, 3, 224, 224]"""

    def padded(self) -> Tensor:
        """[B, N, 1, 3, 224, 224], N the most images of a row."""
        rows = self.pixels.split(self.counts)
        out = torch.zeros(len(rows), max(self.counts), 1, *self.pixels.shape[1:])
        for row, pictures in enumerate(rows):
            out[row, : len(pictures), 0] = pictures
        return out

    def per_image_mask(self) -> Tensor:
        """[B, L, N] as IDEFICS takes it."""
        images = torch.arange(1, max(self.counts) + 1)
        return (self.phi[..., None] == images).long()


def make_batch(counts: Sequence[int], length: int = TOKENS, seed: int = 0) -> Batch:
    """Rows of random tokens with images at even distances, the first at the very start."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(10, LM["vocab_size"], (len(counts), length), generator=generator)
    phi = torch.zeros(len(counts), length, dtype=torch.int64)
    for row, count in enumerate(counts):
        for image in range(count):
            begin = image * length // count
            tokens[row, begin] = IMAGE_TOKEN
            phi[row, begin:] = image + 1
    pixels = torch.randn(sum(counts), 3, SIZE, SIZE, generator=generator)
    return Batch(tokens, phi, tuple(counts), pixels)


def language_model(dtype: torch.dtype = torch.float32) -> Any:
    """SmolLM2-135M's shape, random, frozen."""
    torch.manual_seed(0)
    lm = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **LM), dtype=dtype)
    return lm.eval().requires_grad_(False)


def vision_model(dtype: torch.dtype = torch.float32) -> CLIPVisionModel:
    """CLIP ViT-B/32's shape, random, frozen."""
    torch.manual_seed(0)
    model = CLIPVisionModel._from_config(CLIPVisionConfig(), dtype=dtype)
    return model.eval().requires_grad_(False)


def our_config(every: int, like_open_flamingo: bool) -> FlamingoConfig:
    """The paper's layers at these widths, or open_flamingo's sizes."""
    config = with_changes(
        load_config("flamingo-3b"),
        vision={"dtype": "float32"},
        language={"dtype": "float32"},
        resampler={"dim": 768, "heads": 8, "head_dim": 96},
        cross_attention={"every": every, "heads": 9, "head_dim": 64},
    )
    if not like_open_flamingo:
        return config
    return with_changes(
        config,
        resampler={
            "head_dim": 64,
            "activation": "gelu",
            "shared_latent_norm": True,
            "final_norm": True,
            "time_embeddings": 0,
        },
        cross_attention={"offset": every - 1, "heads": 8, "activation": "gelu", "kv_norm": False},
    )


def our_model(every: int, like_open_flamingo: bool = True, dtype: torch.dtype = torch.float32) -> Flamingo:
    """Ours; `dtype` is that of the frozen parts and of the arithmetic."""
    vision = VisionEncoder(vision_model(dtype), huggingface_features, image_size=SIZE, mean=CLIP[0], std=CLIP[1])
    return Flamingo(our_config(every, like_open_flamingo), vision=vision, lm=language_model(dtype)).train()


class ClipTokens(nn.Module):
    """What open_flamingo expects of open_clip: a pair whose second are the patches' features."""

    def __init__(self, model: CLIPVisionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[None, Tensor]:
        return None, huggingface_features(self.model, pixels)


def open_flamingo(every: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """open_flamingo 2.0.1, with its vocabulary frozen, which saves it the gradient of the head."""
    from open_flamingo.src.flamingo import Flamingo as OpenFlamingo
    from open_flamingo.src.flamingo_lm import FlamingoLMMixin
    from open_flamingo.src.utils import extend_instance

    lm = language_model(dtype)
    extend_instance(lm, FlamingoLMMixin)
    lm.set_decoder_layers_attr_name("model.layers")
    vision = SimpleNamespace(visual=ClipTokens(vision_model(dtype)))
    model = OpenFlamingo(vision, lm, 0, IMAGE_TOKEN, 768, cross_attn_every_n_layers=every)
    model.requires_grad_(False)
    model.perceiver.requires_grad_(True)
    model.lang_encoder.gated_cross_attn_layers.requires_grad_(True)
    return model.to(dtype).train()


def idefics(every: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """HF IDEFICS with the same shapes; its own vision tower, language model and resampler widths."""
    from transformers import IdeficsConfig, IdeficsForVisionText2Text

    torch.manual_seed(0)
    config = IdeficsConfig(
        vocab_size=LM["vocab_size"],
        hidden_size=LM["hidden_size"],
        intermediate_size=LM["intermediate_size"],
        num_hidden_layers=LM["num_hidden_layers"],
        num_attention_heads=LM["num_attention_heads"],
        cross_layer_interval=every,
        qk_layer_norms=True,
        use_resampler=True,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        additional_vocab_size=0,
        vision_config={"embed_dim": 768, "image_size": SIZE, "patch_size": 32, "num_hidden_layers": 12,
                       "num_attention_heads": 12, "intermediate_size": 3072},
        perceiver_config={"use_resampler": True, "resampler_depth": 6, "resampler_n_heads": 8,
                          "resampler_head_dim": 96, "resampler_n_latents": 64, "qk_layer_norms_perceiver": True},
    )  # fmt: skip
    model: Any = IdeficsForVisionText2Text(config).to(dtype)  # type: ignore[arg-type]
    model.requires_grad_(False)
    model.model.perceiver_resampler.requires_grad_(True)
    model.model.gated_cross_attn_layers.requires_grad_(True)
    return model.train()


Step = Callable[[], Tensor]
"""One forward and backward pass; gives the loss."""


def our_step(model: Flamingo, batch: Batch) -> Step:
    media = Media.images(batch.pixels, batch.counts)
    return _step(model, lambda: model(batch.tokens, media, batch.phi, labels=batch.tokens).loss)


def open_flamingo_step(model: nn.Module, batch: Batch) -> Step:
    """Rows are padded to the most images of any, as its own loader does."""
    pixels, ones = batch.padded(), torch.ones_like(batch.tokens)
    dtype = next(model.parameters()).dtype
    return _step(
        model,
        lambda: model(vision_x=pixels.to(dtype), lang_x=batch.tokens, attention_mask=ones, labels=batch.tokens).loss,
    )


def idefics_step(model: nn.Module, batch: Batch) -> Step:
    """Rows are padded to the most images of any, as its own processor does."""
    pixels, mask, ones = batch.padded()[:, :, 0], batch.per_image_mask(), torch.ones_like(batch.tokens)
    dtype = next(model.parameters()).dtype
    return _step(
        model,
        lambda: (
            model(
                input_ids=batch.tokens,
                attention_mask=ones,
                pixel_values=pixels.to(dtype),
                image_attention_mask=mask,
                labels=batch.tokens,
            ).loss
        ),
    )


def language_model_step(lm: Any, batch: Batch) -> Step:
    """The frozen model alone: forward, and the gradient to its input, which the first inserted layer would need."""
    embedded = lm.get_input_embeddings()(batch.tokens).detach().requires_grad_()

    def loss() -> Tensor:
        embedded.grad = None
        return lm(inputs_embeds=embedded, labels=batch.tokens, use_cache=False).loss

    return _step(lm, loss)


def _step(model: nn.Module, loss_of: Callable[[], Tensor]) -> Step:
    def step() -> Tensor:
        model.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        return loss.detach()

    return step


Decode = Callable[[], object]
"""Reads one more token of one row after a prompt with images."""


def our_decode(model: Flamingo, batch: Batch) -> Decode:
    state = start(model.eval(), batch.tokens, Media.images(batch.pixels, batch.counts), batch.phi)

    def token() -> Tensor:
        nonlocal state
        state = extend(state, state.logits.argmax(-1, keepdim=True))
        return state.logits

    return token


@torch.no_grad()
def open_flamingo_decode(model: Any, batch: Batch) -> Decode:
    """Its images are encoded once (`cache_media`); its keys and values of them are not kept."""
    model.eval()
    dtype = next(model.parameters()).dtype
    model.cache_media(batch.tokens, batch.padded().to(dtype))
    out = model(None, batch.tokens, torch.ones_like(batch.tokens), clear_conditioned_layers=False, use_cache=True)
    length = batch.tokens.shape[1]

    @torch.no_grad()
    def token() -> object:
        nonlocal out, length
        length += 1
        out = model(
            None,
            out.logits[:, -1:].argmax(-1),
            torch.ones(1, length, dtype=torch.int64),
            clear_conditioned_layers=False,
            past_key_values=out.past_key_values,
            use_cache=True,
        )
        return out.logits

    return token


@torch.no_grad()
def idefics_decode(model: nn.Module, batch: Batch) -> Decode:
    """Its visual tokens are computed once and given again for each token; its keys and values of them are not kept."""
    model.eval()
    dtype = next(model.parameters()).dtype
    out = model(
        input_ids=batch.tokens,
        attention_mask=torch.ones_like(batch.tokens),
        pixel_values=batch.padded()[:, :, 0].to(dtype),
        image_attention_mask=batch.per_image_mask(),
        use_cache=True,
    )
    visual, mask, length = out.image_hidden_states, batch.per_image_mask()[:, -1:], batch.tokens.shape[1]

    @torch.no_grad()
    def token() -> object:
        nonlocal out, length
        length += 1
        out = model(
            input_ids=out.logits[:, -1:].argmax(-1),
            attention_mask=torch.ones(1, length, dtype=torch.int64),
            perceiver_embeddings=visual.view(1, batch.counts[0], -1, visual.shape[-1]),
            image_attention_mask=mask,
            past_key_values=out.past_key_values,
            use_cache=True,
        )
        return out.logits

    return token


@torch.no_grad()
def language_model_decode(lm: Any, batch: Batch) -> Decode:
    out = lm(batch.tokens, use_cache=True)

    @torch.no_grad()
    def token() -> object:
        nonlocal out
        out = lm(out.logits[:, -1:].argmax(-1), past_key_values=out.past_key_values, use_cache=True)
        return out.logits

    return token
