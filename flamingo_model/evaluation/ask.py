"""Prompts with shots to answers: generated text, or the log-likelihood of candidates.

Each picture is encoded once and its visual tokens are kept, so a prompt holds only the places where pictures stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flamingo_model.evaluation.examples import Example
from flamingo_model.evaluation.opened import Opened
from flamingo_model.evaluation.prompts import answer_text, question_text, shot_text, trim
from flamingo_model.evaluation.task import PromptKind
from flamingo_model.generate import candidate_log_likelihoods, generate
from flamingo_model.media import Media
from flamingo_model.prompt import END, Part, Prompt, decode, prompt
from flamingo_model.tokens import chunk_ids

PLACE = torch.zeros(3, 1, 1)
"""Stands for a picture whose visual tokens are known."""


@dataclass(frozen=True)
class Asked:
    """One prompt."""

    query: Example
    shots: tuple[Example, ...]
    """In the order in which they stand."""
    pictures: tuple[Tensor, ...]
    """Visual tokens [R, dim] of the shots' pictures, if they are shown, and of the query's."""

    @property
    def with_pictures(self) -> bool:
        """Whether shots are shown with their pictures; False: text only (section A.2)."""
        return len(self.pictures) == len(self.shots) + 1


def parts_of(asked: Asked, kind: PromptKind) -> list[Part]:
    """What stands in the prompt, in order."""
    parts: list[Part] = []
    for shot in asked.shots:
        text = shot_text(kind, shot)
        parts += [PLACE, text] if asked.with_pictures else [text.strip(), END]
    return [*parts, PLACE, question_text(kind, asked.query)]


def build(opened: Opened, asked: Sequence[Asked], kind: PromptKind, drop: Sequence[int] | None = None) -> Prompt:
    """A batch of prompts, padded on the left.

    Args:
        drop: for each prompt how many of its last tokens are left out.
    """
    rows = [prompt(parts_of(one, kind), opened.tokenizer, opened.model) for one in asked]
    if drop is not None:
        rows = [
            replace(row, **{name: getattr(row, name)[:, : row.tokens.shape[1] - cut] for name in _FIELDS})
            for row, cut in zip(rows, drop, strict=True)
        ]
    longest = max(row.tokens.shape[1] for row in rows)
    padded = {
        name: torch.cat([torch.nn.functional.pad(own, (longest - own.shape[1], 0)) for own in values])
        for name, values in ((name, [getattr(row, name) for row in rows]) for name in _FIELDS)
    }
    counts = tuple(len(one.pictures) for one in asked)
    media = Media(torch.zeros(sum(counts), 3, 1, 1, device=opened.device), (1,) * sum(counts), counts)
    return Prompt(media=media, **padded)


_FIELDS = ("tokens", "phi", "attention_mask")


def visual_of(asked: Sequence[Asked]) -> Tensor:
    """[n, R, dim] of all pictures of a batch."""
    return torch.stack([picture for one in asked for picture in one.pictures])


def generate_answers(
    opened: Opened, asked: Sequence[Asked], kind: PromptKind, *, max_new_tokens: int, num_beams: int
) -> list[str]:
    """An open answer to each; `num_beams` of 1 is greedy."""
    made = build(opened, asked, kind)
    ids = generate(
        opened.model,
        made.tokens,
        made.media,
        made.phi,
        attention_mask=made.attention_mask,
        visual=visual_of(asked),
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
    )
    return [trim(decode(own, opened.tokenizer, opened.model.eoc_id)) for own in ids]


def candidate_ids(opened: Opened, kind: PromptKind, query: Example, end: bool) -> tuple[list[list[int]], int]:
    """The tokens of each candidate as they follow the question.

    A tokenizer may join the question's last letters and the answer's first to one token. Then the tokens from there on
    belong to all candidates, and the question loses them: what is compared stays the likelihood of the same text.

    Args:
        end: with the `<EOC>` after it, so that "cat" is not likelier only because it begins "cat flap".

    Returns:
        The tokens, and how many of the question's last are among them.
    """
    question = question_text(kind, query)
    texts = [question, *(question + answer_text(candidate) for candidate in query.candidates)]
    found = chunk_ids(texts, opened.tokenizer, opened.model.eoc_id, images=[True] * len(texts))
    (asked, _), rest = found[0], [ids for ids, _ in found[1:]]
    shared = min((_common(asked, ids) for ids in rest), default=len(asked))
    last = [opened.model.eoc_id] if end else []
    return [ids[shared:] + last for ids in rest], len(asked) - shared


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def rank_answers(
    opened: Opened,
    asked: Sequence[Asked],
    kind: PromptKind,
    *,
    end: bool,
    length_normalised: bool,
    ids: Sequence[tuple[list[list[int]], int]] | None = None,
) -> list[list[float]]:
    """For each prompt the log-likelihood of each candidate of its query.

    Args:
        end, length_normalised: see `candidate_ids` and `candidate_log_likelihoods`.
        ids: what `candidate_ids` gave for each, if it is known.
    """
    tokens = [candidate_ids(opened, kind, one.query, end) for one in asked] if ids is None else ids
    made = build(opened, asked, kind, [cut for _, cut in tokens])
    return candidate_log_likelihoods(
        opened.model,
        made.tokens,
        made.media,
        made.phi,
        [own for own, _ in tokens],
        attention_mask=made.attention_mask,
        visual=visual_of(asked),
        length_normalised=length_normalised,
    )
