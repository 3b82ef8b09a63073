"""Members to packed pictures: the outcome of `Preprocess`, colours as one matrix, draws for each picture, bad files."""

import io
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from loader_data import picture
from PIL import Image, ImageOps

from flamingo_model.pictures import Change, Pictures, decode_picture, draw_change, pack, show
from flamingo_model.preprocess import MILD, AugmentConfig, Preprocess
from schemas.rejection import Rejected

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
NONE = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0, flip=0)
PLAIN = Change(brightness=1, contrast=1, saturation=1, hue=0, flip=False)


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def packed(*files: bytes, size: int = 32, augment: AugmentConfig | None = None, seed: int = 0) -> Pictures:
    members = {str(number): data for number, data in enumerate(files)}
    shown = show([(name,) for name in members], members, size, augment, Random(seed))
    assert not isinstance(shown, Rejected)
    made = pack([shown], size)
    assert made is not None
    return made


@pytest.mark.parametrize("size", [(32, 32), (32, 20), (13, 32), (32, 1)])
def test_a_picture_of_the_right_size_is_as_preprocess_makes_it(size: tuple[int, int]) -> None:
    image = noise(*size)
    wanted = Preprocess(32, MEAN, STD, augment=None)(image)
    made = packed(png(image)).media(MEAN, STD)
    assert torch.equal(made.pixels[0], wanted) and made.frames == (1,) and made.per_row == (1,)


@pytest.mark.parametrize("size", [(90, 60), (50, 200), (20, 10), (33, 32)])
def test_resizing_is_that_of_preprocess_up_to_rounding(size: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(picture(*size, 3)))
    wanted = Preprocess(32, (0, 0, 0), (1, 1, 1), augment=None)(image) * 255
    made = packed(png(image)).media((0, 0, 0), (1, 1, 1)).pixels[0] * 255
    assert (made - wanted).abs().max() < 2.5 and (made - wanted).abs().mean() < 0.3


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size() -> None:
    data = picture(640, 400, 2)
    made = decode_picture(data, 64)
    assert isinstance(made, torch.Tensor) and made.shape == (3, 40, 64)
    wanted = np.asarray(Image.open(io.BytesIO(data)).resize((64, 40), Image.Resampling.BICUBIC))
    assert np.abs(made.permute(1, 2, 0).numpy().astype(int) - wanted).mean() < 3


def test_frames_and_rows() -> None:
    members = {str(number): png(noise(8 + number, 16, number)) for number in range(4)}
    first = show([("0",), ("1", "2")], members, 16, None, Random(0))
    second = show([("3",)], members, 16, None, Random(0))
    nothing = show([], members, 16, None, Random(0))
    assert not isinstance(first, Rejected) and not isinstance(second, Rejected) and not isinstance(nothing, Rejected)
    made = pack([first, nothing, second], 16)
    assert made is not None and made.frames == (1, 2, 1) and made.per_row == (2, 0, 1)
    assert made.sizes.tolist() == [[16, 8], [16, 9], [16, 10], [16, 11]]
    assert made.pixels.dtype == torch.uint8 and made.pixels.shape == (4, 3, 16, 16)
    assert pack([nothing], 16) is None


# --- augmentation ---


def test_nothing_is_drawn_from_strengths_of_nothing() -> None:
    data = png(noise(32, 20))
    plain, changed = packed(data).media(MEAN, STD).pixels, packed(data, augment=NONE).media(MEAN, STD).pixels
    assert torch.allclose(plain, changed, atol=1e-5)


def test_padding_stays_zero_whatever_the_colours() -> None:
    made = packed(png(noise(32, 20)), augment=MILD).media(MEAN, STD).pixels[0]
    assert not made[:, :6].any() and not made[:, 26:].any() and made[:, 6:26].abs().min() >= 0 and made[:, 6:26].any()


def test_each_picture_is_drawn_for_itself() -> None:
    files = [png(noise(16, 16))] * 400
    made = packed(*files, size=16, augment=replace(NONE, flip=0.5))
    plain = packed(files[0], size=16).pixels[0]
    flipped = [bool(torch.equal(one, plain.flip(-1))) for one in made.pixels]
    assert all(
        torch.equal(one, plain.flip(-1) if flip else plain) for one, flip in zip(made.pixels, flipped, strict=True)
    )
    assert 140 < sum(flipped) < 260
    made = packed(*files[:50], size=16, augment=MILD)
    assert made.colours is not None and len(torch.unique(made.colours.flatten(1), dim=0)) == 50


def test_the_frames_of_a_video_share_their_draw() -> None:
    members = {str(number): png(noise(16, 16)) for number in range(12)}
    videos = [tuple(map(str, range(begin, begin + 4))) for begin in (0, 4, 8)]
    shown = show(videos, members, 16, MILD, Random(4))
    assert not isinstance(shown, Rejected)
    for begin in (0, 4, 8):
        assert all(torch.equal(shown.colours[begin], shown.colours[begin + frame]) for frame in range(4))
        assert all(torch.equal(shown.pixels[begin], shown.pixels[begin + frame]) for frame in range(4))
    assert not torch.equal(shown.colours[0], shown.colours[4])


def coloured(change: Change, *pixels: tuple[float, float, float], grey: float = 0.5) -> list[list[float]]:
    plain, of_grey = change.matrices()
    matrix = plain + of_grey * grey
    return [(matrix[:, :3] @ torch.tensor(pixel) + matrix[:, 3]).tolist() for pixel in pixels]


def test_what_the_matrix_does() -> None:
    red, dull = (0.8, 0.2, 0.2), (0.4, 0.4, 0.4)
    assert coloured(PLAIN, red)[0] == pytest.approx(red)
    assert coloured(replace(PLAIN, brightness=1.2), red)[0] == pytest.approx((0.96, 0.24, 0.24))
    assert coloured(replace(PLAIN, contrast=0.5), red)[0] == pytest.approx((0.65, 0.35, 0.35))
    grey = 0.299 * 0.8 + 0.701 * 0.2
    assert coloured(replace(PLAIN, saturation=0.0), red)[0] == pytest.approx([grey] * 3)
    everything = Change(brightness=1.1, contrast=0.9, saturation=1.2, hue=0.02, flip=False)
    expected = 0.5 * 1.1 + (0.4 - 0.5) * 1.1 * 0.9
    assert coloured(everything, dull)[0] == pytest.approx([expected] * 3, abs=2e-3)  # greys stay grey
    turned = coloured(replace(PLAIN, hue=1 / 3), (0.6, 0.4, 0.4))[0]
    assert max(turned) != turned[0]  # no longer red
    assert coloured(replace(PLAIN, hue=1.0), red)[0] == pytest.approx(red, abs=1e-5)


def test_strengths_are_limits() -> None:
    draws = [draw_change(MILD, Random(seed)) for seed in range(500)]
    for name in ("brightness", "contrast", "saturation"):
        values = [getattr(draw, name) for draw in draws]
        assert 0.8 <= min(values) < 0.81 and 1.19 < max(values) <= 1.2
    assert max(abs(draw.hue) for draw in draws) <= MILD.hue


def test_contrast_is_around_the_mean_grey_of_each_picture_and_not_of_its_padding() -> None:
    files = [png(noise(64, 64)), png(Image.new("RGB", (64, 16), (200, 100, 50)))]
    half = replace(PLAIN, contrast=0.5).matrices()
    made = packed(*files, size=64)
    changed = replace(made, colours=torch.stack([half, half])).media((0, 0, 0), (1, 1, 1)).pixels
    for plain, pixels, size in zip(made.media((0, 0, 0), (1, 1, 1)).pixels, changed, (64, 16), strict=True):
        inside = slice((64 - size) // 2, (64 + size) // 2)
        picture = plain[:, inside]
        grey = (picture.mean((1, 2)) * torch.tensor([0.299, 0.587, 0.114])).sum()
        assert torch.allclose(pixels[:, inside], 0.5 * picture + 0.5 * grey, atol=1e-5)


# --- kinds of JPEG ---


def jpeg(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"comment": b"Exif and no more"}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_has_the_pixels_that_pillow_gives_it(mode: str, options: dict[str, Any]) -> None:
    data = jpeg(noise(37, 32).convert(mode), **options)
    decoded = decode_picture(data, 37)
    expected = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    assert isinstance(decoded, torch.Tensor) and np.array_equal(decoded.permute(1, 2, 0).numpy(), expected)


def test_a_jpeg_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg(noise(40, 20), exif=exif)
    decoded = decode_picture(data, 40)
    assert isinstance(decoded, torch.Tensor) and decoded.shape == (3, 40, 20)
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(decoded.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("side", [100, 113, 160, 450, 899, 900])
def test_a_large_jpeg_is_scaled_down_to_what_it_would_be_without_a_short_cut(side: int) -> None:
    image = noise(9, 6).resize((900, 600), Image.Resampling.BICUBIC)
    decoded = decode_picture(jpeg(image), side)
    assert isinstance(decoded, torch.Tensor) and decoded.shape == (3, round(side * 2 / 3), side)
    whole = image.resize((side, round(side * 2 / 3)), Image.Resampling.BICUBIC)
    difference = np.abs(decoded.permute(1, 2, 0).numpy().astype(int) - np.array(whole).astype(int))
    assert difference.mean() < 2


# --- what cannot be shown ---


@pytest.mark.parametrize(
    "data", [b"", b"no picture", picture(40, 30, 1)[:300], png(noise(9, 9))[:60], b"\x80\x04\x95cos\nsystem\n."]
)
def test_what_cannot_be_decoded(data: bytes) -> None:
    made = decode_picture(data, 16)
    assert isinstance(made, Rejected) and made.reason == "picture_undecodable"


def test_formats_that_shards_do_not_have() -> None:
    stream = io.BytesIO()
    noise(8, 8).save(stream, "TIFF")
    made = decode_picture(stream.getvalue(), 16)
    assert isinstance(made, Rejected) and made.reason == "picture_undecodable"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_not_decoded() -> None:
    made = decode_picture(png(Image.new("1", (10_000, 9_000))), 16)
    assert isinstance(made, Rejected) and made.reason == "picture_too_large"


def test_a_missing_member() -> None:
    made = show([("0.jpg",)], {}, 16, None, Random(0))
    assert isinstance(made, Rejected) and made.reason == "picture_missing"


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_other_modes(mode: str) -> None:
    image = noise(20, 10).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    stream = io.BytesIO()
    image.save(stream, "JPEG" if mode == "CMYK" else "PNG")
    made = decode_picture(stream.getvalue(), 20)
    assert isinstance(made, torch.Tensor) and made.shape == (3, 10, 20) and made.float().std() > 20
