"""phi as an input: what it may be, and the layout that is made of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flamingo_model.phi import Layout, PhiError, check_named


def test_runs_follow_the_rows_and_name_packed_images() -> None:
    layout = Layout(torch.tensor([[0, 1, 1, 2], [2, 2, 0, 0], [0, 0, 0, 0]]), (2, 3, 0))
    assert [(run.length, run.image, run.first) for run in layout.runs] == [
        (1, -1, -1),
        (2, 0, 0),
        (1, 1, 0),
        (2, 3, 2),
        (2, -1, -1),
        (4, -1, -1),
    ]
    assert layout.packed.tolist() == [[-1, 0, 0, 1], [3, 3, -1, -1], [-1, -1, -1, -1]]
    assert layout.images == 5
    assert layout.padded_images.tolist() == [[0, 1, 0], [2, 3, 4], [0, 0, 0]]


def test_the_mask_shows_one_image_or_all_before() -> None:
    layout = Layout(torch.tensor([[0, 1, 2]]), (2,))
    assert layout.mask(1, all_previous=False)[0, 0].tolist() == [[False, False], [True, False], [False, True]]
    assert layout.mask(1, all_previous=True)[0, 0].tolist() == [[False, False], [True, False], [True, True]]
    assert layout.mask(3, all_previous=False).shape == (1, 1, 3, 6)


@pytest.mark.parametrize(
    ("phi", "counts", "message"),
    [
        ([[0, 1, 2]], (1,), "phi is 2 in row 0, which has 1 images"),
        ([[0, 1], [1, 0]], (1, 0), "phi is 1 in row 1, which has 0 images"),
        ([[0, -1]], (1,), "phi is -1 in row 0; 0 means no image"),
        ([[1, 2, 1]], (2,), "phi falls from 2 to 1 in row 0"),
        ([[2, 0, 1]], (2,), "phi falls from 2 to 1 in row 0"),
        ([[1]], (1, 1), "images_per_row names 2 rows, phi has 1"),
        ([[0]], (-1,), "row 0 has -1 images"),
    ],
)
def test_what_phi_may_not_be(phi: list[list[int]], counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(PhiError, match=message):
        Layout(torch.tensor(phi), counts)


@pytest.mark.parametrize("phi", [torch.tensor([1, 1]), torch.tensor([[1.0]]), torch.tensor([[True]])])
def test_phi_of_another_shape_or_type(phi: torch.Tensor) -> None:
    with pytest.raises(PhiError, match=r"must be integers \[batch, tokens\]"):
        Layout(phi, (1,) * len(phi))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=6), st.booleans())
def test_runs_say_the_same_as_phi(parts: list[tuple[int, int]], zeros_last: bool) -> None:
    images = sorted(image for image, _ in parts)
    values = [image for image, (_, length) in zip(images, parts, strict=True) for _ in range(length + 1)]
    if zeros_last:
        values = [value for value in values if value] + [value for value in values if not value]
    layout = Layout(torch.tensor([values, values]), (4, 5))
    told = [run.image for run in layout.runs for _ in range(run.length)]
    assert told == [v - 1 if v else -1 for v in values] + [v + 3 if v else -1 for v in values]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=6), st.booleans())
def test_edges_give_each_token_that_sees_an_image_to_it(parts: list[tuple[int, int]], zeros_last: bool) -> None:
    images = sorted(image for image, _ in parts)
    values = [image for image, (_, length) in zip(images, parts, strict=True) for _ in range(length + 1)]
    if zeros_last:
        values = [value for value in values if value] + [value for value in values if not value]
    layout = Layout(torch.tensor([[0] * len(values), values, values]), (0, 4, 5))
    edges, longest = layout.edges
    assert edges.dtype == torch.int32
    assert edges[0] == 0
    assert edges[-1] == 3 * len(values)
    assert longest == edges.diff().max()
    assert edges.diff().min() >= 0
    given_to = torch.arange(9).repeat_interleave(edges.diff())
    packed = layout.packed.flatten()
    assert torch.equal(given_to[packed >= 0], packed[packed >= 0])


def test_equal_runs_name_images_only_if_they_are_not_in_order() -> None:
    layout = Layout(torch.tensor([[1, 1, 2, 2], [1, 1, 2, 2]]), (2, 2))
    assert layout.equal_runs == (2, None)
    length, images = Layout(torch.tensor([[1, 1, 3, 3]]), (3,)).equal_runs or (0, None)
    assert length == 2
    assert images is not None
    assert images.tolist() == [0, 2]
    assert Layout(torch.tensor([[1, 1, 1, 2]]), (2,)).equal_runs is None
    assert Layout(torch.tensor([[0, 0, 1, 1]]), (1,)).equal_runs is None


@pytest.mark.parametrize(
    ("phi", "counts", "message"),
    [
        ([[0, 1, 1], [0, 1, 1]], (1, 2), "row 1 has 2 images, its highest phi is 1"),
        ([[0, 0, 0]], (1,), r"row 0 has 1 images, its highest phi is 0 \(the first image is 1, 0 means none\)"),
    ],
)
def test_more_images_than_phi_names(phi: list[list[int]], counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(PhiError, match=message):
        check_named(torch.tensor(phi), counts)


def test_an_image_without_tokens_before_one_that_is_named() -> None:
    check_named(torch.tensor([[0, 2, 2], [0, 0, 0]]), (2, 0))
