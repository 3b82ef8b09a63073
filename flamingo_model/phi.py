"""phi, the index that says which image each token sees, made ready for the attention (sections 2.3 and A.1.3).

phi is an input: an integer for each token, 0 for "no image", k for the k-th image of its row. Its non-zero values never
decrease along a row, so the tokens of one image are one contiguous run: that is what the fast attention is built on.
Documents packed into one row count their images on, so that phi needs no document boundaries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


class PhiError(ValueError):
    """phi does not fit the tokens or the images: the message names the place, the value and the cure."""


@dataclass(frozen=True)
class Run:
    """Neighbouring tokens (rows laid end to end) that see the same image."""

    length: int
    """Tokens."""
    image: int
    """Index into the batch's packed images; -1: none."""
    first: int
    """Packed index of the first image of the same row; -1 if `image` is."""


class Layout:
    """Which tokens of a batch see which of its packed images.

    Made once for a batch and shared by all layers.

    Args:
        phi: integers [B, L], 0 or the 1-based index of an image of the row.
        images_per_row: how many images each row has; packed, the rows' images stand one after the other.
        device: of the masks and indices; phi's own if None.

    Raises:
        PhiError: phi has another shape or type, names an image that the row has not, or decreases.
    """

    def __init__(self, phi: Tensor, images_per_row: Sequence[int], device: torch.device | None = None) -> None:
        counts = tuple(int(count) for count in images_per_row)
        if phi.dim() != 2 or phi.is_floating_point() or phi.is_complex() or phi.dtype == torch.bool:
            raise PhiError(f"phi is {phi.dtype} {list(phi.shape)}, must be integers [batch, tokens]")
        if len(counts) != len(phi):
            raise PhiError(f"images_per_row names {len(counts)} rows, phi has {len(phi)}")
        self.device = device or phi.device
        self.phi = phi.to("cpu", torch.int64)
        self.counts = counts
        self.firsts = tuple(sum(counts[:row]) for row in range(len(counts)))
        _check(self.phi, counts)

    @property
    def images(self) -> int:
        """Number of images of the batch."""
        return sum(self.counts)

    @cached_property
    def packed(self) -> Tensor:
        """Packed index of the image of each token, int64 [B, L] on `device`; -1 for none."""
        firsts = torch.tensor(self.firsts, dtype=torch.int64)[:, None]
        return torch.where(self.phi > 0, firsts + self.phi - 1, -1).to(self.device)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All tokens of the batch, in order; a run never goes over the end of a row."""
        runs = []
        for row, values in enumerate(self.phi):
            kinds, lengths = torch.unique_consecutive(values, return_counts=True)
            for kind, length in zip(kinds.tolist(), lengths.tolist(), strict=True):
                first = self.firsts[row] if kind else -1
                runs.append(Run(length, first + kind - 1 if kind else -1, first))
        return tuple(runs)

    @cached_property
    def equal_runs(self) -> tuple[int, Tensor | None] | None:
        """Length and images of the runs if all are equally long and see one: pairs, clips, a decoded token.

        No images if each run has its own, in order, as is nearly always so: then nothing need be copied.
        """
        if not self.runs or any(run.image < 0 or run.length != self.runs[0].length for run in self.runs):
            return None
        images = [run.image for run in self.runs]
        in_order = images == list(range(self.images))
        return self.runs[0].length, None if in_order else torch.tensor(images, device=self.device)

    @cached_property
    def edges(self) -> tuple[Tensor, int]:
        """For a kernel in which every token (rows laid end to end) must have an image: int32 [n + 1] on `device`, the
        places where the tokens of each image begin and the last ones end; and the most tokens of any image.

        Tokens without an image go with those before them (the first ones: with the first image); what they get is to be
        made zero. An image without tokens has an empty run.
        """
        firsts = torch.tensor(self.firsts, dtype=torch.int64)[:, None]
        seen = torch.where(self.phi > 0, firsts + self.phi - 1, 0).flatten().cummax(0).values
        edges = torch.searchsorted(seen, torch.arange(self.images + 1))
        edges[0], edges[-1] = 0, len(seen)
        return edges.int().to(self.device), int(edges.diff().max()) if self.images else 0

    @cached_property
    def padded_images(self) -> Tensor:
        """Packed index of each row's images, int64 [B, N] on `device`, N the most of any row; 0 where there is none."""
        index = torch.zeros(len(self.counts), max(self.counts, default=0), dtype=torch.int64)
        for row, (first, count) in enumerate(zip(self.firsts, self.counts, strict=True)):
            index[row, :count] = torch.arange(first, first + count)
        return index.to(self.device)

    def mask(self, latents: int, all_previous: bool) -> Tensor:
        """bool [B, 1, L, N * latents] on `device`: True where a token sees a key of the row's padded images."""
        images = torch.arange(1, max(self.counts, default=0) + 1)
        phi = self.phi[:, :, None]
        seen = (images <= phi) if all_previous else (images == phi)
        return seen.repeat_interleave(latents, dim=2)[:, None].to(self.device)


def check_named(phi: Tensor, images_per_row: Sequence[int]) -> None:
    """Whether each row's last image is named. One before it may be without tokens.

    Raises:
        PhiError: a row has more images than its phi names: one of the two belongs to something else, or phi counts
            from 0.
    """
    highest = phi.amax(1).tolist() if phi.shape[1] else [0] * len(phi)
    for row, (most, count) in enumerate(zip(highest, images_per_row, strict=True)):
        if count > most:
            raise PhiError(
                f"row {row} has {count} images, its highest phi is {most} (the first image is 1, 0 means none); if a "
                "crop of the text left images that no token sees, drop them: media.named(phi)"
            )


def _check(phi: Tensor, counts: tuple[int, ...]) -> None:
    for row, (values, count) in enumerate(zip(phi, counts, strict=True)):
        if count < 0:
            raise PhiError(f"row {row} has {count} images")
        if not len(values):
            continue
        low, high = values.aminmax()
        if low < 0:
            raise PhiError(f"phi is {low} in row {row}; 0 means no image, the first image is 1")
        if high > count:
            raise PhiError(
                f"phi is {high} in row {row}, which has {count} images; give all images that phi names, "
                "or set phi to 0 where an image was left out"
            )
        named = values[values > 0]
        if (falls := (named[1:] < named[:-1]).nonzero()).numel():
            place = int(falls[0])
            raise PhiError(
                f"phi falls from {named[place]} to {named[place + 1]} in row {row}; images are counted in the order of "
                "the text, over all documents that are packed into the row"
            )
