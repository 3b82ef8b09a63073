"""Shards to batches: order, ranks and workers, resuming, packing, the end of a pass, everything that can be broken."""

import io
import json
import logging
import pickle
import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from loader_data import CONFIG, SHORT, clip, loader, make_tokenizer, many_pages, page, pair, shards_of, write_tar
from tiny_models import tiny
from webserver import WebServer

from flamingo_model.batch import Batch
from flamingo_model.data import Loader, LoaderConfig
from flamingo_model.loss import IGNORED
from flamingo_model.preprocess import MILD
from flamingo_model.samples import CLIPS, PAIRS
from flamingo_model.shards import LoaderError, Raw, find_shards, read_shard
from schemas.shard import encode_sample


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """23 pages in 5 shards."""
    return shards_of(tmp_path_factory.mktemp("pages"), many_pages(23), 5)


def keys(batches: Sequence[Batch]) -> list[str]:
    return [key for batch in batches for row in batch.keys for key in row]


def take(source: Loader, count: int) -> list[Batch]:
    return list(islice(source, count))


def same(one: Batch, other: Batch) -> bool:
    assert one.keys == other.keys
    for name in ("tokens", "phi", "labels", "attention_mask"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert (one.pictures is None) == (other.pictures is None)
    if one.pictures is not None and other.pictures is not None:
        assert torch.equal(one.pictures.pixels, other.pictures.pixels)
        assert torch.equal(one.pictures.sizes, other.pictures.sizes)
        assert (one.pictures.frames, one.pictures.per_row) == (other.pictures.frames, other.pictures.per_row)
        if one.pictures.colours is not None and other.pictures.colours is not None:
            assert torch.equal(one.pictures.colours, other.pictures.colours)
    return True


def all_same(some: Sequence[Batch], others: Sequence[Batch]) -> bool:
    return len(some) == len(others) and all(same(*both) for both in zip(some, others, strict=True))


# --- one batch ---


def test_a_batch(shards: tuple[str, ...]) -> None:
    (batch,) = take(loader(shards), 1)
    assert batch.tokens.shape == batch.phi.shape == batch.labels.shape == batch.attention_mask.shape == (4, 64)
    assert len(set(keys([batch]))) == 4
    for row in range(4):
        length = int(batch.attention_mask[row].sum())
        assert batch.attention_mask[row].tolist() == [1] * length + [0] * (64 - length)
        assert (batch.labels[row, length:] == IGNORED).all() and batch.labels[row, 0] == IGNORED
        assert (batch.phi[row, length:] == batch.phi[row, length - 1]).all()
        assert batch.pictures is not None and batch.phi[row].max() == batch.pictures.per_row[row]
    assert batch.pictures is not None and batch.pictures.pixels.dtype == torch.uint8
    longest = next(iter(loader(shards, pad="longest")))
    assert longest.tokens.shape[1] == batch.attention_mask.sum(1).max()


def test_the_model_takes_it(shards: tuple[str, ...], tmp_path: Path) -> None:
    """Pages, pairs, clips, text alone, and rows without anything: forward and backward."""
    model = tiny(language={"options": {"vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2}}).train()
    captions = shards_of(tmp_path / "pairs", [pair(number, f"A cat, number {number}") for number in range(6)], 1)
    clips = shards_of(tmp_path / "clips", [clip(number, 2 + number, "A dog.") for number in range(3)], 1)
    words = shards_of(tmp_path / "words", [page(number, [f"Words {number}"]) for number in range(3)], 1)
    for places, samples in ((shards, SHORT), (captions, PAIRS), (clips, CLIPS), (words, SHORT)):
        source = Loader(
            places,
            replace(CONFIG, endless=False, batch_size=5),
            samples,
            make_tokenizer(),
            model.eoc_id,
            image_size=model.vision.image_size,
            augment=MILD,
        )
        for batch in [*source, source.empty_batch()]:
            media = None if batch.pictures is None else batch.pictures.media(model.vision.mean, model.vision.std)
            out = model(batch.tokens, media, batch.phi, attention_mask=batch.attention_mask, labels=batch.labels)
            assert out.loss is not None and torch.isfinite(out.loss)
            assert (out.loss > 0) == bool(batch.keys[0])
            if out.loss.requires_grad:
                out.loss.backward()


def test_packed_rows_are_the_documents(tmp_path: Path) -> None:
    samples = [pair(number, "A cat. " * (number % 3 + 1)) for number in range(20)]
    places = shards_of(tmp_path, samples, 1)
    apart = list(loader(places, PAIRS, endless=False, batch_size=1))
    length = 100
    packed = list(loader(places, replace(PAIRS, length=length), endless=False, batch_size=3, pack=True))
    assert sorted(keys(packed)) == sorted(keys(apart)) and len(packed) < 4
    single = {batch.keys[0][0]: batch for batch in apart}
    several = 0
    for batch in packed:
        assert batch.documents is not None and batch.pictures is not None
        picture_number = 0
        for row, documents in enumerate(batch.keys):
            end = 0
            for number, key in enumerate(documents):
                own = single[key]
                size = int(own.attention_mask.sum())
                part = slice(end, end + size)
                assert torch.equal(batch.tokens[row, part], own.tokens[0, :size])
                assert torch.equal(batch.labels[row, part], own.labels[0, :size])
                assert (batch.phi[row, part] == number + 1).all() and (batch.documents[row, part] == number).all()
                assert own.pictures is not None
                assert torch.equal(batch.pictures.pixels[picture_number], own.pictures.pixels[0])
                end, picture_number = end + size, picture_number + 1
            several += len(documents) > 1
            assert (batch.documents[row, end:] == len(documents)).all() and not batch.attention_mask[row, end:][
                1:
            ].any()
    assert several > 2


# --- order ---


def test_one_pass_has_every_sample_once(shards: tuple[str, ...]) -> None:
    wanted = sorted(sample.document.key for sample in many_pages(23))
    for streams in (1, 2, 7):
        batches = list(loader(shards, endless=False, streams=streams))
        assert sorted(keys(batches)) == wanted
        assert all(batch.tokens.shape == (4, 64) for batch in batches)
        for batch in batches:
            for row, documents in enumerate(batch.keys):
                if not documents:
                    assert batch.attention_mask[row].sum() == 1 and (batch.labels[row] == IGNORED).all()
    assert len(list(loader(shards, endless=False))) == 6
    again = loader(shards, endless=False)
    assert all_same(list(again), list(again))


def test_without_shuffling_the_order_is_that_of_the_shards(shards: tuple[str, ...]) -> None:
    in_order = [raw.key for shard in shards for raw in read_shard(shard) if isinstance(raw, Raw)]
    assert keys(list(loader(shards, endless=False, shuffle=0))) == in_order
    shuffled = keys(list(loader(shards, endless=False)))
    assert shuffled != in_order and sorted(shuffled) == sorted(in_order)
    assert shuffled != keys(list(loader(shards, endless=False, seed=8)))


@pytest.mark.parametrize(("ranks", "streams"), [(2, 1), (2, 2), (3, 2), (5, 1)])
def test_ranks_share_each_epoch(shards: tuple[str, ...], ranks: int, streams: int) -> None:
    """With enough shards and with too few: no sample on two ranks, none forgotten."""
    passes = [
        keys(list(loader(shards, endless=False, rank=rank, ranks=ranks, streams=streams))) for rank in range(ranks)
    ]
    together = [key for own in passes for key in own]
    assert sorted(together) == sorted(sample.document.key for sample in many_pages(23))


def test_endless_ranks_share_their_first_epoch(shards: tuple[str, ...]) -> None:
    """Ranks of three and of two shards: each takes its share of the epoch, then goes on with the next."""
    shares: list[list[str]] = []
    for rank in range(2):
        source = loader(shards, rank=rank, ranks=2, batch_size=1)
        found: list[str] = []
        for batch in source:
            if source.state()["states"][0]["epoch"]:
                break
            found += keys([batch])
        shares.append(found)
    assert sorted(map(len, shares))[0] > 7 and len(shares[0]) != len(shares[1])
    assert sorted(shares[0] + shares[1]) == sorted(sample.document.key for sample in many_pages(23))


def test_each_epoch_of_an_endless_stream_is_whole_and_new(shards: tuple[str, ...]) -> None:
    found = keys(take(loader(shards, batch_size=1), 69))
    epochs = [found[begin : begin + 23] for begin in (0, 23, 46)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_sample_is_the_same_wherever_it_is_made(shards: tuple[str, ...]) -> None:
    """Crop, mode and colours depend on seed, epoch and key: not on rank, stream, batch or neighbours."""

    def by_key(source: Loader) -> dict[str, tuple[list[int], list[int], list[float]]]:
        made = {}
        for batch in islice(source, 23):
            assert batch.pictures is not None and batch.pictures.colours is not None
            (key,) = keys([batch])
            made[key] = (batch.tokens[0].tolist(), batch.phi[0].tolist(), batch.pictures.colours.flatten().tolist())
        return made

    config: dict[str, Any] = {"batch_size": 1, "augment": MILD, "samples": replace(SHORT, length=16, crop="with_image")}
    alone = by_key(loader(shards, endless=False, **config))
    for rank in range(2):
        own = by_key(loader(shards, endless=False, rank=rank, ranks=2, streams=2, shuffle=0, **config))
        assert 6 < len(own) < 17 and all(alone[key] == made for key, made in own.items())
    other = by_key(loader(shards, endless=False, seed=8, **config))
    assert sum(alone[key] == other[key] for key in alone) < 5


# --- resuming ---


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("shuffle", [0, 5, 100])
def test_resuming_is_exact(shards: tuple[str, ...], streams: int, pack: bool, shuffle: int) -> None:
    config: dict[str, Any] = {"streams": streams, "pack": pack, "shuffle": shuffle, "augment": MILD}
    config["samples"] = replace(SHORT, length=120) if pack else SHORT
    config["batch_size"] = 2 if pack else 4
    whole = take(loader(shards, **config), 18)
    for stop in (0, 1, 8):
        first = loader(shards, **config)
        done = take(first, stop)
        state = json.loads(json.dumps(first.state()))
        second = loader(shards, state=state, **config)
        assert second.state() == state
        assert all_same([*done, *take(second, 18 - stop)], whole)
    assert all_same([*take(first, 3), *take(first, 7)], whole[8:])


def test_the_random_numbers_of_the_process_are_left_alone(shards: tuple[str, ...]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    take(loader(shards, augment=MILD), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_is_of_what_was_taken(shards: tuple[str, ...]) -> None:
    source = loader(shards)
    batches: Iterator[Batch] = iter(source)
    next(batches), next(batches)
    assert source.state()["taken"] == 2
    assert len(json.dumps(source.state())) < 2000
    assert source.waited > 0


def test_states_of_other_loaders(shards: tuple[str, ...]) -> None:
    state = loader(shards).state()
    for changes in ({"seed": 8}, {"streams": 2}, {"shuffle": 6}, {"ranks": 2}, {"batch_size": 3}, {"pack": True}):
        with pytest.raises(LoaderError, match="the state is of a loader with " + next(iter(changes))):
            loader(shards, state=state, **changes)
    with pytest.raises(LoaderError, match="with shards"):
        loader(shards[:4], state=state)
    with pytest.raises(LoaderError, match="only an endless loader"):
        loader(shards, endless=False).state()
    with pytest.raises(LoaderError, match="not a state of a stream"):
        loader(shards, state=state | {"states": [{"epoch": "now"}]})


def test_a_shard_that_was_changed_before_resuming(tmp_path: Path) -> None:
    places = shards_of(tmp_path, many_pages(8), 1)
    source = loader(places)
    take(source, 1)
    shards_of(tmp_path, many_pages(2), 1)
    with pytest.raises(LoaderError, match="was there and is not any more"):
        take(loader(places, state=source.state()), 1)


# --- processes ---


def test_workers_change_nothing(shards: tuple[str, ...]) -> None:
    config: dict[str, Any] = {"streams": 4, "augment": MILD}
    whole = take(loader(shards, **config), 15)
    first = loader(shards, workers=2, **config)
    done = take(first, 7)
    assert all_same(done, whole[:7])
    assert all_same(take(loader(shards, workers=1, state=first.state(), **config), 8), whole[7:])


def test_workers_and_the_end_of_a_pass(shards: tuple[str, ...]) -> None:
    found = list(loader(shards, workers=2, streams=2, endless=False))
    assert sorted(keys(found)) == sorted(sample.document.key for sample in many_pages(23))


def test_all_ranks_take_as_many_steps(shards: tuple[str, ...]) -> None:
    """Two ranks of one pass over three shards: the one that is through gives empty rows until the other is too."""
    barrier, mine = threading.Barrier(2), [False, False]
    found: list[list[Batch]] = [[], []]

    def run(rank: int) -> None:
        def any_left(has: bool) -> bool:
            mine[rank] = has
            barrier.wait(60)
            some = any(mine)
            barrier.wait(60)
            return some

        source = loader(shards[:3], endless=False, rank=rank, ranks=2, batch_size=2, any_left=any_left)
        found[rank] = list(source)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    [thread.start() for thread in threads], [thread.join(60) for thread in threads]
    assert len(found[0]) == len(found[1]) > 3
    assert sorted(keys(found[0] + found[1])) == sorted(
        raw.key for shard in shards[:3] for raw in read_shard(shard) if isinstance(raw, Raw)
    )
    last = found[1][-1]
    assert last.keys == ((), ()) and last.pictures is None and (last.labels == IGNORED).all()


# --- what is broken ---


def members_of(*samples: Any) -> dict[str, bytes]:
    return {name: data for sample in samples for name, data in encode_sample(sample)}


GOOD = many_pages(6)


def broken_sample(kind: str) -> dict[str, bytes]:
    """The members of a page with one thing wrong."""
    sample = many_pages(1, start=90)[0]
    key, members = sample.document.key, members_of(sample)
    value = json.loads(members[f"{key}.json"])
    if kind == "picture_undecodable":
        members[f"{key}.0.jpg"] = members[f"{key}.0.jpg"][:200]
    elif kind == "bad_sample":
        del members[f"{key}.0.jpg"]
    elif kind == "format_version":
        members[f"{key}.json"] = json.dumps(value | {"format": "openm3w-9"}).encode()
    elif kind == "bad_json":
        members[f"{key}.json"] = members[f"{key}.json"][:-5]
    elif kind == "unknown_layout":
        del members[f"{key}.json"]
    elif kind == "empty_caption":
        members = members_of(pair(5, " "))
    elif kind == "empty_page":
        members = members_of(page(5, [" "]))
    return members


@pytest.mark.parametrize(
    "reason",
    [
        "picture_undecodable",
        "bad_sample",
        "format_version",
        "bad_json",
        "unknown_layout",
        "empty_caption",
        "empty_page",
    ],
)
def test_a_broken_sample_is_counted_and_passed_over(
    reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = write_tar(tmp_path / "a.tar", members_of(*GOOD[:3]) | broken_sample(reason) | members_of(*GOOD[3:]))
    source = loader([place], endless=False)
    with caplog.at_level(logging.WARNING):
        assert sorted(keys(list(source))) == sorted(sample.document.key for sample in GOOD)
    assert source.skipped == {reason: 1}
    assert [record for record in caplog.messages if f"({reason};" in record]
    endless = loader([place], batch_size=6, shuffle=0)
    take(endless, 3)
    assert endless.skipped == {reason: 3}
    again = loader([place], batch_size=6, shuffle=0, state=endless.state())
    take(again, 1)
    assert again.skipped == {reason: 4}


def test_a_member_that_stands_twice(tmp_path: Path) -> None:
    twice = members_of(many_pages(1, start=90)[0])
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in [*members_of(GOOD[0]).items(), *twice.items(), *twice.items(), *members_of(GOOD[1]).items()]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    source = loader([str(tmp_path / "a.tar")], endless=False)
    assert sorted(keys(list(source))) == sorted(sample.document.key for sample in GOOD[:2])
    assert source.skipped == {"duplicate_member": 1}


def headers(data: bytes) -> list[int]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [entry.offset for entry in tar]


def test_a_shard_that_breaks_off(tmp_path: Path) -> None:
    """Wherever it is cut or overwritten: what is whole before comes, nothing wrong does, and it is counted."""
    path = Path(write_tar(tmp_path / "a.tar", members_of(*GOOD)))
    data = path.read_bytes()
    offsets = headers(data)
    cuts = [offsets[5] + 100, offsets[5] + 600, offsets[6], offsets[-1], 10]
    wrong = [data[:cut] for cut in cuts]
    wrong += [data[:place] + b"\xa5" * 512 + data[place + 512 :] for place in (offsets[0], offsets[4], offsets[-1])]
    wrong += [b"", b"no tar at all" * 100]
    whole = {sample.document.key for sample in GOOD}
    for content in wrong:
        path.write_bytes(content)
        source = loader([str(path)], endless=False)
        found = keys(list(source))
        assert source.skipped == {"shard_damaged": 1} and set(found) < whole and len(found) == len(set(found))
    path.write_bytes(data[: offsets[-1]])
    assert len(keys(list(loader([str(path)], endless=False)))) == 5


def test_a_shard_that_vanishes_in_mid_run(tmp_path: Path) -> None:
    places = shards_of(tmp_path, many_pages(12), 3)
    source = loader(places, batch_size=2, shuffle=0)
    take(source, 3)
    Path(places[1]).unlink()
    later = take(source, 12)
    lost = {sample.document.key for sample in many_pages(12)[1::3]}
    assert source.skipped["shard_missing"] >= 2 and not lost & set(keys(later))


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(LoaderError, match=r"can read nothing from 2 shards.*shard_missing \(6\)"):
        take(loader([str(tmp_path / "a.tar"), str(tmp_path / "b.tar")]), 1)
    place = write_tar(tmp_path / "a.tar", broken_sample("format_version"))
    with pytest.raises(LoaderError, match=r"no sample of a whole epoch can be used.*openm3w-9"):
        take(loader([place]), 1)
    source = loader([place], endless=False)
    assert list(source) == [] and source.skipped == {"format_version": 1}
    with pytest.raises(LoaderError, match="there is no shard"):
        loader([])
    three = shards_of(tmp_path / "three", many_pages(3), 1)
    with pytest.raises(LoaderError, match="fewer samples than streams"):
        take(loader(three, streams=4), 4)


class Bomb:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    bomb = pickle.dumps(Bomb(fired))
    sample = broken_sample("none")
    key = next(iter(sample)).partition(".")[0]
    stream = io.BytesIO()
    torch.save(Bomb(fired), stream)
    for name in ("pyd", "pickle", "pkl", "pth", "npy", "jpg", "0.jpg", "json", "ten"):
        for data in (bomb, stream.getvalue()):
            place = write_tar(tmp_path / "a.tar", members_of(*GOOD) | sample | {f"{key}.{name}": data})
            source = loader([place], endless=False)
            assert len(keys(list(source))) == 6 and sum(source.skipped.values()) == 1
    assert not fired.exists()
    pickle.loads(bomb)
    assert fired.exists()


# --- where shards are ---


def test_find_shards(tmp_path: Path, shards: tuple[str, ...]) -> None:
    from datasets import build

    build(tmp_path / "set")
    assert [Path(place).name for place in find_shards(tmp_path / "set")] == ["train-000000.tar", "train-000001.tar"]
    assert [Path(place).name for place in find_shards(tmp_path / "set", "dev")] == ["dev-000000.tar"]
    folder = Path(shards[0]).parent
    assert find_shards(folder) == find_shards(f"{folder}/*.tar") == shards
    assert find_shards(f"{folder}/train-{{000000..000004}}.tar") == shards
    assert find_shards([shards[1], shards[0]]) == (shards[1], shards[0])
    assert find_shards("https://example.org/{a,b}.tar") == ("https://example.org/a.tar", "https://example.org/b.tar")
    assert find_shards("pipe:cat {a,b}") == ("pipe:cat {a,b}",)
    for nothing in (tmp_path, f"{folder}/*.zip"):
        with pytest.raises(LoaderError, match="no shard of split 'train'"):
            find_shards(nothing)
    with pytest.raises(LoaderError, match="no shard of split 'test'"):
        find_shards(tmp_path / "set", "test")
    (tmp_path / "set" / "manifest.json").write_text("{")
    with pytest.raises(LoaderError, match=r"manifest\.json"):
        find_shards(tmp_path / "set")


def test_shards_from_a_web_server_and_from_a_command(shards: tuple[str, ...]) -> None:
    folder = Path(shards[0]).parent
    whole = take(loader(shards), 3)
    with WebServer(folder) as server:
        places = find_shards(server.url("/train-{000000..000004}.tar"))
        assert len(places) == 5 and all_same(take(loader(places), 3), whole)
        gone = loader([*places, server.url("/gone.tar")], endless=False)
        assert len(keys(list(gone))) == 23 and sum(gone.skipped.values()) == 1
    assert all_same(take(loader([f"pipe:cat {place}" for place in shards]), 3), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shuffle": -1}, "shuffle is -1"),
        ({"workers": 2, "streams": 3}, "workers is 2, must be a divisor of streams, which is 3"),
    ],
)
def test_configurations_that_cannot_be(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoaderConfig(**(vars(CONFIG) | change))


def test_ids_of_another_model(shards: tuple[str, ...]) -> None:
    source = Loader(shards, CONFIG, SHORT, make_tokenizer(), 60, image_size=16, augment=None)
    with pytest.raises(ValueError, match="take the tokenizer that belongs to it"):
        take(source, 1)
