"""From a configuration to what a run is made of: model, tokenizer, loaders."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from flamingo_model.checkpoint import load_weights
from flamingo_model.config import ConfigError, FlamingoConfig, config_from_plain, load_config
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.model import Flamingo
from flamingo_model.shards import find_shards
from flamingo_model.training.config import DataTable, TrainConfig
from flamingo_model.training.parallel import Ranks
from flamingo_model.training.state import Saved
from flamingo_model.training.tokenizer import Texts, learn_tokenizer, load_tokenizer, tokenizer_of
from schemas.strict import to_plain

TOKENIZER = "tokenizer"


def model_config(config: TrainConfig) -> FlamingoConfig:
    """The model's configuration with the run's changes.

    Raises:
        ConfigError: no such configuration, unknown fields.
    """
    plain = to_plain(load_config(config.model.config))
    for table, fields in config.model.changes.items():
        if table not in plain or not isinstance(fields, Mapping):
            raise ConfigError(f"model.changes.{table} is no table of a model; these are {', '.join(plain)}")
        plain[table] = plain[table] | dict(fields)
    if config.precision.frozen != "model":
        for table in ("vision", "language"):
            plain[table]["dtype"] = config.precision.frozen
    return config_from_plain(plain, "model.changes")


def make_model(config: TrainConfig, saved: Saved | None) -> Flamingo:
    """The model on the CPU, the same on every rank: with random weights, those of a checkpoint, or those of the run.

    Raises:
        ConfigError, CheckpointError: as `Flamingo` and `load_weights` do.
    """
    torch.manual_seed(config.run.seed)
    model = Flamingo(model_config(config))
    if saved is not None:
        load_weights(model, saved.folder)
    elif config.model.checkpoint:
        load_weights(model, config.model.checkpoint)
    return model.train()


def make_tokenizer(config: TrainConfig, model: Flamingo, run: Path, saved: Saved | None, ranks: Ranks) -> Any:
    """The run's tokenizer; one that is learnt is made by the first rank and kept in the run's folder.

    Raises:
        ConfigError: there is none, or too small a vocabulary; on all ranks.
    """
    if saved is not None:
        return tokenizer_of(saved.folder / TOKENIZER)
    beside = Path(config.model.checkpoint, TOKENIZER)
    if not config.model.tokenizer and config.model.checkpoint and beside.is_dir():
        return tokenizer_of(beside)
    if config.model.tokenizer != "learn":
        return load_tokenizer(config.model, model.config)
    return learnt_tokenizer(config.data, model.eoc_id, run, ranks)


def learnt_tokenizer(data: Sequence[Texts], size: int, run: Path, ranks: Ranks) -> Any:
    """A tokenizer of at most `size` words, made by the first rank and kept in the run's folder.

    Raises:
        ConfigError: too small a vocabulary; on all ranks.
    """
    problem = ""
    if ranks.first:
        try:
            learn_tokenizer(data, size).save_pretrained(run / TOKENIZER)
        except (ValueError, RuntimeError, OSError) as error:
            problem = str(error)
    if problem := ranks.told(problem):
        raise ConfigError(problem)
    return tokenizer_of(run / TOKENIZER)


def make_loaders(
    config: TrainConfig,
    model: Flamingo,
    tokenizer: Any,
    ranks: Ranks,
    states: Mapping[str, Any] | None,
    shards: Mapping[str, tuple[str, ...]],
) -> dict[str, Loader]:
    """For each data set its loader on this rank.

    Args:
        states: of this rank, to go on from.
        shards: of each data set.

    Raises:
        ConfigError: batches that cannot be shared out. LoaderError: states of other loaders.
    """
    augment = config.augment if any(vars(config.augment).values()) else None
    return {
        table.name: Loader(
            shards[table.name],
            _loader_config(config, table, ranks),
            table.sample_config(),
            tokenizer,
            model.eoc_id,
            image_size=model.vision.image_size,
            augment=augment,
            rank=ranks.rank,
            ranks=ranks.ranks,
            pin_memory=ranks.device.type == "cuda",
            state=None if states is None else states[table.name],
        )
        for table in config.data
    }


def shards_of(config: TrainConfig) -> dict[str, tuple[str, ...]]:
    """Of each data set.

    Raises:
        LoaderError: a data set without any.
    """
    return {table.name: find_shards(table.shards, table.split) for table in config.data}


def seed_of(seed: int, name: str) -> int:
    """A data set's own: two that read the same shards must not go hand in hand."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")


def seed_ranks(seed: int, rank: int) -> None:
    """Dropout differs between ranks."""
    torch.manual_seed(seed_of(seed, f"rank {rank}"))


def _loader_config(config: TrainConfig, table: DataTable, ranks: Ranks) -> LoaderConfig:
    own = config.loader
    return LoaderConfig(
        batch_size=table.rows(ranks.ranks)[0],
        endless=True,
        shuffle=own.shuffle,
        seed=seed_of(config.run.seed, table.name),
        streams=own.streams,
        workers=own.workers,
        prefetch=own.prefetch,
        pad=own.pad,
        pack=table.pack,
    )
