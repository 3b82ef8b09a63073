"""Subtitles to cues: WebVTT and SubRip files, and the packets of text tracks that a container holds.

What is not said goes: tags, positions, names of speakers, descriptions of sounds; and of captions that roll, each line
is kept once.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipelines.video.records import Cue

MAX_BYTES = 8 << 20
"""Of a subtitle file; those of a film have a few hundred kB."""
TOUCHING = 0.15
"""Seconds between two cues that follow each other without a pause."""

_CLOCK = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_TIMES = re.compile(rf"^[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}(?=\s|$)")
_TAG = re.compile(r"</?[A-Za-z0-9!][^<>\n]{0,200}>")
_ASS_OVERRIDE = re.compile(r"\{[^{}\n]{0,500}\}")
_SOUND = re.compile(r"\[[^\[\]]{0,120}\]|\([^()]{0,120}\)|\uff08[^\uff08\uff09]{0,60}\uff09")
_PARENTHESES = ("(", "\uff08")
_MUSIC = re.compile(r"[\u2669-\u266c#]*[\u2669-\u266c][\u2669-\u266c#]*")
_DASH = re.compile(r"^\s*(?:[-\u2010-\u2015]\s*|>>+:?\s*)(?=\S)")
_SPEAKER = re.compile(r"^\s*(?:[A-Z][A-Z0-9.'\u2019&-]*(?: [A-Z0-9#][A-Z0-9.'\u2019&-]*){0,3}):(?: +(?=\S)| *$)")
_SPACES = re.compile(r"\s+")


def read_subtitles(data: bytes) -> tuple[Cue, ...]:
    """The cues of a WebVTT or SubRip file, in the order of their times; none if it is neither."""
    return clean_cues(_blocks(decode_text(data[:MAX_BYTES])))


def decode_text(data: bytes) -> str:
    """UTF-8 with or without a mark, UTF-16 with one, or else Windows' Latin-1, of which each byte is a character."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.end >= len(data) - 3 and error.reason == "unexpected end of data":  # cut at MAX_BYTES
            return data[: error.start].decode("utf-8-sig")
        return data.decode("cp1252", "replace")


def packet_text(codec: str, data: bytes) -> str:
    """The text of one packet of a text track, as its codec stores it; empty for codecs that hold pictures."""
    if codec == "mov_text":
        length = int.from_bytes(data[:2], "big")
        return decode_text(data[2 : 2 + length])
    if codec in ("ass", "ssa"):
        # ReadOrder, Layer, Style, Name, three margins, Effect, Text
        parts = decode_text(data).split(",", 8)
        return re.sub(r"\\[Nn]", "\n", _ASS_OVERRIDE.sub("", parts[8])).replace("\\h", " ") if len(parts) == 9 else ""
    return decode_text(data) if codec in ("subrip", "srt", "webvtt", "text") else ""


def clean_cues(cues: Iterable[Cue]) -> tuple[Cue, ...]:
    """The cues that say something, in the order of their times, each thing once."""
    cleaned = [replace(cue, text=lines) for cue in cues if (lines := "\n".join(spoken_lines(cue.text)))]
    ordered = sorted(cleaned, key=lambda cue: (cue.start, cue.end))
    return tuple(replace(cue, text=_SPACES.sub(" ", cue.text).strip()) for cue in _unrolled(ordered))


def spoken_lines(text: str) -> list[str]:
    """Lines of a cue without tags, names of speakers, dashes and descriptions of sounds."""
    plain = html.unescape(_ASS_OVERRIDE.sub("", _TAG.sub("", text)).replace("\u00a0", " "))
    plain = _MUSIC.sub(" ", _SOUND.sub(_unless_said, plain))
    lines = (_SPEAKER.sub("", _DASH.sub("", line)) for line in plain.split("\n"))
    return [line for line in (_SPACES.sub(" ", line).strip() for line in lines) if any(map(str.isalnum, line))]


def _unless_said(match: re.Match[str]) -> str:
    """Brackets hold sounds. Parentheses do where they stand alone on their lines; in a sentence they are part of it."""
    if not match[0].startswith(_PARENTHESES):
        return " "
    text = match.string
    before = text[: match.start()].rpartition("\n")[2]
    after = text[match.end() :].partition("\n")[0]
    alone = not any(map(str.isalnum, _SPEAKER.sub("", _DASH.sub("", before)) + after))
    return " " if alone or match[0].isupper() else match[0]


def _blocks(text: str) -> Iterator[Cue]:
    """Cues of both kinds of file: a line of times and the lines after it up to an empty one or the next times.

    SubRip's numbers and WebVTT's names stand before a line of times and are no text; headers, notes and styles hold no
    such line.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    number = 0
    while number < len(lines):
        match = _TIMES.match(lines[number])
        number += 1
        if not match:
            continue
        said = []
        while number < len(lines) and lines[number].strip() and not _TIMES.match(lines[number]):
            said.append(lines[number])
            number += 1
        if number < len(lines) and _TIMES.match(lines[number]) and said and said[-1].strip().isdigit():
            said.pop()  # the next cue's number: the empty line before it is missing
        start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
        if end > start:
            yield Cue(start, end, "\n".join(said))


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return round(int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000, 3)


def _unrolled(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Each line once: captions that roll repeat the lines of the cue before, those that grow its first words.

    A line that is said again after a pause stays.
    """
    shown: list[str] = []
    shown_until = float("-inf")
    for cue in cues:
        lines = cue.text.split("\n")
        fresh = lines
        if cue.start - shown_until <= TOUCHING:
            known = next((n for n in range(min(len(lines), len(shown)), 0, -1) if shown[-n:] == lines[:n]), 0)
            fresh = lines[known:]
            if fresh and not known and shown and (rest := _grown(" ".join(shown), " ".join(lines))):
                fresh = [rest]
            elif fresh and known == 0 and len(shown) > 0 and lines[0].startswith(shown[-1] + " "):
                fresh = [lines[0][len(shown[-1]) + 1 :], *lines[1:]]
        shown, shown_until = lines, cue.end
        if fresh:
            yield replace(cue, text="\n".join(fresh))


def _grown(before: str, now: str) -> str:
    """What the words of `now` add to `before`, if they begin with all of it; empty otherwise."""
    return now[len(before) + 1 :] if now.startswith(before + " ") else ""
