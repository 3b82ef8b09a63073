"""Samples of shards: all in order, or some spread evenly over them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from pipelines.shard_files import DamageError, DataSetError, ShardFiles, manifest_of
from pipelines.store import paths
from schemas.shard import Sample, ShardError, read_shard


def samples_of(shards: Sequence[str]) -> Iterator[tuple[str, Sample]]:
    """(path of the shard, sample) of all samples, in order.

    Raises:
        DamageError, ShardError: a shard is damaged; the message names it.
    """
    for shard in shards:
        try:
            with paths.open_read(shard) as stream:
                for sample in read_shard(stream):
                    yield shard, sample
        except ShardError as error:
            raise ShardError(f"{shard}: {error}; m3w verify says more") from error
        except OSError as error:
            raise DamageError(f"{shard}: cannot be read: {error.strerror or error}") from error


def counts_of(found: Sequence[ShardFiles]) -> dict[str, int]:
    """Number of samples by shard: as the manifest says, or where there is none by reading the shard."""
    counts: dict[str, int] = {}
    for files in found:
        told: dict[str, int] = {}
        if files.folder:
            try:
                manifest = manifest_of(files.folder)
                told = {paths.join(files.folder, shard.name): shard.samples for shard in manifest.shards}
            except (DataSetError, DamageError):  # shards can be looked at before the build is done
                told = {}
        for shard in files.shards:
            counts[shard] = told[shard] if shard in told else sum(1 for _ in samples_of([shard]))
    return counts


def spread(counts: dict[str, int], wanted: int) -> Iterator[tuple[str, Sample]]:
    """Up to `wanted` samples, each from the middle of an equal share of them; reads only the shards that hold these.

    Args:
        counts: number of samples by shard, in order.
    """
    total = sum(counts.values())
    share = min(wanted, total)
    numbers = [(2 * n + 1) * total // (2 * share) for n in range(share)]
    first = 0
    for shard, count in counts.items():
        chosen = {number - first for number in numbers if first <= number < first + count}
        first += count
        if chosen:
            for number, found in enumerate(islice(samples_of([shard]), max(chosen) + 1)):
                if number in chosen:
                    yield found
