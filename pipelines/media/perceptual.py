"""Measures of an upright picture that the image filters and the duplicate search read."""

from typing import Any

import numpy as np
from PIL import Image

HASH_SIDE = 8
DCT_SIDE = 32
SAMPLE_SIDE = 256
"""Dominant colours are counted on a grid of at most about this many pixels a side."""

_FREQUENCY = np.arange(HASH_SIDE)[:, None]
_POSITION = np.arange(DCT_SIDE)[None, :]
_DCT = 2 * np.cos(np.pi * _FREQUENCY * (2 * _POSITION + 1) / (2 * DCT_SIDE))


def phash(picture: Image.Image) -> str:
    """64-bit DCT hash as 16 hex digits, in the convention of `imagehash.phash`.

    Equal to `str(imagehash.phash(picture))` but for bits whose coefficient equals the median exactly, as in pictures
    of few flat blocks or of one axis of symmetry: there imagehash's bit is the rounding error of its floating-point
    transform, and this one is not. imagehash itself is not called because it needs scipy, whose import costs each
    worker up to half a second. Hex digits read back with `imagehash.hex_to_hash`; the distance of two hashes is their
    number of different bits.
    """
    grey = picture.convert("L").resize((DCT_SIDE, DCT_SIDE), Image.Resampling.LANCZOS)
    # The products' own errors are below 1e-8. Left in, they would decide the bits of coefficients that are equal, and
    # differ by processor and by linear algebra library.
    coefficients = np.round(_DCT @ np.asarray(grey, dtype=np.float64) @ _DCT.T, 6)
    return np.packbits(coefficients > np.median(coefficients)).tobytes().hex()


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
