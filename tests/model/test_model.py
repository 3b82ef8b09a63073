"""The whole model: who sees whom (by gradient), what changes nothing, what learns."""

import pytest
import torch
from tiny_models import batch, open_gates, pictures, tiny, tiny_config

from flamingo_model.config import ConfigError
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.phi import PhiError


def double(model: Flamingo) -> Flamingo:
    return model.double()


def visual_gradients(model: Flamingo, place: int) -> list[float]:
    """For each of the 5 images of the batch, the size of the gradient of the logits at a place of both rows."""
    tokens, media, phi = batch()
    media = Media.images(media.pixels.double(), media.per_row)
    visual = model.encode(media).detach().requires_grad_()
    model(tokens, media, phi, visual=visual).logits[:, place].sum().backward()
    assert visual.grad is not None
    return visual.grad.abs().amax(dim=(1, 2)).tolist()


@pytest.mark.parametrize("attend", ["single", "all_previous"])
def test_a_token_depends_on_its_image_and_those_of_earlier_tokens_only(attend: str) -> None:
    """Row 0 looks back (text before the first image), row 1 ahead; an image reaches later tokens through the text."""
    model = double(tiny(cross_attention={"attend": attend, "every": 1}))
    _, _, phi = batch()
    for place in range(12):
        seen = [size > 0 for size in visual_gradients(model, place)]
        first = [image <= int(phi[0, : place + 1].max()) for image in (1, 2, 3)]
        second = [image <= int(phi[1, : place + 1].max()) for image in (1, 2)]
        assert seen == first + second, place


def test_with_one_inserted_layer_only_the_named_image_is_seen() -> None:
    """The layer is before the last block; what it gives an earlier token cannot come back except through that block."""
    model = double(tiny(cross_attention={"every": 9, "offset": 3}))
    block = model.language.blocks[3]
    block.self_attn.o_proj.weight.data.zero_()  # The last block then carries nothing between tokens.
    _, _, phi = batch()
    for place in range(12):
        seen = [size > 0 for size in visual_gradients(model, place)]
        named = [int(phi[0, place]) == image for image in (1, 2, 3)] + [int(phi[1, place]) == image for image in (1, 2)]
        assert seen == named, place


def test_pixels_of_images_that_are_not_seen_have_a_gradient_of_exactly_zero() -> None:
    model = double(tiny(vision={"frozen": False}))
    tokens, media, phi = batch()
    pixels = media.pixels.double().requires_grad_()
    model(tokens, Media.images(pixels, media.per_row), phi).logits[0, 4].sum().backward()
    assert pixels.grad is not None
    assert pixels.grad[0].abs().max() > 0
    assert torch.equal(pixels.grad[1:], torch.zeros_like(pixels.grad[1:]))


def test_a_token_does_not_depend_on_later_tokens() -> None:
    model = double(tiny())
    tokens, media, phi = batch()
    media = Media.images(media.pixels.double(), media.per_row)
    embedded = model.language.embed(tokens).detach()
    model.language.embed = lambda _: embedded  # type: ignore[method-assign]
    for place in (0, 5, 10):
        embedded.requires_grad_().grad = None
        model(tokens, media, phi).logits[:, place].sum().backward()
        assert embedded.grad is not None
        assert torch.equal(embedded.grad[:, place + 1 :], torch.zeros_like(embedded.grad[:, place + 1 :]))
        assert embedded.grad[:, place].abs().max() > 0


def test_images_that_nobody_sees_change_no_bit() -> None:
    model = tiny()
    tokens, media, phi = batch()
    phi = phi.clone()
    phi[0, 7:] = 2  # Nobody sees the third image.
    other = media.pixels.clone()
    other[2] = 100.0
    with torch.no_grad():
        logits = model(tokens, media, phi).logits
        assert torch.equal(model(tokens, Media.images(other, media.per_row), phi).logits, logits)


def test_text_before_the_first_image_is_untouched_by_any_image() -> None:
    model = tiny()
    tokens, media, phi = batch()
    with torch.no_grad():
        logits = model(tokens, media, phi).logits
        other = model(tokens, Media.images(media.pixels * 3 + 1, media.per_row), phi).logits
    assert torch.equal(logits[0, :2], other[0, :2])
    assert not torch.equal(logits[0, 2], other[0, 2])


def test_the_place_of_rows_and_padding_images_changes_nothing() -> None:
    model = double(tiny())
    tokens, media, phi = batch()
    pixels = media.pixels.double()
    with torch.no_grad():
        logits = model(tokens, Media.images(pixels, (3, 2)), phi).logits
        swapped = model(tokens.flip(0), Media.images(pixels[[3, 4, 0, 1, 2]], (2, 3)), phi.flip(0)).logits
        padded = torch.zeros(2, 5, 1, 3, 32, 32, dtype=torch.float64)
        padded[0, :3, 0], padded[1, :2, 0] = pixels[:3], pixels[3:]
        with_padding = model(tokens, padded, phi).logits
    assert (swapped.flip(0) - logits).abs().max() < 1e-12
    assert (with_padding - logits).abs().max() < 1e-12


def test_images_in_another_order_with_phi_to_match() -> None:
    """Two rows that see the same two pictures, stored once in either order: phi says which is which."""
    model = double(tiny())
    tokens = batch()[0][:1]
    pixels = pictures(2).double()
    one = torch.tensor([[0] * 4 + [1] * 8])
    with torch.no_grad():
        first = model(tokens, Media.images(pixels, (2,)), one).logits
        second = model(tokens, Media.images(pixels.flip(0), (2,)), one * 2).logits
    assert (first - second).abs().max() < 1e-12


def test_a_video_of_ragged_length_beside_images() -> None:
    model = double(tiny())
    tokens, _, phi = batch()
    pixels = pictures(3 + 4 + 1 + 1 + 8).double()
    mixed = model(tokens, Media(pixels, (3, 4, 1, 1, 8), (3, 2)), phi).logits
    row = model(tokens[:1], Media(pixels[:8], (3, 4, 1), (3,)), phi[:1]).logits
    assert (mixed[:1] - row).abs().max() < 1e-12


def test_a_batch_without_any_image() -> None:
    model = tiny()
    tokens = batch()[0]
    none = torch.zeros_like(tokens)
    out = model(tokens, None, none, labels=tokens)
    out.loss.backward()
    missing = [name for name, parameter in model.trained().items() if parameter.grad is None]
    assert missing == ["language.eoc_input"] or missing == []
    for name, parameter in model.trained().items():
        if "attention.to_" in name and "cross" in name and parameter.grad is not None:
            assert torch.equal(parameter.grad, torch.zeros_like(parameter)), name


def test_the_feed_forward_layer_acts_on_tokens_without_an_image() -> None:
    """Section 3.1.2: only the attention is masked; so a text is unchanged at gate 0, not after training."""
    model = tiny(gates=0.0)
    tokens = batch()[0]
    none = torch.zeros_like(tokens)
    with torch.no_grad():
        before = model(tokens, None, none).logits
        for layer in model.cross_attention.values():
            layer.attention_gate.alpha.fill_(1.0)
        assert torch.equal(model(tokens, None, none).logits, before)
        open_gates(model, 0.5)
        assert not torch.equal(model(tokens, None, none).logits, before)


EXACTLY_TRAINED = (
    {f"resampler.body.attention.{i}.{name}" for i in range(2) for name in (
        "norm_q.weight", "norm_q.bias", "norm_kv.weight", "norm_kv.bias",
        "to_q.weight", "to_k.weight", "to_v.weight", "to_out.weight",
    )}
    | {f"resampler.body.feed_forward.{i}.{name}" for i in range(2) for name in (
        "norm.weight", "norm.bias", "up.weight", "down.weight",
    )}
    | {f"cross_attention.{i}.attention.{name}" for i in (0, 2) for name in (
        "norm_q.weight", "norm_q.bias", "norm_kv.weight", "norm_kv.bias",
        "to_q.weight", "to_k.weight", "to_v.weight", "to_out.weight",
    )}
    | {f"cross_attention.{i}.{name}" for i in (0, 2) for name in (
        "attention_gate.alpha", "feed_forward_gate.alpha", "feed_forward.norm.weight", "feed_forward.norm.bias",
        "feed_forward.up.weight", "feed_forward.down.weight",
    )}
    | {"resampler.input.weight", "resampler.body.latents", "resampler.time.weight"}
    | {"language.eoc_input", "language.eoc_output"}
)  # fmt: skip


def test_exactly_these_parameters_learn_and_no_frozen_bit_moves() -> None:
    model = tiny(gates=0.0).train()
    assert set(model.trained()) == EXACTLY_TRAINED
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if name not in EXACTLY_TRAINED}
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    before = {name: p.detach().clone() for name, p in model.trained().items()}
    tokens, media, phi = batch()
    tokens[:, -1] = model.eoc_id
    tokens[0, 4] = model.eoc_id
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(tokens, media, phi, labels=tokens).loss.backward()
        optimiser.step()
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name]), name
        else:
            assert not torch.equal(parameter, before[name]), name
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name]), name


def test_gates_are_two_scalars_a_layer_and_zero() -> None:
    model = tiny(gates=None)
    alphas = {name: p for name, p in model.named_parameters() if name.endswith("alpha")}
    assert len(alphas) == 2 * len(model.cross_attention)
    assert all(p.shape == (1,) and p.item() == 0 for p in alphas.values())


@pytest.mark.parametrize(
    "tables",
    [
        {"cross_attention": {"gate": "none"}},
        {"cross_attention": {"gate": "tanh_vector"}},
        {"cross_attention": {"feed_forward": False}},
        {"cross_attention": {"placement": "grafting", "graft_layers": 2}},
        {"cross_attention": {"placement": "middle"}},
        {"cross_attention": {"every": 4}},
        {"cross_attention": {"attend": "all_previous"}},
        {"cross_attention": {"activation": "swiglu", "norm": "rms_norm", "qk_norm": True, "kv_norm": False}},
        {"resampler": {"kind": "mlp"}},
        {"resampler": {"kind": "transformer"}},
        {"language": {"frozen": False}},
        {"vision": {"frozen": False}},
    ],
    ids=str,
)
def test_every_ablation_runs_and_all_that_should_learn_does(tables: dict[str, dict[str, object]]) -> None:
    model = tiny(**tables).train()
    tokens, media, phi = batch()
    tokens[:, -1] = tokens[:, 5] = model.eoc_id
    model(tokens, media, phi, labels=tokens).loss.backward()
    still = [name for name, p in model.trained().items() if p.grad is None or p.grad.abs().sum() == 0]
    # A Hugging Face ViT has a class token, whose last output is not taken, and a pooler, which is not asked.
    assert [name for name in still if "pooler" not in name] == []


def test_insertion_points() -> None:
    cross = tiny_config().cross_attention
    assert tiny_config(cross_attention={"every": 7}).cross_attention.insertion_points(80) == tuple(range(0, 80, 7))
    assert len(tiny_config(cross_attention={"every": 7}).cross_attention.insertion_points(80)) == 12
    assert cross.insertion_points(3) == (0, 2)
    assert tiny_config(cross_attention={"every": 4, "offset": 3}).cross_attention.insertion_points(10) == (3, 7)
    assert tiny_config(cross_attention={"placement": "middle"}).cross_attention.insertion_points(24) == (12,)
    with pytest.raises(ConfigError, match="offset 9 leaves no place in a language model of 4 blocks"):
        tiny_config(cross_attention={"offset": 9}).cross_attention.insertion_points(4)


def gradients(model: Flamingo) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    tokens, media, phi = batch()
    loss = model(tokens, media, phi, labels=tokens).loss
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.trained().items() if p.grad is not None}


@pytest.mark.parametrize("frozen", [True, False])
def test_checkpointing_gives_the_same_loss_and_gradients(frozen: bool) -> None:
    plain = tiny(language={"frozen": frozen}).train()
    saved = tiny(language={"frozen": frozen}).train()
    saved.checkpoint_activations()
    loss, wanted = gradients(plain)
    again, mine = gradients(saved)
    assert torch.equal(loss, again)
    assert wanted.keys() == mine.keys()
    for name, gradient in mine.items():
        assert torch.equal(gradient, wanted[name]), name


def test_checkpointing_survives_a_second_forward_before_the_first_backward() -> None:
    """Accumulation over data sets: what a layer sees when it is computed again is what it saw."""
    model = tiny().train()
    tokens, media, phi = batch()
    other = Media.images(pictures(5, seed=9), media.per_row)
    wanted = torch.autograd.grad(
        model(tokens, media, phi, labels=tokens).loss, list(model.trained().values()), allow_unused=True
    )
    model.checkpoint_activations()
    first = model(tokens, media, phi, labels=tokens).loss
    model(tokens, other, phi, labels=tokens)
    mine = torch.autograd.grad(first, list(model.trained().values()), allow_unused=True)
    for one, two in zip(mine, wanted, strict=True):
        assert (one is None and two is None) or torch.equal(one, two)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])  # a C++ compiler
def test_compiled_blocks_give_the_same_loss_and_gradients(backend: str) -> None:
    loss, wanted = gradients(tiny().train())
    model = tiny().train()
    model.compile_blocks(backend=backend)
    again, mine = gradients(model)
    assert (loss - again).abs() < 1e-6
    for name, gradient in mine.items():
        assert (gradient - wanted[name]).abs().max() < 1e-5, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m, p: (t.float(), m, p), r"tokens are torch.float32 \[2, 12\], must be integers"),
        (lambda t, m, p: (t[0], m, p), r"tokens are torch.int64 \[12\], must be integers \[batch, tokens\]"),
        (lambda t, m, p: (t, m, p[:, :5]), r"phi is \[2, 5\], must be \[2, 12\] as the tokens"),
        (lambda t, m, p: (t, Media.images(m.pixels, (5,)), p), "the images are of 1 rows, the tokens of 2"),
        (lambda t, m, p: (t, Media.images(m.pixels, (2, 3)), p), "phi is 3 in row 0, which has 2 images"),
        (lambda t, m, p: (t, None, p), "phi is 3 in row 0, which has 0 images"),
        (lambda t, m, p: (t + 1000, m, p), r"token ids are 1\d+ to 1\d+, must be 0 to at most 300"),
        (lambda t, m, p: (t, torch.zeros(2, 3, 3, 32, 32), p), r"must be \[B, N, T, 3, H, W\]"),
        (
            lambda t, m, p: (t, Media.images(pictures(5, size=48), (3, 2)), p),
            r"\[5, 3, 48, 48\], must be .*3, 32, 32\]",
        ),
        (lambda t, m, p: (t, list(m.pixels), p), "images are list, must be Media"),
        (lambda t, m, p: (t, m, None), "phi is None, must be integers"),
        (lambda t, m, p: (t[:0], None, p[:0]), r"tokens are \[0, 12\]: there is no token"),
        (lambda t, m, p: (t[:0], torch.zeros(0, 2, 1, 3, 32, 32), p[:0]), r"tokens are \[0, 12\]: there is no token"),
        (lambda t, m, p: (t[:, :0], m, p[:, :0]), r"tokens are \[2, 0\]: there is no token"),
    ],
)
def test_bad_input(change: object, message: str) -> None:
    with pytest.raises((ValueError, PhiError), match=message):
        tiny()(*change(*batch()))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("pixels", "frames", "rows", "message"),
    [
        (torch.zeros(2, 3, 0, 4), (1, 1), (2,), "a picture has no size"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), (1, 1), (2,), "pixels are torch.uint8, must be floats"),
        (torch.zeros(2, 1, 4, 4), (1, 1), (2,), r"must be \[frames, 3, height, width\]"),
        (torch.zeros(3, 3, 4, 4), (1, 1), (2,), "sum to the 3 pictures"),
        (torch.zeros(2, 3, 4, 4), (2, 0), (2,), "must be at least 1 each"),
        (torch.zeros(2, 3, 4, 4), (1, 1), (1,), "must sum to the 2 images and videos"),
    ],
)
def test_bad_media(pixels: torch.Tensor, frames: tuple[int, ...], rows: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Media(pixels, frames, rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": torch.zeros(2, 12)}, "labels are torch.float32, must be integers"),
        ({"loss_weights": torch.zeros(12)}, r"loss_weights is \[12\], must be \[2, 12\] as the tokens"),
        ({"visual": torch.zeros(3, 4, 48)}, r"visual is \[3, 4, 48\], must be \[5, R, 48\]"),
        ({"visual": torch.zeros(5, 4, 40)}, r"visual is \[5, 4, 40\], must be \[5, R, 48\]"),
    ],
)
def test_bad_arguments(arguments: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny()(*batch(), **arguments)


def test_visual_tokens_that_were_kept_in_another_type() -> None:
    model = tiny(language={"dtype": "bfloat16"})
    tokens, media, phi = batch()
    visual = model.encode(media)
    with torch.no_grad():
        assert torch.equal(model(tokens, media, phi, visual=visual.float()).logits, model(tokens, media, phi).logits)


def test_training_refuses_more_images_than_phi_names_and_named_drops_them() -> None:
    model = tiny()
    tokens, media, phi = batch()
    cut, labels = phi.clamp(max=2), tokens
    with pytest.raises(PhiError, match=r"row 0 has 3 images, its highest phi is 2 .* media\.named"):
        model(tokens, media, cut, labels=labels)
    assert model(tokens, media, cut).logits is not None  # Of a prompt whose text is yet to come.
    fewer = media.named(cut)
    assert fewer.per_row == (2, 2)
    padded = torch.zeros(2, 3, 1, 3, 32, 32)
    padded[0, :, 0], padded[1, :2, 0] = media.pixels[:3], media.pixels[3:]
    loss = model(tokens, fewer, cut, labels=labels).loss
    assert (model(tokens, padded, cut, labels=labels).loss - loss).abs() < 1e-6


def test_named_keeps_the_clips_of_the_images_it_keeps() -> None:
    media = Media(torch.arange(7.0)[:, None, None, None].expand(-1, 3, 2, 2), (1, 2, 3, 1), (3, 1))
    assert media.named(torch.tensor([[1, 3], [0, 1]])) is media
    fewer = media.named(torch.tensor([[0, 2], [0, 1]]))
    assert (fewer.frames, fewer.per_row, fewer.pixels[:, 0, 0, 0].tolist()) == ((1, 2, 1), (2, 1), [0.0, 1.0, 2.0, 6.0])
    none = media.named(torch.zeros(2, 5, dtype=torch.int64))
    assert (none.frames, none.per_row, list(none.pixels.shape)) == ((), (0, 0), [0, 3, 2, 2])
    with pytest.raises(ValueError, match="phi has 1 rows, the images are of 2"):
        media.named(torch.tensor([[1]]))
    assert media.to("meta").pixels.device.type == "meta"


def test_an_encoder_that_learns_has_gradients_without_pictures() -> None:
    """As every rank of a parallel run must."""
    model = tiny(vision={"frozen": False}).train()
    tokens, _, phi = batch()
    model(tokens, None, torch.zeros_like(phi), labels=tokens).loss.backward()
    for name, parameter in model.trained().items():
        assert parameter.grad is not None, name
        if name.startswith("vision."):
            assert torch.equal(parameter.grad, torch.zeros_like(parameter)), name


def test_padding_is_not_judged() -> None:
    """`labels=tokens` is what one writes: a batch then has the loss of its rows without their padding."""
    model = tiny()
    tokens, media, phi = batch()
    alone = model(tokens, media, phi, labels=tokens).loss
    padded, wider = (torch.nn.functional.pad(x, (0, 3)) for x in (tokens, phi))
    mask = torch.nn.functional.pad(torch.ones(2, 12), (0, 3))
    loss = model(padded, media, wider, attention_mask=mask, labels=padded).loss
    assert (loss - alone).abs() < 1e-6
