"""The order of samples: shards shared out, shuffled by a seed, and a place in that order that can be written down.

A stream is one of `parts` equal readers of a list of shards. In each epoch the shards are put in an order that depends
on seed and epoch only and each stream takes its share, so together they read every sample exactly once. Within a stream
a buffer mixes neighbouring samples. The state names the samples in the buffer by shard and number, so it is small, and
to restore it only the shards that they stand in are read again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from flamingo_model.shards import LoaderError, Raw, read_shard
from schemas.rejection import Rejected
from schemas.strict import to_plain

BARREN_EPOCHS = 3
"""So many times in a row an endless stream may find nothing to read before it gives up; by chance, its share of an
epoch may be one broken shard."""


class Place(NamedTuple):
    """Where a sample stands."""

    epoch: int
    shard: int
    """Number in the list of shards."""
    sample: int
    """Number in the shard, those that cannot be read included."""


@dataclass(frozen=True, slots=True)
class Item:
    """A sample that is still to be looked at."""

    place: Place
    raw: Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """All that decides what a stream gives next."""

    epoch: int = 0
    turn: int = 0
    """Number of the stream's shards of this epoch that are read to the end."""
    sample: int = 0
    """Samples of the open shard that are read."""
    picks: int = 0
    """Samples taken out of the buffer in this epoch."""
    buffer: tuple[Place, ...] = ()
    kept: tuple[Place, ...] = ()
    """Samples that were taken out and put back."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What was passed over since the beginning, by reason."""


def sample_rng(seed: int, epoch: int, key: str) -> Random:
    """The random numbers of one sample in one epoch, whichever process makes it."""
    return Random(sha256(f"sample/{seed}/{epoch}/{key}".encode()).digest())


class SampleStream:
    """One reader's samples. Iterate over it; `state()` may be asked between any two.

    Args:
        shards: addresses, the same list for all parts.
        part: which of `parts` this is.
        parts: number of streams over all ranks. With fewer shards than that each reads all and takes every
            `parts`-th sample.
        seed: of the order.
        shuffle: samples in the buffer; 0: shards and samples in their own order.
        endless: begin the next epoch at the end of one; otherwise stop.
        state: to go on from.

    Raises:
        LoaderError: the state names samples that are not there any more.
    """

    def __init__(
        self,
        shards: Sequence[str],
        part: int,
        parts: int,
        *,
        seed: int,
        shuffle: int,
        endless: bool,
        state: StreamState | None = None,
    ) -> None:
        self._shards, self._part, self._parts = tuple(shards), part, parts
        self._seed, self._shuffle, self._endless = seed, shuffle, endless
        state = state or StreamState()
        self._epoch, self._turn, self._sample, self._picks = state.epoch, state.turn, state.sample, state.picks
        self.skipped = Counter(state.skipped)
        """What was passed over, by reason."""
        self.example: dict[str, str] = {}
        """For each reason what was said of the first."""
        items = self._fetch([*state.buffer, *state.kept])
        self._buffer, self._kept = items[: len(state.buffer)], items[len(state.buffer) :]
        self._open: Iterator[Raw | Rejected] | None = None
        self._found = False  # something could be read in this epoch
        self._barren = 0  # epochs before this one in which nothing could

    def state(self) -> StreamState:
        return StreamState(
            epoch=self._epoch,
            turn=self._turn,
            sample=self._sample,
            picks=self._picks,
            buffer=tuple(item.place for item in self._buffer),
            kept=tuple(item.place for item in self._kept),
            skipped=dict(self.skipped),
        )

    def skip(self, rejected: Rejected, count: int = 1) -> None:
        """Counts something that is passed over."""
        self.skipped[rejected.reason] += count
        self.example.setdefault(rejected.reason, rejected.detail)

    def told(self) -> str:
        """What was passed over, for a person."""
        return "; ".join(
            f"{reason} ({count}): {self.example.get(reason, '')}" for reason, count in self.skipped.items()
        )

    def put_back(self, item: Item) -> None:
        """The next sample will be this one."""
        self._kept.insert(0, item)

    def __iter__(self) -> "SampleStream":
        return self

    def __next__(self) -> Item:
        if self._kept:
            return self._kept.pop(0)
        while True:
            while len(self._buffer) < max(1, self._shuffle) and (item := self._read()) is not None:
                self._buffer.append(item)
            if self._buffer:
                return self._pick()
            if not self._endless:
                raise StopIteration
            self._barren = 0 if self._found else self._barren + 1
            if self._barren == BARREN_EPOCHS:
                raise LoaderError(
                    f"stream {self._part} of {self._parts} can read nothing from {len(self._shards)} shards; passed "
                    f"over: {self.told() or 'nothing'}. Are there fewer samples than streams?"
                )
            self._found = False
            self._epoch, self._turn, self._sample, self._picks = self._epoch + 1, 0, 0, 0

    def _pick(self) -> Item:
        if not self._shuffle:
            return self._buffer.pop(0)
        rng = Random(f"pick/{self._seed}/{self._epoch}/{self._part}/{self._picks}")
        self._picks += 1
        place = rng.randrange(len(self._buffer))
        self._buffer[place], self._buffer[-1] = self._buffer[-1], self._buffer[place]
        return self._buffer.pop()

    def _order(self, epoch: int) -> list[int]:
        """Numbers of this stream's shards in an epoch."""
        order = list(range(len(self._shards)))
        if self._shuffle:
            Random(f"shards/{self._seed}/{epoch}").shuffle(order)
        return order[self._part :: self._parts] if self._whole_shards else order

    @property
    def _whole_shards(self) -> bool:
        return len(self._shards) >= self._parts

    def _mine(self, number: int) -> bool:
        return self._whole_shards or number % self._parts == self._part

    def _read(self) -> Item | None:
        """The next sample of this epoch; None at its end."""
        order = self._order(self._epoch)
        while self._turn < len(order):
            shard = order[self._turn]
            if self._open is None:
                self._open = read_shard(self._shards[shard])
                for _ in range(self._sample):
                    next(self._open, None)
            found = next(self._open, None)
            if found is None:
                self._open = None
                self._turn, self._sample = self._turn + 1, 0
                continue
            place = Place(self._epoch, shard, self._sample)
            self._sample += 1
            of_shard = isinstance(found, Rejected) and found.reason.startswith("shard_")
            if not self._mine(shard if of_shard else place.sample):
                continue
            if isinstance(found, Rejected):
                self.skip(found)
                continue
            self._found = True
            return Item(place, found)
        return None

    def _fetch(self, places: Sequence[Place]) -> list[Item]:
        """The samples that stand at some places."""
        wanted: dict[int, set[int]] = {}
        for place in places:
            if not 0 <= place.shard < len(self._shards):
                raise LoaderError(f"the state names shard {place.shard}, there are {len(self._shards)}")
            wanted.setdefault(place.shard, set()).add(place.sample)
        found: dict[tuple[int, int], Raw] = {}
        for shard, numbers in wanted.items():
            for number, raw in enumerate(read_shard(self._shards[shard])):
                if number in numbers and isinstance(raw, Raw):
                    found[shard, number] = raw
                if number >= max(numbers):
                    break
        for place in places:
            if (place.shard, place.sample) not in found:
                raise LoaderError(f"sample {place.sample} of {self._shards[place.shard]} was there and is not any more")
        return [Item(place, found[place.shard, place.sample]) for place in places]


def state_to_plain(state: StreamState) -> dict[str, Any]:
    """For JSON; each place is a list of its three numbers."""
    plain: dict[str, Any] = to_plain(state)
    return plain


def state_from_plain(plain: Mapping[str, Any]) -> StreamState:
    """The inverse of `state_to_plain`.

    Raises:
        LoaderError: not such a state.
    """
    try:
        numbers = {name: int(plain[name]) for name in ("epoch", "turn", "sample", "picks")}
        places = {name: tuple(Place(*map(int, place)) for place in plain[name]) for name in ("buffer", "kept")}
        skipped = {str(reason): int(count) for reason, count in plain["skipped"].items()}
        return StreamState(**numbers, **places, skipped=skipped)  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LoaderError(f"not a state of a stream: {error!r}") from error
