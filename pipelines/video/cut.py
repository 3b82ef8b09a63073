"""One video to its clips, in this process: what the child of isolated.py runs."""

from pathlib import Path

from pipelines.video.clips import FrameMeasures, Span, judge_content, judge_length, make_clips, measure, thin_out
from pipelines.video.config import CutConfig
from pipelines.video.container import Opened, TimedOut, Work, codec_name, open_video
from pipelines.video.frames import Sampled, opener, sample
from pipelines.video.index import Index, read_index
from pipelines.video.records import Clip, CutVideo, DroppedClip, VideoFacts
from pipelines.video.remux import remux
from pipelines.video.scenes import find_cuts
from schemas.rejection import Rejected


def cut_here(path: Path, config: CutConfig) -> CutVideo | Rejected:
    """The clips of a video, without texts.

    Reasons: those of `open_video` and `read_index`, and undecodable, damaged, timed_out. A crash, a hang or the want of
    memory of a decoder is this process's: see `cut_video`.
    """
    work = Work(config.video.max_work_seconds)
    try:
        return _cut(path, config, work)
    except TimedOut as timed_out:
        return Rejected("timed_out", str(timed_out))


def _cut(path: Path, config: CutConfig, work: Work) -> CutVideo | Rejected:
    opened = open_video(path, config.video)
    if isinstance(opened, Rejected):
        return opened
    try:
        index = read_index(opened, config.video, work)
    finally:
        opened.close()
    if isinstance(index, Rejected):
        return index
    again = opener(path, config)
    opened = again()
    work.damaged = 0  # what the index could not read is met again
    try:
        sampled = sample(opened, again, index, config, work)
        if sampled is None:
            return Rejected("undecodable", f"no frame of {len(index.times)} packets")
        if work.damaged > config.video.max_damaged_share * len(index.times):
            share = work.damaged / len(index.times)
            return Rejected("damaged", f"{share:.3f} of the packets, at most {config.video.max_damaged_share}")
        facts = _facts(opened, index, sampled)
    finally:
        opened.close()
    cuts = find_cuts(sampled.samples, config.scenes)
    clips, dropped = _clips(cuts, index, sampled, config)
    if config.frames.keep == "clip":
        clips = [remux(again, clip, work) for clip in clips]
    return CutVideo(
        facts=facts,
        clips=tuple(clips),
        dropped=tuple(dropped),
        cuts=tuple(round(cut, 3) for cut in cuts),
        damaged=work.damaged,
        decoded=work.decoded,
        tracks=index.tracks,
    )


def _facts(opened: Opened, index: Index, sampled: Sampled) -> VideoFacts:
    return VideoFacts(
        container=opened.format,
        codec=codec_name(opened.stream),
        duration=round(index.duration, 3),
        width=sampled.width,
        height=sampled.height,
        frame_rate=round(opened.frame_rate, 3),
        frames=len(index.times),
        key_frames=sum(index.keys),
        rotation=sampled.rotation,
    )


def _clips(
    cuts: list[float], index: Index, sampled: Sampled, config: CutConfig
) -> tuple[list[Clip], list[DroppedClip]]:
    good: list[Span] = []
    dropped: list[DroppedClip] = []
    for span in make_clips(cuts, sampled.begin, index.duration, config.clips):
        why = judge_length(span, config.clips)
        why = why or judge_content([_measures(sampled, number) for number in _within(sampled, span)], config.clips)
        if why:
            dropped.append(DroppedClip(start=round(span.start, 3), end=round(span.end, 3), rejected=why))
        else:
            good.append(span)
    kept, crowd = thin_out(good, config.clips.max_clips)
    return [_clip(sampled, span) for span in kept], sorted(dropped + crowd, key=lambda clip: clip.start)


def _within(sampled: Sampled, span: Span) -> list[int]:
    """Numbers of the pictures of a stretch."""
    return [number for number, picture in enumerate(sampled.pictures) if span.start <= picture.time < span.end]


def _measures(sampled: Sampled, number: int) -> FrameMeasures:
    picture = sampled.pictures[number]
    return FrameMeasures(sampled.motions[number], picture.deviation, picture.dominant_share)


def _clip(sampled: Sampled, span: Span) -> Clip:
    numbers = _within(sampled, span)
    pictures = [sampled.pictures[number] for number in numbers]
    return Clip(
        start=round(span.start, 3),
        end=round(span.end, 3),
        times=tuple(round(picture.time, 3) for picture in pictures),
        frames=tuple(picture.jpeg for picture in pictures),
        width=pictures[0].width,
        height=pictures[0].height,
        measures={**measure([_measures(sampled, number) for number in numbers]), "cuts": float(span.cuts)},
    )
