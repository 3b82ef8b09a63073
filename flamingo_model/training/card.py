"""The model card of a checkpoint: README.md, made from the run and from the data sets' manifests."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flamingo_model.config import ConfigError
from flamingo_model.hub import stored_file
from flamingo_model.model import Flamingo
from flamingo_model.training.config import TrainConfig
from schemas.manifest import ManifestError, read_manifest
from schemas.strict import to_plain

NOT_SAID = "not said where its weights are; see its own card"


def card(
    config: TrainConfig,
    model: Flamingo,
    step: int,
    tally: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> str:
    """README.md of a checkpoint.

    Args:
        config: of the run.
        model: as it is now.
        step: updates that are done.
        tally: what was seen and left out since the run began.
        metrics: the last line of the log; empty before the first.
    """
    learning = sum(p.numel() for p in model.trained().values())
    whole = sum(p.numel() for p in model.parameters())
    head = {"library_name": "openm3w", "pipeline_tag": "image-text-to-text", "tags": ["flamingo"]}
    lines = ["---", *[f"{key}: {json.dumps(value)}" for key, value in head.items()], "---", ""]
    lines += [
        f"# A Flamingo model after {step:,} of {config.run.steps:,} steps",
        "",
        f"Trained with OpenM3W {version('openm3w')} (`flamingo train`). {whole:,} parameters, {learning:,} of them "
        "trained. This text is made from the run; nobody has judged what the model says. Who publishes it should say "
        "here what it is for and what it was tested on.",
        "",
        "```python",
        "from flamingo_model.model import Flamingo",
        "",
        'model = Flamingo.from_pretrained("this folder")',
        "```",
        "",
        "## Parts",
        "",
        "| part | what | weights | licence |",
        "| --- | --- | --- | --- |",
        _part("vision encoder", to_plain(model.config.vision)),
        _part("language model", to_plain(model.config.language)),
        f"| resampler, cross-attention | `{config.model.config}` | trained here | yours to choose |",
        "",
        "## Data",
        "",
        "| name | kind | data set | weight | rows a step | examples | tokens | images |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for table in config.data:
        seen = [f"{tally[what].get(table.name, 0):,.0f}" for what in ("examples", "tokens", "images")]
        sources = "<br>".join(described(place) for place in table.shards)
        lines.append(
            f"| {table.name} | {table.kind} | {sources} | {table.weight:g} | {table.batch_size} | "
            + " | ".join(seen)
            + " |"
        )
    lines += [
        "",
        "The pictures and texts belong to who made them; the data sets' own cards say where they are from.",
        "",
    ]
    lines += ["## How it went", "", "| | |", "| --- | --- |"]
    if metrics:
        lines += [f"| loss at step {metrics['step']:,} | {_number(metrics['objective'])} |"]
        lines += [f"| of {name}, nats per token | {value:.4f} |" for name, value in metrics["losses"].items()]
        for name, values in metrics["gates"].items():
            if values:
                shown = " ".join(f"{value:.3f}" for value in values)
                lines.append(f"| gates of {name.replace('_', '-')}, tanh from first to last | {shown} |")
    empty = sum(tally["empty"].values())
    lines += [
        f"| steps left out, not finite | {tally['nonfinite']} |",
        f"| batches without a token to judge | {empty} |",
    ]
    lines += [
        "",
        "## Configuration",
        "",
        "```json",
        json.dumps(to_plain(config), indent=1, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def described(place: str) -> str:
    """A data set by its manifest's name and digest; others by their address."""
    manifest = Path(place) / "manifest.json"
    try:
        text = manifest.read_text(encoding="utf-8")
        name = read_manifest(text, str(manifest)).name
    except (OSError, ManifestError):
        return f"`{place}`"
    return f"`{name}`, manifest sha256 `{sha256(text.encode()).hexdigest()[:16]}`"


def licence_of(name: str) -> str:
    """What the README.md beside the weights of a folder or hub name says."""
    try:
        found = stored_file(name, "README.md") if Path(name).is_dir() else None
    except (OSError, ValueError, ConfigError):
        return NOT_SAID
    text = found.read_text(encoding="utf-8", errors="replace") if found else ""
    head = text.split("\n---", 1)[0].splitlines() if text.startswith("---") else []
    said: Sequence[str] = [line.partition(":")[2].strip() for line in head if line.startswith("license:")]
    return said[0] if said and said[0] else NOT_SAID


def _part(name: str, table: Mapping[str, Any]) -> str:
    how = "frozen" if table["frozen"] else "trained here"
    weights = how if table["pretrained"] else f"{how}; random at first"
    licence = licence_of(table["name"]) if table["pretrained"] else "no weights of others"
    return f"| {name} | `{table['name']}` | {weights} | {licence} |"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
