"""Inputs to units: names, order, errors; folders of HTML and tables read as records."""

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources.html_folder import address, default_base_url
from pipelines.sources.inputs import InputError, plan_units, read_unit
from pipelines.sources.records import RawMedia, RawPage, SourceRecord, Unreadable
from pipelines.sources.units import Unit
from tests.warc_files import CONFIG, OK, PNG, by_warcio, member, outcome, outcomes, page, record

BASE = "https://site.example/docs/"
SMALL = replace(CONFIG, range_bytes=500)


def plan(*inputs: Path | str, base_url: str = "", config: Any = CONFIG) -> list[Unit]:
    return plan_units([str(path) for path in inputs], base_url, config)


def read_all(units: Sequence[Unit]) -> list[SourceRecord]:
    records: list[SourceRecord] = []
    for unit in units:
        reader = read_unit(unit, CONFIG)
        records += reader
        assert unit.kind == "warc" or reader.span == (unit.start, unit.end)
    return records


def crawl(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(member(record(OK + page(name), url=f"http://example.com/{number}")))
    return folder


def site(folder: Path) -> Path:
    (folder / "img").mkdir(parents=True)
    (folder / "index.html").write_bytes(page("index"))
    (folder / "ä b?.HTM").write_bytes(page("odd name"))
    (folder / "img" / "a.dat").write_bytes(PNG)
    (folder / "img" / "page.xhtml").write_bytes(page("xhtml"))
    (folder / "style.css").write_bytes(b"p { }")
    (folder / "z.svg").write_bytes(b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'></svg>")
    return folder


# Planning


def test_names_and_order_do_not_depend_on_the_order_of_inputs(tmp_path: Path) -> None:
    crawl(tmp_path / "crawl", "b.warc.gz", "sub/a.warc.gz")
    crawl(tmp_path, "z.warc.gz")
    inputs = [tmp_path / "crawl", tmp_path / "z.warc.gz"]
    units = plan(*inputs)
    assert [unit.name for unit in units] == ["crawl/b.warc.gz", "crawl/sub/a.warc.gz", "z.warc.gz"]
    assert plan(*reversed(inputs)) == units
    assert plan(f"{tmp_path}/crawl/", inputs[1]) == units


def test_names_of_relative_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl(tmp_path / "crawl" / "deep", "a.warc.gz")
    monkeypatch.chdir(tmp_path / "crawl")
    assert [unit.name for unit in plan(".")] == ["crawl/deep/a.warc.gz"]
    assert [unit.name for unit in plan("deep/a.warc.gz")] == ["a.warc.gz"]
    monkeypatch.chdir("deep")
    assert [unit.name for unit in plan("..")] == ["crawl/deep/a.warc.gz"]


def test_ranges_of_a_compressed_crawl(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(by_warcio(compressed=True))
    size = (tmp_path / "a.warc.gz").stat().st_size
    units = plan(tmp_path / "a.warc.gz", config=SMALL)
    assert len(units) == -(-size // 500)
    assert [unit.start for unit in units] == [0, *(unit.end for unit in units[:-1])]
    assert units[-1].end == size
    assert len({unit.id for unit in units}) == len(units)
    assert read_all(units) == read_all(plan(tmp_path / "a.warc.gz"))


def test_only_gzip_is_split(tmp_path: Path) -> None:
    for name in ("a.warc", "plain.warc.gz"):
        (tmp_path / name).write_bytes(by_warcio(compressed=False))
        assert len(plan(tmp_path / name, config=SMALL)) == 1
    (tmp_path / "empty.warc.gz").write_bytes(b"")
    assert outcomes(read_all(plan(tmp_path / "empty.warc.gz"))) == ["empty_file"]


def test_folder_kinds(tmp_path: Path) -> None:
    mixed = crawl(site(tmp_path / "mixed"), "a.warc.gz")
    assert {unit.kind for unit in plan(mixed)} == {"warc"}
    assert {unit.kind for unit in plan(site(tmp_path / "site"))} == {"html"}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.jsonl").write_text('{"url": "http://a/", "html": "<p>"}\n')
    assert [unit.name for unit in plan(tmp_path / "tables")] == ["tables/a.jsonl"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: [], "no input given"),
        (lambda folder: [folder / "none.warc.gz"], r"none\.warc\.gz: no such file or folder; check the path"),
        (lambda folder: [folder], "a folder with 0 files and none of a known type; give"),
        (
            lambda folder: [(folder / "a.pdf").write_bytes(b"x") and folder / "a.pdf"],
            r"a\.pdf: unknown type of input; give",
        ),
        (
            lambda folder: [(folder / "a.parquet").write_bytes(b"x") and folder / "a.parquet"],
            "no readable Parquet file",
        ),
        (lambda folder: [*[crawl(folder, "a.warc.gz") / "a.warc.gz"] * 2], "given 2 times; give it once"),
        (
            lambda folder: [crawl(folder / n, "a.warc.gz") / "a.warc.gz" for n in "xy"],
            r"two inputs named a\.warc\.gz: .* rename",
        ),
        (lambda folder: [site(folder / n) for n in "xy"], "2 inputs would have the address https://site.example/docs/"),
    ],
)
def test_input_errors_say_what_to_do(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(*make(tmp_path), base_url=BASE)


# HTML folders


def test_html_folder(tmp_path: Path) -> None:
    folder = site(tmp_path / "site")
    units = plan(folder, base_url=BASE)
    assert [(unit.start, unit.end) for unit in units] == [(0, 3), (3, 6)]
    records = read_all(units)
    assert outcomes(records) == [
        f"image {BASE}img/a.dat",
        f"page {BASE}img/page.xhtml",
        f"page {BASE}index.html",
        f"image {BASE}z.svg",
        f"page {BASE}%C3%A4%20b%3F.HTM",
    ]
    image, _, index, svg, _ = records
    assert isinstance(image, RawMedia)
    assert isinstance(index, RawPage)
    assert isinstance(svg, RawMedia)
    assert (image.content_type, svg.content_type) == ("image/png", "image/svg+xml")
    assert (image.source.file, image.source.offset, image.source.length) == ("site/img/a.dat", 0, len(PNG))
    assert (index.source.file, index.body) == ("site/index.html", page("index"))


def test_single_html_file(tmp_path: Path) -> None:
    site(tmp_path / "site")
    found = read_all(plan(tmp_path / "site" / "index.html"))
    assert outcomes(found) == ["page https://site.invalid/index.html"]
    assert found[0].source.file == "index.html"


def test_html_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name, body in {"empty.html": b" ", "image.html": PNG, "large.html": bytes(CONFIG.max_body_bytes + 1)}.items():
        (tmp_path / "s" / name).write_bytes(body)
    (tmp_path / "s" / "large.png").write_bytes(PNG + bytes(CONFIG.max_body_bytes))
    found = outcomes(read_all(plan(tmp_path / "s")))
    assert found == ["empty_body", "image https://s.invalid/image.html", "too_large", "too_large"]


def test_links(tmp_path: Path) -> None:
    folder = site(tmp_path / "site")
    (tmp_path / "secret.html").write_bytes(page("secret"))
    (tmp_path / "site-2").mkdir()
    (folder / "out.html").symlink_to(tmp_path / "secret.html")
    (folder / "out").symlink_to(tmp_path / "site-2")
    (folder / "gone.html").symlink_to(folder / "nothing.html")
    (folder / "copy.html").symlink_to("index.html")
    (folder / "pictures").symlink_to("img")
    (folder / "img" / "up").symlink_to("..")
    found = read_all(plan(folder))
    base = "https://site.invalid/"
    assert sorted(outcomes(found)) == sorted(
        [
            "outside_folder",
            "outside_folder",
            "unreadable",
            f"image {base}img/a.dat",
            f"image {base}pictures/a.dat",
            f"image {base}z.svg",
            f"page {base}%C3%A4%20b%3F.HTM",
            f"page {base}copy.html",
            f"page {base}img/page.xhtml",
            f"page {base}index.html",
            f"page {base}pictures/page.xhtml",
        ]
    )
    refused = {r.url for r in found if isinstance(r, Unreadable) and r.rejected.reason == "outside_folder"}
    assert refused == {f"{base}out", f"{base}out.html"}


def test_addresses() -> None:
    assert default_base_url("debian-handbook") == "https://debian-handbook.invalid/"
    assert default_base_url("Docs") == "https://docs.invalid/"
    names = ["a b", "a_b", "a.b", "日本", "中国", "x" * 80, "x" * 81, "-"]
    assert len({default_base_url(name) for name in names}) == len(names)
    assert all(default_base_url(name).endswith(".invalid/") and len(default_base_url(name)) < 80 for name in names)
    assert address("http://a/b", "c d/e%#?.html") == "http://a/b/c%20d/e%25%23%3F.html"


def test_file_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "s") + b"/\xe9.html")).write_bytes(page("x"))
    found = read_all(plan(tmp_path / "s"))
    assert outcomes(found) == ["page https://s.invalid/%E9.html"]
    json.dumps(found[0].source.file).encode("ascii")
    assert found[0].source.file == "s/\ufffd.html"


# Tables


def parquet(path: Path, columns: dict[str, Any], rows: int = 2) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def jsonl(path: Path, *lines: str) -> Path:
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_parquet_by_row_groups(tmp_path: Path) -> None:
    when = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    columns = {
        "url": [f"http://a/{n}" for n in range(7)],
        "html": [page(str(n)) for n in range(7)],
        "timestamp": [when] * 7,
        "other": list(range(7)),
    }
    units = plan(parquet(tmp_path / "t.parquet", columns), config=replace(CONFIG, range_bytes=1))
    assert [(unit.start, unit.end) for unit in units] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    records = read_all(units)
    assert outcomes(records) == [f"page http://a/{n}" for n in range(7)]
    assert [record.source.offset for record in records] == list(range(7))
    assert {record.source.date for record in records} == {"2024-01-02T03:04:05Z"}
    assert records[6].source.file == "t.parquet"
    assert read_all(plan(tmp_path / "t.parquet")) == records
    assert len(plan(tmp_path / "t.parquet")) == 1


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_rows_of_jsonl(tmp_path: Path, name: str) -> None:
    path = jsonl(
        tmp_path / name,
        '{"url": "http://a/0", "html": "<p>\\u00e9", "date": "2024-01-02T04:04:05+01:00"}',
        '{"url": null, "html": "<p>"}',
        '{"html": "<p>"}',
        '{"url": "http://a/3"}',
        '{"url": "http://a/4", "html": 5}',
        '{"url": "http://a/5", "html": " "}',
        '{"url": "http://a/6", "html": "{}", "content_type": "application/json"}',
        "[1]",
        '{"url": "http://a/8", "html": "cut',
        "",
        '{"url": " http://a/10 ", "html": "<p>", "content_type": "text/html; charset=latin-1", "date": "yesterday"}',
        '{"url": "http://a/11", "html": "' + "x" * (CONFIG.max_body_bytes + 1) + '"}',
        '{"url": "http://a/12", "html": "' + "x" * (8 * CONFIG.max_body_bytes) + '"}',
        '{"url": "http://a/13", "html": "\\ud800<p>"}',
    )
    records = read_all(plan(path))
    assert [(record.source.offset, outcome(record)) for record in records] == [
        (0, "page http://a/0"),
        (1, "missing_url"),
        (2, "missing_url"),
        (3, "missing_html"),
        (4, "missing_html"),
        (5, "empty_body"),
        (6, "not_html"),
        (7, "bad_json"),
        (8, "bad_json"),
        (10, "page http://a/10"),
        (11, "too_large"),
        (12, "too_large"),
        (13, "page http://a/13"),
    ]
    first, odd = records[0], records[9]
    assert isinstance(first, RawPage)
    assert isinstance(odd, RawPage)
    assert (first.body, first.content_type) == ("<p>é".encode(), "text/html; charset=utf-8")
    assert (first.source.date, odd.source.date) == ("2024-01-02T03:04:05Z", "")
    assert odd.content_type == "text/html; charset=utf-8"


def test_damaged_and_empty_tables(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl.gz", *(f'{{"url": "http://a/{n}", "html": "<p>{n * n}"}}' for n in range(900)))
    path.write_bytes(path.read_bytes()[:-2000])
    found = outcomes(read_all(plan(path)))
    assert found[0] == "page http://a/0"
    assert found.count("corrupt_file") == 1
    assert found[-1] == "corrupt_file"
    assert outcomes(read_all(plan(jsonl(tmp_path / "empty.jsonl")))) == ["empty_file"]
    none = parquet(tmp_path / "empty.parquet", {"url": pa.array([], pa.string()), "html": pa.array([], pa.string())})
    assert outcomes(read_all(plan(none))) == ["empty_file"]


def test_damaged_row_group_costs_itself_only(tmp_path: Path) -> None:
    chance = Random(0)
    noise = [chance.randbytes(3000).hex() for _ in range(6)]
    path = parquet(
        tmp_path / "t.parquet", {"url": [f"http://a/{n}" for n in range(6)], "html": [f"<p>{c}" for c in noise]}
    )
    group = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    start = group.dictionary_page_offset or group.data_page_offset
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    found = [(record.source.offset, outcome(record)) for record in read_all(plan(path))]
    pages = [(number, f"page http://a/{number}") for number in range(6)]
    assert found == [*pages[:2], (2, "corrupt_row_group"), *pages[4:]]


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_columns_are_named_in_the_recipe(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet(path, {"address": ["http://a/"], "html": [b"<p>"]})
    else:
        jsonl(path, '{"address": "http://a/", "html": "<p>"}')
    with pytest.raises(InputError, match=r"no column url; it has address, html\. Name the right ones as url_column"):
        plan(path)
    config = replace(CONFIG, url_column="address")
    assert outcomes(read_unit(plan(path, config=config)[0], config)) == ["page http://a/"]
