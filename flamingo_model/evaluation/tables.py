"""Examples from a table of one's own (JSON lines, CSV, Parquet), and from shards of pairs or clips.

Columns of a table; only the first is needed besides those that the prompt and metric use:

| column | meaning |
| --- | --- |
| image | path below `images`; in Parquet also the bytes, or {"bytes": ..., "path": ...} as in Hugging Face data sets |
| id | text or number; without one, the number of the row, from 0 |
| question, context, label | texts |
| answers | list of texts; or `answer`, one text |
| candidates | list of texts, `relevance`: list of numbers, one for each |
| start, end | of a video, seconds |

In CSV a list is written as JSON: ["a cat", "a tabby"].
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flamingo_model.evaluation.examples import Example, TaskError, Visual
from flamingo_model.formats import read_sample
from flamingo_model.shards import find_shards, read_shard
from schemas.document import Video
from schemas.rejection import Rejected

COLUMNS = (
    "image",
    "id",
    "question",
    "context",
    "label",
    "answers",
    "answer",
    "candidates",
    "relevance",
    "start",
    "end",
)


def read_table(root: Path, split: Mapping[str, str]) -> Iterator[Example]:
    """The rows of `table`; pictures are below `images` (default: beside the table)."""
    path = root / split["table"]
    images = root / split.get("images", str(Path(split["table"]).parent))
    for number, row in enumerate(rows(path)):
        where = f"{path}, row {number}"
        if unknown := sorted(row.keys() - set(COLUMNS)):
            raise TaskError(f"{where}: unknown column {unknown[0]!r}; known: {', '.join(COLUMNS)}")
        yield _example(row, number, images, where)


def rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a .jsonl, .csv, .tsv or .parquet file.

    Raises:
        TaskError: another kind of file, or a line that cannot be read.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise TaskError(f"{path}, line {number}: {error}") from error
                if not isinstance(row, dict):
                    raise TaskError(f"{path}, line {number}: an object is wanted, not {line.strip()[:40]}")
                yield row
    elif kind in (".csv", ".tsv"):
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines, delimiter="\t" if kind == ".tsv" else ",")
    elif kind == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                yield from batch.to_pylist()
    else:
        raise TaskError(f"{path}: a table is a .jsonl, .csv, .tsv or .parquet file")


def read_shards(root: Path, split: Mapping[str, str]) -> Iterator[Example | Rejected]:
    """Pairs and clips of shards: ours, or img2dataset's. The caption is the answer."""
    names = split["shards"]
    places = find_shards(names if ":" in names else str(root / names), split.get("split", "train"))
    for place in places:
        for raw in read_shard(place):
            read = raw if isinstance(raw, Rejected) else read_sample(raw.key, raw.files)
            if isinstance(read, Rejected):
                yield read
                continue
            document = read.sample.document
            if len(document.media) != 1 or document.kind == "page":
                yield Rejected("not_one_picture", f"{document.kind} {document.key} has {len(document.media)}")
                continue
            media = document.media[0]
            members = media.members if isinstance(media, Video) else (media.member,)
            missing = [name for name in members if name not in read.sample.members]
            if missing or not members:
                yield Rejected("missing", f"{document.key}: no member {(missing or ['of a frame'])[0]!r}")
                continue
            data = tuple(read.sample.members[name] for name in members)
            yield Example(id=document.key, visual=Visual(data=data), answers=(document.text.strip(),))


def _example(row: Mapping[str, Any], number: int, images: Path, where: str) -> Example:
    def text(name: str) -> str:
        value = row.get(name)
        return "" if value is None else str(value)

    def texts(name: str) -> tuple[str, ...]:
        value = row.get(name)
        if isinstance(value, str) and value.startswith("["):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise TaskError(f"{where}: {name}: {error}") from error
        if value in (None, ""):
            return ()
        if not isinstance(value, list):
            raise TaskError(f"{where}: {name} is {value!r}, must be a list")
        return tuple(map(str, value))

    answers = texts("answers") + ((text("answer"),) if text("answer") else ())
    try:
        numbers = [float(row[name]) if row.get(name) not in (None, "") else None for name in ("start", "end")]
        relevance = tuple(map(float, texts("relevance")))
    except ValueError as error:
        raise TaskError(f"{where}: {error}") from error
    return Example(
        id=text("id") or str(number),
        visual=_visual(row.get("image"), images, where, numbers[0] or 0.0, numbers[1]),
        answers=answers,
        question=text("question"),
        context=text("context"),
        candidates=texts("candidates"),
        relevance=relevance,
        label=text("label"),
    )


def _visual(value: Any, images: Path, where: str, start: float, end: float | None) -> Visual:
    if isinstance(value, dict):  # as Hugging Face data sets store a picture
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return Visual(data=(value,))
    if not isinstance(value, str) or not value:
        raise TaskError(f"{where}: column 'image' is {value!r}, must be a path")
    return Visual(images / value, start=start, end=end)
