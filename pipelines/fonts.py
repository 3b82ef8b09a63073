"""Text of any script on a picture, as far as the machine has fonts for it."""

import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from PIL import ImageDraw, ImageFont

from pipelines.shard_files import printable

_STYLES = re.compile(
    r"bold|italic|oblique|light|thin|black|heavy|medium|mono|serif|condensed|narrow|cond|semi|roman|math", re.IGNORECASE
)
_FIRST = ("DejaVuSans", "NotoSans-Regular", "LiberationSans-Regular", "Arial", "Helvetica")
"""Fonts of many scripts, which most machines have one of."""
_NO_CHARACTER = "\U0010fffe"
"""No font has a glyph for it: what is drawn for it is what is drawn for all that a font lacks."""
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_TOKEN = re.compile(rf" +|[{_WIDE}]|[^ {_WIDE}]+")
"""Lines may be broken between these: words, and the characters of Chinese, Japanese and Korean."""
_PROBE_SIZE = 16


class Face:
    """A font at hand."""

    def __init__(self, path: str) -> None:
        """`path`: "" for Pillow's own, which has hardly more than ASCII."""
        self.path = path
        self._sizes: dict[int, ImageFont.FreeTypeFont] = {}
        self._has: dict[str, bool] = {}

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        if size not in self._sizes:
            font = ImageFont.truetype(self.path, size) if self.path else ImageFont.load_default(size)
            assert isinstance(font, ImageFont.FreeTypeFont), "a size was asked for"
            self._sizes[size] = font
        return self._sizes[size]

    def has(self, character: str) -> bool:
        if character not in self._has:
            font = self.at(_PROBE_SIZE)
            made, lacking = font.getmask(character), font.getmask(_NO_CHARACTER)
            self._has[character] = made.size != lacking.size or bytes(made) != bytes(lacking)
        return self._has[character]


class Fonts:
    """The fonts of this machine; each is opened when a character needs it."""

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        self._files = iter(font_files(font_folders() if folders is None else folders))
        self._faces: list[Face] = []
        self._of: dict[str, Face | None] = {}
        self._last = Face("")
        self.missing: Counter[str] = Counter()
        """Characters without a glyph that `draw` met."""

    def face_of(self, character: str) -> Face | None:
        """The first font that has a glyph for it."""
        if character not in self._of:
            self._of[character] = next((face for face in self._all() if face.has(character)), None)
        return self._of[character]

    def _all(self) -> Iterator[Face]:
        yield from self._faces
        for path in self._files:
            face = Face(path)
            try:
                face.has("a")
            except OSError:  # a font of pictures, or a damaged one
                continue
            self._faces.append(face)
            yield face
        yield self._last

    def runs(self, text: str) -> list[tuple[str, Face]]:
        """The text in parts, each with a font that has its letters; spaces and marks go with what is before.

        A letter that no font has loses its accents, if some font has it without.
        """
        drawn: list[tuple[str, Face]] = []
        for character in text:
            before = drawn[-1][1] if drawn else None
            if before and (_goes_along(character) or before.has(character)):
                drawn.append((character, before))
                continue
            face = self.face_of(character)
            plain = character if face else unicodedata.normalize("NFD", character)[0]
            face = face or self.face_of(plain)
            drawn.append((plain, face) if face else (character, before or self.face_of("a") or self._last))
        return [("".join(part for part, _ in some), face) for face, some in groupby(drawn, itemgetter(1))]

    def width(self, text: str, size: int) -> float:
        return sum(face.at(size).getlength(part) for part, face in self.runs(text))

    def wrap(self, text: str, size: int, width: int, lines: int) -> list[str]:
        """The text in up to so many lines of so many pixels; an ellipsis at the end of the last if there is more."""
        rest = _TOKEN.findall(_one_line(text[: 200 * lines]))
        made: list[str] = []
        while rest and len(made) < lines:
            made.append(self._line(rest, size, width))
        if made and (rest or len(text) > 200 * lines):
            made[-1] = self._cut(made[-1], size, width)
        return made

    def fit(self, text: str, size: int, width: int) -> str:
        """As much of a line as goes into so many pixels."""
        line = _one_line(text[:400])
        return line if self.width(line, size) <= width else self._cut(line, size, width)

    def _cut(self, line: str, size: int, width: int) -> str:
        while line and self.width(line + "\u2026", size) > width:
            line = line[:-1]
        return line.rstrip() + "\u2026"

    def _line(self, rest: list[str], size: int, width: int) -> str:
        """Takes the tokens of one line off the front."""
        line = ""
        while rest:
            token = rest[0]
            if self.width(line + token.rstrip(), size) <= width:
                line += rest.pop(0)
                continue
            if not line.strip():  # a word wider than a line
                count = next(n for n in range(len(token), 0, -1) if n == 1 or self.width(token[:n], size) <= width)
                line, rest[0] = token[:count], token[count:]
                if not rest[0]:
                    rest.pop(0)
            break
        while rest and not rest[0].strip():
            rest.pop(0)
        return line.strip()

    def draw(
        self, canvas: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, fill: str, width: int = 0
    ) -> None:
        """Draws one line; one that reads from right to left ends at the right of `width` pixels.

        Args:
            place: left end of the baseline.
        """
        self.missing.update(c for c in text if not _goes_along(c) and self.face_of(c) is None)
        runs = self.runs(text)
        x: float = place[0]
        if right_to_left(text):
            runs.reverse()
            x += max(0.0, width - self.width(text, size))
        for part, face in runs:
            canvas.text((x, place[1]), part, fill, face.at(size), anchor="ls")
            x += face.at(size).getlength(part)

    def lacking(self) -> str:
        """What could not be drawn, for a person; empty if all could."""
        if not self.missing:
            return ""
        scripts = Counter[str]()
        for character, count in self.missing.items():
            scripts[unicodedata.name(character, "UNNAMED").split()[0].split("-")[0]] += count
        named = ", ".join(name for name, _ in sorted(scripts.items(), key=lambda entry: (-entry[1], entry[0])))
        return f"no font here has {len(self.missing)} of the characters ({named}): drawn as boxes or without accents"


def _one_line(text: str) -> str:
    """Without control characters and halves of characters, which no font can draw."""
    return printable(" ".join(text.split())).encode("utf-8", "replace").decode()


def _goes_along(character: str) -> bool:
    """Whether a character may be drawn in any font: spaces, marks on letters, signs that are not seen."""
    return unicodedata.category(character) in ("Zs", "Mn", "Me", "Cf")


def right_to_left(text: str) -> bool:
    """By the first letter that has a direction."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"


def font_folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where fonts lie on this kind of machine."""
    home = Path.home()
    if sys.platform == "win32":
        return [Path(environment.get("WINDIR", "C:/Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = environment.get("XDG_DATA_HOME") or str(home / ".local/share")
    return [Path(folder) / "fonts" for folder in [own, *shared.split(":")]]


def font_files(folders: Sequence[Path]) -> list[str]:
    """The fonts in these folders, those of plain style and many scripts first."""
    files = [
        path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".ttf", ".otf", ".ttc")
    ]

    def rank(path: Path) -> tuple[int, int, str]:
        first = _FIRST.index(path.stem) if path.stem in _FIRST else len(_FIRST)
        return first, len(_STYLES.findall(path.stem)), path.name

    return [str(path) for path in sorted(files, key=rank)]
