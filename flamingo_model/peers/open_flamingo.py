"""OpenFlamingo (`open_flamingo` 2.0.1): its resampler, cross-attention and embeddings around any language model.

Its knobs: 8 heads of 64, GELU, no norm on visual tokens, a layer before blocks n-1, 2n-1, ...; a resampler of the
encoder's width with one norm for latents, a last norm, and no time. Its checkpoints hold neither the vision encoder nor
the frozen language model: the caller gives both. `<|endofchunk|>`, `<image>` and `<PAD>` stay the last ids of its
vocabulary; our `<EOC>` is the id after them, with copies of the rows of `<|endofchunk|>` if its id is given.

Not the same: a token after more `<image>`s than the row has pictures sees all of them there (here phi cannot say so).
The features of its encoder are those before the last norm, as with the open_clip of its time (up to 2.20, tried);
the open_clip of today (3.3) gives normed ones unless its model says `final_ln_after_pool`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from flamingo_model.checkpoint import CheckpointError, check_tensors, put_tensors, read_safetensors
from flamingo_model.config import (
    CrossAttentionConfig,
    FlamingoConfig,
    LanguageConfig,
    ResamplerConfig,
    VisionConfig,
)
from flamingo_model.model import Flamingo
from flamingo_model.peers.names import Rules, renamed
from flamingo_model.vision import VisionEncoder

HEAD_DIM = 64
BLOCK = r"lang_encoder\.(?:gated_cross_attn_layers\.(\d+)|.+\.(\d+)\.gated_cross_attn_layer)\.(.+)"
"""The same blocks stand in a state dict twice, in a list of their own and inside the language model."""
UNUSED = r"(lang_encoder\.old_decoder_blocks\..+|vision_encoder\..+|.+\.(inv_freq|(attention|attn)\.bias|masked_bias))"


def convert_pt(source: str | Path, target: str | Path) -> None:
    """Write the model of an OpenFlamingo `.pt` as a safetensors file, for `load`.

    The only place that reads a pickle, and only as `torch.load(weights_only=True)` does: tensors and plain containers,
    no other classes. That is as safe as PyTorch makes it; if a safetensors version is offered, take that.

    Raises:
        CheckpointError: there is no state dict in it.
    """
    content = torch.load(source, map_location="cpu", weights_only=True)
    state = content.get("model_state_dict", content)
    plain = {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}
    if not any(name.startswith("perceiver.") for name in plain):
        raise CheckpointError(f"{source} has no tensors perceiver.*: not a checkpoint of OpenFlamingo")
    kept = {name: value.clone().contiguous() for name, value in plain.items() if not re.fullmatch(UNUSED, name)}
    save_file(kept, target)


def load(
    path: str | Path, vision: VisionEncoder | VisionConfig, lm: Any, *, end_of_chunk_id: int | None = None
) -> Flamingo:
    """As `build`, from a safetensors file (`convert_pt` makes one of a `.pt`)."""
    return build(read_safetensors(path), vision, lm, end_of_chunk_id=end_of_chunk_id)


def build(
    state: Mapping[str, Tensor],
    vision: VisionEncoder | VisionConfig,
    lm: Any,
    *,
    end_of_chunk_id: int | None = None,
) -> Flamingo:
    """The model of OpenFlamingo's state dict, whole or only the trained parts as its checkpoints have them.

    Args:
        state: under OpenFlamingo's names.
        vision: the encoder that it was trained with, e.g. CLIP ViT-L/14 at 224 pixels, patches without class token.
        lm: the language model, before its vocabulary grew; it is changed: the rows that OpenFlamingo added and trained
            are put in.
        end_of_chunk_id: id of its `<|endofchunk|>`, whose rows our `<EOC>` then begins with.

    Raises:
        CheckpointError: tensors missing, unknown or of other shapes.
    """
    own = _of_language_model(state, lm)
    described, encoder = (vision, None) if isinstance(vision, VisionConfig) else (_described(vision), vision)
    model = Flamingo(flamingo_config(state, described, lm), vision=encoder, lm=lm)
    # The language model is no longer anyone else's: a checkpoint of ours keeps it whole.
    model.given -= {"lm"}
    weights = tensors(state) | own
    parts = [("resampler", model.resampler), ("cross_attention", model.cross_attention)]
    required = {f"{part}.{name}" for part, module in parts for name, _ in module.named_parameters()}
    check_tensors(model, weights, required, "the weights of OpenFlamingo")
    put_tensors(model, weights)
    if end_of_chunk_id is not None:
        model.language.eoc_input.data.copy_(lm.get_input_embeddings().weight[end_of_chunk_id])
        model.language.eoc_output.data.copy_(lm.get_output_embeddings().weight[end_of_chunk_id])
    return model


def flamingo_config(state: Mapping[str, Tensor], vision: VisionConfig, lm: Any) -> FlamingoConfig:
    """Our configuration, as far as OpenFlamingo's tensors and code say it.

    Raises:
        CheckpointError: no resampler, or blocks at places that no `cross_attn_every_n_layers` gives.
    """
    blocks = _blocks(state)
    if "perceiver.latents" not in state or not blocks:
        raise CheckpointError("the tensors are not OpenFlamingo's: no perceiver.latents, or no gated_cross_attn_layer")
    depth, every = int(lm.config.num_hidden_layers), min(blocks) + 1
    if sorted(blocks) != list(range(every - 1, depth, every)):
        raise CheckpointError(f"cross-attention before blocks {sorted(blocks)} does not fit a model of {depth} blocks")
    perceiver = {name.removeprefix("perceiver."): t for name, t in state.items() if name.startswith("perceiver.")}
    return FlamingoConfig(
        vision=vision,
        resampler=resampler_config(perceiver),
        cross_attention=block_config(blocks[min(blocks)], every=every, offset=every - 1),
        language=_language(lm),
    )


def resampler_config(state: Mapping[str, Tensor], head_dim: int = HEAD_DIM) -> ResamplerConfig:
    """Of a PerceiverResampler's tensors (`latents`, `layers.0.0.to_q.weight`, ...)."""
    latents, dim = state["latents"].shape
    return ResamplerConfig(
        kind="perceiver",
        dim=dim,
        layers=len({name.split(".")[1] for name in state if name.startswith("layers.")}),
        heads=len(state["layers.0.0.to_q.weight"]) // head_dim,
        head_dim=head_dim,
        latents=latents,
        ff_mult=len(state["layers.0.1.1.weight"]) / dim,
        activation="gelu",
        norm="layer_norm",
        shared_latent_norm=True,
        qk_norm=False,
        final_norm=True,
        input_projection="never",
        output_dim=0,
        time_embeddings=len(state["frame_embs"]) if "frame_embs" in state else 0,
    )


def block_config(
    state: Mapping[str, Tensor], *, every: int = 1, offset: int = 0, head_dim: int = HEAD_DIM
) -> CrossAttentionConfig:
    """Of a GatedCrossAttentionBlock's tensors (`attn.to_q.weight`, ...)."""
    return CrossAttentionConfig(
        placement="interleaved",
        every=every,
        offset=offset,
        graft_layers=0,
        heads=len(state["attn.to_q.weight"]) // head_dim,
        head_dim=head_dim,
        feed_forward=True,
        ff_dim=len(state["ff.1.weight"]),
        activation="gelu",
        norm="layer_norm",
        norm_eps=1e-5,
        kv_norm=False,
        qk_norm=False,
        gate="tanh",
        attend="single",
    )


def tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Resampler and cross-attention under our names.

    Raises:
        CheckpointError: an unknown name among them.
    """
    perceiver = {name.removeprefix("perceiver."): t for name, t in state.items() if name.startswith("perceiver.")}
    found = {f"resampler.{name}": tensor for name, tensor in resampler_tensors(perceiver).items()}
    for index, block in _blocks(state).items():
        found |= {f"cross_attention.{index}.{name}": tensor for name, tensor in block_tensors(block).items()}
    return found


def resampler_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A PerceiverResampler's tensors under the names of our `Resampler`."""
    rules: Rules = [
        (r"latents", "body.latents"),
        (r"frame_embs", "time.weight"),
        (r"norm\.(\w+)", r"final_norm.\1"),
        (r"layers\.(\d+)\.0\.norm_media\.(\w+)", r"body.attention.\1.norm_kv.\2"),
        (r"layers\.(\d+)\.0\.norm_latents\.(\w+)", r"body.attention.\1.norm_q.\2"),
        (r"layers\.(\d+)\.0\.(to_\w+)\.weight", r"body.attention.\1.\2.weight"),
        (r"layers\.(\d+)\.1\.0\.(\w+)", r"body.feed_forward.\1.norm.\2"),
        (r"layers\.(\d+)\.1\.1\.weight", r"body.feed_forward.\1.up.weight"),
        (r"layers\.(\d+)\.1\.3\.weight", r"body.feed_forward.\1.down.weight"),
    ]
    return _split(renamed(state, rules, "a PerceiverResampler"))


def block_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A GatedCrossAttentionBlock's tensors under the names of our `GatedCrossAttention`."""
    rules: Rules = [
        (r"attn\.norm\.(\w+)", r"attention.norm_q.\1"),
        (r"attn\.(to_\w+)\.weight", r"attention.\1.weight"),
        (r"attn_gate", "attention_gate.alpha"),
        (r"ff\.0\.(\w+)", r"feed_forward.norm.\1"),
        (r"ff\.1\.weight", "feed_forward.up.weight"),
        (r"ff\.3\.weight", "feed_forward.down.weight"),
        (r"ff_gate", "feed_forward_gate.alpha"),
    ]
    return _split(renamed(state, rules, "a GatedCrossAttentionBlock"))


def phi(tokens: Tensor, image_id: int) -> Tensor:
    """phi [B, L] of ids [B, L] as OpenFlamingo counts `<image>`s."""
    return (tokens == image_id).cumsum(1)


def _split(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys and values, one matrix there, are two here."""
    for name in [name for name in state if name.endswith("to_kv.weight")]:
        keys, values = state.pop(name).chunk(2)
        state[name.replace("to_kv", "to_k")], state[name.replace("to_kv", "to_v")] = keys, values
    return state


def _blocks(state: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Tensors of the gated cross-attention, by the index of the language model's block."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if match := re.fullmatch(BLOCK, name):
            found.setdefault(int(match[1] or match[2]), {})[match[3]] = tensor
    return dict(sorted(found.items()))


def _of_language_model(state: Mapping[str, Tensor], lm: Any) -> dict[str, Tensor]:
    """What the state dict has of the language model, whose vocabulary is made as large as there."""
    found = {}
    for name, tensor in state.items():
        if name.startswith("lang_encoder.") and not re.fullmatch(BLOCK, name) and not re.fullmatch(UNUSED, name):
            found[name.removeprefix("lang_encoder.").replace(".decoder_layer.", ".")] = tensor
    embedding = lm.get_input_embeddings()
    names = [name for name, module in lm.named_modules() if module is embedding]
    rows = found.get(f"{names[0]}.weight", embedding.weight).shape[0]
    if rows != len(embedding.weight):
        lm.resize_token_embeddings(rows)
    return {f"language.lm.{name}": tensor for name, tensor in found.items()}


def _language(lm: Any) -> LanguageConfig:
    options = lm.config.to_diff_dict()
    for name in ("transformers_version", "architectures", "dtype", "model_type", "_name_or_path"):
        options.pop(name, None)
    dtype: Any = str(lm.get_input_embeddings().weight.dtype).removeprefix("torch.")
    return LanguageConfig(name=lm.config.model_type, pretrained=False, frozen=True, dtype=dtype, options=options)


def _described(vision: VisionEncoder) -> VisionConfig:
    """What a configuration can say of an encoder that was given."""
    dtype: Any = str(next(vision.model.parameters()).dtype).removeprefix("torch.")
    return VisionConfig(
        family="huggingface",
        name=type(vision.model).__name__,
        pretrained=False,
        image_size=vision.image_size,
        frozen=vision.frozen,
        dtype=dtype,
        mean=vision.mean,
        std=vision.std,
        class_token=False,
        options={},
    )
