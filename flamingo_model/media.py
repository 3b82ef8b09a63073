"""The pictures of a batch as they really are: packed, without padding, with their numbers of frames.

B rows, n images and videos of the batch, F frames of all of them, N images of a row, T frames of one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Media:
    """Images and videos of a batch, one after the other, row after row. An image is a video of one frame."""

    pixels: Tensor
    """[F, 3, H, W], normalised as the vision encoder wants it."""
    frames: tuple[int, ...]
    """T of each image or video; they sum to F."""
    per_row: tuple[int, ...]
    """Images and videos of each row; they sum to n."""

    def __post_init__(self) -> None:
        shape = list(self.pixels.shape)
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(
                f"pixels are {shape}, must be [frames, 3, height, width]; Media.padded takes [B, N, T, 3, H, W]"
            )
        if 0 in shape[2:]:
            raise ValueError(f"pixels are {shape}: a picture has no size")
        if sum(self.frames) != shape[0] or min(self.frames, default=1) < 1:
            raise ValueError(
                f"frames {self.frames} must be at least 1 each and sum to the {shape[0]} pictures of pixels"
            )
        if sum(self.per_row) != len(self.frames) or min(self.per_row, default=0) < 0:
            raise ValueError(f"per_row {self.per_row} must sum to the {len(self.frames)} images and videos")

    @staticmethod
    def images(pixels: Tensor, per_row: tuple[int, ...]) -> "Media":
        """Single images [n, 3, H, W]."""
        return Media(pixels, (1,) * len(pixels), per_row)

    @staticmethod
    def padded(pixels: Tensor, per_row: tuple[int, ...] | None = None) -> "Media":
        """The paper's record [B, N, T, 3, H, W] (v1, section 3.2.1); of each row the first `per_row`, all if None."""
        if pixels.dim() != 6:
            raise ValueError(f"pixels are {list(pixels.shape)}, must be [B, N, T, 3, H, W]")
        rows, most, frames = pixels.shape[:3]
        counts = per_row or (most,) * rows
        if len(counts) != rows or max(counts, default=0) > most:
            raise ValueError(f"per_row {counts} must name {rows} rows with at most {most} images each")
        packed = torch.cat([row[:count] for row, count in zip(pixels, counts, strict=True)])
        return Media(packed.flatten(0, 1), (frames,) * len(packed), tuple(counts))
