"""Opening a video: what kind of file it is, its video stream, and its packets, damaged ones counted."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipelines.video.config import VideoProbeConfig
from pipelines.video.sniff import sniff_video
from schemas.rejection import Rejected

av.logging.set_level(av.logging.PANIC)

_DEMUXERS = {"mp4": "mov", "webm": "matroska", "mkv": "matroska", "ogv": "ogg", "avi": "avi"}
"""By name, so that a file can never choose one that opens other files or addresses (playlists, concatenations)."""
MAX_READ_ERRORS = 20
"""In a row, after which the rest of a file counts as lost."""
_ROOM = 4 << 20
"""Bytes beside its frames that a decoder may ask for at once."""
_SANE_ASPECT = 5.0
"""Sample aspect ratios beyond this, either way, are taken for damage."""


class TimedOut(Exception):  # noqa: N818  it is no defect
    """The work on a video has taken its time."""


@dataclass
class Work:
    """What is spent on one video, and what was lost of it."""

    seconds: float
    """Wall time that it may take."""
    began: float = field(default_factory=time.monotonic)
    damaged: int = 0
    decoded: int = 0

    def check(self) -> None:
        """
        Raises:
            TimedOut: the time is over.
        """
        if time.monotonic() - self.began > self.seconds:
            raise TimedOut(f"more than {self.seconds} s")


@dataclass(frozen=True)
class Opened:
    """A video that can be read."""

    container: InputContainer
    stream: VideoStream
    format: str
    """"mp4", "webm", "mkv", "ogv" or "avi"."""
    begin: float
    """Where the container's clock begins, seconds: times are told from there."""
    width: int
    """Pixels, with square pixels; not turned upright yet."""
    height: int

    @cached_property
    def tick(self) -> tuple[int, int]:
        """The stream's unit of time, seconds: numerator and denominator. Arithmetic of fractions takes longer than the
        decoding of a small frame."""
        base = self.stream.time_base
        return (base.numerator, base.denominator) if base else (0, 1)

    def seconds(self, thing: Any, otherwise: float) -> float:
        """When what a packet or frame of the stream holds is shown, from the beginning of the container's clock."""
        # Of frames that are left in a decoder PyAV does not tell the unit: it is the stream's.
        numerator, denominator = self.tick
        stamp = thing.pts
        if stamp is None:
            stamp = thing.dts
        return otherwise if stamp is None or not numerator else stamp * numerator / denominator - self.begin

    @property
    def frame_rate(self) -> float:
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)

    def close(self) -> None:
        self.container.close()


def open_video(path: Path, config: VideoProbeConfig) -> Opened | Rejected:
    """The video, if the header says that it is one and keeps the limits.

    Reasons: too_many_bytes, not_a_video, unsupported_container, unreadable_header, no_video_stream, unsupported_codec,
    too_small, too_large, and of what the header says too_long, too_many_frames. The caller closes it.
    """
    if (size := path.stat().st_size) > config.max_bytes:
        return Rejected("too_many_bytes", f"{size} bytes, at most {config.max_bytes}")
    with path.open("rb") as stream:
        name = sniff_video(stream.read(4096))
    if not name:
        return Rejected("not_a_video", "none of mp4, webm, mkv, ogv, avi")
    if name not in config.formats:
        return Rejected("unsupported_container", f"{name} is none of {', '.join(config.formats)}")
    try:
        container = av.open(
            f"file:{path.absolute()}", format=_DEMUXERS[name], metadata_errors="replace", mode="r", options=_OPTIONS
        )
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        return Rejected("unreadable_header", error_name(error))
    opened = _checked(container, name, config)
    if isinstance(opened, Rejected):
        container.close()
    return opened


_OPTIONS = {"protocol_whitelist": "file"}


def _checked(container: InputContainer, name: str, config: VideoProbeConfig) -> Opened | Rejected:
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        return Rejected("no_video_stream", f"{name} with {len(container.streams)} other streams")
    stream = streams[0]
    codec = codec_name(stream)
    if codec not in config.codecs:
        return Rejected("unsupported_codec", f"{codec or 'unknown'} is none of {', '.join(config.codecs)}")
    context = stream.codec_context
    # One thread: workers are the parallelism, and a limit of memory means the same on every machine.
    context.thread_count = 1
    width, height = square_size(context.width, context.height, stream.sample_aspect_ratio)
    if min(width, height) < config.min_side:
        return Rejected("too_small", f"{width} x {height}, sides at least {config.min_side}")
    if context.width * context.height > config.max_pixels:
        return Rejected("too_large", f"{context.width} x {context.height} pixels, at most {config.max_pixels}")
    begin = (container.start_time or 0) / av.time_base
    if (duration := header_duration(container, stream) or 0) > config.max_duration:
        return Rejected("too_long", f"{duration:.1f} s, at most {config.max_duration}")
    if stream.frames > config.max_frames:
        return Rejected("too_many_frames", f"{stream.frames}, at most {config.max_frames}")
    return Opened(container, stream, name, begin, width, height)


def codec_name(stream: Any) -> str:
    """FFmpeg's name of the codec, whichever of its decoders is used; empty if there is none."""
    context = stream.codec_context
    return context.codec.canonical_name if context else ""


def header_duration(container: InputContainer, stream: Any) -> float | None:
    """Seconds as the header says, the stream's own if it has one."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def square_size(width: int, height: int, aspect: Any) -> tuple[int, int]:
    """The size with square pixels: the side is enlarged whose pixels are longer, as players do."""
    ratio = float(aspect) if aspect else 1.0
    if ratio == 1 or not 1 / _SANE_ASPECT <= ratio <= _SANE_ASPECT:
        return width, height
    return (max(1, round(width * ratio)), height) if ratio > 1 else (width, max(1, round(height / ratio)))


def packets(opened: Opened, streams: Sequence[Any], work: Work) -> Iterator[Any]:
    """The packets of the streams that hold anything, as far as the file can be read.

    Raises:
        TimedOut: the time is over.
        MemoryError
    """
    failures = 0
    while failures <= MAX_READ_ERRORS:
        try:
            for packet in opened.container.demux(*streams):
                work.check()
                if packet.size:  # others end the stream, or (theora) say that the frame before is shown on
                    failures = 0
                    yield packet
            require_memory(0)  # for want of it, a demuxer may say that the file has ended
            return
        except MemoryError:
            raise
        except av.FFmpegError:
            failures += 1
            work.damaged += 1


def decode(context: Any, packet: Any, work: Work) -> list[Any]:
    """The whole frames that a packet completes; None as packet: those that are left in the decoder.

    Raises:
        MemoryError: what looks like damage is want of memory, which decoders do not always tell apart.
    """
    try:
        frames = context.decode(packet)
    except MemoryError:
        raise
    except av.FFmpegError:
        require_memory(context.width * context.height)
        work.damaged += packet is not None
        return []
    whole = [frame for frame in frames if not frame.is_corrupt]
    if len(whole) < len(frames):
        require_memory(context.width * context.height)
        work.damaged += len(frames) - len(whole)
    work.decoded += len(whole)
    return whole


def require_memory(pixels: int) -> None:
    """
    Raises:
        MemoryError: there is no room for some frames of so many pixels.
    """
    try:
        mmap(-1, _ROOM + 8 * pixels, flags=MAP_PRIVATE | MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError from error


def error_name(error: BaseException) -> str:
    """An error for a dead letter: without the file's name and addresses, so the same on every machine."""
    return f"{type(error).__name__}: {getattr(error, 'strerror', '') or error}"[:200]
