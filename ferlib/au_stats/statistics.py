"""Filter x AU association: AUC, point-biserial and Spearman as one weighted, stratified correlation.

All three are a correlation of scores of the activation with scores of the label: mid-ranks with presence
(AUC), activations with presence (point-biserial), mid-ranks with mid-ranks of the intensity (Spearman).
Scores are taken and centred within strata; with a single stratum these are the textbook statistics, with one
stratum per emotion the AUC compares only pairs of images of one emotion.  Weights are multiplicities: a
person drawn twice weighs 2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse, stats

from ferlib.au_stats.codes import Codes, Null, exchange_units

STATISTICS: tuple[str, ...] = ("auc", "point_biserial", "spearman")


class MidRanks:
    """Weighted mid-ranks of the columns of (N, K) ``values`` within strata, sorted once for many weightings.

    ``ranks(weights)`` : weights (N,) >= 0 -> (N, K) float64, the weight below a value and half of the weight
    equal to it, inside its stratum.  With unit weights this is ``scipy.stats.rankdata - 0.5``.
    """

    def __init__(self, values: np.ndarray, stratum: np.ndarray) -> None:
        n, sizes = len(values), np.bincount(stratum)
        order = np.argsort(values.T, axis=1)
        if len(sizes) > 1:
            by_stratum = np.argsort(stratum[order], axis=1, kind="stable")
            order = np.take_along_axis(order, by_stratum, axis=1)
        in_order = np.take_along_axis(values.T, order, axis=1)
        starts = np.ones((len(order), n + 1), bool)  # where a run of ties begins, and the end
        starts[:, 1:-1] = np.diff(in_order, axis=1) != 0
        starts[:, np.cumsum(sizes)] = True
        index = np.arange(n)
        self._order = order
        self._first = np.maximum.accumulate(np.where(starts[:, :-1], index, 0), axis=1)
        ends = np.where(starts[:, 1:], index + 1, n)[:, ::-1]
        self._after = np.minimum.accumulate(ends, axis=1)[:, ::-1]
        self._stratum_start = np.repeat(np.cumsum(sizes) - sizes, sizes)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        below = np.zeros((len(self._order), len(weights) + 1))
        np.cumsum(weights[self._order], axis=1, out=below[:, 1:])
        middle = np.take_along_axis(below, self._first, axis=1) + np.take_along_axis(
            below, self._after, axis=1
        )
        ranks = np.empty_like(middle)
        np.put_along_axis(ranks, self._order, middle / 2 - below[:, self._stratum_start], axis=1)
        return ranks.T


def group_sums(values: np.ndarray, group: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(G, K) weighted sums of the rows of (N, K) ``values`` in each group.  group : (N,) int in [0, G)."""
    ones = np.ones(len(group)) if weights is None else weights
    return sparse.csr_array((ones, (group, np.arange(len(group))))) @ values


def centred(scores: np.ndarray, weights: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """(N, K) ``scores`` less their weighted mean within each stratum.  stratum : (N,) int."""
    total = group_sums(np.ones((len(scores), 1)), stratum, weights)
    mean = group_sums(scores, stratum, weights) / np.where(total > 0, total, 1)
    rest = scores - mean[stratum]
    rounding = 1e-12 * np.abs(scores).max(axis=0, initial=0)
    rest[np.abs(rest) <= rounding] = 0  # a constant column becomes exactly constant
    return rest


class Association:
    """One statistic between activations and the labels of AUs that are coded on the same images.

    acts : (N, F).  labels : (N, V) without NaN.  stratum : (N,) int.  ``association(weights)`` returns (F,
    V): AUC in [0, 1], a correlation in [-1, 1], NaN where a side does not vary within any stratum.
    """

    def __init__(self, acts: np.ndarray, labels: np.ndarray, stratum: np.ndarray, statistic: str) -> None:
        self.statistic, self.stratum = statistic, stratum
        self._acts, self._labels = acts.astype(np.float64), labels.astype(np.float64)
        self._rank_acts = None if statistic == "point_biserial" else MidRanks(acts, stratum)
        self._rank_labels = MidRanks(labels, stratum) if statistic == "spearman" else None

    def scores(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centred scores of the activations (N, F) and of the labels (N, V)."""
        x = self._acts if self._rank_acts is None else self._rank_acts(weights)
        z = self._labels if self._rank_labels is None else self._rank_labels(weights)
        return centred(x, weights, self.stratum), centred(z, weights, self.stratum)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return self.value(*self.scores(weights), weights)

    def value(self, x: np.ndarray, z: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(F, V) the statistic of given centred scores."""
        product = (x * weights[:, None]).T @ z
        x_norm, z_norm = weights @ x**2, weights @ z**2
        if self.statistic == "auc":
            return _ratio(product, self._pairs(weights) * (x_norm[:, None] > 0)) + 0.5
        return _ratio(product, np.sqrt(np.outer(x_norm, z_norm)))

    def _pairs(self, weights: np.ndarray) -> np.ndarray:
        """(V,) how many present-absent pairs share a stratum."""
        present = group_sums(self._labels, self.stratum, weights)
        absent = group_sums(1 - self._labels, self.stratum, weights)
        return (present * absent).sum(axis=0)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    bottom = np.broadcast_to(bottom, top.shape)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def target_labels(codes: Codes, statistic: str) -> np.ndarray:
    """(N, U) the labels ``statistic`` correlates with: intensity for Spearman, presence for the others."""
    if statistic not in STATISTICS:
        raise ValueError(f"No statistic {statistic!r}; known: {STATISTICS}")
    return codes.level if statistic == "spearman" else codes.present


def coded_groups(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """AUs that are coded on the same images.  values : (N, U) with NaN.  Yields (images (M,) int, AUs (V,)
    int).
    """
    coded = ~np.isnan(values)
    patterns, group = np.unique(coded, axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):
        yield np.flatnonzero(patterns[:, index]), np.flatnonzero(group.reshape(-1) == index)


def effect(acts: np.ndarray, codes: Codes, statistic: str = "auc", null: Null | None = None) -> np.ndarray:
    """Association of every filter with every AU.  acts : (N, F) maximum activation of each filter per image.

    Returns (F, U) float64: ``auc`` in [0, 1], ``point_biserial`` or ``spearman`` in [-1, 1]; images without
    a code for an AU are left out; NaN where filter or AU is constant.  ``null.within`` makes it the
    association within emotion or person.
    """
    stratum = exchange_units(codes, null or Null()).image_stratum
    values = target_labels(codes, statistic)
    result = np.full((acts.shape[1], values.shape[1]), np.nan)
    for images, aus in coded_groups(values):
        if len(images):
            part = Association(acts[images], values[np.ix_(images, aus)], stratum[images], statistic)
            result[:, aus] = part(np.ones(len(images)))
    return result


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q-values: the smallest false-discovery rate at which each test is declared.  p : any shape, NaN left
    out.

    Benjamini & Hochberg 1995: q_(i) = min over k >= i of m p_(k) / k.
    """
    q = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    q[known] = stats.false_discovery_control(p[known])
    return q
