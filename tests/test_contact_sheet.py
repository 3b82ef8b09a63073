"""The contact sheet: what it shows of pairs, clips and pages, and where."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from clips import TEXTS, clip, clips, write_video
from PIL import Image as Picture
from PIL import ImageChops

from pipelines.contact_sheet import (
    BOX,
    COLUMNS,
    FRAMES_SHOWN,
    IMAGES_SHOWN,
    WIDTH,
    Entry,
    Sheet,
    entry,
    sheet,
)
from pipelines.fonts import Fonts
from pipelines.inspect import write_sheet
from schemas.shard import Sample
from tests.datasets import build, m3w, page, pages, pair, picture, write_shard


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4")


def made(samples: Sequence[Sample]) -> Sheet:
    return sheet("A title", "some of them", [entry(sample) for sample in samples], Fonts([]))


def opened(found: Sheet) -> Picture.Image:
    picture = Picture.open(BytesIO(found.png))
    assert (picture.format, picture.mode, picture.width) == ("PNG", "RGB", WIDTH)
    return picture.convert("RGB")


def places(found: Sheet, shown: Entry) -> int:
    """At how many places of the sheet the inner part of each picture of the entry is, to the pixel."""
    whole, count = opened(found), 0
    for small in shown.pictures:
        assert small.picture is not None
        inner = small.picture.crop((1, 1, small.picture.width - 1, small.picture.height - 1))
        row = inner.crop((0, inner.height // 2, inner.width, inner.height // 2 + 1)).tobytes()
        at = [
            (start // 3 % WIDTH, start // 3 // WIDTH) for start in occurrences(whole.tobytes(), row) if start % 3 == 0
        ]
        boxes = [(x, y - inner.height // 2) for x, y in at]
        same = [
            box
            for box in boxes
            if not ImageChops.difference(
                whole.crop((*box, box[0] + inner.width, box[1] + inner.height)), inner
            ).getbbox()
        ]
        count += len(same)
    return count


def occurrences(data: bytes, part: bytes) -> list[int]:
    found, start = [], data.find(part)
    while start >= 0:
        found.append(start)
        start = data.find(part, start + 1)
    return found


def test_pairs_stand_in_a_grid() -> None:
    samples = [pair(number, f"Caption {number}") for number in range(COLUMNS + 1)]
    found = made(samples)
    for sample in samples:
        assert places(found, entry(sample)) == 1
    one_row = opened(made(samples[:COLUMNS])).height
    assert opened(found).height > one_row == opened(made(samples[:1])).height


def test_long_texts_make_a_row_higher_up_to_a_limit() -> None:
    heights = [opened(made([pair(1, "word " * count)])).height for count in (1, 12, 100, 10_000)]
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_the_text_is_drawn() -> None:
    one, other = (opened(made([pair(1, text)])) for text in ("A caption", "Another"))
    box = ImageChops.difference(one, other).getbbox()
    assert box is not None
    assert box[1] > BOX[1], "below the picture"


def test_a_clip_is_a_row_of_its_frames(video: Path) -> None:
    shown = entry(clip(video, 0))
    assert [small.note for small in shown.pictures] == ["0:00", "0:01", "0:02", "0:03"]
    assert places(made([clip(video, 0)]), shown) == 4
    many = entry(clip(video, 1, fps=5))
    assert len(many.pictures) == FRAMES_SHOWN
    assert (many.pictures[0].note, many.pictures[-1].note) == ("0:04", "0:07.8")


def test_a_page_is_a_row_of_its_first_images() -> None:
    sample = page(1, ["Some words.", *[picture(60 + n, 50, n) for n in range(9)]])
    shown = entry(sample)
    assert [small.note for small in shown.pictures] == [f"{60 + n} x 50 jpg" for n in range(IMAGES_SHOWN)]
    assert places(made([sample]), shown) == IMAGES_SHOWN


def test_pictures_are_reduced(video: Path) -> None:
    large = picture(3000, 2000, 1)
    for sample in (page(1, [large]), clip(video, 0)):
        for small in entry(sample).pictures:
            assert small.picture is not None and max(small.picture.size) < 250


def test_a_picture_that_cannot_be_decoded_is_said_to_be(video: Path) -> None:
    sample = pair(1, "A caption")
    broken = Sample(sample.document, {"jpg": b"\xff\xd8\xff nothing"})
    assert [small.picture for small in entry(broken).pictures] == [None]
    assert ImageChops.difference(opened(made([broken])), opened(made([sample]))).getbbox() is not None
    row = clip(video, 0)
    opened(made([Sample(row.document, dict.fromkeys(row.members, b""))]))


def test_no_pictures_and_no_samples() -> None:
    opened(made([page(1, ["Words only."])]))
    opened(made([]))


def test_a_foreign_clip_with_odd_times(video: Path) -> None:
    sample = clip(video, 0)
    odd = replace(sample.document.media[0], times=(float("nan"),), end=float("inf"))
    opened(made([Sample(replace(sample.document, slots=(odd,)), sample.members)]))


def test_what_no_font_has_is_said(video: Path) -> None:
    found = made(clips(video))
    assert found.lacking == (
        "no font here has 13 of the characters (ARABIC, CJK, HIRAGANA): drawn as boxes or without accents"
    )
    assert made([clip(video, 0)]).lacking == ""
    assert len(TEXTS) == 4


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    build(tmp_path, pages(12))
    code, said = m3w("inspect", tmp_path, "--sheet", tmp_path / "new/sheet.png", "--count", 5)
    assert (code, said) == (0, f"{tmp_path}/new/sheet.png: 5 of 12 pages\n")
    with Picture.open(tmp_path / "new/sheet.png") as picture_:
        assert (picture_.format, picture_.width) == ("PNG", WIDTH)
    assert m3w("inspect", tmp_path, "--sheet", tmp_path / "x.png", "--count", 0)[0] == 2


def test_the_same_samples_give_the_same_bytes(tmp_path: Path, video: Path) -> None:
    write_shard(tmp_path / "a.tar", [*clips(video), *pages(5), *[pair(n, f"Caption {n}") for n in range(9)]])
    said = [write_sheet([str(tmp_path / "a.tar")], str(tmp_path / name), 10)[0] for name in ("1.png", "2.png")]
    assert said == ["10 of 18 documents"] * 2
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_without_fonts_the_command_says_so_and_all_is_well(tmp_path: Path, video: Path) -> None:
    write_shard(tmp_path / "a.tar", clips(video))
    command = [sys.executable, "-m", "pipelines.cli", "inspect", str(tmp_path / "a.tar"), "--sheet"]
    empty = {"XDG_DATA_HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)}
    done = subprocess.run([*command, str(tmp_path / "s.png")], env=os.environ | empty, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == f"{tmp_path}/s.png: 4 of 4 clips\n"
    quoted = (Path(__file__).parents[1] / "docs/troubleshooting.md").read_text()
    assert done.stderr.startswith("m3w: no font here has 13 of the characters (ARABIC, CJK")
    assert f"    {done.stderr}" in quoted
