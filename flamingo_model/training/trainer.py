"""`flamingo train`: what a Flamingo's run does at its places of the loop, `loop.py`; `step.py` is one update."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flamingo_model.training import setup, state
from flamingo_model.training.card import card
from flamingo_model.training.config import TrainConfig, differences
from flamingo_model.training.logs import gates
from flamingo_model.training.loop import Outcome, Task, continued, end_at_terminal, show, train_as
from flamingo_model.training.optim import learning_rate, make_optimiser
from flamingo_model.training.parallel import Ranks, wrap
from flamingo_model.training.step import FlamingoRun, take_step
from schemas.strict import to_plain


def train(
    config: TrainConfig, folder: str | Path, *, resume: bool = False, say: Callable[[str], None] = print
) -> Outcome:
    """Train a Flamingo until the run's last step, or until a signal asks to stop; see `loop.train_as`.

    Raises:
        TrainingError: a run that cannot begin or go on. ConfigError, CheckpointError: a model that cannot be made.
    """
    task = Task(
        begin=partial(_begin, config),
        take_step=take_step,
        metrics=_metrics,
        card=lambda run, step: card(config, run.model, step, to_plain(run.tally), run.last),
        differences=lambda saved: differences(saved, config),
    )
    return train_as(task, config.run, Path(folder), resume, say)


def run_from_terminal(config: TrainConfig, folder: str | Path, resume: bool) -> int:
    """Train and say how it ended; an exit code."""
    return end_at_terminal(train(config, folder, resume=resume, say=show), show)


def _begin(
    config: TrainConfig, folder: Path, found: state.Saved | None, ranks: Ranks, tell: Callable[[str], None]
) -> FlamingoRun:
    """Everything before the first step."""
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
    batches = {name: iter(loader) for name, loader in loaders.items()}
    run = FlamingoRun(config, ranks, model, called, optimiser, tokenizer, loaders, batches)
    for line in _opening(run, shards):
        tell(line)
    return continued(found, run)


def _metrics(run: FlamingoRun, step: int) -> Mapping[str, Any]:
    return {
        "lr": learning_rate(step, run.config.optimiser, run.config.run.steps),
        "gates": gates(run.model),
        "empty": dict(run.tally.empty),
    }


def _opening(run: FlamingoRun, shards: Mapping[str, tuple[str, ...]]) -> list[str]:
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
    return lines
