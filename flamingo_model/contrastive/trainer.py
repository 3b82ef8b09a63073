"""`flamingo contrast`: the loop, its log and its checkpoints, with the trainer's parts.

A checkpoint is a folder as `training.state` describes it, with `model.safetensors` of both encoders, and `vision/`, the
vision encoder as its own library reads it, for a Flamingo.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from flamingo_model.contrastive.config import ContrastConfig
from flamingo_model.contrastive.held_out import recall
from flamingo_model.contrastive.optim import learning_rate
from flamingo_model.contrastive.setup import begin
from flamingo_model.contrastive.step import Run, take_step
from flamingo_model.contrastive.towers import VISION, save_towers
from flamingo_model.shards import LoaderError
from flamingo_model.training import state
from flamingo_model.training.card import described
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.logs import Clock, Logs, Window, duration
from flamingo_model.training.parallel import leave, start
from flamingo_model.training.signals import listening
from flamingo_model.training.step import last_line
from flamingo_model.training.trainer import Outcome, added
from schemas.strict import to_plain


def contrast(
    config: ContrastConfig, folder: str | Path, *, resume: bool = False, say: Callable[[str], None] = print
) -> Outcome:
    """Train until the run's last step, or until a signal asks to stop.

    Args:
        config: of the run.
        folder: where it is written.
        resume: go on from the newest checkpoint there, if there is one.
        say: prints a line; called on the first rank only.

    Raises:
        TrainingError: a run that cannot begin or go on. ConfigError: encoders that cannot be made.
    """
    folder = Path(folder)
    ranks = start(config.run)
    tell = say if ranks.first else _nothing
    try:
        run, tokenizer, done = begin(config, folder, resume, ranks, tell)
    except LoaderError as error:
        raise TrainingError(last_line(error)) from error
    logs = Logs(folder, done, config.run.tensorboard, tell, _line) if ranks.first else None
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
            card=_card(run, step),
            keep=config.run.keep,
            write_model=partial(save_towers, config=config.vision),
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
    if logs is not None:
        logs.close()
    assert path is not None
    return Outcome(step, path, asked_for)


def run_from_terminal(config: ContrastConfig, folder: str | Path, resume: bool) -> int:
    """Train and say how it ended; the exit codes are those of `flamingo train`."""
    outcome = contrast(config, folder, resume=resume, say=_print)
    if int(os.environ.get("RANK", "0")) == 0:
        how = f"stopped by {signal.Signals(outcome.signal).name} after" if outcome.signal else "done:"
        _print(f"{how} step {outcome.step}; {outcome.checkpoint}")
        _print(
            "go on with the same command and --resume"
            if outcome.signal
            else "take it in a Flamingo:\n" + vision_table(config, outcome.checkpoint)
        )
    leave()
    return 130 if outcome.signal == signal.SIGINT else 0


def _log(run: Run, step: int, logs: Logs | None, begun: float, first: int) -> None:
    """One line of the log; all ranks together."""
    config, window = run.config, run.window
    skipped = run.ranks.gather({name: loader.skipped for name, loader in run.loaders.items()})
    waited = sum(loader.waited for loader in run.loaders.values())
    rates = run.clock.rates(waited)
    if logs is not None:
        held = config.held_out
        measured = bool(run.held_out) and (step % held.every == 0 or step == config.run.steps)
        metrics = {
            "step": step,
            "objective": window.objective / window.finite if window.finite else None,
            "losses": window.losses(),
            "lr": learning_rate(step, config.optimiser, config.run.steps),
            "norm": run.norm,
            "inverse_temperature": float(run.model.log_scale.detach().exp()),
            **({"recall": recall(run.model, run.held_out)} if measured else {}),
            **rates,
            "memory": torch.cuda.max_memory_allocated() if run.ranks.device.type == "cuda" else None,
            "nonfinite": run.tally.nonfinite,
            "examples": dict(run.tally.examples),
            "passed_over": added(skipped),
        }
        logs.write(metrics, config.run.steps, begun, first)
        run.last = metrics
    run.window = Window()
    run.clock = Clock(waited=waited)


def _line(metrics: Mapping[str, Any], steps: int, left: float) -> str:
    """For a person."""
    step, found = metrics["step"], metrics.get("recall", {})
    recalls = "  ".join(f"{name.replace('_to_', '>')} R@1 {values['1']:.1f}%" for name, values in found.items())
    parts = [
        f"step {step:>{len(str(steps))}}/{steps} {100 * step // steps:>3}%",
        "no step was finite" if metrics["objective"] is None else f"loss {metrics['objective']:.4g}",
        "  ".join(f"{name} {value:.3f}" for name, value in metrics["losses"].items()),
        f"1/T {metrics['inverse_temperature']:.1f}",
        recalls,
        f"lr {metrics['lr']:.2e}",
        f"|g| {metrics['norm']:.3g}" if metrics["norm"] is not None else "|g| not finite",
        f"{metrics['images_per_s']:,.1f} images/s",
        f"waited {100 * metrics['waited']:.0f}%",
        f"{metrics['memory'] / 2**30:.1f} GiB" if metrics["memory"] else "",
        f"left out {metrics['nonfinite']}" if metrics["nonfinite"] else "",
        f"left {duration(left)}" if step < steps else "",
    ]
    return "  ".join(part for part in parts if part)


def vision_table(config: ContrastConfig, checkpoint: Path) -> str:
    """What a Flamingo's configuration says to take the encoder of a checkpoint."""
    place = checkpoint / VISION
    name = f"local-dir:{place}" if config.vision.family == "timm" else str(place)
    return f'[vision]\nfamily = "{config.vision.family}"\nname = "{name}"\npretrained = true\noptions = {{}}'


def _card(run: Run, step: int) -> str:
    """README.md of a checkpoint."""
    config = run.config
    head = {"library_name": "openm3w", "tags": ["contrastive", "vision encoder"]}
    lines = ["---", *[f"{key}: {json.dumps(value)}" for key, value in head.items()], "---", ""]
    lines += [
        f"# {config.vision.name} and a BERT after {step:,} of {config.run.steps:,} steps",
        "",
        f"Trained contrastively on pairs with OpenM3W {version('openm3w')} (`flamingo contrast`). The vision encoder "
        f"alone is in `{VISION}/`. This text is made from the run.",
        "",
        "| name | data set | pairs a batch | pairs seen |",
        "| --- | --- | --- | --- |",
    ]
    for table in config.data:
        sources = "<br>".join(map(described, table.shards))
        seen = run.tally.examples.get(table.name, 0)
        lines.append(f"| {table.name} | {sources} | {table.batch_size} | {seen:,.0f} |")
    if run.last:
        shown = {name: run.last[name] for name in ("step", "objective", "recall") if name in run.last}
        lines += ["", f"Last line of the log: `{json.dumps(shown)}`"]
    return "\n".join([*lines, "", "```json", json.dumps(to_plain(config), indent=1), "```", ""])


def _print(line: str) -> None:
    print(line, flush=True)


def _nothing(_: str) -> None:
    """Other ranks are silent."""
