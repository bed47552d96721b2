"""Permutation nulls for whole filter x AU tables, by matrix products.

The label rows of S units (sequences) are permuted within strata; a permutation costs one product of (U, S)
permuted label scores with (S, F) activation scores, summed over the images of a unit beforehand.  The
statistic is the linear permutation statistic L = sum_s x_s z_pi(s), studentised by its exact mean and
variance (Strasser & Weber 1999), so that cells of different prevalence share one scale: max-T controls the
family-wise error (Westfall & Young 1993) and the pooled null reaches p-values far below 1/B.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial, reduce

import numpy as np
from threadpoolctl import ThreadpoolController

from ferlib.au_stats.codes import Codes, Null, Units, exchange_units
from ferlib.au_stats.statistics import Association, centred, coded_groups, group_sums, target_labels

BATCH = 512  # permutations drawn at a time
ROWS = 2_048  # rows of a product (permutations x AUs): its result, ROWS x F float32, stays in the cache
BIN_WIDTH = 1 / 128  # of the pooled null's histogram, in units of the studentised statistic
N_BINS = 16 * 128  # the last bin also holds everything above 16
MOST_THREADS = 8  # each holds one product, ROWS x (S + 4 F) x 4 bytes
TIE = 1e-4  # float32 rounding: a permuted value this close below the observed one counts as equal


@dataclass(frozen=True)
class Part:
    """AUs coded on the same units.

    aus : (V,) int.  coded : (S,) bool.  x : (S, F) and z : (V, S) float32, centred within strata and 0 where
    not coded.
    scale : (V, F) float32, 1 / standard deviation of L under the null; 0 where nothing varies.
    """

    aus: np.ndarray
    coded: np.ndarray
    x: np.ndarray
    z: np.ndarray
    scale: np.ndarray

    def studentised(self, z: np.ndarray) -> np.ndarray:
        """(V, P, F) float32 for P permuted copies of the label scores, ``z`` (V, P, S)."""
        product = (z.reshape(-1, z.shape[2]) @ self.x).reshape(*z.shape[:2], -1)
        product *= self.scale[:, None]
        return product


@dataclass(frozen=True)
class Problem:
    """A table of F x U tests, ready to permute.

    effect : (F, U) the statistic itself.  observed : (F, U) the same studentised.  NaN where nothing varies.
    """

    units: Units
    parts: tuple[Part, ...]
    effect: np.ndarray
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
    effect, observed = np.full((2, acts.shape[1], values.shape[1]), np.nan)
    parts = []
    for images, aus in coded_groups(values):
        if len(images) == 0:
            continue
        stratum = units.image_stratum[images]
        association = Association(acts[images], values[np.ix_(images, aus)], stratum, statistic)
        ones = np.ones(len(images))
        scores = association.scores(ones)
        effect[:, aus] = association.value(*scores, ones)
        part = _part(scores, units, images, aus)
        t = part.studentised(part.z[:, None])[:, 0]
        observed[:, aus] = np.where(part.scale > 0, np.abs(t) if null.two_sided else t, np.nan).T
        parts.append(part)
    return Problem(units, tuple(parts), effect, observed, null.two_sided)


def _part(scores: tuple[np.ndarray, np.ndarray], units: Units, images: np.ndarray, aus: np.ndarray) -> Part:
    """Sum the activation scores over the images of a unit, centre both sides, and studentise."""
    of_image, n_units = units.of_image[images], len(units)
    coded = np.bincount(of_image, minlength=n_units) > 0
    weights = coded.astype(np.float64)
    z = np.zeros((n_units, len(aus)))
    z[of_image] = scores[1]
    x = np.zeros((n_units, scores[0].shape[1]))
    x[: of_image.max() + 1] = group_sums(scores[0], of_image)
    # with both sides centred over the coded units, the null mean of L is zero
    x, z = (_unit_norm(centred(side, weights, units.stratum) * coded[:, None]) for side in (x, z))
    size = np.bincount(units.stratum, weights=weights)[:, None]
    squares_x, squares_z = (group_sums(side**2, units.stratum) for side in (x, z))
    variance = (squares_x / np.maximum(size - 1, 1)).T @ squares_z  # Strasser & Weber 1999, by stratum
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 1e-12)
    float32 = [np.ascontiguousarray(a, dtype=np.float32) for a in (x, z.T, scale.T)]
    return Part(aus, coded, *float32)


def _unit_norm(values: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(values, axis=0)
    return values / np.where(norm > 0, norm, 1)


def permutations(units: Units, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """``n`` uniform permutations of the units within their strata, in batches of (<= BATCH, S) int64."""
    for chunk in _chunks(n, BATCH):
        size = min(chunk.stop, n) - chunk.start
        batch = np.tile(np.arange(len(units)), (size, 1))
        for members in units.members:
            if len(members) > 1:
                batch[:, members] = rng.permuted(np.tile(members, (size, 1)), axis=1)
        yield batch


def induced(batch: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Each permutation's first return to the ``coded`` units.

    batch : (P, S) int.  coded : (S,) bool.  Returns (P, S) int, of which only the coded columns mean
    something. Following a uniform permutation until it returns to a subset gives a uniform permutation of
    that subset, so one row permutation serves AUs that were coded on different images.
    """
    if coded.all():
        return batch
    returned = batch.copy().reshape(-1)
    away = np.flatnonzero(coded & ~coded[batch])
    row = away // batch.shape[1]
    while len(away):
        returned[away] = batch[row, returned[away]]
        still = ~coded[returned[away]]
        away, row = away[still], row[still]
    return returned.reshape(batch.shape)


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
    """Count over permutations, batches of (P, S) int.

    Every core takes whole batches, with a BLAS of one thread: on a busy machine the threads of one product
    wait for each other, which made it six times slower.  Memory: all permutations (S x B x 8 bytes) and, for
    each core, one product.
    """
    empty = _tally_batch(task, np.zeros((0, len(task.units)), np.int64))
    with (
        _blas().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS)) as pool,
    ):
        counted = list(pool.map(partial(_tally_batch, task), batches))
    return reduce(Tally.__add__, counted, empty)


@cache
def _blas() -> ThreadpoolController:
    """Found once: to look through all loaded libraries takes longer than a small tally."""
    return ThreadpoolController()


def _tally_batch(task: Problem, batch: np.ndarray) -> Tally:
    shape = task.observed.shape
    exceed, pooled = np.zeros(shape, np.int64), np.zeros((shape[1], N_BINS), np.int64)
    maxima = np.full((len(batch), shape[1]), -np.inf, np.float32)
    threshold = np.where(np.isnan(task.observed), np.inf, task.observed - TIE).astype(np.float32)
    for part in task.parts:
        order, varying = induced(batch, part.coded), part.scale.any(axis=0)
        for rows in _chunks(len(batch), ROWS // len(part.aus)):
            t = part.studentised(np.take(part.z, order[rows], axis=1))
            if task.two_sided:
                np.abs(t, out=t)
            exceed[:, part.aus] += np.count_nonzero(t >= threshold[:, part.aus].T[:, None], axis=1).T
            live = t if varying.all() else t[:, :, varying]
            maxima[rows, part.aus] = live.max(axis=2, initial=-np.inf).T
            pooled[part.aus] += _histogram(live)
    return Tally(exceed, maxima, pooled)


def _chunks(n: int, size: int) -> list[slice]:
    step = max(size, 1)
    return [slice(start, start + step) for start in range(0, n, step)]


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
