"""Measures of an upright picture that the image filters and the duplicate search read."""

from typing import Any

import imagehash
import numpy as np
from PIL import Image

SAMPLE_SIDE = 256
"""Dominant colours are counted on a grid of at most about this many pixels a side."""


def phash(picture: Image.Image) -> str:
    """64-bit DCT hash of `imagehash` as 16 hex digits; the distance of two hashes is their number of different bits."""
    return str(imagehash.phash(picture))


def deviation(picture: Image.Image) -> float:
    """Largest standard deviation of a channel, 0 (one colour) to 127.5, over all pixels of an 8-bit picture."""
    counts: np.ndarray[Any, np.dtype[np.int64]] = np.array(picture.histogram(), dtype=np.int64).reshape(-1, 256)
    levels = np.arange(256, dtype=np.int64)
    n = picture.width * picture.height
    sums, squares = counts @ levels, counts @ (levels * levels)
    # n * squares - sums^2 is the variance times n^2, in integers: no cancellation, the same on every machine.
    variances = [n * int(square) - int(total) ** 2 for total, square in zip(sums, squares, strict=True)]
    return round(float(max(variances) ** 0.5 / n), 4)


def dominant_share(picture: Image.Image) -> float:
    """Share 0..1 of the most frequent colour after reducing each channel to 4 bits, on a regular sample of pixels.

    The sample takes every k-th pixel both ways, k odd: an even step would see one colour only in a picture of
    alternating lines.
    """
    step = max(1, max(picture.size) // SAMPLE_SIDE) | 1
    if step > 1 and min(picture.size) >= step:
        width, height = picture.width // step, picture.height // step
        picture = picture.resize((width, height), Image.Resampling.NEAREST, box=(0, 0, width * step, height * step))
    channels = np.asarray(picture.convert("RGB")) >> 4
    codes = (channels[..., 0].astype(np.int32) << 8) | (channels[..., 1].astype(np.int32) << 4) | channels[..., 2]
    return round(float(np.bincount(codes.ravel()).max() / codes.size), 4)
