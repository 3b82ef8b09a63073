"""Checkpoints: a folder of `config.json` and safetensors files, in the habits of the Hugging Face ecosystem.

    config.json         the resolved configuration, and how to know the frozen parts again
    model.safetensors   what is trained: resampler, cross-attention, the rows of `<EOC>`; encoder and language model
                        where they are not frozen
    frozen.safetensors  frozen parts whose weights come from nowhere else (`pretrained = false`); else there is none

A pickle (`.pt`, `.bin`) can run any program when it is read: none is read here. `Flamingo.save_pretrained` and
`Flamingo.from_pretrained` are the usual way in.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from flamingo_model.config import config_from_plain
from schemas.strict import to_plain

FORMAT = 1
CONFIG, WEIGHTS, FROZEN = "config.json", "model.safetensors", "frozen.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
PARTS = {"vision": "vision.", "lm": "language.lm."}
"""What may be frozen, or given to `Flamingo(...)` as an object: argument and prefix of its tensors."""
WORDS = {"vision": "vision encoder", "lm": "language model"}
SAMPLED = 32
"""Weights of a frozen part that are noted in config.json."""

M = TypeVar("M", bound=nn.Module)


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or is of another model: the message names the tensor or field and the cure."""


def save_pretrained(model: Any, folder: str | Path, *, write: bool = True) -> None:
    """Write a Flamingo model as a checkpoint; files that are there are replaced whole, `config.json` last.

    Args:
        model: a `Flamingo`; if it is sharded over ranks (FSDP2), all of them must call this.
        folder: made if it is not there.
        write: False on all ranks but one.
    """
    folder = Path(folder)
    config = to_plain(model.config)
    trained, frozen = (gathered(tensors, keep=write) for tensors in _kept(model))
    parts = {name: _describe(model, name) for name in PARTS}
    if not write:
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_tensors(folder / WEIGHTS, trained, config)
    if frozen:
        _write_tensors(folder / FROZEN, frozen, config)
    else:
        (folder / FROZEN).unlink(missing_ok=True)
    text = json.dumps({"format": FORMAT, "config": config, "parts": parts}, indent=2, ensure_ascii=False)
    _replace(folder / CONFIG, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def from_pretrained(build: Callable[..., M], folder: str | Path, vision: Any = None, lm: Any = None) -> M:
    """The model of a checkpoint.

    Args:
        build: the class `Flamingo`.
        folder: what `save_pretrained` wrote.
        vision, lm: the parts that were given as objects when the model was made; or others to take their places.

    Raises:
        CheckpointError: no checkpoint, a pickle, a part that must be given, tensors or frozen parts that do not fit.
        ConfigError: the configuration cannot be made here.
    """
    folder = Path(folder)
    saved = _read_config(folder)
    for name, own in (("vision", vision), ("lm", lm)):
        part = saved["parts"][name]
        if part["given"] and own is None:
            raise CheckpointError(
                f"{folder}: the model was made with its own {WORDS[name]} ({part['class']}), which the configuration "
                f"does not describe; give it: Flamingo.from_pretrained(folder, {name}=...)"
            )
    model = build(config_from_plain(saved["config"], str(folder / CONFIG)), vision=vision, lm=lm)
    load_weights(model, folder)
    return model


def load_weights(model: Any, folder: str | Path) -> None:
    """Put a checkpoint's weights into a model that exists, e.g. to go on training.

    A part that was frozen then and is not any more (fine-tuning) keeps the weights that the model has: those beside
    which the checkpoint was trained, or it is an error.

    Raises:
        CheckpointError: as `from_pretrained`; or the resampler or the cross-attention is of another configuration. The
            model is then as it was.
    """
    folder = Path(folder)
    saved = _read_config(folder)
    weights, config = _read_tensors(folder / WEIGHTS)
    own = to_plain(model.config)
    if differ := differences(config, own, ("resampler", "cross_attention")):
        raise CheckpointError(f"{folder / WEIGHTS} is of another configuration than the model: {differ}")
    language = saved["parts"]["lm"]
    if (language["vocabulary"], language["width"]) != (model.language.eoc_id, model.language.dim):
        raise CheckpointError(
            f"{folder}: the checkpoint is for a language model of {language['vocabulary']} ids and width "
            f"{language['width']}, this one ({type(model.language.lm).__name__}) has {model.language.eoc_id} and "
            f"{model.language.dim}; give the language model that it was trained beside{_named(config, 'lm')}"
        )
    trained, frozen = _kept(model)
    required = set(trained)
    if frozen or (folder / FROZEN).is_file():
        missing = f"{folder}: the frozen parts have random weights (pretrained = false) that the folder does not hold"
        more, _ = _read_tensors(folder / FROZEN, missing)
        prefixes = tuple(PARTS[name] for name in PARTS if name not in model.given)
        weights |= {name: tensor for name, tensor in more.items() if name.startswith(prefixes)}
        required |= set(frozen)
    for name, prefix in PARTS.items():
        if saved["parts"][name]["frozen"] and not any(key.startswith(prefix) for key in weights):
            required = {key for key in required if not key.startswith(prefix)}
    changed = differences(config, own, ("vision", "language"))
    check_tensors(model, weights, required, str(folder), f"differs: {changed}" if changed else "")
    for name in PARTS:
        _check_frozen(model, name, saved, weights)
    put_tensors(model, weights)


def differences(saved: Mapping[str, Any], own: Mapping[str, Any], tables: Collection[str]) -> str:
    """What differs between two plain configurations, field by field; empty if nothing does."""
    found = []
    for table in tables:
        for field in sorted(saved.get(table, {}).keys() | own[table].keys()):
            one, other = saved.get(table, {}).get(field), own[table].get(field)
            if one != other:
                found.append(f"{table}.{field} is {one!r} in the checkpoint, {other!r} in the model")
    return "; ".join(found)


def check_tensors(
    model: nn.Module, tensors: Mapping[str, Tensor], required: Collection[str], where: str, hint: str = ""
) -> None:
    """Nothing missing, nothing unknown, all shapes as in the model.

    Args:
        required: names that must be there.
        where: what messages begin with.
        hint: what messages end with.

    Raises:
        CheckpointError: names the first such tensor, and how many there are.
    """
    own = _tensors(model, duplicates=True)
    missing = sorted(set(required) - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    wrong = sorted(name for name, tensor in tensors.items() if name in own and tensor.shape != own[name].shape)
    said = []
    if missing:
        said.append(f"lacks {missing[0]} {list(own[missing[0]].shape)}{_more(missing)}")
    if unknown:
        said.append(f"has {unknown[0]} {list(tensors[unknown[0]].shape)}{_more(unknown)}, which the model has not")
    if wrong:
        shapes = f"{list(tensors[wrong[0]].shape)}, must be {list(own[wrong[0]].shape)}"
        said.append(f"has {wrong[0]} of shape {shapes}{_more(wrong)}")
    if said:
        raise CheckpointError("; ".join([f"{where} " + "; it ".join(said), *([hint] if hint else [])]))


@torch.no_grad()
def put_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy values, by name, into a model's parameters and buffers, each in the type it has there."""
    own = _tensors(model, duplicates=True)
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


def gathered(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Whole tensors on the CPU; of sharded ones (DTensor) one after the other, all ranks together.

    Args:
        keep: False on ranks that only help: nothing is given.
    """
    found = {}
    for name, tensor in tensors.items():
        complete = whole(tensor)
        if keep:
            found[name] = complete.cpu().contiguous()
    return found


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor (DTensor) put together, which all ranks must do; any other as it is. Without gradient."""
    own: Any = tensor.detach()
    return own.full_tensor() if is_sharded(tensor) else own


def is_sharded(tensor: Tensor) -> bool:
    """By what it can do: to import DTensor takes seconds."""
    return hasattr(tensor, "full_tensor")


def refuse_pickle(path: Path) -> None:
    """Raises:
    CheckpointError: the file is one that only unpickling could read.
    """
    if path.suffix in PICKLES:
        raise CheckpointError(
            f"{path} is a pickle, which can run any program when it is read, so none is read here; a checkpoint is a "
            f"folder with {CONFIG} and {WEIGHTS}"
        )


def _tensors(model: nn.Module, duplicates: bool = False) -> dict[str, Tensor]:
    """Parameters and kept buffers by name; a tensor that has two names (tied embeddings) once, unless `duplicates`."""
    every = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if name not in every}
    return (every if duplicates else dict(model.named_parameters())) | buffers


def _kept(model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What goes into the two files. A parameter that learns is kept wherever it is."""
    loose = []
    frozen = []
    for name, part, table in (("vision", model.vision, "vision"), ("lm", model.language, "language")):
        if part.frozen:
            frozen.append(PARTS[name])
            if name not in model.given and not getattr(model.config, table).pretrained:
                loose.append(PARTS[name])
    every = _tensors(model)
    trained = {n: t for n, t in every.items() if t.requires_grad or not n.startswith(tuple(frozen))}
    return trained, {n: t for n, t in every.items() if n not in trained and n.startswith(tuple(loose))}


def _describe(model: Any, name: str) -> dict[str, Any]:
    """What is noted about a part."""
    if name == "vision":
        part, module = model.vision, model.vision.model
        facts = {"width": part.dim}
    else:
        part, module = model.language, model.language.lm
        facts = {"vocabulary": part.eoc_id, "width": part.dim, "blocks": len(part.blocks)}
    about = {"class": type(module).__name__, "given": name in model.given, "frozen": part.frozen, **facts}
    return about | (_fingerprint(module) if part.frozen else {})


def _fingerprint(module: nn.Module) -> dict[str, Any]:
    """A digest of all shapes, and some values: those of a model in bfloat16 are near those of it in float32."""
    parameters = list(module.parameters())
    shapes = hashlib.sha256(json.dumps([list(p.shape) for p in parameters]).encode()).hexdigest()
    matrices = [p for p in parameters if p.dim() > 1 and not p.is_meta]
    taken = matrices[:: max(1, len(matrices) // SAMPLED)][:SAMPLED]
    values = [float(whole(p).flatten()[p.numel() // 2]) for p in taken]
    return {"parameters": sum(p.numel() for p in parameters), "shapes": shapes, "values": values}


def _check_frozen(model: Any, name: str, saved: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """A frozen part is the one beside which the rest was trained, unless its weights come from the checkpoint."""
    module = model.vision.model if name == "vision" else model.language.lm
    then = saved["parts"][name]
    if not then["frozen"] or any(key.startswith(PARTS[name]) for key in weights):
        return
    now = _fingerprint(module)
    if now["shapes"] != then["shapes"]:
        how = f"has {now['parameters']} parameters, was {then['class']} with {then['parameters']}, or other shapes"
    elif not torch.allclose(torch.tensor(now["values"]), torch.tensor(then["values"]), rtol=2e-2, atol=1e-4):
        how = "has other weights than the one beside which the checkpoint was trained"
    else:
        return
    raise CheckpointError(
        f"the {WORDS[name]} ({type(module).__name__}) {how}; give the same one{_named(saved['config'], name)}, "
        f"as {name}=... or by the configuration"
    )


def _named(config: Mapping[str, Any], name: str) -> str:
    table = config["language" if name == "lm" else name]
    return f" ({table['name']})" if table["pretrained"] else ""


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _read_config(folder: Path) -> dict[str, Any]:
    refuse_pickle(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} has no {CONFIG}: not a folder that Flamingo.save_pretrained wrote")
    try:
        saved: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG} is not JSON: {error}") from error
    if not isinstance(saved, dict) or not {"format", "config", "parts"} <= saved.keys():
        raise CheckpointError(f"{folder / CONFIG} is not of a Flamingo of ours; for other implementations see peers/")
    if saved["format"] != FORMAT:
        raise CheckpointError(f"{folder / CONFIG} has format {saved['format']!r}, this version reads {FORMAT}; update")
    return saved


def _read_tensors(path: Path, missing: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, and the configuration with which it was saved."""
    if not path.is_file():
        for other in sorted(path.parent.iterdir()):
            refuse_pickle(other)
        raise CheckpointError(missing or f"{path.parent} has no {path.name}")
    try:
        with safe_open(path, "pt") as file:
            config = json.loads((file.metadata() or {}).get("flamingo", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if not config:
        raise CheckpointError(f"{path} does not say its configuration: Flamingo.save_pretrained did not write it")
    config_from_plain(config, str(path))
    return tensors, config


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    metadata = {"format": "pt", "flamingo": json.dumps(config)}
    _replace(path, lambda part: save_file(dict(tensors), part, metadata))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the place, then put it there in one step: what stands there is always whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_safetensors(source: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or of all such files of a folder.

    Raises:
        CheckpointError: there is none, or a pickle.
    """
    source = Path(source)
    refuse_pickle(source)
    paths = sorted(source.glob("*.safetensors")) if source.is_dir() else [source]
    tensors: dict[str, Tensor] = {}
    for path in paths:
        try:
            with safe_open(path, "pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if not tensors:
        for other in sorted(source.iterdir()):
            refuse_pickle(other)
        raise CheckpointError(f"{source} has no .safetensors file")
    return tensors
