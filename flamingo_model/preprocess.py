"""Pictures to what the vision encoder takes (section B.1.2 of the paper, 3.2.1 of v1).

The whole picture is kept: its larger side becomes `image_size`, the rest of the square is padded with the mean, which
is 0 after normalisation. In training, colours are changed a little and half of the pictures are flipped, each picture
by a draw of its own; the frames of a clip share theirs.

H = W = image_size, T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import ExifTags, Image, ImageEnhance
from torch import Tensor

Channels = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How much pictures are changed at random in training. The paper names the kinds, not the strengths."""

    brightness: float
    """Factor of all values, drawn from [1 - brightness, 1 + brightness]; 0 to 1."""
    contrast: float
    """Factor of the distance from the mean grey, drawn as `brightness`."""
    saturation: float
    """Factor of the distance from the pixel's own grey, drawn as `brightness`."""
    hue: float
    """Turn of the colour circle, drawn from [-hue, hue], in whole turns; 0 to 0.5."""
    flip: float
    """Probability of exchanging left and right."""

    def __post_init__(self) -> None:
        limits = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5, "flip": 1.0}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}, must be 0 to {most:g}")


MILD = AugmentConfig(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, flip=0.5)
"""Our choice where the paper is silent: weak enough that what a text says of a picture's colours stays true, so hue
moves by 7 degrees at most. Flips are the paper's, although they make text in pictures unreadable."""


@dataclass(frozen=True)
class Preprocess:
    """Pictures to normalised tensors. Without `augment` there is no chance in it.

    `Preprocess(encoder.image_size, encoder.mean, encoder.std, augment=None)` fits a `VisionEncoder`.
    """

    image_size: int
    """Height and width of what comes out, pixels; 320 in the paper."""
    mean: Channels
    """Of the three channels, in units of full scale."""
    std: Channels
    """As `mean`."""
    augment: AugmentConfig | None = field(kw_only=True)
    """None: for evaluation."""

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}, must be at least 1")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std} must have three values each, std above 0")

    def __call__(
        self, picture: Image.Image | Sequence[Image.Image], generator: torch.Generator | None = None
    ) -> Tensor:
        """One picture to [3, H, W], the frames of a clip to [T, 3, H, W]; float32, exactly 0 in the padding.

        Args:
            picture: an image of any mode of 8 bits, or of 16 bits grey; transparent parts become white.
            generator: of the draws, if there is `augment`; five numbers for each call, whatever the strengths.

        Raises:
            ValueError: no frame; a mode whose samples have no agreed range; no generator for `augment`.
        """
        draw = None
        if self.augment is not None:
            if generator is None:
                raise ValueError("augmentation draws at random: give a torch.Generator, or augment=None")
            draw = _draw(self.augment, generator)
        if isinstance(picture, Image.Image):
            return self._one(picture, draw)
        if not picture:
            raise ValueError("a clip has no frame")
        return torch.stack([self._one(frame, draw) for frame in picture])

    def _one(self, picture: Image.Image, draw: "_Draw | None") -> Tensor:
        rgb = upright_rgb(picture)
        rgb = rgb.resize(fitted(rgb.size, self.image_size), Image.Resampling.BICUBIC)
        if draw is not None:
            rgb = draw.apply(rgb)
        pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        out = torch.zeros(3, self.image_size, self.image_size)
        top, left = (self.image_size - rgb.height) // 2, (self.image_size - rgb.width) // 2
        out[:, top : top + rgb.height, left : left + rgb.width] = (pixels / 255 - mean) / std
        return out


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) made larger or smaller, aspect kept, until the larger is `side`; both at least 1."""
    larger = max(size)
    width, height = (max(1, (2 * length * side + larger) // (2 * larger)) for length in size)
    return width, height


def upright_rgb(picture: Image.Image) -> Image.Image:
    """The picture as viewers show it, in mode RGB: turned as its EXIF says, transparent parts on white.

    Raises:
        ValueError: 32-bit samples, which have no agreed range.
    """
    picture.load()
    if picture.mode in ("I", "F"):
        raise ValueError(f"a picture of mode {picture.mode!r} has no agreed range; convert it to 8 bits first")
    turn = _TURNS.get(_orientation(picture))
    if picture.mode.startswith("I;16"):
        wide = np.asarray(picture).astype(np.uint32)
        rgb = Image.fromarray(((wide * 255 + 32_767) // 65_535).astype(np.uint8)).convert("RGB")
    elif picture.has_transparency_data:
        layered = picture.convert("RGBA")
        rgb = Image.new("RGB", picture.size, (255, 255, 255))
        rgb.paste(layered, mask=layered.getchannel("A"))
    else:
        rgb = picture.convert("RGB")
    return rgb if turn is None else rgb.transpose(turn)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation; 1 is upright."""


def _orientation(picture: Image.Image) -> int:
    """Only EXIF counts, as in browsers; Pillow's own reader would also take a tag found in XMP."""
    exif = Image.Exif()
    try:
        exif.load(picture.info.get("exif", b""))
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF is no EXIF
        return 1


@dataclass(frozen=True)
class _Draw:
    """What one picture, or all frames of one clip, are changed by."""

    brightness: float
    contrast: float
    saturation: float
    hue: int
    """In steps of 1/256 turn, as 8-bit HSV has it."""
    flip: bool

    def apply(self, rgb: Image.Image) -> Image.Image:
        rgb = ImageEnhance.Brightness(rgb).enhance(self.brightness)
        rgb = ImageEnhance.Contrast(rgb).enhance(self.contrast)
        rgb = ImageEnhance.Color(rgb).enhance(self.saturation)
        if self.hue:
            hue, saturation, value = rgb.convert("HSV").split()
            hue = hue.point(lambda step: (step + self.hue) % 256)
            rgb = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        return rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flip else rgb


def _draw(config: AugmentConfig, generator: torch.Generator) -> _Draw:
    brightness, contrast, saturation, hue, flip = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    return _Draw(
        brightness=1 + config.brightness * (2 * brightness - 1),
        contrast=1 + config.contrast * (2 * contrast - 1),
        saturation=1 + config.saturation * (2 * saturation - 1),
        hue=round(256 * config.hue * (2 * hue - 1)),
        flip=flip < config.flip,
    )
