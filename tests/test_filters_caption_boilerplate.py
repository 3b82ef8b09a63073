"""Which captions say nothing."""

from dataclasses import replace

import pytest

from pipelines.filters.caption_boilerplate import CaptionBoilerplateConfig, caption_boilerplate
from schemas.document import Document, Image, Text
from schemas.rejection import Rejected

CONFIG = CaptionBoilerplateConfig(
    file_names=(
        r"\S+\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|avif)",
        r"(?:img|image|imag|dsc[nf]?|dcim|pict?|photo|p|mvi|pxl|screen ?shot|scan|file)[-_ ]?\d[\d_ .-]*",
        r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}",
        r"(?=\S+\Z).*\d{6}.*",
    ),
    placeholders=("image", "photo", "logo", "thumbnail", "untitled", "alt img", "no caption"),
    prefixes=("photo of the day", "image may contain", "thumbnail for", "image for"),
    suffixes=("profile photo", "embedded image permalink"),
    phrases=("click to enlarge", "no automatic alt text available"),
)


def run(text: str) -> Document | Rejected:
    slots = (Image(url="https://example.com/a.jpg"), Text(text))
    return caption_boilerplate(Document(kind="pair", url="https://example.com/a.jpg", slots=slots), CONFIG)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red car on a bridge", "passed"),
        ("", "no_letters"),
        ("1920 \u00d7 1080 !", "no_letters"),
        ("12345", "no_letters"),
        ("https://example.com/a b", "passed"),
        ("https://example.com/a", "bare_url"),
        ("www.example.org", "bare_url"),
        ("shop.example.co.uk", "bare_url"),
        ("IMG_1234.JPG", "file_name"),
        ("img_1234", "file_name"),
        ("DSC00012", "file_name"),
        ("Screen Shot 2016-11-11", "file_name"),
        ("sunset-at-the-sea.jpeg", "file_name"),
        ("20190312_120000-edited", "file_name"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "file_name"),
        ("A photo of IMG_1234.JPG", "passed"),
        ("Image", "placeholder"),
        ("[Image 2]", "placeholder"),
        ("alt img", "placeholder"),
        ("Untitled", "placeholder"),
        ("Untitled painting of a horse", "passed"),
        ("Image may contain: 2 people, people smiling", "boilerplate_prefix"),
        ("Photo of the Day: a red car", "boilerplate_prefix"),
        ("thumbnail for Red car", "boilerplate_prefix"),
        ("Image forgery in the laboratory", "passed"),
        ("Jane Doe's profile photo", "boilerplate_suffix"),
        ("Red car (click to enlarge) on a bridge", "boilerplate_phrase"),
    ],
)
def test_reason(text: str, expected: str) -> None:
    result = run(text)
    assert (result.reason if isinstance(result, Rejected) else "passed") == expected


def test_the_detail_names_the_words() -> None:
    assert run("Image may contain: a cat") == Rejected("boilerplate_prefix", "image may contain")


def test_empty_lists_bar_nothing() -> None:
    nothing = CaptionBoilerplateConfig(file_names=(), placeholders=(), prefixes=(), suffixes=(), phrases=())
    document = Document(kind="pair", url="https://example.com/a.jpg", slots=(Text("img_1234"),))
    assert caption_boilerplate(document, nothing) is document


@pytest.mark.parametrize(("field", "value"), [("file_names", ("(",)), ("placeholders", ("Image",)), ("phrases", ("",))])
def test_impossible_settings_are_named(field: str, value: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONFIG, **{field: value})
