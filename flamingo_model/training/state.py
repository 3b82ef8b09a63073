"""Checkpoints of a run: everything that decides what comes next, in files that nothing has to be unpickled from.

    RUN/checkpoints/step-00000100/
        config.json, model.safetensors, ...   as Flamingo.save_pretrained writes them, for Flamingo.from_pretrained
        tokenizer/                            of the language model
        optimiser.safetensors                 moments, by parameter name
        random.safetensors                    states of the random numbers, by rank
        data.json                             where each rank stands in each data set
        training.json                         step, configuration of the run, counters
        README.md                             the model card
    RUN/latest                                a link to the newest of them

A folder gets its name when it is whole. Tensors are whole too, whatever the parallelism: a run may go on with another.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from flamingo_model.checkpoint import gathered, is_sharded, read_safetensors, save_pretrained
from flamingo_model.training.errors import TrainingError
from flamingo_model.training.parallel import Ranks

FORMAT = 1
FOLDER, LATEST = "checkpoints", "latest"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Learning(Protocol):
    """A model, as far as a checkpoint needs to know it."""

    def trained(self) -> Mapping[str, nn.Parameter]:
        """What learns, by name."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was found."""

    folder: Path
    step: int
    training: Mapping[str, Any]
    """training.json."""
    data: Sequence[Mapping[str, Any]]
    """For each rank the states of its loaders, by data set."""


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in (run / FOLDER).glob("step-*") if path.is_dir())


def save(
    run: Path,
    step: int,
    model: Learning,
    optimiser: torch.optim.Optimizer,
    *,
    ranks: Ranks,
    states: Mapping[str, Any],
    training: Mapping[str, Any],
    tokenizer: Any,
    card: str,
    keep: int,
    write_model: Callable[..., None] = save_pretrained,
) -> Path:
    """Write a checkpoint; all ranks together, the first one writes.

    Args:
        run: the run's folder.
        step: updates that are done.
        states: of this rank's loaders, by data set.
        training: what else the first rank must know to go on; JSON.
        tokenizer: saved beside the model.
        card: README.md.
        keep: newest checkpoints that stay; 0: all.
        write_model: called as `save_pretrained` is.

    Raises:
        TrainingError: on all ranks, if it could not be written; those that were there are whole.
    """
    final = run / FOLDER / f"step-{step:08d}"
    part = final.with_name(f".{final.name}.part")
    moments = gathered(_moments(model, optimiser), keep=ranks.first)
    everybody = ranks.gather((dict(states), _random_states()))
    problem = ""
    try:
        if ranks.first:
            for stale in final.parent.glob(".step-*"):  # of a run that was killed
                shutil.rmtree(stale, ignore_errors=True)
            part.mkdir(parents=True)
    except OSError as error:
        problem = str(error)
    if not (problem := ranks.told(problem)):
        # Sharded weights are gathered by all; only what the first writes can fail.
        try:
            write_model(model, part, write=ranks.first)
            if ranks.first:
                tokenizer.save_pretrained(part / "tokenizer")
                save_file(moments, part / "optimiser.safetensors")
                save_file(
                    {f"{rank}.{name}": value for rank, (_, own) in enumerate(everybody) for name, value in own.items()},
                    part / "random.safetensors",
                )
                _write_json(part / "data.json", [own for own, _ in everybody])
                (part / "README.md").write_text(card, encoding="utf-8")
                _write_json(part / "training.json", {"format": FORMAT, "step": step, "ranks": ranks.ranks, **training})
                _publish(part, final)
                _point(run / LATEST, final)
                _forget(run, keep)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            problem = str(error)
        problem = ranks.told(problem)
    if problem:
        whole = checkpoints(run)
        still = f"the last whole checkpoint is {whole[-1]}" if whole else "there is no earlier checkpoint"
        raise TrainingError(f"the checkpoint of step {step} cannot be written ({problem}); {still}")
    return final


def find(run: Path) -> Saved | None:
    """The newest whole checkpoint of a run; None if there is none.

    Raises:
        TrainingError: one that was written by another version, or is damaged.
    """
    whole = checkpoints(run)
    if not whole:
        return None
    folder = whole[-1]
    try:
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        if training["format"] != FORMAT:
            raise TrainingError(f"{folder} has format {training['format']!r}, this version reads {FORMAT}; update")
        return Saved(folder, int(training["step"]), training, data)
    except TrainingError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        before = f"; remove that folder to go on from {whole[-2].name}" if len(whole) > 1 else ""
        raise TrainingError(f"{folder} is not a whole checkpoint of a run ({error!r}){before}") from error


def load_optimiser(saved: Saved, model: Learning, optimiser: torch.optim.Optimizer) -> None:
    """Put the moments back.

    Raises:
        TrainingError: the checkpoint has others than the model needs.
    """
    tensors = read_safetensors(saved.folder / "optimiser.safetensors")
    trained = model.trained()
    found = {name.rpartition(".")[0] for name in tensors}
    if odd := sorted(found - trained.keys()):
        raise TrainingError(f"{saved.folder}: optimiser.safetensors has {odd[0]}, which does not learn in this model")
    for name in found:
        parameter = trained[name]
        state = {moment: tensors[f"{name}.{moment}"] for moment in MOMENTS}
        optimiser.state[parameter] = {
            moment: value if moment == "step" else _placed(value, parameter) for moment, value in state.items()
        }


def load_random(saved: Saved, ranks: Ranks) -> None:
    """Random numbers go on where this rank's were."""
    states = read_safetensors(saved.folder / "random.safetensors")
    torch.set_rng_state(states[f"{ranks.rank}.cpu"])
    if ranks.device.type == "cuda" and f"{ranks.rank}.cuda" in states:
        torch.cuda.set_rng_state(states[f"{ranks.rank}.cuda"], ranks.device)


def _moments(model: Learning, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{moment}": optimiser.state[parameter][moment]
        for name, parameter in model.trained().items()
        for moment in MOMENTS
        if parameter in optimiser.state
    }


def _placed(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """On the parameter's device, or shared out as it is."""
    value = value.to(parameter.device)
    if not is_sharded(parameter):
        return value
    from torch.distributed.tensor import distribute_tensor

    like: Any = parameter
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def _publish(part: Path, final: Path) -> None:
    """All bytes on the disk first, then the name."""
    for path in part.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    if final.exists():  # of the same step of the same run
        shutil.rmtree(final)
    part.rename(final)


def _point(link: Path, final: Path) -> None:
    """A link that can be moved with the run; where links cannot be, there is none."""
    new = link.with_name(f".{link.name}.part")
    try:
        new.unlink(missing_ok=True)
        new.symlink_to(final.relative_to(link.parent))
        new.replace(link)
    except OSError:
        new.unlink(missing_ok=True)


def _forget(run: Path, keep: int) -> None:
    for old in checkpoints(run)[:-keep] if keep else []:
        hidden = old.with_name(f".{old.name}.old")  # never a half-removed one under its name
        old.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
