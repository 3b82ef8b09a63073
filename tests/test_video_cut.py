"""Real files to clips and frames: what is stored of them, which reason each bad one gets."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageStat
from video_files import (
    CONFIG,
    FPS,
    SIZE,
    Frames,
    colour,
    encode,
    encode_sound,
    encode_with_sound,
    encode_with_text_track,
    pan,
    pictures,
    still,
    zoom,
)

from pipelines.video.config import CutConfig
from pipelines.video.cut import cut_here
from pipelines.video.pictures import PictureMaker
from pipelines.video.records import Cue, CutVideo, Track
from schemas.rejection import Rejected


def cut(path: Path, config: CutConfig = CONFIG) -> CutVideo:
    video = cut_here(path, config)
    assert isinstance(video, CutVideo), video
    return video


def limited(**limits: Any) -> CutConfig:
    return replace(CONFIG, video=replace(CONFIG.video, **limits))


def shots(*seconds: float) -> Frames:
    return chain(*(pan(pictures()[number], length) for number, length in enumerate(seconds)))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shots of 3, 2 and 9 seconds."""
    return encode(tmp_path_factory.mktemp("film") / "film.mp4", shots(3.0, 2.0, 9.0))


def test_clips_frames_and_their_times(film: Path) -> None:
    video = cut(film)
    assert video.cuts == (3.0, 5.0) and video.damaged == 0 and video.dropped == ()
    assert [(clip.start, clip.end) for clip in video.clips] == [(0.0, 3.0), (3.0, 5.0), (5.0, 9.5), (9.5, 14.0)]
    assert [clip.times for clip in video.clips] == [(0, 1, 2), (3, 4), (5, 6, 7, 8, 9), (10, 11, 12, 13)]
    for clip in video.clips:
        assert len(clip.frames) == len(clip.times)
        for data in clip.frames:
            picture = Image.open(BytesIO(data))
            assert (picture.format, picture.size) == ("JPEG", (160, 93)) == ("JPEG", (clip.width, clip.height))
    facts = video.facts
    assert (facts.container, facts.codec, facts.duration) == ("mp4", "h264", 14.0)
    assert (facts.width, facts.height, facts.frame_rate, facts.frames) == (*SIZE, 25.0, 350)


def test_a_frame_shows_its_time(tmp_path: Path) -> None:
    """Each second has its own brightness; the third frame of a clip must show the third second."""
    film = (Image.new("L", SIZE, 20 * number).convert("RGB") for number in range(10) for _ in range(FPS))
    config = replace(CONFIG, clips=replace(CONFIG.clips, min_motion=0.0, min_deviation=0.0, max_dominant_share=1.0))
    config = replace(config, scenes=replace(config.scenes, flat_scene_seconds=60.0))
    for gop in (250, 10):
        video = cut(encode(tmp_path / f"{gop}.mp4", film if gop == 250 else list(steps())), config)
        seen = [
            (time, ImageStat.Stat(Image.open(BytesIO(data)).convert("L")).mean[0])
            for clip in video.clips
            for time, data in zip(clip.times, clip.frames, strict=True)
        ]
        assert [time for time, _ in seen] == list(range(10))
        assert all(abs(level - 20 * time) < 3 for time, level in seen)


def steps() -> Iterator[Image.Image]:
    for number in range(10):
        yield from (Image.new("L", SIZE, 20 * number).convert("RGB") for _ in range(FPS))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx"), ("a.avi", "mpeg4")])
@pytest.mark.parametrize("fps", [0.5, 1.0, 3.0])
def test_skipping_stores_the_same_frames(name: str, codec: str, fps: float, tmp_path: Path) -> None:
    lengths = (2.0, 3.3, 2.1, 5.0)
    film = encode(tmp_path / name, shots(*lengths), codec=codec, gop=8)
    config = replace(CONFIG, clips=replace(CONFIG.clips, min_seconds=2.0))
    every = cut(film, replace(config, frames=replace(CONFIG.frames, fps=fps, skip_share=0.0)))
    skipping = cut(film, replace(config, frames=replace(CONFIG.frames, fps=fps, skip_share=1.0)))
    assert len(every.cuts) == len(skipping.cuts) == 3
    assert all(abs(one - other) <= 0.09 for one, other in zip(every.cuts, skipping.cuts, strict=True))
    assert [clip.times for clip in every.clips] == [clip.times for clip in skipping.clips]
    assert [clip.frames for clip in every.clips] == [clip.frames for clip in skipping.clips]
    assert every.decoded == every.facts.frames
    if fps <= 1:
        assert skipping.decoded < every.decoded


@pytest.mark.parametrize("gop", [250, 12])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx265")])
def test_frames_that_no_other_refers_to_are_left_out(name: str, codec: str, gop: int, tmp_path: Path) -> None:
    """Pictures are those of plain decoding at their times, also where frames are shown in another order than stored."""
    options = {"preset": "veryfast", "x265-params": "log-level=none"} if codec == "libx265" else {"preset": "veryfast"}
    film = encode(tmp_path / name, shots(2.6, 2.0, 3.4), codec=codec, gop=gop, options={**options, "bf": "3"})
    video = cut(film)
    assert len(video.cuts) == 2 and all(
        abs(cut - join) <= 0.09 for cut, join in zip(video.cuts, (2.6, 4.6), strict=True)
    )
    assert video.decoded < 0.9 * video.facts.frames
    with av.open(str(film)) as container:
        first = (container.start_time or 0) / av.time_base
        plain = {round(frame.time - first, 3): frame for frame in container.decode(video=0)}
    maker = PictureMaker(next(iter(plain.values())), *SIZE, CONFIG.frames)
    seen = [entry for clip in video.clips for entry in zip(clip.times, clip.frames, strict=True)]
    assert [time for time, _ in seen] == pytest.approx(list(range(8)), abs=0.002)
    assert all(maker.make(plain[time], time).jpeg == data for time, data in seen)


def test_same_bytes_again(film: Path) -> None:
    assert cut(film) == cut(film)


@pytest.mark.parametrize(
    ("rotation", "aspect", "size", "degrees"),
    [
        (0, None, (192, 112), 0),
        (90, None, (112, 192), 270),
        (180, None, (192, 112), 180),
        (-90, None, (112, 192), 90),
        (0, Fraction(4, 3), (256, 112), 0),
        (90, Fraction(4, 3), (112, 256), 270),
        (0, Fraction(1, 2), (192, 224), 0),
    ],
)
def test_frames_are_upright_with_square_pixels(
    rotation: int, aspect: Fraction | None, size: tuple[int, int], degrees: int, tmp_path: Path
) -> None:
    """The stored picture is dark at its left; turned counterclockwise, its lower part is."""
    frame = np.full((SIZE[1], SIZE[0], 3), 220, dtype=np.uint8)
    frame[:, : SIZE[0] // 2] = 30
    film = encode(tmp_path / "a.mp4", [Image.fromarray(frame)] * 50, rotation=rotation, aspect=aspect)
    config = replace(CONFIG, frames=replace(CONFIG.frames, max_side=0))
    video = cut(film, replace(config, clips=replace(CONFIG.clips, min_motion=0.0)))
    assert (video.facts.width, video.facts.height, video.facts.rotation) == (*size, degrees)
    picture = Image.open(BytesIO(video.clips[0].frames[0])).convert("L")
    assert picture.size == size
    assert _dark_where_it_must_be(picture, degrees)


def _dark_where_it_must_be(picture: Image.Image, degrees: int) -> bool:
    """Whether the side that must be dark is, and the one across is not."""
    width, height = picture.size
    places = {0: (5, height // 2), 90: (width // 2, 5), 180: (width - 6, height // 2), 270: (width // 2, height - 6)}
    dark, light = places[degrees], places[(degrees + 180) % 360]
    return picture.getpixel(dark) < 60 and picture.getpixel(light) > 190  # type: ignore[operator]


@pytest.mark.parametrize("rgb", [(200, 40, 40), (40, 180, 60), (50, 60, 200), (128, 128, 128)])
@pytest.mark.parametrize("size", [(192, 112), (1280, 720)])
def test_colours_stay(rgb: tuple[int, int, int], size: tuple[int, int], tmp_path: Path) -> None:
    """Also without a word on the matrix: high definition is then BT.709, smaller pictures BT.601."""
    matrix = {"colorprim": "bt709", "colormatrix": "bt709"} if size[1] >= 720 else {}
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=2, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(4):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, rgb))
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709" if matrix else "ITU601")
            frame.colorspace = 2
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    clips = replace(CONFIG.clips, min_motion=0.0, min_deviation=0.0, max_dominant_share=1.0)
    clip = cut(path, replace(CONFIG, clips=clips)).clips[0]
    pixel = Image.open(BytesIO(clip.frames[0])).convert("RGB").getpixel((40, 40))
    assert max(abs(one - other) for one, other in zip(pixel, rgb, strict=True)) <= 4  # type: ignore[arg-type]


def test_clips_that_show_too_little_are_dropped(tmp_path: Path) -> None:
    frames = chain(
        pan(pictures()[0], 2.0),
        colour((0, 0, 0), 3.0),
        zoom(pictures()[2], 2.0),
        still(pictures()[1], 2.0),
        pan(pictures()[3], 0.8),
        pan(pictures()[6], 2.0),
    )
    video = cut(encode(tmp_path / "a.mp4", frames))
    assert [(round(clip.start, 1), clip.rejected.reason) for clip in video.dropped] == [
        (2.0, "single_colour"),
        (7.0, "still"),
        (9.0, "clip_too_short"),
    ]
    assert [round(clip.start, 1) for clip in video.clips] == [0.0, 5.0, 9.8]
    spans = sorted((clip.start, clip.end) for clip in (*video.clips, *video.dropped))
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert (spans[0][0], spans[-1][1]) == (0.0, video.facts.duration)


def test_more_clips_than_wanted(film: Path) -> None:
    video = cut(film, replace(CONFIG, clips=replace(CONFIG.clips, max_clips=2)))
    assert [clip.start for clip in video.clips] == [3.0, 9.5]
    assert {clip.rejected for clip in video.dropped} == {Rejected("too_many_clips", "4 clips, at most 2")}


def test_a_clip_may_keep_its_own_packets(film: Path) -> None:
    video = cut(film, replace(CONFIG, frames=replace(CONFIG.frames, keep="clip")))
    for clip in video.clips:
        assert clip.extension == "mp4"
        with av.open(BytesIO(clip.media)) as container:
            times = [frame.time for frame in container.decode(video=0)]
        wanted = [time for time in times if clip.media_offset - 0.001 <= time]
        assert abs(len(wanted) - (clip.end - clip.start) * FPS) <= 0.5
        assert 0 <= clip.media_offset + clip.end - clip.start - wanted[-1] <= 1 / FPS + 0.001


@pytest.mark.parametrize(
    ("name", "codec", "sound", "kept"),
    [("a.mp4", "libx264", "aac", "mp4"), ("a.webm", "libvpx", "libopus", "mkv"), ("a.mkv", "libx264", "pcm_s16le", "")],
)
def test_sound_stays_with_its_pictures(name: str, codec: str, sound: str, kept: str, tmp_path: Path) -> None:
    """A tone that begins with the third second; sound that has no place in an mp4 is left out."""
    film = encode_with_sound(tmp_path / name, shots(3.0, 3.0), codec, sound, silent_seconds=2.0)
    for clip in cut(film, replace(CONFIG, frames=replace(CONFIG.frames, keep="clip"))).clips:
        with av.open(BytesIO(clip.media)) as container:
            assert len(container.streams.video) == 1 and len(container.streams.audio) == (1 if kept else 0)
            if not kept:
                continue
            heard = [(frame.time, np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0)]
        assert clip.extension == kept
        told = [(time - clip.media_offset + clip.start, level > 0.1) for time, level in heard]
        assert all(loud == (time > 2) for time, loud in told if abs(time - 2) > 0.1)
        assert told[-1][0] == pytest.approx(clip.end, abs=0.1)


PACKETS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a.mp4": ("mov_text", lambda text: len(text).to_bytes(2, "big") + text),
    "a.mkv": ("subrip", lambda text: text),
    "ass.mkv": ("ass", lambda text: b"0,0,Default,,0,0,0,," + text),
    "a.webm": ("webvtt", lambda text: text),
}


@pytest.mark.parametrize("name", PACKETS)
def test_text_tracks(name: str, tmp_path: Path) -> None:
    codec, packet = PACKETS[name]
    cues = [(0.5, 1.5, packet(b"<i>An old</i> harbour.")), (2.0, 2.4, packet(b"[music]"))]
    path = encode_with_text_track(tmp_path / name, pan(pictures()[0], 3.0), codec, cues, "eng")
    assert cut(path).tracks == (Track("eng", (Cue(0.5, 1.5, "An old harbour."),)),)


# --- what is refused --------------------------------------------------------------------------------------------------

NOT_VIDEOS = {
    "empty": b"",
    "html": b"<!DOCTYPE html><html><body>Not found</body></html>",
    "playlist": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:5,\nfile:///etc/hostname\n",
    "concatenation": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "flash": b"FLV\x01\x05" + bytes(100),
}


@pytest.mark.parametrize("name", NOT_VIDEOS)
def test_not_a_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(NOT_VIDEOS[name])
    assert cut_here(path, CONFIG) == Rejected("not_a_video", "none of mp4, webm, mkv, ogv, avi")


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x18ftypmp42" + bytes(200), b"\x1a\x45\xdf\xa3" + bytes(200), b"OggS" + bytes(200)]
)
def test_a_header_and_nothing_else(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(head)
    rejected = cut_here(path, CONFIG)
    assert isinstance(rejected, Rejected) and rejected.reason in ("unreadable_header", "no_video_stream")


def test_sound_only(tmp_path: Path) -> None:
    assert cut_here(encode_sound(tmp_path / "a.mp4"), CONFIG) == Rejected("no_video_stream", "mp4 with 1 other streams")


@pytest.mark.parametrize(
    ("limits", "rejected"),
    [
        ({"formats": ("webm", "mkv")}, Rejected("unsupported_container", "mp4 is none of webm, mkv")),
        ({"codecs": ("vp9",)}, Rejected("unsupported_codec", "h264 is none of vp9")),
        ({"max_bytes": 1000}, "too_many_bytes"),
        ({"min_side": 113}, Rejected("too_small", "192 x 112, sides at least 113")),
        ({"max_pixels": 21_000}, Rejected("too_large", "192 x 112 pixels, at most 21000")),
        ({"max_duration": 13.9}, Rejected("too_long", "14.0 s, at most 13.9")),
        ({"min_duration": 14.1}, Rejected("too_short", "14.00 s, at least 14.1")),
        ({"max_frames": 349}, Rejected("too_many_frames", "350, at most 349")),
        ({"max_work_seconds": 0.01}, Rejected("timed_out", "more than 0.01 s")),
    ],
)
def test_limits(limits: dict[str, Any], rejected: Rejected | str, film: Path) -> None:
    found = cut_here(film, limited(**limits))
    assert isinstance(found, Rejected)
    assert rejected in (found, found.reason)


# --- what is damaged --------------------------------------------------------------------------------------------------


def streamed(path: Path, frames: Frames, codec: str, container: str) -> Path:
    """A file as a live stream writes it: without a duration and without a table of key frames."""

    class Pipe:
        def __init__(self) -> None:
            self.data = bytearray()

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

    pipe = Pipe()
    with av.open(pipe, "w", format=container) as output:  # type: ignore[arg-type]
        stream: Any = output.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_image(frame)))
        output.mux(stream.encode(None))
    path.write_bytes(pipe.data)
    return path


@pytest.mark.parametrize(("codec", "container"), [("libvpx", "webm"), ("libx264", "matroska")])
def test_a_container_that_tells_no_duration(codec: str, container: str, tmp_path: Path) -> None:
    path = streamed(tmp_path / "a", shots(2.0, 2.0), codec, container)
    with av.open(str(path)) as opened:
        assert opened.duration is None
    video = cut(path)
    assert (video.facts.duration, len(video.clips)) == (4.0, 2)
    assert cut_here(path, limited(max_duration=3.0)) == Rejected("too_long", "more than 3.0 s")
    assert cut_here(path, limited(max_frames=50)) == Rejected("too_many_frames", "more than 50")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mkv", "libx264", {}), ("a.webm", "libvpx", {}), ("a.avi", "mpeg4", {})],
)
def test_a_file_that_was_cut_off_gives_what_can_be_read(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = encode(tmp_path / name, shots(2.0, 2.0, 2.0), codec=codec, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    video = cut(path)
    assert video.clips[0].end >= 2.0 and 2.0 < video.facts.duration < 6.0


def test_an_mp4_whose_index_was_cut_off(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", shots(2.0))
    path.write_bytes(path.read_bytes()[:-200])
    rejected = cut_here(path, CONFIG)
    assert isinstance(rejected, Rejected) and rejected.reason == "unreadable_header"


def damaged(path: Path, begin: float, end: float) -> Path:
    """Sets every 50th byte of a part of the file to something else."""
    data = bytearray(path.read_bytes())
    for place in range(int(len(data) * begin), int(len(data) * end), 50):
        data[place] ^= 0xA5
    path.write_bytes(data)
    return path


def test_damaged_packets_are_counted(tmp_path: Path) -> None:
    path = damaged(encode(tmp_path / "a.mp4", shots(2.0, 2.0), gop=25), 0.3, 0.5)
    video = cut(path)
    assert video.damaged > 0 and video.clips
    rejected = cut_here(path, limited(max_damaged_share=0.0))
    assert isinstance(rejected, Rejected) and rejected.reason == "damaged"


def test_packets_that_hold_nothing_show_the_frame_before_on(tmp_path: Path) -> None:
    """AVI fills pauses with empty packets, as theora repeats a frame."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, image in enumerate(pan(pictures()[0], 3.0)):
            if number % 3 == 0:
                frame = av.VideoFrame.from_image(image)
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    video = cut(path)
    assert video.damaged == 0 and video.decoded == 25 and [clip.times for clip in video.clips] == [(0, 1.08, 2.04)]


def test_any_damage_gives_clips_or_a_reason(film: Path, tmp_path: Path) -> None:
    data = film.read_bytes()
    generator = np.random.default_rng(5)
    path = tmp_path / "a.mp4"
    outcomes = set()
    for _ in range(25):
        broken = bytearray(data[: int(generator.integers(len(data) // 2, len(data)))])
        for place in generator.integers(0, len(broken), 30):
            broken[place] = int(generator.integers(256))
        path.write_bytes(broken)
        result = cut_here(path, CONFIG)
        outcomes.add(result.reason if isinstance(result, Rejected) else "cut")
    assert outcomes
