"""Pairs with a scorer that knows colours: what is kept and named as dropped, and the same bytes however it is run."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from builds import build_in, check_counts, digests, dropped, letters, m3w, manifest, poisoned, sample_of, samples
from colour_scorer import COLOURS
from PIL import Image
from test_counts import check_adds_up, row

from pipelines.engine import LocalEngine

THINGS = ("door", "wall", "carpet", "curtain", "wooden fence", "plastic bucket", "paper lantern", "garden bench")
ENDS = {"unlucky": "unscorable", "undefined": "unscorable", "colourless": "low_similarity"}
RECIPE = """
extends = "align"

[source]
range_bytes = 100_000

[language]
languages = []
min_score = 0.0

[image_safety]
scorer = "none"

[shards]
max_samples = 10

[similarity]
scorer = "colour_scorer:{scorer}"
weights = ""
batch_size = {batch_size}
min_score = 0.8
"""


def picture(colour: str, number: int) -> bytes:
    """A picture of about that colour, unlike any other."""
    noise = np.random.default_rng(number).integers(-12, 13, (210, 240, 3))
    stream = io.BytesIO()
    Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def pairs() -> list[tuple[str, bytes, str]]:
    """(caption, image, what becomes of it): half of the captions name another colour than the picture has."""
    found = []
    for number, thing in enumerate(THINGS):
        right = number % 2 == 1
        for true in COLOURS:
            said = true if right else {"red": "green", "green": "blue"}.get(true, "red")
            text = f"A photograph of a {said} {thing} in {true} light"
            found.append((text, true, "" if right else "low_similarity"))
    for number, (word, reason) in enumerate(ENDS.items()):
        colour = "red" if reason == "unscorable" else "old"
        found.append((f"A photograph of one {word} thing that is {colour} {number}", "red", reason))
    return [(text, picture(colour, number), reason) for number, (text, colour, reason) in enumerate(found)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tar"
    with tarfile.open(path, "w") as tar:
        for number, (text, image, _) in enumerate(pairs()):
            told = json.dumps({"url": f"https://pictures.invalid/{number}.jpg", "caption": text}).encode()
            for extension, data in (("jpg", image), ("txt", text.encode()), ("json", told)):
                entry = tarfile.TarInfo(f"{number:06d}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return path


def recipe(folder: Path, scorer: str = "load", batch_size: int = 1) -> Path:
    path = folder / "scored.toml"
    path.write_text(RECIPE.format(scorer=scorer, batch_size=batch_size))
    return path


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    return build_in(folder / "out", archive, recipe(folder))


def test_pairs_whose_text_is_right_are_kept_with_their_score(scored: Path) -> None:
    wanted = {text for text, _, reason in pairs() if not reason}
    found = {sample.members["txt"].decode(): sample.json["scores"] for sample in samples(scored).values()}
    assert found.keys() == wanted and len(wanted) == 24
    assert all(0.9 < scores["similarity.score"] <= 1 for scores in found.values())
    assert m3w("verify", scored)[0] == 0


def test_what_is_dropped_is_counted_and_named(scored: Path) -> None:
    wanted = Counter(reason for _, _, reason in pairs() if reason)
    funnel = manifest(scored).funnel
    check_adds_up(funnel, "pair")
    assert row(funnel, "pair", "similarity").dropped == wanted == {"low_similarity": 25, "unscorable": 2}
    assert row(funnel, "image_use", "similarity").dropped == {"page_dropped": 27}
    told = dropped(letters(scored))
    for reason, count in wanted.items():
        assert told["pair", "similarity", reason] == count
    details = {letter["detail"] for letter in letters(scored) if letter["reason"] == "unscorable"}
    assert details == {"ValueError: what an unlucky text", "score nan"}
    low = next(letter for letter in letters(scored) if letter["reason"] == "low_similarity")
    assert (
        low["detail"].endswith(", at least 0.8") and low["url"] and low["key"] and low["source"]["file"] == "pairs.tar"
    )
    code, said, _ = m3w("report", scored, "--rejected", "similarity")
    assert code == 0 and "low_similarity" in said


def test_inspect_shows_the_score(scored: Path, tmp_path: Path) -> None:
    code, said, _ = m3w("inspect", scored, "--sample", "0")
    assert code == 0 and "similarity.score 0.9" in said
    assert m3w("inspect", scored, "--html", tmp_path / "pairs.html")[0] == 0
    assert "similarity" in (tmp_path / "pairs.html").read_text()
    assert m3w("inspect", scored, "--sheet", tmp_path / "pairs.png")[0] == 0
    with Image.open(tmp_path / "pairs.png") as sheet:
        assert sheet.width == 1600


def test_the_file_of_the_scorer_is_part_of_the_data_set(scored: Path) -> None:
    (listed,) = manifest(scored).lists
    assert listed.name == "colour_scorer:load" and len(listed.sha256) == 64


@pytest.mark.parametrize("how", ["workers", "repeat", "partitions", "batches"])
def test_the_same_bytes(how: str, scored: Path, archive: Path, tmp_path: Path) -> None:
    engine = {"workers": LocalEngine(2), "repeat": LocalEngine(1, ("--direct_runner_bundle_repeat=2",))}.get(how)
    size = 1 << 30 if how != "partitions" else -(-archive.stat().st_size // 3)
    given = recipe(tmp_path, batch_size=8 if how == "batches" else 1)
    output = build_in(tmp_path / "out", archive, given, engine, size, 1 if how == "partitions" else 100_000)
    if how == "batches":
        assert {name: sample for name, sample in digests(output).items() if name.endswith(".tar")} == {
            name: sample for name, sample in digests(scored).items() if name.endswith(".tar")
        }
    else:
        assert digests(output) == digests(scored)


def test_batches_are_made_by_the_keys_alone(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that tells of its batch is the same with other partitions."""
    monkeypatch.setattr("pipelines.score_pairs.UNIT_DIGITS", 1)  # fewer units, so that batches are full
    given, part = recipe(tmp_path, "crowd", 3), -(-archive.stat().st_size // 2)
    one = build_in(tmp_path / "one", archive, given)
    two = build_in(tmp_path / "two", archive, given, None, part, 1)
    assert digests(one) == digests(two)
    sizes = Counter(int(sample.json["scores"]["similarity.score"]) for sample in samples(one).values())
    assert sizes[3] >= 12 and sizes[1] + sizes[2]


def test_a_build_whose_scorer_dies_goes_on(scored: Path, archive: Path, tmp_path: Path) -> None:
    """Once: its unit is scored again, by the same command."""
    log, output = tmp_path / "log", tmp_path / "out"
    command = [sys.executable, "-m", "pipelines.cli", "build", str(recipe(tmp_path)), "--input", str(archive)]
    command += ["--output", str(output), "--offline", "--workers", "1"]  # of two both might die
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLOUR_LOG": str(log), "COLOUR_DIE": "25"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("a worker process ended here (exit code 9)") == 1
    assert "in the scorer, with 1 pairs of which the first is https://pictures.invalid/" in done.stderr
    asked = Counter(log.read_text().splitlines())
    assert asked.pop("a grey picture") == 1  # the start tries the scorer
    assert asked.keys() == {text for text, _, _ in pairs()}
    again = [text for text, count in asked.items() if count > 1 + ("unlucky" in text or "undefined" in text)]
    assert len(again) <= 2  # those of the unit that was not done
    assert digests(output) == digests(scored)


@pytest.mark.slow
def test_a_pair_whose_picture_kills_its_worker_each_time(
    scored: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    url = sample_of(scored)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # where the scorer is
    command = ("build", recipe(tmp_path), "--input", archive, "--output", output, "--offline", "--quiet")
    code, _, told = poisoned(f"similarity={url}", "SIGSEGV", "", *command, "--workers", 2)
    assert code == 3 and "1 in all" in told and "--rejected similarity" in told
    check_counts(output)
    (lost,) = [letter for letter in letters(output) if letter["reason"] == "killed_worker"]
    assert (lost["kind"], lost["url"]) == ("pair", url)
    assert samples(output) == {key: found for key, found in samples(scored).items() if found.json["url"] != url}


@pytest.mark.slow
def test_a_scorer_that_kills_its_worker_each_time_ends_the_build(
    scored: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    command = ("build", recipe(tmp_path), "--input", archive, "--output", tmp_path / "out", "--offline", "--quiet")
    code, _, told = poisoned("scorer=unlucky", "SIGSEGV", "", *command, "--workers", 2)
    assert code == 1 and told.startswith("m3w: similarity, ") and "in the scorer, with 1 pairs" in told
    assert m3w(*command) == (0, "", "")
    assert digests(tmp_path / "out") == digests(scored)


def test_what_cannot_work_is_told_before_anything_is_read(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for scorer, said in (
        ("no_such_module:load", "m3w: recipe mine: [similarity] scorer 'no_such_module:load': ModuleNotFoundError"),
        ("colour_scorer:nothing", "has no attribute 'nothing'"),
        ("clip", 'scorer: \'clip\' is neither "none" nor of the form "package.module:name"'),
    ):
        path.write_text(f'extends = "align"\n[image_safety]\nscorer = "none"\n[similarity]\nscorer = "{scorer}"\n')
        code, _, told = m3w("build", path, "--input", archive, "--output", tmp_path / "out", "--offline")
        assert code == 2 and said in told, told
        assert not (tmp_path / "out" / "work").exists()
    assert m3w("recipe", "check", path)[0] == 2
