"""The pictures of a batch as they really are: packed, without padding, with their numbers of frames.

B rows, n images and videos of the batch, F frames of all of them, N images of a row, T frames of one.
"""

from dataclasses import dataclass, replace

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
        if not self.pixels.is_floating_point():
            raise ValueError(
                f"pixels are {self.pixels.dtype}, must be floats that are normalised as the vision encoder wants it; "
                "preprocess.Preprocess makes them of a picture"
            )
        if 0 in shape[2:]:
            raise ValueError(f"pixels are {shape}: a picture has no size")
        if sum(self.frames) != shape[0] or min(self.frames, default=1) < 1:
            raise ValueError(
                f"frames {self.frames} must be at least 1 each and sum to the {shape[0]} pictures of pixels"
            )
        if sum(self.per_row) != len(self.frames) or min(self.per_row, default=0) < 0:
            raise ValueError(f"per_row {self.per_row} must sum to the {len(self.frames)} images and videos")

    def named(self, phi: Tensor) -> "Media":
        """Without the images of each row that come after the last one that its phi [B, L] names.

        A crop of a text can leave such ones; nobody would see them, and encoding them would be for nothing.
        """
        if len(phi) != len(self.per_row):
            raise ValueError(f"phi has {len(phi)} rows, the images are of {len(self.per_row)}")
        highest = phi.amax(1).tolist() if phi.shape[1] else [0] * len(phi)
        counts = tuple(min(count, most) for count, most in zip(self.per_row, highest, strict=True))
        if counts == self.per_row:
            return self
        kept = [place < count for own, count in zip(self.per_row, counts, strict=True) for place in range(own)]
        pixels = [clip for clip, stays in zip(self.pixels.split(list(self.frames)), kept, strict=True) if stays]
        frames = tuple(frames for frames, stays in zip(self.frames, kept, strict=True) if stays)
        return Media(torch.cat(pixels) if pixels else self.pixels[:0], frames, counts)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Media":
        """With the pixels on that device."""
        return replace(self, pixels=self.pixels.to(device, non_blocking=non_blocking))

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
        counts = (most,) * rows if per_row is None else per_row
        if len(counts) != rows or max(counts, default=0) > most:
            raise ValueError(f"per_row {counts} must name {rows} rows with at most {most} images each")
        packed = torch.cat([pixels[:0, 0], *(row[:count] for row, count in zip(pixels, counts, strict=True))])
        return Media(packed.flatten(0, 1), (frames,) * len(packed), tuple(counts))
