"""The same crawl and recipe give the same bytes, whatever engine, number of workers, partitions, ranges or order."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builds import build_in, digests, manifest, samples, without_sources, write_recipe
from crawls import Record, cut, records, small

from pipelines.engine import LocalEngine


def test_the_reference_is_worth_comparing_with(reference: Path) -> None:
    found = digests(reference)
    shards = [name for name in found if name.startswith("shards/")]
    assert len(shards) > 4 and {name.split("-")[0] for name in shards} == {"shards/train", "shards/dev"}
    assert {"_SUCCESS", "manifest.json", "report.json", "README.md", "dead_letters/read.jsonl"} <= found.keys()
    assert len(samples(reference)) > 10


@pytest.mark.timeout(600)
def test_two_worker_processes(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    assert digests(build_in(tmp_path / "out", crawl, recipe, LocalEngine(2))) == digests(reference)


def test_every_bundle_is_run_twice(reference: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    engine = LocalEngine(1, ("--direct_runner_bundle_repeat=2",))
    assert digests(build_in(tmp_path / "out", crawl, recipe, engine)) == digests(reference)


@pytest.mark.parametrize(("partitions", "rows_per_pass", "at_once"), [(2, 1, False), (9, 40, False), (9, 1, True)])
def test_many_partitions(
    partitions: int, rows_per_pass: int, at_once: bool, reference: Path, crawl: Path, recipe: Path, tmp_path: Path
) -> None:
    """One by one, some together, all at once."""
    size = -(-crawl.stat().st_size // partitions)
    output = build_in(tmp_path / "out", crawl, recipe, LocalEngine(at_once=at_once), size, rows_per_pass)
    assert json.loads((output / "plan.json").read_text())["partitions"] == partitions
    assert json.loads((reference / "plan.json").read_text())["partitions"] == 1
    assert digests(output) == digests(reference)


def test_other_ranges(reference: Path, crawl: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "test.toml", source={"range_bytes": 30_000})
    output = build_in(tmp_path / "out", crawl, recipe)
    assert len(json.loads((output / "plan.json").read_text())["units"]) == -(-crawl.stat().st_size // 30_000)
    ours, theirs = digests(output), digests(reference)
    for name in ("manifest.json", "README.md"):  # they hold the recipe
        assert ours.pop(name) != theirs.pop(name)
    assert ours == theirs
    assert (manifest(output).funnel, manifest(output).ledger_digest) == (
        manifest(reference).funnel,
        manifest(reference).ledger_digest,
    )


def test_inputs_in_another_order(reference: Path, recipe: Path, tmp_path: Path) -> None:
    place = {record: number for number, record in enumerate(record for record in records() if small(record))}

    def third(number: int) -> Callable[[Record], bool]:
        return lambda record: small(record) and place[record] % 3 == number

    files = [cut(tmp_path / f"part-{number}.warc.gz", third(number)) for number in range(3)]
    one = build_in(tmp_path / "one", files, recipe)
    other = build_in(tmp_path / "other", [files[2], files[0], files[1]], recipe)
    assert digests(one) == digests(other)
    # A sample names the file that its page came from, so the bytes of one file and of three cannot be the same.
    assert without_sources(one) == without_sources(reference)
    assert {sample.json["source"]["file"] for sample in samples(one).values()} == {file.name for file in files}
    assert manifest(one).funnel == manifest(reference).funnel


def test_a_stored_file_deep_in_a_folder(reference: Path, recipe: Path, tmp_path: Path) -> None:
    """No gzip at all; what cannot be read of the reference's file is left out."""
    members = cut(tmp_path / "crawl.warc.gz", lambda record: small(record) and record.kind != "unreadable")
    stored = tmp_path / "crawls" / "2024" / "may" / "crawl.warc"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(gzip.decompress(members.read_bytes()))
    output = build_in(tmp_path / "out", tmp_path / "crawls", recipe)
    assert without_sources(output) == without_sources(reference)
    assert {sample.json["source"]["file"] for sample in samples(output).values()} == {"crawls/2024/may/crawl.warc"}
    ours, theirs = manifest(output).funnel, manifest(reference).funnel
    assert ours[1:] == theirs[1:]
    assert {**ours[0].dropped, "corrupt_member": 1, "truncated_member": 1} == theirs[0].dropped
