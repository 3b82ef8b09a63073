"""Text on pictures: which font draws what, where lines break, what cannot be drawn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageDraw

from pipelines.fonts import Fonts, font_files, font_folders, right_to_left

HAN = "\u51f8\u5305\u306e\u4f8b"


@pytest.fixture(scope="module")
def latin() -> Iterator[Fonts]:
    """Pillow's own font alone."""
    yield Fonts([])


def drawn(fonts: Fonts, text: str, width: int = 0) -> Picture.Image:
    canvas = Picture.new("L", (400, 40), 255)
    fonts.draw(ImageDraw.Draw(canvas), (10, 25), text, 16, "#000000", width)
    return canvas


def test_the_bundled_font_draws_latin_and_says_what_it_lacks(latin: Fonts) -> None:
    fonts = Fonts([])
    drawn(fonts, "A cafe\u2026")
    assert fonts.lacking() == ""
    drawn(fonts, f"See {HAN}!")
    assert fonts.lacking() == "no font here has 4 of the characters (CJK, HIRAGANA): drawn as boxes or without accents"
    drawn(fonts, HAN)
    assert "4 of the characters" in fonts.lacking(), "each is counted once"


def test_letters_lose_accents_that_no_font_has() -> None:
    fonts = Fonts([])
    assert [part for part, _ in fonts.runs("Caf\u00e9 \u1e69")] == ["Cafe s"]
    assert drawn(fonts, "Caf\u00e9").tobytes() == drawn(fonts, "Cafe").tobytes()
    assert "1 of the characters (LATIN)" in fonts.lacking()


def test_what_is_drawn_is_ink_within_its_width(latin: Fonts) -> None:
    ink = drawn(latin, "Hello").point(lambda level: 255 - level).getbbox()
    assert ink is not None and 8 <= ink[0] <= 14
    assert abs(ink[2] - 10 - latin.width("Hello", 16)) <= 3


def test_fonts_of_the_machine_are_used_for_what_they_have() -> None:
    fonts = Fonts()
    if fonts.face_of("\u0434") is None or fonts.face_of("\u0645") is None:
        pytest.skip("this machine has no fonts")
    parts = fonts.runs("\u0434\u043e\u043c and \u0645\u062b\u0627\u0644")
    assert "".join(part for part, _ in parts) == "\u0434\u043e\u043c and \u0645\u062b\u0627\u0644"
    assert all(face.path for _, face in parts)
    drawn(fonts, "\u0434\u043e\u043c \u0645\u062b\u0627\u0644")
    assert not fonts.missing


def test_a_font_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "Broken.ttf").write_bytes(b"no font")
    fonts = Fonts([tmp_path])
    drawn(fonts, "Hello")
    assert fonts.lacking() == "" and font_files([tmp_path]) == [str(tmp_path / "Broken.ttf")]


def test_plain_fonts_come_first(tmp_path: Path) -> None:
    for name in ("Zed-BoldItalic.ttf", "DejaVuSans.ttf", "Zed-Bold.ttf", "Arial.ttf", "zed.otf", "readme.txt"):
        (tmp_path / name).touch()
    names = [Path(path).name for path in font_files([tmp_path, tmp_path / "nowhere"])]
    assert names == ["DejaVuSans.ttf", "Arial.ttf", "zed.otf", "Zed-Bold.ttf", "Zed-BoldItalic.ttf"]


def test_font_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    found = font_folders({"XDG_DATA_HOME": "/home/me/share", "XDG_DATA_DIRS": "/a:/b"})
    assert [path.as_posix() for path in found] == ["/home/me/share/fonts", "/a/fonts", "/b/fonts"]
    assert Path("/usr/share/fonts") in font_folders({})


@given(
    text=st.text(st.sampled_from(f"abcdefgh WM.,\u00e9\n{HAN}"), max_size=120),
    width=st.integers(40, 300),
    lines=st.integers(1, 5),
)
def test_wrap(latin: Fonts, text: str, width: int, lines: int) -> None:
    made = latin.wrap(text, 16, width, lines)
    assert len(made) <= lines and all(latin.width(line, 16) <= width for line in made)
    whole = latin.wrap(text, 16, width, 1000)
    assert "".join(whole).replace(" ", "") == "".join(text.split())
    if len(whole) <= lines:
        assert made == whole
    else:
        assert made[:-1] == whole[: lines - 1] and made[-1].endswith("\u2026")


def test_where_lines_break(latin: Fonts) -> None:
    assert latin.wrap("one two three", 16, 70, 9) == ["one two", "three"]
    assert len(latin.wrap(HAN * 5, 16, 70, 9)) > 1, "without spaces too"
    assert "".join(latin.wrap("a" * 50, 16, 70, 9)) == "a" * 50, "a long word is broken"
    assert latin.wrap("", 16, 70, 9) == latin.wrap(" \n ", 16, 70, 9) == []
    assert latin.fit("debian-handbook.info", 16, 80).startswith("debian-")
    assert latin.fit("short", 16, 80) == "short"
    assert latin.wrap("a\u202eb\x1bc", 16, 70, 9) == ["a\ufffdb\ufffdc"], "nothing that turns the line round"
    assert latin.wrap("a \ud800b", 16, 70, 9) == ["a ?b"], "half a character, as JSON may hold"


def test_right_to_left() -> None:
    assert right_to_left("12. \u0645\u062b\u0627\u0644 one") and right_to_left("\u05d0")
    assert not right_to_left("one \u0645\u062b\u0627\u0644") and not right_to_left("12.") and not right_to_left("")
    fonts = Fonts()
    if fonts.face_of("\u05d0") is None:
        pytest.skip("this machine has no font for it")
    ink = drawn(fonts, "\u05d0\u05d1\u05d2", 300).point(lambda level: 255 - level).getbbox()
    assert ink is not None and 300 <= ink[2] <= 314
