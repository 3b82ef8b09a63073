"""Decoding step by step: what has been read is kept, and each image's keys and values are computed once.

    state = start(model, tokens, images, phi)
    state = extend(state, tokens)                    # sees what the token before it saw
    state = extend(state, tokens, images, phi)       # pictures may come in mid-sequence
    state.logits

A state is a value: no function changes the one it is given, so a prefix can be continued in many ways.

B rows, L tokens read so far, t tokens of an extension, V ids of the language model, D its width, n images shown so
far, R visual tokens of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import add
from typing import Any

import torch
from torch import Tensor

from flamingo_model.cross_attention import GatedCrossAttention, KeysValues
from flamingo_model.language import copy_cache, empty_cache
from flamingo_model.media import Media
from flamingo_model.model import Flamingo, Images, as_media
from flamingo_model.phi import Layout
from flamingo_model.view import View, in_type, look, make_view


@dataclass(frozen=True)
class Grafted:
    """What the ablation "grafting" needs. Its stack on top of the language model has no cache: it runs again over all
    tokens for each new one; only the language model's part is kept."""

    visual: Tensor
    """[n, R, dim]"""
    hidden: Tensor
    """[B, L, D] of the language model."""
    phi: Tensor
    """[B, L]"""


@dataclass(frozen=True)
class DecodingState:
    """All that has been read by a batch. Made by `start`, `extend` and `select`."""

    model: Flamingo
    cache: Any
    """The language model's keys and values: a transformers Cache."""
    layers: Mapping[int, GatedCrossAttention]
    """The inserted layers, their weights in the type of the arithmetic."""
    seen: Mapping[int, KeysValues]
    """For each layer, of all n images in the order in which they came."""
    images: tuple[tuple[int, ...], ...]
    """For each row, the places of its images in `seen`; rows may share images."""
    shown: int
    """n."""
    phi: tuple[int, ...]
    """Of each row's last token."""
    highest: tuple[int, ...]
    """Highest phi of each row so far: no later one that is not 0 may be lower."""
    lengths: tuple[int, ...]
    """Tokens of each row, without padding."""
    mask: Tensor | None
    """bool [B, L], False for padding; None: no padding."""
    last: Tensor
    """[B, D], of each row's last token: the input of the head."""
    view: View | None
    """Of one more token in each row, if it has been made."""
    grafted: Grafted | None

    @cached_property
    def logits(self) -> Tensor:
        """[B, V + 1] of the token to come; the last id is `<EOC>`."""
        with torch.no_grad():
            return self.model.language.logits(self.last)


@torch.no_grad()
def start(
    model: Flamingo,
    tokens: Tensor,
    images: Images,
    phi: Tensor,
    attention_mask: Tensor | None = None,
    *,
    visual: Tensor | None = None,
) -> DecodingState:
    """Read the prompts.

    Args:
        tokens: ids [B, L]; shorter rows are padded on the left.
        images: as `Flamingo.forward` takes them; phi may name one whose mark is yet to come.
        phi: [B, L].
        attention_mask: bool or 0/1 [B, L], 0 for padding; None: no padding.
        visual: visual tokens [n, R, dim] of the images from `Flamingo.encode`, to save encoding them again.

    Raises:
        ValueError: empty or too long prompts, padding on the right, shapes or ids that do not fit.
        PhiError: phi that does not fit the images.
    """
    if tokens.dim() != 2 or tokens.is_floating_point():
        raise ValueError(f"tokens are {tokens.dtype} {list(tokens.shape)}, must be integers [batch, tokens]")
    if not tokens.numel():
        raise ValueError(f"tokens are {list(tokens.shape)}: a prompt is empty; begin with <BOS>, or with any token")
    check_positions(model, tokens.shape[1] if attention_mask is None else int(attention_mask.sum(1).max()))
    rows = len(tokens)
    media = as_media(images, rows)
    visual = model.encode(media) if visual is None else visual
    none = (0,) * rows
    empty = DecodingState(
        model=model,
        cache=empty_cache(model.language.lm),
        layers={int(index): in_type(layer, visual.dtype) for index, layer in model.cross_attention.items()},
        seen={},
        images=((),) * rows,
        shown=0,
        phi=none,
        highest=none,
        lengths=none,
        mask=None,
        last=visual.new_zeros(rows, model.language.dim),
        view=None,
        grafted=None,
    )
    if model.graft:
        grafted = Grafted(visual[:0], visual.new_zeros(rows, 0, model.language.dim), tokens.new_zeros(rows, 0))
        empty = replace(empty, grafted=grafted)
    state = _show(empty, media, visual)
    return _read(state, tokens, phi, attention_mask)


@torch.no_grad()
def extend(
    state: DecodingState,
    tokens: Tensor,
    images: Images = None,
    phi: Tensor | None = None,
    attention_mask: Tensor | None = None,
    *,
    visual: Tensor | None = None,
) -> DecodingState:
    """Read more tokens in each row, and with them more images in any of the rows.

    Args:
        tokens: ids [B, t]; where rows get different numbers, padded on the left.
        images: those that are new; a row may have none.
        phi: [B, t], counted over all images of the row, old and new; None: as each row's last token.
        attention_mask: bool or 0/1 [B, t], 0 for padding; None: no padding.
        visual: as for `start`, of the new images.

    Raises:
        ValueError: no tokens, images without phi, more tokens than the language model has positions, padding on the
            right. PhiError: phi that does not fit the images, or falls.
    """
    if tokens.dim() != 2 or len(tokens) != len(state.phi) or not tokens.numel():
        raise ValueError(f"tokens are {list(tokens.shape)}, must be [{len(state.phi)}, 1 or more]")
    if images is not None:
        if phi is None:
            raise ValueError("images are given without phi; say from which of the new tokens on they are seen")
        media = as_media(images, len(tokens))
        state = _show(state, media, state.model.encode(media) if visual is None else visual)
    if phi is None and attention_mask is None:
        return advance(state, tokens)[1]  # A generated token: nothing to be checked but the number of positions.
    return _read(state, tokens, phi, attention_mask)


@torch.no_grad()
def select(state: DecodingState, rows: Sequence[int]) -> DecodingState:
    """The state of some rows in a new order; a row may be taken many times (beams, candidates).

    The language model's cache is reordered; the images' keys and values stay where they are.
    """
    if list(rows) == list(range(len(state.phi))):
        return state
    index = torch.tensor(rows, device=state.last.device)
    cache = copy_cache(state.cache)
    cache.reorder_cache(index)
    images, phi = tuple(state.images[row] for row in rows), tuple(state.phi[row] for row in rows)
    grafted = state.grafted and replace(state.grafted, hidden=state.grafted.hidden[index], phi=state.grafted.phi[index])
    return replace(
        state,
        cache=cache,
        images=images,
        phi=phi,
        highest=tuple(state.highest[row] for row in rows),
        lengths=tuple(state.lengths[row] for row in rows),
        mask=None if state.mask is None else state.mask[index],
        last=state.last[index],
        view=state.view if (images, phi) == (state.images, state.phi) else None,
        grafted=grafted,
    )


@torch.no_grad()
def advance(
    state: DecodingState, tokens: Tensor, phi: Tensor | None = None, mask: Tensor | None = None
) -> tuple[Tensor, DecodingState]:
    """Read tokens [B, t] without checks of phi: what `start` and `extend` do, with the hidden states of all t places.

    Args:
        state: what comes before.
        tokens: ids [B, t].
        phi: [B, t]; None: as each row's last token.
        mask: bool [B, t], False for padding on any side; None: no padding.

    Returns:
        [B, t, D], the input of the head; and the new state, whose `last` is of the last place.
    """
    model, count = state.model, tokens.shape[1]
    new = (count,) * len(tokens) if mask is None else mask.sum(1).tolist()
    lengths = tuple(map(add, state.lengths, new))
    check_positions(model, max(lengths))
    last_phi, highest, view = state.phi, state.highest, state.view
    if phi is None:
        phi = torch.tensor(state.phi, device=tokens.device)[:, None].expand(tokens.shape)
    else:
        last_phi, highest = tuple(phi[:, -1].tolist()), tuple(map(max, state.highest, phi.amax(1).tolist()))
    if view is None or count > 1 or last_phi != state.phi:
        all_previous = model.config.cross_attention.attend == "all_previous"
        view = make_view(phi, state.images, state.seen, all_previous=all_previous, device=tokens.device)
    mask = _joined_mask(state, tokens, mask)
    cache = copy_cache(state.cache)
    inserts = {index: look(layer, index, view) for index, layer in state.layers.items()}
    hidden = model.hidden(tokens, inserts, attention_mask=mask, cache=cache)
    grafted = state.grafted
    if grafted is not None:
        grafted = replace(
            grafted, hidden=torch.cat([grafted.hidden, hidden], dim=1), phi=torch.cat([grafted.phi, phi], dim=1)
        )
        counts = [len(places) for places in state.images]
        visual = grafted.visual[[place for places in state.images for place in places]]
        layout = Layout(grafted.phi, counts, device=tokens.device)
        hidden = model.grafted(grafted.hidden, visual, layout, mask, None)[:, -count:]
    return hidden, replace(
        state,
        cache=cache,
        phi=last_phi,
        highest=highest,
        lengths=lengths,
        mask=mask,
        last=hidden[:, -1],
        view=view if count == 1 else state.view if last_phi == state.phi else None,
        grafted=grafted,
    )


def check_positions(model: Flamingo, length: int) -> None:
    """Whether a row of that many tokens fits the language model.

    Raises:
        ValueError: it does not.
    """
    limit = getattr(model.language.lm.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and length > limit:
        raise ValueError(
            f"a row of {length} tokens, prompt and generated ones, is longer than the {limit} positions of the "
            "language model; shorten the prompt, e.g. by leaving out its first examples, or lower max_new_tokens"
        )


def _read(state: DecodingState, tokens: Tensor, phi: Tensor | None, attention_mask: Tensor | None) -> DecodingState:
    """Check what a caller gave, and advance."""
    eoc_id = state.model.eoc_id
    low, high = (int(value) for value in tokens.aminmax())
    if low < 0 or high > eoc_id:
        raise ValueError(f"token {low if low < 0 else high} is no id: they are 0 to {eoc_id}, which is <EOC>")
    for name, value in (("phi", phi), ("attention_mask", attention_mask)):
        if value is not None and value.shape != tokens.shape:
            raise ValueError(f"{name} is {list(value.shape)}, must be {list(tokens.shape)} as the tokens")
    mask = None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()
    if mask is not None and not bool(mask[:, -1].all()):
        row = int((~mask[:, -1]).nonzero()[0])
        raise ValueError(f"row {row} ends in padding; when decoding, rows are padded on the left and none is empty")
    if phi is not None:
        before = torch.tensor(state.highest, device=phi.device)[:, None]
        Layout(torch.cat([before, phi], dim=1) if any(state.highest) else phi, [len(own) for own in state.images])
        phi = phi.to(tokens.device, torch.int64)
    return advance(state, tokens, phi, mask)[1]


def _show(state: DecodingState, media: Media | None, visual: Tensor) -> DecodingState:
    """The state with more images, whose keys and values are computed here."""
    seen = {index: layer.keys_values(visual) for index, layer in state.layers.items()}
    if state.seen:
        seen = {i: KeysValues(*map(torch.cat, zip(state.seen[i], new, strict=True))) for i, new in seen.items()}
    images, first = list(state.images), state.shown
    for row, count in enumerate(media.per_row if media else ()):
        images[row] += tuple(range(first, first + count))
        first += count
    grafted = state.grafted and replace(state.grafted, visual=torch.cat([state.grafted.visual, visual]))
    return replace(state, seen=seen, images=tuple(images), shown=first, view=None, grafted=grafted)


def _joined_mask(state: DecodingState, tokens: Tensor, mask: Tensor | None) -> Tensor | None:
    """Of the tokens before and the new ones; None if none is padding."""
    if state.mask is None and mask is None:
        return None
    past = state.cache.get_seq_length()
    old = tokens.new_ones(len(tokens), past, dtype=torch.bool) if state.mask is None else state.mask
    return torch.cat([old, tokens.new_ones(tokens.shape, dtype=torch.bool) if mask is None else mask], dim=1)
