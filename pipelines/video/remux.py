"""A clip's own packets as a file of their own: not decoded, not encoded again."""

import io
from collections.abc import Callable
from dataclasses import replace

import av

from pipelines.video.container import Opened, Work, packets
from pipelines.video.index import seconds
from pipelines.video.records import Clip

BITEXACT = 0x0400
"""AVFMT_FLAG_BITEXACT: no random identifiers, no version of the library."""
MP4_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4")
"""What players expect in mp4; anything else goes into Matroska."""


def remux(again: Callable[[], Opened], clip: Clip, work: Work) -> Clip:
    """The clip with `media`: the video's packets from the last key frame before its start up to its end.

    Sound is left out. The file is read once for each clip.

    Raises:
        TimedOut: the time is over.
    """
    opened = again()
    try:
        codec = opened.stream.codec_context.codec.canonical_name
        extension = "mp4" if codec in MP4_CODECS else "mkv"
        buffer = io.BytesIO()
        output = av.open(buffer, mode="w", format="mp4" if extension == "mp4" else "matroska")
        output.flags |= BITEXACT
        stream = output.add_stream_from_template(opened.stream)
        kept = _packets_of(opened, clip, work)
        base = float(opened.stream.time_base or 0)
        first = min((packet.dts for packet in kept if packet.dts is not None), default=0)
        for packet in kept:
            packet.pts = None if packet.pts is None else packet.pts - first
            packet.dts = None if packet.dts is None else packet.dts - first
            packet.stream = stream
            output.mux(packet)
        output.close()
        offset = clip.start + opened.begin - first * base
        return replace(clip, media=buffer.getvalue(), media_offset=round(offset, 3), extension=extension)
    finally:
        opened.close()


def _packets_of(opened: Opened, clip: Clip, work: Work) -> list[av.Packet]:
    """The packets from the last key frame at or before the start."""
    kept: list[av.Packet] = []
    for packet in packets(opened, [opened.stream], work):
        time = seconds(packet, opened.begin, 0.0)
        if packet.is_keyframe:
            if time <= clip.start + 0.001:
                kept = []
            elif time >= clip.end:
                break
        if time < clip.end and (kept or packet.is_keyframe):
            kept.append(packet)
    return kept
