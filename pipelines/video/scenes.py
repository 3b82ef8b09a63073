"""Where scenes change, found on small thumbnails of a video's frames.

A cut is one step that changes the picture (1) by more than is usual just before and after it, what a small movement
explains left aside; (2) in what stands where and not only in brightness, as a fade or a lamp does; and (3) to stay, not
for the moment of a flash. Black or otherwise flat frames belong to no scene: the frames on their two sides are
compared, so a fade through black is one cut. An empty stretch of the ground that is seen before and after it, as where
the camera goes over a page, is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.video.config import SceneConfig

ROWS, COLUMNS = 18, 32
LUMA = ROWS * COLUMNS
CHROMA = 2 * (ROWS // 2) * (COLUMNS // 2)
SIZE = LUMA + CHROMA
"""Bytes of a thumbnail: luma of 18 x 32, then two planes of chroma of 9 x 16, whatever the frame's own shape."""

Thumbnails = np.ndarray[tuple[int, int], np.dtype[np.uint8]]

USUAL = 0.8
"""What is usual around a step is the change that one in five of its neighbours exceeds. Not the median: drawings that
move on every third frame only would have none; and not the greatest, which may be the next cut."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Thumbnails in the order of their times."""

    times: np.ndarray[tuple[int], np.dtype[np.float64]]
    """Seconds."""
    thumbnails: Thumbnails
    """One row for each time."""
    near: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Whether the frames between this one and the one before were decoded: where they were not, no cut is sought."""


def find_cuts(samples: Samples, config: SceneConfig) -> list[float]:
    """Times of the first frames of new scenes, rising."""
    if len(samples.times) < 2:
        return []
    flat = deviations(samples.thumbnails) < config.flat_deviation
    cuts = [*_hard_cuts(samples, flat, config), *_cuts_through_flat(samples, flat, config)]
    kept: list[float] = []
    for cut in sorted(cuts):
        if cut - (kept[-1] if kept else samples.times[0]) >= config.min_scene_seconds:
            kept.append(cut)
    return kept


def changes(first: Thumbnails, second: Thumbnails) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean absolute difference of luma plus that of chroma, levels, of each pair of rows."""
    result = np.empty(len(first))
    for block in _blocks(len(first)):
        difference = np.abs(first[block].astype(np.int16) - second[block])
        result[block] = difference[:, :LUMA].mean(axis=1) + difference[:, LUMA:].mean(axis=1)
    return result


def unexplained(thumbnails: Thumbnails) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Like `changes`, of each row from the one before (of the first: 0), as far as movement does not explain it.

    A cell has changed by as much as it lies outside of what the cells around it and itself showed in the other frame;
    the mean of both directions is taken. A camera that goes over fine lines changes every cell at every step, and
    hardly one of them so.
    """
    result = np.zeros(len(thumbnails))
    for block in _blocks(len(thumbnails) - 1):
        rows = thumbnails[block.start : block.stop + 1].astype(np.int16)
        for planes in _planes(rows):
            low, high = _extremes(planes, np.minimum), _extremes(planes, np.maximum)
            there = np.maximum(planes[1:] - high[:-1], low[:-1] - planes[1:]).clip(min=0)
            back = np.maximum(planes[:-1] - high[1:], low[1:] - planes[:-1]).clip(min=0)
            weight = 0.5 if planes.shape[2] == COLUMNS else 0.25  # the two planes of chroma count as one
            result[block.start + 1 : block.start + len(rows)] += weight * (there + back).mean(axis=(1, 2))
    return result


def _planes(rows: np.ndarray) -> list[np.ndarray]:
    half = (SIZE - LUMA) // 2
    small = (len(rows), ROWS // 2, COLUMNS // 2)
    chroma = [rows[:, first : first + half].reshape(small) for first in (LUMA, LUMA + half)]
    return [rows[:, :LUMA].reshape(len(rows), ROWS, COLUMNS), *chroma]


def _extremes(planes: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """The least or largest of each cell and the eight around it."""
    for axis in (1, 2):
        moved = np.moveaxis(planes, axis, 0)
        result = moved.copy()
        extreme(result[1:], moved[:-1], out=result[1:])
        extreme(result[:-1], moved[1:], out=result[:-1])
        planes = np.moveaxis(result, 0, axis)
    return planes


def deviations(thumbnails: Thumbnails) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Standard deviation of each row's luma, levels."""
    result = np.empty(len(thumbnails))
    for block in _blocks(len(thumbnails)):
        result[block] = thumbnails[block, :LUMA].std(axis=1, dtype=np.float32)
    return result


def _blocks(count: int) -> Iterator[slice]:
    """Rows that are worked on at once: those of an hour would take ten times the memory of its thumbnails."""
    return (slice(first, first + 1024) for first in range(0, count, 1024))


def decorrelation(first: Thumbnails, second: Thumbnails) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """1 minus the correlation of luma, 0 to 2, of each row of the first with each of the second."""
    return 1 - _standardised(first) @ _standardised(second).T


def suspicious(before: Thumbnails, after: Thumbnails, config: SceneConfig) -> bool:
    """Whether a cut may lie somewhere between two frames, of one row each, that do not follow each other."""
    if min(deviations(before)[0], deviations(after)[0]) < config.flat_deviation:
        return True
    changed = changes(before, after)[0] >= config.min_change
    return bool(changed and decorrelation(before, after)[0, 0] >= config.min_decorrelation)


def _standardised(thumbnails: Thumbnails) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    luma = thumbnails[:, :LUMA].astype(np.float64)
    luma -= luma.mean(axis=1, keepdims=True)
    return luma / np.maximum(np.sqrt((luma * luma).sum(axis=1, keepdims=True)), 1e-6)


def _hard_cuts(samples: Samples, flat: np.ndarray, config: SceneConfig) -> list[float]:
    times, thumbnails = samples.times, samples.thumbnails
    change = unexplained(thumbnails)
    cuts = []
    for step in map(int, np.flatnonzero((change >= config.min_change) & samples.near & ~flat)):
        if step == 0 or flat[step - 1]:
            continue
        if change[step] < config.min_ratio * _usual_change(step, change, samples, config):
            continue
        if decorrelation(thumbnails[step - 1 : step], thumbnails[step : step + 1])[0, 0] < config.min_decorrelation:
            continue
        if not _returns(step, samples, flat, config):
            cuts.append(float(times[step]))
    return cuts


def _usual_change(step: int, change: np.ndarray, samples: Samples, config: SceneConfig) -> float:
    first, end = _window(samples.times, step, config.window_seconds)
    around = np.arange(max(first, 1), end)
    around = around[around != step]
    if not len(around):
        return 0.0
    # Where frames were skipped, there are as many steps as their time has room for, each of the change of a random
    # walk: without them only what comes before and after cuts would be usual.
    gaps = samples.times[around] - samples.times[around - 1]
    near = samples.near[around]
    usual_gap = float(np.median(gaps[near])) if near.any() else float(gaps.min())
    steps = np.where(near, 1, np.maximum(1, np.round(gaps / usual_gap))).astype(np.intp)
    return float(np.quantile(np.repeat(change[around] / np.sqrt(steps), steps), USUAL, method="higher"))


def _returns(step: int, samples: Samples, flat: np.ndarray, config: SceneConfig) -> bool:
    """Whether some frame just after a step shows again what one just before it showed."""
    first, end = _window(samples.times, step, config.settle_seconds)
    before, after = np.arange(first, step), np.arange(step, end)
    before, after = before[~flat[before]], after[~flat[after]]
    alike = decorrelation(samples.thumbnails[before], samples.thumbnails[after]) < config.min_decorrelation
    rows, columns = np.nonzero(alike)
    if not len(rows):
        return False
    changed = changes(samples.thumbnails[step - 1 : step], samples.thumbnails[step : step + 1])[0]
    return bool((changes(samples.thumbnails[before[rows]], samples.thumbnails[after[columns]]) < changed / 2).any())


def _window(times: np.ndarray, step: int, seconds: float) -> tuple[int, int]:
    """First and end of the samples at most so many seconds from a step."""
    first = int(np.searchsorted(times, times[step] - seconds - 1e-6))
    return first, int(np.searchsorted(times, times[step] + seconds + 1e-6))


def _cuts_through_flat(samples: Samples, flat: np.ndarray, config: SceneConfig) -> list[float]:
    """Cuts at runs of flat frames: both ends of a long run, and where the picture comes back another after any.

    None at an end where the flat level is the ground that is seen there anyhow.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flat, [False])).astype(np.int8)))
    times, thumbnails, count = samples.times, samples.thumbnails, len(flat)
    cuts = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        until = times[end] if end < count else times[-1]
        level = float(np.median(thumbnails[(first + end) // 2, :LUMA]))
        beside = {first: max(0, first - 3), end: min(count - 1, end + 2)}
        ground = {edge: float(np.median(thumbnails[row, :LUMA])) for edge, row in beside.items()}
        others = [edge for edge in (first, end) if abs(ground[edge] - level) >= config.flat_deviation]
        if until - times[first] >= config.flat_scene_seconds:
            cuts += [float(times[edge]) for edge in others if 0 < edge < count]
        elif others and first > 0 and end < count:
            # the last frames before black are dark, and say little: what stands a little further off is compared too
            before = thumbnails[max(0, first - 3) : first]
            after = thumbnails[end : end + 3]
            if decorrelation(before, after).min() >= config.min_decorrelation:
                cuts.append(float(times[end]))
    return cuts
