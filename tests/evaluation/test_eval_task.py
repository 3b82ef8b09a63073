"""Task files and tables are read strictly."""

import csv
import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from datasets import pair, write_shard
from eval_files import save_picture, save_video, write_lines

from flamingo_model.evaluation.examples import Example, Frames, TaskError, Visual, digest, find_file, read, spread
from flamingo_model.evaluation.task import load_task, read_split, shipped_tasks
from schemas.rejection import Rejected

ROOT = Path(__file__).parents[2]
TASK = """
name = "mine"
layout = "table"
prompt = "question"
mode = "generate"
metric = "accuracy"
[query]
table = "val.jsonl"
"""


def task_of(folder: Path, text: str = TASK) -> tuple[Any, Path]:
    (folder / "mine.toml").write_text(text)
    return load_task(folder / "mine.toml")


def queries(folder: Path, rows: list[Any], text: str = TASK) -> list[Example]:
    write_lines(folder / "val.jsonl", rows)
    task, root = task_of(folder, text)
    return read_split(task, root, "query")[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"', 'name = "a/b"', "name is 'a/b'"),
        ('layout = "table"', 'layout = "tabel"', "did you mean 'table'"),
        ('prompt = "question"', 'prompt = "ask"', "'ask' is none of"),
        ('metric = "accuracy"', 'metric = "roc_auc"', "metric 'roc_auc' is not for mode 'generate'"),
        ('metric = "accuracy"', "", "missing metric"),
        ('name = "mine"', 'name = "mine"\nshots = 4', "unknown key 'shots'"),
        ('name = "mine"', 'name = "mine"\nfps = 0.0', "fps is 0.0"),
        ('name = "mine"', 'name = "mine"\nmax_shots = 0', "max_shots is 0"),
        ('table = "val.jsonl"', 'tables = "val.jsonl"', "'tables', which layout 'table' does not know: table, images"),
        ('table = "val.jsonl"', "", "lacks table"),
        ('table = "val.jsonl"', "table = 3", "str is wanted"),
        ('name = "mine"', "name = ", "mine.toml"),
    ],
)
def test_strict(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(TaskError) as error:
        task_of(tmp_path, TASK.replace(old, new))
    assert message in str(error.value)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"Did you mean 'vqav2'\? Shipped: coco, "):
        load_task("vqa2")


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        {"image": "a.jpg", "question": "What?", "answers": ["dog", "cat"], "id": 7},
        {"image": "b/c.png", "answer": "dog", "candidates": ["dog", "cat"], "label": "x", "relevance": [1, 0.5]},
        {"image": "d.mp4", "start": 1, "end": 2.5, "context": "before"},
    ]
    first, second, third = queries(tmp_path, rows)
    assert first == Example(id="7", visual=Visual(tmp_path / "a.jpg"), question="What?", answers=("dog", "cat"))
    assert second.id == "1" and second.answers == ("dog",) and second.relevance == (1.0, 0.5)
    assert second.candidates == ("dog", "cat") and second.label == "x"
    assert third.visual == Visual(tmp_path / "d.mp4", start=1.0, end=2.5) and third.context == "before"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"image": "a.jpg"', "line 1"),
        ("[1]", "an object is wanted"),
        ({"image": "a.jpg", "answr": "x"}, "unknown column 'answr'"),
        ({"answer": "x"}, "column 'image' is None"),
        ({"image": "a.jpg", "candidates": 3}, "candidates is 3, must be a list"),
        ({"image": "a.jpg", "start": "soon"}, "could not convert"),
        ({"image": "a.jpg", "answers": '["x"'}, "answers"),
    ],
)
def test_tables_are_strict(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        queries(tmp_path, [row])


def test_two_of_one_id_and_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"two examples of \[query\] have the id '7'"):
        queries(tmp_path, [{"image": "a.jpg", "id": 7}, {"image": "b.jpg", "id": "7"}])
    with pytest.raises(TaskError, match="no example"):
        queries(tmp_path, [])
    with pytest.raises(TaskError, match=r"none\.jsonl is not there"):
        task, root = task_of(tmp_path, TASK.replace("val.jsonl", "none.jsonl"))
        read_split(task, root, "query")


def test_csv(tmp_path: Path) -> None:
    with (tmp_path / "val.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["image", "question", "answers", "start"], ["a.jpg", "What?", json.dumps(["a", "b, c"]), ""]])
    task, root = task_of(tmp_path, TASK.replace("val.jsonl", "val.csv") + 'images = "pictures"\n')
    (example,) = read_split(task, root, "query")[0]
    assert example.answers == ("a", "b, c") and example.visual == Visual(tmp_path / "pictures" / "a.jpg")


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    data = save_picture(tmp_path / "a.png", 1).read_bytes()
    rows = [
        {"image": {"bytes": data, "path": None}, "answers": ["dog"]},
        {"image": {"bytes": None, "path": "a.png"}, "answers": ["cat"]},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "val.parquet")
    task, root = task_of(tmp_path, TASK.replace("val.jsonl", "val.parquet"))
    inside, beside = read_split(task, root, "query")[0]
    assert digest(inside.visual) == digest(beside.visual)
    first, second = read(inside.visual, Frames(1, 1.0)), read(beside.visual, Frames(1, 1.0))
    assert not isinstance(first, Rejected) and not isinstance(second, Rejected)
    assert first[0].tobytes() == second[0].tobytes()


def test_our_shards(tmp_path: Path) -> None:
    write_shard(tmp_path / "shards" / "train-000000.tar", [pair(n, f" A caption {n}. ") for n in range(3)])
    text = TASK.replace('"table"', '"shards"').replace('table = "val.jsonl"', 'shards = "shards"')
    task, root = task_of(tmp_path, text)
    examples, rejected = read_split(task, root, "query")
    assert sorted(example.answers for example in examples) == [(f"A caption {n}.",) for n in range(3)]
    assert not rejected and all(not isinstance(read(e.visual, Frames(1, 1.0)), Rejected) for e in examples)


def test_damaged_members_of_shards_are_counted(tmp_path: Path) -> None:
    picture = save_picture(tmp_path / "a.png", 1).read_bytes()
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, data in (("a.png", picture), ("a.txt", b"a dog"), ("b.png", picture), ("b.json", b"{")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, BytesIO(data))
    text = TASK.replace('"table"', '"shards"').replace('table = "val.jsonl"', 'shards = "s.tar"')
    task, root = task_of(tmp_path, text)
    examples, rejected = read_split(task, root, "query")
    assert len(examples) == 1 and [one.reason for one in rejected] == ["bad_json"]


def test_frames_of_a_video(tmp_path: Path) -> None:
    path = save_video(tmp_path / "v.mp4", 1, seconds=3.0)  # 30 frames, the last at 2.9 s

    def count(start: float, end: float | None, frames: int, fps: float) -> int:
        found = read(Visual(path, start=start, end=end), Frames(frames, fps))
        assert not isinstance(found, Rejected), found
        return len(found)

    assert count(0, None, 30, 3.0) == 9  # at 0, 1/3, ..., 8/3
    assert count(0, None, 4, 3.0) == 4
    assert count(1.0, 2.0, 30, 3.0) == 4
    assert count(2.0, 99.0, 30, 2.0) == 2
    assert count(50.0, 60.0, 30, 2.0) == 1  # beyond the end: the last frame
    whole = read(Visual(path), Frames(30, 10.0))
    half = read(Visual(path, start=1.5), Frames(30, 10.0))
    ends = read(Visual(path), Frames(3, 10.0))  # too long for three at 10 a second: over its whole length
    assert not isinstance(whole, Rejected) and not isinstance(half, Rejected) and not isinstance(ends, Rejected)
    assert [frame.tobytes() for frame in half] == [frame.tobytes() for frame in whole[15:]]
    assert [frame.tobytes() for frame in ends] == [whole[place].tobytes() for place in (0, 14, 29)]


def test_a_folder_of_frames_and_frames_of_a_shard(tmp_path: Path) -> None:
    paths = [save_picture(tmp_path / "v" / f"{n}.jpg", n) for n in range(5)]
    found = read(Visual(tmp_path / "v"), Frames(3, 1.0))
    inside = read(Visual(data=tuple(path.read_bytes() for path in paths)), Frames(3, 1.0))
    assert not isinstance(found, Rejected) and not isinstance(inside, Rejected)
    assert len(found) == 3 and [a.tobytes() for a in found] == [b.tobytes() for b in inside]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    reasons = {}
    for name, data in (("a.jpg", b""), ("b.png", b"\x89PNG\r\n\x1a\nxx"), ("c.mp4", b"no video"), ("d.webm", b"")):
        (tmp_path / name).write_bytes(data)
        found = read(Visual(tmp_path / name), Frames(2, 1.0))
        assert isinstance(found, Rejected) and name in found.detail
        reasons[name] = found.reason
    assert set(reasons.values()) == {"undecodable"}
    for name in ("none.jpg", "none.mp4"):
        for got in (read(Visual(tmp_path / name), Frames(2, 1.0)), digest(Visual(tmp_path / name))):
            assert isinstance(got, Rejected) and got.reason == "missing"
    broken = read(Visual(ROOT / "demo/videos/broken.mp4"), Frames(2, 1.0))
    assert isinstance(broken, Rejected) and broken.reason == "undecodable"
    fine = read(Visual(ROOT / "demo/videos/monitors.webm"), Frames(4, 1.0))
    assert not isinstance(fine, Rejected) and len(fine) == 4


@pytest.mark.parametrize(("length", "count", "places"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (9, 1, [4]), (0, 3, [])])
def test_spread(length: int, count: int, places: list[int]) -> None:
    assert spread(length, count) == places


def test_files_by_name_without_extension(tmp_path: Path) -> None:
    (tmp_path / "a.b.MP4").touch()
    assert find_file(tmp_path, "a.b").name == "a.b.MP4"
    assert find_file(tmp_path, "none").name == "none"


def test_the_documentation_has_every_task_and_number() -> None:
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    for name in shipped_tasks():
        task = load_task(name)[0]
        assert f"| `{name}` |" in text
        for scores in task.paper.values():
            assert " / ".join(f"{score:.1f}" for score in scores) in text, (name, scores)
