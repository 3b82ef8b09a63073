"""Inputs to units: names, order, errors; folders of HTML and tables read as records."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.plan import describe_input
from pipelines.sources.html_folder import address, default_base_url
from pipelines.sources.inputs import InputError, plan_units, read_unit
from pipelines.sources.records import RawMedia, RawPage, SourceRecord, Unreadable
from pipelines.sources.units import Unit
from schemas.strict import to_plain
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
    assert {unit.kind for unit in plan(crawl(tmp_path / "crawl", "a.warc.gz"))} == {"warc"}
    assert {unit.kind for unit in plan(site(tmp_path / "site"))} == {"html"}
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.jsonl").write_text('{"url": "http://a/", "html": "<p>"}\n')
    assert [unit.name for unit in plan(tmp_path / "tables")] == ["tables/a.jsonl"]


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, tables="pairs", pairs_of="images")])
def test_a_data_set_is_no_input(config: Any, tmp_path: Path) -> None:
    for name in ("_SUCCESS", "manifest.json", "plan.json", "shards/train-00000.tar", "dead_letters/read.jsonl"):
        path = tmp_path / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(InputError, match=r"pages: a data set that m3w build made, and no input; give what it was"):
        plan_units([str(tmp_path / "pages")], "", config)


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    mixed = crawl(site(tmp_path / "mixed"), "a.warc.gz", "sub/b.warc.gz")
    (mixed / "a.jsonl").touch()
    with pytest.raises(InputError, match=r"2 of kind WARC and 3 of kind HTML and 1 of kind table; put each kind"):
        plan(mixed)


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    crawl(tmp_path / "crawl", "a.warc.gz")
    assert plan("~/crawl") == plan(tmp_path / "crawl")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "an empty path"),
        ("https://example.org/x.warc.gz", r"https://example\.org/x\.warc\.gz: a web address; download it first"),
        ("ftp://example.org/x.warc.gz", r"give a local path, or one of gs://\.\.\., s3://\.\.\., hdfs://\.\.\."),
        ("gs://", "no address that can be used"),
    ],
)
def test_addresses_that_cannot_be_read(given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(given)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    crawl(odd, "a.warc.gz")
    crawl(tmp_path / "crawl", "a.warc.gz")
    (tmp_path / "crawl" / "a.warc.gz").rename(tmp_path / "crawl" / os.fsdecode(b"\xe9.warc.gz"))
    (tmp_path / "tables").mkdir()
    jsonl(tmp_path / "tables" / os.fsdecode(b"\xe9.jsonl"), '{"url": "http://a/", "html": "<p>"}')
    site(odd / "site")
    for given in (
        odd / "a.warc.gz",
        tmp_path / "crawl",
        tmp_path / "tables",
        odd / "site",
        odd / "site" / "index.html",
    ):
        with pytest.raises(InputError, match=r"\\xe9.*: a name that is not UTF-8; rename it"):
            plan(given)


def test_pipes_are_refused(tmp_path: Path) -> None:
    crawl(tmp_path, "a.warc.gz")
    for name in ("pipe.warc.gz", "pipe.html", "pipe.jsonl"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="not a regular file"):
            plan(tmp_path / name)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a.warc.gz").symlink_to(tmp_path / "pipe.warc.gz")
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "b.warc.gz").symlink_to(tmp_path / "a.warc.gz")
    assert len(plan(tmp_path / "held")) == 1
    os.mkfifo(tmp_path / "held" / "c.warc.gz")
    for folder in ("linked", "held"):
        with pytest.raises(InputError, match=r"warc\.gz: not a regular file"):
            plan(tmp_path / folder)


@contextmanager
def as_nobody(folder: Path, *shut: str) -> Iterator[Path]:
    """A copy of the folder in which some names cannot be read, also if the tests are run by root."""
    with TemporaryDirectory() as public:
        Path(public).chmod(0o755)
        copy = Path(public) / folder.name
        subprocess.run(["cp", "-a", folder, copy], check=True)
        for name in shut:
            (copy / name).chmod(0)
        if os.getuid() == 0:
            os.seteuid(65534)
        try:
            yield copy
        finally:
            os.seteuid(os.getuid())
            for name in shut:
                (copy / name).chmod(0o755)


def test_what_cannot_be_read_in_a_folder_of_html_is_counted(tmp_path: Path) -> None:
    folder = site(tmp_path / "site")
    (folder / "shut").mkdir()
    (folder / "shut" / "page.html").write_bytes(page("x"))
    (folder / "shut.html").write_bytes(page("x"))
    (folder / "loopd").mkdir()
    (folder / "loopd" / "loop").symlink_to("loop")
    (folder / "gone.png").symlink_to("nothing.png")
    os.mkfifo(folder / "pipe.html")
    (folder / "piped.html").symlink_to("pipe.html")
    with as_nobody(folder, "shut", "shut.html") as copy:
        units = plan(copy)
        described = describe_input(units[0])
        found = read_all(units)
        assert describe_input(units[0]) == described
    lost = {r.url.partition(".invalid/")[2]: r.rejected for r in found if isinstance(r, Unreadable)}
    assert {name: rejected.detail for name, rejected in lost.items()} == {
        "gone.png": "No such file or directory",
        "loopd/loop": "Too many levels of symbolic links",
        "pipe.html": "not a regular file",
        "piped.html": "not a regular file",
        "shut": "Permission denied",
        "shut.html": "Permission denied",
    }
    assert {rejected.reason for rejected in lost.values()} == {"unreadable"}
    assert len(found) - len(lost) == len(read_all(plan(site(tmp_path / "good"))))


def test_what_cannot_be_read_in_a_folder_of_crawls_is_refused(tmp_path: Path) -> None:
    folder = crawl(tmp_path / "crawl", "a.warc.gz", "shut/b.warc.gz")
    with as_nobody(folder, "shut") as copy, pytest.raises(InputError, match="crawl/shut: Permission denied; make it"):
        plan(copy)
    with as_nobody(folder, "a.warc.gz") as copy, pytest.raises(InputError, match=r"gz: Permission denied; check"):
        plan(copy)
    (tmp_path / "elsewhere").mkdir()
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="crawl/out: it leads out of the folder"):
        plan(folder)


@pytest.mark.parametrize("name", ["img/new.png", "a.html", "zz.css"])
def test_a_folder_that_changed_since_it_was_planned_is_not_read(tmp_path: Path, name: str) -> None:
    """Parts are counted in the list of its files: one more or less would shift all that stand after it."""
    folder = site(tmp_path / "site")
    units = plan(folder)
    (folder / name).write_bytes(page("new"))
    for unit in units:
        with pytest.raises(RuntimeError, match=r"site: files came or went since the build was planned; put back"):
            list(read_unit(unit, CONFIG))
    (folder / name).unlink()
    assert len(read_all(units)) == 5


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
            r"a\.parquet: no readable Parquet file",
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
    assert describe_input(plan(tmp_path / "s")[0]).bytes == len(page("x"))
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
    (tmp_path / "zero.parquet").touch()
    assert outcomes(read_all(plan(tmp_path / "zero.parquet"))) == ["empty_file"]
    (tmp_path / "random.jsonl").write_bytes(Random(0).randbytes(5000))
    with pytest.raises(InputError, match=r"random\.jsonl: none of the first \d+ lines is a JSON object: "):
        plan(tmp_path / "random.jsonl")


def test_a_path_stands_once_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1junk")
    with pytest.raises(InputError) as told:
        plan(tmp_path / "a.parquet")
    assert str(told.value).count("a.parquet") == 1


def test_values_that_are_no_text_or_no_time(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "t.jsonl",
        '{"url": "http://a/\\ud800x", "html": "<p>", "date": "\\ud800"}',
        '{"url": "http://a/\\ud800x", "html": 5}',
        '{"url": "http://a/2", "html": "<p>", "date": "0001-01-01T00:00:00+05:00", "content_type": "text/\\ud800"}',
        '{"url": "http://a/\\ud83d\\ude00", "html": "<p>", "date": "2024-01-02\\ud80003:04:05"}',
    )
    records = read_all(plan(path))
    assert outcomes(records) == ["bad_url", "bad_url", "page http://a/2", "page http://a/\U0001f600"]
    assert [r.url for r in records if isinstance(r, Unreadable)] == [r"http://a/\ud800x"] * 2
    json.dumps([to_plain(record.source) for record in records], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "times",
    [
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([1, 0], pa.timestamp("ns")),
        pa.array([1, 0], pa.timestamp("us", "Nowhere/Land")),
    ],
    ids=["far", "fine", "zone"],
)
def test_a_time_that_python_cannot_hold_costs_no_page(tmp_path: Path, times: Any) -> None:
    path = parquet(tmp_path / "t.parquet", {"url": ["http://a/0", "http://a/1"], "html": ["<p>"] * 2, "date": times})
    records = read_all(plan(path))
    assert outcomes(records) == ["page http://a/0", "page http://a/1"]
    assert records[0].source.date in ("", "1970-01-01T00:00:00Z")


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
