"""Measures of an upright picture that the image filters and the duplicate search read."""

from typing import Any

import numpy as np
from PIL import Image

SAMPLE_SIDE = 128
"""Dominant colours are counted on a grid of at most about twice so many pixels a side; pictures of less are counted
whole."""
_HASHED_SIDE = 32
_FREQUENCIES = 8
_waves = np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_HASHED_SIDE) + 1)
_DCT = 2 * np.cos(_waves * np.pi / (2 * _HASHED_SIDE))
"""The lowest rows of the matrix of SciPy's `fft.dct`."""


def phash(picture: Image.Image) -> str:
    """The 64-bit DCT hash of `imagehash.phash` as 16 hex digits; the distance of two hashes is their number of
    different bits.

    Computed here because of what importing SciPy's DCT would add to every worker: 0.2 s and 12 MB.
    """
    grey = np.asarray(picture.convert("L").resize((_HASHED_SIDE, _HASHED_SIDE), Image.Resampling.LANCZOS))
    coefficients = _DCT @ grey @ _DCT.T
    ordered = np.sort(coefficients, axis=None)
    median = (ordered[31] + ordered[32]) / 2  # np.median's own result, in an eighth of its time
    return np.packbits(coefficients > median).tobytes().hex()


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
