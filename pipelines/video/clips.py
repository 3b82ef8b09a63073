"""From scenes to clips of a recipe's length, and which of them show too little to be kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from pipelines.video.config import ClipConfig
from pipelines.video.records import DroppedClip
from schemas.rejection import Rejected


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a video, seconds."""

    start: float
    end: float
    cuts: int = 0
    """How many cuts lie in it."""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class FrameMeasures:
    """What is measured of a sampled frame."""

    motion: float
    """Change of luma since the sampled frame before it, levels 0 to 255, that one part in fifty of the picture exceeds;
    of a video's first frame 0."""
    deviation: float
    """Largest standard deviation of a channel, levels 0 to 127.5."""
    dominant_share: float
    """Share of the most frequent colour, 0 to 1."""


def make_clips(cuts: Sequence[float], begin: float, end: float, config: ClipConfig) -> list[Span]:
    """Spans that tile the video from begin to end; none that is kept is longer than a clip may be.

    A scene stays whole if it is no longer than the longest clip, and is cut into equal parts of about the target
    otherwise. Scenes shorter than `join_below_seconds` are joined with those after them, the last one with that before
    it, as long as the sum may be a clip.
    """
    edges = [begin, *(cut for cut in cuts if begin < cut < end), end]
    scenes = [Span(start, stop) for start, stop in pairwise(edges) if stop > start]
    return [part for scene in _joined(scenes, config) for part in _parts(scene, config)]


def judge_length(span: Span, config: ClipConfig) -> Rejected | None:
    """Parts of a millisecond are nothing."""
    if span.seconds < config.min_seconds - 0.001:
        return Rejected("clip_too_short", f"{span.seconds:.3f} s, at least {config.min_seconds}")
    return None


def judge_content(frames: Sequence[FrameMeasures], config: ClipConfig) -> Rejected | None:
    """The first rule broken, if any: `no_frames`, `single_colour` or `still`."""
    if not frames:
        return Rejected("no_frames", "no frame could be decoded")
    measures = measure(frames)
    if measures["deviation"] < config.min_deviation:
        return Rejected("single_colour", f"standard deviation {measures['deviation']}, at least {config.min_deviation}")
    if measures["dominant_share"] > config.max_dominant_share:
        return Rejected(
            "single_colour", f"one colour has {measures['dominant_share']}, at most {config.max_dominant_share}"
        )
    if measures["motion"] < config.min_motion:
        return Rejected("still", f"greatest change {measures['motion']}, at least {config.min_motion}")
    return None


def measure(frames: Sequence[FrameMeasures]) -> dict[str, float]:
    """Of a clip: medians over its frames, and the greatest change from one of them to the next; 0 if it has one."""
    return {
        "motion": round(max((frame.motion for frame in frames[1:]), default=0.0), 4),
        "deviation": round(median(frame.deviation for frame in frames), 4),
        "dominant_share": round(median(frame.dominant_share for frame in frames), 4),
    }


def thin_out(spans: Sequence[Span], most: int) -> tuple[list[Span], list[DroppedClip]]:
    """At most so many of the spans, spread evenly over them, and the others."""
    if len(spans) <= most:
        return list(spans), []
    kept = {(2 * number + 1) * len(spans) // (2 * most) for number in range(most)}
    why = Rejected("too_many_clips", f"{len(spans)} clips, at most {most}")
    return (
        [span for number, span in enumerate(spans) if number in kept],
        [
            DroppedClip(start=span.start, end=span.end, rejected=why)
            for number, span in enumerate(spans)
            if number not in kept
        ],
    )


def _joined(scenes: Sequence[Span], config: ClipConfig) -> list[Span]:
    joined: list[Span] = []
    for scene in scenes:
        if joined and joined[-1].seconds < config.join_below_seconds and _fit(joined[-1], scene, config):
            joined[-1] = _union(joined[-1], scene)
        else:
            joined.append(scene)
    if len(joined) > 1 and joined[-1].seconds < config.join_below_seconds and _fit(joined[-2], joined[-1], config):
        joined[-2:] = [_union(joined[-2], joined[-1])]
    return joined


def _fit(first: Span, second: Span, config: ClipConfig) -> bool:
    return second.end - first.start <= config.max_seconds


def _union(first: Span, second: Span) -> Span:
    return Span(first.start, second.end, first.cuts + 1 + second.cuts)


def _parts(scene: Span, config: ClipConfig) -> list[Span]:
    if scene.seconds <= config.max_seconds:
        return [scene]
    count = max(round(scene.seconds / config.target_seconds), math.ceil(scene.seconds / config.max_seconds))
    edges = [scene.start + scene.seconds * number / count for number in range(count)] + [scene.end]
    return [Span(round(start, 3), round(stop, 3)) for start, stop in pairwise(edges)]
