"""Text and pictures as a person writes them, to what the model takes; and back (sections 2.4 and A.2).

    prompt([cat, " Output: A cat.", dog, " Output:"], tokenizer, model)

gives `<BOS><image> Output: A cat.<EOC><image> Output:`. The marks are known by their place among the parts: `<image>`
is plain text in the words of the language model's own tokenizer, `<EOC>` is the one new id.

B rows, L tokens of the longest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from flamingo_model.media import Media
from flamingo_model.model import Flamingo
from flamingo_model.preprocess import Preprocess
from flamingo_model.tokens import chunk_ids
from schemas.markup import END_OF_CHUNK


class End:
    """Of a text that no picture follows: see `END`."""


END = End()
"""A part that ends a text with `<EOC>`, where the next part is text again: examples without their pictures."""
Picture = Image.Image | Path | Tensor
"""A picture, a file of one, or pixels [3, H, W] (of a video [T, 3, H, W]) that are normalised already."""
Part = str | Picture | Sequence[Image.Image | Path] | End
"""Text, a picture, the frames of a video, or `END`."""


@dataclass(frozen=True)
class Prompt:
    """What `Flamingo.forward`, `decoding.start` and `generate` take."""

    tokens: Tensor
    """int64 [B, L]; shorter rows are padded on the left."""
    phi: Tensor
    """int64 [B, L]: from the mark of the k-th image to the `<EOC>` before the next it is k, before the first 0."""
    media: Media | None
    """The pictures of all rows; None if there are none."""
    attention_mask: Tensor
    """int64 [B, L], 0 for padding."""


def prompt(
    parts: Iterable[Part], tokenizer: Any, model: Flamingo, preprocess: Callable[..., Tensor] | None = None
) -> Prompt:
    """One prompt, a batch of one row; see `prompts`."""
    return prompts([parts], tokenizer, model, preprocess)


def prompts(
    rows: Sequence[Iterable[Part]],
    tokenizer: Any,
    model: Flamingo,
    preprocess: Callable[..., Tensor] | None = None,
) -> Prompt:
    """Several prompts, padded on the left.

    Args:
        rows: the parts of each prompt, in their order. Texts are taken as they are: the space after a mark is the
            caller's (the paper has one), and the string "<image>" within a text is only text.
        tokenizer: the language model's, of transformers. `<BOS>` stands first if it has one.
        model: what the prompts are for: its `<EOC>`, its encoder's size and normalisation, its device.
        preprocess: from a PIL picture to [3, H, W], from a list of them to [T, 3, H, W]; None: as the model's encoder
            needs it.

    Raises:
        ValueError: no prompt, an empty one, a part that is neither text nor picture, ids that the model has not.
        OSError: a picture that cannot be read.
    """
    if not rows:
        raise ValueError("there is no prompt")
    vision = model.vision
    preprocess = preprocess or Preprocess(vision.image_size, vision.mean, vision.std, augment=None)
    ids, phis, clips, per_row = [], [], [], []
    for row, parts in enumerate(rows):
        own_ids, own_phi, own_clips = _row(list(parts), tokenizer, model.eoc_id, preprocess)
        if not own_ids:
            raise ValueError(f"prompt {row} is empty, and the tokenizer has no <BOS> to begin with")
        ids.append(own_ids)
        phis.append(own_phi)
        clips += own_clips
        per_row.append(len(own_clips))
    longest = max(map(len, ids))
    device = model.language.eoc_input.device

    def padded(values: Iterable[list[int]]) -> Tensor:
        return torch.tensor([[0] * (longest - len(own)) + own for own in values], device=device)

    media = None
    if clips:
        if len({clip.shape[2:] for clip in clips}) > 1:
            sizes = sorted({tuple(clip.shape[2:]) for clip in clips})
            raise ValueError(f"pictures come out in sizes {sizes}; preprocess must give one size")
        media = Media(torch.cat(clips).to(device), tuple(map(len, clips)), tuple(per_row))
    return Prompt(padded(ids), padded(phis), media, padded([1] * len(own) for own in ids))


def decode(ids: Iterable[int], tokenizer: Any, eoc_id: int, *, skip_special_tokens: bool = True) -> str:
    """The text of ids.

    Args:
        ids: e.g. a row of what `generate` gives.
        tokenizer: the language model's.
        eoc_id: `Flamingo.eoc_id`, which the tokenizer does not know.
        skip_special_tokens: leave out `<EOC>` and the tokenizer's own special tokens.
    """
    chunks: list[list[int]] = [[]]
    for token in ids:
        if token == eoc_id:
            chunks.append([])
        else:
            chunks[-1].append(int(token))
    texts = [tokenizer.decode(chunk, skip_special_tokens=skip_special_tokens) if chunk else "" for chunk in chunks]
    return ("" if skip_special_tokens else END_OF_CHUNK).join(texts)


def _row(
    parts: list[Part], tokenizer: Any, eoc_id: int, preprocess: Callable[..., Tensor]
) -> tuple[list[int], list[int], list[Tensor]]:
    """Ids, phi, and the pictures [T, 3, H, W] of one prompt."""
    ids: list[int] = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    phi = [0] * len(ids)
    clips: list[Tensor] = []
    if max(ids, default=0) >= eoc_id:
        raise ValueError(f"<BOS> is id {ids[0]}, the language model's are below {eoc_id}; is the tokenizer its own?")
    text, begun, marked = "", False, False

    def close() -> None:
        # From one <EOC> to the next all tokens see the same, so mark and text are one string to the tokenizer.
        ((new, _),) = chunk_ids([text], tokenizer, eoc_id, images=[marked])
        ids.extend(new)
        phi.extend([len(clips)] * len(new))

    for part in parts:
        if isinstance(part, str):
            text, begun = text + part, begun or bool(part)
            continue
        close()
        if begun:
            ids.append(eoc_id)
            phi.append(len(clips))
        text, begun, marked = "", False, False
        if not isinstance(part, End):
            clips.append(_clip(part, preprocess))
            begun = marked = True
    close()
    return ids, phi, clips


def _clip(part: Any, preprocess: Callable[..., Tensor]) -> Tensor:
    """A picture or a video as frames [T, 3, H, W]."""
    if isinstance(part, Tensor):
        if part.dim() not in (3, 4) or part.shape[-3] != 3 or not part.is_floating_point():
            raise ValueError(f"a picture is {part.dtype} {list(part.shape)}, must be floats [3, H, W] or [T, 3, H, W]")
        return part if part.dim() == 4 else part[None]
    if isinstance(part, list | tuple) and part:
        return preprocess([_picture(frame) for frame in part])
    return preprocess(_picture(part))[None]


def _picture(part: Any) -> Image.Image:
    if isinstance(part, Image.Image):
        return part
    if isinstance(part, Path):
        with Image.open(part) as picture:
            picture.load()
            return picture
    raise ValueError(
        f"a part is {type(part).__name__}, must be text, a PIL picture, a pathlib.Path, a tensor, or frames"
    )
