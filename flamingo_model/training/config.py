"""What a training run is: one frozen dataclass for each table of its TOML file, read strictly.

`configs/` holds what is shipped: `paper` gives each number's source, `demo` trains on what `make demo` builds,
`finetune` is section B.2.2. Relative paths, those of shards, models and runs, are taken from the working directory, as
`m3w` does.
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from flamingo_model.config import ConfigError
from flamingo_model.config import read_tables as extended
from flamingo_model.preprocess import AugmentConfig
from flamingo_model.samples import CLIPS, PAGES, PAIRS, SampleConfig
from schemas.strict import StrictError, from_plain, to_plain

PACKAGE = "flamingo_model.training"
KINDS = {"pages": PAGES, "pairs": PAIRS, "clips": CLIPS}
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
    "model.checkpoint",
    "model.tokenizer",
)
"""What may differ when a run is resumed: it does not change what is computed, or is taken from the checkpoint."""


def _at_least(config: object, **limits: float) -> None:
    for name, least in limits.items():
        if getattr(config, name) < least:
            raise ConfigError(f"{name} is {getattr(config, name)}, must be at least {least:g}")


@dataclass(frozen=True, kw_only=True)
class ModelTable:
    """Which model is trained, and from what weights."""

    config: str
    """A preset (`flamingo presets`, the ablations among them) or a TOML file."""
    changes: Mapping[str, Any]
    """Tables of fields put over it: `[model.changes.language]`."""
    checkpoint: str
    """Folder of a checkpoint whose weights the run begins with; "": none."""
    tokenizer: str
    """Folder or hub name; "": that beside the checkpoint, or of the language model; "learn": a byte-level BPE with as
    many words as the language model has, made from the data sets' texts when the run begins (for language models that
    are trained from nothing)."""


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """One data set of the mixture."""

    name: str
    """In logs, and for --set data.NAME.FIELD. Data sets of other names are read in other orders."""
    kind: Literal["pages", "pairs", "clips"]
    """Which of the presets in `samples.py` says how a document becomes a row."""
    shards: tuple[str, ...]
    """What `shards.find_shards` takes: folders of data sets, folders of tars, patterns, addresses."""
    split: str
    """Of data sets that have a manifest."""
    weight: float
    """lambda, the factor of its gradient; above 0. In the paper 1.0, 0.2, 0.2, 0.03."""
    batch_size: int
    """Rows of each update, over all ranks."""
    micro_batch: int
    """Rows that go through the model at a time on one rank, at most; 0: all of the rank's. A matter of memory only."""
    pack: bool
    """Several documents in a row, as many as fit."""
    samples: Mapping[str, Any]
    """Fields of `SampleConfig` over the kind's preset: { length = 64 }."""

    def __post_init__(self) -> None:
        _at_least(self, batch_size=1, micro_batch=0)
        if self.weight <= 0:
            raise ConfigError(f"weight is {self.weight:g}, must be above 0; leave the data set out instead")
        if not self.name or set(self.name) & set("./ \t\n"):
            raise ConfigError(f"name is {self.name!r}, must be a word without dots and slashes")
        if not self.shards:
            raise ConfigError(f"shards of {self.name!r} are none")
        self.sample_config()

    def sample_config(self) -> SampleConfig:
        """How its documents become rows."""
        plain = asdict(KINDS[self.kind]) | dict(self.samples)
        try:
            return from_plain(SampleConfig, plain, f"samples of {self.name!r}")
        except StrictError as error:
            raise ConfigError(str(error)) from error

    def rows(self, ranks: int) -> tuple[int, int]:
        """Rows of one pass through the model on one rank, and how many of these an update has.

        Raises:
            ConfigError: the batch cannot be shared out evenly.
        """
        own = self.batch_size // ranks
        micro = min(self.micro_batch or own, own)
        if own * ranks != self.batch_size or micro < 1 or own % micro:
            raise ConfigError(
                f"data {self.name!r}: batch_size {self.batch_size} cannot be shared out over {ranks} ranks"
                + (f" in parts of {self.micro_batch} rows (micro_batch)" if self.micro_batch else "")
            )
        return micro, own // micro


@dataclass(frozen=True, kw_only=True)
class LoaderTable:
    """How data sets are read (`data.LoaderConfig`), the same for all."""

    shuffle: int
    """Samples in the buffer of each stream."""
    streams: int
    """Readers of each data set on each rank; a part of the order."""
    workers: int
    """Processes of each data set on each rank, a divisor of `streams`; 0: none."""
    prefetch: int
    """Batches that each worker makes ahead."""
    pad: Literal["length", "longest"]
    """Rows are padded to the samples' length, for equal shapes, or to the longest of the batch."""

    def __post_init__(self) -> None:
        _at_least(self, shuffle=0, streams=1, workers=0, prefetch=1)
        if self.workers and self.streams % self.workers:
            raise ConfigError(f"workers is {self.workers}, must be a divisor of streams, which is {self.streams}")


@dataclass(frozen=True, kw_only=True)
class MixtureTable:
    """How data sets make an update together."""

    how: Literal["accumulate", "round_robin", "merged"]
    """"accumulate": gradients of one batch of each, weighted by lambda, one update (the paper). "round_robin": each
    update is of one data set, in turn (table 3, row ii). "merged": all rows of all batches as one batch, in which every
    example (or token) counts the same; lambda is not used."""
    reduction: Literal["sum_per_example", "token_mean"]
    """What is one data set's loss. "sum_per_example": the mean over examples of the sum over their tokens, equation 2.
    "token_mean": the mean over tokens; long texts then weigh less than in equation 2, by their length."""


@dataclass(frozen=True, kw_only=True)
class OptimiserTable:
    """AdamW and its schedule (section B.1.2)."""

    lr: float
    """After the warm-up; the paper: 1e-4."""
    betas: tuple[float, ...]
    """Not in the paper."""
    eps: float
    """Not in the paper."""
    weight_decay: float
    """The paper: 0.1."""
    no_decay: tuple[str, ...]
    """Beginnings of the names of parameters without it; the paper: the resampler's."""
    warmup: int
    """Steps in which the rate rises linearly from 0; the paper: 5000."""
    schedule: Literal["constant", "exponential"]
    """After the warm-up. "exponential": falls to `final` of it at the run's last step (the paper's fine-tuning)."""
    final: float
    """Last rate in units of `lr`, if exponential; the paper: 0.1."""
    clip: float
    """Greatest norm of all gradients together; the paper: 1. 0: no limit."""
    max_nonfinite: int
    """A step whose loss or gradient is not finite is left out; after so many in a row the run stops."""

    def __post_init__(self) -> None:
        _at_least(self, lr=0, weight_decay=0, warmup=0, clip=0, max_nonfinite=1)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas are {list(self.betas)}, must be two numbers from 0 to below 1")
        if self.eps <= 0 or self.final <= 0:
            raise ConfigError("eps and final must be above 0")


@dataclass(frozen=True, kw_only=True)
class PrecisionTable:
    """Types. What learns, its gradients and moments are float32; new layers compute in the language model's type."""

    frozen: Literal["model", "float32", "bfloat16"]
    """Weights and arithmetic of frozen parts; "model": as the model's configuration says."""
    autocast: Literal["none", "bfloat16"]
    """"bfloat16": matrices are multiplied in it; for an encoder or language model that is trained, whose weights are
    float32. Frozen parts in bfloat16 need none."""
    gather: Literal["float32", "bfloat16"]
    """FSDP2 only: type in which trained weights are sent to the ranks. bfloat16 halves what is sent."""


@dataclass(frozen=True, kw_only=True)
class RunTable:
    """How long, where, and what is written."""

    steps: int
    """Updates."""
    seed: int
    """Of first weights, order, crops, colours and dropout."""
    device: Literal["auto", "cpu", "cuda"]
    parallel: Literal["none", "ddp", "fsdp2"]
    """Over the processes that torchrun starts; of no effect with one."""
    compile: bool
    """torch.compile of each layer."""
    checkpoint_activations: bool
    """Compute activations again for the gradient instead of keeping them."""
    save_every: int
    """Steps; the last step is saved in any case."""
    keep: int
    """Newest checkpoints that are kept; 0: all."""
    log_every: int
    """Steps that a line of the log is of."""
    tensorboard: bool
    """Write its event files too, if the package is installed."""

    def __post_init__(self) -> None:
        _at_least(self, steps=1, seed=0, save_every=1, keep=0, log_every=1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole run."""

    model: ModelTable
    data: tuple[DataTable, ...]
    loader: LoaderTable
    augment: AugmentConfig
    """All 0: pictures are not changed."""
    mixture: MixtureTable
    optimiser: OptimiserTable
    precision: PrecisionTable
    run: RunTable

    def __post_init__(self) -> None:
        check_names([table.name for table in self.data])


def check_names(names: Sequence[str]) -> None:
    """Raises:
    ConfigError: there are no data sets, or two of one name.
    """
    if not names:
        raise ConfigError("there is no [[data]] table")
    if double := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"two [[data]] tables have the name {min(double)!r}")


def shipped() -> tuple[str, ...]:
    """Names of the shipped configurations."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _files() if path.name.endswith(".toml")))


def about_shipped(name: str) -> str:
    """The first line of a shipped configuration, a comment that says what it is."""
    (found,) = (path for path in _files() if path.name == f"{name}.toml")
    first: str = found.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")


def load_train_config(name: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """The configuration of a run.

    Args:
        name: a shipped one, or a TOML file; it may begin with `extends = "paper"` (or another file's path, relative to
            it) and then name only the fields that differ. `[[data]]` tables are replaced all together.
        changes: "table.field=value", the value as in TOML or a bare word; "data.NAME.field=value" for a data set.

    Raises:
        ConfigError: no such file, not TOML, unknown or missing fields, values that do not fit.
    """
    try:
        return from_plain(TrainConfig, read_tables(name, changes), str(name))
    except StrictError as error:
        raise ConfigError(str(error)) from error


def read_tables(name: str | Path, changes: Sequence[str], package: str = PACKAGE) -> dict[str, Any]:
    """The plain tables of a configuration with its changes; `package` has the shipped ones."""
    files = _files(package)
    names = ", ".join(sorted(path.name.removesuffix(".toml") for path in files))
    tables = extended(name, files, "shipped configuration", f"shipped: {names}")
    for change in changes:
        _set(tables, change)
    return tables


def differences(saved: Mapping[str, Any], own: TrainConfig) -> list[str]:
    """What differs from a run's plain configuration and would change its outcome, one text for each field."""
    free = set(FREE) | {f"data.{table.name}.shards" for table in own.data}
    if own.optimiser.schedule == "constant":
        free.add("run.steps")
    return differing(saved, to_plain(own), free)


def differing(saved: Mapping[str, Any], own: Mapping[str, Any], free: Collection[str]) -> list[str]:
    """What differs between two plain configurations, but for the fields `free`, one text for each."""
    then, now = _flat(saved), _flat(own)
    missing = object()
    return [
        f"{key} was {_shown(then, key)}, is {_shown(now, key)}"
        for key in sorted(then.keys() | now.keys())
        if key not in free and then.get(key, missing) != now.get(key, missing)
    ]


def _flat(plain: Any, before: str = "") -> dict[str, Any]:
    """Leaves by dotted name; data sets by theirs."""
    if isinstance(plain, list) and plain and isinstance(plain[0], Mapping) and "name" in plain[0]:
        plain = {table["name"]: table for table in plain}
    if not isinstance(plain, Mapping):
        return {before: list(plain) if isinstance(plain, tuple) else plain}
    found: dict[str, Any] = {}
    for key, value in plain.items():
        found |= _flat(value, f"{before}.{key}" if before else key)
    return found


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "not there"


def _set(tables: dict[str, Any], change: str) -> None:
    """Carry out one "a.b.c=value"."""
    path, equals, value = change.partition("=")
    names = path.strip().split(".")
    if not equals or len(names) < 2:
        raise ConfigError(f"--set {change!r} must be table.field=value, for example run.steps=100")
    place: Any = tables
    for name in names[:-1]:
        if isinstance(place, list):
            found = [table for table in place if table.get("name") == name]
            if not found:
                known = ", ".join(str(table.get("name")) for table in place)
                raise ConfigError(f"--set {change!r}: there is no data set {name!r}, only {known}")
            place = found[0]
        else:
            place = place.setdefault(name, {})
        if not isinstance(place, dict | list):
            raise ConfigError(f"--set {change!r}: {name!r} is a value, not a table")
    if not isinstance(place, dict):
        raise ConfigError(f"--set {change!r} must name a data set: data.NAME.field=value")
    place[names[-1]] = _value(value)


def parsed_fields(changes: Sequence[str]) -> dict[str, Any]:
    """Of "field=value", the value as in TOML or a bare word.

    Raises:
        ConfigError: there is no "=".
    """
    pairs = [change.partition("=") for change in changes]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ConfigError(f"--set {wrong[0]!r} must be field=value")
    return {name.strip(): _value(value) for name, _, value in pairs}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _files(package: str = PACKAGE) -> list[Any]:
    return list((resources.files(package) / "configs").iterdir())
