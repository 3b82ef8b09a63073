"""What img2dataset wrote, and tars like it: images read where they are, each with its pair or a counted refusal.

The layout, names and columns are those of a folder that img2dataset 1.47 made from a local server.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.plan import describe_input
from pipelines.sources.config import SourceConfig
from pipelines.sources.inputs import InputError, plan_units, read_unit
from pipelines.sources.originals import read_original
from pipelines.sources.records import RawMedia, RawPair, SourceRecord, Unreadable
from pipelines.sources.units import Unit
from tests.warc_files import CONFIG, PNG, outcomes

PAIRS = replace(CONFIG, pairs_of="images", tables="pairs")
SITE = "http://pictures.example"
Member = tuple[str, bytes]


def jpeg(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64 + number, 48), (number * 40 % 255, 100, 50)).save(out, "JPEG")
    return out.getvalue()


def row(number: int, status: str = "success", caption: str | None = "") -> dict[str, Any]:
    came = status == "success"
    return {
        "caption": f'a "thing"\nof {number}, caf\u00e9' if caption == "" else caption,
        "url": f"{SITE}/{number}.jpg",
        "key": f"{number:09d}",
        "status": status,
        "error_message": None if came else "HTTP Error 404: Not Found",
        "width": 256 if came else None,
        "height": 192 if came else None,
        "original_width": 64 + number if came else None,
        "original_height": 48 if came else None,
        "exif": "{}" if came else None,
        "sha256": "0" * 64 if came else None,
    }


def sample(meta: dict[str, Any]) -> list[Member]:
    key, caption = meta["key"], meta["caption"]
    return [
        (f"{key}.jpg", jpeg(int(key))),
        (f"{key}.json", json.dumps(meta, indent=4).encode()),
        (f"{key}.txt", (caption or "").encode()),
    ]


def tar(path: Path, members: Sequence[Member]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(data), 0o444, "bigdata"
            archive.addfile(info, io.BytesIO(data))
    return path


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("caption", "url", "key", "status", "error_message")]
    + [(name, pa.int32()) for name in ("width", "height", "original_width", "original_height")]
    + [(name, pa.string()) for name in ("exif", "sha256")]
)
ROWS = [
    [row(1), row(0), row(2, "failed_to_download"), row(3, caption=None), row(4, "failed_to_resize"), row(5)],
    [row(10_000, "failed_to_download")],
]


def img2dataset(folder: Path, output_format: str) -> Path:
    folder.mkdir()
    for number, rows in enumerate(ROWS):
        came = [meta for meta in rows if meta["status"] == "success"]
        shard = folder / f"{number:05d}"
        if output_format == "webdataset":
            tar(shard.with_suffix(".tar"), [member for meta in came for member in sample(meta)])
        else:
            shard.mkdir()
            for meta in came:
                for name, data in sample(meta):
                    (shard / name).write_bytes(data)
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), shard.with_suffix(".parquet"), row_group_size=2)
        (folder / f"{number:05d}_stats.json").write_text(json.dumps({"count": len(rows), "successes": len(came)}))
    return folder


def plan(path: Path, config: SourceConfig = PAIRS) -> list[Unit]:
    return plan_units([str(path)], "", config)


def read(path: Path, config: SourceConfig = PAIRS) -> list[SourceRecord]:
    return [record for unit in plan(path, config) for record in read_unit(unit, config)]


def original(units: Sequence[Unit], media: RawMedia, config: SourceConfig = PAIRS) -> bytes:
    places = {unit.name: unit.path for unit in units}
    return read_original(places, "file", media.source.file, media.source.offset, media.source.length, config)


EXPECTED = [
    *(f"image {SITE}/1.jpg", f'pair {SITE}/1.jpg a "thing"\nof 1, caf\u00e9'),
    *(f"image {SITE}/0.jpg", f'pair {SITE}/0.jpg a "thing"\nof 0, caf\u00e9'),
    *(f"image {SITE}/3.jpg", "missing_text"),
    *(f"image {SITE}/5.jpg", f'pair {SITE}/5.jpg a "thing"\nof 5, caf\u00e9'),
]


def test_webdataset_format(tmp_path: Path) -> None:
    units = plan(img2dataset(tmp_path / "laion", "webdataset"))
    assert [(unit.kind, unit.name) for unit in units] == [
        ("failures", "laion/00000.parquet"),
        ("archive", "laion/00000.tar"),
        ("failures", "laion/00001.parquet"),
        ("archive", "laion/00001.tar"),
    ]
    records = [list(read_unit(unit, PAIRS)) for unit in units]
    assert outcomes(records[0]) == ["failed_to_download", "failed_to_resize"]
    assert outcomes(records[1]) == EXPECTED
    assert outcomes(records[2]) == ["failed_to_download"]
    assert outcomes(records[3]) == ["empty_file"]
    lost = records[0][0]
    assert isinstance(lost, Unreadable)
    assert (lost.url, lost.rejected.detail) == (f"{SITE}/2.jpg", "HTTP Error 404: Not Found")
    media, pair = records[1][:2]
    assert isinstance(media, RawMedia)
    assert isinstance(pair, RawPair)
    assert (pair.declared_width, pair.declared_height) == (65, 48)
    assert media.content_type == "image/jpeg"
    assert media.source == pair.source
    assert [describe_input(unit).bytes for unit in units] == [Path(unit.path).stat().st_size for unit in units]


def test_files_format(tmp_path: Path) -> None:
    units = plan(img2dataset(tmp_path / "laion", "files"))
    assert [(unit.kind, unit.name) for unit in units] == [
        ("files", "laion/00000.parquet"),
        ("files", "laion/00001.parquet"),
    ]
    records = [record for unit in units for record in read_unit(unit, PAIRS)]
    failed = ["failed_to_download", "failed_to_resize", "failed_to_download"]
    assert outcomes(records) == [*EXPECTED[:4], failed[0], *EXPECTED[4:6], failed[1], *EXPECTED[6:], failed[2]]
    (tmp_path / "laion" / "00000" / "000000000.jpg").unlink()
    assert outcomes(records := read(tmp_path / "laion"))[2] == "missing_media"
    assert len(read(tmp_path / "laion", replace(PAIRS, range_bytes=1))) == len(records)


@pytest.mark.parametrize("output_format", ["webdataset", "files"])
def test_bytes_are_read_in_place(tmp_path: Path, output_format: str) -> None:
    folder = img2dataset(tmp_path / "laion", output_format)
    units = plan(folder)
    media = [record for unit in units for record in read_unit(unit, PAIRS) if isinstance(record, RawMedia)]
    assert len(media) == 4
    for record in media:
        number = int(record.url.rpartition("/")[2].removesuffix(".jpg"))
        assert original(units, record) == jpeg(number)
        with pytest.raises(ValueError, match="at most 10 allowed"):
            original(units, record, replace(PAIRS, max_body_bytes=10))
    if output_format == "webdataset":
        one = plan(folder / "00000.tar")
        found = next(record for record in read_unit(one[0], PAIRS) if isinstance(record, RawMedia))
        assert found.source.file == "00000.tar"
        assert original(one, found) == jpeg(1)


def test_shards_of_other_formats_are_tables(tmp_path: Path) -> None:
    folder = img2dataset(tmp_path / "laion", "files")
    for file in (folder / "00000").iterdir():
        file.unlink()
    assert {unit.kind for unit in plan(folder)} == {"table"}
    assert {unit.kind for unit in plan(folder / "00000.parquet")} == {"table"}


def test_folders_that_are_not_of_one_kind(tmp_path: Path) -> None:
    folder = img2dataset(tmp_path / "laion", "webdataset")
    pq.write_table(pa.table({"url": ["http://a.example/"], "text": ["x"]}), folder / "other.parquet")
    with pytest.raises(InputError, match="1 of kind table and 2 of kind archive; put each kind in a folder of its own"):
        plan(folder)
    (folder / "other.tar").touch()
    with pytest.raises(InputError, match=r"other\.parquet: beside a shard of that name and without the column key"):
        plan(folder)
    with pytest.raises(InputError, match=r"00000\.tar: unknown type of input; .* for a recipe of pairs or clips"):
        plan(folder / "00000.tar", CONFIG)


# Samples

META = json.dumps({"url": f"{SITE}/a.jpg", "caption": "from json", "width": 10}).encode()
SAMPLES: list[tuple[list[Member], list[str]]] = [
    ([("a.jpg", PNG), ("a.txt", b"x"), ("a.json", META)], [f"image {SITE}/a.jpg", f"pair {SITE}/a.jpg x"]),
    ([("d/e/a.JPG", PNG), ("d/e/a.json", META)], [f"image {SITE}/a.jpg", f"pair {SITE}/a.jpg from json"]),
    ([("a.json", META), ("a.txt", b" "), ("a.webp", PNG)], [f"image {SITE}/a.jpg", f"pair {SITE}/a.jpg from json"]),
    ([("a.json", META), ("a.txt", b"x")], ["missing_media"]),
    ([("a.mp4", PNG), ("a.json", META)], ["missing_media"]),
    ([("README", b"x")], ["missing_media"]),
    ([("a.jpg", b""), ("a.json", META)], ["empty_body"]),
    ([("a.jpg", b"x" * (PAIRS.max_body_bytes + 1)), ("a.json", META)], ["too_large"]),
    ([("a.jpg", PNG), ("a.txt", b"x" * (PAIRS.max_row_bytes + 1))], ["too_large"]),
    ([("a.jpg", PNG), ("a.json", b"{")], ["bad_json"]),
    ([("a.jpg", PNG), ("a.json", META), ("a.txt", b"\xff")], [f"image {SITE}/a.jpg", "bad_encoding"]),
    (
        [("a.jpg", PNG), ("a.left.png", PNG), ("a.cls", b"1"), ("a.json", META)],
        [f"image {SITE}/a.jpg", f"pair {SITE}/a.jpg from json", "extra_media"],
    ),
]


@pytest.mark.parametrize(("members", "expected"), SAMPLES, ids=[str(n) for n in range(len(SAMPLES))])
def test_samples(tmp_path: Path, members: list[Member], expected: list[str]) -> None:
    alone = outcomes(read(tar(tmp_path / "t.tar", members)))
    assert alone == expected
    between = [("0.jpg", PNG), *members, ("z.jpg", PNG)]
    assert outcomes(read(tar(tmp_path / "t.tar", between)))[2:-2] == expected


def test_a_sample_without_address_gets_one_that_is_its_own(tmp_path: Path) -> None:
    members = [("a b.jpg", PNG), ("a b.txt", b"x"), ("c.jpg", PNG), ("c.txt", b"y")]
    members += [("d.jpg", PNG), ("d.json", b'{"url": "pictures/d.jpg", "caption": "z"}')]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tar(tmp_path / name / "00000.tar", members)
    urls = [[record.url for record in read(tmp_path / name)] for name in ("one", "two")]
    assert len({*urls[0], *urls[1]}) == 6
    for found in urls:
        assert found[::2] == found[1::2]
        assert [url.partition(".invalid/")[2] for url in found[::2]] == ["a%20b.jpg", "c.jpg", "d.jpg"]
    (tmp_path / "else").mkdir()
    (tmp_path / "one").rename(tmp_path / "else" / "one")
    assert [record.url for record in read(tmp_path / "else" / "one")] == urls[0]


def test_videos(tmp_path: Path) -> None:
    members = [("a.mp4", b"mp4"), ("a.jpg", PNG), ("a.txt", b"x"), ("a.json", META), ("b.jpg", PNG)]
    found = read(tar(tmp_path / "t.tar", members), replace(PAIRS, pairs_of="videos"))
    assert outcomes(found) == [f"image {SITE}/a.jpg", f"pair {SITE}/a.jpg x", "missing_media"]
    assert isinstance(found[0], RawMedia)
    assert (found[0].content_type, found[0].source.length) == ("video/mp4", 3)


# Tars that are not as they should be


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("\u00e9.jpg", "\u00e8.jpg", "n" * 150 + ".jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            archive.addfile(info, io.BytesIO(PNG))
    records = read(tmp_path / "t.tar")
    assert len({record.url for record in records}) == 3
    json.dumps([record.url for record in records], ensure_ascii=False).encode()


def test_what_is_no_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert outcomes(read(tmp_path / "t.tar")) == ["not_a_file", "not_a_file"]


def test_joined_archives(tmp_path: Path) -> None:
    one, two = tar(tmp_path / "1.tar", sample(row(1))), tar(tmp_path / "2.tar", sample(row(2)))
    path = tmp_path / "t.tar"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    units = plan(path)
    media = [record for record in read_unit(units[0], PAIRS) if isinstance(record, RawMedia)]
    assert [original(units, record) for record in media] == [jpeg(1), jpeg(2)]
    path.write_bytes(one.read_bytes() + b"something else, of more than nothing")
    assert outcomes(read(path))[-1] == "corrupt_file"
    for empty in (b"", bytes(10240)):
        path.write_bytes(empty)
        assert outcomes(read(path)) == ["empty_file"]
    for wrong in (b"no tar", b"x" * 2000):
        path.write_bytes(wrong)
        assert outcomes(read(path)) == ["corrupt_file"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 14_000))
def test_a_cut_costs_what_is_behind_it(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tar(tmp_path_factory.mktemp("t") / "t.tar", [member for n in range(3) for member in sample(row(n))])
    whole, data = outcomes(read(path)), path.read_bytes()
    marked = len(data.rstrip(b"\0")) // 512 * 512 + 1024  # a block of zeros after the last member is an end
    path.write_bytes(data[:cut])
    found = outcomes(read(path))
    if cut >= marked:
        assert found == whole
    elif cut:
        assert found[-1] == "corrupt_file"
        assert found[:-1] == whole[: len(found) - 1]
    assert found.count("corrupt_file") == (0 < cut < marked)


def test_a_damaged_header_is_told(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", [member for n in range(3) for member in sample(row(n))])
    with tarfile.open(path) as archive:
        second = archive.getmembers()[3].offset
    data = bytearray(path.read_bytes())
    data[second + 150] ^= 0xFF
    path.write_bytes(data)
    found = read(path)
    assert outcomes(found)[0::2] == [f"image {SITE}/0.jpg", "corrupt_file"]
    assert isinstance(found[-1], Unreadable)
    assert found[-1].source.offset == second
    assert found[-1].rejected.detail == f"no header at byte {second}; the rest is not read"
