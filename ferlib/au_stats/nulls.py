"""Permutation nulls for whole filter x AU tables, by matrix products.

The label rows of S units (sequences) are permuted within strata; a permutation costs one product of (U, S)
permuted label scores with (S, F) activation scores, summed over the images of a unit beforehand.  The
statistic is the linear permutation statistic L = sum_s x_s z_pi(s), studentised by its exact mean and
variance (Strasser & Weber 1999), so that cells of different prevalence share one scale: max-T controls the
family-wise error (Westfall & Young 1993) and the pooled null reaches p-values far below 1/B.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ferlib.au_stats.codes import Codes, Null, Units, exchange_units
from ferlib.au_stats.statistics import Association, coded_groups, target_labels

BATCH = 64  # permutations a product: its result (U x 64 x F float32) stays in the processor's cache
BIN_WIDTH = 1 / 128  # of the pooled null's histogram, in units of the studentised statistic
N_BINS = 16 * 128  # the last bin also holds everything above 16
TIE = 1e-4  # float32 rounding: a permuted value this close below the observed one counts as equal


@dataclass(frozen=True)
class Part:
    """AUs coded on the same units.

    aus : (V,) int.  units : (M,) int.  x : (M, F) and z : (V, M) float32, centred within strata.
    scale : (V, F) float32, 1 / standard deviation of L under the null; 0 where nothing varies.
    """

    aus: np.ndarray
    units: np.ndarray
    x: np.ndarray
    z: np.ndarray
    scale: np.ndarray

    def studentised(self, z: np.ndarray) -> np.ndarray:
        """(V, P, F) float32 for P permuted copies of the label scores, ``z`` (V, P, M)."""
        product = (z.reshape(-1, z.shape[2]) @ self.x).reshape(*z.shape[:2], -1)
        product *= self.scale[:, None]
        return product


@dataclass(frozen=True)
class Problem:
    """A table of F x U tests, ready to permute.  observed : (F, U) studentised, NaN where nothing varies."""

    units: Units
    parts: tuple[Part, ...]
    observed: np.ndarray
    two_sided: bool


def problem(acts: np.ndarray, codes: Codes, statistic: str, null: Null) -> Problem:
    """Scores of activations and labels per unit.  acts : (N, F).  Raises ``ValueError`` where the two differ
    in N.
    """
    if len(acts) != len(codes.emotion):
        raise ValueError(f"{len(acts)} rows of activations for {len(codes.emotion)} labelled images")
    units = exchange_units(codes, null)
    values = target_labels(codes, statistic)
    observed = np.full((acts.shape[1], values.shape[1]), np.nan)
    parts = []
    for images, aus in coded_groups(values):
        if len(images) == 0:
            continue
        stratum = units.image_stratum[images]
        association = Association(acts[images], values[np.ix_(images, aus)], stratum, statistic)
        part = _part(association.scores(np.ones(len(images))), units, images, aus)
        t = part.studentised(part.z[:, None])[:, 0]
        observed[:, aus] = np.where(part.scale > 0, np.abs(t) if null.two_sided else t, np.nan).T
        parts.append(part)
    return Problem(units, tuple(parts), observed, null.two_sided)


def _part(scores: tuple[np.ndarray, np.ndarray], units: Units, images: np.ndarray, aus: np.ndarray) -> Part:
    """Sum the activation scores over the images of a unit, centre both sides, and studentise."""
    coded, unit = np.unique(units.of_image[images], return_inverse=True)
    x = np.zeros((len(coded), scores[0].shape[1]))
    np.add.at(x, unit, scores[0])
    z = np.empty((len(coded), len(aus)))
    z[unit] = scores[1]
    stratum = units.stratum[coded]
    x, z = _unit_norm(_centred_units(x, stratum)), _unit_norm(_centred_units(z, stratum))
    variance = _variance(x, z, stratum)
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 1e-12)
    float32 = [np.ascontiguousarray(a, dtype=np.float32) for a in (x, z.T, scale.T)]
    return Part(aus, coded, *float32)


def _centred_units(values: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """With units centred within strata the null mean of L is zero."""
    rest = np.zeros_like(values)
    for s in np.unique(stratum):
        members = stratum == s
        rest[members] = values[members] - values[members].mean(axis=0)
    rest[np.abs(rest) <= 1e-12 * np.abs(values).max(axis=0, initial=0)] = 0
    return rest


def _unit_norm(values: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(values, axis=0)
    return values / np.where(norm > 0, norm, 1)


def _variance(x: np.ndarray, z: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """(F, V) exact null variance of L: sum over strata of SS_x SS_z / (size - 1)  (Strasser & Weber 1999)."""
    n_strata = int(stratum.max(initial=0)) + 1
    squares = [np.zeros((n_strata, a.shape[1])) for a in (x, z)]
    for total, a in zip(squares, (x, z), strict=True):
        np.add.at(total, stratum, a**2)
    size = np.bincount(stratum, minlength=n_strata)
    return (squares[0] / np.maximum(size - 1, 1)[:, None]).T @ squares[1]


def permutations(units: Units, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """``n`` uniform permutations of the units within their strata, in batches of (<= BATCH, S) int64."""
    for start in range(0, n, BATCH):
        size = min(BATCH, n - start)
        batch = np.tile(np.arange(len(units)), (size, 1))
        for members in units.members:
            if len(members) > 1:
                batch[:, members] = rng.permuted(np.tile(members, (size, 1)), axis=1)
        yield batch


def induced(batch: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Each permutation's first return to the ``coded`` units, as positions among them.

    batch : (P, S) int.  coded : (M,) int.  Returns (P, M) int in [0, M).  Following a uniform permutation
    until it returns to a subset gives a uniform permutation of that subset, so one row permutation serves
    AUs that were coded on different images.
    """
    if len(coded) == batch.shape[1]:
        return batch
    position = np.full(batch.shape[1], -1)
    position[coded] = np.arange(len(coded))
    target = batch[:, coded]
    while (away := position[target] < 0).any():
        row = np.nonzero(away)[0]
        target[away] = batch[row, target[away]]
    return position[target]


@dataclass(frozen=True)
class Tally:
    """Counts over permutations; the sum of two tallies is the tally of all their permutations.

    exceed : (F, U) int, permutations that reach the observed value.  maxima : (B, U) float32, the largest
    value over the filters.  pooled : (U, N_BINS) int, histogram of the permuted values of all filters.
    Means and variances are not counted: they are known exactly.
    """

    exceed: np.ndarray
    maxima: np.ndarray
    pooled: np.ndarray

    @property
    def n(self) -> int:
        """B, the number of permutations."""
        return len(self.maxima)

    def __add__(self, other: Tally) -> Tally:
        maxima = np.concatenate([self.maxima, other.maxima])
        return Tally(self.exceed + other.exceed, maxima, self.pooled + other.pooled)


def tally(task: Problem, batches: Iterable[np.ndarray]) -> Tally:
    """Count over permutations (batches of (P, S) int).  Memory: one batch, and B x U maxima."""
    shape = task.observed.shape
    exceed, pooled = np.zeros(shape, np.int64), np.zeros((shape[1], N_BINS), np.int64)
    maxima = [np.zeros((0, shape[1]), np.float32)]
    threshold = np.where(np.isnan(task.observed), np.inf, task.observed - TIE).astype(np.float32)
    for batch in batches:
        highest = np.full((len(batch), shape[1]), -np.inf, np.float32)
        for part in task.parts:
            t = part.studentised(np.take(part.z, induced(batch, part.units), axis=1))
            if task.two_sided:
                np.abs(t, out=t)
            exceed[:, part.aus] += np.count_nonzero(t >= threshold[:, part.aus].T[:, None], axis=1).T
            varying = part.scale.any(axis=0)
            live = t if varying.all() else t[:, :, varying]
            highest[:, part.aus] = live.max(axis=2, initial=-np.inf).T
            pooled[part.aus] += _histogram(live)
        maxima.append(highest)
    return Tally(exceed, np.concatenate(maxima), pooled)


def _histogram(t: np.ndarray) -> np.ndarray:
    """(V, N_BINS) int counts of (V, P, F) values; everything below the first bin falls into it."""
    bins = np.clip(t * np.float32(1 / BIN_WIDTH), 0, N_BINS - 1).astype(np.int64)
    bins += np.arange(len(t))[:, None, None] * N_BINS
    return np.bincount(bins.ravel(), minlength=len(t) * N_BINS).reshape(len(t), N_BINS)


def cell_p(counts: Tally, observed: np.ndarray) -> np.ndarray:
    """(F, U) p = (1 + b) / (1 + B) of each cell (Phipson & Smyth 2010); NaN where nothing varies."""
    return np.where(np.isnan(observed), np.nan, (1 + counts.exceed) / (1 + counts.n))


def max_t_p(counts: Tally, observed: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """(F, U) p adjusted for the whole table by single-step max-T (Westfall & Young 1993).

    tested : (U,) bool, the AUs of the family; the others get NaN.
    """
    adjusted = np.full(observed.shape, np.nan)
    if tested.any():
        adjusted[:, tested] = _reached(counts.maxima[:, tested].max(axis=1), observed[:, tested])
    return adjusted


def au_p(counts: Tally, observed: np.ndarray) -> np.ndarray:
    """(U,) p that no filter knows the AU: max-T over the filters of one AU."""
    best = np.fmax.reduce(observed, axis=0)
    return np.array([_reached(counts.maxima[:, u], best[u]) for u in range(len(best))])


def _reached(maxima: np.ndarray, observed: np.ndarray) -> np.ndarray:
    below = np.searchsorted(np.sort(maxima), observed - TIE)
    return np.where(np.isnan(observed), np.nan, (1 + len(maxima) - below) / (1 + len(maxima)))


def pooled_p(counts: Tally, observed: np.ndarray) -> np.ndarray:
    """(F, U) p against the studentised null of all filters of the same AU: its floor is 1 / (1 + B F), not 1
    / (1 + B).

    Pooling stays inside an AU because a rare AU's null is skewed.  Values are compared by bins of 1/128,
    rounded so that p can only be too large; every value below zero has p = 1.
    """
    reached = np.cumsum(counts.pooled[:, ::-1], axis=1)[:, ::-1]
    bins = np.clip(np.nan_to_num(observed) / BIN_WIDTH, 0, N_BINS - 1).astype(np.int64)
    b = reached[np.arange(observed.shape[1]), bins]
    return np.where(np.isnan(observed), np.nan, (1 + b) / (1 + reached[:, 0]))
