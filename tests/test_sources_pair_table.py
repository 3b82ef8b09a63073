"""Tables of image address and text, as the public data sets are: each row is a pair or a counted refusal."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.recipe import load_recipe
from pipelines.sources.config import SourceConfig
from pipelines.sources.delimited import Dialect, read_rows
from pipelines.sources.inputs import InputError, plan_units, read_unit
from pipelines.sources.records import RawPair, SourceRecord
from pipelines.sources.units import Unit
from schemas.rejection import Rejected
from tests.warc_files import CONFIG, OK, member, outcomes, page, record

PAIRS = replace(CONFIG, pairs_of="images", tables="pairs")
SHIPPED = replace(load_recipe("m3w").source, pairs_of="images", tables="pairs")
A, B = "https://a.example/1.jpg", "https://b.example/2.png"


def plan(path: Path, config: SourceConfig = PAIRS) -> list[Unit]:
    return plan_units([str(path)], "", config)


def read(path: Path, config: SourceConfig = PAIRS) -> list[SourceRecord]:
    return [record for unit in plan(path, config) for record in read_unit(unit, config)]


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def parquet(path: Path, columns: dict[str, Any], rows_per_group: int = 2) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def jsonl(path: Path, *rows: object) -> Path:
    return write(path, "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))


# Known data sets

LAION = {"SAMPLE_ID": [1, 2], "URL": [A, B], "TEXT": ["a cat", "a dog"], "HEIGHT": [600, 2], "WIDTH": [800, 1]}
COYO = {
    "id": [1, 2],
    "url": [A, B],
    "text": ["a cat", "a dog"],
    "width": [800, 1],
    "height": [600, 2],
    "nsfw": [0.1, 0],
}
DATACOMP = {
    "uid": ["u", "v"],
    "url": [A, B],
    "text": ["a cat", "a dog"],
    "original_width": [800, 1],
    "original_height": [600, 2],
    "sha256": ["x", "y"],
}
IMG2DATASET = {
    "url": [A, B],
    "caption": ["a cat", "a dog"],
    "key": ["000000000", "000000001"],
    "status": ["success"] * 2,
    "error_message": [None, None],
    "width": [256, 256],
    "height": [192, 192],
    "exif": ["{}", "{}"],
    "original_width": [800, 1],
    "original_height": [600, 2],
    "sha256": ["x", "y"],
}
WEBVID = {"videoid": [1, 2], "contentUrl": [A, B], "duration": ["PT0M2S"] * 2, "name": ["a cat", "a dog"]}


@pytest.mark.parametrize(
    "columns", [LAION, COYO, DATACOMP, IMG2DATASET], ids=["laion", "coyo", "datacomp", "img2dataset"]
)
@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv.gz", "jsonl"])
def test_known_columns(tmp_path: Path, columns: dict[str, list[Any]], ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if ending == "parquet":
        parquet(path, columns)
    elif ending == "jsonl":
        jsonl(path, *rows)
    else:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(columns), delimiter="\t" if "tsv" in ending else ",")
        writer.writeheader()
        writer.writerows(rows)
        write(path, out.getvalue())
    records = read(path, SHIPPED)
    assert outcomes(records) == [f"pair {A} a cat", f"pair {B} a dog"]
    sizes = [(r.declared_width, r.declared_height) for r in records if isinstance(r, RawPair)]
    assert sizes == [(800, 600), (1, 2)]
    assert {r.source.file for r in records} == {path.name}


def test_webvid(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", WEBVID)
    assert outcomes(read(path, replace(SHIPPED, pairs_of="videos"))) == [f"pair {A} a cat", f"pair {B} a dog"]


@pytest.mark.parametrize("name", ["cc3m.tsv", "cc3m.tsv.gz"])
def test_tsv_without_header(tmp_path: Path, name: str) -> None:
    """CC3M has the caption first, CC12M the address; neither knows quotes."""
    cc3m = write(tmp_path / name, f'a very typical "bus" station\t{A}\n"the bus\t{B}\r\n')
    assert outcomes(read(cc3m)) == [f'pair {A} a very typical "bus" station', f'pair {B} "the bus']
    cc12m = write(
        tmp_path / f"12-{name}", f"{A}\tMetal Design Within Reach\n{B}\t<PERSON> was the first US president\n"
    )
    assert outcomes(read(cc12m)) == [
        f"pair {A} Metal Design Within Reach",
        f"pair {B} <PERSON> was the first US president",
    ]


def test_page_address_and_specific_columns_win(tmp_path: Path) -> None:
    row = {
        "url": "https://p.example/page",
        "image_url": A,
        "page_url": "https://p.example/page",
        "alt": "x",
        "title": "y",
    }
    found = read(jsonl(tmp_path / "t.jsonl", row))[0]
    assert isinstance(found, RawPair)
    assert (found.url, found.text, found.page_url) == (A, "x", "https://p.example/page")


def test_the_recipe_names_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"Link,Words\n{A},a cat\n")
    with pytest.raises(InputError) as told:
        plan(path)
    assert str(told.value) == (
        f"{path}: no column of addresses (image_url, video_url, url) and no column of texts (caption, text, alt, title)"
        "; it has link, words. Name the right ones as url_columns and text_columns in the recipe's [source]"
    )
    own = replace(PAIRS, url_columns=("link",), text_columns=("words",))
    assert outcomes(read(path, own)) == [f"pair {A} a cat"]


# Refusals

BAD_ROWS = [
    ({"url": A, "text": "a cat"}, f"pair {A} a cat"),
    ({"url": None, "text": "x"}, "missing_url"),
    ({"url": "  ", "text": "x"}, "missing_url"),
    ({"text": "x"}, "missing_url"),
    ({"url": ["a"], "text": "x"}, "missing_url"),
    ({"url": A}, "missing_text"),
    ({"url": A, "text": None}, "missing_text"),
    ({"url": A, "text": " \t"}, "missing_text"),
    ({"url": A, "text": ["a"]}, "missing_text"),
    ({"url": "/1.jpg", "text": "x"}, "bad_url"),
    ({"url": "ftp://a.example/1.jpg", "text": "x"}, "bad_url"),
    ({"url": "http://", "text": "x"}, "bad_url"),
    ({"url": "data:image/png;base64,AAAA", "text": "x"}, "bad_url"),
    ('{"url": "https://a.example/\\ud800", "text": "x"}', "bad_encoding"),
    ('{"url": "https://a.example/", "text": "\\ud800"}', "bad_encoding"),
    ({"url": A, "text": "y" * PAIRS.max_row_bytes}, "too_large"),
    ("[1]", "bad_json"),
    ('{"url": "cut', "bad_json"),
    ({"url": f" {A} ", "text": " b "}, f"pair {A}  b "),
]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_each_row_of_jsonl_gives_one_record(tmp_path: Path, ending: str) -> None:
    path = jsonl(tmp_path / f"t.{ending}", *(row for row, _ in BAD_ROWS))
    records = read(path)
    assert outcomes(records) == [outcome for _, outcome in BAD_ROWS]
    text = gzip.decompress(path.read_bytes()) if ending.endswith("gz") else path.read_bytes()
    for found, (row, _) in zip(records, BAD_ROWS, strict=True):
        line = text[found.source.offset :].split(b"\n")[0].decode()
        assert line == (row if isinstance(row, str) else json.dumps(row))


def test_each_row_of_parquet_gives_one_record(tmp_path: Path) -> None:
    bad = pa.array([A.encode(), b"https://a.example/\xff", A.encode(), None], pa.binary()).cast(pa.string(), safe=False)
    texts = pa.array(["x", "x", "", "x"])
    path = parquet(tmp_path / "t.parquet", {"URL": bad, "TEXT": texts, "WIDTH": [10.0, float("nan"), -3.0, 1e300]})
    units = plan(path, replace(PAIRS, range_bytes=1))
    assert [(unit.start, unit.end) for unit in units] == [(0, 1), (1, 2)]
    records = [found for unit in units for found in read_unit(unit, PAIRS)]
    assert outcomes(records) == [f"pair {A} x", "bad_encoding", "missing_text", "missing_url"]
    assert [found.source.offset for found in records] == [0, 1, 2, 3]
    raw = pa.array([A.encode(), A.encode()], pa.binary())
    of_bytes = read(
        parquet(tmp_path / "b.parquet", {"url": raw, "text": pa.array([b"caf\xc3\xa9", None], pa.binary())})
    )
    assert [(outcomes([found])[0], found.url) for found in of_bytes] == [
        (f"pair {A} caf\u00e9", A),
        ("missing_text", A),
    ]
    long = parquet(tmp_path / "l.parquet", {"url": [A], "text": ["x" * PAIRS.max_row_bytes]})
    assert outcomes(read(long)) == ["too_large"]


def test_each_line_of_tsv_gives_one_record(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbfurl\ttext\twidth",
        b"https://a.example/1.jpg\tcaf\xc3\xa9\t12",
        b"https://a.example/2.jpg\tcaf\xe9\t12",
        b"",
        b"https://a.example/3.jpg\tonly two",
        b"https://a.example/4.jpg\tx\t1\t2",
        b'https://a.example/5.jpg\t"he said ""no"""\twide',
        b'https://a.example/6.jpg\t"cut here\t-1',
        b"\thas no address\t1",
        b"https://a.example/7.jpg\t" + b"x" * PAIRS.max_row_bytes + b"\t1",
        b"https://a.example/8.jpg\tlast\t1",
    ]
    assert outcomes(read(write(tmp_path / "t.tsv", b"\n".join(lines)))) == [
        "pair https://a.example/1.jpg caf\u00e9",
        "bad_encoding",
        "bad_row",
        "bad_row",
        'pair https://a.example/5.jpg he said "no"',
        'pair https://a.example/6.jpg "cut here',
        "missing_url",
        "too_large",
        "pair https://a.example/8.jpg last",
    ]


def test_a_stray_quote_costs_its_own_row(tmp_path: Path) -> None:
    rows = [
        "url,text",
        'https://a.example/1.jpg,"two\nlines, and ""quotes"""',
        'https://a.example/2.jpg,"never closed',
        "https://a.example/3.jpg,plain",
        'https://a.example/4.jpg,a 12" ruler',
        'https://a.example/5.jpg,"so" it says',
        'https://a.example/6.jpg,"fine, too"',
        'https://a.example/7.jpg,"closed, with, too many\nfields",here',
        'https://a.example/8.jpg,"open at the end',
    ]
    found = read(write(tmp_path / "t.csv", "\r\n".join(rows)))
    assert outcomes(found) == [
        'pair https://a.example/1.jpg two\nlines, and "quotes"',
        "bad_row",
        "pair https://a.example/3.jpg plain",
        'pair https://a.example/4.jpg a 12" ruler',
        "pair https://a.example/5.jpg so it says",
        "pair https://a.example/6.jpg fine, too",
        "bad_row",
        "bad_url",
        "bad_row",
    ]


def test_a_stray_quote_does_not_reach_beyond_the_limit_of_a_row(tmp_path: Path) -> None:
    many = [f"https://a.example/{n}.jpg,{'x' * 100}" for n in range(2000)]
    path = write(tmp_path / "t.csv", "\n".join(["url,text", f'{A},"open', *many, f'{A},closing"', f"{B},x"]))
    assert path.stat().st_size > 2 * PAIRS.max_row_bytes
    found = outcomes(read(path))
    assert found[0] == "bad_row"
    assert len(found) == 2003
    assert found.count("bad_row") == 1


def test_quoted_tsv_where_the_recipe_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "wit.tsv", f'image_url\tcaption\n{A}\t"two\nlines\tand a tab"\n{B}\tx\n')
    assert outcomes(read(path)) == ['pair https://a.example/1.jpg "two', "bad_url", f"pair {B} x"]
    assert outcomes(read(path, replace(PAIRS, tsv_quotes=True))) == [f"pair {A} two\nlines\tand a tab", f"pair {B} x"]


def test_tables_without_rows(tmp_path: Path) -> None:
    for name, text in (("a.csv", ""), ("b.csv", "url,text\n"), ("c.tsv.gz", ""), ("d.jsonl", "\n"), ("e.tsv", "\n")):
        assert outcomes(read(write(tmp_path / name, text))) == ["empty_file"], name
    empty = parquet(tmp_path / "f.parquet", {"url": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    assert outcomes(read(empty)) == ["empty_file"]


def test_damage_is_counted(tmp_path: Path) -> None:
    rows = "".join(f"{A}?{Random(n).random()}\tx{n}\n" for n in range(5000))
    path = write(tmp_path / "t.tsv.gz", rows)
    path.write_bytes(path.read_bytes()[:-1000])
    found = outcomes(read(path))
    assert found[-1] == "corrupt_file"
    assert found.count("corrupt_file") == 1
    assert all(outcome.startswith("pair") for outcome in found[:-1])
    assert len(found) > 1000


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", "url;text\nhttps://a.example/;x\n", "it has url;text"),
        ("t.tsv", f"{A}\tx\t{B}\n", "no column of addresses"),
        ("t.tsv", f"{A}\tx\t0.5\n", r"3 columns and no header: which of them is the text\? Put a line"),
        ("t.csv", "url,text\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        ("t.csv", "x" * (1 << 17), r"its first line: too_large, a line above 65536 bytes"),
        ("t.jsonl", "no\nno\n", "none of the first 2 lines is a JSON object"),
        ("t.parquet", "PAR1", "no readable Parquet file"),
        ("t.tsv.gz", b"", ""),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, name: str, data: str | bytes, message: str) -> None:
    path = write(tmp_path / name, data)
    if name.endswith("gz"):
        path.write_bytes(b"no gzip")
        message = "corrupt_file"
    with pytest.raises(InputError, match=message) as told:
        plan(path)
    assert str(told.value).count(name) == 1


# Ranges

LINES = st.lists(
    st.sampled_from(["https://a.example/1.jpg\tx", "https://b.example/\u00e9\ty z", "", "no", "\t", "x" * 40]),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.integers(1, 400), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from(["t.tsv", "t.csv"]))
def test_each_line_belongs_to_one_range(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], range_bytes: int, end: str, headed: bool, name: str
) -> None:
    head = ["url\ttext"] if headed else [f"{A}\tfirst"]
    text = end.join([*head, *lines])
    path = write(tmp_path_factory.mktemp("r") / name, text.replace("\t", ",") if name.endswith("csv") else text)
    whole = read(path)
    config = replace(PAIRS, range_bytes=range_bytes)
    units = plan(path, config)
    assert len(units) == -(-path.stat().st_size // range_bytes)
    readers = [read_unit(unit, config) for unit in units]
    assert [found for reader in readers for found in reader] == whole
    assert [reader.span for reader in readers] == [(unit.start, unit.end) for unit in units]
    assert len({unit.id for unit in units}) == len(units)
    if not headed:
        assert len(whole) == 1 + sum(line != "" for line in lines)


def test_jsonl_in_ranges(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl", *({"url": f"{A}?{n}", "text": "\u00e9" * n + "\n"} for n in range(1, 60)))
    whole = read(path)
    assert len(whole) == 59
    for range_bytes in (1, 7, 100, 1000):
        assert read(path, replace(PAIRS, range_bytes=range_bytes)) == whole


@pytest.mark.parametrize(("name", "text", "parts"), [
    ("t.csv", f"url,text\n{A},x\n{B},y\n", 5),
    ("t.csv", f'url,text\n{A},"x"\n{B},y\n', 1),
    ("t.tsv", f'url\ttext\n{A}\t"x"\n{B}\ty\n', 5),
    ("t.tsv.gz", f"url\ttext\n{A}\tx\n{B}\ty\n", 1),
])  # fmt: skip
def test_what_is_cut(tmp_path: Path, name: str, text: str, parts: int) -> None:
    path = write(tmp_path / name, text)
    config = replace(PAIRS, range_bytes=max(1, -(-path.stat().st_size // 5)))
    assert len(plan(path, config)) == parts
    assert outcomes(read(path, config)) == [f"pair {A} x", f"pair {B} y"]


# CSV against its own inverse

FIELD = st.text(st.sampled_from('a\u00e9,"\n\r \t'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=6))
def test_rows_that_python_writes_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[str, str]]
) -> None:
    rows = [row for row in rows if "".join(row).strip()]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    path = write(tmp_path_factory.mktemp("c") / "t.csv", out.getvalue())
    found = [row for _, row in read_rows(str(path), 0, None, Dialect(",", quotes=True), 1 << 16, 2)]
    assert found == [list(row) for row in rows]
    assert not any(isinstance(row, Rejected) for row in found)


# What a recipe of pages says to them


def test_a_recipe_of_pages_tells_who_reads_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", f"{A}\tx\n")
    with pytest.raises(InputError, match=r"t\.tsv: unknown type of input; give .*\. t\.tsv is for a recipe of pairs"):
        plan(path, CONFIG)
    with pytest.raises(InputError, match=r"none of a known type; give .*\. t\.tsv is for a recipe of pairs or clips"):
        plan(tmp_path, CONFIG)


def test_a_recipe_of_pairs_reads_pages_too(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(member(record(OK + page("x"), url="http://example.com/")))
    assert outcomes(read(tmp_path / "a.warc.gz")) == ["page http://example.com/"]
    write(tmp_path / "t.txt", "x")
    with pytest.raises(
        InputError, match=r"\*\.csv, \*\.csv\.gz, \*\.tsv, \*\.tsv\.gz, \*\.wat, \*\.wat\.gz, \*\.tar, or a"
    ):
        plan(tmp_path / "t.txt")
    write(tmp_path / "t.tsv", f"{A}\tx\n")
    with pytest.raises(InputError, match="1 of kind WARC and 1 of kind table; put each kind in a folder of its own"):
        plan(tmp_path)


@pytest.mark.parametrize(("change", "message"), [
    ({"tables": "rows"}, "tables: one of 'pages', 'pairs', not 'rows'"),
    ({"pairs_of": "sounds"}, "pairs_of: one of '', 'images', 'videos', not 'sounds'"),
    ({"pairs_of": ""}, 'tables: "pairs" needs pairs_of'),
    ({"url_columns": ()}, "url_columns: the name of a column"),
    ({"text_columns": ("TEXT",)}, "text_columns: 'TEXT' is not a name in lower case"),
    ({"max_row_bytes": 0}, "max_row_bytes: at least 1"),
])  # fmt: skip
def test_settings_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PAIRS, **change)
