"""Renaming of state dicts by rules, so strictly that no tensor is lost unseen."""

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from flamingo_model.checkpoint import CheckpointError

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Regular expressions of whole names and what takes their places; "" drops the tensor."""


def renamed(state: Mapping[str, Tensor], rules: Rules, peer: str) -> dict[str, Tensor]:
    """A state dict under new names; the first rule that fits a name counts.

    Raises:
        CheckpointError: no rule fits a name.
    """
    found = {}
    for name, tensor in state.items():
        for pattern, new in rules:
            if match := re.fullmatch(pattern, name):
                if put := new(match) if callable(new) else match.expand(new):
                    found[put] = tensor
                break
        else:
            raise CheckpointError(f"{name} {list(tensor.shape)} is no tensor of {peer} that is known here")
    return found
