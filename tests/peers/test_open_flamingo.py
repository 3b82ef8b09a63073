"""open_flamingo 2.0.1 and ours with its weights give the same: blocks, resampler, whole models. Random weights.

Needs, beside our own packages: pip install einops einops-exts open_clip_torch; pip install --no-deps
open_flamingo==2.0.1 (its wheel pins a PyTorch of 2023).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from flamingo_model.checkpoint import CheckpointError, check_tensors, put_tensors
from flamingo_model.cross_attention import GatedCrossAttention
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.peers import open_flamingo as peer
from flamingo_model.phi import Layout
from flamingo_model.resampler import Resampler
from flamingo_model.vision import VisionEncoder, huggingface_features

NEEDED = (
    "needs open_flamingo: pip install einops einops-exts open_clip_torch; pip install --no-deps open_flamingo==2.0.1"
)
helpers = pytest.importorskip("open_flamingo.src.helpers", reason=NEEDED, exc_type=ImportError)
their_model = pytest.importorskip("open_flamingo.src.flamingo", reason=NEEDED, exc_type=ImportError)
their_lm = pytest.importorskip("open_flamingo.src.flamingo_lm", reason=NEEDED, exc_type=ImportError)
their_utils = pytest.importorskip("open_flamingo.src.utils", reason=NEEDED, exc_type=ImportError)
towers = pytest.importorskip("open_clip.transformer", reason=NEEDED, exc_type=ImportError)

VOCABULARY, EOC, IMAGE = 90, 90, 91
"""Of the language model; ids of `<|endofchunk|>` and `<image>`; 92 is `<PAD>`."""
SIZE, WIDTH = 16, 24
"""Of the pictures, pixels; of their features."""


def moved(module: nn.Module, scale: float = 0.1, seed: int = 1) -> Any:
    """Every tensor away from its first value, gates too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return module.eval()


def near(got: Tensor, wanted: Tensor) -> bool:
    got, wanted = got.detach(), wanted.detach()
    return bool((got - wanted).abs().max() < 1e-5 * max(1.0, float(wanted.abs().max())))


# --- resampler and block ---------------------------------------------------------------------------------------------


def test_resampler_and_its_gradients() -> None:
    theirs = moved(helpers.PerceiverResampler(dim=32, depth=2, num_latents=6))
    state = theirs.state_dict()
    ours = Resampler(peer.resampler_config(state), 32)
    check_tensors(ours, peer.resampler_tensors(state), dict(ours.named_parameters()), "test")
    put_tensors(ours, peer.resampler_tensors(state))
    x = torch.randn(2, 3, 1, 9, 32)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    wanted, got = theirs(one), ours(other.flatten(0, 1)).unflatten(0, (2, 3))
    assert near(got, wanted) and wanted.std() > 0.1
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    (got * weight).sum().backward()
    assert near(other.grad, one.grad)
    gradients = peer.resampler_tensors({name: p.grad for name, p in theirs.named_parameters()})
    assert all(near(parameter.grad, gradients[name]) for name, parameter in ours.named_parameters())


def test_resampler_of_frames_with_their_embeddings() -> None:
    theirs = moved(helpers.PerceiverResampler(dim=32, depth=1, num_latents=6, max_num_frames=4))
    state = theirs.state_dict()
    ours = Resampler(peer.resampler_config(state), 32)
    put_tensors(ours, peer.resampler_tensors(state))
    x = torch.randn(2, 1, 3, 9, 32)
    assert near(ours(x.flatten(0, 1)), theirs(x)[:, 0])


PHI = torch.tensor([[0, 0, 1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0, 0, 1]])


@pytest.mark.parametrize("attend", ["single", "all_previous"])
def test_block_and_its_gradients(attend: str) -> None:
    """In the mode of all previous images, only rows that begin with one: before it, theirs sees all (see below)."""
    theirs = moved(
        helpers.GatedCrossAttentionBlock(dim=40, dim_visual=32, only_attend_immediate_media=attend == "single"), 0.3
    )
    state = theirs.state_dict()
    config = peer.block_config(state)
    ours = GatedCrossAttention(replace(config, attend=attend), 40, 32)
    put_tensors(ours, peer.block_tensors(state))
    phi = PHI if attend == "single" else PHI[1:2]
    media = torch.randn(len(phi), 3, 5, 32)
    text = torch.randn(*phi.shape, 40)
    locations = torch.zeros(phi.shape, dtype=torch.bool)
    locations[:, 0] = phi[:, 0] > 0
    locations[:, 1:] = phi[:, 1:] > phi[:, :-1]
    assert torch.equal(locations.cumsum(1), phi)
    one, other = text.clone().requires_grad_(), text.clone().requires_grad_()
    seen_one, seen_other = media.clone().requires_grad_(), media.clone().requires_grad_()
    wanted = theirs(one, seen_one, media_locations=locations)
    layout = Layout(phi, (3,) * len(phi))
    got = ours(other, ours.keys_values(seen_other.flatten(0, 1)), layout)
    assert near(got, wanted)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    (got * weight).sum().backward()
    assert near(other.grad, one.grad) and near(seen_other.grad, seen_one.grad)
    assert seen_one.grad.abs().max() > 0
    gradients = peer.block_tensors({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        assert near(parameter.grad, gradients[name]) and gradients[name].abs().max() > 0, name


# --- whole models ----------------------------------------------------------------------------------------------------


def tower(final_ln_after_pool: bool = True) -> Any:
    """A small CLIP tower of open_clip, whose tokens are not normed, as when OpenFlamingo was trained."""
    torch.manual_seed(4)
    return moved(
        towers.VisionTransformer(
            image_size=SIZE,
            patch_size=8,
            width=WIDTH,
            layers=2,
            heads=2,
            mlp_ratio=2.0,
            output_dim=8,
            output_tokens=True,
            final_ln_after_pool=final_ln_after_pool,
        )
    )


def encoder() -> VisionEncoder:
    return VisionEncoder(tower(), lambda model, pixels: model(pixels)[1], image_size=SIZE)


def neox() -> Any:
    fields = {"vocab_size": VOCABULARY, "hidden_size": 40, "num_hidden_layers": 5, "num_attention_heads": 4}
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**fields, intermediate_size=80))


def llama() -> Any:
    fields = {"vocab_size": VOCABULARY, "hidden_size": 40, "num_hidden_layers": 5, "num_attention_heads": 4}
    config = transformers.LlamaConfig(**fields, intermediate_size=80, tie_word_embeddings=True)
    return transformers.LlamaForCausalLM(config)


def opt() -> Any:
    fields = {"vocab_size": VOCABULARY, "hidden_size": 40, "num_hidden_layers": 5, "num_attention_heads": 4}
    config = transformers.OPTConfig(**fields, ffn_dim=80, word_embed_proj_dim=40, max_position_embeddings=64)
    return transformers.OPTForCausalLM(config)


LMS: dict[str, tuple[Callable[[], Any], str]] = {
    "gpt_neox": (neox, "gpt_neox.layers"),
    "llama": (llama, "model.layers"),
    "opt": (opt, "model.decoder.layers"),
}


def fresh(name: str) -> Any:
    """The language model as it is before OpenFlamingo."""
    torch.manual_seed(2)
    return LMS[name][0]().eval()


def theirs_whole(name: str, every: int = 2) -> Any:
    """As `create_model_and_transforms` puts it together, which itself can only take models from the net."""
    lm = fresh(name)
    their_utils.extend_instance(lm, their_lm.FlamingoLMMixin)
    lm.set_decoder_layers_attr_name(LMS[name][1])
    lm.resize_token_embeddings(VOCABULARY + 3)

    class Clip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower()

    model = their_model.Flamingo(Clip(), lm, EOC, IMAGE, vis_dim=WIDTH, cross_attn_every_n_layers=every)
    model.requires_grad_(False)
    for part in (model.perceiver, lm.gated_cross_attn_layers, lm.get_input_embeddings()):
        moved(part, 0.2).requires_grad_(True)
    return model.eval()


def as_published(model: Any) -> dict[str, Tensor]:
    """What `filter_state_dict_to_trainable` leaves."""
    state = dict(model.state_dict())
    for name, parameter in model.named_parameters():
        if "embed" not in name and not parameter.requires_grad:
            del state[name]
    left_out = ("lang_encoder.old_decoder_blocks", "lang_encoder.gated_cross_attn_layers", "vision_encoder")
    return {name: tensor for name, tensor in state.items() if not any(part in name for part in left_out)}


def example() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    tokens = torch.randint(0, VOCABULARY, (2, 12), generator=generator)
    tokens[0, [2, 5, 8]] = IMAGE
    tokens[1, [0, 6]] = IMAGE
    tokens[:, 4] = EOC
    return tokens, torch.randn(2, 3, 1, 3, SIZE, SIZE, generator=generator), peer.phi(tokens, IMAGE)


def ours_logits(model: Flamingo) -> Tensor:
    tokens, pictures, phi = example()
    media = Media.padded(pictures, (3, 2))
    logits = model(tokens, media, phi, attention_mask=torch.ones_like(tokens)).logits
    assert logits is not None
    return logits


@pytest.mark.parametrize("name", LMS)
@pytest.mark.parametrize("published", [True, False], ids=["published", "whole"])
def test_whole_model(name: str, published: bool) -> None:
    theirs = theirs_whole(name)
    tokens, pictures, _ = example()
    with torch.no_grad():
        wanted = theirs(pictures, tokens, attention_mask=torch.ones_like(tokens)).logits
    state = as_published(theirs) if published else theirs.state_dict()
    assert any("old_decoder_blocks" in key for key in state) is not published
    lm = fresh(name)
    if published and not lm.config.tie_word_embeddings:  # the rows added to its head are random and not always kept
        lm.resize_token_embeddings(VOCABULARY + 3)
        lm.get_output_embeddings().weight.data.copy_(theirs.lang_encoder.get_output_embeddings().weight)
    ours = peer.build(state, encoder(), lm, end_of_chunk_id=EOC).eval()
    assert [int(index) for index in ours.cross_attention] == [1, 3]
    with torch.no_grad():
        got = ours_logits(ours)
    assert near(got[..., :-1], wanted) and wanted.std() > 0.1
    assert near(got[..., -1], wanted[..., EOC]), "our <EOC> begins as theirs"


def test_whole_model_gradients() -> None:
    theirs = theirs_whole("gpt_neox")
    tokens, pictures, _ = example()
    ours = peer.build(theirs.state_dict(), encoder(), fresh("gpt_neox")).eval()
    weight = torch.randn(2, 12, VOCABULARY + 3)
    (theirs(pictures, tokens, attention_mask=torch.ones_like(tokens)).logits * weight).sum().backward()
    (ours_logits(ours)[..., :-1] * weight).sum().backward()
    wanted = peer.tensors({name: p.grad for name, p in theirs.named_parameters() if p.grad is not None})
    compared = [name for name in ours.trained() if not name.startswith("language.")]
    assert sorted(compared) == sorted(wanted)
    for name in compared:
        assert near(ours.trained()[name].grad, wanted[name]) and wanted[name].abs().max() > 0, name


def test_from_a_pt_through_safetensors_and_a_checkpoint_of_ours(tmp_path: Path) -> None:
    theirs = theirs_whole("llama")
    content = {"epoch": 3, "model_state_dict": {f"module.{k}": v for k, v in as_published(theirs).items()}}
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is a pickle"):
        peer.load(tmp_path / "checkpoint.pt", encoder(), fresh("llama"))
    peer.convert_pt(tmp_path / "checkpoint.pt", tmp_path / "theirs.safetensors")
    ours = peer.load(tmp_path / "theirs.safetensors", encoder(), fresh("llama"), end_of_chunk_id=EOC).eval()
    ours.save_pretrained(tmp_path / "ours")
    with pytest.raises(CheckpointError, match="own vision encoder"):
        Flamingo.from_pretrained(tmp_path / "ours")
    again = Flamingo.from_pretrained(tmp_path / "ours", vision=encoder()).eval()
    with torch.no_grad():
        tokens, pictures, _ = example()
        wanted = theirs(pictures, tokens, attention_mask=torch.ones_like(tokens)).logits
        assert near(ours_logits(ours)[..., :-1], wanted) and torch.equal(ours_logits(again), ours_logits(ours))


def test_a_pt_with_a_program_in_it_is_not_run(tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"perceiver.latents": Program()}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match="weights_only"):
        peer.convert_pt(tmp_path / "checkpoint.pt", tmp_path / "out.safetensors")
    assert not (tmp_path / "was-run").exists() and not (tmp_path / "out.safetensors").exists()


def test_what_does_not_fit_is_named() -> None:
    state = theirs_whole("llama").state_dict()
    with pytest.raises(CheckpointError, match="no perceiver"):
        peer.build({name: t for name, t in state.items() if "perceiver" not in name}, encoder(), fresh("llama"))
    with pytest.raises(CheckpointError, match=r"attn\.other \[1\] is no tensor of a GatedCrossAttentionBlock"):
        name = "lang_encoder.gated_cross_attn_layers.1.attn.other"
        peer.build(state | {name: torch.zeros(1)}, encoder(), fresh("llama"))
    with pytest.raises(CheckpointError, match=r"before blocks \[1\] does not fit a model of 5 blocks"):
        gone = ("gated_cross_attn_layers.3", "layers.3.gated")
        peer.build({n: t for n, t in state.items() if not any(g in n for g in gone)}, encoder(), fresh("llama"))


def test_transformers_clip_gives_the_same_features() -> None:
    """The tower that a configuration can name: CLIP's patches before the last norm. Today's open_clip norms them."""
    theirs = tower()
    state = theirs.state_dict()
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        image_size=SIZE,
        patch_size=8,
        hidden_act="gelu",
    )
    clip = transformers.CLIPVisionModel(config).eval()
    new = {
        "embeddings.class_embedding": state["class_embedding"],
        "embeddings.patch_embedding.weight": state["conv1.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
    }
    for kind in ("weight", "bias"):
        new[f"pre_layrnorm.{kind}"] = state[f"ln_pre.{kind}"]
        new[f"post_layernorm.{kind}"] = state[f"ln_post.{kind}"]
        for i in range(2):
            old, layer = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
            for name, part in zip("qkv", state[f"{old}.attn.in_proj_{kind}"].chunk(3), strict=True):
                new[f"{layer}.self_attn.{name}_proj.{kind}"] = part
            for mine, other in {
                "self_attn.out_proj": "attn.out_proj",
                "layer_norm1": "ln_1",
                "layer_norm2": "ln_2",
                "mlp.fc1": "mlp.c_fc",
                "mlp.fc2": "mlp.c_proj",
            }.items():
                new[f"{layer}.{mine}.{kind}"] = state[f"{old}.{other}.{kind}"]
    clip.load_state_dict(new)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        features = huggingface_features(clip, pixels)
        assert features.shape == (2, 4, WIDTH)
        assert near(features, theirs(pixels)[1])
        assert not near(features, tower(final_ln_after_pool=False)(pixels)[1])


# --- what we do otherwise --------------------------------------------------------------------------------------------


def test_theirs_attends_to_every_image_where_the_named_one_is_missing() -> None:
    """Two `<image>`s, one picture: a token after the second gets a mean. Ours: tests/model/test_bugs_of_others.py."""
    block = moved(helpers.GatedCrossAttentionBlock(dim=16, dim_visual=16), 0.3)
    text, media = torch.randn(1, 3, 16), torch.randn(1, 1, 4, 16, requires_grad=True)
    locations = torch.tensor([[True, True, False]])
    block.attn(text, media, media_locations=locations)[0, 2].sum().backward()
    assert media.grad is not None and media.grad.abs().max() > 0
