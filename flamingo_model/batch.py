"""Rows of training as tensors: several samples, padded or packed, with the pictures of all.

B rows, L tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from flamingo_model.loss import IGNORED
from flamingo_model.pictures import Pictures, Shown, pack
from flamingo_model.samples import Sample

PADDING = 0
"""Id that stands where there is no token; any will do, as it is masked."""


@dataclass(frozen=True)
class Batch:
    """B rows. What `Flamingo.forward` takes, but for the pictures, which are normalised on its device."""

    tokens: Tensor
    """int64 [B, L], padded on the right."""
    phi: Tensor
    """int64 [B, L]; padding has that of the last token, so that runs stay whole."""
    labels: Tensor
    """int64 [B, L], -100 where nothing is judged."""
    attention_mask: Tensor
    """int64 [B, L], 0 for padding. A row without sample has one token that is seen, so that no softmax is empty."""
    documents: Tensor | None
    """int64 [B, L], number of the document in its row; None unless documents are packed."""
    pictures: Pictures | None
    """None: the batch has none."""
    keys: tuple[tuple[str, ...], ...]
    """Of the documents in each row; () for a row that is only there to fill the batch."""

    def to(self, device: torch.device | str) -> "Batch":
        """With what the model reads there on another device: not phi, which it reads on the CPU, nor the pictures, of
        which `Pictures.media` makes what it takes."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """In memory that a GPU copies from on its own; torch calls this."""
        pictures = self.pictures
        if pictures is not None:
            pictures = replace(pictures, pixels=pictures.pixels.pin_memory())
        return replace(self._each(Tensor.pin_memory), pictures=pictures)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return replace(
            self,
            tokens=change(self.tokens),
            labels=change(self.labels),
            attention_mask=change(self.attention_mask),
            documents=None if self.documents is None else change(self.documents),
        )


@dataclass(frozen=True)
class Example:
    """One document's tokens and pictures."""

    sample: Sample
    shown: Shown


def collate(rows: Sequence[Sequence[Example]], length: int | None, image_size: int, *, packed: bool) -> Batch:
    """Rows of documents as tensors.

    Args:
        rows: of each row its documents, one unless they are packed, none for a row that only fills the batch.
        length: tokens of a row; None: as many as the longest has.
        image_size: height and width of the squares in which the pictures stand, pixels.
        packed: rows may have several documents.
    """
    used = [sum(len(example.sample.tokens) for example in row) for row in rows]
    length = length or max(1, *used)
    shape = len(rows), length
    tokens, phi = torch.full(shape, PADDING), torch.zeros(shape, dtype=torch.int64)
    labels, mask = torch.full(shape, IGNORED), torch.zeros(shape, dtype=torch.int64)
    documents = torch.zeros(shape, dtype=torch.int64)
    for place, row in enumerate(rows):
        end, images = 0, 0
        for number, example in enumerate(row):
            sample = example.sample
            part = slice(end, end + len(sample.tokens))
            own = torch.from_numpy(sample.phi)
            tokens[place, part], labels[place, part] = torch.from_numpy(sample.tokens), torch.from_numpy(sample.labels)
            phi[place, part] = torch.where(own > 0, own + images, 0)
            documents[place, part] = number
            end, images = part.stop, images + len(sample.pictures)
        mask[place, : max(end, 1)] = 1
        documents[place, end:] = len(row)
        phi[place, end:] = phi[place, end - 1] if end else 0
    shown = [_joined([example.shown for example in row]) for row in rows]
    keys = tuple(tuple(example.sample.key for example in row) for row in rows)
    pictures = pack(shown, image_size)
    return Batch(tokens, phi, labels, mask, documents if packed else None, pictures, keys)


def _joined(shown: Sequence[Shown]) -> Shown:
    """The pictures of the documents of one row."""
    return Shown(*(tuple(one for each in shown for one in getattr(each, field.name)) for field in fields(Shown)))
