"""A document to what one row of training is made of: ids, phi, labels, and which pictures (v1, section 3.2.1 and
3.2.2).

The text is tokenised between the images' positions and rendered with its marks, a random stretch of L tokens is cut out
of it, the first N images whose marks stand in the stretch are kept, and phi says for each token which of them it sees:
the last one before it, or, for half of the pages, the next one after it. A function of document, configuration and
random numbers; it reads no picture.

`SampleConfig` names every point that the paper leaves open; `PAGES`, `PAIRS` and `CLIPS` hold what is chosen here.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flamingo_model.loss import IGNORED
from flamingo_model.tokens import chunk_ids
from schemas.document import Document, Text, Video
from schemas.markup import render
from schemas.rejection import Rejected

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """How documents of one data set become samples. What concerns one kind of document does nothing to the others."""

    length: int
    """L, tokens at most, `<BOS>` and `<EOS>` among them. The paper: 256 for pages, 32 or 64 for pairs and clips."""
    max_images: int
    """N, images and videos at most; the paper: 5."""
    p_next: float
    """Of pages: probability that text sees the next image instead of the previous one, drawn once for each page (the
    paper: 0.5)."""
    p_space: float
    """Of pairs and clips: probability of a space before the caption (the paper: 0.5)."""
    frames: int
    """Of videos: T, frames at most; the paper: 8."""
    fps: float
    """Of videos: frames per second, as near as the shard has them; the paper: 1."""
    crop: Literal["uniform", "with_image", "start"]
    """Where the stretch of a longer document begins. "uniform": at any token with the same probability, as v1 says.
    "with_image": at any token such that a mark of an image is in the stretch. "start": at the begin, so that a caption
    keeps its image."""
    begin: Literal["crop", "document"]
    """Which stretches begin with `<BOS>`. "crop": all, since every prompt begins with it; the random tokens are then L
    - 1. "document": those at the document's begin, as a literal subsequence would have it."""
    surplus_marks: Literal["keep", "drop"]
    """`<image>` (and the `<EOC>` before it) of images after the N-th. "keep": the text stays as it was, so that its
    length is L. "drop": taken out."""
    surplus_phi: Literal["none", "last"]
    """What text sees that belongs to an image after the N-th. "none": nothing (phi 0): it speaks of a picture that is
    not there. "last": the N-th image."""
    after_last: Literal["none", "last"]
    """What text sees that comes after the last image, where text sees the next one. "none": nothing. "last": that last
    image; an attention that never is empty."""
    next_marks: Literal["own", "next"]
    """What the tokens of `<image>` see where text sees the next image. "own": the image that they stand for, as they do
    otherwise; so phi steps at the end of the mark. "next": the image after it, as the text behind them."""
    pair_phi: Literal["all", "after_mark"]
    """Of pairs and clips. "all": every token sees the picture, `<BOS>` too, as v1 lists it ("all 1"), and attention
    needs no mask. "after_mark": `<BOS>` does not, as in prompts."""
    loss: Literal["all", "seen"]
    """Which tokens have a label. "all": all of the text, as equation 2 sums. "seen": those that see an image; other
    implementations leave out the text before the first one."""
    loss_on_marks: bool
    """Whether the tokens of `<image>` have one too. They are text to the paper, and equation 2 takes all text. `<EOC>`
    and `<EOS>` are judged as the text before them."""
    clip_start: Literal["random", "begin"]
    """Where the frames of a longer video are taken: any stretch of it that has all T, or its begin."""
    short_clips: Literal["keep", "repeat"]
    """Videos of fewer than T frames. "keep": as they are; the resampler takes any number. "repeat": the last frame
    again until there are T, for equal shapes."""

    def __post_init__(self) -> None:
        for name, least in {"length": 4, "max_images": 0, "frames": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {least}")
        for name in ("p_next", "p_space"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be a probability")
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}, must be above 0")


PAGES = SampleConfig(
    length=256,
    max_images=5,
    p_next=0.5,
    p_space=0.5,
    frames=8,
    fps=1.0,
    crop="uniform",
    begin="crop",
    surplus_marks="keep",
    surplus_phi="none",
    after_last="none",
    next_marks="own",
    pair_phi="all",
    loss="all",
    loss_on_marks=True,
    clip_start="random",
    short_clips="keep",
)
"""Interleaved pages as in the paper; where it is silent, what changes least of the text and never shows a token a
picture that is not its own."""
PAIRS = SampleConfig(**(vars(PAGES) | {"length": 32, "max_images": 1, "crop": "start"}))
"""Image-text pairs. 32 tokens hold nearly all captions of ALIGN (12 tokens in the mean); for longer ones take 64."""
CLIPS = PAIRS
"""Video-text clips: as pairs."""


@dataclass(frozen=True)
class Sample:
    """One document's tokens. All arrays are int64 [l], l at most `length`."""

    key: str
    tokens: Ids
    phi: Ids
    """0, or the 1-based number of one of `pictures`."""
    labels: Ids
    """The tokens, or -100 for those that are not judged; the first never is, as nothing stands before it."""
    pictures: tuple[tuple[str, ...], ...]
    """For each image or video that some token sees the names of its members: one, or one for each frame."""
    next: bool
    """Text sees the next image, not the previous one."""


@dataclass(frozen=True)
class _Rendered:
    """A whole document without `<BOS>`."""

    tokens: Ids
    image: Ids
    """Number of the image whose mark stands last at or before each token, from 1; 0 before the first."""
    mark: npt.NDArray[np.bool_]
    """Tokens of `<image>`."""
    opens: Ids
    """Number of the image to whose mark the token belongs, the `<EOC>` right before it included; 0 for text."""


def training_sample(
    document: Document, config: SampleConfig, tokenizer: Any, eoc_id: int, rng: Random
) -> Sample | Rejected:
    """A random row of a document.

    Args:
        document: a page, pair or clip.
        config: of its data set.
        tokenizer: the language model's, of transformers; `<BOS>` and `<EOS>` are written if it has them.
        eoc_id: `Flamingo.eoc_id`.
        rng: of all draws.

    Raises:
        ValueError: ids that the language model has not: a tokenizer of another model.
    """
    page = document.kind == "page"
    sees_next = page and rng.random() < config.p_next
    space = not page and rng.random() < config.p_space
    if not page:
        caption = document.text.strip()
        if not caption:
            return Rejected("empty_caption", f"{document.kind} {document.key} has no text")
        if len(document.media) != 1:
            return Rejected("not_one_picture", f"{document.kind} {document.key} has {len(document.media)}")
        document = replace(document, slots=(document.media[0], Text(space * " " + caption)))
    elif not document.media and not document.text.strip():
        return Rejected("empty_page", f"{document.key} has neither text nor pictures")
    if any(isinstance(media, Video) and not media.members for media in document.media):
        return Rejected("no_frames", f"{document.kind} {document.key} has a video without frames")
    whole = _render(document, tokenizer, eoc_id)
    bos = tokenizer.bos_token_id
    start, stop, with_bos = _stretch(whole, config, bos is not None, rng)
    part = slice(start, stop)
    tokens, image, mark, opens = whole.tokens[part], whole.image[part], whole.mark[part], whole.opens[part]

    numbers = np.unique(image[mark])
    first = int(numbers[0]) if len(numbers) else 1
    kept = min(len(numbers), config.max_images)
    of_text = image + (~mark if config.next_marks == "own" else 1) if sees_next else image
    phi = _phi(of_text - first + 1, kept, len(numbers), sees_next, config)
    if config.surplus_marks == "drop" and kept < len(numbers):
        stay = opens <= first + kept - 1
        tokens, phi, mark = tokens[stay], phi[stay], mark[stay]
    labels = tokens.copy()
    if with_bos:
        at_begin = phi[:1] if sees_next else np.zeros(1, np.int64)
        tokens, phi = np.concatenate([[bos], tokens]), np.concatenate([at_begin, phi])
        labels, mark = np.concatenate([[IGNORED], labels]), np.concatenate([[False], mark])
    if not page and config.pair_phi == "all" and kept:
        phi = np.ones_like(phi)
    if config.loss == "seen":
        labels[phi == 0] = IGNORED
    if not config.loss_on_marks:
        labels[mark] = IGNORED
    labels[:1] = IGNORED
    seen = np.unique(phi[phi > 0])  # all of them, unless marks see the next image: then nobody sees the first
    phi = np.where(phi > 0, np.searchsorted(seen, phi) + 1, 0)
    pictures = tuple(
        clip_frames(media, config, rng) if isinstance(media, Video) else (media.member,)
        for media in (document.media[first + number - 2] for number in seen.tolist())
    )
    return Sample(document.key, tokens, phi, labels, pictures, sees_next)


def clip_frames(video: Video, config: SampleConfig, rng: Random) -> tuple[str, ...]:
    """Members of at most T frames, in time, `1 / fps` seconds apart as near as the video has them."""
    members = video.members
    times = np.array(video.times if len(video.times) == len(members) else range(len(members)), dtype=np.float64)
    span, step = (config.frames - 1) / config.fps, 1 / config.fps
    starts = np.flatnonzero(times + span <= times[-1] + step / 2)
    start = 0 if config.clip_start == "begin" or len(starts) < 2 else int(starts[rng.randrange(len(starts))])
    wanted = [times[start] + number * step for number in range(config.frames)]
    nearest = [int(np.abs(times - time).argmin()) for time in wanted if time <= times[-1] + step / 2]
    chosen = [members[place] for place in dict.fromkeys(nearest)]
    if config.short_clips == "repeat":
        chosen += chosen[-1:] * (config.frames - len(chosen))
    return tuple(chosen)


def _render(document: Document, tokenizer: Any, eoc_id: int) -> _Rendered:
    """The tokens of the whole document, its marks where `schemas.markup` places them."""
    text, marks = render(document.slots)
    chunks: list[str] = []
    images: list[bool] = []
    end, pending = 0, False
    for found in marks:
        if found.media is None:  # <EOC>: the text before it is complete
            chunks.append(text[end : found.position])
            images.append(pending)
        pending, end = found.media is not None, found.position + len(found.string)
    tokens: list[int] = []
    image: list[int] = []
    mark: list[bool] = []
    opens: list[int] = []
    number = 0
    for place, (new, of_mark) in enumerate(chunk_ids(chunks, tokenizer, eoc_id, images=images)):
        number += images[place]
        following = number + 1 if place + 1 < len(chunks) else 0
        tokens += [*new, eoc_id]
        image += [number] * (len(new) + 1)
        mark += [True] * of_mark + [False] * (len(new) - of_mark + 1)
        opens += [number] * of_mark + [0] * (len(new) - of_mark) + [following]
    if tokenizer.eos_token_id is not None:
        tokens, image = [*tokens, tokenizer.eos_token_id], [*image, number]
        mark, opens = [*mark, False], [*opens, 0]
    return _Rendered(np.array(tokens), np.array(image), np.array(mark), np.array(opens))


def _stretch(whole: _Rendered, config: SampleConfig, has_bos: bool, rng: Random) -> tuple[int, int, bool]:
    """Begin and end of the tokens that are taken, and whether `<BOS>` is put before them."""
    total = len(whole.tokens)
    if config.begin == "crop" or not has_bos:
        room, before = config.length - has_bos, 0
    else:  # <BOS> is token -1 of the document
        room, before = config.length, -1
    spare = total - before - room
    if spare <= 0:
        return 0, total, has_bos
    if config.crop == "start":
        begin = before
    elif config.crop == "with_image" and whole.mark.any():
        marks = np.concatenate([[0], np.cumsum(whole.mark)])
        begins = np.arange(before, before + spare + 1)
        fitting = begins[marks[begins + room] > marks[np.maximum(begins, 0)]]
        begin = int(fitting[rng.randrange(len(fitting))])
    else:
        begin = before + rng.randrange(spare + 1)
    return max(begin, 0), begin + room, has_bos and (config.begin == "crop" or begin < 0)


def _phi(local: Ids, kept: int, found: int, sees_next: bool, config: SampleConfig) -> Ids:
    """phi from the images' numbers within the stretch, of which 1 to `kept` are kept and 1 to `found` have marks in
    it."""
    surplus = kept if config.surplus_phi == "last" else 0
    after = kept if config.after_last == "last" else 0
    beyond = np.where(local > found, after, surplus) if sees_next else surplus
    return np.where(local < 1, 0, np.where(local > kept, beyond, local)).astype(np.int64)
