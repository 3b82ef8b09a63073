"""What a configuration makes: parameters by part, where layers come in, memory. Built without a byte of weights."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from flamingo_model.config import FlamingoConfig, with_changes
from flamingo_model.model import Flamingo


@dataclass(frozen=True, kw_only=True)
class Part:
    """Parameters of a part of the model. Tied weights count once."""

    name: str
    trained: int
    frozen: int
    bytes: int
    """Of all of them, in the types in which they are kept."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a Flamingo is, in figures."""

    parts: tuple[Part, ...]
    """"language model", "vision", "resampler", "projection" (of the visual tokens to another width, if there is one),
    "cross-attention" (with gates and feed-forward layers, or the stack on top), "<EOC> rows"."""
    total: Part
    """The sum of the parts."""
    blocks: int
    """Of the language model."""
    insertion_points: tuple[int, ...]
    """Blocks of the language model, counted from 0, that have a layer before them."""
    graft_layers: int
    """Layers on top of the language model."""
    width: int
    """Of the language model."""
    vocabulary: int
    """Rows of the language model's own; `<EOC>` is one more."""
    image_size: int
    """Height and width of pictures, pixels."""
    positions: int
    """Features of one picture."""
    features: int
    """Width of the features."""
    visual_tokens: int
    """Of one image; of a video too, unless there is no resampler."""
    visual_width: int
    weights_bytes: int
    """Of all weights."""
    gradients_bytes: int
    """Of what is trained."""
    optimizer_bytes: int
    """AdamW's two moments of what is trained."""


def describe(config: FlamingoConfig) -> Description:
    """The figures of a configuration, from a model on the meta device: nothing is loaded, only shapes are read.

    Raises:
        ConfigError, ArchitectureError: as `Flamingo` does.
    """
    shapes = with_changes(config, vision={"pretrained": False}, language={"pretrained": False})
    with torch.device("meta"):
        model = Flamingo(shapes)
    language, resampler = model.language, model.resampler
    projection = list(resampler.output.parameters())
    body = [p for name, p in resampler.named_parameters() if not name.startswith("output.")]
    parts = [
        _part("language model", language.lm.parameters()),
        _part("vision", model.vision.parameters()),
        _part("resampler", body),
        *([_part("projection", projection)] if projection else []),
        _part("cross-attention", [*model.cross_attention.parameters(), *model.graft.parameters()]),
        _part("<EOC> rows", [language.eoc_input, language.eoc_output]),
    ]
    total = _part("total", model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return Description(
        parts=tuple(parts),
        total=total,
        blocks=len(language.blocks),
        insertion_points=tuple(int(point) for point in model.cross_attention),
        graft_layers=len(model.graft),
        width=language.dim,
        vocabulary=language.eoc_id,
        image_size=model.vision.image_size,
        positions=model.vision.positions,
        features=model.vision.dim,
        visual_tokens=model.vision.positions if config.resampler.kind == "none" else config.resampler.latents,
        visual_width=resampler.dim,
        weights_bytes=total.bytes,
        gradients_bytes=trained,
        optimizer_bytes=2 * trained,
    )


def as_text(name: str, about: Description) -> str:
    """The description for a person."""
    rows = [("", "trained", "frozen", "weights")]
    rows += [
        (part.name, _count(part.trained), _count(part.frozen), _bytes(part.bytes))
        for part in (*about.parts, about.total)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = ["  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3))]) for row in rows]
    training = about.weights_bytes + about.gradients_bytes + about.optimizer_bytes
    return "\n".join(
        [
            f"{name}: {_count(about.total.trained + about.total.frozen)} parameters, "
            f"{_count(about.total.trained)} of them trained",
            "",
            *table,
            "",
            f"language model   width {about.width}, {about.vocabulary:,} tokens and <EOC>",
            f"pictures         {about.image_size} x {about.image_size} pixels to {about.positions} features "
            f"of width {about.features}",
            f"visual tokens    {about.visual_tokens} of width {about.visual_width} for each image",
            f"inserted layers  {_places(about)}",
            f"memory           {_bytes(about.weights_bytes)} weights; in training {_bytes(about.gradients_bytes)} of "
            f"gradients and {_bytes(about.optimizer_bytes)} of AdamW's",
            f"                 more, {_bytes(training)} in all, besides the activations",
        ]
    )


def _part(name: str, parameters: Iterable[nn.Parameter]) -> Part:
    all_ = list(parameters)
    trained = sum(p.numel() for p in all_ if p.requires_grad)
    return Part(
        name=name,
        trained=trained,
        frozen=sum(p.numel() for p in all_) - trained,
        bytes=sum(p.numel() * p.element_size() for p in all_),
    )


def _places(about: Description) -> str:
    points = [str(point) for point in about.insertion_points]
    if len(points) > 12:
        points = [*points[:3], "...", points[-1]]
    inside = f"{len(about.insertion_points)}, before blocks {', '.join(points)} of {about.blocks}" if points else ""
    on_top = f"{about.graft_layers} on top of {about.blocks} blocks" if about.graft_layers else ""
    return inside or on_top


def _count(number: int) -> str:
    for unit, size in (("B", 10**9), ("M", 10**6)):
        if number >= size:
            return f"{number / size:.2f}{unit}"
    return f"{number:,}"


def _bytes(number: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number / 2**10:.2f} KiB"
