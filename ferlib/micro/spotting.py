"""Where in a long film is the micro-expression?  A curve of movement, intervals above a threshold, and scores.

The spotter is training-free, after Moilanen et al. 2014: a frame is compared with what lies between the frames
half a window before and after it, so that slow drift of the head cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferlib.metrics import LEVEL, N_RESAMPLES, Estimate
from ferlib.micro.drawn import LongFilm
from ferlib.micro.motion import block_means

Interval = tuple[int, int]
"""First and last frame, both inside."""
IOU = 0.5


@dataclass(frozen=True)
class Spotter:
    """Settings; the defaults were chosen on six films that no chapter shows (``long_films(6, seed=77)``)."""

    window_s: float = 0.35  # as long as a micro-expression lasts on average
    threshold: float = 0.5  # of the way from the mean of the curve to its maximum
    grid: int = 6  # blocks on each side of the face; the outer columns, hair and background, are left out
    strongest: int = 8  # so many blocks make the curve
    smooth_s: float = 0.03  # standard deviation of the smoothing in time, against sensor noise


def curve(frames: np.ndarray, fps: float, how: Spotter = Spotter()) -> np.ndarray:
    """How far each frame lies from the middle of the frames half a window before and after it.

    frames : (T, H, W) uint8.  Returns (T,) float grey levels, the mean over the strongest blocks of what exceeds
    each block's median over the film, which is its noise; 0 near the ends.
    """
    from scipy.ndimage import gaussian_filter

    half = max(1, round(how.window_s * fps / 2))
    grey = gaussian_filter(frames.astype(np.float32), (how.smooth_s * fps, 1.5, 1.5))
    made = np.zeros(len(frames))
    if len(frames) > 2 * half:
        off = np.abs(grey[half:-half] - (grey[: -2 * half] + grey[2 * half :]) / 2)
        blocks = block_means(off, how.grid)[:, :, 1:-1].reshape(len(off), -1)
        blocks -= np.median(blocks, axis=0)
        made[half:-half] = np.sort(blocks, axis=1)[:, -how.strongest :].mean(axis=1)
    return made


def spot(movement: np.ndarray, fps: float, how: Spotter = Spotter()) -> list[Interval]:
    """Intervals of one window's length around the peaks of a curve (T,) that pass the threshold, highest first.

    Peaks nearer than a window to a higher one are part of it.
    """
    half = max(1, round(how.window_s * fps / 2))
    level = movement.mean() + how.threshold * (movement.max() - movement.mean())
    left, found = movement.copy(), []
    while left.max() > 0 and left.max() >= level:
        peak = int(left.argmax())
        found.append((max(0, peak - half), min(len(movement) - 1, peak + half)))
        left[max(0, peak - 2 * half) : peak + 2 * half + 1] = 0
    return found


def overlap(a: Interval, b: Interval) -> float:
    """Intersection over union of two intervals, in frames."""
    shared = min(a[1], b[1]) - max(a[0], b[0]) + 1
    union = a[1] - a[0] + b[1] - b[0] + 2 - max(shared, 0)
    return max(shared, 0) / union


def matched(found: Sequence[Interval], truth: Sequence[Interval]) -> tuple[int, int, int]:
    """(TP, FP, FN) of one film: each true interval is matched at most once, at an overlap of at least 0.5.

    The rule of the spotting task of MEGC (Li et al. 2019).
    """
    left = list(truth)
    for interval in found:
        best = max(left, key=lambda t: overlap(interval, t), default=None)
        if best is not None and overlap(interval, best) >= IOU:
            left.remove(best)
    hits = len(truth) - len(left)
    return hits, len(found) - hits, len(left)


def interval_f1(counts: Sequence[tuple[int, int, int]], rng: np.random.Generator) -> Estimate:
    """``2 TP / (2 TP + FP + FN)``, pooled over films; counts : (TP, FP, FN) of each; films are resampled."""
    table = np.asarray(counts, float)

    def f1(sums: np.ndarray) -> np.ndarray:  # (..., 3) -> (...)
        hits = 2 * sums[..., 0]
        return hits / np.maximum(hits + sums[..., 1] + sums[..., 2], 1e-12)

    drawn = rng.integers(len(table), size=(N_RESAMPLES, len(table)))
    low, high = np.quantile(f1(table[drawn].sum(axis=1)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(f1(table.sum(axis=0))), float(low), float(high), len(table), "subject")


def apex_errors(films: Sequence[LongFilm], curves: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) int: how many frames the highest point of each film's curve lies from its true apex."""
    return np.array([abs(int(c.argmax()) - film.marks[1]) for film, c in zip(films, curves, strict=True)])


def by_chance(
    films: Sequence[LongFilm], rng: np.random.Generator, times: int = 50, how: Spotter = Spotter()
) -> list[tuple[int, int, int]]:
    """(TP, FP, FN) of each film, ``times`` over, where one interval of a window's length is laid anywhere."""
    counts = []
    for film in [film for film in films for _ in range(times)]:
        lasts = 2 * max(1, round(how.window_s * film.fps / 2))
        start = int(rng.integers(len(film.frames) - lasts))
        counts.append(matched([(start, start + lasts)], [(film.marks[0], film.marks[2])]))
    return counts
