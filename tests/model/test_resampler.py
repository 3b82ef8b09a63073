"""The resampler: images as videos of one frame, ragged videos, time, and the ablations."""

import pytest
import torch
from tiny_models import tiny_config

from flamingo_model.config import ConfigError, ResamplerConfig
from flamingo_model.resampler import Resampler, TimeEmbeddings


def resampler(seed: int = 0, **fields: object) -> Resampler:
    """With all values random, in double precision."""
    torch.manual_seed(seed)
    made = Resampler(tiny_config(resampler=fields).resampler, 32).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.requires_grad_(False)


def features(count: int, frames: int) -> torch.Tensor:
    return torch.randn(count, frames, 16, 32, generator=torch.Generator().manual_seed(frames), dtype=torch.float64)


def test_the_paper_gives_64_tokens_for_any_number_of_frames() -> None:
    made = resampler(latents=64)
    assert [made(features(2, frames)).shape for frames in (1, 8, 30)] == [(2, 64, 48)] * 3


def test_an_image_is_a_video_of_one_frame_with_the_first_time_embedding() -> None:
    made = resampler()
    assert made.time is not None
    x = features(2, 1)
    with_time = made.input(x) + made.time.weight[0]
    made.time, made.input = None, torch.nn.Identity()
    assert torch.equal(made(with_time), resampler()(x))


def test_ragged_videos_are_as_each_alone() -> None:
    made = resampler()
    frames = (1, 3, 1, 8, 3)
    parts = [features(1, t)[0] + i for i, t in enumerate(frames)]
    packed = made.pack(torch.cat(parts), frames)
    for out, part in zip(packed, parts, strict=True):
        assert (out - made(part[None])[0]).abs().max() < 1e-12


def test_no_image_at_all() -> None:
    made = resampler()
    assert made.pack(torch.zeros(0, 16, 32, dtype=torch.float64), ()).shape == (0, 4, 48)


def test_the_order_of_positions_does_not_matter_that_of_frames_does() -> None:
    made = resampler()
    x = features(1, 4)
    whole = made(x)
    assert (made(x[:, :, torch.randperm(16)]) - whole).abs().max() < 1e-12
    assert (made(x[:, [2, 0, 1, 3]]) - whole).abs().max() > 1e-3
    made.time = None
    assert (made(x[:, [2, 0, 1, 3]]) - made(x)).abs().max() < 1e-12


def test_time_embeddings_are_stretched_with_their_ends_kept() -> None:
    time = TimeEmbeddings(8, 5)
    torch.nn.init.normal_(time.weight)
    assert torch.equal(time(8), time.weight)
    assert torch.equal(time(3), time.weight[:3])
    stretched = time(30)
    assert stretched.shape == (30, 5)
    assert torch.allclose(stretched[[0, -1]], time.weight[[0, -1]])
    assert torch.allclose(time(15)[::2], time.weight, atol=1e-6)  # every second of 15 lies on one of the 8


@pytest.mark.parametrize("kind", ["transformer", "mlp"])
def test_the_ablations_have_the_same_shape(kind: str) -> None:
    assert resampler(kind=kind)(features(2, 3)).shape == (2, 4, 48)


def test_without_a_resampler_every_position_is_a_token() -> None:
    made = resampler(kind="none", time_embeddings=0)
    x = features(2, 3)
    assert torch.equal(made(x), x.flatten(1, 2))
    assert made.dim == 32


def test_the_mlp_mixes_no_positions() -> None:
    made = resampler(kind="mlp", latents=16)
    x = features(1, 1)
    changed = x.clone()
    changed[0, 0, 5] += 1
    differs = (made(changed) != made(x)).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == [5]


def test_output_is_projected_to_the_width_asked_for() -> None:
    made = resampler(output_dim=64)
    assert made(features(1, 1)).shape == (1, 4, 64)
    assert made.dim == 64


def test_widths_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"resampler.dim is 48, the encoder's features have width 32; set"):
        resampler(input_projection="never")


@pytest.mark.parametrize("field", ["dim", "layers", "heads", "head_dim", "latents"])
def test_nothing_may_be_zero(field: str) -> None:
    config = tiny_config().resampler
    with pytest.raises(ConfigError, match=f"{field} is 0, must be at least 1"):
        ResamplerConfig(**{name: getattr(config, name) for name in config.__dataclass_fields__} | {field: 0})
