"""Samples of other data sets as documents: img2dataset, OBELICS-like, mmc4-like; and what is none of them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from loader_data import loader, page, pair, picture, write_tar

from flamingo_model.formats import Read, read_sample
from flamingo_model.samples import PAIRS
from schemas.document import Document, Text
from schemas.rejection import Rejected
from schemas.shard import encode_sample

RED, BLUE = picture(20, 10, 1), picture(10, 20, 2, "PNG")


def read(files: dict[str, bytes], key: str = "k") -> Read:
    made = read_sample(key, files)
    assert isinstance(made, Read), made
    return made


def reason(files: dict[str, bytes]) -> str:
    made = read_sample("k", files)
    assert isinstance(made, Rejected)
    return made.reason


def plain(document: Document) -> list[str]:
    """Texts, and for pictures their members in brackets."""
    return [slot.text if isinstance(slot, Text) else f"[{slot.member}]" for slot in document.slots]  # type: ignore[union-attr]


def as_json(**value: Any) -> bytes:
    return json.dumps(value).encode()


def test_our_own() -> None:
    for sample in (page(1, ["A", RED, "B"]), pair(2, "A cat")):
        key = sample.document.key
        files = {name.partition(".")[2]: data for name, data in encode_sample(sample)}
        assert read(files, key).sample == sample


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "webp"])
def test_img2dataset(extension: str) -> None:
    meta = as_json(caption="A cat", url="https://a.example/cat", key="000000012", status="success", width=20)
    for files in ({"txt": "A cät".encode(), "json": meta}, {"txt": "A cät".encode()}):
        made = read({extension: RED, **files}).sample
        assert made.document.kind == "pair" and made.document.key == "k"
        assert plain(made.document) == [f"[{extension}]", "A cät"] and made.members == {extension: RED}
    made = read({extension: RED, "json": meta}).sample
    assert plain(made.document) == [f"[{extension}]", "A cat"] and made.document.url == "https://a.example/cat"
    assert reason({extension: RED, "txt": b"\xff\xfe"}) == "bad_text"
    assert reason({extension: RED, "json": as_json(caption=None)}) == "empty_caption"


def test_obelics() -> None:
    value = {
        "texts": ["Begin", None, None, "Middle", "Next", None],
        "images": [None, "https://a/1", "x.png", None, None, "y"],
    }
    made = read({"json": as_json(**value, metadata="[]"), "0.jpg": RED, "x.png": BLUE, "2.jpeg": RED})
    assert plain(made.sample.document) == ["Begin", "[0]", "[1]", "Middle", "\n\nNext", "[2]"]
    assert made.sample.members == {"0": RED, "1": BLUE, "2": RED} and made.left_out == {}
    assert made.sample.document.kind == "page"
    partly = read({"json": as_json(**value), "1.jpg": RED})
    assert plain(partly.sample.document) == ["Begin", "[1]", "Middle", "\n\nNext"]
    assert partly.left_out == {"picture_missing": 2}
    assert reason({"json": as_json(**value)}) == "no_pictures"
    assert reason({"json": as_json(texts=["a"], images=[])}) == "bad_sample"
    words = read({"json": as_json(texts=["a", "b"], images=[None, None])})
    assert plain(words.sample.document) == ["a", "\n\nb"]


def test_mmc4() -> None:
    images = [
        {"image_name": "later.jpg", "raw_url": "https://a/2", "matched_text_index": 2, "matched_sim": 0.3},
        {"image_name": "first.png", "raw_url": "https://a/1", "matched_text_index": 0},
        {"image_name": "inline.jpg", "matched_text_index": 2, "image_base64": base64.b64encode(RED).decode()},
        {"image_name": "gone.jpg", "matched_text_index": 1},
    ]
    value = {"text_list": ["One.", "Two.", "Three."], "image_info": images, "similarity_matrix": [[0.1]]}
    made = read({"json": as_json(**value), "later.jpg": RED, "first.png": BLUE})
    assert plain(made.sample.document) == ["[1]", "One.", " Two.", "[0]", "[2]", " Three."]
    assert made.sample.members == {"0": RED, "1": BLUE, "2": RED}
    assert made.left_out == {"picture_missing": 1}
    images[2]["image_base64"] = "?"
    made = read({"json": as_json(**value), "later.jpg": RED})
    assert made.left_out == {"picture_missing": 2, "picture_undecodable": 1}
    for wrong in (3, -1, "0", None, True):
        faulty = [{"image_name": "a.jpg", "matched_text_index": wrong}]
        assert wrong is True or reason({"json": as_json(text_list=["a"], image_info=faulty)}) == "bad_sample"
    assert reason({"json": as_json(text_list=["a"], image_info=["a.jpg"])}) == "bad_sample"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, "unknown_layout"),
        ({"cls": b"1"}, "unknown_layout"),
        ({"jpg": RED}, "unknown_layout"),
        ({"json": b"[1]", "jpg": RED}, "bad_json"),
        ({"json": b"{"}, "bad_json"),
        ({"json": b"[" * 100_000}, "bad_json"),
        ({"json": b'{"a": "\xff"}'}, "bad_json"),
        ({"json": as_json(format="openm3w-2")}, "format_version"),
        ({"json": as_json(format="openm3w-1")}, "bad_sample"),
    ],
)
def test_what_is_none_of_them(files: dict[str, bytes], wanted: str) -> None:
    assert reason(files) == wanted


def test_a_tar_of_img2dataset_is_loaded(tmp_path: Path) -> None:
    members: dict[str, bytes] = {}
    for number in range(5):
        meta = as_json(caption=f"Cat {number}", url=f"https://a.example/{number}", key=f"{number:09d}")
        name = f"{number:09d}"
        members |= {f"{name}.jpg": picture(20, 20, number), f"{name}.json": meta, f"{name}.txt": b"Cat"}
    members["000000003.jpg"] = b""
    source = loader([write_tar(tmp_path / "00000.tar", members)], PAIRS, endless=False, shuffle=0)
    keys = [key for batch in source for row in batch.keys for key in row]
    assert keys == ["000000000", "000000001", "000000002", "000000004"] and source.skipped == {"picture_undecodable": 1}


def test_images_that_are_left_out_are_counted(tmp_path: Path) -> None:
    value = as_json(texts=["A", None, None], images=[None, "a.jpg", "b.jpg"])
    place = write_tar(tmp_path / "a.tar", {"k.json": value, "k.b.jpg": RED})
    source = loader([place], endless=False)
    (batch,) = list(source)
    assert batch.pictures is not None and batch.pictures.per_row == (1, 0, 0, 0)
    assert source.skipped == {"picture_missing": 1}
