"""Zero-shot retrieval on held-out pairs: does a picture find its own caption among all, and a caption its picture."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from flamingo_model.batch import Batch
from flamingo_model.contrastive.loss import Pairs
from flamingo_model.contrastive.towers import Towers
from flamingo_model.data import Loader
from flamingo_model.evaluation.metrics import retrieval_recall

KS = (1, 5, 10)


def pairs_of(batch: Batch, model: Towers, device: torch.device) -> Pairs:
    """A loader's batch as the towers take it."""
    assert batch.pictures is not None
    media = batch.pictures.media(model.vision.mean, model.vision.std, device)
    on = batch.to(device)
    return Pairs(media.pixels, on.tokens, on.attention_mask)


@torch.no_grad()
def recall(model: Towers, batches: Sequence[Pairs]) -> dict[str, dict[str, float]]:
    """Percent of pictures whose caption is among the k nearest of all captions, and of captions, k as in `KS`.

    Equal captions are all right: several pictures may have one.
    """
    was_training = model.training
    model.eval()
    vectors = [model(pairs.pixels, pairs.tokens, pairs.mask)[:2] for pairs in batches]
    model.train(was_training)
    image, text = (torch.cat([found[place] for found in vectors]).cpu().double().numpy() for place in (0, 1))
    captions = [
        tuple(row[seen.bool()].tolist())
        for pairs in batches
        for row, seen in zip(pairs.tokens.cpu(), pairs.mask.cpu(), strict=True)
    ]
    return recall_of(image @ text.T, captions)


def recall_of(cosines: npt.NDArray[np.float64], captions: Sequence[tuple[int, ...]]) -> dict[str, dict[str, float]]:
    """From cosines [pictures, captions] of pairs, whose equal captions have equal tokens."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, caption in enumerate(captions):
        places.setdefault(caption, []).append(place)
    right = [places[caption] for caption in captions]
    return {
        name: {str(k): value for k, value in zip(KS, retrieval_recall(table, right, KS), strict=True)}
        for name, table in (("image_to_text", cosines), ("text_to_image", cosines.T))
    }


def held_out_batches(loader: Loader, model: Towers, device: torch.device, rows: int) -> list[Pairs]:
    """The first `rows` pairs of a loader that ends; rows without a picture, at its end, are left out."""
    found: list[Pairs] = []
    for batch in loader:
        full = min(sum(bool(keys) for keys in batch.keys), rows)
        if full:
            pairs = pairs_of(batch, model, device)
            found.append(Pairs(pairs.pixels[:full], pairs.tokens[:full], pairs.mask[:full]))
        rows -= full
        if rows <= 0:
            break
    return found
