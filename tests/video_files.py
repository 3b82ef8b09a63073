"""Real pictures of the demo crawl as shots of a camera, encoded to real video files."""

import gzip
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from crawls import records
from PIL import Image

from pipelines.video.config import (
    FORMATS,
    ClipConfig,
    ClipTextConfig,
    CutConfig,
    FramesConfig,
    SceneConfig,
    VideoProbeConfig,
)

FPS = 25
SIZE = (192, 112)
CONFIG = CutConfig(
    video=VideoProbeConfig(
        formats=FORMATS,
        codecs=("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "theora"),
        max_bytes=50_000_000,
        min_duration=0.5,
        max_duration=120.0,
        min_side=32,
        max_pixels=2_000_000,
        max_frames=5000,
        max_damaged_share=0.5,
        max_work_seconds=60.0,
        max_memory_bytes=1_000_000_000,
    ),
    scenes=SceneConfig(
        fps=12.0,
        min_change=5.0,
        min_ratio=4.5,
        window_seconds=0.7,
        min_decorrelation=0.35,
        settle_seconds=0.4,
        min_scene_seconds=0.5,
        flat_deviation=4.0,
        flat_scene_seconds=2.0,
    ),
    clips=ClipConfig(
        min_seconds=1.5,
        target_seconds=4.0,
        max_seconds=6.0,
        join_below_seconds=0.0,
        max_clips=50,
        min_motion=7.0,
        min_deviation=4.0,
        max_dominant_share=0.95,
    ),
    frames=FramesConfig(
        keep="frames", fps=1.0, max_side=160, jpeg_quality=85, jpeg_subsampling="4:2:0", skip_share=0.5
    ),
    clip_text=ClipTextConfig(
        order=("subtitles", "caption", "description", "title"),
        languages=("en", "eng", ""),
        max_gap_seconds=2.0,
        max_sentence_seconds=15.0,
    ),
)

_EXAMPLES = "https://docs.gimp.org/2.10/en/images/"
_SKIMAGE = "https://scikit-image.org/docs/0.19.x/_images/sphx_glr_plot_"
_HANDBOOK = "https://debian-handbook.info/browse/stable/images/"
PICTURES = (
    _EXAMPLES + "filters/examples/taj_orig.jpg",
    _EXAMPLES + "tutorials/quickie-flip-example-source.jpg",
    _EXAMPLES + "tutorials/tone-mapping/power-lines.jpg",
    _EXAMPLES + "filters/examples/blur-taj-circular.jpg",
    _EXAMPLES + "using/default-layer-mode-hsv-hue.jpg",
    _EXAMPLES + "filters/examples/color-taj-exchange.jpg",
    _SKIMAGE + "deconvolution_001.png",
    _SKIMAGE + "register_translation_001.png",
    _HANDBOOK + "synaptic.png",
)


@lru_cache(maxsize=1)
def pictures() -> list[Image.Image]:
    """The pictures above, at least 1.5 times as large as a frame both ways."""
    stored = {record.url: record.stored for record in records() if record.kind == "response"}
    return [larger(opened(stored[url])) for url in PICTURES]


def opened(stored: bytes) -> Image.Image:
    return Image.open(BytesIO(gzip.decompress(stored).split(b"\r\n\r\n", 2)[2])).convert("RGB")


def larger(picture: Image.Image) -> Image.Image:
    scale = max(1.5 * SIZE[0] / picture.width, 1.5 * SIZE[1] / picture.height)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)


Frames = Iterable[Image.Image]


def pan(picture: Image.Image, seconds: float, fps: int = FPS, widths: float = 0.45) -> Iterator[Image.Image]:
    """The camera goes over the picture; `widths` is how far, in widths of a frame (at most 0.5)."""
    count = round(seconds * fps)
    room = SIZE[0] * widths
    for number in range(count):
        x, y = room * number / max(count - 1, 1), (picture.height - SIZE[1]) / 2
        yield picture.resize(SIZE, Image.Resampling.BILINEAR, box=(x, y, x + SIZE[0], y + SIZE[1]))


def zoom(picture: Image.Image, seconds: float, fps: int = FPS, factor: float = 1.5) -> Iterator[Image.Image]:
    """The camera comes nearer, by `factor` in all."""
    count = round(seconds * fps)
    for number in range(count):
        scale = 1.5 / factor ** (number / max(count - 1, 1))
        width, height = SIZE[0] * scale, SIZE[1] * scale
        x, y = (picture.width - width) / 2, (picture.height - height) / 2
        yield picture.resize(SIZE, Image.Resampling.BILINEAR, box=(x, y, x + width, y + height))


def still(picture: Image.Image, seconds: float, fps: int = FPS) -> Iterator[Image.Image]:
    frame = next(pan(picture, 1, 1))
    return (frame for _ in range(round(seconds * fps)))


def colour(rgb: tuple[int, int, int], seconds: float, fps: int = FPS) -> Iterator[Image.Image]:
    return (Image.new("RGB", SIZE, rgb) for _ in range(round(seconds * fps)))


def dimmed(frame: Image.Image, light: float) -> Image.Image:
    """0: black; 1: as it is; more: brighter."""
    return Image.fromarray(np.clip(np.asarray(frame) * light, 0, 255).astype(np.uint8))


def encode(
    path: Path,
    frames: Frames,
    *,
    codec: str = "libx264",
    fps: int = FPS,
    gop: int = 250,
    size: tuple[int, int] = SIZE,
    container: str | None = None,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
) -> Path:
    """Writes a video; `rotation`: degrees counterclockwise that players are told to turn it."""
    av.logging.set_level(av.logging.PANIC)
    speed = {"libx264": {"preset": "ultrafast", "crf": "26"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}
    speed["libvpx-vp9"] = speed["libvpx"]
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=fps, options={**speed.get(codec, {}), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.bit_rate = 1_000_000
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_image(frame)))
        output.mux(stream.encode(None))
    return path


def encode_with_sound(path: Path, frames: Frames, codec: str, sound: str, silent_seconds: float) -> Path:
    """A video with a tone beside it that begins after some seconds."""
    av.logging.set_level(av.logging.PANIC)
    rate, size = 48_000, 960
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size = FPS
        track: Any = output.add_stream(sound, rate=rate, layout="mono")
        packets = [packet for frame in frames for packet in stream.encode(av.VideoFrame.from_image(frame))]
        packets += stream.encode(None)
        samples = np.sin(np.arange(len(packets) * rate // FPS) * 0.06) * 0.5
        samples[: round(silent_seconds * rate)] = 0
        resampler = av.AudioResampler(format=track.format, layout="mono", rate=rate, frame_size=size)
        whole = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        whole.sample_rate, whole.pts = rate, 0
        for part in (*resampler.resample(whole), None):
            packets += track.encode(part)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


_ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n[Events]\nFormat: Text\n"
)


def encode_with_text_track(
    path: Path, frames: Frames, codec: str, cues: Iterable[tuple[float, float, bytes]], language: str
) -> Path:
    """A video with a text track beside it; `cues` hold packets as the codec stores them."""
    av.logging.set_level(av.logging.PANIC)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        track: Any = output.add_stream(codec)
        track.metadata["language"] = language
        track.codec_context.subtitle_header = _ASS_HEADER
        track.time_base = Fraction(1, 1000)
        packets = [packet for frame in frames for packet in stream.encode(av.VideoFrame.from_image(frame))]
        output.mux(packets + stream.encode(None))
        for start, end, data in cues:
            packet = av.Packet(data)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            output.mux(packet)
    return path


def encode_sound(path: Path) -> Path:
    """A file without a video stream: a second of silence."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        output.mux(stream.encode(frame) + stream.encode(None))
    return path
