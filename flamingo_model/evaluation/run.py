"""A task with so many shots: every query asked, every answer written, the score."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from torch import Tensor

from flamingo_model.evaluation import shots as choice
from flamingo_model.evaluation.ask import Asked, candidate_ids, generate_answers, rank_answers
from flamingo_model.evaluation.examples import Example, Frames, TaskError, digest
from flamingo_model.evaluation.metrics import Answer, score
from flamingo_model.evaluation.opened import Opened
from flamingo_model.evaluation.records import Options, answer_line, read_done, settings_of, short, write_line
from flamingo_model.evaluation.support import Find, load_support, shot_finder
from flamingo_model.evaluation.task import Task, read_split, where
from schemas.rejection import Rejected

Tell = Callable[[int, int], None]
"""Is told how many queries of how many are done."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out."""

    task: str
    metric: str
    shots: int
    """As asked for; a task may allow fewer."""
    shown: int
    """As there were in each prompt."""
    choice: str
    """"random", "rices", "none", or how many examples without their pictures: "2 texts"."""
    ensemble: int
    value: float | None
    """Percent; None: the answers are not public, so none can be judged here."""
    low: float | None
    high: float | None
    n: int
    """Queries that were answered."""
    excluded: dict[str, int]
    """Queries without a readable picture, by reason: they are not in `n`."""
    support: int
    support_excluded: dict[str, int]
    """Of the support, the same, as far as it was looked at."""
    seconds: float
    answers: str
    """The file of all answers."""
    paper: dict[str, float]
    """The paper's scores with so many shots."""


def evaluate(
    opened: Opened,
    task: Task,
    root: Path,
    count: int,
    options: Options,
    output: Path,
    tell: Tell = lambda done, of: None,
) -> Result:
    """Run a task with `count` shots; answers go to the folder `output`.

    Raises:
        TaskError: data that is not there or does not fit; too few examples for so many shots.
    """
    begun = monotonic()
    if count < 0:
        raise TaskError(f"{count} shots: must be 0 or more")
    shown = min(count, task.max_shots)
    if options.ensemble > 1 and task.mode != "rank":
        raise TaskError(f"{task.name}: an ensemble is of tasks that rank candidates, this one generates")
    text_only = task.text_shots if shown == 0 and task.mode == "generate" else 0
    queries, lost = read_split(task, root, "query")
    excluded = Counter(rejected.reason for rejected in lost)
    if options.limit and options.limit < len(queries):
        queries = [queries[place] for place in sorted(Random(options.seed).sample(range(len(queries)), options.limit))]
    support, support_lost = load_support(task, root, options.seed, needed=max(shown, text_only))
    frames = Frames(task.frames, task.fps)
    output.mkdir(parents=True, exist_ok=True)
    settings = settings_of(opened, task, shown, options, support)
    path = output / f"{task.name}-{count}-{short(settings)}.jsonl"
    done = read_done(path)
    find = shot_finder(
        opened,
        task,
        support,
        shown or text_only,
        shown=shown > 0,
        seed=options.seed,
        rices_folder=output if options.rices and shown else None,
        excluded=support_lost,
    )
    orders = options.ensemble if task.mode == "rank" else 1

    with path.open("a", encoding="utf-8") as file:
        if not done and path.stat().st_size == 0:
            write_line(file, {"settings": settings})
        waiting: list[tuple[Example, list[Asked], list[str]]] = []
        for number, query in enumerate(queries):
            if query.id not in done:
                asked = _ask(opened, query, find, frames, orders, text_only, options)
                if isinstance(asked, Rejected):
                    done[query.id] = {"excluded": asked.reason, "detail": asked.detail}
                    write_line(file, {"id": query.id, **done[query.id]})
                else:
                    waiting.append((query, asked, [shot.id for shot in asked[0].shots]))
            if waiting and (len(waiting) * orders >= options.batch or number + 1 == len(queries)):
                for (one, _, names), answer in zip(waiting, _answers(opened, task, waiting, options), strict=True):
                    done[one.id] = answer_line(one, names, answer)
                    write_line(file, done[one.id])
                waiting = []
            tell(number + 1, len(queries))
    pairs = []
    for query in queries:
        entry = done[query.id]
        if "excluded" in entry:
            excluded[entry["excluded"]] += 1
        else:
            pairs.append((query, Answer(entry["answer"], tuple(entry["scores"]))))
    if not pairs:
        first = next(iter(done.values()))
        raise TaskError(
            f"{task.name}: none of {len(queries)} pictures can be read ({first.get('detail', '')}). {where(task)}"
        )
    judged = task.metric == "mwap" or all(query.answers or query.relevance for query, _ in pairs)
    value = score(task.metric, pairs, seed=options.seed) if judged else None
    place = {0: 0, 4: 1, 32: 2}.get(count)
    return Result(
        task=task.name,
        metric=task.metric,
        shots=count,
        shown=shown,
        choice=f"{text_only} texts" if text_only else ("rices" if options.rices else "random") if shown else "none",
        ensemble=orders if shown else 1,
        value=value.value if value else None,
        low=value.low if value else None,
        high=value.high if value else None,
        n=len(pairs),
        excluded=dict(excluded),
        support=len(support),
        support_excluded=dict(support_lost),
        seconds=round(monotonic() - begun, 1),
        answers=path.name,
        paper={name: own[place] for name, own in task.paper.items() if place is not None and place < len(own)},
    )


def _ask(
    opened: Opened,
    query: Example,
    find: Find,
    frames: Frames,
    orders: int,
    text_only: int,
    options: Options,
) -> list[Asked] | Rejected:
    """The prompts of one query: several in an ensemble."""
    own = digest(query.visual)
    seen = own if isinstance(own, Rejected) else opened.visual(query.visual, frames)
    if isinstance(own, Rejected) or isinstance(seen, Rejected):
        return own if isinstance(own, Rejected) else seen  # type: ignore[return-value]
    found = find(query, own)
    prompts = []
    for order in choice.orders(found, orders, query.id, options.seed) if found else [[]]:
        pictures = [] if text_only else [opened.visual(shot.visual, frames) for shot in order]
        prompts.append(Asked(query, tuple(order), (*[p for p in pictures if isinstance(p, Tensor)], seen)))
    return prompts


def _answers(
    opened: Opened, task: Task, waiting: Sequence[tuple[Example, list[Asked], list[str]]], options: Options
) -> list[Answer]:
    """One for each query."""
    every = [asked for _, own, _ in waiting for asked in own]
    if task.mode == "generate":
        texts: list[str] = []
        for batch in _batches(every, options.batch):
            texts += generate_answers(
                opened, batch, task.prompt, max_new_tokens=task.max_new_tokens, num_beams=options.beams
            )
        return [Answer(text) for text in texts]
    known: dict[tuple[Any, ...], tuple[list[list[int]], int]] = {}

    def ids(query: Example) -> tuple[list[list[int]], int]:
        key = (query.question, query.context, id(query.candidates))
        if key not in known:
            known[key] = candidate_ids(opened, task.prompt, query, options.end)
        return known[key]

    scores: list[list[float]] = []
    for batch in _batches(every, options.batch):
        scores += rank_answers(
            opened,
            batch,
            task.prompt,
            end=options.end,
            length_normalised=options.length_normalised,
            ids=[ids(asked.query) for asked in batch],
        )
    answers, begin = [], 0
    for query, own, _ in waiting:
        mean = choice.mean_scores(scores[begin : begin + len(own)])
        begin += len(own)
        answers.append(Answer(query.candidates[max(range(len(mean)), key=mean.__getitem__)], tuple(mean)))
    return answers


def _batches(asked: Sequence[Asked], size: int) -> Iterable[Sequence[Asked]]:
    return (asked[begin : begin + size] for begin in range(0, len(asked), size))
