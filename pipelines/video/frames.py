"""Decoding a video once: thumbnails to find its cuts with, and the frames that are stored.

A file whose key frames are sparse is decoded from end to end. Where they are dense, decoding goes from each key frame
only as far as the last frame wanted before the next one; what is skipped is decoded after all where the pictures on its
two sides differ enough for a cut. The same frames are stored either way.

Of frames that nothing is made of, decoders leave out those that no other frame refers to: what comes out is the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.video.config import CutConfig
from pipelines.video.container import Opened, Work, codec_name, decode, open_video, packets
from pipelines.video.index import Index
from pipelines.video.pictures import Picture, PictureMaker, Points, Thumbnailer, thumbnails
from pipelines.video.scenes import LUMA, Samples, Thumbnails, suspicious

EARLY = 0.001
"""Seconds: a frame this much before its time is the one for it; clocks of containers are rounded."""

LOCAL = 0.98
"""What moves is seen in a few cells of a thumbnail; a mean would be that of the encoder's noise, which is in all."""
BLOCK = 64
"""Thumbnails that are made at once."""
SKIPPING = ("h264", "hevc")
"""Codecs whose encoders make frames that no other refers to, and whose packets say when their frame is shown (but in
AVI)."""
MAX_RATE = 240.0
"""Frames a second beyond which a header's word is not believed."""


@dataclass(frozen=True)
class Sampled:
    """What decoding gave."""

    samples: Samples
    pictures: list[Picture]
    motions: list[float]
    """For each picture, by how many levels the luma of one cell in fifty has changed since the one before, or more; 0
    for the first."""
    rotation: int
    width: int
    """Of the video: upright, with square pixels."""
    height: int
    begin: float
    """Time of the first frame."""


class Sampler:
    """Takes what is wanted of each decoded frame; holds no frame."""

    def __init__(self, opened: Opened, config: CutConfig) -> None:
        self.opened, self.config = opened, config
        self.thumbnailer = Thumbnailer()
        self.maker: PictureMaker | None = None
        self.times: list[float] = []
        self.thumbnails: list[Thumbnails] = []
        self.points: list[Points] = []
        """Of the frames after those of `thumbnails`, and at least of the last."""
        self.near: list[bool] = []
        self.pictures: list[Picture] = []
        self.pictured: list[int] = []
        """Numbers of the thumbnails of the pictured frames."""
        self.step = 1 / (opened.frame_rate or 25)
        self.stride = stride(opened.frame_rate, config.scenes.fps)
        self.last = -math.inf
        self.look_at = -math.inf
        self.picture_at = -math.inf

    def see(self, frame: Any, *, near: bool = True, look: bool = False) -> None:
        """Frames come in the order of their times; those that do not are left out.

        Args:
            near: whether all frames since the last that was seen have been decoded.
            look: whether a thumbnail is wanted in any case.
        """
        time = self.time_of(frame)
        if time <= self.last:
            return
        self.last = time
        picture = time >= self.picture_at - EARLY
        if not (picture or look or time >= self.look_at - EARLY):
            return
        self.times.append(time)
        if len(self.points) == BLOCK:
            self.thumbnails.append(thumbnails(self.points))
            self.points.clear()
        self.points.append(self.thumbnailer.points(frame))
        self.near.append(near)
        self.look_at = time + self.stride
        if picture:
            if self.maker is None:
                self.maker = PictureMaker(frame, self.opened.width, self.opened.height, self.config.frames)
            self.pictures.append(self.maker.make(frame, time))
            self.pictured.append(len(self.times) - 1)
            self.picture_at = next_multiple(time, self.config.frames.fps)

    def wanted(self, times: Sequence[float], *, look: bool = False) -> set[float]:
        """Which frames of these times something would be made of, if they came next: what `see` would decide.

        Args:
            look: whether a thumbnail of the first is wanted in any case.
        """
        last, look_at, picture_at = self.last, self.look_at, self.picture_at
        found = set()
        for time in sorted(round(time, 6) for time in times):
            picture = time >= picture_at - EARLY
            if time > last and (picture or look or time >= look_at - EARLY):
                look = False
                found.add(time)
                look_at = time + self.stride
                picture_at = next_multiple(time, self.config.frames.fps) if picture else picture_at
        return found

    def time_of(self, frame: Any) -> float:
        return round(self.opened.seconds(frame, self.last + self.step), 6)

    def result(self) -> Sampled | None:
        """None if no frame was seen."""
        if self.maker is None:
            return None
        rows = np.concatenate([*self.thumbnails, thumbnails(self.points)])
        luma = rows[self.pictured, :LUMA].astype(np.int16)
        return Sampled(
            samples=Samples(np.array(self.times), rows, np.array(self.near)),
            pictures=self.pictures,
            motions=[0.0, *np.quantile(np.abs(np.diff(luma, axis=0)), LOCAL, axis=1).tolist()],
            rotation=self.maker.rotation,
            width=self.maker.upright[0],
            height=self.maker.upright[1],
            begin=self.times[0],
        )


def stride(frame_rate: float, fps: float) -> float:
    """Seconds after a thumbnail before the next: a whole number of frames less a half, so that steps are equal."""
    if not fps < frame_rate <= MAX_RATE:
        return 0.0 if frame_rate <= fps else 1 / fps
    return (max(1, round(frame_rate / fps)) - 0.5) / frame_rate


def next_multiple(time: float, fps: float) -> float:
    """The first multiple of 1 / fps after a time."""
    return (math.floor((time + EARLY) * fps) + 1) / fps


def sample(opened: Opened, again: Callable[[], Opened], index: Index, config: CutConfig, work: Work) -> Sampled | None:
    """Decodes the video from where its container stands.

    Args:
        again: opens the same file once more; used only if a part that was skipped must be decoded.

    Raises:
        TimedOut: the time is over.
    """
    sampler = Sampler(opened, config)
    if skipping_share(index, config.frames.fps) < config.frames.skip_share:
        _Skipping(opened, again, sampler, config, work).run()
    else:
        decoder = Decoder(opened, sampler.wanted(index.times), work)
        for packet in packets(opened, [opened.stream], work):
            for frame in decoder.decode(packet):
                sampler.see(frame)
        for frame in decoder.rest():
            sampler.see(frame)
    return sampler.result()


class Decoder:
    """Gives the frames of packets, of those that are not wanted perhaps not all."""

    def __init__(self, opened: Opened, wanted: set[float], work: Work) -> None:
        self.opened, self.wanted, self.work = opened, wanted, work
        self.context = opened.stream.codec_context
        self.skips = codec_name(opened.stream) in SKIPPING and opened.format != "avi"
        self.all = True

    def decode(self, packet: Any) -> list[Any]:
        """The whole frames that a packet completes."""
        # One without a time of its own may hold any frame.
        needed = not self.skips or packet.pts is None or round(self.opened.seconds(packet, 0.0), 6) in self.wanted
        if needed != self.all:
            self.all = needed
            self.context.skip_frame = "DEFAULT" if needed else "NONREF"
        return decode(self.context, packet, self.work)

    def rest(self) -> list[Any]:
        """Those that are left in the decoder."""
        return decode(self.context, None, self.work)

    def group(self, packets: Sequence[Any]) -> Iterator[Any]:
        """The frames of packets that begin with a key frame; the decoder is as new afterwards."""
        try:
            for packet in packets:
                self.work.check()
                yield from self.decode(packet)
            yield from self.rest()
        finally:
            self.context.flush_buffers()
            self.context.skip_frame = "DEFAULT"


def skipping_share(index: Index, fps: float) -> float:
    """Share of the packets that must be decoded if the rest may be skipped; 1 if nothing may."""
    starts = [number for number, key in enumerate(index.keys) if key]
    if not starts:
        return 1.0
    last = -math.inf
    count = 0
    for first, end in pairwise([*starts, len(index.keys)]):
        times = index.times[first:end]
        if min(times) < times[0]:
            return 1.0  # frames shown before their key frame may refer to the group before, which is then not there
        count += needed(times, last, fps)
        last = max(times)
    return count / (len(index.keys) - starts[0])


def needed(times: Sequence[float], last: float, fps: float) -> int:
    """How many packets of a group, which begins with a key frame, must be decoded for its last wanted frame.

    Args:
        times: of the group's packets, in the order of decoding.
        last: the latest time of the group before.
    """
    due = math.floor((max(times) + EARLY) * fps) / fps
    if due - EARLY <= last:
        return 1
    wanted = min(time for time in times if time >= due - EARLY)
    return times.index(wanted) + 1


class _Skipping:
    """Decodes by groups of packets that begin with a key frame."""

    def __init__(
        self, opened: Opened, again: Callable[[], Opened], sampler: Sampler, config: CutConfig, work: Work
    ) -> None:
        self.opened, self.again, self.sampler, self.config, self.work = opened, again, sampler, config, work
        self.before: list[Any] = []
        """The group before, if not all of it was decoded."""
        self.last = -math.inf
        self.second: Opened | None = None

    def run(self) -> None:
        try:
            for group in self.groups():
                self.decode_group(group)
        finally:
            if self.second:
                self.second.close()

    def groups(self) -> Iterator[list[Any]]:
        group: list[Any] = []
        for packet in packets(self.opened, [self.opened.stream], self.work):
            if packet.is_keyframe and group:
                yield group
                group = []
            if group or packet.is_keyframe:
                group.append(packet)
        if group:
            yield group

    def decode_group(self, group: list[Any]) -> None:
        times: list[float] = []
        for packet in group:
            times.append(self.opened.seconds(packet, times[-1] if times else self.last))
        count = needed(times, self.last, self.config.frames.fps)
        self.last = max(times)
        wanted = self.sampler.wanted(times[:count], look=True)
        for number, frame in enumerate(Decoder(self.opened, wanted, self.work).group(group[:count])):
            first = number == 0
            self.sampler.see(frame, near=not first or self.bridged(frame), look=first)
        self.before = group if count < len(group) else []

    def bridged(self, frame: Any) -> bool:
        """Whether all frames before this one have been decoded, the skipped ones now if a cut may be among them."""
        if not self.before or not self.sampler.times:
            return True
        pair = thumbnails([self.sampler.points[-1], self.sampler.thumbnailer.points(frame)])
        if not suspicious(pair[:1], pair[1:], self.config.scenes):
            return False
        self.second = self.second or self.again()
        until = self.sampler.time_of(frame)
        self.sampler.last = self.sampler.times[-1]
        wanted = self.sampler.wanted([self.opened.seconds(packet, until) for packet in self.before])
        for skipped in Decoder(self.second, wanted, self.work).group(self.before):
            if self.sampler.time_of(skipped) < until:
                self.sampler.see(skipped)
        return True


def opener(path: Path, config: CutConfig) -> Callable[[], Opened]:
    """Opens a file that has been opened before."""

    def again() -> Opened:
        opened = open_video(path, config.video)
        assert isinstance(opened, Opened), "a file that could be opened can be opened again"
        return opened

    return again
