"""One saved page, and the command `m3w extract` on pages, folders and archives of them."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from datasets import m3w
from extract_page import EXTRACT, PARSE, URL

from pipelines.extract.html.charset import CharsetConfig
from pipelines.extract.saved import extract_html, show, slots_json
from schemas.document import Document
from schemas.rejection import Rejected

DECODE = CharsetConfig(
    max_replacement_share=0.05,
    max_control_share=0.02,
    min_utf8_share=0.9,
    meta_prescan_bytes=4096,
    keep_truncated=False,
)
PAGE = "<p>Caf\u00e9 before.</p><p><img src=a.png alt='A cat'></p><p>After.</p><img src=b.png>"


def run(html: bytes | str, headers: dict[str, list[str]] | None = None) -> Document | Rejected:
    return extract_html(html, URL, decode=DECODE, parse=PARSE, extraction=EXTRACT, headers=headers)


def test_bytes_and_text_give_the_same_document() -> None:
    latin = run(PAGE.encode("latin-1"), {"content-type": ["text/html; charset=iso-8859-1"]})
    assert isinstance(latin, Document)
    assert latin == run(PAGE) == run(PAGE.encode())


def test_the_first_refusal_is_the_answer() -> None:
    for html, reason in ((b"\x01\x02 words " * 500, "binary"), ("", "unparsable"), ("<p> </p>", "no_text")):
        found = run(html)
        assert isinstance(found, Rejected)
        assert found.reason == reason


def test_show_is_for_a_person() -> None:
    found = run(PAGE)
    assert isinstance(found, Document)
    assert show(found) == (
        "Caf\u00e9 before.\n\n"
        '[image: https://site.example/a/a.png "A cat"]\n\n'
        "After.\n\n"
        "[image: https://site.example/a/b.png]\n"
    )


def test_slots_are_for_a_script() -> None:
    found = run(PAGE)
    assert isinstance(found, Document)
    assert slots_json(found) == [
        {"text": "Caf\u00e9 before.\n\n"},
        {"image": "https://site.example/a/a.png"},
        {"text": "After.\n\n"},
        {"image": "https://site.example/a/b.png"},
    ]


# --- the command -----------------------------------------------------------------------------------------------------


def archive(path: Path, pages: dict[str, str], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, text in pages.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return path


def test_an_archive_that_is_none_is_damage(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.tar", {"a.html": PAGE, "b.html": PAGE * 99}).read_bytes()
    zipped = archive(tmp_path / "whole.tar.gz", {"a.html": PAGE, "b.html": PAGE * 99}).read_bytes()
    for name, data in (
        ("empty.tar", b""),
        ("text.tar", b"no archive " * 99),
        ("cut.tar", whole[:2000]),
        ("cut.tar.gz", zipped[:-40]),
        ("changed.tar.gz", zipped[:60] + b"changed" + zipped[67:]),
    ):
        (tmp_path / name).write_bytes(data)
        code, out = m3w("extract", tmp_path / name, "--slots", tmp_path / "slots.jsonl")
        assert code == 1 and out.startswith(f"m3w: {tmp_path / name}: no tar archive, or a damaged one: "), out
        assert out.count("\n") == 1
    archive(tmp_path / "none.tar", {"a.txt": PAGE})
    assert m3w("extract", tmp_path / "none.tar") == (
        2, f"m3w: {tmp_path}/none.tar: no .html, .htm, .xhtml files in this archive\n"
    )  # fmt: skip


def test_links_that_lead_nowhere_in_an_archive_are_left_out(tmp_path: Path) -> None:
    links = {"gone.html": "nothing.html", "one.html": "two.html", "two.html": "one.html", "again.html": "a.html"}
    code, out = m3w("extract", archive(tmp_path / "a.tar", {"a.html": PAGE}, links))
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("===")] == ["=== a", "=== again"]
    for name in ("gone", "one", "two"):
        assert f"{name}.html: a link that leads nowhere in the archive: left out\n" in out


def test_what_is_no_file_in_a_folder_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / "b.html").mkdir()
    (tmp_path / "b.html" / "c.html").write_text(PAGE)
    (tmp_path / "gone.html").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.html")
    code, out = m3w("extract", tmp_path)
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("===")] == ["=== a", "=== b.html/c"]
    for name in ("gone", "pipe"):
        assert f"{tmp_path}/{name}.html: no file, or a link that leads nowhere: left out\n" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON: "),
        ("[" * 99_999, "not JSON: "),
        ("[1]", "a JSON object that maps names of pages to addresses is wanted"),
        ('{"a": 5}', "a: 5 is no absolute http or https address"),
        ('{"a": {}}', "a: None is no absolute http or https address"),
        ('{"a": {"url": ["x"]}}', "a: ['x'] is no absolute http or https address"),
    ],
)
def test_addresses_of_another_form_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / "urls.json").write_text(text)
    code, out = m3w("extract", tmp_path / "a.html", "--urls", tmp_path / "urls.json")
    assert code == 2 and out.startswith(f"m3w: {tmp_path}/urls.json: {said}") and out.count("\n") == 1


def test_the_address_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / "urls.json").write_text('{"a": {"url": "https://one.example/"}}')
    assert "https://one.example/a.png" in m3w("extract", tmp_path / "a.html", "--urls", tmp_path / "urls.json")[1]
    assert "https://two.example/a.png" in m3w("extract", tmp_path / "a.html", "--url", "https://two.example")[1]
    assert m3w("extract", tmp_path / "a.html", "--url", "not a url") == (
        2, "m3w: --url 'not a url' is no absolute http or https address\n"
    )  # fmt: skip


def test_a_page_without_an_address_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / "urls.json").write_text('{"a": "page.html"}')
    slots = tmp_path / "slots.jsonl"
    code, out = m3w("extract", tmp_path, "--urls", tmp_path / "urls.json", "--slots", slots)
    assert code == 0
    assert "a: 'page.html' is no absolute http or https address: the page is read as one without an address\n" in out
    assert [*json.loads(slots.read_text())["slots"][1].values()] == ["https://page.invalid/a.png"]


def test_slots_of_many_pages_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.html").write_text(PAGE.replace("Caf", f"{number}") if number else " ")
    said = {}
    for workers in (1, 2):
        code, said[workers] = m3w("extract", tmp_path, "--slots", tmp_path / f"{workers}.jsonl", "--workers", workers)
        assert code == 0
    assert said[2].endswith("9 pages, refused 1 (unparsable 1)\n")
    lines = (tmp_path / "1.jsonl").read_text().splitlines()
    assert lines == (tmp_path / "2.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [str(number) for number in range(9)]


def test_a_page_without_pictures_is_shown_whatever_the_recipe_wants(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>words")
    assert m3w("extract", tmp_path / "a.html") == (0, "words\n\n")


def test_a_refused_page_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p> </p>")
    (tmp_path / "b.html").write_text(PAGE)
    code, out = m3w("extract", tmp_path / "a.html", "--json")
    refused = {"name": "a", "rejected": {"reason": "no_text", "detail": "no visible text"}}
    assert (code, json.loads(out)) == (1, refused)
    code, out = m3w("extract", tmp_path, "--json")
    first, second = map(json.loads, out.splitlines())
    assert (code, first, second["kind"]) == (0, refused, "page")
