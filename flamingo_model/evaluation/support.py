"""From a task's support to the shots of each query."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flamingo_model.evaluation import shots as choice
from flamingo_model.evaluation.examples import Example, Frames, TaskError, digest
from flamingo_model.evaluation.opened import Opened
from flamingo_model.evaluation.task import Task, read_split
from schemas.rejection import Rejected

Find = Callable[[Example, str], list[Example]]
"""The shots for a query whose picture has that digest, in the order in which they stand."""


def load_support(task: Task, root: Path, seed: int, needed: int) -> tuple[list[Example], Counter[str]]:
    """The examples for shots: those with an answer, as many as the task says; and what was left out, by reason.

    Args:
        needed: so many at least; 0: none are read.

    Raises:
        TaskError: the task has none.
    """
    if not needed:
        return [], Counter()
    if not task.support:
        raise TaskError(
            f"{task.name}: the task has no [support], so there is nothing to take {needed} examples from; name one, or "
            "ask with 0 shots and text_shots = 0"
        )
    examples, lost = read_split(task, root, "support")
    excluded = Counter(rejected.reason for rejected in lost)
    answered = [example for example in examples if example.answers]
    if len(answered) < len(examples):
        excluded["no_answer"] += len(examples) - len(answered)
    if not answered:
        raise TaskError(f"{task.name}: no example of [support] has an answer; take a split whose answers are public")
    return choice.draw_support(answered, task.support_size, task.support_per_class, seed), excluded


def shot_finder(
    opened: Opened,
    task: Task,
    support: Sequence[Example],
    count: int,
    *,
    shown: bool,
    seed: int,
    rices_folder: Path | None,
    excluded: Counter[str],
) -> Find:
    """How shots are chosen.

    Args:
        count: so many for each query.
        shown: with their pictures; those that cannot be read are passed over.
        rices_folder: choose the most similar, and keep the support's features in this folder; None: at random.
        excluded: is told what was passed over.
    """
    if not count:
        return lambda query, own: []
    frames = Frames(task.frames, task.fps)
    same = {**task.support, "split": ""} == {**task.query, "split": ""}
    digests: dict[int, str] = {}
    unreadable: set[int] = set()

    def pass_over(place: int, reason: str) -> None:
        if place not in unreadable:
            unreadable.add(place)
            excluded[reason] += 1

    def key(place: int) -> tuple[str, str]:
        if place not in digests:
            found = digest(support[place].visual)
            digests[place] = "" if isinstance(found, Rejected) else found
            if isinstance(found, Rejected) and shown:
                pass_over(place, found.reason)
        return support[place].id, digests[place]

    features: Tensor | None = None
    if rices_folder is not None:
        keys = [key(place)[1] for place in range(len(support))]
        features, problems = _features(opened, task, support, keys, frames, rices_folder)
        for place, reason in problems.items():
            pass_over(place, reason)

    def readable(place: int) -> bool:
        if shown and place not in unreadable:
            seen = opened.visual(support[place].visual, frames)
            if isinstance(seen, Rejected):
                pass_over(place, seen.reason)
        return place not in unreadable

    def find(query: Example, own: str) -> list[Example]:
        free = choice.no_leak((query.id, own), key, same)
        if features is not None:
            mine = opened.features(query.visual, frames)
            order: Iterator[int] = iter(()) if isinstance(mine, Rejected) else choice.similar_order(features @ mine)
        else:
            # Without pictures the examples only show the form: the same for all queries.
            order = choice.random_order(len(support), query.id if shown else "text only", seed)
        places = choice.take(order, count, lambda place: free(place) and readable(place))
        choice.need(count, len(places), task.name)
        return [support[place] for place in (reversed(places) if features is not None else places)]

    return find


def _features(
    opened: Opened, task: Task, support: Sequence[Example], digests: Sequence[str], frames: Frames, folder: Path
) -> tuple[Tensor, dict[int, str]]:
    """[examples, D'], kept in a file; those that cannot be read are 0, and named with the reason."""
    key = choice.features_key(opened.model, digests, f"{frames} {[e.visual for e in support if not e.visual.data]}")
    path = folder / f"features-{task.name}-{key[:16]}.safetensors"
    if path.is_file():
        kept = load_file(path)["features"]
        return kept, {place: "undecodable" for place, row in enumerate(kept) if not row.any()}
    rows, problems = [], {}
    for place, example in enumerate(support):
        found = opened.features(example.visual, frames)
        if isinstance(found, Rejected):
            problems[place] = found.reason
            found = torch.zeros(opened.model.vision.dim)
        rows.append(found)
    features = torch.stack(rows)
    part = path.with_suffix(".part")
    save_file({"features": features}, part)
    part.replace(path)
    return features, problems
