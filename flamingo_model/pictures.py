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
import numpy.typing as npt
import simplejpeg
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from flamingo_model.media import Media
from flamingo_model.preprocess import AugmentConfig, Channels, fitted, upright_rgb
from schemas.rejection import Rejected

FORMATS = ("JPEG", "PNG", "WEBP")
"""Ours are the first two; img2dataset also writes the third."""
JPEG, EXIF = b"\xff\xd8\xff", b"Exif\x00\x00"
HEADERS = 1 << 16
"""Bytes in which a JPEG's EXIF data begin, if it has any."""
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
    """uint8 [F, 3, S, S]; 0 outside of a picture's own size."""
    sizes: Tensor
    """int64 [F, 2]: height and width of each picture, which stands in the middle of its square."""
    colours: Tensor | None
    """float32 [F, 2, 3, 4]: what is done to the colours (red, green, blue from 0 to 1, and 1): a matrix, and one to be
    added that many times as the picture's mean grey is; None: nothing."""
    frames: tuple[int, ...]
    """T of each image (1) or video."""
    per_row: tuple[int, ...]
    """Images and videos of each row."""

    def media(self, mean: Channels, std: Channels, device: torch.device | str | None = None) -> Media:
        """Normalised float32 pictures on `device`, exactly 0 in the padding."""
        device = device or self.pixels.device
        x = self.pixels.to(device, non_blocking=True) / 255
        sizes = self.sizes.to(device, non_blocking=True)
        if self.colours is not None:
            plain, of_grey = self.colours.to(device, non_blocking=True).unbind(1)
            colours = plain + of_grey * _mean_grey(x, sizes)[:, None, None]
            x = (torch.einsum("fij,fjhw->fihw", colours[..., :3], x) + colours[:, :, 3, None, None]).clamp(0, 1)
        offset, scale = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))
        inside = _inside(sizes, self.pixels.shape[-1])
        return Media(torch.where(inside, (x - offset) / scale, 0), self.frames, self.per_row)


@dataclass(frozen=True)
class Shown:
    """The pictures of one sample."""

    pixels: tuple[Tensor, ...]
    """uint8 [3, h, w] each, the larger side S; one for each frame."""
    colours: tuple[Tensor, ...]
    """float32 [2, 3, 4] each; none without augmentation."""
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
        colour = None if draw is None else draw.matrices()
        for name in names:
            if name not in members:
                return Rejected("picture_missing", f"no member {name!r}")
            decoded = decode_picture(members[name], image_size)
            if isinstance(decoded, Rejected):
                return Rejected(decoded.reason, f"{name}: {decoded.detail}")
            if colour is not None:
                colours.append(colour)
            pixels.append(decoded.flip(-1) if draw and draw.flip else decoded)
    return Shown(tuple(pixels), tuple(colours), tuple(map(len, pictures)))


def decode_picture(data: bytes, image_size: int) -> Tensor | Rejected:
    """uint8 [3, h, w], the larger side `image_size`, by bicubic interpolation with anti-aliasing."""
    decoded = _plain_jpeg(data, image_size) or _any_picture(data, image_size)
    if isinstance(decoded, Rejected):
        return decoded
    pixels = torch.from_numpy(decoded.pixels).permute(2, 0, 1)
    width, height = decoded.wanted
    if (height, width) == tuple(pixels.shape[1:]):
        return pixels
    return F.interpolate(pixels[None], (height, width), mode="bicubic", antialias=True, align_corners=False)[0]


@dataclass(frozen=True)
class _Decoded:
    """A picture that may have been made smaller in decoding, but not below the size that is wanted."""

    pixels: npt.NDArray[np.uint8]
    """[h, w, 3]"""
    wanted: tuple[int, int]
    """Width and height."""


def _plain_jpeg(data: bytes, image_size: int) -> _Decoded | None:
    """A JPEG that is not turned and has no colours of print, in half of Pillow's time; None if it is another picture
    or damaged.

    Its pixels are Pillow's, to the bit, unless they are scaled down: here by any eighth from a half on.
    """
    if not data.startswith(JPEG) or EXIF in data[:HEADERS]:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray", "RGB") or height * width > MAX_PIXELS:
            return None
        wanted = fitted((width, height), image_size)
        least_width, least_height = min(width, wanted[0]), min(height, wanted[1])
        pixels = simplejpeg.decode_jpeg(data, min_width=least_width, min_height=least_height, min_factor=2)
        return _Decoded(pixels, wanted)
    except ValueError:  # Pillow finds the words for it
        return None


def _any_picture(data: bytes, image_size: int) -> _Decoded | Rejected:
    """Upright and on white."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return Rejected("picture_too_large", f"{opened.width} x {opened.height} pixels, at most {MAX_PIXELS}")
            stored = opened.size
            opened.draft(None, fitted(stored, image_size))
            pixels = np.array(upright_rgb(opened))
    except Exception as error:  # whatever a damaged file does to a decoder
        return Rejected("picture_undecodable", f"{type(error).__name__}: {error}")
    lies = pixels.shape[1] > pixels.shape[0]  # it may have been turned
    return _Decoded(pixels, fitted((max(stored), min(stored)) if lies else (min(stored), max(stored)), image_size))


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

    def matrices(self) -> Tensor:
        """float32 [2, 3, 4]: brightness, contrast around the picture's mean grey, saturation, hue, in this order, as
        one, and what is added to it for each unit of that grey."""
        cos, sin = math.cos(2 * math.pi * self.hue), math.sin(2 * math.pi * self.hue)
        hue = FROM_YIQ @ np.array([(1, 0, 0), (0, cos, -sin), (0, sin, cos)]) @ TO_YIQ
        saturation = self.saturation * np.eye(3) + (1 - self.saturation) * np.array(GREY)
        whole = np.zeros((2, 3, 4), dtype=np.float32)
        whole[0, :, :3] = hue @ saturation * (self.contrast * self.brightness)
        # Neither saturation nor hue moves a grey, so what contrast adds stays as it is.
        whole[1, :, 3] = (1 - self.contrast) * self.brightness
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


def _mean_grey(x: Tensor, sizes: Tensor) -> Tensor:
    """[F] of pictures [F, 3, S, S] that are 0 outside of their sizes [F, 2]."""
    return x.sum((2, 3)) @ torch.tensor(GREY, device=x.device) / sizes.prod(1)


def _inside(sizes: Tensor, side: int) -> Tensor:
    """bool [F, 1, S, S]: True where a picture of that height and width stands in the middle of the square."""
    places = torch.arange(side, device=sizes.device)
    begins = (side - sizes) // 2
    across = (places >= begins[..., None]) & (places < (begins + sizes)[..., None])
    return (across[:, 0, :, None] & across[:, 1, None, :])[:, None]
