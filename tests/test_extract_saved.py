from extract_page import EXTRACT, PARSE, URL

from pipelines.extract.charset import CharsetConfig
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
