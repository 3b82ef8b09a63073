"""Mistakes that other implementations made, each as a test that ours does not.

OF: open_flamingo 2.0.1. The numbers are of threads in the peers' repositories.
"""

from pathlib import Path

import pytest
import torch
from tiny_models import batch, open_gates, pictures, tiny, tiny_config
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, DynamicCache

from flamingo_model.attention import cross_attend
from flamingo_model.config import load_config
from flamingo_model.cross_attention import GatedCrossAttention
from flamingo_model.language import ArchitectureError
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.phi import Layout, PhiError


def logits(model: Flamingo, tokens: Tensor, images: Media | None, phi: Tensor, **more: Tensor) -> Tensor:
    out = model(tokens, images, phi, **more).logits
    assert out is not None
    return out


def layer(attend: str = "single", dtype: torch.dtype = torch.float32) -> GatedCrossAttention:
    """One inserted layer with open gates, for text of width 64 and visual tokens of width 48."""
    model = tiny(cross_attention={"attend": attend})
    found = model.cross_attention["0"]
    assert isinstance(found, GatedCrossAttention)
    return found.to(dtype)


def influence(phi: list[int], images: int, attend: str = "single", dtype: torch.dtype = torch.float32) -> Tensor:
    """[tokens, images]: the greatest gradient of what a token takes to an image's visual tokens."""
    block = layer(attend, dtype)
    torch.manual_seed(3)
    visual = torch.randn(images, 4, 48, dtype=dtype, requires_grad=True)
    text = torch.randn(1, len(phi), 64, dtype=dtype)
    out = block(text, block.keys_values(visual), Layout(torch.tensor([phi]), (images,)))
    assert out.isfinite().all()
    rows = []
    for place in range(len(phi)):
        (gradient,) = torch.autograd.grad(out[0, place].sum(), visual, retain_graph=True)
        assert gradient.isfinite().all()
        rows.append(gradient.abs().amax((1, 2)))
    return torch.stack(rows)


# --- which image a token sees ----------------------------------------------------------------------------------------


def test_otter_118_the_mask_is_not_lost_with_an_optional_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With xformers importable, Otter's cross-attention had no mask: every token saw every image."""
    before = influence([0, 1, 1, 2, 3], 3)
    for name in ("xformers", "flash_attn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('this package must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    after = influence([0, 1, 1, 2, 3], 3)
    assert torch.equal(after, before)
    assert (after > 0).tolist() == [[k == seen for k in (1, 2, 3)] for seen in (0, 1, 1, 2, 3)]


def test_otter_and_of_1_a_decoded_token_sees_its_image() -> None:
    """A token that is decoded alone has no `<image>` beside it; Otter (and OF before 2.0) then gave it no image."""
    model = tiny()
    tokens, media, phi = batch()
    tokens, phi = tokens[:1], phi[:1]
    media = Media.images(media.pixels[:3], (3,))
    with torch.no_grad():
        whole = logits(model, tokens, media, phi)
        visual, cache = model.encode(media), DynamicCache()
        for place in range(tokens.shape[1]):
            layout = Layout(phi[:, place : place + 1], (3,))
            hidden = model.hidden(tokens[:, place : place + 1], model.inserts(visual, layout), cache=cache)
            step = model.language.logits(hidden)[:, 0]
            assert (step - whole[:, place]).abs().max() < 1e-5
            other = model.inserts(visual.flip(0) + 1, layout)
            shown = model.inserts(visual, layout)
            y = torch.randn(1, 1, model.language.dim)
            assert torch.equal(shown[0](y), other[0](y)) is (int(phi[0, place]) == 0)


def test_of_a_token_whose_image_is_missing_does_not_see_all_others() -> None:
    """With two `<image>`s and one picture, OF's tokens after the second attend to all pictures alike."""
    with pytest.raises(PhiError, match="phi is 2 in row 0, which has 1 images; give all images that phi names, or set"):
        influence([1, 1, 2, 2], 1)
    assert influence([1, 1, 0, 0], 1)[2:].eq(0).all()


def test_idefics_26428_text_before_the_first_image_sees_none() -> None:
    """A row of additive least numbers is a uniform softmax: there, such text saw all images (and NaN in half types)."""
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        seen = influence([0, 0, 0, 1, 1, 2], 2, dtype=dtype)
        assert seen[:3].eq(0).all() and seen[3, 0] > 0 and seen[5, 1] > 0


def test_of_and_flamingo_pytorch_text_before_the_first_image_sees_none_in_attend_all_mode() -> None:
    """Both zero it only in the other mode."""
    seen = influence([0, 0, 1, 2, 3], 3, attend="all_previous")
    assert (seen > 0).tolist() == [[k <= last for k in (1, 2, 3)] for last in (0, 0, 1, 2, 3)]


def test_mllama_39379_the_residual_of_a_token_without_image_stays() -> None:
    """There, the mask of such rows came after the residual and wiped the text out."""
    block = layer()
    text, visual = torch.randn(1, 3, 64), torch.randn(1, 4, 48)
    out = block(text, block.keys_values(visual), Layout(torch.tensor([[0, 0, 1]]), (1,)))
    assert block.feed_forward is not None and block.feed_forward_gate is not None
    alone = text + block.feed_forward_gate(block.feed_forward(text))
    assert torch.equal(out[:, :2], alone[:, :2]) and not torch.equal(out[:, 2], alone[:, 2])


def test_of_mllm_text_alone_is_the_same_whatever_else_is_in_the_batch() -> None:
    """Its `mllm` branch leaves the whole layer out if no row of the batch has an image: another function."""
    model = tiny()
    tokens, media, phi = batch()
    one = Media.images(media.pixels[:3], (3, 0))
    phi = phi.clone()
    phi[1] = 0
    with torch.no_grad():
        together = logits(model, tokens, one, phi)[1]
        alone = logits(model, tokens[1:], None, phi[1:])[0]
    assert (together - alone).abs().max() < 1e-6


def test_idefics_text_needs_no_dummy_image() -> None:
    model = tiny()
    tokens, _, _ = batch()
    with torch.no_grad():
        assert logits(model, tokens, None, torch.zeros_like(tokens)).isfinite().all()


def test_flamingo_mini_no_token_is_an_image_by_its_id() -> None:
    """There, every "<" of a text is an image. Here ids never say what is seen: only phi does."""
    model = tiny()
    phi = torch.tensor([[0, 0, 1, 1]])
    image = pictures(1)
    for token in range(0, 301, 20):
        tokens = torch.full((1, 4), token)
        with torch.no_grad():
            one, other = (logits(model, tokens, Media.images(p, (1,)), phi) for p in (image, image + 1))
        assert torch.equal(one[:, :2], other[:, :2]) and not torch.equal(one[:, 2:], other[:, 2:])


def test_otter_previous_or_next_is_not_drawn_in_the_forward_pass() -> None:
    """There it is drawn at each call, for the whole batch, in evaluation too. Here each row's phi says its own."""
    model = tiny()
    tokens, media, phi = batch()  # "previous" in row 0, "next" in row 1
    model.train()
    with torch.no_grad():
        first, second = (logits(model, tokens, media, phi) for _ in range(2))
        alone = logits(model, tokens[1:], Media.images(media.pixels[3:], (2,)), phi[1:])
    assert torch.equal(first, second)
    assert (first[1] - alone[0]).abs().max() < 1e-5


def test_idefics_48903_a_mask_of_another_length_is_told() -> None:
    model = tiny()
    tokens, media, phi = batch()
    with pytest.raises(ValueError, match=r"phi is \[2, 11\], must be \[2, 12\] as the tokens"):
        logits(model, tokens, media, phi[:, 1:])


# --- where layers stand, and for which language models ---------------------------------------------------------------


@pytest.mark.parametrize(("layers", "every", "count"), [(80, 7, 12), (30, 4, 8), (5, 2, 3), (4, 3, 2)])
def test_idefics_layers_that_every_does_not_divide(layers: int, every: int, count: int) -> None:
    """L // n layers are made there but i // n of them used: the paper's own 80 and 7 are an IndexError."""
    points = tiny_config(cross_attention={"every": every}).cross_attention.insertion_points(layers)
    assert points == tuple(range(0, layers, every)) and len(points) == count


def test_idefics_layers_that_every_does_not_divide_run() -> None:
    options = dict(tiny_config().language.options) | {"num_hidden_layers": 5}
    model = tiny(language={"options": options}, cross_attention={"every": 2})
    tokens, media, phi = batch()
    logits(model, tokens, media, phi)[..., :5].sum().backward()
    gates = [p.grad for name, p in model.trained().items() if "gate.alpha" in name]
    assert len(gates) == 6 and all(gradient is not None and gradient.abs().max() > 0 for gradient in gates)


def gpt2(gates: float | None) -> Flamingo:
    options = {"vocab_size": 300, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64}
    return tiny(gates=gates, language={"name": "gpt2", "options": options})


def test_of_gpt2_whose_blocks_take_positional_arguments() -> None:
    """A wrapper instead of a hook broke there."""
    model = gpt2(gates=None)
    tokens, media, phi = batch()
    with torch.no_grad():
        assert torch.equal(logits(model, tokens, media, phi)[..., :-1], model.language.lm(tokens).logits)
        opened = logits(gpt2(gates=0.5), tokens, media, phi)[..., :-1]
    assert not torch.allclose(opened, model.language.lm(tokens).logits, atol=1e-3)


@pytest.mark.parametrize("lm", ["llama", "gpt2"])
def test_of_and_idefics_48903_a_mask_of_only_ones(lm: str) -> None:
    """transformers drops such a mask, after which OF cannot generate and IDEFICS's masks were of two lengths."""
    model = tiny() if lm == "llama" else gpt2(0.5)
    tokens, media, phi = batch()
    with torch.no_grad():
        none = logits(model, tokens, media, phi)
        for ones in (torch.ones_like(tokens), torch.ones_like(tokens, dtype=torch.bool)):
            assert torch.equal(logits(model, tokens, media, phi, attention_mask=ones), none)


def test_otter_an_unknown_language_model_is_not_let_through() -> None:
    """There a message is printed and the work goes on."""
    config = BertConfig(
        vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    with pytest.raises(ArchitectureError, match="BertForMaskedLM"):
        Flamingo(tiny_config(), lm=BertForMaskedLM(config))


# --- ids, vocabulary, loss -------------------------------------------------------------------------------------------


def test_of_260_ids_are_not_rounded_in_half_precision() -> None:
    """There ids were cast with the pictures: 50277 became 50176 in bfloat16."""
    options = dict(tiny_config().language.options) | {"vocab_size": 50280}
    model = tiny(language={"options": options, "dtype": "bfloat16"})
    token = torch.tensor([[50277]])
    assert int(token.to(torch.bfloat16)) == 50176, "what the mistake would give"
    rows = model.language.lm.get_input_embeddings().weight
    assert torch.equal(model.language.embed(token)[0, 0], rows[50277]) and not torch.equal(rows[50277], rows[50176])
    with pytest.raises(ValueError, match=r"tokens are torch\.bfloat16 \[1, 1\], must be integers"):
        model(token.to(torch.bfloat16), None, torch.zeros_like(token))


def test_idefics_labels_of_the_additional_vocabulary() -> None:
    """With additional ids, its loss reshapes the logits by the old vocabulary and breaks."""
    model = tiny()
    tokens, media, phi = batch()
    tokens[:, 5] = model.eoc_id
    with torch.no_grad():
        loss = model(tokens, media, phi, labels=tokens).loss
        every = logits(model, tokens, media, phi)
    assert every.shape[-1] == model.eoc_id + 1
    wanted = torch.nn.functional.cross_entropy(every[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert loss is not None and abs(loss - wanted) < 1e-5


def test_of_the_output_row_of_eoc_learns_beside_untied_embeddings() -> None:
    """There only the input embeddings learn; the row of a head that is not tied keeps its first value."""
    model = tiny()
    assert model.language.lm.lm_head.weight is not model.language.lm.model.embed_tokens.weight
    tokens, media, phi = batch()
    tokens[:, 5] = model.eoc_id
    model(tokens, media, phi, labels=tokens).loss.backward()
    for row in (model.language.eoc_input, model.language.eoc_output):
        assert row.grad is not None and row.grad.abs().max() > 0
    assert model.language.lm.lm_head.weight.grad is None


def test_of_215_a_batch_without_labels_is_no_nan() -> None:
    model = tiny()
    tokens, media, phi = batch()
    loss = model(tokens, media, phi, labels=torch.full_like(tokens, -100)).loss
    assert loss == 0
    loss.backward()
    assert all(p.grad is None or p.grad.eq(0).all() for p in model.parameters())


def test_otter_and_flamingo_mini_padding_has_no_loss_and_no_influence() -> None:
    model = tiny()
    tokens, media, phi = batch()
    mask = torch.ones_like(tokens)
    mask[1, 8:] = 0
    labels = tokens.masked_fill(mask == 0, -100)
    with torch.no_grad():
        one = model(tokens, media, phi, attention_mask=mask, labels=labels)
        other = model(tokens.masked_fill(mask == 0, 7), media, phi, attention_mask=mask, labels=labels)
    assert torch.equal(one.loss, other.loss) and one.token_losses[1, 8:].eq(0).all()


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embeddings", [8, 4, 1])
def test_flamingo_pytorch_the_place_of_an_image_is_not_time(embeddings: int) -> None:
    """Its vectors are for the place in the row: the paper's five images crash with the default four."""
    model = tiny(resampler={"time_embeddings": embeddings})
    with torch.no_grad():
        visual = model.encode(Media.images(pictures(1).expand(5, -1, -1, -1), (5,)))
    assert all(torch.equal(tokens, visual[0]) for tokens in visual)


def test_of_and_flamingo_pytorch_8_frames_of_a_video_are_looked_at_together() -> None:
    """OF takes one frame only, flamingo-pytorch resampled each frame alone."""
    model = tiny()
    frames = pictures(3)
    with torch.no_grad():
        video = model.encode(Media(frames, (3,), (1,)))
        features = model.resampler.input(model.vision(frames))
        features = features + model.resampler.time(3)[:, None]
        wanted = model.resampler.body(features.flatten(0, 1)[None])
        turned = model.encode(Media(frames.flip(0), (3,), (1,)))
    assert video.shape == (1, 4, 48) and (video - wanted).abs().max() < 1e-5
    assert not torch.allclose(video, turned, atol=1e-4), "the order of the frames matters"


def test_flamingo_pytorch_14_keys_and_values_leak_nothing() -> None:
    """A false alarm there: they are of each visual token alone."""
    block = layer()
    visual = torch.randn(3, 4, 48)
    changed = visual.clone()
    changed[1] += 1
    one, other = block.keys_values(visual), block.keys_values(changed)
    for part, new in zip(one, other, strict=True):
        assert torch.equal(part[[0, 2]], new[[0, 2]]) and not torch.equal(part[1], new[1])


def test_peers_all_paths_have_the_mask() -> None:
    """Whichever way the attention is computed, a token without an image gets exactly nothing."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(*shape, generator=generator) for shape in [(1, 4, 2, 8), (2, 3, 2, 8), (2, 3, 2, 8)])
    layout = Layout(torch.tensor([[0, 1, 2, 0]]), (2,))
    for path in ("auto", "reference", "segments"):
        for every in (False, True):
            out = cross_attend(q, k, v, layout, all_previous=every, path=path)  # type: ignore[arg-type]
            assert out[0, [0, 3]].eq(0).all() and out[0, [1, 2]].ne(0).all(), (path, every)


def test_every_preset_has_the_paper_s_places() -> None:
    """OF and Otter begin at block n - 1, flamingo-pytorch after a block; the paper before the first."""
    assert load_config("flamingo-3b").cross_attention.insertion_points(24) == tuple(range(24))
    model = tiny()
    open_gates(model, 0.5)
    assert list(model.cross_attention) == ["0", "2"]
