"""The paper's two pseudo-codes (figures 4 and 5) once more in numpy, for one image and one text, and compared.

Nothing of the model's own code is used but its weights.
"""

from typing import Any

import numpy as np
import torch
from tiny_models import tiny

from flamingo_model.cross_attention import GatedCrossAttention
from flamingo_model.phi import Layout

Array = np.ndarray[Any, np.dtype[np.float64]]


def weights(module: torch.nn.Module) -> dict[str, Array]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def layer_norm(x: Array, w: dict[str, Array], name: str) -> Array:
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def attention(q: Array, k: Array, v: Array, heads: int) -> Array:
    """[L, inner], [M, inner], [M, inner] to [L, inner], head by head."""
    out = []
    size = q.shape[1] // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / np.sqrt(size)
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        out.append(exponents / exponents.sum(axis=1, keepdims=True) @ v[:, part])
    return np.concatenate(out, axis=1)


def ffw(x: Array, w: dict[str, Array], name: str) -> Array:
    x = layer_norm(x, w, f"{name}.norm")
    return np.maximum(x @ w[f"{name}.up.weight"].T, 0) ** 2 @ w[f"{name}.down.weight"].T


def perceiver_resampler(x_f: Array, w: dict[str, Array], layers: int, heads: int) -> Array:
    """x_f: features of the frames [T, S, d]. Figure 5."""
    x_f = x_f @ w["input.weight"].T
    x_f = x_f + w["time.weight"][: len(x_f), None]
    x_f = x_f.reshape(-1, x_f.shape[-1])
    x = w["body.latents"]
    for i in range(layers):
        name = f"body.attention.{i}"
        q = layer_norm(x, w, f"{name}.norm_q") @ w[f"{name}.to_q.weight"].T
        both = layer_norm(np.concatenate([x_f, x]), w, f"{name}.norm_kv")
        k, v = both @ w[f"{name}.to_k.weight"].T, both @ w[f"{name}.to_v.weight"].T
        x = x + attention(q, k, v, heads) @ w[f"{name}.to_out.weight"].T
        x = x + ffw(x, w, f"body.feed_forward.{i}")
    return x


def gated_xattn_dense(y: Array, x: Array, w: dict[str, Array], heads: int) -> Array:
    """y: text [L, D], x: visual tokens [R, d]. Figure 4, without the language model's own block."""
    q = layer_norm(y, w, "attention.norm_q") @ w["attention.to_q.weight"].T
    x = layer_norm(x, w, "attention.norm_kv")
    k, v = x @ w["attention.to_k.weight"].T, x @ w["attention.to_v.weight"].T
    seen = attention(q, k, v, heads) @ w["attention.to_out.weight"].T
    y = y + np.tanh(w["attention_gate.alpha"]) * seen
    return y + np.tanh(w["feed_forward_gate.alpha"]) * ffw(y, w, "feed_forward")


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with no norm, latent or gate at a value that would hide a mistake."""
    torch.manual_seed(7)
    module = module.double()
    for parameter in module.parameters():
        parameter.data += torch.randn_like(parameter) * 0.3
    return module


def test_the_resampler_is_figure_5() -> None:
    resampler = shaken(tiny().resampler)
    for frames in (1, 3, 8):
        features = torch.randn(frames, 16, 32, dtype=torch.float64)
        wanted = perceiver_resampler(features.numpy(), weights(resampler), layers=2, heads=2)
        with torch.no_grad():
            assert np.abs(resampler(features[None])[0].numpy() - wanted).max() < 1e-10


def test_the_inserted_layer_is_figure_4() -> None:
    layer = shaken(tiny().cross_attention["0"])
    assert isinstance(layer, GatedCrossAttention)
    y, x = torch.randn(5, 64, dtype=torch.float64), torch.randn(4, 48, dtype=torch.float64)
    wanted = gated_xattn_dense(y.numpy(), x.numpy(), weights(layer), heads=2)
    with torch.no_grad():
        out = layer(y[None], layer.keys_values(x[None]), Layout(torch.ones(1, 5, dtype=torch.int64), (1,)))
    assert np.abs(out[0].numpy() - wanted).max() < 1e-10
