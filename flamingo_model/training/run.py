"""A run while it goes on: what a step needs and changes, whatever is trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from flamingo_model.batch import Batch
from flamingo_model.data import Loader
from flamingo_model.training.logs import Clock, Window
from flamingo_model.training.mixture import Counts
from flamingo_model.training.parallel import Ranks

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Tally:
    """What has happened since the run began, interruptions included."""

    nonfinite: int = 0
    """Steps that were left out because loss or gradient was not finite."""
    in_a_row: int = 0
    """Of these, the last ones without a good one between."""
    empty: dict[str, int] = field(default_factory=dict)
    """Batches without a token to judge, by data set."""
    examples: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    images: dict[str, float] = field(default_factory=dict)

    def add(self, counts: Mapping[str, Counts]) -> None:
        """One step's batches."""
        for name, own in counts.items():
            self.examples[name] = self.examples.get(name, 0.0) + own.examples
            self.tokens[name] = self.tokens.get(name, 0.0) + own.tokens
            self.images[name] = self.images.get(name, 0.0) + own.images
            if not own.judged:
                self.empty[name] = self.empty.get(name, 0) + 1


@dataclass
class Run(Generic[Config, Model]):
    """All that a step needs, and what it changes."""

    config: Config
    ranks: Ranks
    model: Model
    called: nn.Module
    """The model as it is called: itself, or its DDP."""
    optimiser: torch.optim.Optimizer
    tokenizer: Any
    loaders: dict[str, Loader]
    batches: dict[str, Iterator[Batch]]
    done: int = 0
    """Updates that were done when it began or went on."""
    tally: Tally = field(default_factory=Tally)
    window: Window = field(default_factory=Window)
    clock: Clock = field(default_factory=Clock)
    norm: float | None = None
    """Of the last step's gradients; None if it was not finite."""
    last: Mapping[str, Any] = field(default_factory=dict)
    """The last line of the log."""
