"""Members of a shard to packed 8-bit pictures in the loader, and these to what the encoder takes on its own device.

The worker decodes (JPEG at a fraction of its size if that is still large enough) and resizes; a batch carries bytes, a
quarter of what floats would be. Colours, normalisation and padding come later, on the device, as one multiplication for
each pixel. The outcome is that of `preprocess.py`, up to rounding in the resizing.

F pictures and frames of the batch, S = image_size, T frames of one video.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from flamingo_model.media import Media
from flamingo_model.preprocess import AugmentConfig, Channels, fitted, upright_rgb
from schemas.rejection import Rejected

FORMATS = ("JPEG", "PNG", "WEBP")
"""Ours are the first two; img2dataset also writes the third."""
MAX_PIXELS = 89_478_485
"""Of a picture as it is stored: Pillow's own limit against decompression bombs."""
GREY = (0.299, 0.587, 0.114)
"""ITU-R 601, as Pillow's conversion to grey has it."""
TO_YIQ = np.array([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
"""Brightness and the plane of colour, which hue turns."""
FROM_YIQ = np.linalg.inv(TO_YIQ)


@dataclass(frozen=True)
class Pictures:
    """Images and videos of a batch, one after the other, row after row, not yet normalised."""

    pixels: Tensor
    """uint8 [F, 3, S, S]; what lies outside of a picture's own size has no meaning."""
    sizes: Tensor
    """int64 [F, 2]: height and width of each picture, which stands in the middle of its square."""
    colours: Tensor | None
    """float32 [F, 3, 4]: what is done to the colours (red, green, blue from 0 to 1, and 1); None: nothing."""
    frames: tuple[int, ...]
    """T of each image (1) or video."""
    per_row: tuple[int, ...]
    """Images and videos of each row."""

    def media(self, mean: Channels, std: Channels, device: torch.device | str | None = None) -> Media:
        """Normalised float32 pictures on `device`, exactly 0 in the padding."""
        device = device or self.pixels.device
        x = self.pixels.to(device, non_blocking=True) / 255
        if self.colours is not None:
            colours = self.colours.to(device, non_blocking=True)
            x = (torch.einsum("fij,fjhw->fihw", colours[..., :3], x) + colours[:, :, 3, None, None]).clamp(0, 1)
        offset, scale = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))
        inside = _inside(self.sizes.to(device, non_blocking=True), self.pixels.shape[-1])
        return Media(torch.where(inside, (x - offset) / scale, 0), self.frames, self.per_row)


@dataclass(frozen=True)
class Shown:
    """The pictures of one sample."""

    pixels: tuple[Tensor, ...]
    """uint8 [3, h, w] each, the larger side S; one for each frame."""
    colours: tuple[Tensor, ...]
    """float32 [3, 4] each; none without augmentation."""
    frames: tuple[int, ...]


def show(
    pictures: Sequence[Sequence[str]],
    members: Mapping[str, bytes],
    image_size: int,
    augment: AugmentConfig | None,
    rng: Random,
) -> Shown | Rejected:
    """Decodes and resizes the pictures that a sample names.

    Args:
        pictures: for each image or video its members.
        members: bytes by name.
        image_size: S, pixels.
        augment: what is changed at random, each picture by draws of its own, the frames of a video by the same; None:
            nothing.
        rng: of these draws, five for each image or video.
    """
    pixels, colours = [], []
    for names in pictures:
        draw = None if augment is None else draw_change(augment, rng)
        for name in names:
            if name not in members:
                return Rejected("picture_missing", f"no member {name!r}")
            decoded = decode_picture(members[name], image_size)
            if isinstance(decoded, Rejected):
                return Rejected(decoded.reason, f"{name}: {decoded.detail}")
            if draw is not None:
                decoded = decoded.flip(-1) if draw.flip else decoded
                colours.append(draw.matrix(mean_grey(decoded)))
            pixels.append(decoded)
    return Shown(tuple(pixels), tuple(colours), tuple(map(len, pictures)))


def decode_picture(data: bytes, image_size: int) -> Tensor | Rejected:
    """uint8 [3, h, w], the larger side `image_size`, by bicubic interpolation with anti-aliasing."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return Rejected("picture_too_large", f"{opened.width} x {opened.height} pixels, at most {MAX_PIXELS}")
            opened.draft(None, fitted(opened.size, image_size))
            plain = opened.mode == "RGB" and not {"exif", "transparency"} & opened.info.keys()  # as nearly all are
            pixels = torch.from_numpy(np.array(opened if plain else upright_rgb(opened))).permute(2, 0, 1)
    except Exception as error:  # whatever a damaged file does to a decoder
        return Rejected("picture_undecodable", f"{type(error).__name__}: {error}")
    width, height = fitted((pixels.shape[2], pixels.shape[1]), image_size)
    if (height, width) == tuple(pixels.shape[1:]):
        return pixels
    return F.interpolate(pixels[None], (height, width), mode="bicubic", antialias=True, align_corners=False)[0]


def pack(rows: Sequence[Shown], image_size: int) -> Pictures | None:
    """The pictures of several samples as one; None if there are none."""
    pixels = [picture for row in rows for picture in row.pixels]
    if not pixels:
        return None
    sizes = torch.tensor([picture.shape[1:] for picture in pixels])
    packed = torch.zeros(len(pixels), 3, image_size, image_size, dtype=torch.uint8)
    for place, picture in enumerate(pixels):
        height, width = picture.shape[1:]
        top, left = (image_size - height) // 2, (image_size - width) // 2
        packed[place, :, top : top + height, left : left + width] = picture
    colours = [colour for row in rows for colour in row.colours]
    return Pictures(
        packed,
        sizes,
        torch.stack(colours) if colours else None,
        tuple(count for row in rows for count in row.frames),
        tuple(len(row.frames) for row in rows),
    )


@dataclass(frozen=True)
class Change:
    """What one picture, or all frames of one video, are changed by; strengths as in `AugmentConfig`."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    """Turn of the colour circle, in whole turns."""
    flip: bool

    def matrix(self, grey: float) -> Tensor:
        """float32 [3, 4]: brightness, contrast around the picture's mean grey, saturation, hue, in this order, as
        one."""
        cos, sin = math.cos(2 * math.pi * self.hue), math.sin(2 * math.pi * self.hue)
        hue = FROM_YIQ @ np.array([(1, 0, 0), (0, cos, -sin), (0, sin, cos)]) @ TO_YIQ
        saturation = self.saturation * np.eye(3) + (1 - self.saturation) * np.array(GREY)
        # Neither saturation nor hue moves a grey, so what contrast adds stays as it is.
        added = (1 - self.contrast) * self.brightness * grey
        whole = np.full((3, 4), added, dtype=np.float32)
        whole[:, :3] = hue @ saturation * (self.contrast * self.brightness)
        return torch.from_numpy(whole)


def draw_change(config: AugmentConfig, rng: Random) -> Change:
    """Five draws, whatever the strengths."""
    brightness, contrast, saturation, hue, flip = (rng.random() for _ in range(5))
    return Change(
        brightness=1 + config.brightness * (2 * brightness - 1),
        contrast=1 + config.contrast * (2 * contrast - 1),
        saturation=1 + config.saturation * (2 * saturation - 1),
        hue=config.hue * (2 * hue - 1),
        flip=flip < config.flip,
    )


def mean_grey(pixels: Tensor) -> float:
    """Of uint8 [3, h, w], 0 to 1, from every fourth pixel of every fourth line."""
    part = pixels[:, ::4, ::4]
    sums = part.sum((1, 2)).tolist()
    return sum(weight * total for weight, total in zip(GREY, sums, strict=True)) / (255 * part[0].numel())


def _inside(sizes: Tensor, side: int) -> Tensor:
    """bool [F, 1, S, S]: True where a picture of that height and width stands in the middle of the square."""
    places = torch.arange(side, device=sizes.device)
    begins = (side - sizes) // 2
    across = (places >= begins[..., None]) & (places < (begins + sizes)[..., None])
    return (across[:, 0, :, None] & across[:, 1, None, :])[:, None]
