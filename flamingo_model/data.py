"""Shards to batches: shared out over ranks and workers, shuffled by a seed, resumed in mid-epoch at the same sample.

    loader = Loader(find_shards("build/demo/m3w"), LoaderConfig(batch_size=8, ...), PAGES, tokenizer, model.eoc_id, ...)
    for batch in loader:
        model(batch.tokens, batch.pictures.media(mean, std, device), batch.phi, labels=batch.labels, ...)
        state = loader.state()  # of the batches taken so far, however many the workers have made ahead

What a sample looks like is a function of (seed, epoch, key): `samples.py`, `pictures.py`. The order of samples is one
of seed, number of ranks and number of streams: `stream.py`. How many processes do the work changes neither. What cannot
be used is passed over and counted by reason: `Loader.skipped`.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from flamingo_model.batch import Batch, Example, collate
from flamingo_model.formats import read_sample
from flamingo_model.pictures import show
from flamingo_model.preprocess import AugmentConfig
from flamingo_model.samples import Sample, SampleConfig, training_sample
from flamingo_model.shards import LoaderError
from flamingo_model.stream import Item, SampleStream, StreamState, sample_rng, state_from_plain, state_to_plain
from schemas.document import Document
from schemas.rejection import Rejected

log = logging.getLogger(__name__)
MakeSample = Callable[[Document, SampleConfig, Any, int, Random], Sample | Rejected]
"""`training_sample`, or what takes its place."""


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How samples become batches. Of a batch nothing depends on `workers` and `prefetch`."""

    batch_size: int
    """B, rows of a batch."""
    endless: bool
    """Training: epoch after epoch, every rank as many batches as it asks for. False: each sample once, rows that are
    missing at the end padded and masked."""
    shuffle: int
    """Samples in the buffer of each stream, as they are in the shard (a page: some 100 kB), so streams x shuffle of
    them are in memory; 0: shards and samples in their own order."""
    seed: int
    streams: int
    """Readers of each rank, whose batches take turns. A part of the order: keep it over a resume."""
    workers: int
    """Processes of each rank, a divisor of `streams`; 0: none, all is done when a batch is asked for."""
    prefetch: int
    """Batches that each worker makes ahead."""
    pad: Literal["length", "longest"]
    """Rows are padded to the samples' `length`, for equal shapes, or to the longest of the batch."""
    pack: bool
    """Several documents in a row, as many as fit; none sees another (`Batch.documents`)."""

    def __post_init__(self) -> None:
        for name, least in {"batch_size": 1, "shuffle": 0, "streams": 1, "workers": 0, "prefetch": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least {least}")
        if self.workers and self.streams % self.workers:
            raise ValueError(f"workers is {self.workers}, must be a divisor of streams, which is {self.streams}")


@dataclass(frozen=True)
class _Made:
    """What a worker sends: a batch, and where its stream then stands."""

    batch: Batch | None
    """None: the stream is at its end; what it passed over since its last batch stands in its state."""
    stream: int
    state: StreamState
    examples: Mapping[str, str]

    def pin_memory(self) -> "_Made":
        return replace(self, batch=None if self.batch is None else self.batch.pin_memory())


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From a raw sample to an example; the same for all workers."""

    samples: SampleConfig
    tokenizer: Any
    eoc_id: int
    image_size: int
    augment: AugmentConfig | None
    seed: int
    sample: MakeSample

    def example(self, item: Item) -> tuple[Example | Rejected, Mapping[str, int]]:
        """The example, or why there is none; and what was left out of it, by reason."""
        read = read_sample(item.raw.key, item.raw.files)
        if isinstance(read, Rejected):
            return read, {}
        rng = sample_rng(self.seed, item.place.epoch, item.raw.key)
        made = self.sample(read.sample.document, self.samples, self.tokenizer, self.eoc_id, rng)
        if isinstance(made, Rejected):
            return made, {}
        shown = show(made.pictures, read.sample.members, self.image_size, self.augment, rng)
        if isinstance(shown, Rejected):
            return Rejected(shown.reason, f"{made.key}: {shown.detail}"), {}
        return Example(made, shown), read.left_out

    def batch(self, rows: Sequence[Sequence[Example]], config: LoaderConfig) -> Batch:
        """Rows of examples as tensors."""
        length = self.samples.length if config.pad == "length" else None
        return collate(rows, length, self.image_size, packed=config.pack)


class Loader:
    """Batches of one data set.

    Iterating goes on where the last iteration ended, if the loader is endless; otherwise it begins anew.

    Args:
        shards: addresses, from `find_shards`; the same on every rank.
        config: of batches.
        samples: of samples.
        tokenizer: the language model's, of transformers.
        eoc_id: `Flamingo.eoc_id`.
        image_size: of the vision encoder, pixels.
        augment: how pictures are changed; None: not at all.
        rank, ranks: which of how many processes this is.
        any_left: of a loader that ends, on several ranks: from "I have a batch" to "some rank has one", asked by all at
            the same time (`any_rank`), so that all ranks take as many steps; a rank that has no more gives empty rows.
        pin_memory: give batches in memory that a GPU copies from on its own.
        state: what `state()` gave, to go on from.
        sample: from a document to its tokens and pictures; contrastive training has its own.

    Raises:
        LoaderError: no shards, or a state of another loader.
    """

    def __init__(
        self,
        shards: Sequence[str],
        config: LoaderConfig,
        samples: SampleConfig,
        tokenizer: Any,
        eoc_id: int,
        *,
        image_size: int,
        augment: AugmentConfig | None,
        rank: int = 0,
        ranks: int = 1,
        any_left: Callable[[bool], bool] | None = None,
        pin_memory: bool = False,
        state: Mapping[str, Any] | None = None,
        sample: MakeSample = training_sample,
    ) -> None:
        if not shards:
            raise LoaderError("there is no shard")
        if not 0 <= rank < ranks:
            raise ValueError(f"rank is {rank}, must be 0 to {ranks - 1}")
        self.shards, self.config = tuple(shards), config
        self.waited = 0.0
        """Seconds in which the caller waited for batches."""
        self._recipe = Recipe(
            samples=samples,
            tokenizer=tokenizer,
            eoc_id=eoc_id,
            image_size=image_size,
            augment=augment,
            seed=config.seed,
            sample=sample,
        )
        self._rank, self._ranks, self._any_left, self._pin = rank, ranks, any_left, pin_memory
        self._taken = 0
        self._states = [StreamState()] * config.streams
        self._told: set[str] = set()
        if state is not None:
            self._restore(state)

    @property
    def skipped(self) -> dict[str, int]:
        """What was passed over for the batches taken so far, by reason, resumed runs included."""
        total: Counter[str] = Counter()
        for state in self._states:
            total.update(state.skipped)
        return dict(total)

    def state(self) -> dict[str, Any]:
        """For JSON: where the batches taken so far end, on this rank.

        Raises:
            LoaderError: a loader that is not endless; it is begun anew instead.
        """
        if not self.config.endless:
            raise LoaderError("only an endless loader can be resumed")
        return self._identity() | {"taken": self._taken, "states": [state_to_plain(state) for state in self._states]}

    def __iter__(self) -> Iterator[Batch]:
        if not self.config.endless:
            self._taken, self._states = 0, [StreamState()] * self.config.streams
        dataset = _Batches(self, tuple(self._states), self._taken)
        workers = self.config.workers
        ahead: dict[str, Any] = {"prefetch_factor": self.config.prefetch} if workers else {}
        own = torch.Generator().manual_seed(self.config.seed)  # the process's own numbers stay as they are
        source: DataLoader[_Made] = DataLoader(
            dataset, batch_size=None, num_workers=workers, pin_memory=self._pin, generator=own, **ahead
        )
        batches = self._batches(iter(source))
        while True:
            begun = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - begun
            if not (batch is not None if self._any_left is None else self._any_left(batch is not None)):
                return
            yield self.empty_batch() if batch is None else batch

    def _batches(self, made: Iterator[_Made]) -> Iterator[Batch]:
        """The batches that were made; the loader then stands where each ends."""
        for found in made:
            self._states[found.stream] = found.state
            for reason, detail in found.examples.items():
                if reason not in self._told:
                    self._told.add(reason)
                    log.warning("passed over (%s; more of these are only counted): %s", reason, detail)
            if found.batch is not None:
                self._taken += 1
                yield found.batch

    def empty_batch(self) -> Batch:
        """Rows without samples: nothing to judge and no pictures."""
        return self._recipe.batch([()] * self.config.batch_size, self.config)

    def _identity(self) -> dict[str, Any]:
        """What must be the same when a state is restored."""
        config = self.config
        return {
            "version": 1,
            "shards": sha256("\n".join(name.rpartition("/")[2] for name in self.shards).encode()).hexdigest()[:16],
            "seed": config.seed,
            "streams": config.streams,
            "batch_size": config.batch_size,
            "shuffle": config.shuffle,
            "pack": config.pack,
            "rank": self._rank,
            "ranks": self._ranks,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        if not self.config.endless:
            raise LoaderError("only an endless loader can be resumed")
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                raise LoaderError(f"the state is of a loader with {name} {state.get(name)!r}, this one has {mine!r}")
        self._taken = int(state["taken"])
        self._states = [state_from_plain(each) for each in state["states"]]
        if len(self._states) != self.config.streams:
            raise LoaderError(f"the state has {len(self._states)} streams")


class _Batches(IterableDataset):
    """The batches of one worker: every `workers`-th of the rank's, beginning at batch `first` of the run."""

    def __init__(self, loader: Loader, states: tuple[StreamState, ...], first: int) -> None:
        self.shards, self.config, self.recipe = loader.shards, loader.config, loader._recipe
        self.parts = loader._ranks * loader.config.streams
        self.before = loader._rank * loader.config.streams
        self.states, self.first = states, first

    def __iter__(self) -> Iterator[_Made]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        if info is not None:  # the workers are the threads: none of their own for the tokenizer
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            os.setpgrp()  # Ctrl-C, and torchrun's SIGTERM to a whole group, are for the process that trains
        streams = self.config.streams
        # Batch i of the run is of stream i mod streams, whichever worker makes it.
        turns = [(self.first + worker + turn * workers) % streams for turn in range(streams // workers)]
        sources = {number: self._stream(number) for number in turns}
        while sources:
            for number in turns:
                if number not in sources:
                    continue
                source = sources[number]
                rows = self._rows(source)
                if rows is None:
                    del sources[number]
                batch = None if rows is None else self.recipe.batch(rows, self.config)
                yield _Made(batch, number, source.state(), dict(source.example))

    def _stream(self, number: int) -> SampleStream:
        return SampleStream(
            self.shards,
            self.before + number,
            self.parts,
            seed=self.config.seed,
            shuffle=self.config.shuffle,
            endless=self.config.endless,
            state=self.states[number],
        )

    def _rows(self, stream: SampleStream) -> list[tuple[Example, ...]] | None:
        """The documents of each row of the stream's next batch; None at its end."""
        length, most = self.recipe.samples.length, self.config.batch_size
        rows: list[list[Example]] = []
        room: list[int] = []
        while (found := self._next(stream)) is not None:
            item, example, left_out = found
            need = len(example.sample.tokens)
            fitting = [row for row, left in enumerate(room) if left >= need] if self.config.pack else []
            if fitting:
                rows[fitting[0]].append(example)
                room[fitting[0]] -= need
            elif len(rows) < most:
                rows.append([example])
                room.append(length - need)
            else:
                stream.put_back(item)
                break
            for reason, count in left_out.items():
                stream.skip(Rejected(reason, f"{item.raw.key}: an image of it"), count)
            if not self.config.pack and len(rows) == most:
                break
        return [tuple(row) for row in rows] + [()] * (most - len(rows)) if rows else None

    def _next(self, stream: SampleStream) -> tuple[Item, Example, Mapping[str, int]] | None:
        """The next sample that can be used; None at the end of the stream."""
        begun: int | None = None
        for item in stream:
            begun = item.place.epoch if begun is None else begun
            example, left_out = self.recipe.example(item)
            if isinstance(example, Example):
                return item, example, left_out
            stream.skip(example)
            if item.place.epoch > begun + 1:
                raise LoaderError(f"no sample of a whole epoch can be used; passed over: {stream.told()}")
        return None


def any_rank(mine: bool) -> bool:
    """Whether any process of the default group has a batch; all must ask."""
    device = torch.device("cuda") if torch.distributed.get_backend() == "nccl" else torch.device("cpu")
    some = torch.tensor(int(mine), device=device)
    torch.distributed.all_reduce(some, torch.distributed.ReduceOp.MAX)
    return bool(some)
