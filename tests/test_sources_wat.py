"""WAT files as Common Crawl writes them: pairs of each page, and every other record counted."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources.config import SourceConfig
from pipelines.sources.inputs import plan_units, read_unit
from pipelines.sources.records import RawPair, SourceRecord, Unreadable
from pipelines.sources.units import Unit
from pipelines.sources.warc import misplaced
from tests.warc_files import CONFIG, member, outcomes, page, record, response

IMAGES = replace(CONFIG, pairs_of="images", tables="pairs")
VIDEOS = replace(IMAGES, pairs_of="videos")
PAGE = "https://shop.example/a/index.html"
Link = dict[str, str]


def image(url: str, alt: str | None = None, **more: str) -> Link:
    return {"path": "IMG@/src", "url": url, **({} if alt is None else {"alt": alt}), **more}


LINKS: list[Link] = [
    {"path": "A@/href", "url": "/", "text": "Home"},
    image("cat.jpg", "A grey cat", title="Cat"),
    image("//cdn.example/dog.jpg?w=1&h=2", " Two  dogs\nin the snow "),
    image("/none.jpg"),
    image("/empty.jpg", "  "),
    image("data:image/gif;base64,R0lGODlh", "a data address"),
    image("cat.jpg#again", "A grey cat"),
    image("cat.jpg", "Another text"),
    {"path": "IMG@/longdesc", "url": "/long.html"},
    {"path": "STYLE/#text", "href": "/bg.png"},
    image("https://b\u00fccher.example/\u00fc b.jpg", "caf\u00e9"),
]
PAIRS = [
    "pair https://shop.example/a/cat.jpg A grey cat",
    "pair https://cdn.example/dog.jpg?w=1&h=2 Two  dogs\nin the snow",
    "pair https://shop.example/a/cat.jpg Another text",
    "pair https://xn--bcher-kva.example/%C3%BC%20b.jpg caf\u00e9",
]


def note(
    links: Sequence[Link] | None = LINKS,
    *,
    url: str = PAGE,
    kind: str = "response",
    status: str = "200",
    headers: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a WAT says of a record of the crawl."""
    html: dict[str, Any] = {
        "Head": {"Title": "Animals", "Metas": [{"name": "viewport", "content": "x"}], **(head or {})}
    }
    if links is not None:
        html["Links"] = list(links)
    answer = {
        "Response-Message": {"Status": status, "Version": "HTTP/1.1", "Reason": "OK"},
        "Headers": {
            "Content-Type": "text/html; charset=UTF-8",
            "X-Crawler-Content-Encoding": "gzip",
            **(headers or {}),
        },
        "Headers-Length": "300",
        "Entity-Length": "1000",
        "Entity-Digest": "sha1:ZA4S2ROKJQBBZUB7HNCIF4B343CJJLNW",
        "Entity-Trailing-Slop-Length": "0",
        "HTML-Metadata": html,
    }
    payload: dict[str, Any] = {"Actual-Content-Type": f"application/http; msgtype={kind}", "Block-Digest": "sha1:X"}
    if kind == "response":
        payload["HTTP-Response-Metadata"] = answer
    elif kind == "request":
        payload["HTTP-Request-Metadata"] = {"Headers": {"Host": "shop.example"}, "Entity-Length": "0"}
    else:
        payload["WARC-Metadata-Metadata"] = {"Metadata-Records": [{"Name": "fetchTimeMs", "Value": "12"}]}
    return {
        "Container": {
            "Filename": "CC-MAIN-20240518014212-20240518044212-00000.warc.gz",
            "Compressed": True,
            "Offset": "465",
            "Gzip-Metadata": {"Inflated-Length": "900", "Footer-Length": "8", "Deflate-Length": "500"},
        },
        "Envelope": {
            "Format": "WARC",
            "WARC-Header-Length": "600",
            "WARC-Header-Metadata": {
                "WARC-Type": kind,
                "WARC-Date": "2024-05-18T01:58:10Z",
                "WARC-Target-URI": url,
                "WARC-Record-ID": "<urn:uuid:0>",
                "Content-Length": "1300",
            },
            "Payload-Metadata": payload,
        },
    }


def noted(told: object, kind: str = "metadata", url: str = PAGE) -> bytes:
    return record(json.dumps(told).encode(), url, kind, "application/json")


def crawl(*pages: dict[str, Any]) -> list[bytes]:
    """The records of a WAT: one for each record of the crawl, of which each page has three."""
    records = [record(b"Software-Info: ia-web-commons", "CC-MAIN.warc.wat.gz", "warcinfo", "application/warc-fields")]
    for told in pages:
        records += [noted(note(kind="request")), noted(told), noted(note(kind="metadata"))]
    return records


def write(path: Path, records: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(member(data) if path.suffix == ".gz" else data for data in records))
    return path


def read(path: Path, config: SourceConfig = IMAGES) -> list[SourceRecord]:
    return [found for unit in plan_units([str(path)], "", config) for found in read_unit(unit, config)]


def told(tmp_path: Path, *pages: dict[str, Any], config: SourceConfig = IMAGES) -> list[SourceRecord]:
    return read(write(tmp_path / "a.warc.wat.gz", [noted(one) for one in pages]), config)


@pytest.mark.parametrize("name", ["CC-MAIN.warc.wat.gz", "a.wat.gz", "a.warc.wat", "a.wat"])
def test_pairs_of_a_page(tmp_path: Path, name: str) -> None:
    records = read(write(tmp_path / name, crawl(note())))
    assert outcomes(records) == ["warcinfo", "request", *PAIRS, "metadata"]
    pairs = [found for found in records if isinstance(found, RawPair)]
    assert {found.page_url for found in pairs} == {PAGE}
    assert {(found.source.file, found.source.date) for found in pairs} == {(name, "2024-05-18T01:58:10Z")}
    assert len({found.source.offset for found in pairs}) == 1
    assert (pairs[0].declared_width, pairs[0].declared_height) == (0, 0)


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("", "https://shop.example/a/cat.jpg"),
        ("/b/", "https://shop.example/b/cat.jpg"),
        ("../c/d", "https://shop.example/c/cat.jpg"),
        ("http://other.example/x/y.html", "http://other.example/x/cat.jpg"),
        ("//other.example", "https://other.example/cat.jpg"),
        ("javascript:void(0)", "https://shop.example/a/cat.jpg"),
    ],
)
def test_base(tmp_path: Path, base: str, address: str) -> None:
    found = told(tmp_path, note([image("cat.jpg", "A cat")], head={"Base": base}))
    assert outcomes(found) == [f"pair {address} A cat"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"links": [image("/x.jpg"), LINKS[0]]}, "no_pairs", "2 links, no images with a text"),
    ({"links": []}, "no_pairs", "0 links, no images with a text"),
    ({"links": None}, "no_pairs", "0 links, no images with a text"),
    ({"status": "404"}, "http_error_status", "404"),
    ({"status": "301"}, "http_error_status", "301"),
    ({"url": "dns:shop.example"}, "missing_url", "no http or https address of the page"),
    ({"kind": "revisit"}, "revisit", ""),
    ({"kind": "continuation"}, "other_record_type", "continuation"),
    ({"head": {"Metas": [{"name": "robots", "content": "index, NoAI"}]}}, "opted_out", "noai"),
    ({"head": {"Metas": [{"name": "ROBOTS", "content": "follow noimageai"}]}}, "opted_out", "noimageai"),
    ({"head": {"Metas": [{"name": "tdm-reservation", "content": "1"}]}}, "opted_out", "tdm-reservation"),
    ({"head": {"Metas": {"http-equiv": "X-Robots-Tag", "content": "noml"}}}, "opted_out", "noml"),
    ({"headers": {"X-Robots-Tag": "noai"}}, "opted_out", "noai"),
    ({"headers": {"x-robots-tag": ["index", "noimageai"]}}, "opted_out", "noimageai"),
    ({"headers": {"TDM-Reservation": "1"}}, "opted_out", "tdm-reservation"),
]


@pytest.mark.parametrize(("change", "reason", "detail"), REFUSED)
def test_what_gives_no_pair(tmp_path: Path, change: dict[str, Any], reason: str, detail: str) -> None:
    found = told(tmp_path, note(**change))
    assert outcomes(found) == [reason]
    assert isinstance(found[0], Unreadable)
    assert (found[0].rejected.detail, found[0].url) == (detail, change.get("url", PAGE))


@pytest.mark.parametrize(
    "change",
    [
        {"head": {"Metas": [{"name": "robots", "content": "noindex"}, {"name": "googlebot", "content": "noai"}]}},
        {"head": {"Metas": [{"property": "og:title", "content": "noai"}, "noai", None]}},
        {"headers": {"X-Robots-Tag": "googlebot: noai"}},
        {"headers": {"TDM-Reservation": "0"}},
    ],
)
def test_what_is_no_opt_out(tmp_path: Path, change: dict[str, Any]) -> None:
    assert outcomes(told(tmp_path, note(**change))) == PAIRS


def test_opt_out_by_the_recipe(tmp_path: Path) -> None:
    page_of_noai = note(head={"Metas": [{"name": "robots", "content": "noai"}]}, headers={"TDM-Reservation": "1"})
    none = replace(IMAGES, opt_out_tokens=(), tdm_reservation=False)
    assert outcomes(told(tmp_path, page_of_noai, config=none)) == PAIRS


def test_records_that_are_no_note(tmp_path: Path) -> None:
    strange = note()
    strange["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"] = [1]
    odd_links = note([image("/x.jpg", "\ud800 half"), {"path": "IMG@/src", "alt": "none"}, {"alt": "x"}])
    odd_links["Envelope"]["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]["Links"] += [None, 5, "x"]
    records = [
        noted("a text"),
        noted({"Envelope": []}),
        record(b'{"Envelope": {', PAGE, "metadata", "application/json"),
        record(b"[" * 100_000, PAGE, "metadata", "application/json"),
        record(b"fetchTimeMs: 12", PAGE, "metadata", "application/warc-fields"),
        response(page("a page of a crawl")),
        noted(strange),
        noted(odd_links),
        noted(note([]))[:-100],
        noted(note([image("x.jpg", "y" * IMAGES.max_body_bytes)])),
        noted(note()),
    ]
    found = read(write(tmp_path / "a.wat.gz", records))
    no_json = ["bad_json"] * 5
    other = ["other_record_type", "not_html", "pair https://shop.example/x.jpg ? half", "truncated_member", "too_large"]
    assert outcomes(found)[: len(records) - 1] == [*no_json, *other]
    assert outcomes(found)[len(records) - 1 :] == PAIRS
    json.dumps([getattr(one, "text", "") for one in found], ensure_ascii=False).encode()


def test_videos(tmp_path: Path) -> None:
    links: list[Link] = [
        {"path": "VIDEO@/src", "url": "play?id=1"},
        {"path": "VIDEO@/poster", "url": "poster.jpg"},
        {"path": "SOURCE@/src", "url": "films/a.webm"},
        {"path": "SOURCE@/src", "url": "sound.mp3"},
        {"path": "VIDEO@/src", "url": "blob:https://shop.example/1"},
        {"path": "A@/href", "url": "/b.MP4?dl=1", "text": "How to feed a cat", "title": "Download"},
        {"path": "A@/href", "url": "/c.mp4", "title": "A walk"},
        {"path": "A@/href", "url": "/d.mp4"},
        {"path": "A@/href", "url": "/e.html?x=.mp4", "text": "no video"},
        {"path": "EMBED@/src", "url": "/f.mov"},
        image("cat.jpg", "A cat"),
    ]
    found = told(tmp_path, note(links), note([image("cat.jpg", "A cat")]), config=VIDEOS)
    assert outcomes(found) == [
        "pair https://shop.example/a/play?id=1 Animals",
        "pair https://shop.example/a/films/a.webm Animals",
        "pair https://shop.example/b.MP4?dl=1 How to feed a cat",
        "pair https://shop.example/c.mp4 A walk",
        "no_pairs",
    ]
    untitled = note([{"path": "VIDEO@/src", "url": "a.mp4"}], head={"Title": ""})
    assert outcomes(told(tmp_path, untitled, config=VIDEOS)) == ["no_pairs"]


def test_every_split_point_gives_each_record_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.warc.wat.gz", crawl(note(LINKS[:2]), note([])))
    size = path.stat().st_size
    whole = read(path)
    assert outcomes(whole) == ["warcinfo", "request", PAIRS[0], "metadata", "request", "no_pairs", "metadata"]
    for split in range(0, size + 1, 3):
        records: list[SourceRecord] = []
        spans = []
        for start, end in pairwise([0, split, size]):
            unit = Unit(kind="warc", name=path.name, path=str(path), start=start, end=end)
            reader = read_unit(unit, IMAGES)
            records += reader
            spans.append((unit, reader.span))
        assert (records, misplaced(spans)) == (whole, []), split


def test_a_large_file_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.warc.wat.gz", crawl(*(note(url=f"{PAGE}?{n}") for n in range(20))))
    config = replace(IMAGES, range_bytes=2000)
    units = plan_units([str(path)], "", config)
    assert len(units) == -(-path.stat().st_size // 2000)
    assert {unit.kind for unit in units} == {"warc"}
    assert read(path, config) == read(path)
