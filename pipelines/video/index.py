"""What the packets of a video say before any is decoded: its length, its key frames, its subtitles."""

from dataclasses import dataclass
from typing import Any

from pipelines.video.config import VideoProbeConfig
from pipelines.video.container import Opened, Work, codec_name, header_duration, packets
from pipelines.video.records import Cue, Track
from pipelines.video.subtitles import clean_cues, packet_text
from schemas.rejection import Rejected

TEXT_CODECS = ("mov_text", "subrip", "srt", "webvtt", "ass", "ssa", "text")
MAX_CUES = 100_000
MAX_TRACKS = 32
"""Of text that are read; films have up to about this many languages."""


@dataclass(frozen=True)
class Index:
    """The packets of a video stream in the order of decoding."""

    times: list[float]
    """Seconds on the container's clock, counted from its beginning."""
    keys: list[bool]
    """Whether decoding can begin with the packet."""
    duration: float
    """Seconds from the beginning to the end of the last frame."""
    tracks: tuple[Track, ...]


def read_index(opened: Opened, config: VideoProbeConfig, work: Work) -> Index | Rejected:
    """The index; reasons: no_frames, too_many_frames, too_long, too_short."""
    texts = [stream for stream in opened.container.streams.subtitles if codec_name(stream) in TEXT_CODECS][:MAX_TRACKS]
    cues: dict[int, list[Cue]] = {stream.index: [] for stream in texts}
    times: list[float] = []
    keys: list[bool] = []
    step = 1 / (opened.frame_rate or 25)
    last = -step
    for packet in packets(opened, [opened.stream, *texts], work):
        if packet.stream.index in cues:
            found = cues[packet.stream.index]
            if len(found) < MAX_CUES and (cue := _cue(packet, opened.begin)):
                found.append(cue)
            continue
        last = opened.seconds(packet, last + step)
        times.append(last)
        keys.append(bool(packet.is_keyframe))
        if len(times) > config.max_frames:
            return Rejected("too_many_frames", f"more than {config.max_frames}")
        if last > config.max_duration:
            return Rejected("too_long", f"more than {config.max_duration} s")
    if not times:
        return Rejected("no_frames", "no packet of the video stream can be read")
    duration = _duration(opened, times, step)
    if duration < config.min_duration:
        return Rejected("too_short", f"{duration:.2f} s, at least {config.min_duration}")
    tracks = tuple(Track((stream.language or "").lower(), clean_cues(cues[stream.index])) for stream in texts)
    return Index(times, keys, duration, tracks)


def _duration(opened: Opened, times: list[float], step: float) -> float:
    """By the last packet; the header may know how long its frame is shown, and not say much more than that."""
    by_packets = max(times) + step
    said = header_duration(opened.container, opened.stream)
    if said is None or not by_packets <= said <= by_packets + max(1.0, 2 * step):
        return by_packets
    return said


def _cue(packet: Any, begin: float) -> Cue | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    base = packet.time_base
    if stamp is None or not base or not packet.duration or packet.duration < 0:
        return None
    start, length = float(stamp * base) - begin, float(packet.duration * base)
    text = packet_text(codec_name(packet.stream), bytes(packet))
    return Cue(round(start, 3), round(start + length, 3), text) if text.strip() else None
