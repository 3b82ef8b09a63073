"""The loop: one batch of each data set, gradients added up, one update; a line, a checkpoint, and on.

`train` is all of it; `step.py` is one update.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flamingo_model.shards import LoaderError
from flamingo_model.training import setup, state
from flamingo_model.training.card import card
from flamingo_model.training.config import TrainConfig, differences
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.logs import Clock, Logs, Window, gates
from flamingo_model.training.optim import learning_rate, make_optimiser
from flamingo_model.training.parallel import Ranks, leave, start, wrap
from flamingo_model.training.signals import listening
from flamingo_model.training.step import Run, Tally, last_line, take_step
from schemas.strict import to_plain


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    step: int
    checkpoint: Path
    signal: int
    """That asked it to stop; 0: it is done."""


def train(
    config: TrainConfig, folder: str | Path, *, resume: bool = False, say: Callable[[str], None] = print
) -> Outcome:
    """Train until the run's last step, or until a signal asks to stop.

    Args:
        config: of the run.
        folder: where it is written; `state.py` says what.
        resume: go on from the newest checkpoint there, if there is one.
        say: prints a line; called on the first rank only.

    Raises:
        TrainingError: a run that cannot begin or go on. ConfigError, CheckpointError: a model that cannot be made.
    """
    folder = Path(folder)
    ranks = start(config.run)
    tell = say if ranks.first else _nothing
    try:
        run, logs, tokenizer, done = _begin(config, folder, resume, ranks, tell)
    except LoaderError as error:
        raise TrainingError(last_line(error)) from error
    steps, asked_for, path = config.run.steps, 0, None
    begun = time.perf_counter()

    def saved(step: int) -> Path:
        before = time.perf_counter()
        made = state.save(
            folder,
            step,
            run.model,
            run.optimiser,
            ranks=ranks,
            states={name: loader.state() for name, loader in run.loaders.items()},
            training={"config": to_plain(config), "tally": to_plain(run.tally), "window": to_plain(run.window)},
            tokenizer=tokenizer,
            card=card(config, run.model, step, to_plain(run.tally), run.last),
            keep=config.run.keep,
        )
        run.clock.paused += time.perf_counter() - before
        return made

    with listening(tell) as asked:
        for step in range(done + 1, steps + 1):
            asked_for = take_step(run, step, asked)
            if step % config.run.log_every == 0 or step == steps:
                _log(run, step, logs, begun, done)
            if step % config.run.save_every == 0 or step == steps or asked_for:
                path = saved(step)
                tell(f"saved {path}")
            if asked_for:
                break
        else:
            step = steps
    if logs is not None:
        logs.close()
    assert path is not None
    return Outcome(step, path, asked_for)


def run_from_terminal(config: TrainConfig, folder: str | Path, resume: bool) -> int:
    """Train and say how it ended.

    Returns:
        Exit code: 0, or 130 if Ctrl-C stopped it. SIGTERM is 0: who sends it (a scheduler) has what it asked for.
    """
    outcome = train(config, folder, resume=resume, say=_print)
    if int(os.environ.get("RANK", "0")) == 0:
        how = f"stopped by {signal.Signals(outcome.signal).name} after" if outcome.signal else "done:"
        _print(f"{how} step {outcome.step}; {outcome.checkpoint}")
        if outcome.signal:
            _print("go on with the same command and --resume")
    leave()
    return 130 if outcome.signal == signal.SIGINT else 0


def _begin(
    config: TrainConfig, folder: Path, resume: bool, ranks: Ranks, tell: Callable[[str], None]
) -> tuple[Run, Logs | None, Any, int]:
    """Everything before the first step."""
    found = state.find(folder)
    if found is not None and not resume:
        raise TrainingError(
            f"{folder} holds a run (step {found.step}); go on with it by --resume, or give another --output"
        )
    if found is not None:
        _check_resume(found, config, ranks)
        if found.step >= config.run.steps:
            raise TrainingError(f"{folder} has all {found.step} steps; for more set run.steps")
    for table in config.data:
        table.rows(ranks.ranks)
    shards = setup.shards_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    model = setup.make_model(config, found)
    tokenizer = setup.make_tokenizer(config, model, folder, found, ranks)
    states = None if found is None else found.data[ranks.rank]
    loaders = setup.make_loaders(config, model, tokenizer, ranks, states, shards)
    model.to(ranks.device)
    if config.run.checkpoint_activations:
        model.checkpoint_activations()
    if config.run.compile:
        model.compile_blocks()
    called = wrap(model, config.run, config.precision, ranks)
    optimiser = make_optimiser(model.trained(), config.optimiser)
    setup.seed_ranks(config.run.seed, ranks.rank)
    tally, window, done = Tally(), Window(), 0
    if found is not None:
        state.load_optimiser(found, model, optimiser)
        state.load_random(found, ranks)
        tally = Tally(**found.training["tally"])
        window = Window(**found.training["window"])
        done = found.step
    batches = {name: iter(loader) for name, loader in loaders.items()}
    run = Run(config, ranks, model, called, optimiser, loaders, batches, tally, window)
    logs = Logs(folder, done, config.run.tensorboard, tell) if ranks.first else None
    for line in _opening(run, shards, done):
        tell(line)
    return run, logs, tokenizer, done


def _log(run: Run, step: int, logs: Logs | None, begun: float, first: int) -> None:
    """One line of the log; all ranks together."""
    config, window = run.config, run.window
    opened = gates(run.model)
    skipped = run.ranks.gather({name: loader.skipped for name, loader in run.loaders.items()})
    waited = sum(loader.waited for loader in run.loaders.values())
    rates = run.clock.rates(waited)
    if logs is not None:
        metrics = {
            "step": step,
            "objective": window.objective / window.finite if window.finite else None,
            "losses": window.losses(),
            "lr": learning_rate(step, config.optimiser, config.run.steps),
            "norm": run.norm,
            "gates": opened,
            **rates,
            "memory": torch.cuda.max_memory_allocated() if run.ranks.device.type == "cuda" else None,
            "nonfinite": run.tally.nonfinite,
            "empty": dict(run.tally.empty),
            "examples": dict(run.tally.examples),
            "passed_over": added(skipped),
        }
        logs.write(metrics, config.run.steps, begun, first)
        run.last = metrics
    run.window = Window()
    run.clock = Clock(waited=waited)


def added(skipped: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """What was passed over, by data set and reason, of all ranks; nothing for data sets where nothing was."""
    found: dict[str, dict[str, int]] = {}
    for of_rank in skipped:
        for name, reasons in of_rank.items():
            for reason, number in reasons.items():
                own = found.setdefault(name, {})
                own[reason] = own.get(reason, 0) + number
    return found


def _check_resume(found: state.Saved, config: TrainConfig, ranks: Ranks) -> None:
    """The run goes on as it began.

    Raises:
        TrainingError: says what differs.
    """
    if differs := differences(found.training["config"], config):
        raise TrainingError(f"the run in {found.folder.parents[1]} has another configuration: {'; '.join(differs)}")
    if found.training["ranks"] != ranks.ranks:
        raise TrainingError(
            f"the run in {found.folder.parents[1]} has {found.training['ranks']} processes, this is one of "
            f"{ranks.ranks}; the order of the data depends on it"
        )


def _opening(run: Run, shards: Mapping[str, tuple[str, ...]], done: int) -> list[str]:
    """What a person is told before the first step."""
    config, ranks = run.config, run.ranks
    learning = sum(p.numel() for p in run.model.trained().values())
    whole = sum(p.numel() for p in run.model.parameters())
    where = f"{ranks.ranks} processes, {config.run.parallel}" if ranks.ranks > 1 else "one process"
    lines = [
        f"model {config.model.config}: {learning:,} of {whole:,} parameters learn; {ranks.device.type}, {where}; "
        f"{config.mixture.how}, {config.mixture.reduction}"
    ]
    lines += [
        f"data {table.name}: {table.kind}, {len(shards[table.name])} shards, weight {table.weight:g}, "
        f"{table.batch_size} rows of {table.sample_config().length} tokens"
        for table in config.data
    ]
    if config.mixture.how == "merged" and any(table.weight != 1 for table in config.data):
        lines.append("merged: the data sets' weights are not used")
    return [*lines, f"going on after step {done}"] if done else lines


def _print(line: str) -> None:
    print(line, flush=True)


def _nothing(_: str) -> None:
    """Other ranks are silent."""
