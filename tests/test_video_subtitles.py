"""Subtitle files and packets to cues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.video.records import Cue
from pipelines.video.subtitles import clean_cues, packet_text, read_subtitles, spoken_lines

WEBVTT = """WEBVTT - of a harbour
Kind: captions

STYLE
::cue { color: yellow }

NOTE This is not said
00:00 is not a time

intro
00:01.000 --> 00:03.500 align:start position:0%
<v Mary Ann>The <i>old</i> harbour &amp; its <c.yellow>boats</c></v>

01:00:04.250 --> 01:00:06.000
[engine starts]
- Who is there?
- Nobody.
"""
SUBRIP = """1
00:00:01,000 --> 00:00:03,500
<font color="#ffff00">The old harbour</font>

2
00:00:04,250 --> 00:00:06,000
{\\an8}MAN: Who is there?
3
00:00:07,000 --> 00:00:08,000
\u266a la la la \u266a
4
00:00:09,000 --> 00:00:10,000
1984
"""


def test_webvtt() -> None:
    assert read_subtitles(WEBVTT.encode()) == (
        Cue(1.0, 3.5, "The old harbour & its boats"),
        Cue(3604.25, 3606.0, "Who is there? Nobody."),
    )


def test_subrip_with_a_missing_empty_line() -> None:
    assert read_subtitles(SUBRIP.encode()) == (
        Cue(1.0, 3.5, "The old harbour"),
        Cue(4.25, 6.0, "Who is there?"),
        Cue(7.0, 8.0, "la la la"),
        Cue(9.0, 10.0, "1984"),
    )


@pytest.mark.parametrize(
    "data",
    [
        SUBRIP.encode("utf-8-sig"),
        SUBRIP.encode("utf-16"),
        SUBRIP.replace("\n", "\r\n").encode(),
        SUBRIP.replace("\n", "\r").encode(),
        SUBRIP.replace("\u266a", "").encode("cp1252"),
    ],
)
def test_encodings_and_ends_of_lines(data: bytes) -> None:
    assert read_subtitles(data) == read_subtitles(SUBRIP.encode())


def test_latin1_is_read_where_utf8_is_not() -> None:
    data = "1\n00:00:01,000 --> 00:00:02,000\nO\u00f9 est le ch\u00e2teau ?\n".encode("latin-1")
    assert read_subtitles(data)[0].text == "O\u00f9 est le ch\u00e2teau ?"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WEBVTT",
        "00:00:01,000 --> 00:00:01,000\nno time at all\n",
        "00:00:02,000 --> 00:00:01,000\nbackwards\n",
        "00:00:01,000 --> 00:00:02,000\n\nafter an empty line\n",
        "1:2 --> 3:4\nno times\n",
        "<html><body>404</body></html>",
    ],
)
def test_nothing_is_said(text: str) -> None:
    assert read_subtitles(text.encode()) == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[music]", []),
        ("(laughs)", []),
        ("MARY: (laughs)", []),
        ("- (laughs)\n- Stop it.", ["Stop it."]),
        ("He said (and I agree) no.", ["He said (and I agree) no."]),
        ("Go! (DOOR SLAMS)", ["Go!"]),
        ("[Narrator] Once upon a time", ["Once upon a time"]),
        (">> Good evening.", ["Good evening."]),
        (">>JOHN: Good evening.", ["Good evening."]),
        ("DR. WHO-SMITH #2: Run.", ["Run."]),
        ("Note: this stays.", ["Note: this stays."]),
        ("At 10:30 we left.", ["At 10:30 we left."]),
        ("\u2013 Yes.", ["Yes."]),
        ("-5 degrees", ["5 degrees"]),
        ("a well-known case", ["a well-known case"]),
        ("1 < 2 and 3 > 2", ["1 < 2 and 3 > 2"]),
        ("<00:00:01.000><c> timed</c><c> words</c>", ["timed words"]),
        ("...", []),
        ("\u4f60\u597d", ["\u4f60\u597d"]),
    ],
)
def test_what_is_said(text: str, lines: list[str]) -> None:
    assert spoken_lines(text) == lines


def said(*cues: tuple[float, float, str]) -> list[str]:
    return [cue.text for cue in clean_cues(Cue(*cue) for cue in cues)]


def test_rolling_captions_are_said_once() -> None:
    assert said(
        (0.0, 2.0, "the old harbour"),
        (2.0, 2.01, "the old harbour"),
        (2.01, 4.0, "the old harbour\nof the town lies"),
        (4.0, 4.01, "of the town lies"),
        (4.01, 6.0, "of the town lies\nto the north"),
    ) == ["the old harbour", "of the town lies", "to the north"]


def test_captions_that_grow_are_said_once() -> None:
    assert said((0, 1, "the"), (1, 2, "the old"), (2, 3, "the old harbour")) == ["the", "old", "harbour"]


def test_what_is_said_again_later_stays() -> None:
    assert said((0, 1, "No."), (3, 4, "No.")) == ["No.", "No."]


def test_cues_come_in_the_order_of_their_times() -> None:
    assert said((5, 6, "second"), (0, 1, "first")) == ["first", "second"]


@pytest.mark.parametrize(
    ("codec", "data", "text"),
    [
        ("mov_text", b"\x00\x05hello\x00\x00\x00\x16styl", "hello"),
        ("mov_text", b"\x00\x00", ""),
        ("mov_text", b"\x00\xffcut", "cut"),
        ("ass", b"0,0,Default,,0,0,0,,{\\i1}Yes{\\i0}, it is\\Ntrue", "Yes, it is\ntrue"),
        ("ass", b"broken", ""),
        ("subrip", b"<i>hello</i>", "<i>hello</i>"),
        ("webvtt", b"hello", "hello"),
        ("hdmv_pgs_subtitle", b"\x16\x00", ""),
    ],
)
def test_packets(codec: str, data: bytes, text: str) -> None:
    assert packet_text(codec, data) == text


WORDS = st.text(alphabet=st.characters(whitelist_categories=("Ll",)), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.integers(200, 3000), st.lists(WORDS, min_size=1, max_size=4)), min_size=1, max_size=8))
def test_both_kinds_of_file_give_what_was_written(entries: list[tuple[int, list[str]]]) -> None:
    cues, blocks, clock = [], [], 0.0
    for number, (length, said) in enumerate(entries):
        start, end = clock, clock + length / 1000
        clock = end + 1
        cues.append((round(start, 3), round(end, 3), " ".join(said)))
        times = [f"{int(t // 3600):02}:{int(t // 60) % 60:02}:{t % 60:06.3f}" for t in (start, end)]
        blocks.append(f"{number + 1}\n{' --> '.join(times)}\n{' '.join(said)}\n")
    webvtt = "WEBVTT\n\n" + "\n".join(blocks)
    subrip = "\n".join(blocks)
    found = [(cue.start, cue.end, cue.text) for cue in read_subtitles(webvtt.encode())]
    assert [text for _, _, text in found] == [text for _, _, text in cues]
    assert all(
        abs(a - b) < 0.0011 for one, two in zip(found, cues, strict=True) for a, b in zip(one[:2], two[:2], strict=True)
    )
    assert read_subtitles(subrip.encode()) == read_subtitles(webvtt.encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    read_subtitles(b"00:00:01.000 --> 00:00:02.000\n" + data)
