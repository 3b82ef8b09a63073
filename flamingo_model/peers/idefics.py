"""IDEFICS of Hugging Face transformers (`IdeficsForVisionText2Text`): our Flamingo around a Llama.

Its knobs: RMS norm, queries and keys normed, SwiGLU, no norm on visual tokens, whose width is the encoder's; a
resampler with layer norms and plain ReLU, or none; the encoder's class token kept. Its `<image>` and
`<fake_token_around_image>` (`additional_vocab_size`) become the last ids of the Llama, with the same numbers as there;
our `<EOC>` is the id after them, and untrained.

Not the same: a layer before blocks 0, n, 2n, ... of L where n does not divide L is an IndexError there.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flamingo_model.checkpoint import CheckpointError, check_tensors, put_tensors, read_safetensors
from flamingo_model.config import (
    ConfigError,
    CrossAttentionConfig,
    Dtype,
    FlamingoConfig,
    LanguageConfig,
    ResamplerConfig,
    VisionConfig,
)
from flamingo_model.model import Flamingo
from flamingo_model.peers.names import Rules, renamed

OWN = ("language.eoc_input", "language.eoc_output")
"""What IDEFICS has not."""


def load(folder: str | Path) -> Flamingo:
    """The model of a folder with `config.json` and safetensors files, as the hub has them.

    Raises:
        CheckpointError: files missing, or not of IDEFICS. ConfigError: a configuration that our knobs do not cover.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no config.json")
    return build(json.loads(path.read_text(encoding="utf-8")), read_safetensors(folder))


def build(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Flamingo:
    """The model of IDEFICS's configuration (`config.to_dict()`, or its config.json) and state dict.

    Raises:
        CheckpointError: tensors missing, unknown or of other shapes. ConfigError: as `load`.
    """
    dtype: Any = str(state["lm_head.weight" if "lm_head.weight" in state else "model.embed_tokens.weight"].dtype)
    ours = flamingo_config(config, dtype.removeprefix("torch."))
    model = Flamingo(ours)
    weights = tensors(state, ours)
    check_tensors(model, weights, {name for name, _ in model.named_parameters()} - set(OWN), "the weights of IDEFICS")
    put_tensors(model, weights)
    return model


def flamingo_config(config: Mapping[str, Any], dtype: Dtype = "bfloat16") -> FlamingoConfig:
    """Our configuration of IDEFICS's; `dtype` of the frozen parts.

    Raises:
        ConfigError: an activation that our knobs do not cover.
    """
    from transformers import IdeficsConfig

    theirs = IdeficsConfig(**{name: value for name, value in config.items() if name != "model_type"}).to_dict()
    vision, perceiver, width = theirs["vision_config"], theirs["perceiver_config"], theirs["hidden_size"]
    if theirs["hidden_act"] != "silu":
        raise ConfigError(f"hidden_act of IDEFICS is {theirs['hidden_act']!r}, only 'silu' is known here")
    encoder = ("intermediate_size", "image_size", "patch_size", "num_hidden_layers", "num_attention_heads")
    llama = ("intermediate_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps", "rope_parameters")
    more = ("max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")
    same = {"hidden_act": vision["hidden_act"], "layer_norm_eps": vision["layer_norm_eps"]}
    return FlamingoConfig(
        # Its vision tower is CLIP's, layer by layer.
        vision=VisionConfig(
            family="huggingface",
            name="clip_vision_model",
            pretrained=False,
            image_size=vision["image_size"],
            frozen=True,
            dtype=dtype,
            mean=(),
            std=(),
            class_token=True,
            options={"hidden_size": vision["embed_dim"]} | same | {name: vision[name] for name in encoder},
        ),
        resampler=ResamplerConfig(
            kind="perceiver" if theirs["use_resampler"] else "none",
            dim=vision["embed_dim"],
            layers=perceiver["resampler_depth"],
            heads=perceiver["resampler_n_heads"],
            head_dim=perceiver["resampler_head_dim"],
            latents=perceiver["resampler_n_latents"],
            ff_mult=4.0,
            activation="relu",
            norm="layer_norm",
            shared_latent_norm=True,
            qk_norm=perceiver["qk_layer_norms_perceiver"],
            final_norm=theirs["use_resampler"],
            input_projection="never",
            output_dim=0,
            time_embeddings=0,
        ),
        cross_attention=CrossAttentionConfig(
            placement="interleaved",
            every=theirs["cross_layer_interval"],
            offset=0,
            graft_layers=0,
            heads=theirs["num_attention_heads"],
            head_dim=width // theirs["num_attention_heads"],
            feed_forward=True,
            ff_dim=theirs["intermediate_size"],
            activation="swiglu",
            norm="rms_norm",
            norm_eps=theirs["rms_norm_eps"],
            kv_norm=False,
            qk_norm=theirs["qk_layer_norms"],
            gate="tanh_vector" if theirs["alpha_type"] == "vector" else "tanh",
            attend="single",
        ),
        language=LanguageConfig(
            name="llama",
            pretrained=False,
            frozen=True,
            dtype=dtype,
            options={
                "vocab_size": theirs["vocab_size"] + theirs["additional_vocab_size"],
                "hidden_size": width,
                "num_key_value_heads": theirs["num_attention_heads"],
                "head_dim": width // theirs["num_attention_heads"],
            }
            | {name: theirs[name] for name in (*llama, *more)},
        ),
    )


def tensors(state: Mapping[str, Tensor], config: FlamingoConfig) -> dict[str, Tensor]:
    """A state dict of IDEFICS under our names.

    Raises:
        CheckpointError: an unknown name.
    """
    every = config.cross_attention.every
    tied = config.language.options["tie_word_embeddings"]

    def layer(match: re.Match[str]) -> str:
        return f"cross_attention.{int(match[1]) * every}.{CROSS[match[2]]}{match[3]}"

    rules: Rules = [
        (r".+\.(position_ids|rotary_emb\.inv_freq)", ""),
        (r"model\.vision_model\.(.+)", r"vision.model.\1"),
        (r"model\.perceiver_resampler\.latents", "resampler.body.latents"),
        (r"model\.perceiver_resampler\.layer_norm(\..+)", r"resampler.final_norm\1"),
        (
            r"model\.perceiver_resampler\.blocks\.(\d+)\.0\.(\w+)(\..+)",
            lambda m: f"resampler.body.attention.{m[1]}.{RESAMPLER.get(m[2], m[2])}{m[3]}",
        ),
        (
            r"model\.perceiver_resampler\.blocks\.(\d+)\.1\.(\w+)(\..+)",
            lambda m: f"resampler.body.feed_forward.{m[1]}.{RESAMPLER.get(m[2], m[2])}{m[3]}",
        ),
        (rf"model\.gated_cross_attn_layers\.(\d+)\.({'|'.join(map(re.escape, CROSS))})(.*)", layer),
        (r"model\.((layers|norm)\..+)", r"language.lm.model.\1"),
        (r"model\.embed_tokens\.weight", "language.lm.model.embed_tokens.weight"),
        (r"model\.embed_tokens\.additional_embedding\.weight", "more input"),
        (r"lm_head\.weight", "" if tied else "language.lm.lm_head.weight"),
        (r"lm_head\.additional_fc\.weight", "" if tied else "more output"),
    ]
    found = renamed(state, rules, "IDEFICS")
    for more, name in (("more input", "model.embed_tokens"), ("more output", "lm_head")):
        if more in found:
            whole = f"language.lm.{name}.weight"
            found[whole] = torch.cat([found[whole], found.pop(more)])
    return {name: tensor.flatten() if name.endswith(".alpha") else tensor for name, tensor in found.items()}


def phi(image_attention_mask: Tensor) -> Tensor:
    """phi [B, L] of IDEFICS's mask [B, L, N], 1 where a token sees an image.

    Raises:
        ValueError: a token sees more than one.
    """
    if int(image_attention_mask.sum(2).max()) > 1:
        raise ValueError("image_attention_mask lets a token see several images; phi names one")
    return (image_attention_mask * torch.arange(1, image_attention_mask.shape[2] + 1)).sum(2).long()


CROSS = {
    "alpha_cross_attn": "attention_gate.alpha",
    "alpha_dense": "feed_forward_gate.alpha",
    "cross_attn.q_proj": "attention.to_q",
    "cross_attn.k_proj": "attention.to_k",
    "cross_attn.v_proj": "attention.to_v",
    "cross_attn.o_proj": "attention.to_out",
    "cross_attn.q_layer_norm": "attention.q_norm",
    "cross_attn.k_layer_norm": "attention.k_norm",
    "input_layernorm": "attention.norm_q",
    "post_attention_layernorm": "feed_forward.norm",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
}
RESAMPLER = {
    "context_layer_norm": "norm_kv",
    "latents_layer_norm": "norm_q",
    "q_layer_norm": "q_norm",
    "k_layer_norm": "k_norm",
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "output_proj": "to_out",
    "ln": "norm",
    "fc": "up",
    "c_proj": "down",
}
