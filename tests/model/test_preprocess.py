"""Pictures to tensors: the paper's square with the whole picture in it, and draws that are each picture's own."""

import gzip
import io
import itertools
import re

import numpy as np
import pytest
import torch
from crawls import records
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from torch import Tensor

from flamingo_model.preprocess import MILD, AugmentConfig, Preprocess, fitted, upright_rgb

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = Preprocess(320, MEAN, STD, augment=None)
STILL = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0, flip=0)
FLIPS = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0, flip=0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def values(picture: Tensor) -> Tensor:
    """Back to 0 .. 255."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return (picture * std + mean) * 255


@pytest.fixture(scope="module")
def crawl_pictures() -> list[Image.Image]:
    """Of the demo crawl: photographs, screenshots, icons with alpha, palettes, defects that still decode."""
    found = []
    responses = [record for record in records() if record.kind == "response"]
    for record in [record for record in responses if re.search(r"\.(png|jpe?g|gif|webp)$", record.url)][::5]:
        body = gzip.decompress(record.stored).split(b"\r\n\r\n", 2)[2]
        try:
            picture = Image.open(io.BytesIO(body))
            picture.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        found.append(picture)
    return found


def test_real_pictures(crawl_pictures: list[Image.Image]) -> None:
    kinds = {picture.mode for picture in crawl_pictures}
    assert len(crawl_pictures) > 80
    assert {"RGB", "RGBA", "P"} <= kinds
    for picture in crawl_pictures:
        out = PLAIN(picture)
        assert out.shape == (3, 320, 320)
        assert out.dtype == torch.float32
        assert bool(out.isfinite().all())
        shown = values(out)
        assert float(shown.min()) >= -0.01
        assert float(shown.max()) <= 255.01


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 64))
def test_aspect_and_padding(width: int, height: int, side: int) -> None:
    w, h = fitted((width, height), side)
    assert max(w, h) == side
    # No side is off by more than the half pixel of rounding (or the one pixel that a picture must have).
    assert abs(w - max(1, side * width / max(width, height))) <= 0.5
    assert abs(h - max(1, side * height / max(width, height))) <= 0.5
    white = Image.new("RGB", (width, height), (255, 255, 255))
    out = Preprocess(side, MEAN, STD, augment=MILD)(white, seeded(width))
    assert out.shape == (3, side, side)
    inside = torch.zeros(side, side, dtype=torch.bool)
    top, left = (side - h) // 2, (side - w) // 2
    inside[top : top + h, left : left + w] = True
    assert bool((out[:, ~inside] == 0).all()), "padding is the mean: exactly 0"
    assert bool((out[:, inside] != 0).all()), "white, however dimmed, is never the mean"


def test_no_distortion() -> None:
    """A circle stays one: as wide as high, in a landscape and in a portrait picture."""
    for size in ((600, 400), (400, 600)):
        y, x = np.mgrid[: size[1], : size[0]]
        circle = (x - (size[0] - 1) / 2) ** 2 + (y - (size[1] - 1) / 2) ** 2 < 150**2
        rgb = np.repeat(np.where(circle, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
        white = values(PLAIN(Image.fromarray(rgb)))[0] > 128
        # Padding shows as the mean, 124, below the limit.
        columns, rows = white.any(0).nonzero(), white.any(1).nonzero()
        across, down = (int(ends[-1] - ends[0]) + 1 for ends in (columns, rows))
        assert abs(across - 160) <= 1
        assert abs(down - 160) <= 1


def test_values() -> None:
    """Without resizing nothing but the normalisation is done."""
    picture = noise(320, 320)
    expected = (
        torch.tensor(np.array(picture)).permute(2, 0, 1) / 255 - torch.tensor(MEAN)[:, None, None]
    ) / torch.tensor(STD)[:, None, None]
    assert torch.equal(PLAIN(picture), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    """A picture stored turned, with its tag, is the upright one."""
    upright = np.zeros((40, 80, 3), np.uint8)
    upright[:20, :40] = (255, 0, 0)
    upright[20:, 40:] = (0, 0, 255)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(data, "PNG", exif=exif)
    assert np.array_equal(np.array(upright_rgb(Image.open(data))), upright)


def test_broken_exif() -> None:
    picture = noise(8, 8)
    picture.info["exif"] = b"Exif\0\0broken"
    assert np.array_equal(np.array(upright_rgb(picture)), np.array(picture))


def test_modes() -> None:
    """Each way to store a colour gives that colour."""

    def pixel(picture: Image.Image) -> tuple[int, ...]:
        rgb = upright_rgb(picture)
        assert rgb.mode == "RGB"
        return tuple(int(v) for v in np.array(rgb)[0, 0])

    assert pixel(Image.new("L", (4, 4), 100)) == (100, 100, 100)
    assert pixel(Image.new("1", (4, 4), 1)) == (255, 255, 255)
    assert pixel(Image.new("CMYK", (4, 4), (255, 0, 0, 0))) == (0, 255, 255)
    assert pixel(Image.new("RGBA", (4, 4), (10, 20, 30, 255))) == (10, 20, 30)
    assert pixel(Image.new("RGBA", (4, 4), (10, 20, 30, 0))) == (255, 255, 255)
    assert pixel(Image.new("RGBA", (4, 4), (0, 0, 0, 51))) == (204, 204, 204)
    assert pixel(Image.new("LA", (4, 4), (0, 51))) == (204, 204, 204)
    sixteen = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    assert sixteen.mode == "I;16"
    assert pixel(sixteen) == (156, 156, 156)  # 40000 / 65535 * 255 = 155.6
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([200, 100, 50] + [0] * 765)
    assert pixel(palette) == (200, 100, 50)
    palette.info["transparency"] = 0
    assert pixel(palette) == (255, 255, 255)


def test_transparent_png_from_a_file() -> None:
    """tRNS, the transparency of PNG files without alpha."""
    data = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    Image.new("RGB", (4, 4), (1, 2, 3)).save(data, "PNG", transparency=(1, 2, 3), pnginfo=info)
    assert np.array(upright_rgb(Image.open(data))).min() == 255


def test_samples_without_a_range() -> None:
    with pytest.raises(ValueError, match="mode 'F' has no agreed range"):
        PLAIN(Image.new("F", (4, 4)))


def test_generator_decides() -> None:
    augmented = Preprocess(64, MEAN, STD, augment=MILD)
    picture = noise(50, 40)
    first = augmented(picture, seeded(3))
    assert torch.equal(first, augmented(picture, seeded(3)))
    assert not torch.equal(first, augmented(picture, seeded(4)))
    # Strengths do not change how much is drawn: runs with and without stay in step.
    one, other = seeded(5), seeded(5)
    augmented(picture, one)
    Preprocess(64, MEAN, STD, augment=STILL)(picture, other)
    assert torch.equal(one.get_state(), other.get_state())


def test_without_augment_nothing_is_drawn() -> None:
    generator = seeded(1)
    before = generator.get_state()
    picture = noise(64, 48)
    assert torch.equal(PLAIN(picture, generator), PLAIN(picture))
    assert torch.equal(generator.get_state(), before)


def test_strengths_of_zero_change_nothing() -> None:
    picture = noise(64, 48)
    assert torch.equal(Preprocess(320, MEAN, STD, augment=STILL)(picture, seeded()), PLAIN(picture))


def test_open_flamingo_batch_wide_flip() -> None:
    """Its flip was one draw for a whole batch (or document); here it is one for each picture."""
    picture, generator = noise(16, 16), seeded()
    flipping = Preprocess(16, MEAN, STD, augment=FLIPS)
    straight = Preprocess(16, MEAN, STD, augment=None)(picture)
    outs = [flipping(picture, generator) for _ in range(200)]
    flipped = [torch.equal(out, straight.flip(2)) for out in outs]
    assert all(turned or torch.equal(out, straight) for out, turned in zip(outs, flipped, strict=True))
    assert 70 < sum(flipped) < 130
    # Independent: whether a picture is flipped says nothing of the next (four kinds of neighbours, about 50 each).
    neighbours = list(itertools.pairwise(flipped))
    assert all(neighbours.count((a, b)) > 30 for a in (True, False) for b in (True, False))


def test_frames_of_a_clip_share_their_draw() -> None:
    augmented = Preprocess(32, MEAN, STD, augment=MILD)
    frames = [noise(32, 24, seed) for seed in range(4)]
    for seed in range(8):
        clip = augmented(frames, seeded(seed))
        assert clip.shape == (4, 3, 32, 32)
        assert all(torch.equal(out, augmented(frame, seeded(seed))) for out, frame in zip(clip, frames, strict=True))


def test_each_strength_does_what_it_says() -> None:
    """Drawn extremes of one kind at a time, on a grey and a red picture."""
    grey, red = Image.new("RGB", (8, 8), (100, 100, 100)), Image.new("RGB", (8, 8), (200, 40, 40))

    def shades(name: str, strength: float, picture: Image.Image) -> np.ndarray:
        config = AugmentConfig(**{"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "flip": 0, name: strength})
        augmented = Preprocess(8, MEAN, STD, augment=config)
        return np.array([values(augmented(picture, seeded(seed)))[:, 0, 0].numpy() for seed in range(60)])

    brightness = shades("brightness", 0.2, grey)
    assert 79 < brightness.min() < 84
    assert 116 < brightness.max() < 121
    assert np.ptp(shades("contrast", 0.2, grey)) < 0.01
    assert np.ptp(shades("saturation", 0.2, grey)) < 0.01
    assert np.ptp(shades("hue", 0.02, grey)) < 0.01
    saturation = shades("saturation", 0.2, red)
    spread = saturation[:, 0] - saturation[:, 1]
    assert 127 < spread.min() < 135
    assert 185 < spread.max() < 193
    hue = shades("hue", 0.02, red)
    assert np.abs(hue[:, 0] - 200).max() < 1.01  # red stays the greatest of its channels: it is still red
    assert 10 < np.ptp(hue[:, 1]) < 25


def test_errors_name_the_value() -> None:
    with pytest.raises(ValueError, match=r"hue is 0\.7, must be 0 to 0\.5"):
        AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0.7, flip=0)
    with pytest.raises(ValueError, match="image_size is 0"):
        Preprocess(0, MEAN, STD, augment=None)
    with pytest.raises(ValueError, match="three values each"):
        Preprocess(8, (0.5,), STD, augment=None)
    with pytest.raises(ValueError, match=r"give a torch\.Generator"):
        Preprocess(8, MEAN, STD, augment=MILD)(noise(8, 8))
    with pytest.raises(ValueError, match="no frame"):
        PLAIN([])
