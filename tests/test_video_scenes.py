"""Where scenes change: real pictures as shots of a camera, joined, decoded from real files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import CONFIG, FPS, Frames, colour, dimmed, encode, pan, pictures, still, zoom
from video_files import SIZE as FRAME

from pipelines.video.config import CutConfig
from pipelines.video.cut import cut_here
from pipelines.video.records import CutVideo
from pipelines.video.scenes import LUMA, SIZE, Samples, find_cuts

MOVES = (pan, zoom, still)


def cuts_in(path: Path, frames: Frames, config: CutConfig = CONFIG, **how: object) -> tuple[float, ...]:
    video = cut_here(encode(path, frames, **how), config)  # type: ignore[arg-type]
    assert isinstance(video, CutVideo), video
    return video.cuts


def joined(seconds: Sequence[float], first: int = 0, fps: int = FPS) -> tuple[Iterator[Image.Image], list[float]]:
    """Shots of so many seconds, each of another picture, and where they are joined."""
    shots = [
        MOVES[number % 3](pictures()[(first + number) % len(pictures())], length, fps)
        for number, length in enumerate(seconds)
    ]
    ends = np.cumsum([round(length * fps) for length in seconds]) / fps
    return chain(*shots), ends[:-1].tolist()


@pytest.mark.parametrize(
    ("name", "codec", "gop"),
    [
        ("a.mp4", "libx264", 250),
        ("dense.mp4", "libx264", 10),
        ("a.mkv", "libx264", 25),
        ("a.webm", "libvpx", 128),
        ("nine.webm", "libvpx-vp9", 128),
        ("dense.webm", "libvpx", 12),
        ("a.avi", "mpeg4", 12),
    ],
)
def test_known_joins_are_found_and_nothing_else(name: str, codec: str, gop: int, tmp_path: Path) -> None:
    lengths = [1.2, 0.8, 2.0, 1.0, 1.6, 0.72, 1.4, 1.0]
    frames, joins = joined(lengths)
    # no scenecut key frames: where x264 thinks that scenes change must not be what is found
    options = {"x264-params": "scenecut=0"} if codec == "libx264" else {}
    found = cuts_in(tmp_path / name, frames, codec=codec, gop=gop, options=options)
    assert len(found) == len(joins)
    assert all(0 <= cut - join <= 2 / FPS for cut, join in zip(found, joins, strict=True))


@pytest.mark.parametrize("fps", [10, 24, 30, 60])
def test_frame_rates(fps: int, tmp_path: Path) -> None:
    frames, joins = joined([1.0, 1.0, 1.0], 3, fps)
    found = cuts_in(tmp_path / "a.mp4", frames, fps=fps)
    assert len(found) == 2 and all(abs(cut - join) <= 0.1 for cut, join in zip(found, joins, strict=True))


def flash(light: float, count: int) -> Iterator[Image.Image]:
    for number, frame in enumerate(pan(pictures()[0], 2.0, widths=0.2)):
        yield dimmed(frame, light) if 25 <= number < 25 + count else frame


def passing_object() -> Iterator[Image.Image]:
    """Something dark crosses the whole picture within a quarter of a second."""
    for number, frame in enumerate(pan(pictures()[2], 2.0, widths=0.1)):
        if 25 <= number < 31:
            frame = frame.copy()
            left = (number - 25) * 40 - 60
            frame.paste((30, 25, 20), (max(left, 0), 0, max(min(left + 120, frame.width), 0), frame.height))
        yield frame


def fade_in_and_out() -> Iterator[Image.Image]:
    for number, frame in enumerate(pan(pictures()[0], 3.0)):
        yield dimmed(frame, min(1, number / 20, (74 - number) / 20))


NO_CUTS: dict[str, Callable[[], Frames]] = {
    **{f"pan over {number}": lambda number=number: pan(pictures()[number], 3.0) for number in range(9)},  # type: ignore[misc]
    **{f"zoom into {number}": lambda number=number: zoom(pictures()[number], 1.0) for number in range(9)},  # type: ignore[misc]
    "fast pan": lambda: pan(pictures()[0], 1.0, widths=0.5),
    "pan that begins and ends": lambda: chain(
        still(pictures()[0], 1.0), pan(pictures()[0], 1.0), [list(pan(pictures()[0], 1.0))[-1]] * FPS
    ),
    "flash": lambda: flash(1.8, 3),
    "two white frames": lambda: chain(
        still(pictures()[0], 1.0), colour((255, 255, 255), 0.08), still(pictures()[0], 1.0)
    ),
    "black for a moment": lambda: chain(still(pictures()[0], 1.0), colour((0, 0, 0), 0.4), still(pictures()[0], 1.0)),
    "light goes off": lambda: chain(
        still(pictures()[0], 1.0), (dimmed(frame, 0.4) for frame in still(pictures()[0], 1.0))
    ),
    "passing object": passing_object,
    "fade in and out": fade_in_and_out,
    "still": lambda: still(pictures()[0], 2.0),
    "colour": lambda: colour((200, 30, 30), 2.0),
}


@pytest.mark.parametrize("name", NO_CUTS)
def test_what_is_no_cut(name: str, tmp_path: Path) -> None:
    assert cuts_in(tmp_path / "a.mp4", NO_CUTS[name]()) == ()


def test_a_fade_through_black_is_one_cut(tmp_path: Path) -> None:
    def fade() -> Iterator[Image.Image]:
        for number, frame in enumerate(pan(pictures()[0], 2.0)):
            yield dimmed(frame, min(1, (49 - number) / 15))
        for number, frame in enumerate(pan(pictures()[2], 2.0)):
            yield dimmed(frame, min(1, number / 15))

    (cut,) = cuts_in(tmp_path / "a.mp4", fade())
    assert 1.8 < cut < 2.3


def test_black_that_lasts_is_a_scene(tmp_path: Path) -> None:
    frames = chain(pan(pictures()[0], 1.0), colour((0, 0, 0), 2.4), pan(pictures()[2], 1.0))
    found = cuts_in(tmp_path / "a.mp4", frames)
    assert [round(cut, 1) for cut in found] == [1.0, 3.4]


def test_cuts_in_quick_succession_are_one(tmp_path: Path) -> None:
    frames, joins = joined([1.0, 0.24, 1.0], 0)
    assert len(joins) == 2
    found = cuts_in(tmp_path / "a.mp4", frames)
    assert len(found) == 1
    assert all(later - sooner >= 0.5 for sooner, later in pairwise((0.0, *found)))


def noise(levels: float, rows: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    scene = generator.integers(0, 256, SIZE)
    frames = scene + generator.normal(0, levels, (rows, SIZE))
    return np.clip(frames, 0, 255).astype(np.uint8)


def samples(*scenes: np.ndarray) -> Samples:
    thumbnails = np.concatenate(scenes)
    count = len(thumbnails)
    return Samples(np.arange(count) / 12, thumbnails, np.ones(count, dtype=np.bool_))


def test_each_threshold_decides() -> None:
    scenes = CONFIG.scenes
    two = samples(noise(2, 12, 1), noise(2, 12, 2))
    assert find_cuts(two, scenes) == [1.0]
    assert find_cuts(two, replace(scenes, min_change=300.0)) == []
    assert find_cuts(two, replace(scenes, min_ratio=1000.0)) == []
    assert find_cuts(two, replace(scenes, min_decorrelation=2.0)) == []
    assert find_cuts(two, replace(scenes, min_scene_seconds=1.5)) == []
    assert find_cuts(two, replace(scenes, flat_deviation=128.0)) == []


def test_no_cut_is_sought_where_frames_were_skipped() -> None:
    two = samples(noise(2, 12, 1), noise(2, 12, 2))
    near = two.near.copy()
    near[12] = False
    assert find_cuts(replace(two, near=near), CONFIG.scenes) == []


def patches(seed: int, shifts: Sequence[int]) -> np.ndarray:
    """A grid of large patches, moved by so many cells in each row."""
    luma = np.kron(np.random.default_rng(seed).integers(0, 256, (3, 4)), np.ones((6, 8), dtype=int))
    rows = np.full((len(shifts), SIZE), 128, dtype=np.uint8)
    for row, shift in zip(rows, shifts, strict=True):
        row[:LUMA] = np.roll(luma, shift, axis=1).ravel()
    return rows


def test_what_was_skipped_counts_as_usual() -> None:
    """After a cut much moves, and the calm frames before it were not decoded."""
    whole = samples(patches(1, [0] * 8), patches(2, [0, 8, 8]))
    scenes = replace(CONFIG.scenes, settle_seconds=0.0)
    assert find_cuts(whole, scenes) == [pytest.approx(8 / 12)]
    kept = [0, 7, 8, 9, 10]
    skipped = Samples(whole.times[kept], whole.thumbnails[kept], np.array([True, False, True, True, True]))
    assert find_cuts(skipped, scenes) == find_cuts(whole, scenes)


def lines(seed: int) -> Image.Image:
    """Lines of a page: dark words on white."""
    generator = np.random.default_rng(seed)
    page = Image.new("RGB", (2 * FRAME[0], 2 * FRAME[1]), (250, 250, 250))
    y = 6
    while y < page.height - 8:
        x = int(generator.integers(0, 30))
        while x < page.width - 14:
            length = int(generator.integers(12, 50))
            page.paste((20, 20, 20), (x, y, x + length, y + 9))
            x += length + int(generator.integers(8, 16))
        y += int(generator.integers(18, 26))
    return page


def test_a_camera_over_lines(tmp_path: Path) -> None:
    """Every step changes nearly every cell, and still it is known where a page ends; so with photographs."""
    for number, page in enumerate((lines, lambda seed: pictures()[seed])):
        found = cuts_in(tmp_path / f"{number}.mp4", chain(*(pan(page(seed), 1.0) for seed in range(6))))
        assert found == pytest.approx((1, 2, 3, 4, 5), abs=0.09)
    for gop in (250, 12):
        assert cuts_in(tmp_path / f"{gop}.mp4", pan(lines(9), 3.0), gop=gop) == ()


def test_an_empty_stretch_of_a_page_is_no_scene(tmp_path: Path) -> None:
    page = Image.new("RGB", (3 * FRAME[0], FRAME[1]), (245, 245, 240))
    for number, left in ((0, 5), (2, 2 * FRAME[0] + 5)):
        page.paste(pictures()[number].resize((FRAME[0] - 10, FRAME[1] - 10)), (left, 5))
    places = np.linspace(0, 2 * FRAME[0], 6 * FPS)
    frames = (page.crop((round(x), 0, round(x) + FRAME[0], FRAME[1])) for x in places)
    assert cuts_in(tmp_path / "a.mp4", frames) == ()


def test_brightness_alone_is_no_cut() -> None:
    scene = noise(1, 24, 1)
    dark = scene.copy()
    dark[12:, :LUMA] = dark[12:, :LUMA] // 3
    assert find_cuts(samples(dark), CONFIG.scenes) == []


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_frames(count: int) -> None:
    assert find_cuts(samples(noise(1, count, 1)), CONFIG.scenes) == []
