"""What a caption's cleaning undoes, and what it leaves."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters.caption_text import CleanCaptionConfig, clean, clean_caption, with_text
from schemas.document import Document, Image, Text, Video
from schemas.rejection import Rejected

CONFIG = CleanCaptionConfig(
    max_chars=1000,
    file_endings=(".jpg", ".jpeg", ".png"),
    site_separators=(" | ",),
    site_max_words=3,
    site_suffixes=("stock photo", "getty images"),
)
IMAGE = Image(url="https://example.com/a.jpg")


def pair(text: str) -> Document:
    return Document(kind="pair", url=IMAGE.url, slots=(IMAGE, Text(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red car on a bridge", "A red car on a bridge"),
        ("  A red\n\ncar\u00a0on\ta\u2028bridge ", "A red car on a bridge"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("valentine&amp;#39;s day", "valentine's day"),
        ("&lt;b&gt;A red&lt;/b&gt; car", "A red car"),
        ("A <i>Canis lupus</i>, standing", "A Canis lupus, standing"),
        ('A wolf<br/>in <a href="x.html">snow</a>', "A wolf in snow"),
        ("I <3 my cat, 2 < 3 > 1", "I <3 my cat, 2 < 3 > 1"),
        ("<PERSON> opens the door", "<PERSON> opens the door"),
        ("A re\u00add \u200bcar\ufeff\ufffd\x00on", "A red car on"),
        ("cafe\u0301", "caf\u00e9"),
        ("10 m\u00b2, \u00bd price, \ufb01ne", "10 m\u00b2, \u00bd price, \ufb01ne"),
        (
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 at home", "\U0001f468\u200d\U0001f469\u200d\U0001f467 at home"),
        ('"A red car"', "A red car"),
        ("\u201cA red car\u201d", "A red car"),
        ("\u00ab'A red car'\u00bb", "A red car"),
        ('"Stop" and "Yield"', '"Stop" and "Yield"'),
        ("A car (https://example.com/cars?id=1) on a bridge", "A car on a bridge"),
        ("A car, see www.example.com", "A car, see"),
        ("Write to jane.doe@example.co.uk today", "Write to today"),
        ("Sunset at the sea.JPG", "Sunset at the sea"),
        ("A red car | Example News", "A red car"),
        ("A red car | Cars | Example", "A red car"),
        ("One | two of the three very long parts of this", "One | two of the three very long parts of this"),
        ("A red car - Stock Photo", "A red car"),
        ("A red car, Getty Images | Stock photo", "A red car"),
        ("Livestock photo", "Livestock photo"),
        ("Stock photo", "Stock photo"),
        ("| A red car |", "A red car"),
    ],
)
def test_cleaned(text: str, expected: str) -> None:
    assert clean(text, CONFIG) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty_caption"),
        (" \u200b\n", "empty_caption"),
        ("&nbsp;<br>", "empty_caption"),
        ("https://example.com/a.jpg", "empty_caption"),
        ("<p></p>''", "empty_caption"),
        ("a" * 1000, "passed"),
        ("a" * 1001, "huge_caption"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    result = clean_caption(pair(text), CONFIG)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_settings_turn_the_sites_name_off() -> None:
    config = replace(CONFIG, site_separators=(), site_suffixes=(), file_endings=())
    assert clean("A car.jpg - stock photo | News", config) == "A car.jpg - stock photo | News"


MESSY = st.text(st.one_of(st.characters(), st.sampled_from("&<>;#39 \"'|\u201c\u201d\u0301\u200b./@abilqtu")))
PIECES = [
    "&amp;",
    "lt;",
    "<b>",
    "</b",
    ">",
    '"',
    "\u201c",
    "\u201d",
    " | ",
    " - ",
    "a",
    ".jpg",
    "stock photo",
    "www.a(",
    ")",
]


@given(st.one_of(MESSY, st.lists(st.sampled_from(PIECES)).map("".join)))
def test_cleaning_is_idempotent(text: str) -> None:
    cleaned = clean(text, CONFIG)
    assert clean(cleaned, CONFIG) == cleaned
    assert cleaned == cleaned.strip() and "  " not in cleaned
    assert not any(unicodedata.category(character) == "Cc" for character in cleaned)


@given(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1))
def test_plain_words_stay(words: list[str]) -> None:
    assert clean(" ".join(words), CONFIG) == " ".join(words)


def test_media_keep_their_places() -> None:
    video = Video(url="https://example.com/a.mp4")
    clip = Document(kind="clip", url=video.url, slots=(video, Text("A "), IMAGE, Text("dog")))
    assert with_text(clip, "A cat").slots == (video, Text("A cat"), IMAGE)
    assert with_text(Document(kind="pair", url=IMAGE.url, slots=(IMAGE,)), "A cat").slots == (IMAGE, Text("A cat"))
    assert with_text(pair("A dog"), "A cat").text == "A cat"


def test_a_clean_caption_is_the_same_document() -> None:
    document = pair("A red car")
    assert clean_caption(document, CONFIG) is document


@pytest.mark.parametrize(("field", "value"), [("max_chars", 0), ("site_max_words", 0), ("file_endings", ("",))])
def test_impossible_settings_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]
