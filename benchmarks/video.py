"""Clips per second of one core, from a video file to clips with JPEG frames, beside bare decoding of the same files."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import av
import psutil

from benchmarks.machine import ROOT, Result, Table, say
from benchmarks.pages import timed
from pipelines.recipe import VideoRecipe, load_recipe
from pipelines.video.config import CutConfig
from pipelines.video.cut import cut_here
from pipelines.video.isolated import child_pid, cut_isolated
from pipelines.video.records import CutVideo

DEMO = ROOT / "demo" / "videos"
FPS = 24


class Made(NamedTuple):
    file: str
    codec: str
    size: tuple[int, int]
    distance: int
    """Frames from one key frame to the next."""
    bit_rate: int


MADE = {
    "h264, 1280 x 720, key frames 10 s apart": Made("long.mp4", "libx264", (1280, 720), 240, 2_000_000),
    "h264, 640 x 360, key frames 10 s apart": Made("small.mp4", "libx264", (640, 360), 240, 700_000),
    "h264, 1280 x 720, key frames 0.5 s apart": Made("dense.mp4", "libx264", (1280, 720), 12, 3_000_000),
    "vp9, 854 x 480, key frames 5 s apart": Made("vp9.webm", "libvpx-vp9", (854, 480), 120, 750_000),
}
"""What is encoded of the demo's trailer, frame for frame, twice as fast, at about the bit rates of video sites."""
AS_THEY_ARE = {
    "the demo's trailer: h264, 426 x 240, 12 a second": "trailer.mp4",
    "the demo's screen recording: vp8, 1024 x 768, 15 a second": "monitors.webm",
}


@dataclass(frozen=True)
class Video:
    """One file, and the processor seconds that were spent on it, by what they were spent on."""

    name: str
    path: Path
    cut: CutVideo
    times: dict[str, float]

    bare_by: str
    """The way of bare decoding that takes less."""


def measure(scratch: Path, quick: bool) -> Result:
    recipe = load_recipe("vtp")
    assert isinstance(recipe, VideoRecipe)
    config = CutConfig(
        video=recipe.video,
        scenes=recipe.scenes,
        clips=recipe.clips,
        frames=recipe.frames,
        clip_text=recipe.clip_text,
    )
    frames, repeats = (96, 1) if quick else (660, 3)
    fps = config.frames.fps
    files = {name: encode(scratch / made.file, frames, made) for name, made in MADE.items()}
    files |= {name: DEMO / file for name, file in AS_THEY_ARE.items()}
    videos = []
    for name, path in files.items():
        say(f"video: {name}")
        cut = cut_isolated(path, config)  # also starts the child
        if not isinstance(cut, CutVideo):
            raise RuntimeError(f"{name}: {cut}")
        way = faster_way(path, fps)
        runs: dict[str, Callable[[], float]] = {
            "bare": lambda path=path, way=way: timed(lambda: BARE[way](path, fps)),  # type: ignore[misc]
            "cut": lambda path=path: timed(lambda: cut_here(path, config)),  # type: ignore[misc]
            "isolated": lambda path=path: with_child(lambda: cut_isolated(path, config)),  # type: ignore[misc]
        }
        rounds = [{what: run() for what, run in runs.items()} for _ in range(repeats)]
        times = {what: median(found[what] for found in rounds) for what in runs}
        videos.append(Video(name, path, cut, times, way))
    return Result(
        "video",
        "How many clips one core cuts out of videos: read the packets, decode, find the cuts, judge, and encode frames "
        "at 1 a second as JPEG. Beside it bare decoding (PyAV, one thread, frames at 1 a second, nothing done with "
        "them), of the whole file or by seeking, whichever takes less.",
        (speed_table(videos), work_table(videos)),
        (
            f"Clips of {sum(video.cut.facts.duration for video in videos) / clips(videos):.1f} s on average, kept and "
            "dropped; recipe vtp. All files show real pictures (Big Buck Bunny's trailer of the demo; its screen "
            "recording).",
            f"Processor time, median of {repeats} rounds; of the isolated process that of all its processes.",
            "The goal is 0.8 of bare decoding. Above 1 are files of which not every frame has to be decoded: those "
            "that no other refers to, and of which nothing is made (frames are looked at 12 times a second). Below are "
            "small pictures, where the JPEGs of a frame a second weigh most, and dense key frames, between which bare "
            "decoding seeks and cuts must be looked for.",
            "video2dataset 1.3.0 could not be run beside it: with a video subsampler its download stage ends in an "
            "AttributeError, with cutting alone its shard was not done after 200 s.",
        ),
    )


def clips(videos: list[Video]) -> int:
    return sum(len(video.cut.clips) + len(video.cut.dropped) for video in videos)


def speed_table(videos: list[Video]) -> Table:
    rows = [row(video.name, clips([video]), video.times) for video in videos]
    rows.append(
        row("all", clips(videos), {what: sum(video.times[what] for video in videos) for what in videos[0].times})
    )
    return Table(("one core", "bare, clips/s", "cut, clips/s", "of bare", "isolated, clips/s", "of bare"), rows)


def row(name: str, count: int, times: dict[str, float]) -> tuple[str, ...]:
    cells = [name, f"{count / times['bare']:.1f}"]
    for what in ("cut", "isolated"):
        cells += [f"{count / times[what]:.1f}", f"{times['bare'] / times[what]:.2f}"]
    return tuple(cells)


def work_table(videos: list[Video]) -> Table:
    return Table(
        ("file", "seconds of video", "bare by", "frames", "of them decoded", "cuts", "JPEGs", "real time / cut"),
        [
            (
                video.name,
                f"{video.cut.facts.duration:.1f}",
                video.bare_by,
                str(video.cut.facts.frames),
                str(video.cut.decoded),
                str(len(video.cut.cuts)),
                str(sum(len(clip.frames) for clip in video.cut.clips)),
                f"{video.cut.facts.duration / video.times['cut']:.0f}",
            )
            for video in videos
        ],
        "What was done",
    )


def encode(path: Path, count: int, made: Made) -> Path:
    """The first frames of the trailer in another size and codec."""
    av.logging.set_level(av.logging.PANIC)
    options = {"preset": "veryfast"} if made.codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(made.codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *made.size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.bit_rate = made.distance, made.bit_rate
        for number, frame in enumerate(islice(opened_frames(DEMO / "trailer.mp4"), count)):
            scaled = frame.reformat(width=made.size[0], height=made.size[1])
            scaled.pts, scaled.time_base = number, Fraction(1, FPS)
            scaled.pict_type = 0
            output.mux(stream.encode(scaled))
        output.mux(stream.encode(None))
    return path


def opened_frames(path: Path) -> Iterator[av.VideoFrame]:
    """All frames of a file, decoded by one thread."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        yield from frames_from_here(container)


def frames_from_here(container: Any) -> Iterator[av.VideoFrame]:
    for packet in container.demux(container.streams.video[0]):
        with suppress(av.FFmpegError):  # as a seek may end beside a key frame
            yield from packet.decode()


def decode_all(path: Path, fps: float) -> int:
    """Decodes everything; how many frames were wanted."""
    wanted, due = 0, 0.0
    for frame in opened_frames(path):
        if frame.time >= due - 0.001:
            wanted, due = wanted + 1, (int((frame.time + 0.001) * fps) + 1) / fps
    return wanted


def seek(path: Path, fps: float) -> int:
    """Seeks to each wanted time and decodes from the key frame before it; how many frames were found."""
    wanted, due = 0, 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        while True:
            container.seek(round((due + 0.001) * av.time_base))
            found = next((frame for frame in frames_from_here(container) if frame.time >= due - 0.001), None)
            if found is None:
                return wanted
            wanted, due = wanted + 1, (int((found.time + 0.001) * fps) + 1) / fps


BARE: dict[str, Callable[[Path, float], int]] = {"decoding all": decode_all, "seeking": seek}


def faster_way(path: Path, fps: float) -> str:
    """Of those that find all frames: where a container's table of key frames is wrong, seeking does not."""
    wanted = decode_all(path, fps)
    times = {}
    for way, function in BARE.items():
        found: list[int] = []
        times[way] = timed(lambda function=function, found=found: found.append(function(path, fps)))  # type: ignore[misc]
        if found[0] < wanted:
            del times[way]
    return min(times, key=lambda way: times[way])


def with_child(work: Callable[[], object]) -> float:
    """Processor seconds of this process, of the child that cuts videos and of what that forks."""
    child = psutil.Process(child_pid())
    before = sum(child.cpu_times()[:4])
    own = timed(work)
    return own + sum(child.cpu_times()[:4]) - before
