"""What a contrastive run is: one frozen dataclass for each table of its TOML file, read as the trainer's are.

`configs/` holds what is shipped: `contrast-paper` gives each number's source, `contrast-demo` trains on what
`make demo` builds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flamingo_model.config import ConfigError, VisionConfig
from flamingo_model.preprocess import AugmentConfig
from flamingo_model.training.config import LoaderTable, RunTable, check_names, differing, read_tables
from schemas.strict import StrictError, from_plain, to_plain

FREE = (
    "run.save_every",
    "run.keep",
    "run.log_every",
    "run.tensorboard",
    "run.device",
    "run.parallel",
    "run.compile",
    "run.checkpoint_activations",
    "loader.workers",
    "loader.prefetch",
    "optimiser.max_nonfinite",
    "text.tokenizer",
    "held_out.shards",
    "held_out.rows",
    "held_out.every",
)
"""What may differ when a run is resumed: it does not change what is computed, or is taken from the checkpoint."""


def _within(config: object, **limits: tuple[float, float]) -> None:
    for name, (least, most) in limits.items():
        if not least <= getattr(config, name) <= most:
            raise ConfigError(f"{name} is {getattr(config, name)}, must be {least:g} to {most:g}")


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """The text encoder: a BERT with random weights, whose outputs are averaged over the tokens of the caption."""

    tokenizer: str
    """Folder or hub name; "learn": a byte-level BPE of at most as many words as the BERT has, made from the captions
    when the run begins. No special tokens are added."""
    length: int
    """Tokens of a caption, at most; what comes after is cut off."""
    options: Mapping[str, Any]
    """Fields of transformers' BertConfig over its own (BERT-base)."""

    def __post_init__(self) -> None:
        if self.length < 4:
            raise ConfigError(f"length is {self.length}, must be at least 4")
        most = self.options.get("max_position_embeddings", 512)
        if self.length > most:
            raise ConfigError(f"length is {self.length}, but options.max_position_embeddings is {most}")


@dataclass(frozen=True, kw_only=True)
class JointTable:
    """Where pictures and texts meet."""

    dim: int
    """Of the joint space; the paper: 1376."""
    scale: float
    """Inverse temperature at the beginning; it is learnt as its logarithm."""
    max_scale: float
    """After each update the inverse temperature is put back between 1 and this, as CLIP's is."""
    label_smoothing: float
    """The paper: 0.1."""

    def __post_init__(self) -> None:
        _within(self, dim=(1, 1e6), label_smoothing=(0, 1), max_scale=(1, 1e6))
        _within(self, scale=(1, self.max_scale))


@dataclass(frozen=True, kw_only=True)
class PairsTable:
    """One data set of pairs."""

    name: str
    """In logs, and for --set data.NAME.FIELD."""
    shards: tuple[str, ...]
    """What `shards.find_shards` takes."""
    split: str
    """Of data sets that have a manifest."""
    batch_size: int
    """Pairs of each update, over all ranks: each picture has so many texts to choose from."""

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise ConfigError(f"batch_size is {self.batch_size}, must be at least 2: there is nothing to choose from")
        if not self.name or set(self.name) & set("./ \t\n"):
            raise ConfigError(f"name is {self.name!r}, must be a word without dots and slashes")
        if not self.shards:
            raise ConfigError(f"shards of {self.name!r} are none")

    def rows(self, ranks: int) -> int:
        """Of one rank.

        Raises:
            ConfigError: they cannot be shared out evenly.
        """
        if self.batch_size % ranks:
            raise ConfigError(
                f"data {self.name!r}: batch_size {self.batch_size} cannot be shared out over {ranks} ranks"
            )
        return self.batch_size // ranks


@dataclass(frozen=True, kw_only=True)
class HeldOutTable:
    """Pairs on which zero-shot retrieval is measured while training goes on; the first rank does it."""

    shards: tuple[str, ...]
    """None: nothing is measured."""
    split: str
    rows: int
    """Pairs at most, the first of the shards."""
    every: int
    """Steps between two measurements; the last step has one in any case."""

    def __post_init__(self) -> None:
        _within(self, rows=(1, 1e6), every=(1, 1e9))


@dataclass(frozen=True, kw_only=True)
class MixtureTable:
    """How data sets make an update together (v2, table 11)."""

    how: Literal["accumulate", "round_robin", "merged"]
    """"accumulate": the gradients of one batch of each data set, added up, one update (the paper). "round_robin": each
    update is of one data set, in turn. "merged": the batches of all data sets as one, whose texts are all to choose
    from."""
    micro_batch: int
    """Pairs that go through the encoders at a time on one rank; 0: all of the batch. A matter of memory: the features
    of the whole batch are computed first, without what the gradient needs, then again in parts (arXiv 2101.06983)."""

    def __post_init__(self) -> None:
        _within(self, micro_batch=(0, 1e6))


@dataclass(frozen=True, kw_only=True)
class OptimiserTable:
    """Adam; its rate falls linearly from `lr` to 0 over the run."""

    lr: float
    """The paper: 1e-3."""
    betas: tuple[float, ...]
    """Not in the paper."""
    eps: float
    """Not in the paper."""
    agc: float
    """Adaptive gradient clipping of the vision encoder (arXiv 2102.06171): the greatest norm of a unit's gradient, in
    units of the norm of its weights; the paper: 1e-2. 0: no limit."""
    clip_text: float
    """Greatest norm of the gradients of the text encoder together; the paper: 10. 0: no limit."""
    max_nonfinite: int
    """A step whose loss or gradient is not finite is left out; after so many in a row the run stops."""

    def __post_init__(self) -> None:
        _within(self, lr=(0, float("inf")), agc=(0, 1e6), clip_text=(0, 1e9), max_nonfinite=(1, 1e9))
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas are {list(self.betas)}, must be two numbers from 0 to below 1")
        if self.eps <= 0:
            raise ConfigError("eps must be above 0")


@dataclass(frozen=True, kw_only=True)
class PrecisionTable:
    """Weights, gradients, moments and the loss are float32."""

    autocast: Literal["none", "bfloat16"]
    """Type in which the encoders multiply matrices; "none": float32."""


@dataclass(frozen=True, kw_only=True)
class ContrastConfig:
    """A whole run."""

    vision: VisionConfig
    """The encoder, as in a Flamingo's configuration; here it is trained."""
    text: TextTable
    joint: JointTable
    data: tuple[PairsTable, ...]
    held_out: HeldOutTable
    loader: LoaderTable
    augment: AugmentConfig
    """All 0: pictures are not changed."""
    mixture: MixtureTable
    optimiser: OptimiserTable
    precision: PrecisionTable
    run: RunTable

    def __post_init__(self) -> None:
        check_names([table.name for table in self.data])
        if self.vision.frozen:
            raise ConfigError("vision.frozen is true; here the encoder is what is trained")
        if self.vision.dtype != "float32":
            raise ConfigError(f"vision.dtype is {self.vision.dtype!r}, must be 'float32': it is trained")
        if self.run.parallel == "fsdp2":
            raise ConfigError("run.parallel is 'fsdp2', must be 'none' or 'ddp' for contrastive training")


def load_contrast_config(name: str | Path, changes: Sequence[str] = ()) -> ContrastConfig:
    """The configuration of a run: a shipped one or a TOML file, with changes, as `load_train_config` reads them.

    Raises:
        ConfigError: no such file, not TOML, unknown or missing fields, values that do not fit.
    """
    try:
        return from_plain(ContrastConfig, read_tables(name, changes, "flamingo_model.contrastive"), str(name))
    except StrictError as error:
        raise ConfigError(str(error)) from error


def differences(saved: Mapping[str, Any], own: ContrastConfig) -> list[str]:
    """What differs from a run's plain configuration and would change its outcome, one text for each field."""
    return differing(saved, to_plain(own), {*FREE, *(f"data.{table.name}.shards" for table in own.data)})
