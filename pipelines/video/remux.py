"""A clip's own packets as a file of their own: not decoded, not encoded again."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import av

from pipelines.video.container import Opened, Work, codec_name, packets
from pipelines.video.records import Clip

BITEXACT = 0x0400
"""AVFMT_FLAG_BITEXACT: no random identifiers, no version of the library."""
MP4_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4")
"""What players expect in mp4; anything else goes into Matroska."""
SOUND = {"mp4": ("aac", "mp3", "opus", "flac", "ac3"), "mkv": ("aac", "mp3", "opus", "flac", "ac3", "vorbis")}
"""Codecs of sound that are kept, by the file that they go into."""
LATE_SOUND = 1.0
"""Seconds by which the packets of sound may stand in a file behind those of the pictures of the same time."""


def remux(again: Callable[[], Opened], clip: Clip, work: Work, *, with_sound: bool = True) -> Clip:
    """The clip with `media`: the packets from the last key frame before its start up to its end.

    The first track of sound comes with it, if it is of a codec of `SOUND`; what cannot be written with it is written
    without. The file is read once for each clip.

    Raises:
        TimedOut: the time is over.
    """
    opened = again()
    try:
        extension = "mp4" if codec_name(opened.stream) in MP4_CODECS else "mkv"
        sounds = [stream for stream in opened.container.streams.audio if with_sound and audible(stream, extension)][:1]
        return _written(opened, sounds, clip, extension, work)
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        if not with_sound:
            raise
    finally:
        opened.close()
    return remux(again, clip, work, with_sound=False)


def audible(stream: Any, extension: str) -> bool:
    """Whether sound can be kept in a file of this kind."""
    return codec_name(stream) in SOUND[extension] and bool(stream.codec_context.sample_rate)


def _written(opened: Opened, sounds: Sequence[Any], clip: Clip, extension: str, work: Work) -> Clip:
    kept = _packets_of(opened, sounds, clip, work)
    buffer = io.BytesIO()
    output = av.open(buffer, mode="w", format="mp4" if extension == "mp4" else "matroska")
    output.flags |= BITEXACT
    streams = {
        stream.index: output.add_stream_from_template(stream, opaque=True) for stream in (opened.stream, *sounds)
    }
    numerator, denominator = opened.tick
    stamps = [packet.dts for packet in kept if packet.stream.index == opened.stream.index and packet.dts is not None]
    begin = min(stamps, default=0) * numerator / denominator
    for packet in kept:
        first = round(begin / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - first
        packet.dts = None if packet.dts is None else packet.dts - first
        packet.stream = streams[packet.stream.index]
        output.mux(packet)
    output.close()
    offset = clip.start + opened.begin - begin
    return replace(clip, media=buffer.getvalue(), media_offset=round(offset, 3), extension=extension)


def _packets_of(opened: Opened, sounds: Sequence[Any], clip: Clip, work: Work) -> list[av.Packet]:
    """The packets from the last key frame at or before the start, and those of the sound from then on."""
    kept: list[tuple[float, av.Packet]] = []
    base = sounds[0].time_base if sounds else None
    begun = False
    for packet in packets(opened, [opened.stream, *sounds], work):
        if packet.stream.index != opened.stream.index:
            if base and packet.pts is not None:
                time = packet.pts * base.numerator / base.denominator - opened.begin
                if time < clip.end:
                    kept.append((time, packet))
            continue
        time = opened.seconds(packet, 0.0)
        if packet.is_keyframe:
            if time <= clip.start + 0.001:
                # of what came before only the sound of the same time stays
                kept = [(heard, sound) for heard, sound in kept if heard >= time and sound.stream.type == "audio"]
                begun = True
            elif time >= clip.end + (LATE_SOUND if sounds else 0):
                break
        if time < clip.end and (begun or packet.is_keyframe):
            begun = True
            kept.append((time, packet))
    return [packet for _, packet in kept]
