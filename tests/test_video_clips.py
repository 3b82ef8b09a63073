"""From scenes to clips."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import CONFIG

from pipelines.video.clips import FrameMeasures, Span, judge_content, judge_length, make_clips, measure, thin_out
from schemas.rejection import Rejected

CLIPS = replace(CONFIG.clips, min_seconds=2.0, target_seconds=22.0, max_seconds=33.0)
JOINING = replace(CLIPS, join_below_seconds=10.0)


def lengths(spans: list[Span]) -> list[float]:
    return [round(span.seconds, 3) for span in spans]


@pytest.mark.parametrize(
    ("cuts", "end", "expected"),
    [
        ([], 20.0, [20.0]),
        ([], 33.0, [33.0]),
        ([], 34.0, [17.0, 17.0]),
        ([], 66.0, [22.0, 22.0, 22.0]),
        ([], 100.0, [20.0] * 5),
        ([1.0, 15.0], 20.0, [1.0, 14.0, 5.0]),
        ([15.0], 65.0, [15.0, 25.0, 25.0]),
        ([0.0, 20.0], 20.0, [20.0]),
    ],
)
def test_clips_never_go_across_a_cut(cuts: list[float], end: float, expected: list[float]) -> None:
    spans = make_clips(cuts, 0.0, end, CLIPS)
    assert lengths(spans) == expected
    assert all(span.cuts == 0 for span in spans)


@pytest.mark.parametrize(
    ("cuts", "end", "expected"),
    [
        ([1.0, 15.0], 20.0, [20.0]),
        ([1.0, 4.0, 12.0, 30.0], 32.0, [12.0, 20.0]),
        ([5.0], 37.0, [5.0, 32.0]),
        ([12.0], 24.0, [12.0, 12.0]),
        ([12.0, 21.0], 30.0, [12.0, 18.0]),
        ([30.0], 35.0, [30.0, 5.0]),
    ],
)
def test_short_scenes_are_joined_where_that_is_wanted(cuts: list[float], end: float, expected: list[float]) -> None:
    assert lengths(make_clips(cuts, 0.0, end, JOINING)) == expected


def test_cuts_within_a_clip_are_counted() -> None:
    assert [span.cuts for span in make_clips([1.0, 4.0, 12.0, 30.0], 0.0, 32.0, JOINING)] == [2, 1]


@given(
    st.lists(st.floats(0.01, 300.0), max_size=30),
    st.floats(0.0, 5.0),
    st.floats(0.1, 300.0),
    st.sampled_from([CLIPS, JOINING, replace(CLIPS, target_seconds=30.0)]),
)
def test_clips_tile_the_video(cuts: list[float], begin: float, length: float, config: object) -> None:
    spans = make_clips(sorted(cuts), begin, begin + length, config)  # type: ignore[arg-type]
    assert spans[0].start == pytest.approx(begin, abs=0.001)
    assert spans[-1].end == pytest.approx(begin + length, abs=0.001)
    assert all(before.end == pytest.approx(after.start, abs=0.001) for before, after in pairwise(spans))
    assert all(span.seconds <= 33.0 + 0.002 for span in spans)
    if config != JOINING:
        inner = [cut for cut in cuts if begin + 0.002 < cut < begin + length - 0.002]
        assert all(not span.start + 0.002 < cut < span.end - 0.002 for span in spans for cut in inner)


def frame(motion: float = 50.0, deviation: float = 40.0, dominant_share: float = 0.2) -> FrameMeasures:
    return FrameMeasures(motion, deviation, dominant_share)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "no_frames"),
        ([frame(deviation=1.0)] * 2 + [frame()], "single_colour"),
        ([frame(deviation=1.0)] + [frame()] * 2, ""),
        ([frame(dominant_share=0.97)] * 3, "single_colour"),
        ([frame(motion=1.0)] * 3, "still"),
        ([frame(motion=80.0), frame(motion=1.0)], "still"),
        ([frame(motion=1.0), frame(motion=1.0), frame(motion=8.0)], ""),
        ([frame()], "still"),
    ],
)
def test_what_shows_too_little(frames: list[FrameMeasures], reason: str) -> None:
    rejected = judge_content(frames, CLIPS)
    assert (rejected.reason if rejected else "") == reason


def test_value_and_limit_stand_in_the_detail() -> None:
    assert judge_content([frame(motion=1.0)] * 2, CLIPS) == Rejected("still", "greatest change 1.0, at least 7.0")
    assert judge_length(Span(0.0, 1.5), CLIPS) == Rejected("clip_too_short", "1.500 s, at least 2.0")
    assert judge_length(Span(0.0, 2.0), CLIPS) is None


def test_measures_are_medians_and_the_greatest_motion() -> None:
    frames = [frame(90.0, 10.0, 0.3), frame(1.0, 20.0, 0.1), frame(2.0, 60.0, 0.2)]
    assert measure(frames) == {"motion": 2.0, "deviation": 20.0, "dominant_share": 0.2}


@given(st.integers(0, 40), st.integers(1, 40))
def test_at_most_so_many_clips_spread_evenly(count: int, most: int) -> None:
    spans = [Span(float(number), number + 1.0) for number in range(count)]
    kept, dropped = thin_out(spans, most)
    assert len(kept) == min(count, most)
    assert sorted([span.start for span in kept] + [clip.start for clip in dropped]) == [span.start for span in spans]
    assert {clip.rejected.reason for clip in dropped} <= {"too_many_clips"}
    gaps = [later.start - sooner.start for sooner, later in pairwise(kept)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_seconds", 30.0), ("min_seconds", 0.0), ("max_seconds", 20.0), ("max_clips", 0), ("max_dominant_share", 2.0)],
)
def test_impossible_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CLIPS, **{field: value})  # type: ignore[arg-type]
