"""Every kind of damage is found and named; a whole data set has none."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from rich.console import Console

from pipelines.shard_files import DataSetError
from pipelines.verify import Verification, print_verification, shard_count, verification_json, verify
from schemas.document import Document, Image, Text, Video
from schemas.json_schema import SCHEMA_FILE
from schemas.keys import clip_key
from schemas.shard import Sample, read_shard, sample_json
from tests.datasets import build, m3w, page, pages, pair, picture, write_shard, write_shards


def problems(path: Path | str) -> list[str]:
    return [f"{problem.file.rsplit('/', 1)[-1]}: {problem.what}" for problem in verify([str(path)]).problems]


def problems_of(tmp_path: Path, samples: Sequence[Sample], name: str = "train-000000.tar") -> list[str]:
    """Of a shard without manifest."""
    write_shard(tmp_path / name, samples)
    return [problem.what for problem in verify([str(tmp_path / name)]).problems]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    build(tmp_path / "set")
    return tmp_path / "set"


def test_whole_data_set(data_set: Path) -> None:
    found = verify([str(data_set)])
    assert found.problems == ()
    assert found.notes == ()
    sizes = sum(path.stat().st_size for path in (data_set / "shards").iterdir())
    counts = {"shards": 3, "samples": 12, "images": 22, "videos": 0, "words": 168, "bytes": sizes}
    assert dict(found.checked) == counts


def test_samples_fit_the_shipped_json_schema(data_set: Path) -> None:
    schema = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    for shard in (data_set / "shards").iterdir():
        with shard.open("rb") as stream:
            for sample in read_shard(stream):
                schema.validate(sample_json(sample.document))


def test_bare_shards_are_checked_as_far_as_they_can_be(data_set: Path) -> None:
    folder = verify([str(data_set / "shards")])
    assert folder.problems == ()
    assert folder.notes == ("without a manifest, checksums of shards, counts and the funnel are not checked",)
    assert folder.checked["samples"] == 12
    one = verify([str(data_set / "shards/train-000001.tar")])
    assert one.problems == ()
    assert any("in part" in note for note in one.notes)
    with pytest.raises(DataSetError):
        verify([str(data_set / "dead_letters")])


# --- damage to the bytes of a shard ----------------------------------------------------------------------------------


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_found(data_set: Path, place: float, bit: int) -> None:
    shard = data_set / "shards/train-000000.tar"
    good = shard.read_bytes()
    bad = bytearray(good)
    bad[int(place * len(bad))] ^= 1 << bit
    shard.write_bytes(bad)
    try:
        assert any(line.startswith("train-000000.tar: sha256 is") for line in problems(data_set))
    finally:
        shard.write_bytes(good)


def members_of(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(entry, data.read()) for entry in tar if (data := tar.extractfile(entry))]


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Writes a tar file again with members changed, or left out where `change` gives None."""
    members = members_of(path)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for entry, data in members:
            if (new := change(entry.name, data)) is not None:
                entry.size = len(new)
                tar.addfile(entry, io.BytesIO(new))


def bare(tmp_path: Path) -> Path:
    path = tmp_path / "train-000000.tar"
    write_shard(path, [replace_split(sample) for sample in pages(5)])
    return path


def replace_split(sample: Sample) -> Sample:
    return Sample(replace(sample.document, split="train"), sample.members)


def test_flips_are_found_without_a_manifest(tmp_path: Path) -> None:
    """In headers, pictures, texts and addresses; the numbers of JSON (scores) have no digest of their own."""
    path = bare(tmp_path)
    good = path.read_bytes()
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
    assert problems(path) == []
    for place, found in [
        (entries[0].offset + 3, "damaged archive"),
        (entries[4].offset + 120, "damaged header at byte"),
        (next(e for e in entries if e.name.endswith("jpg")).offset_data + 700, "sha256 is"),
        (good.index(b"begins with"), "one of these was changed"),
        (good.index(b"site0.example"), "one of these was changed"),
    ]:
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bad)
        assert any(found in line for line in problems(path)), found


def test_a_cut_shard_is_found_wherever_it_was_cut(tmp_path: Path) -> None:
    path = bare(tmp_path)
    good = path.read_bytes()
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
    end = entries[-1].offset_data + -(-entries[-1].size // 512) * 512
    for length in (0, 100, 512, entries[2].offset, entries[2].offset + 512, entries[2].offset_data + 9, end, end + 512):
        path.write_bytes(good[:length])
        assert problems(path), f"cut at {length}"


def test_members_removed_and_added(tmp_path: Path) -> None:
    path = bare(tmp_path)
    good = path.read_bytes()
    image = next(entry.name for entry, _ in members_of(path) if entry.name.endswith(".0.jpg"))
    rewrite(path, lambda name, data: None if name == image else data)
    assert any("its JSON names" in line for line in problems(path))
    path.write_bytes(good)
    rewrite(path, lambda name, data: None if name == image.replace("0.jpg", "json") else data)
    assert any("cannot be decoded" in line for line in problems(path))
    path.write_bytes(good)
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo("__index__"), io.BytesIO())
        tar.addfile(tarfile.TarInfo(image.replace("0.jpg", "7.jpg")), io.BytesIO())
        link = tarfile.TarInfo(linked := image.replace("0.jpg", "8.jpg"))
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    found = problems(path)
    assert any("'__index__' belongs to no sample" in line for line in found)
    assert any(f"'{linked}' belongs to no sample" in line for line in found)
    assert any("cannot be decoded" in line for line in found)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": "openm3w-0"}, "format 'openm3w-0'"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"title": 7}, "str is wanted, not 7"),
        ({"key": "0" * 32}, "its JSON says key"),
        ({"text": "other"}, "outside the text"),
        ({"split": "dev"}, "split 'dev' in a shard of 'train'"),
        ({"images": 5}, "cannot be decoded"),
        ({"images": [{"slot": 0, "position": "1"}]}, "cannot be decoded"),
    ],
)
def test_json_that_is_no_sample(tmp_path: Path, change: dict[str, object], found: str) -> None:
    write_shard(path := tmp_path / "train-000000.tar", [page(1, ["Some text.", picture(64, 64, 1), "More of it."])])

    def changed(name: str, data: bytes) -> bytes:
        return json.dumps(json.loads(data) | change).encode() if name.endswith("json") else data

    assert problems(path) == []
    rewrite(path, changed)
    assert any(found in line for line in problems(path))


# --- what a sample says of itself ------------------------------------------------------------------------------------


def with_image(data: bytes, **said: object) -> Sample:
    """A page whose only image is `data`, described by `said`."""
    made = page(1, ["Text.\n\n", picture(80, 60, 1)], split="train")
    image = replace(made.document.images[0], **{"sha256": sha256(data).hexdigest(), **said})  # type: ignore[arg-type]
    return Sample(replace(made.document, slots=(made.document.slots[0], image)), {image.member: data})


def saved(form: str, **options: object) -> bytes:
    stream = BytesIO()
    Picture.linear_gradient("L").resize((80, 60)).save(stream, form, **options)
    return stream.getvalue()


def test_images(tmp_path: Path) -> None:
    good = saved("JPEG")
    exif = Picture.Exif()
    exif[0x0112] = 6
    assert problems_of(tmp_path, [with_image(good)]) == []
    assert problems_of(tmp_path, [with_image(good, width=81)]) == ["0.jpg: 80x60 pixels, not 81x60"]
    (found,) = problems_of(tmp_path, [with_image(good, sha256="ab" * 32)])
    assert found == f"0.jpg: sha256 is {sha256(good).hexdigest()}, not {'ab' * 32}"
    assert problems_of(tmp_path, [with_image(saved("JPEG", exif=exif))]) == ["0.jpg: holds metadata (exif)"]
    assert problems_of(tmp_path, [with_image(saved("JPEG", comment=b"me"))]) == ["0.jpg: holds metadata (comment)"]
    assert problems_of(tmp_path, [with_image(saved("PNG"))]) == ["0.jpg: a PNG under this name"]
    (found,) = problems_of(tmp_path, [with_image(saved("GIF"))])
    assert found.startswith("0.jpg: cannot be decoded: UnidentifiedImageError")
    (found,) = problems_of(tmp_path, [with_image(good[:-200])])
    assert "truncated" in found


def test_png_text_is_metadata(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "somebody")
    assert problems_of(tmp_path, [with_image(saved("PNG"), member="0.png")]) == []
    assert problems_of(tmp_path, [with_image(saved("PNG", pnginfo=info), member="0.png")]) == [
        "0.png: holds metadata (Author)"
    ]


def test_keys_are_digests(tmp_path: Path) -> None:
    made = page(1, ["Text.", picture(64, 64, 1)], split="train")
    other = replace(made.document, slots=(Text("Test."), *made.document.slots[1:]))
    (found,) = problems_of(tmp_path, [Sample(other, made.members)])
    assert "one of these was changed" in found
    (*_, found) = problems_of(tmp_path, [Sample(replace(made.document, key="abc"), made.members)])
    assert found == "key 'abc' is not 32 hex digits"
    assert problems_of(tmp_path, [pair(1, "A caption"), pair(2, "Another")]) == []


def clip(frames: dict[str, bytes], **said: object) -> Sample:
    video = Video(
        url="https://v.example/1",
        end=2.0,
        times=(0.0, 1.0),
        members=tuple(frames),
        width=64,
        height=48,
        sha256=sha256(b"".join(frames.values())).hexdigest(),
    )
    video = replace(video, **said)  # type: ignore[arg-type]
    key = clip_key(video.url, 0.0, 2.0)
    return Sample(Document(kind="clip", url=video.url, slots=(video, Text("A clip")), key=key, split="train"), frames)


def test_clips(tmp_path: Path) -> None:
    frames = {"0.000.jpg": picture(64, 48, 1), "0.001.jpg": picture(64, 48, 2)}
    assert problems_of(tmp_path, [clip(frames)]) == []
    assert problems_of(tmp_path, [clip(frames, times=(0.0,))]) == ["2 frames, but 1 times"]
    assert len(problems_of(tmp_path, [clip(frames, height=40)])) == 2
    (found,) = problems_of(tmp_path, [clip(frames, sha256="")])
    assert found.endswith("not (none)")


def test_names_that_say_no_split_are_noted(tmp_path: Path) -> None:
    write_shard(tmp_path / "mine.tar", pages(3))
    found = verify([str(tmp_path / "mine.tar")])
    assert found.problems == ()
    assert any("mine.tar: its name gives no split" in note for note in found.notes)


# --- samples over all shards -----------------------------------------------------------------------------------------


def test_a_sample_twice(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    write_shards(tmp_path, pages(), {"train": 2, "dev": 1})
    train = [s for s in pages() if s.document.split == "train"]
    wrong = next(s for s in train if int(s.document.key, 16) % 2 == 0)
    write_shard(folder / "train-000001.tar", [wrong, *(s for s in train if int(s.document.key, 16) % 2 == 1)])
    found = verify([str(folder)])
    assert {(problem.key, problem.what) for problem in found.problems} == {
        (wrong.document.key, f"the same sample stands in {folder}/train-000000.tar"),
        (wrong.document.key, "belongs to shard 0 of 2"),
    }


def test_a_sample_twice_in_a_row(tmp_path: Path) -> None:
    made = page(1, ["Text.", picture(64, 64, 1)], split="train")
    found = problems_of(tmp_path, [made, made])
    assert f"member '{made.document.key}.json' stands there twice" in found


def test_shards_without_samples_may_be_absent(tmp_path: Path) -> None:
    """The shard of the highest number too: the number of shards is then read from the keys."""
    samples = [s for s in pages(40) if int(s.document.key, 16) % 5 not in (2, 4)]
    samples = [replace_split(sample) for sample in samples]
    write_shards(tmp_path, samples, {"train": 5})
    assert sorted(path.name[-5] for path in (tmp_path / "shards").iterdir()) == ["0", "1", "3"]
    assert problems(tmp_path / "shards") == []


def test_shard_count() -> None:
    keys = [int(sample.document.key, 16) for sample in pages(30)]
    assert shard_count([(key % 7, key) for key in keys]) == 7
    assert shard_count([(key % 7, key) for key in keys if key % 7 < 5]) == 7
    assert shard_count([]) == 0
    assert shard_count([(key % 907, key) for key in keys if key % 907 < 200]) == 0, "too far off to tell"


# --- the folder ------------------------------------------------------------------------------------------------------


def test_missing_and_foreign_files(data_set: Path) -> None:
    (data_set / "_SUCCESS").unlink()
    (data_set / "report.json").unlink()
    (data_set / "shards/dev-000000.tar").rename(data_set / "shards/dev-000009.tar")
    found = problems(data_set)
    assert "_SUCCESS: is missing: the build did not finish" in found
    assert "report.json: is missing" in found
    assert "dev-000000.tar: is missing, but the manifest names it" in found
    assert "dev-000009.tar: is not named by the manifest" in found


def test_no_manifest(data_set: Path) -> None:
    (data_set / "manifest.json").unlink()
    found = verify([str(data_set)])
    assert [problem.what for problem in found.problems] == [
        f"{data_set} is no finished data set: it has no manifest.json"
    ]
    assert found.checked["samples"] == 12, "the shards are checked anyway"
    (data_set / "manifest.json").write_text('{"format": 1}')
    (what,) = problems(data_set)
    assert "missing version" in what


@pytest.mark.parametrize(
    ("where", "value", "found"),
    [
        (("format",), "openm3w-9", "manifest.json: format 'openm3w-9'"),
        (("recipe", "language", "min_score"), 0.5, "manifest.json: recipe_digest is not that of the recipe"),
        (("splits", "dev"), 4, "manifest.json: splits are"),
        (("shards", 0, "name"), "../train-000000.tar", "manifest.json: '../train-000000.tar' is no name of a shard"),
        (("shards", 0, "split"), "dev", "is said to be of split 'dev'"),
        (("shards", 1, "name"), "shards/train-000000.tar", "is named 2 times"),
        (("shards", 0, "samples"), 3, "train-000000.tar: samples is 6, but the manifest says 3"),
        (("shards", 0, "images"), 3, "train-000000.tar: images is 10, but the manifest says 3"),
        (("shards", 0, "videos"), 3, "train-000000.tar: videos is 0, but the manifest says 3"),
        (("shards", 0, "words"), 3, "train-000000.tar: words is 78, but the manifest says 3"),
        (("shards", 0, "bytes"), 3, "train-000000.tar: bytes is 30720, but the manifest says 3"),
        (("shards", 0, "sha256"), "0", "but the manifest says 0"),
        (("funnel", 0, "into"), 30, "funnel, record read: 30 in, but 24 out and 5 dropped"),
        (("funnel", 1, "into"), 30, "funnel, record medias: 30 came in, but 24 were left before it"),
        (("funnel", 2, "out"), 30, "funnel, page page_url: 22 came in, but 30 were left before it"),
        (("funnel", 4, "dropped", "url_word"), 2, "funnel, page page_url: 22 in, but 21 out and 2 dropped"),
        (("funnel", 12, "out"), 11, "funnel: 11 things of kind sample are left, but the shards hold 12"),
        (("funnel", 6, "dropped", "x"), 11, "funnel, page image_uses: things dropped in a fan-out"),
        (("funnel", 3, "dropped", "x"), -1, "funnel, media opt_out: a number below zero"),
        (("name",), "other", "report.json: differs from manifest.json"),
        (("surprise",), 1, "manifest.json: "),
    ],
)
def test_edited_manifest(data_set: Path, where: tuple[str | int, ...], value: object, found: str) -> None:
    manifest = json.loads((data_set / "manifest.json").read_text())
    at = manifest
    for step in where[:-1]:
        at = at[step]
    at[where[-1]] = value
    (data_set / "manifest.json").write_text(json.dumps(manifest))
    assert any(found in line for line in problems(data_set)), problems(data_set)


def test_dead_letters_account_for_the_funnel(data_set: Path) -> None:
    path = data_set / "dead_letters/gopher_quality.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[1:]))
    what = "gopher_quality.jsonl: 5 of kind page dropped for too_few_words, but the funnel says 6"
    assert problems(data_set) == [what]
    path.write_text("".join([*lines, "{}\n"]))
    (found,) = problems(data_set)
    assert "line 9: dead letter: missing kind" in found
    path.write_text("".join([lines[0].replace("gopher_quality", "other"), *lines[1:]]))
    assert "gopher_quality.jsonl: line 1: of stage 'other'" in problems(data_set)
    crowd = {**json.loads(lines[0]), "count": 6}
    path.write_text("".join([json.dumps(crowd) + "\n", *lines[6:]]))
    assert problems(data_set) == [], "one line may stand for many"
    for file in (data_set / "dead_letters").iterdir():
        file.unlink()
    assert problems(data_set) == ["dead_letters: is missing, but the funnel says that things were dropped"]
    (data_set / "dead_letters").rmdir()
    assert problems(data_set) == ["dead_letters: is missing, but the funnel says that things were dropped"]


@pytest.mark.parametrize("name", ["manifest.json", "report.json", "dead_letters/read.jsonl", "shards/train-000000.tar"])
def test_what_cannot_be_read_is_a_problem(data_set: Path, name: str) -> None:
    (data_set / name).rename(data_set / "away")
    (data_set / name).symlink_to(data_set / "nowhere" if "/" in name else data_set / "shards")
    last = name.rsplit("/", 1)[-1]
    assert any(line.startswith(f"{last}: cannot be read") for line in problems(data_set)), problems(data_set)
    assert m3w("verify", data_set)[0] == 1


@pytest.mark.parametrize("name", ["manifest.json", "report.json", "dead_letters/read.jsonl"])
def test_json_without_end_is_a_problem(data_set: Path, name: str) -> None:
    (data_set / name).write_text("[" * 99_999)
    assert any(line.startswith(name.rsplit("/", 1)[-1]) for line in problems(data_set))


def test_a_data_set_given_twice_is_read_once(data_set: Path) -> None:
    assert verify([str(data_set), f"{data_set}/"]) == verify([str(data_set)])
    assert verify([str(data_set), str(data_set / "shards")]) == verify([str(data_set)])


# --- what is said ----------------------------------------------------------------------------------------------------


def said(found: Verification) -> str:
    text = StringIO()
    print_verification(found, Console(width=100, file=text))
    return text.getvalue()


def test_print_and_json(data_set: Path) -> None:
    good = verify([str(data_set)])
    assert said(good) == "good: 3 shards, 12 samples, 22 images, 168 words, 71.7 kB read\n"
    assert json.loads(verification_json(good))["good"] is True
    (data_set / "_SUCCESS").unlink()
    bad = verify([str(data_set)])
    assert said(bad).endswith("1 problems: 3 shards, 12 samples, 22 images, 168 words, 71.7 kB read\n")
    assert "_SUCCESS\n  is missing: the build did not finish\n" in said(bad)
    plain = json.loads(verification_json(bad))
    assert (plain["good"], len(plain["problems"])) == (False, 1)


def test_many_problems_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    made = page(1, ["Text."], split="train")
    images = tuple(Image(url="u", member=f"{n}.jpg", width=1, height=1) for n in range(600))
    members = {image.member: b"no picture" for image in images}
    write_shard(
        path := tmp_path / "train-000000.tar",
        [Sample(replace(made.document, slots=(*made.document.slots, *images)), members)],
    )
    found = verify([str(path)])
    assert (found.problem_count, len(found.problems)) == (1200, 1000)
    assert "and 1,150 more" in said(found)
