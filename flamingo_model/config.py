"""What a Flamingo is made of: one frozen dataclass for each part, read strictly from TOML.

The presets in `presets/` are the paper's models, those that match its parameter counts where its tables disagree, and
small ones. A knob that the paper does not have is there so that an ablation can be run or another implementation's
weights can be loaded; its docstring says which.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from schemas.strict import StrictError, from_plain

Activation = Literal["squared_relu", "gelu", "relu", "swiglu"]
Norm = Literal["layer_norm", "rms_norm", "none"]
Dtype = Literal["float32", "bfloat16", "float16", "float64"]


class ConfigError(ValueError):
    """A configuration that cannot be: the message names the field, its value and what would fit."""


def _positive(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} is {getattr(config, name)}, must be at least 1")


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The vision encoder (section 3.1.1; the paper's is an NFNet-F6, contrastively pretrained, at 320 pixels)."""

    family: Literal["timm", "huggingface"]
    """Which library builds it."""
    name: str
    """timm: name of the model, e.g. "dm_nfnet_f6". huggingface: folder or hub name, or a model type
    ("clip_vision_model") whose `options` are its configuration."""
    pretrained: bool
    """Load the weights that go with the name; otherwise they are random, or come from a checkpoint."""
    image_size: int
    """Height and width of the pictures, pixels."""
    frozen: bool
    """Kept in evaluation mode, without gradients. False is the ablation, and the paper's fine-tuning."""
    dtype: Dtype
    """Of a frozen encoder's weights and arithmetic; one that is trained keeps float32 weights."""
    mean: tuple[float, ...]
    """Of the three channels, in units of full scale, as the encoder was trained; empty: what its library says."""
    std: tuple[float, ...]
    """As `mean`."""
    class_token: bool
    """Keep the tokens before the patches (class, registers) among the features (IDEFICS); else only the patches."""
    options: Mapping[str, Any]
    """Arguments of timm.create_model, or fields of the Hugging Face configuration."""

    def __post_init__(self) -> None:
        _positive(self, "image_size")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, 3):
                raise ConfigError(f"{name} has {len(getattr(self, name))} values, must have 3, or none")


@dataclass(frozen=True, kw_only=True)
class ResamplerConfig:
    """From the features of an image or a video to a fixed number of visual tokens (section 3.1.1)."""

    kind: Literal["perceiver", "transformer", "mlp", "none"]
    """The paper's Perceiver Resampler; two of its ablations (table 3, row vi); "none" gives the encoder's own tokens
    (other implementations' models without a resampler)."""
    dim: int
    """Width of the latents."""
    layers: int
    heads: int
    head_dim: int
    """Size of keys and values of a head; 96 in the paper's second version, 128 in its first."""
    latents: int
    """Visual tokens that come out for each image or video."""
    ff_mult: float
    """Hidden width of a feed-forward layer in units of `dim`."""
    activation: Activation
    norm: Norm
    shared_latent_norm: bool
    """False: one norm for what asks, one for what is asked (features and latents), as section 3.1.2 of v1 says of
    attention layers. True: one for latents, one for features, as open_flamingo and IDEFICS have it."""
    qk_norm: bool
    """Normalise queries and keys of each head (IDEFICS)."""
    final_norm: bool
    """A last norm on the latents; not in the paper's pseudo-code, in all other implementations."""
    input_projection: Literal["auto", "always", "never"]
    """Linear layer from the features' width to `dim`; "auto": if they differ."""
    output_dim: int
    """Width of the visual tokens; 0: `dim`, without a projection."""
    time_embeddings: int
    """Learnt, one for each frame of a training video (the paper: 8); an image is a video of one frame. 0: none."""

    def __post_init__(self) -> None:
        if self.kind != "none":
            _positive(self, "dim", "layers", "heads", "head_dim", "latents")
        if self.time_embeddings < 0 or self.output_dim < 0:
            raise ConfigError("time_embeddings and output_dim must not be negative")


@dataclass(frozen=True, kw_only=True)
class CrossAttentionConfig:
    """The GATED XATTN-DENSE layers between the language model's (section 3.1.2)."""

    placement: Literal["interleaved", "middle", "grafting"]
    """"interleaved": before blocks `offset`, `offset + every`, ...; "middle": once, before the middle block;
    "grafting": a stack of cross-attention and new self-attention layers on top of the language
    model (table 3, row iv)."""
    every: int
    """Blocks of the language model for each inserted one: 1, 4, 7 in the paper's three sizes."""
    offset: int
    """First block that gets one; 0 in the paper, `every - 1` in open_flamingo."""
    graft_layers: int
    """Layers of the stack if `placement` is "grafting"."""
    heads: int
    head_dim: int
    """128 in the paper, so that heads x head_dim is the language model's width."""
    feed_forward: bool
    """False: only the attention ("vanilla" cross-attention, table 3, row iv)."""
    ff_dim: int
    """Hidden width of the feed-forward layer; 0: four times the language model's width."""
    activation: Activation
    norm: Norm
    norm_eps: float
    kv_norm: bool
    """Norm on the visual tokens before keys and values (v1, section 3.1.2)."""
    qk_norm: bool
    """Normalise queries and keys of each head (IDEFICS)."""
    gate: Literal["tanh", "tanh_vector", "none"]
    """One scalar for each sub-layer (the paper), one value for each channel (IDEFICS), or none (table 3, row iii)."""
    attend: Literal["single", "all_previous"]
    """A token sees the one image that phi names, or also all before it (table 10, row "single image attention")."""

    def __post_init__(self) -> None:
        _positive(self, "every", "heads", "head_dim")
        if self.offset < 0:
            raise ConfigError(f"offset is {self.offset}, must not be negative")
        if self.placement == "grafting":
            _positive(self, "graft_layers")

    def insertion_points(self, layers: int) -> tuple[int, ...]:
        """Indices of the language model's blocks that get a layer before them."""
        if self.placement == "interleaved":
            points = tuple(range(self.offset, layers, self.every))
            if not points:
                raise ConfigError(f"offset {self.offset} leaves no place in a language model of {layers} blocks")
            return points
        return (layers // 2,) if self.placement == "middle" else ()


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """The language model (section 3.1.2: Chinchilla, frozen)."""

    name: str
    """Folder or hub name of a Hugging Face causal model; or a type ("gpt2", "llama") whose `options` are its shape."""
    pretrained: bool
    """Load the weights that go with the name; otherwise they are random, or come from a checkpoint."""
    frozen: bool
    """False is the ablation "LM unfrozen"."""
    dtype: Dtype
    """Of a frozen model's weights and arithmetic; one that is trained keeps float32 weights."""
    options: Mapping[str, Any]
    """Fields of the Hugging Face configuration, over those of `name`."""


@dataclass(frozen=True, kw_only=True)
class FlamingoConfig:
    """A whole model."""

    vision: VisionConfig
    resampler: ResamplerConfig
    cross_attention: CrossAttentionConfig
    language: LanguageConfig


def presets() -> tuple[str, ...]:
    """Names of the shipped configurations."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _presets() if path.name.endswith(".toml")))


def about_preset(name: str) -> str:
    """The first line of a preset, a comment that says what it is."""
    (preset,) = (path for path in _presets() if path.name == f"{name}.toml")
    first: str = preset.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")


def load_config(name: str | Path) -> FlamingoConfig:
    """The configuration of a preset, or of a TOML file.

    A file may begin with `extends = "preset"` (or another file's path, relative to it): its tables then change single
    fields of that one.

    Raises:
        ConfigError: no such preset or file, not TOML, unknown or missing fields, values that do not fit.
    """
    return config_from_plain(
        read_tables(name, _presets(), "preset", "`flamingo presets` lists what is shipped"), str(name)
    )


def config_from_plain(value: Mapping[str, Any], where: str = "configuration") -> FlamingoConfig:
    """The configuration that `schemas.strict.to_plain` wrote.

    Raises:
        ConfigError: unknown or missing fields, values that do not fit.
    """
    try:
        return from_plain(FlamingoConfig, value, where)
    except StrictError as error:
        raise ConfigError(str(error)) from error


def with_changes(config: FlamingoConfig, **tables: Mapping[str, Any]) -> FlamingoConfig:
    """The same with some fields changed: `with_changes(config, resampler={"layers": 2})`."""
    return replace(config, **{name: replace(getattr(config, name), **fields) for name, fields in tables.items()})


def _presets() -> list[Any]:
    return list((resources.files("flamingo_model") / "presets").iterdir())


def read_tables(
    name: str | Path, files: Sequence[Any], kind: str, listing: str, seen: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The tables of a TOML file, put over those of the file that it extends.

    Args:
        name: of one of `files` without its ending, or a path.
        files: those that are shipped.
        kind: what a shipped one is called in messages.
        listing: where a person finds their names.
        seen: files that extend this one.

    Raises:
        ConfigError: no such file, not TOML, files that extend each other.
    """
    shipped = {path.name.removesuffix(".toml"): path for path in files}
    is_shipped = str(name) in shipped
    where = str(name) if is_shipped else str(Path(name).resolve())
    if where in seen:
        raise ConfigError(f"{where} extends itself: {' -> '.join((*seen, where))}")
    if not is_shipped and not Path(name).is_file():
        near = get_close_matches(Path(name).name.removesuffix(".toml"), shipped, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ConfigError(f"no {kind} or file {str(name)!r}{hint}; {listing}")
    source = shipped[where] if is_shipped else Path(name)
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: {error}") from error
    parent = tables.pop("extends", None)
    if parent is None:
        return tables
    if not isinstance(parent, str):
        raise ConfigError(f"{name}: extends is {parent!r}, must be the name of a {kind} or a file")
    if parent not in shipped and not is_shipped:
        parent = str(Path(name).parent / parent)
    base = read_tables(parent, files, kind, listing, (*seen, where))
    for table, fields in tables.items():
        both = isinstance(fields, dict) and isinstance(base.get(table), dict)
        base[table] = base[table] | fields if both else fields
    return base
