"""Pairs from the pages of a crawl: what readers of image-text shards get, what is counted, the same bytes again."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from builds import build_in, digests, letters, m3w, manifest, poisoned, sample_of, samples, unfinished
from PIL import Image
from test_counts import check_adds_up, row

from pipelines.engine import LocalEngine

RECIPE = """
extends = "align"

[source]
range_bytes = 100_000

[language]
languages = ["en", "de", "fr"]
min_score = 0.0

[rare_words]
max_ngrams = 300

[caption_frequency]
max_images = 1

[image_safety]
scorer = "none"

[shards]
max_samples = 20
"""


@pytest.fixture(scope="module")
def pairs_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "pairs.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, crawl: Path, pairs_recipe: Path) -> Path:
    return build_in(tmp_path_factory.mktemp("pairs") / "out", crawl, pairs_recipe)


def test_members_are_those_of_image_text_shards(pairs: Path) -> None:
    found = samples(pairs)
    assert len(found) >= 8
    for key, sample in found.items():
        (image,) = sample.json["images"]
        assert sorted(sample.members) == sorted([image["member"], "txt"]) and image["member"] in ("jpg", "png"), key
        text = sample.members["txt"].decode()
        assert text.strip() and text in (image["alt"], image["caption"])
        with Image.open(io.BytesIO(sample.members[image["member"]])) as picture:
            assert picture.size == (image["width"], image["height"])
        assert sample.json["kind"] == "pair" and sample.json["url"] == image["url"]
        assert sample.json["page_url"].startswith("http") and sample.json["page_url"] != sample.json["url"]


def test_plain_webdataset_reads_image_and_text(pairs: Path) -> None:
    import webdataset as wds

    shards = sorted(map(str, (pairs / "shards").glob("*.tar")))
    data = wds.WebDataset(shards, shardshuffle=False).decode("pilrgb").to_tuple("jpg;png", "txt")
    read = [(picture.size, text) for picture, text in data]
    assert len(read) == len(samples(pairs)) and all(text for _, text in read)


def test_every_pair_is_written_or_named_as_dropped(pairs: Path) -> None:
    funnel = manifest(pairs).funnel
    check_adds_up(funnel, "pair")
    dropped: Counter[tuple[str, str]] = Counter()
    for letter in letters(pairs):
        dropped[letter["kind"], letter["stage"]] += letter["count"]
    for entry in funnel:
        if not entry.becomes:
            assert dropped[entry.kind, entry.stage] == sum(entry.dropped.values()), entry
    for stage in ("rare_words", "caption_frequency", "pair_text"):
        assert sum(row(funnel, "pair", stage).dropped.values()) > 0, stage
    assert m3w("verify", pairs)[0] == 0


def test_no_text_stands_with_more_images_than_allowed(pairs: Path) -> None:
    texts = Counter(sample.members["txt"] for sample in samples(pairs).values())
    assert max(texts.values()) == 1
    assert Counter((s.json["url"], s.members["txt"]) for s in samples(pairs).values()).most_common(1)[0][1] == 1


@pytest.mark.parametrize("how", ["workers", "repeat", "partitions"])
def test_the_same_bytes(how: str, pairs: Path, crawl: Path, pairs_recipe: Path, tmp_path: Path) -> None:
    engine = {"workers": LocalEngine(2), "repeat": LocalEngine(1, ("--direct_runner_bundle_repeat=2",))}.get(how)
    size = 1 << 30 if how != "partitions" else -(-crawl.stat().st_size // 5)
    output = build_in(tmp_path / "out", crawl, pairs_recipe, engine, size, 1 if how == "partitions" else 100_000)
    assert json.loads((output / "plan.json").read_text())["partitions"] == (5 if how == "partitions" else 1)
    assert digests(output) == digests(pairs)


@pytest.mark.slow
def test_a_worker_killed_once_in_each_job(pairs: Path, crawl: Path, pairs_recipe: Path, tmp_path: Path) -> None:
    output, once = tmp_path / "out", tmp_path / "once"
    once.mkdir()
    what = f"ngrams=n-grams;rare_words=n-grams;fetch=crawl.warc.gz;shards={sample_of(pairs)}"
    command = ("build", pairs_recipe, "--input", crawl, "--output", output, "--offline", "--workers", 2)
    code, _, told = poisoned(what, "SIGKILL", once, *command)
    assert code == 0, told
    deaths = [line.split(",")[0] for line in told.splitlines() if "a worker process ended here (SIGKILL)" in line]
    assert deaths == ["ngrams", "rare_words", "fetch", "shards"]
    assert digests(output) == digests(pairs)
    assert unfinished(output) == []


def test_text_of_the_pages_that_have_no_images(crawl: Path, reference: Path, tmp_path: Path) -> None:
    """The recipe `text` takes what `m3w` leaves: no page stands in both."""
    recipe = tmp_path / "plain.toml"
    recipe.write_text('extends = "text"\n[language]\nmin_score = 0.3\n')
    output = build_in(tmp_path / "out", crawl, recipe)
    found = samples(output)
    assert found and all(not sample.members and not sample.json["images"] for sample in found.values())
    assert all(len(sample.json["text"].split()) >= 50 for sample in found.values())
    assert not found.keys() & samples(reference).keys()
    assert m3w("verify", output)[0] == 0

    import webdataset as wds

    shards = sorted(map(str, (output / "shards").glob("*.tar")))
    read = wds.WebDataset(shards, shardshuffle=False).decode().to_tuple("__key__", "json")
    assert {key: told["text"] for key, told in read} == {key: sample.json["text"] for key, sample in found.items()}
