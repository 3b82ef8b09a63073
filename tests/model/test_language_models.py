"""Wrapped language models of many families: with closed gates the same, bit for bit; with open ones they see."""

from typing import Any

import pytest
import torch
from tiny_models import open_gates, pictures, tiny_config
from transformers import AutoConfig, AutoModelForCausalLM

from flamingo_model.config import with_changes
from flamingo_model.language import ArchitectureError, LanguageModel, decoder_blocks
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.vision import make_vision

WIDE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
NARROW = {
    "vocab_size": 120,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": WIDE,
    "qwen2": WIDE,
    "qwen3": WIDE,
    "mistral": WIDE,
    "gemma": WIDE,
    "gemma2": WIDE,
    "gemma3_text": WIDE,
    "olmo2": WIDE,
    "phi": WIDE | {"num_key_value_heads": 4},
    "phi3": WIDE,
    "stablelm": WIDE,
    "smollm3": WIDE,
    "granite": WIDE | {"logits_scaling": 3.0, "embedding_multiplier": 5.0},
    "cohere": WIDE | {"logit_scale": 0.25},
    "cohere2": WIDE | {"logit_scale": 0.25},
    "gpt2": NARROW,
    "gptj": NARROW | {"rotary_dim": 4},
    "gpt_neox": WIDE,
    "opt": {
        "vocab_size": 120,
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "word_embed_proj_dim": 32,
    },
    "mpt": {"vocab_size": 120, "d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 64},
    "bloom": {"vocab_size": 120, "hidden_size": 32, "n_layer": 3, "n_head": 4},
    "falcon": {"vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
}
SIX = ("llama", "gpt2", "gpt_neox", "opt", "gemma2", "bloom")


def language_model(family: str, dtype: torch.dtype = torch.float32) -> Any:
    """A random model of that family with 3 layers of width 32."""
    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **FAMILIES[family])
    lm = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for parameter in lm.parameters():  # Fresh norms and biases are ones and zeros, which would hide mistakes.
        parameter.data += torch.randn(parameter.shape).to(dtype) * 0.02
    return lm


def flamingo(lm: Any, **tables: Any) -> Flamingo:
    config = with_changes(tiny_config(cross_attention={"heads": 2, "head_dim": 16, "every": 1}), **tables)
    return Flamingo(config, vision=make_vision(config.vision), lm=lm)


TOKENS = torch.randint(0, 120, (2, 9), generator=torch.Generator().manual_seed(0))
PHI = torch.tensor([[0, 1, 1, 1, 2, 2, 2, 3, 3], [1, 1, 1, 1, 1, 0, 0, 0, 0]])
MEDIA = Media.images(pictures(4), (3, 1))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_closed_gates_leave_every_logit_bit_for_bit(family: str, training: bool) -> None:
    lm = language_model(family)
    with torch.no_grad():
        before = lm(TOKENS, use_cache=False).logits
        after = flamingo(lm).train(training)(TOKENS, MEDIA, PHI).logits
    assert after is not None
    assert after.shape == (2, 9, 121)
    assert torch.equal(after[..., :-1], before)


@pytest.mark.parametrize("family", SIX)
def test_closed_gates_in_bfloat16(family: str) -> None:
    lm = language_model(family, torch.bfloat16)
    with torch.no_grad():
        before = lm(TOKENS, use_cache=False).logits
        after = flamingo(lm)(TOKENS, MEDIA, PHI).logits
    assert after is not None
    assert torch.equal(after[..., :-1], before)


@pytest.mark.parametrize("family", FAMILIES)
def test_open_gates_see_and_learn(family: str) -> None:
    model = flamingo(language_model(family))
    closed = model(TOKENS, MEDIA, PHI).logits
    open_gates(model, 0.5)
    assert not torch.equal(model(TOKENS, MEDIA, PHI).logits, closed)
    model(TOKENS, MEDIA, PHI, labels=TOKENS).loss.backward()
    for name, parameter in model.trained().items():
        assert parameter.grad is not None, name
        if name != "language.eoc_input":  # The text has no <EOC>.
            assert parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None for parameter in model.language.lm.parameters())


@pytest.mark.parametrize("family", SIX)
def test_left_and_right_padding_change_nothing(family: str) -> None:
    model = flamingo(language_model(family)).eval()
    open_gates(model, 0.5)
    with torch.no_grad():
        plain = model(TOKENS[:1], Media.images(pictures(4)[:3], (3,)), PHI[:1]).logits
        for left, right in ((0, 3), (3, 0), (2, 1)):
            pad = (left, right)
            mask = torch.nn.functional.pad(torch.ones(1, 9), pad)
            tokens, phi = (torch.nn.functional.pad(x[:1], pad) for x in (TOKENS, PHI))
            logits = model(tokens, Media.images(pictures(4)[:3], (3,)), phi, attention_mask=mask).logits
            assert (logits[:, left : left + 9] - plain).abs().max() < 1e-5, pad


def test_an_all_ones_mask_is_no_mask() -> None:
    model = flamingo(language_model("llama")).eval()
    with torch.no_grad():
        plain = model(TOKENS, MEDIA, PHI).logits
        assert torch.equal(model(TOKENS, MEDIA, PHI, attention_mask=torch.ones(2, 9)).logits, plain)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma2", "falcon"])
def test_packed_documents_are_as_alone(family: str) -> None:
    model = flamingo(language_model(family)).eval()
    open_gates(model, 0.5)
    tokens = TOKENS[:1]
    documents = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2]])
    media = Media.images(pictures(4)[:3], (3,))
    parts = [(0, 4, 0, 1), (4, 7, 1, 2), (7, 9, 2, 3)]
    labels = tokens.clone()
    labels[0, [4, 7]] = -100  # The first token of a document has nothing before it.
    whole = model(tokens, media, PHI[:1], documents=documents, labels=labels)
    losses = []
    for begin, end, first, last in parts:
        phi = (PHI[:1, begin:end] - first).clamp(min=0)
        alone = model(tokens[:, begin:end], Media.images(pictures(4)[first:last], (last - first,)), phi)
        packed = model(tokens, media, PHI[:1], documents=documents).logits[:, begin:end]
        assert (packed - alone.logits).abs().max() < 1e-5
        one = model(
            tokens[:, begin:end],
            Media.images(pictures(4)[first:last], (last - first,)),
            phi,
            labels=labels[:, begin:end],
            loss_weights=torch.full((1, end - begin), 1 / 6),
        )
        losses.append(one.loss)
    assert abs(float((whole.loss - sum(losses)).detach())) < 1e-5
    mine = torch.autograd.grad(whole.loss, list(model.trained().values()), allow_unused=True)
    theirs = torch.autograd.grad(sum(losses), list(model.trained().values()), allow_unused=True)
    for name, one, other in zip(model.trained(), mine, theirs, strict=True):
        assert one is None or (one - other).abs().max() < 1e-4, name


def test_documents_cannot_be_packed_where_positions_are_not_given() -> None:
    with pytest.raises(ArchitectureError, match="cannot pack documents"):
        flamingo(language_model("mpt"))(TOKENS, MEDIA, PHI, documents=torch.zeros_like(TOKENS))


def test_documents_are_not_packed_where_a_state_would_run_through_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "jamba", WIDE)
    model = flamingo(language_model("jamba"))
    assert model(TOKENS, MEDIA, PHI).logits is not None
    with pytest.raises(ArchitectureError, match="JambaForCausalLM is recurrent"):
        model(TOKENS, MEDIA, PHI, documents=torch.zeros_like(TOKENS))


@pytest.mark.parametrize("window", [8, 9])
def test_documents_are_not_packed_beyond_a_sliding_window(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "mistral", WIDE | {"sliding_window": window})
    model = flamingo(language_model("mistral")).eval()
    one = torch.zeros_like(TOKENS)
    with torch.no_grad():
        plain = model(TOKENS, MEDIA, PHI).logits
        if window < TOKENS.shape[1]:
            with pytest.raises(ArchitectureError, match=r"sees 8 tokens back .* rows of at most 8"):
                model(TOKENS, MEDIA, PHI, documents=one)
        else:
            assert (model(TOKENS, MEDIA, PHI, documents=one).logits - plain).abs().max() < 1e-5


def test_the_row_of_eoc_is_its_own() -> None:
    model = flamingo(language_model("llama")).eval()
    tokens = TOKENS.clone()
    tokens[0, 3] = model.eoc_id
    assert model.eoc_id == 120
    embedded = model.language.embed(tokens)
    assert torch.equal(embedded[0, 3], model.language.eoc_input)
    kept = tokens != model.eoc_id
    assert torch.equal(embedded[kept], model.language.lm.get_input_embeddings()(tokens[kept]))
    model(tokens, MEDIA, PHI, labels=tokens).loss.backward()
    assert model.language.eoc_input.grad is not None
    assert model.language.eoc_input.grad.abs().sum() > 0


def test_frozen_means_frozen_whatever_train_says() -> None:
    model = flamingo(language_model("gpt2")).train()
    assert not model.language.lm.training
    assert not model.vision.model.training
    assert model.resampler.training
    assert all(not parameter.requires_grad for parameter in model.language.lm.parameters())


def test_an_unfrozen_language_model_learns_with_its_head() -> None:
    model = flamingo(language_model("llama"), language={"frozen": False}).train()
    assert model.language.lm.training
    model(TOKENS, MEDIA, PHI, labels=TOKENS).loss.backward()
    missing = [name for name, parameter in model.language.lm.named_parameters() if parameter.grad is None]
    assert missing == []


def test_an_unfrozen_head_has_the_plain_gradient() -> None:
    model = flamingo(language_model("llama"), language={"frozen": False})
    labels = TOKENS[:, 1:].flatten()
    plain = torch.nn.functional.cross_entropy(model(TOKENS, MEDIA, PHI).logits[:, :-1].flatten(0, 1), labels)
    parameters = list(model.language.lm.parameters())
    theirs = torch.autograd.grad(plain, parameters)
    mine = torch.autograd.grad(model(TOKENS, MEDIA, PHI, labels=TOKENS).loss, parameters)
    for one, other in zip(mine, theirs, strict=True):
        assert (one - other).abs().max() < 1e-5


def test_a_model_whose_blocks_are_not_found_is_refused() -> None:
    lm = language_model("llama")
    lm.config.num_hidden_layers = 5
    with pytest.raises(ArchitectureError, match=r"no list of 5 blocks \(num_hidden_layers\); found: model.layers of 3"):
        decoder_blocks(lm)


def test_logits_made_in_an_unknown_way_are_refused() -> None:
    lm = language_model("llama")

    class Doubled(type(lm)):  # type: ignore[misc]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out = super().forward(*args, **kwargs)
            out.logits = out.logits * 2
            return out

    lm.__class__ = Doubled
    with pytest.raises(ArchitectureError, match="computes its logits in a way that is not known here"):
        LanguageModel(lm)


def test_a_model_that_skips_a_block_is_refused() -> None:
    lm = language_model("llama")
    lm.model.layers[1].forward = lm.model.layers[0].forward
    blocks = lm.model.layers
    lm.model.layers = torch.nn.ModuleList([blocks[0], blocks[0], blocks[2]])
    with pytest.raises(ArchitectureError, match="not each once from first to last"):
        LanguageModel(lm)
