"""Decoding step by step equals the full forward pass; searches equal slow ones in plain Python."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from tiny_models import pictures, tiny
from torch import Tensor

from flamingo_model.decoding import DecodingState, extend, select, start
from flamingo_model.generate import candidate_log_likelihoods, generate, probabilities
from flamingo_model.language import ArchitectureError
from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.phi import PhiError
from flamingo_model.view import in_type

WIDE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "intermediate_size": 96,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": WIDE | {"num_key_value_heads": 2},
    "gpt2": {"vocab_size": 300, "n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 64},
    "gpt_neox": WIDE,
    "opt": {
        **{name: value for name, value in WIDE.items() if name != "intermediate_size"},
        "ffn_dim": 96,
        "word_embed_proj_dim": 64,
        "activation_function": "relu",
    },
    # Every second layer sees 6 tokens back: the cache of such a layer drops what is older.
    "gemma2": {
        **WIDE,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "bloom": {"vocab_size": 300, "hidden_size": 64, "n_layer": 4, "n_head": 4},
}
LENGTH = 14
# Row 0 begins with text, row 1 gets its only image late, row 2 is in "next" mode and ends without an image.
PHI = torch.tensor([[0] * 2 + [1] * 6 + [2] * 6, [0] * 10 + [1] * 4, [1] * 4 + [2] * 4 + [3] * 3 + [0] * 3])
TOKENS = torch.randint(0, 300, PHI.shape, generator=torch.Generator().manual_seed(0))
PIXELS = pictures(6)
NOTHING: tuple[int, ...] = ()


def family(name: str, **tables: Any) -> Flamingo:
    model = tiny(language={"name": name, "options": FAMILIES[name]}, **tables)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.language.lm.parameters():  # Fresh ones give nearly uniform probabilities and hide mistakes.
        parameter.data += torch.randn(parameter.shape, generator=generator) * 0.1
    return model


def media(rows: Sequence[Sequence[int]]) -> Media:
    """The pictures of those places in PIXELS."""
    return Media.images(PIXELS[[place for row in rows for place in row]], tuple(len(row) for row in rows))


IMAGES = media([[0, 1], [2], [3, 4, 5]])
OWN = ([0, 1], [2], [3, 4, 5])


def of_row(row: int) -> Media:
    return media([OWN[row]])


@torch.no_grad()
def full(model: Flamingo, tokens: Tensor, images: Media | None, phi: Tensor, mask: Tensor | None = None) -> Tensor:
    logits = model(tokens, images, phi, attention_mask=mask).logits
    assert logits is not None
    return logits


def padded(lengths: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, phi and mask of the rows' first tokens, padded on the left."""
    longest = max(lengths)
    tokens, phi, mask = (torch.zeros(len(lengths), longest, dtype=torch.int64) for _ in range(3))
    for row, length in enumerate(lengths):
        tokens[row, longest - length :] = TOKENS[row, :length]
        phi[row, longest - length :] = PHI[row, :length]
        mask[row, longest - length :] = 1
    return tokens, phi, mask


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are several times slower on many threads where others compute too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> Flamingo:
    return family("llama")


@pytest.mark.parametrize("name", FAMILIES)
def test_each_step_gives_the_logits_of_the_full_pass(name: str) -> None:
    model = family(name)
    expected = full(model, TOKENS, IMAGES, PHI)
    state = start(model, TOKENS[:, :5], media([[0], [], [3, 4]]), PHI[:, :5])
    for place in range(5, LENGTH + 1):
        assert (state.logits - expected[:, place - 1]).abs().max() < 1e-5
        assert torch.equal(state.logits.argmax(-1), expected[:, place - 1].argmax(-1))
        if place == LENGTH:
            break
        arriving = {8: [[1], [], [5]], 10: [[], [2], []]}.get(place)
        images = media(arriving) if arriving else None
        state = extend(state, TOKENS[:, place : place + 1], images, PHI[:, place : place + 1])


def test_several_tokens_with_images_among_them_at_once(model: Flamingo) -> None:
    expected = full(model, TOKENS, IMAGES, PHI)
    state = start(model, TOKENS[:, :3], media([[0], [], [3]]), PHI[:, :3])
    state = extend(state, TOKENS[:, 3:12], media([[1], [2], [4, 5]]), PHI[:, 3:12])
    assert (state.logits - expected[:, 11]).abs().max() < 1e-5
    state = extend(state, TOKENS[:, 12:], phi=PHI[:, 12:])
    assert (state.logits - expected[:, 13]).abs().max() < 1e-5


def test_a_new_token_sees_what_the_one_before_it_saw(model: Flamingo) -> None:
    expected = full(model, TOKENS, IMAGES, PHI)
    state = start(model, TOKENS[:, :12], IMAGES, PHI[:, :12])
    for place in (12, 13):
        state = extend(state, TOKENS[:, place : place + 1])
    assert (state.logits - expected[:, 13]).abs().max() < 1e-5
    both = extend(start(model, TOKENS[:, :12], IMAGES, PHI[:, :12]), TOKENS[:, 12:])
    assert (both.logits - expected[:, 13]).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "bloom"])
def test_left_padding_changes_nothing(name: str) -> None:
    model = family(name)
    lengths = (5, 12, 9)
    tokens, phi, mask = padded(lengths)
    state = start(model, tokens, IMAGES, phi, mask)
    for row, length in enumerate(lengths):
        alone = full(model, TOKENS[row : row + 1, :length], of_row(row), PHI[row : row + 1, :length])
        assert (state.logits[row] - alone[0, -1]).abs().max() < 1e-5
    state = extend(state, TOKENS[:, 12:13])
    # Two more in row 0, one in row 1, three in row 2.
    more = torch.tensor([[0, 7, 8], [0, 0, 9], [10, 11, 12]])
    seen = torch.tensor([[0, 1, 1], [0, 0, 1], [1, 1, 1]])
    state = extend(state, more, attention_mask=seen)
    for row, length in enumerate(lengths):
        ids = torch.cat([TOKENS[row, :length], TOKENS[row, 12:13], more[row][seen[row].bool()]])[None]
        last = PHI[row, length - 1]
        sees = torch.cat([PHI[row, :length], last.expand(ids.shape[1] - length)])[None]
        assert (state.logits[row] - full(model, ids, of_row(row), sees)[0, -1]).abs().max() < 1e-5


def test_rows_of_different_lengths_generate_as_if_alone(model: Flamingo) -> None:
    lengths = (5, 12, 9)
    tokens, phi, mask = padded(lengths)
    for beams in (1, 3):
        options: Any = {"max_new_tokens": 8, "num_beams": beams}
        free = generate(model, tokens, IMAGES, phi, attention_mask=mask, eos=NOTHING, **options)
        options["eos"] = [free[0][2], free[2][5]]
        together = generate(model, tokens, IMAGES, phi, attention_mask=mask, **options)
        assert len({len(ids) for ids in together}) > 1  # Some rows ended before others.
        for row, length in enumerate(lengths):
            prompt = TOKENS[row : row + 1, :length], of_row(row), PHI[row : row + 1, :length]
            assert generate(model, *prompt, **options) == [together[row]]


@pytest.mark.parametrize(
    "change",
    [
        {"placement": "grafting", "graft_layers": 2},
        {"placement": "middle"},
        {"attend": "all_previous"},
        {"gate": "none", "feed_forward": False},
        {"gate": "tanh_vector", "qk_norm": True, "activation": "swiglu", "norm": "rms_norm"},
    ],
    ids=str,
)
def test_ablations_decode_as_they_compute(change: dict[str, Any]) -> None:
    model = tiny(cross_attention=change)
    tokens, phi, mask = padded((7, 12, 10))
    state = select(start(model, tokens, IMAGES, phi, mask), [2, 0, 1, 1])
    more = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    state = extend(extend(state, more[:, :1]), more[:, 1:])
    order = [2, 0, 1, 1]
    everything = torch.cat([tokens[order], more], dim=1)
    sees = torch.cat([phi[order], phi[order, -1:], phi[order, -1:]], dim=1)
    shown = torch.cat([mask[order], torch.ones(4, 2, dtype=torch.int64)], dim=1)
    expected = full(model, everything, media([OWN[row] for row in order]), sees, shown)
    assert (state.logits - expected[:, -1]).abs().max() < 1e-5
    new_picture = extend(state, more[:, :1], media([[], [0], [], [4]]), torch.tensor([[3], [3], [1], [2]]))
    everything = torch.cat([everything, more[:, :1]], dim=1)
    sees = torch.cat([sees, torch.tensor([[3], [3], [1], [2]])], dim=1)
    shown = torch.cat([shown, torch.ones(4, 1, dtype=torch.int64)], dim=1)
    images = media([OWN[2], [0, 1, 0], OWN[1], [2, 4]])
    assert (new_picture.logits - full(model, everything, images, sees, shown)[:, -1]).abs().max() < 1e-5


def test_a_state_is_a_value(model: Flamingo) -> None:
    state = start(model, TOKENS[:, :8], IMAGES, PHI[:, :8])
    before = state.logits.clone()
    first = extend(state, TOKENS[:, 8:9]).logits
    extend(select(state, [2, 2, 0]), TOKENS[:, 9:12])
    extend(state, TOKENS[:, 8:9], media([[3], [], []]), PHI[:, 8:9])
    assert torch.equal(extend(state, TOKENS[:, 8:9]).logits, first)
    state.__dict__.pop("logits")
    assert torch.equal(state.logits, before)


@pytest.mark.parametrize("beams", [1, 3])
def test_keys_and_values_are_computed_once_for_each_image(model: Flamingo, beams: int) -> None:
    computed: list[int] = []
    projections = [m for name, m in model.cross_attention.named_modules() if name.endswith(("to_k", "to_v"))]
    handles = [m.register_forward_hook(lambda _, args, __: computed.append(len(args[0]))) for m in projections]
    try:
        generate(model, TOKENS[:, :9], IMAGES, PHI[:, :9], max_new_tokens=6, num_beams=beams, eos=NOTHING)
    finally:
        for handle in handles:
            handle.remove()
    assert computed == [6] * len(projections) and len(projections) == 4


def shares(state: DecodingState) -> bool:
    """The keys that a decoded token uses lie where those of all images lie."""
    assert state.view is not None
    return all(
        state.view.seen[i].keys.untyped_storage().data_ptr() == own.keys.untyped_storage().data_ptr()
        for i, own in state.seen.items()
    )


def test_beams_share_keys_and_values(model: Flamingo) -> None:
    one = extend(start(model, TOKENS[:1, :12], of_row(0), PHI[:1, :12]), TOKENS[:1, 12:13])
    assert shares(one) and one.view is not None and len(one.view.seen[0].keys) == 1
    beams = extend(select(one, [0, 0, 0]), torch.tensor([[1], [2], [3]]))
    assert shares(beams) and beams.view is not None and len(beams.view.seen[0].keys) == 1
    assert (
        extend(select(beams, [1, 1, 0]), torch.tensor([[1], [2], [3]])).view is beams.view
    )  # Made once, not each time.
    rows = select(start(model, TOKENS[:, :10], IMAGES, PHI[:, :10]), [0, 0, 1, 2, 2])
    view = extend(rows, torch.ones(5, 1, dtype=torch.int64)).view
    assert view is not None and len(view.seen[0].keys) == 2  # Row 1 sees none yet, row 0 its second, row 2 its third.


def plain_beam_search(
    model: Flamingo, row: int, length: int, beams: int, stops: set[int], most: int, least: int, penalty: float
) -> list[int]:
    """All hypotheses through the full model at each step; nothing is ended early."""
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    done: list[tuple[float, list[int]]] = []
    tokens, phi, images = TOKENS[row, :length].tolist(), PHI[row, :length].tolist(), of_row(row)
    for step in range(1, most + 1):
        found = []
        for score, text in live:
            ids, sees = torch.tensor([tokens + text]), torch.tensor([phi + phi[-1:] * len(text)])
            gains = full(model, ids, images, sees)[0, -1].log_softmax(-1).tolist()
            for token, gain in enumerate(gains):
                if step > least or token not in stops:
                    found.append((score + gain, [*text, token]))
        found.sort(reverse=True)
        done += [(score, text) for score, text in found[:beams] if text[-1] in stops]
        live = [(score, text) for score, text in found if text[-1] not in stops][:beams]
    return max(done + live, key=lambda result: result[0] / len(result[1]) ** penalty)[1]


# With every third id an end, results come early, and better ones later: ending a search too soon would be seen.
@pytest.mark.parametrize(
    ("penalty", "least", "every"), [(0.0, 0, 7), (1.0, 0, 3), (2.0, 0, 3), (-0.5, 0, 7), (0.6, 3, 7)]
)
def test_beam_search_equals_a_plain_one(model: Flamingo, penalty: float, least: int, every: int) -> None:
    lengths = (9, 12, 7)
    tokens, phi, mask = padded(lengths)
    stops = set(range(0, 300, every))
    results = generate(
        model,
        tokens,
        IMAGES,
        phi,
        attention_mask=mask,
        max_new_tokens=5,
        min_new_tokens=least,
        num_beams=3,
        length_penalty=penalty,
        eos=tuple(stops),
    )
    for row, length in enumerate(lengths):
        stop_ids = {*stops, model.eoc_id}
        assert results[row] == plain_beam_search(model, row, length, 3, stop_ids, 5, least, penalty)


def test_the_beam_tests_see_ends_of_all_kinds(model: Flamingo) -> None:
    """That the comparison above is not one of texts that all run to the limit."""
    stops = tuple(range(0, 300, 7))
    prompts = TOKENS[:, :9], IMAGES, PHI[:, :9]
    lengths = [
        len(ids)
        for penalty in (0.0, 1.0, -0.5)
        for ids in generate(model, *prompts, max_new_tokens=5, num_beams=3, length_penalty=penalty, eos=stops)
    ]
    assert min(lengths) < 5 == max(lengths)


def test_greedy_takes_the_likeliest_token_each_time(model: Flamingo) -> None:
    results = generate(model, TOKENS[:, :9], IMAGES, PHI[:, :9], max_new_tokens=6, eos=NOTHING, stop_at_eoc=False)
    for row in range(3):
        ids, sees = TOKENS[row : row + 1, :9], PHI[row : row + 1, :9]
        for token in results[row]:
            assert int(full(model, ids, of_row(row), sees)[0, -1].argmax()) == token
            ids, sees = torch.cat([ids, torch.tensor([[token]])], dim=1), torch.cat([sees, sees[:, -1:]], dim=1)


def test_images_matter_to_what_is_generated(model: Flamingo) -> None:
    options: Any = {"max_new_tokens": 12, "eos": NOTHING}
    shown = generate(model, TOKENS[:1, :9], of_row(0), PHI[:1, :9], **options)
    assert shown != generate(model, TOKENS[:1, :9], media([[4, 5]]), PHI[:1, :9], **options)
    assert shown != generate(model, TOKENS[:1, :9], None, torch.zeros_like(PHI[:1, :9]), **options)


def test_text_ends_at_eos_and_not_before_the_least_length(model: Flamingo) -> None:
    prompt = TOKENS[:1, :9], of_row(0), PHI[:1, :9]
    free = generate(model, *prompt, max_new_tokens=8, eos=NOTHING)[0]
    end = free[4]
    first = free.index(end) + 1
    assert generate(model, *prompt, max_new_tokens=8, eos=end) == [free[:first]]
    later = generate(model, *prompt, max_new_tokens=8, min_new_tokens=first, eos=end)[0]
    assert later[: first - 1] == free[: first - 1] and later[first - 1] != end and len(later) > first
    assert generate(model, *prompt, max_new_tokens=first, eos=end) == [free[:first]]
    model.language.lm.config.eos_token_id, before = [end], model.language.lm.config.eos_token_id
    try:
        assert generate(model, *prompt, max_new_tokens=8) == [free[:first]]
    finally:
        model.language.lm.config.eos_token_id = before


@pytest.mark.parametrize("beams", [1, 3])
def test_text_ends_at_eoc(beams: int) -> None:
    model = family("llama")
    prompt = TOKENS[:1, :9], of_row(0), PHI[:1, :9]
    options: Any = {"max_new_tokens": 8, "num_beams": beams, "eos": NOTHING}
    free = generate(model, *prompt, **options)[0]
    assert model.eoc_id not in free and len(free) == 8
    states = [start(model, *prompt)]
    for token in free[:3]:
        states.append(extend(states[-1], torch.tensor([[token]])))
    # The row that makes <EOC> impossible after none to two of these tokens, and by far the likeliest after three.
    hidden = torch.cat([state.last for state in states])
    model.language.eoc_output.data = torch.linalg.pinv(hidden) @ torch.tensor([-30.0, -30.0, -30.0, 30.0])
    assert generate(model, *prompt, **options) == [[*free[:3], model.eoc_id]]
    on = generate(model, *prompt, stop_at_eoc=False, **options)[0]
    assert on[:4] == [*free[:3], model.eoc_id] and len(on) == 8


def test_sampling_follows_its_generator(model: Flamingo) -> None:
    def draw(seed: int, **options: Any) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        options = {"max_new_tokens": 6, "do_sample": True, "generator": generator, "eos": NOTHING} | options
        return generate(model, TOKENS[:, :9], IMAGES, PHI[:, :9], **options)

    assert draw(1) == draw(1) != draw(2)
    greedy = generate(model, TOKENS[:, :9], IMAGES, PHI[:, :9], max_new_tokens=6, eos=NOTHING)
    assert draw(1, top_k=1) == draw(2, top_p=1e-6) == draw(3, temperature=1e-4) == greedy
    for row, ids in enumerate(draw(5, top_k=3)):
        tokens, sees = TOKENS[row : row + 1, :9], PHI[row : row + 1, :9]
        for token in ids:
            assert token in full(model, tokens, of_row(row), sees)[0, -1].topk(3).indices.tolist()
            tokens, sees = torch.cat([tokens, torch.tensor([[token]])], dim=1), torch.cat([sees, sees[:, -1:]], dim=1)


def test_sampling_frequencies_are_the_probabilities(model: Flamingo) -> None:
    """One token in each of many rows: within five standard errors."""
    rows = 4000
    prompts = TOKENS[:1, :9].expand(rows, -1), None, torch.zeros(rows, 9, dtype=torch.int64)
    p = probabilities(start(model, prompts[0][:1], None, prompts[2][:1]).logits, temperature=0.5, top_k=5)[0]
    generator = torch.Generator().manual_seed(0)
    options: Any = {"do_sample": True, "temperature": 0.5, "top_k": 5, "generator": generator}
    drawn = torch.tensor(generate(model, *prompts, max_new_tokens=1, eos=NOTHING, **options)).flatten()
    frequency = torch.bincount(drawn, minlength=301) / rows
    assert int((frequency > 0).sum()) == 5
    assert ((frequency - p).abs() <= 5 * (p * (1 - p) / rows).sqrt() + 1e-9).all()


def test_probabilities_against_plain_arithmetic() -> None:
    logits = torch.tensor([[2.0, 0.5, 1.0, -1.0, 1.5]])
    plain = [math.exp(x / 0.7) for x in logits[0].tolist()]
    assert torch.allclose(probabilities(logits, 0.7)[0], torch.tensor(plain) / sum(plain))
    two = [plain[0], 0, 0, 0, plain[4]]
    assert torch.allclose(probabilities(logits, 0.7, top_k=2)[0], torch.tensor(two) / sum(two))
    shares = [x / sum(plain) for x in plain]
    just_over = shares[0] + 1e-4
    assert probabilities(logits, 0.7, top_p=just_over)[0].nonzero().flatten().tolist() == [0, 4]
    assert probabilities(logits, 0.7, top_p=shares[0] - 1e-4)[0].tolist() == [1, 0, 0, 0, 0]
    assert torch.equal(probabilities(logits, top_k=9, top_p=1.0), logits.softmax(-1))


CANDIDATES = [[[5], [6, 7, 8], [5, 9]], [], [[300, 3], [11, 12, 13, 14], [4], [11, 12]]]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("at_once", [2, 64])
def test_candidates_have_the_likelihood_of_the_full_pass(name: str, at_once: int) -> None:
    model = family(name)
    lengths = (12, 5, 9)
    tokens, phi, mask = padded(lengths)
    found = candidate_log_likelihoods(model, tokens, IMAGES, phi, CANDIDATES, attention_mask=mask, batch=at_once)
    normalised = candidate_log_likelihoods(
        model, tokens, IMAGES, phi, CANDIDATES, attention_mask=mask, length_normalised=True
    )
    assert [len(own) for own in found] == [3, 0, 4]
    for row, length in enumerate(lengths):
        for place, candidate in enumerate(CANDIDATES[row]):
            ids = torch.cat([TOKENS[row, :length], torch.tensor(candidate)])[None]
            sees = torch.cat([PHI[row, :length], PHI[row, length - 1].expand(len(candidate))])[None]
            gains = full(model, ids, of_row(row), sees)[0].log_softmax(-1)
            expected = sum(float(gains[length - 1 + i, token]) for i, token in enumerate(candidate))
            assert abs(found[row][place] - expected) < 1e-5
            assert abs(normalised[row][place] - expected / len(candidate)) < 1e-5


def test_the_prompt_of_candidates_is_read_once(model: Flamingo) -> None:
    read: list[tuple[int, ...]] = []
    block = model.language.blocks[0]
    handle = block.register_forward_hook(lambda _, __, out: read.append(tuple(_first(out).shape[:2])))
    encoded: list[int] = []
    other = model.vision.register_forward_hook(lambda _, args, __: encoded.append(len(args[0])))
    try:
        candidate_log_likelihoods(model, TOKENS[:, :9], IMAGES, PHI[:, :9], CANDIDATES)
    finally:
        handle.remove()
        other.remove()
    assert encoded == [6]
    assert read == [(3, 9), (5, 3)]  # The prompts; five candidates of more than one token, without their last.


def _first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple) else out


def test_candidates_near_the_last_position() -> None:
    """Padding of a short candidate must not ask a learnt table for a position that it has not."""
    model = family("gpt2")
    tokens, phi = torch.ones(2, 62, dtype=torch.int64), torch.zeros(2, 62, dtype=torch.int64)
    mask = torch.ones(2, 62, dtype=torch.int64)
    mask[1, :20] = 0
    found = candidate_log_likelihoods(model, tokens, None, phi, [[[1, 2]], [list(range(8))]], attention_mask=mask)
    assert all(math.isfinite(value) for own in found for value in own)


def test_encoded_images_can_be_given(model: Flamingo) -> None:
    prompt = TOKENS[:, :9], IMAGES, PHI[:, :9]
    with torch.no_grad():
        visual = model.encode(IMAGES)
    expected = generate(model, *prompt, max_new_tokens=4, eos=NOTHING)
    assert generate(model, *prompt, visual=visual, max_new_tokens=4, eos=NOTHING) == expected
    other = generate(model, *prompt, visual=visual.flip(0) * 3, max_new_tokens=4, eos=NOTHING)
    assert other != expected


def test_weights_cast_once_are_the_same_bit_for_bit() -> None:
    model = tiny(language={"dtype": "bfloat16"})
    layer = model.cross_attention["0"]
    ready = in_type(layer, torch.bfloat16)
    assert ready is not layer and in_type(layer, torch.float32) is layer
    assert {p.dtype for p in layer.parameters()} == {torch.float32}
    assert ready.attention.to_q.weight.dtype == torch.bfloat16
    assert ready.attention_gate.alpha is layer.attention_gate.alpha  # type: ignore[union-attr]
    expected = full(model, TOKENS, IMAGES, PHI)
    state = start(model, TOKENS, IMAGES, PHI)
    assert torch.equal(state.logits, expected[:, -1])
    stepwise = start(model, TOKENS[:, :10], IMAGES, PHI[:, :10])
    for place in range(10, LENGTH):
        stepwise = extend(stepwise, TOKENS[:, place : place + 1], phi=PHI[:, place : place + 1])
    assert (stepwise.logits - expected[:, -1]).abs().max() < 0.05 * expected.abs().max()


def test_no_gradients_and_nothing_left_behind(model: Flamingo) -> None:
    state = extend(start(model, TOKENS[:, :9], IMAGES, PHI[:, :9]), TOKENS[:, 9:10])
    assert not state.logits.requires_grad
    assert not any(layer.keys.requires_grad for layer in state.cache.layers)
    model(TOKENS, IMAGES, PHI, labels=TOKENS).loss.backward()
    model.zero_grad()


PROMPT = TOKENS[:1, :5], of_row(0), PHI[:1, :5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": 2, "min_new_tokens": 3}, "min_new_tokens 3"),
        ({"max_new_tokens": 2, "num_beams": 0}, "num_beams is 0"),
        ({"max_new_tokens": 2, "num_beams": 301}, "must be 1 to 2"),
        ({"max_new_tokens": 2, "num_beams": 2, "do_sample": True}, "beam search draws nothing"),
        ({"max_new_tokens": 2, "temperature": 0.0}, "temperature 0.0"),
        ({"max_new_tokens": 2, "top_p": 1.5}, "top_p 1.5"),
        ({"max_new_tokens": 61}, "a row of 65 tokens, prompt and generated ones, is longer than the 64 positions"),
    ],
)
def test_options_that_cannot_be(model: Flamingo, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(model, *PROMPT, **options)


def test_the_longest_text_that_fits(model: Flamingo) -> None:
    assert len(generate(model, *PROMPT, max_new_tokens=60, eos=NOTHING, stop_at_eoc=False)[0]) == 60


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tokens": TOKENS[:1, :0], "phi": PHI[:1, :0]}, ValueError, "a prompt is empty"),
        ({"tokens": TOKENS[0, :5]}, ValueError, r"must be integers \[batch, tokens\]"),
        ({"tokens": TOKENS[:1, :5].float()}, ValueError, r"torch.float32 \[1, 5\], must be integers"),
        ({"tokens": torch.tensor([[1, 2, 301, 4, 5]])}, ValueError, "token 301 is no id: they are 0 to 300"),
        ({"phi": PHI[:1, :4]}, ValueError, r"phi is \[1, 4\], must be \[1, 5\]"),
        ({"phi": torch.tensor([[0, 1, 2, 3, 3]])}, PhiError, "phi is 3 in row 0, which has 2 images"),
        ({"phi": torch.tensor([[0, 2, 2, 1, 1]])}, PhiError, "phi falls from 2 to 1 in row 0"),
        ({"images": media([[0], [1]])}, ValueError, "the images are of 2 rows, the tokens of 1"),
        ({"attention_mask": torch.tensor([[1, 1, 1, 0, 0]])}, ValueError, "row 0 ends in padding"),
        ({"attention_mask": torch.ones(1, 4)}, ValueError, r"attention_mask is \[1, 4\]"),
        ({"tokens": torch.ones(1, 70, dtype=torch.int64)}, ValueError, "longer than the 64 positions"),
    ],
)
def test_prompts_that_cannot_be(model: Flamingo, change: dict[str, Any], error: type, message: str) -> None:
    arguments = {"tokens": PROMPT[0], "images": PROMPT[1], "phi": PROMPT[2]} | change
    with pytest.raises(error, match=message):
        start(model, **arguments)


def test_extensions_that_cannot_be(model: Flamingo) -> None:
    state = start(model, TOKENS[:1, :9], of_row(0), PHI[:1, :9])
    one = TOKENS[:1, 9:10]
    with pytest.raises(ValueError, match="images are given without phi"):
        extend(state, one, media([[3]]))
    with pytest.raises(PhiError, match="phi falls from 2 to 1"):
        extend(state, one, phi=torch.tensor([[1]]))
    with pytest.raises(PhiError, match="phi is 3 in row 0, which has 2 images"):
        extend(state, one, phi=torch.tensor([[3]]))
    with pytest.raises(ValueError, match=r"must be \[1, 1 or more\]"):
        extend(state, TOKENS[:2, 9:10])
    with pytest.raises(ValueError, match="the images are of 2 rows"):
        extend(state, one, media([[3], [4]]), torch.tensor([[3]]))
    with pytest.raises(ValueError, match="longer than the 64 positions"):
        extend(state, torch.ones(1, 56, dtype=torch.int64))
    after_nothing = extend(extend(state, one, phi=torch.tensor([[0]])), one)
    with pytest.raises(PhiError, match="phi falls from 2 to 1"):
        extend(after_nothing, one, phi=torch.tensor([[1]]))


def test_candidates_that_cannot_be(model: Flamingo) -> None:
    with pytest.raises(ValueError, match="candidates are of 2 rows, the tokens of 1"):
        candidate_log_likelihoods(model, *PROMPT, [[[1]], [[2]]])
    for wrong in ([], [301], [-1]):
        with pytest.raises(ValueError, match="of row 0 must be one or more ids"):
            candidate_log_likelihoods(model, *PROMPT, [[[1], wrong]])


def test_a_language_model_without_such_a_cache_is_refused() -> None:
    options = {"vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 4, "state_size": 8}
    model = tiny(language={"name": "mamba", "options": options})
    with pytest.raises(ArchitectureError, match="MambaForCausalLM takes no past_key_values"):
        start(model, TOKENS[:1, :5], of_row(0), PHI[:1, :5])
