"""Cross-attention through phi: every path against a slow oracle that knows nothing of runs, masks or batches."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_model.attention import cross_attend
from flamingo_model.phi import Layout

PATHS = ("reference", "segments")


def oracle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, phi: torch.Tensor, counts: tuple[int, ...], every: bool):
    """Token by token and head by head: softmax over the keys of the images it sees."""
    rows = []
    for b in range(len(q)):
        first = sum(counts[:b])
        tokens = []
        for position in range(q.shape[1]):
            named = int(phi[b, position])
            if not named:
                tokens.append(torch.zeros_like(q[b, position]))
                continue
            begin = first if every else first + named - 1
            keys, values = (x[begin : first + named].reshape(-1, *x.shape[2:]) for x in (k, v))
            heads = []
            for head in range(q.shape[2]):
                scores = keys[:, head] @ q[b, position, head] / math.sqrt(q.shape[3])
                weights = (scores - scores.max()).exp()
                heads.append((weights / weights.sum()) @ values[:, head])
            tokens.append(torch.stack(heads))
        rows.append(torch.stack(tokens))
    return torch.stack(rows)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[torch.Tensor, tuple[int, ...]]:
    """phi of random rows, in either mode, with images that no token sees, repeated ones, and rows without images."""
    length = draw(st.integers(1, 9))
    rows, counts = [], []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 6))
        values = sorted(draw(st.lists(st.integers(0, count), min_size=length, max_size=length)))
        if draw(st.booleans()):
            values = [v for v in values if v] + [v for v in values if not v]
        rows.append(values)
        counts.append(count)
    return torch.tensor(rows), tuple(counts)


def qkv(phi: torch.Tensor, counts: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(int(phi.sum()) + phi.numel())
    shapes = ((*phi.shape, 2, 8), (sum(counts), 3, 2, 8), (sum(counts), 3, 2, 8))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


@settings(max_examples=60, deadline=None)
@given(layouts(), st.booleans())
def test_all_paths_agree_with_the_oracle_in_value_and_gradient(
    drawn: tuple[torch.Tensor, tuple[int, ...]], every: bool
) -> None:
    phi, counts = drawn
    inputs = qkv(phi, counts)
    wanted = oracle(*inputs, phi, counts, every)
    weights = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    gradients = torch.autograd.grad((wanted * weights).sum() + sum(x.sum() * 0 for x in inputs), inputs)
    for path in PATHS:
        out = cross_attend(*inputs, Layout(phi, counts), all_previous=every, path=path)
        assert (out - wanted).abs().max() < 1e-10, path
        assert (out[phi == 0] == 0).all(), path
        mine = torch.autograd.grad((out * weights).sum(), inputs)
        for gradient, theirs in zip(mine, gradients, strict=True):
            assert (gradient - theirs).abs().amax() < 1e-10 if gradient.numel() else True, path


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_paths_agree_in_lower_precision(dtype: torch.dtype, bound: float) -> None:
    phi, counts = torch.tensor([[0, 1, 1, 2, 2, 5], [1, 1, 0, 0, 0, 0]]), (5, 1)
    exact = oracle(*qkv(phi, counts), phi, counts, False)
    for path in PATHS:
        out = cross_attend(*qkv(phi, counts, dtype), Layout(phi, counts), path=path)
        assert out.dtype == dtype
        assert (out.double() - exact).abs().max() < bound, path


def test_equal_runs_take_the_batched_way_and_agree() -> None:
    for phi, counts in (([[1] * 4] * 3, (1, 1, 1)), ([[2]] * 2, (2, 3)), ([[1, 1, 2, 2]], (2,)), ([[3]], (3,))):
        layout = Layout(torch.tensor(phi), counts)
        assert layout.equal_runs is not None
        inputs = qkv(layout.phi, counts)
        assert (
            cross_attend(*inputs, layout, path="segments") - oracle(*inputs, layout.phi, counts, False)
        ).abs().max() < 1e-10


def test_a_token_without_an_image_is_exactly_zero_and_gives_no_gradient() -> None:
    phi, counts = torch.tensor([[0, 0, 1]]), (1,)
    for path in PATHS:
        q, k, v = qkv(phi, counts, torch.float32)
        out = cross_attend(q, k, v, Layout(phi, counts), path=path)
        assert torch.equal(out[:, :2], torch.zeros_like(out[:, :2]))
        out[:, :2].sum().backward()
        for x in (q, k, v):
            assert x.grad is not None
            assert torch.equal(x.grad, torch.zeros_like(x)), path


def test_no_image_in_the_whole_batch_still_reaches_every_input() -> None:
    """Ranks of a parallel run must have gradients for the same parameters, whatever their batch holds."""
    phi, counts = torch.zeros(2, 3, dtype=torch.int64), (0, 0)
    for path in PATHS:
        inputs = qkv(phi, counts)
        out = cross_attend(*inputs, Layout(phi, counts), path=path)
        assert torch.equal(out, torch.zeros_like(out))
        out.sum().backward()
        assert all(x.grad is not None for x in inputs)


def test_varlen_says_what_it_needs() -> None:
    phi, counts = torch.tensor([[1]]), (1,)
    with pytest.raises(ValueError, match="needs a GPU, bfloat16 or float16"):
        cross_attend(*qkv(phi, counts), Layout(phi, counts), path="varlen")


def test_keys_of_another_number_of_images() -> None:
    phi = torch.tensor([[1]])
    with pytest.raises(ValueError, match="2 images have keys, the layout has 1"):
        cross_attend(*qkv(phi, (2,)), Layout(phi, (1,)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@settings(max_examples=20, deadline=None)
@given(layouts())
def test_varlen_agrees_on_a_gpu(drawn: tuple[torch.Tensor, tuple[int, ...]]) -> None:
    phi, counts = drawn
    generator = torch.Generator().manual_seed(5)
    shapes = ((*phi.shape, 2, 64), (sum(counts), 64, 2, 64), (sum(counts), 64, 2, 64))
    inputs = [torch.randn(s, generator=generator).cuda().bfloat16().requires_grad_() for s in shapes]
    out = cross_attend(*inputs, Layout(phi, counts, torch.device("cuda")), path="varlen")
    wanted = cross_attend(*inputs, Layout(phi, counts, torch.device("cuda")), path="reference")
    assert (out - wanted).abs().max() < 2e-2
    assert (out[phi == 0] == 0).all()
