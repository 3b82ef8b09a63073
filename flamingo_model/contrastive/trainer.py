"""`flamingo contrast`: what a contrastive run does at its places of the loop, `training/loop.py`.

A checkpoint is a folder as `training.state` describes it, with `model.safetensors` of both encoders, and `vision/`, the
vision encoder as its own library reads it, for a Flamingo.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flamingo_model.contrastive.config import ContrastConfig, differences
from flamingo_model.contrastive.held_out import recall
from flamingo_model.contrastive.optim import learning_rate
from flamingo_model.contrastive.setup import begin
from flamingo_model.contrastive.step import ContrastRun, take_step
from flamingo_model.contrastive.towers import VISION, save_towers
from flamingo_model.training.card import described
from flamingo_model.training.logs import duration
from flamingo_model.training.loop import Outcome, Task, end_at_terminal, show, train_as
from schemas.strict import to_plain


def contrast(
    config: ContrastConfig, folder: str | Path, *, resume: bool = False, say: Callable[[str], None] = print
) -> Outcome:
    """Train two encoders until the run's last step, or until a signal asks to stop; see `loop.train_as`.

    Raises:
        TrainingError: a run that cannot begin or go on. ConfigError: encoders that cannot be made.
    """
    task = Task(
        begin=partial(begin, config),
        take_step=take_step,
        metrics=_metrics,
        card=_card,
        differences=lambda saved: differences(saved, config),
        line=_line,
        write_model=partial(save_towers, config=config.vision),
    )
    return train_as(task, config.run, Path(folder), resume, say)


def run_from_terminal(config: ContrastConfig, folder: str | Path, resume: bool) -> int:
    """Train and say how it ended; an exit code."""
    outcome = contrast(config, folder, resume=resume, say=show)
    return end_at_terminal(outcome, show, "take it in a Flamingo:\n" + vision_table(config, outcome.checkpoint))


def _metrics(run: ContrastRun, step: int) -> Mapping[str, Any]:
    config, held = run.config, run.config.held_out
    measured = bool(run.held_out) and (step % held.every == 0 or step == config.run.steps)
    return {
        "lr": learning_rate(step, config.optimiser, config.run.steps),
        "inverse_temperature": float(run.model.log_scale.detach().exp()),
        **({"recall": recall(run.model, run.held_out)} if measured else {}),
    }


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


def _card(run: ContrastRun, step: int) -> str:
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
