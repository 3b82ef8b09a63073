"""The loop around the updates, whatever is trained: a line, a checkpoint, and on; how a run begins again and ends."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from flamingo_model.checkpoint import save_pretrained
from flamingo_model.shards import LoaderError
from flamingo_model.training import state
from flamingo_model.training.config import RunTable
from flamingo_model.training.errors import TrainingError, last_line
from flamingo_model.training.logs import Clock, Logs, Window, as_line
from flamingo_model.training.parallel import Ranks, leave, start
from flamingo_model.training.run import Run, Tally
from flamingo_model.training.signals import Asked, listening
from schemas.strict import to_plain

Say = Callable[[str], None]
Own = TypeVar("Own", bound=Run[Any, Any])
"""The run of one kind of training."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    step: int
    checkpoint: Path
    signal: int
    """That asked it to stop; 0: it is done."""


@dataclass(frozen=True)
class Task(Generic[Own]):
    """What one kind of training does at its own places of the loop."""

    begin: Callable[[Path, state.Saved | None, Ranks, Say], Own]
    """Everything before the first step; the checkpoint is that of a run that goes on."""
    take_step: Callable[[Own, int, Asked], int]
    """One update; the signal that asks to stop after it, or 0."""
    metrics: Callable[[Own, int], Mapping[str, Any]]
    """What its line of the log has beside what every one has. On all ranks."""
    card: Callable[[Own, int], str]
    """README.md of a checkpoint."""
    differences: Callable[[Mapping[str, Any]], Sequence[str]]
    """What of a saved configuration another one would change, in words."""
    line: Callable[[Mapping[str, Any], int, float], str] = as_line
    """From a line of the log to one for a person."""
    write_model: Callable[..., None] = save_pretrained


def train_as(task: Task[Own], table: RunTable, folder: Path, resume: bool, say: Say) -> Outcome:
    """Train until the run's last step, or until a signal asks to stop.

    Args:
        table: [run] of the configuration.
        folder: where it is written; `state.py` says what.
        resume: go on from the newest checkpoint there, if there is one.
        say: prints a line; called on the first rank only.

    Raises:
        TrainingError: a run that cannot begin or go on.
    """
    ranks = start(table)
    tell = say if ranks.first else _nothing
    found = state.find(folder)
    if found is not None:
        _check_resume(found, task, table, ranks, resume)
    try:
        run = task.begin(folder, found, ranks, tell)
    except LoaderError as error:
        raise TrainingError(last_line(error)) from error
    if found is not None:
        tell(f"going on after step {run.done}")
    logs = Logs(folder, run.done, table.tensorboard, tell, task.line) if ranks.first else None
    step, asked_for, path, begun = run.done, 0, None, time.perf_counter()
    with listening(tell) as asked:
        while step < table.steps and not asked_for:
            step += 1
            asked_for = task.take_step(run, step, asked)
            if step % table.log_every == 0 or step == table.steps:
                _log(task, run, step, logs, begun)
            if step % table.save_every == 0 or step == table.steps or asked_for:
                path = _save(task, run, step, folder)
                tell(f"saved {path}")
    if logs is not None:
        logs.close()
    assert path is not None  # the last step saves, and there is one
    return Outcome(step, path, asked_for)


def continued(found: state.Saved | None, run: Own) -> Own:
    """The run as it stood in a checkpoint, moments and random numbers included; itself, if there is none."""
    if found is None:
        return run
    state.load_optimiser(found, run.model, run.optimiser)
    state.load_random(found, run.ranks)
    training = found.training
    return replace(run, tally=Tally(**training["tally"]), window=Window(**training["window"]), done=found.step)


def end_at_terminal(outcome: Outcome, say: Say, advice: str = "") -> int:
    """Say how it ended, and `advice` if it came to its end.

    Returns:
        Exit code: 0, or 130 if Ctrl-C stopped it. SIGTERM is 0: who sends it (a scheduler) has what it asked for.
    """
    if int(os.environ.get("RANK", "0")) == 0:
        how = f"stopped by {signal.Signals(outcome.signal).name} after" if outcome.signal else "done:"
        say(f"{how} step {outcome.step}; {outcome.checkpoint}")
        if last := "go on with the same command and --resume" if outcome.signal else advice:
            say(last)
    leave()
    return 130 if outcome.signal == signal.SIGINT else 0


def show(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def added(skipped: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """What was passed over, by data set and reason, of all ranks; nothing for data sets where nothing was."""
    found: dict[str, dict[str, int]] = {}
    for of_rank in skipped:
        for name, reasons in of_rank.items():
            for reason, number in reasons.items():
                own = found.setdefault(name, {})
                own[reason] = own.get(reason, 0) + number
    return found


def _save(task: Task[Own], run: Own, step: int, folder: Path) -> Path:
    before = time.perf_counter()
    made = state.save(
        folder,
        step,
        run.model,
        run.optimiser,
        ranks=run.ranks,
        states={name: loader.state() for name, loader in run.loaders.items()},
        training={"config": to_plain(run.config), "tally": to_plain(run.tally), "window": to_plain(run.window)},
        tokenizer=run.tokenizer,
        card=task.card(run, step),
        keep=run.config.run.keep,
        write_model=task.write_model,
    )
    run.clock.paused += time.perf_counter() - before
    return made


def _log(task: Task[Own], run: Own, step: int, logs: Logs | None, begun: float) -> None:
    """One line of the log; all ranks together."""
    window = run.window
    own = task.metrics(run, step)
    skipped = run.ranks.gather({name: loader.skipped for name, loader in run.loaders.items()})
    waited = sum(loader.waited for loader in run.loaders.values())
    rates = run.clock.rates(waited)
    if logs is not None:
        run.last = {
            "step": step,
            "objective": window.objective / window.finite if window.finite else None,
            "losses": window.losses(),
            "norm": run.norm,
            **own,
            **rates,
            "memory": torch.cuda.max_memory_allocated() if run.ranks.device.type == "cuda" else None,
            "nonfinite": run.tally.nonfinite,
            "examples": dict(run.tally.examples),
            "passed_over": added(skipped),
        }
        logs.write(run.last, run.config.run.steps, begun, run.done)
    run.window = Window()
    run.clock = Clock(waited=waited)


def _check_resume(found: state.Saved, task: Task[Own], table: RunTable, ranks: Ranks, resume: bool) -> None:
    """The run goes on as it began.

    Raises:
        TrainingError: says what differs.
    """
    run = found.folder.parents[1]
    if not resume:
        raise TrainingError(
            f"{run} holds a run (step {found.step}); go on with it by --resume, or give another --output"
        )
    if differs := task.differences(found.training["config"]):
        raise TrainingError(f"the run in {run} has another configuration: {'; '.join(differs)}")
    if found.training["ranks"] != ranks.ranks:
        raise TrainingError(
            f"the run in {run} has {found.training['ranks']} processes, this is one of {ranks.ranks}; the order of the "
            "data depends on it"
        )
    if found.step >= table.steps:
        raise TrainingError(f"{run} has all {found.step} steps; for more set run.steps")


def _nothing(_: str) -> None:
    """Other ranks are silent."""
