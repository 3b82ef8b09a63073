"""What is made of one decoded frame: a thumbnail to find cuts with, and an upright picture with square pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from pipelines.media.encode import encode_jpeg
from pipelines.media.perceptual import deviation, dominant_share
from pipelines.video.config import FramesConfig
from pipelines.video.scenes import COLUMNS, ROWS, Thumbnails

POINTS = 4
"""Samples each way that a thumbnail's luma takes from each of its cells; chroma half as many."""
_GRIDS = (
    (ROWS, COLUMNS, POINTS),
    (ROWS // 2, COLUMNS // 2, POINTS // 2),
    (ROWS // 2, COLUMNS // 2, POINTS // 2),
)
"""Of luma and the two planes of chroma: cells from top to bottom, from left to right, samples each way of a cell."""
_ENDS = tuple(accumulate(rows * columns * points * points for rows, columns, points in _GRIDS))
_SPANS = tuple(pairwise((0, *_ENDS)))
_POINTS = _ENDS[-1]
Points = np.ndarray[tuple[int], np.dtype[np.uint8]]
MEASURED_SIDE = 64
"""Pictures are measured after reducing them to about this many pixels a side."""
_PLANAR = {
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuvj422p",
    "yuv444p",
    "yuvj444p",
    "yuv440p",
    "yuv411p",
    "yuv410p",
    "yuva420p",
}
_BILINEAR, _AREA, _SAME_EVERYWHERE = 2, 0x20, 0x40000 | 0x80000
"""Flags of swscale; the last, accurate rounding and no shortcuts, makes every processor give the same pixels."""
_UNSPECIFIED, _BT709 = 2, 1
_HD_HEIGHT = 720
_RIGHT_DOWN = {
    (1, 0, 0, 1): (None, 0),
    (0, 1, -1, 0): (Image.Transpose.ROTATE_270, 90),
    (-1, 0, 0, -1): (Image.Transpose.ROTATE_180, 180),
    (0, -1, 1, 0): (Image.Transpose.ROTATE_90, 270),
    (-1, 0, 0, 1): (Image.Transpose.FLIP_LEFT_RIGHT, 0),
    (1, 0, 0, -1): (Image.Transpose.FLIP_TOP_BOTTOM, 180),
    (0, 1, 1, 0): (Image.Transpose.TRANSPOSE, 90),
    (0, -1, -1, 0): (Image.Transpose.TRANSVERSE, 270),
}
"""Where a display matrix sends "right" and "down" -> (how Pillow does that, degrees clockwise)."""


@dataclass(frozen=True)
class Picture:
    """A sampled frame as it is stored."""

    time: float
    jpeg: bytes
    width: int
    height: int
    deviation: float
    dominant_share: float


class PictureMaker:
    """Makes all pictures of one video alike: of the first frame's size and orientation."""

    def __init__(self, frame: Any, width: int, height: int, config: FramesConfig) -> None:
        """`width` and `height`: of the stored frames, with square pixels."""
        self.config = config
        self.transpose, self.rotation = orientation(frame)
        self.stored = fitted(width, height, config.max_side)
        turned = self.rotation in (90, 270)
        self.upright = (height, width) if turned else (width, height)
        self.scaler = VideoReformatter()

    def make(self, frame: Any, time: float) -> Picture:
        picture = self.image(frame)
        small = picture.reduce(max(1, max(picture.size) // MEASURED_SIDE)).convert("RGB")
        jpeg = encode_jpeg(picture, self.config.jpeg_quality, self.config.jpeg_subsampling)
        return Picture(time, jpeg, *picture.size, deviation(small), dominant_share(small))

    def image(self, frame: Any) -> Image.Image:
        """The frame in RGB (mode RGBX, as Pillow itself holds RGB), upright, with square pixels, reduced."""
        width, height = self.stored
        # What no one has specified is BT.709 for high definition, as players take it; swscale's own guess is BT.601.
        reduced = width <= frame.width and height <= frame.height and (width, height) != (frame.width, frame.height)
        high = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT
        rgb = self.scaler.reformat(
            frame,
            width=width,
            height=height,
            format="rgb0",
            interpolation=(_AREA if reduced else _BILINEAR) | _SAME_EVERYWHERE,
            src_colorspace=_BT709 if high else None,
            threads=1,
        )
        plane: Any = rgb.planes[0]
        # The plane is the picture's own memory: nothing is copied.
        picture = Image.frombuffer("RGBX", (width, height), plane, "raw", "RGBX", plane.line_size, 1)
        return picture if self.transpose is None else picture.transpose(self.transpose)


def fitted(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The size reduced, aspect kept, until the larger side is `max_side`; 0: as it is."""
    larger = max(width, height)
    if not max_side or larger <= max_side:
        return width, height
    wide, high = (max(1, (2 * side * max_side + larger) // (2 * larger)) for side in (width, height))
    return wide, high


def orientation(frame: Any) -> tuple[Image.Transpose | None, int]:
    """How Pillow turns the frame upright, and the degrees clockwise of that."""
    matrix = next((data for data in list(frame.side_data) if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None or len(values := np.frombuffer(bytes(matrix), dtype=np.int32)) < 5:
        return None, 0
    right, down = values[0:2].astype(float), values[3:5].astype(float)
    if abs(right[0]) + abs(down[1]) >= abs(right[1]) + abs(down[0]):
        key = (_sign(right[0]), 0, 0, _sign(down[1]))
    else:
        key = (0, _sign(right[1]), _sign(down[0]), 0)
    return _RIGHT_DOWN[key]


def _sign(value: float) -> int:
    return -1 if value < 0 else 1


class Thumbnailer:
    """Takes of frames what thumbnails are made of: some samples of each cell of a grid."""

    def __init__(self) -> None:
        self.scaler = VideoReformatter()

    def points(self, frame: Any) -> Points:
        if frame.format.name not in _PLANAR:
            frame = self.scaler.reformat(
                frame, width=COLUMNS * POINTS, height=ROWS * POINTS, format="yuv444p", interpolation=_AREA, threads=1
            )
        result = np.empty(_POINTS, dtype=np.uint8)
        for plane, (first, end), (rows, columns, points) in zip(frame.planes, _SPANS, _GRIDS, strict=False):
            places = _places(plane.width, plane.height, plane.line_size, rows, columns, points)
            result[first:end] = np.frombuffer(plane, dtype=np.uint8)[places]
        return result


def thumbnails(points: Sequence[Points]) -> Thumbnails:
    """A thumbnail of each frame's points: mean luma and chroma of the cells. Many at once take a third of the time."""
    rows = np.stack(points)
    means = []
    for (first, end), (_, _, side) in zip(_SPANS, _GRIDS, strict=True):
        cells = rows[:, first:end].reshape(len(rows), side * side, -1)
        means.append((cells.sum(axis=1, dtype=np.uint16) // np.uint16(side * side)).astype(np.uint8))
    return np.concatenate(means, axis=1)


@lru_cache(maxsize=16)
def _places(width: int, height: int, line: int, rows: int, columns: int, points: int) -> np.ndarray:
    """Where the samples stand in a plane's bytes: the first of each cell, then the second of each, and so on."""
    y = ((np.arange(rows * points) + 0.5) * height / (rows * points)).astype(np.intp)
    x = ((np.arange(columns * points) + 0.5) * width / (columns * points)).astype(np.intp)
    grid = y[:, None] * line + x[None, :]
    cells = grid.reshape(rows, points, columns, points).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(cells.reshape(points * points * rows * columns))


av.logging.set_level(av.logging.PANIC)
