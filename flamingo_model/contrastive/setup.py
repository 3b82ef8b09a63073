"""From a configuration to what a contrastive run is made of: encoders, tokenizer, loaders, moments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from flamingo_model.contrastive.config import ContrastConfig, PairsTable
from flamingo_model.contrastive.held_out import held_out_batches
from flamingo_model.contrastive.optim import make_optimiser
from flamingo_model.contrastive.step import ContrastRun
from flamingo_model.contrastive.towers import caption_sample, load_towers, make_towers
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.samples import PAIRS, SampleConfig
from flamingo_model.shards import find_shards
from flamingo_model.training import state
from flamingo_model.training.loop import continued
from flamingo_model.training.parallel import Ranks
from flamingo_model.training.setup import TOKENIZER, learnt_tokenizer, seed_of, seed_ranks
from flamingo_model.training.tokenizer import tokenizer_of

ONCE = LoaderConfig(
    batch_size=32, endless=False, shuffle=0, seed=0, streams=1, workers=0, prefetch=1, pad="longest", pack=False
)
"""Of the pairs that are held out."""


def begin(
    config: ContrastConfig, folder: Path, found: state.Saved | None, ranks: Ranks, tell: Callable[[str], None]
) -> ContrastRun:
    """Everything before the first step.

    Raises:
        TrainingError, ConfigError, LoaderError: a run that cannot begin or go on.
    """
    shards = {table.name: find_shards(table.shards, table.split) for table in config.data}
    samples = SampleConfig(**(vars(PAIRS) | {"length": config.text.length}))
    for table in config.data:
        table.rows(ranks.ranks)
    folder.mkdir(parents=True, exist_ok=True)
    model = make_towers(config)
    if found is not None:
        load_towers(model, found.folder)
    tokenizer = _tokenizer(config, model.text.config.vocab_size, folder, found, ranks)

    def loader(own: tuple[str, ...], made: LoaderConfig, **options: Any) -> Loader:
        words, size = model.text.config.vocab_size, model.vision.image_size
        return Loader(own, made, samples, tokenizer, words, image_size=size, sample=caption_sample, **options)

    loaders = {
        table.name: loader(
            shards[table.name],
            _loader_config(config, table, ranks),
            augment=config.augment if any(vars(config.augment).values()) else None,
            rank=ranks.rank,
            ranks=ranks.ranks,
            pin_memory=ranks.device.type == "cuda",
            state=None if found is None else found.data[ranks.rank][table.name],
        )
        for table in config.data
    }
    model.to(ranks.device)
    if config.run.checkpoint_activations:
        model.checkpoint_activations()
    if config.run.compile:
        model.compile()
    optimiser = make_optimiser(model, config.optimiser)
    seed_ranks(config.run.seed, ranks.rank)
    held_out = []
    if ranks.first and config.held_out.shards:
        own = find_shards(config.held_out.shards, config.held_out.split)
        held_out = held_out_batches(loader(own, ONCE, augment=None), model, ranks.device, config.held_out.rows)
    batches = {name: iter(each) for name, each in loaders.items()}
    run = ContrastRun(
        config, ranks, model, _wrapped(model, ranks), optimiser, tokenizer, loaders, batches, held_out=held_out
    )
    learning = sum(parameter.numel() for parameter in model.trained().values())
    tell(
        f"{config.vision.name} and a BERT: {learning:,} parameters learn; {ranks.device.type}, "
        f"{ranks.ranks} process{'es' * (ranks.ranks > 1)}; {config.mixture.how}"
    )
    for table in config.data:
        tell(f"data {table.name}: {len(shards[table.name])} shards, {table.batch_size} pairs a batch")
    return continued(found, run)


def _tokenizer(config: ContrastConfig, words: int, run: Path, found: state.Saved | None, ranks: Ranks) -> Any:
    if found is not None:
        return tokenizer_of(found.folder / TOKENIZER)
    if config.text.tokenizer == "learn":
        return learnt_tokenizer(config.data, words, run, ranks)
    return tokenizer_of(config.text.tokenizer)


def _loader_config(config: ContrastConfig, table: PairsTable, ranks: Ranks) -> LoaderConfig:
    seed = seed_of(config.run.seed, table.name)
    rows = table.rows(ranks.ranks)
    return LoaderConfig(batch_size=rows, endless=True, seed=seed, pack=False, **vars(config.loader))


def _wrapped(model: nn.Module, ranks: Ranks) -> nn.Module:
    if ranks.ranks == 1:
        return model
    devices = [ranks.device.index] if ranks.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=devices)
