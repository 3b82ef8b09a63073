"""What a run says: a line on the terminal, the same and more in metrics.jsonl, TensorBoard if it is installed."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from flamingo_model.checkpoint import whole
from flamingo_model.cross_attention import Gate, GatedCrossAttention
from flamingo_model.model import Flamingo
from flamingo_model.training.mixture import Counts

METRICS = "metrics.jsonl"


@dataclass
class Window:
    """Sums over the steps since the last line; part of a checkpoint, so that lines do not depend on interruptions."""

    steps: int = 0
    objective: float = 0.0
    """Of the weighted losses of finite steps."""
    finite: int = 0
    """Steps that these are of."""
    nll: dict[str, float] = field(default_factory=dict)
    """Sum of the tokens' losses, by data set."""
    judged: dict[str, float] = field(default_factory=dict)
    """Tokens that these are of."""

    def add(self, objective: float, nll: Mapping[str, float], counts: Mapping[str, Counts], finite: bool) -> None:
        """One step."""
        self.steps += 1
        if not finite:
            return
        self.finite += 1
        self.objective += objective
        for name, value in nll.items():
            self.nll[name] = self.nll.get(name, 0.0) + value
            self.judged[name] = self.judged.get(name, 0.0) + counts[name].judged

    def losses(self) -> dict[str, float]:
        """Nats per token, by data set."""
        return {name: value / self.judged[name] for name, value in self.nll.items()}


@dataclass
class Clock:
    """Seconds and what was done in them, since the last line; begun anew when a run is resumed."""

    begun: float = field(default_factory=time.perf_counter)
    paused: float = 0.0
    """Spent on checkpoints."""
    tokens: float = 0.0
    images: float = 0.0
    waited: float = 0.0

    def rates(self, waited: float) -> dict[str, float]:
        """Of all ranks; `waited` is what this rank's loaders say now."""
        seconds = max(time.perf_counter() - self.begun - self.paused, 1e-9)
        return {
            "seconds": seconds,
            "tokens_per_s": self.tokens / seconds,
            "images_per_s": self.images / seconds,
            "waited": max(0.0, waited - self.waited) / seconds,
        }


@torch.no_grad()
def gates(model: Flamingo) -> dict[str, list[float]]:
    """|tanh(alpha)| of each inserted layer, from first to last: of attention and of the feed-forward layer. With FSDP
    all ranks must ask."""
    found: dict[str, list[float]] = {"attention": [], "feed_forward": []}
    for layer in model.modules():
        if not isinstance(layer, GatedCrossAttention):
            continue
        for name, gate in (("attention", layer.attention_gate), ("feed_forward", layer.feed_forward_gate)):
            if isinstance(gate, Gate):
                found[name].append(float(whole(gate.alpha).tanh().abs().mean()))
    return found


class Logs:
    """The files and the terminal; on the first rank only.

    Args:
        run: the run's folder.
        step: updates that are done: what the files say of later ones, from before an interruption, is taken out.
        tensorboard: write event files, if the package is there.
        say: prints a line.
        line: makes it; None: `as_line`.
    """

    def __init__(
        self,
        run: Path,
        step: int,
        tensorboard: bool,
        say: Callable[[str], None],
        line: Callable[[Mapping[str, Any], int, float], str] | None = None,
    ) -> None:
        self.path, self.say, self.line = run / METRICS, say, line or as_line
        kept = [line for line in _lines(self.path) if json.loads(line)["step"] <= step]
        part = self.path.with_name(f".{METRICS}.part")
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(self.path)
        self.board: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                say("TensorBoard is not installed (pip install tensorboard): its files are not written")
            else:
                self.board = SummaryWriter(run / "tensorboard", purge_step=step + 1)

    def write(self, metrics: Mapping[str, Any], steps: int, begun: float, first: int) -> None:
        """One line of each.

        Args:
            metrics: of the steps since the last line.
            steps: of the whole run.
            begun: `time.perf_counter()` after step `first`, for the time that is left.
        """
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(metrics) + "\n")
        except OSError as error:  # a full disk stops the run when a checkpoint is due, not before
            self.say(f"{self.path} cannot be written: {error}")
        step = metrics["step"]
        left = (time.perf_counter() - begun) / max(1, step - first) * (steps - step)
        self.say(self.line(metrics, steps, left))
        if self.board is not None:
            for name, value in scalars(metrics):
                self.board.add_scalar(name, value, step)
            self.board.flush()

    def close(self) -> None:
        if self.board is not None:
            self.board.close()


def scalars(metrics: Mapping[str, Any], before: str = "") -> list[tuple[str, float]]:
    """Numbers by path: "loss/pages", "gates/attention/3"."""
    found: list[tuple[str, float]] = []
    for name, value in metrics.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inner, Mapping):
            found += scalars({str(key): each for key, each in inner.items()}, f"{before}{name}/")
        elif value is not None and name != "step":
            found.append((f"{before}{name}", float(value)))
    return found


def as_line(metrics: Mapping[str, Any], steps: int, left: float) -> str:
    """For a person."""
    step, width = metrics["step"], len(str(steps))
    losses = "  ".join(f"{name} {value:.3f}" for name, value in metrics["losses"].items())
    opened = [sum(values) / len(values) for values in metrics["gates"].values() if values]
    parts = [
        f"step {step:>{width}}/{steps} {100 * step // steps:>3}%",
        "no step was finite" if metrics["objective"] is None else f"loss {metrics['objective']:.4g}",
        losses,
        f"lr {metrics['lr']:.2e}",
        f"|g| {metrics['norm']:.3g}" if metrics["norm"] is not None else "|g| not finite",
        f"gates {' '.join(f'{value:.3f}' for value in opened)}" if opened else "",
        f"{metrics['tokens_per_s']:,.0f} tokens/s  {metrics['images_per_s']:,.1f} images/s",
        f"waited {100 * metrics['waited']:.0f}%",
        f"{metrics['memory'] / 2**30:.1f} GiB" if metrics.get("memory") else "",
        f"left out {metrics['nonfinite']}" if metrics["nonfinite"] else "",
        f"left {duration(left)}" if step < steps else "",
    ]
    return "  ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Hours, minutes, seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _lines(path: Path) -> list[str]:
    """Whole lines of a file that may break off, if it is there."""
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
