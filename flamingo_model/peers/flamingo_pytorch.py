"""flamingo-pytorch 0.1.2 (lucidrains): single blocks, whose names OpenFlamingo took over.

Its blocks come after a language model's block, ours before the next one: its model as a whole is not built here.
Its resampler adds a learnt vector for the place of an image in its row, and knows four of them; ours has none, so a
resampler for the image at one such place is made.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from flamingo_model.checkpoint import check_tensors, put_tensors
from flamingo_model.cross_attention import GatedCrossAttention
from flamingo_model.peers.open_flamingo import block_config, block_tensors, resampler_config, resampler_tensors
from flamingo_model.resampler import Resampler


def block(state: Mapping[str, Tensor], head_dim: int = 64) -> GatedCrossAttention:
    """The state dict of a GatedCrossAttentionBlock as our layer.

    Raises:
        CheckpointError: tensors missing, unknown or of other shapes.
    """
    weights = block_tensors(state)
    width, visual = (state[f"attn.{name}.weight"].shape[1] for name in ("to_q", "to_kv"))
    layer = GatedCrossAttention(block_config(state, head_dim=head_dim), width, visual)
    check_tensors(layer, weights, dict(layer.named_parameters()), "the block of flamingo-pytorch")
    put_tensors(layer, weights)
    return layer


def resampler(state: Mapping[str, Tensor], place: int, head_dim: int = 64) -> Resampler:
    """The state dict of a PerceiverResampler as ours for the image at a place of its row, 0 for the first.

    Raises:
        CheckpointError: tensors missing, unknown or of other shapes.
    """
    places = state["media_pos_emb"]
    if not 0 <= place < len(places):
        raise ValueError(f"place is {place}, flamingo-pytorch knows {len(places)} places of images")
    rest = {name: tensor for name, tensor in state.items() if name != "media_pos_emb"}
    config = replace(resampler_config(rest, head_dim), time_embeddings=1)
    made = Resampler(config, config.dim)
    weights = resampler_tensors(rest) | {"time.weight": places[place]}
    check_tensors(made, weights, dict(made.named_parameters()), "the resampler of flamingo-pytorch")
    put_tensors(made, weights)
    return made
