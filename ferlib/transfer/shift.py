"""How far apart two corpora lie in what a network sees: a two-sample test, and a classifier that tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferlib import metrics
from ferlib.config import DataError
from ferlib.metrics import Estimate

MOST = 600
"""Faces of a corpus that are compared; kernels grow with the square of their number."""
N_PERMUTATIONS = 200
N_FOLDS = 5


@dataclass(frozen=True)
class Shift:
    """Distance of two samples, what it is when the samples are mixed, and how many mixtures reach it."""

    value: float
    null_mean: float
    null_high: float  # 95th percentile of the null
    p: float
    n: int

    @property
    def ratio(self) -> float:
        """How many times the null's 95th percentile the distance is."""
        return self.value / self.null_high if self.null_high > 0 else float("inf")


def sample(n: int, groups: np.ndarray | None, rng: np.random.Generator, most: int = MOST) -> np.ndarray:
    """Up to ``most`` of ``n`` rows, sorted: whole ``groups`` (N,) where given, else single rows."""
    if n <= most:
        return np.arange(n)
    if groups is None:
        return np.sort(rng.permutation(n)[:most])
    codes = pd.factorize(groups)[0]
    order = rng.permutation(codes.max() + 1)
    sizes = np.bincount(codes)[order].cumsum()
    return np.flatnonzero(np.isin(codes, order[: max(2, int((sizes <= most).sum()))]))


def mmd(
    x: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
    x_groups: np.ndarray | None = None,
    y_groups: np.ndarray | None = None,
) -> Shift:
    """Squared maximum mean discrepancy of two samples, unbiased, with a permutation null.

    ``mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)``, with
    ``k(a, b) = exp(-|a - b|^2 / (2 s^2))`` and s the median distance (Gretton et al. 2012, eq. 3).

    x : (N, D), y : (M, D) features.  x_groups, y_groups : the person of each row; the null then deals out
    whole people, since faces of one person are alike.  0 is no difference; it may be slightly negative.
    """
    if len(x) < 2 or len(y) < 2:
        raise DataError("Two faces a side are needed to compare them")
    both = np.concatenate([x, y]).astype(np.float64)
    squared = _squared_distances(both)
    kernel = np.exp(-squared / (2 * np.median(squared[np.triu_indices(len(both), 1)]) + 1e-12))
    np.fill_diagonal(kernel, 0)
    first = np.arange(len(both)) < len(x)
    groups = np.concatenate([_codes(x_groups, len(x)), 1_000_000 + _codes(y_groups, len(y))])
    value = _discrepancy(kernel, first[None])[0]
    null = _discrepancy(kernel, _dealt(first, groups, rng))
    p = (1 + int((null >= value).sum())) / (1 + len(null))
    return Shift(float(value), float(null.mean()), float(np.quantile(null, 0.95)), p, len(both))


def _codes(groups: np.ndarray | None, n: int) -> np.ndarray:
    return np.arange(n) if groups is None else pd.factorize(groups)[0]


def _squared_distances(x: np.ndarray) -> np.ndarray:
    norms = (x**2).sum(axis=1)
    return np.maximum(norms[:, None] + norms[None] - 2 * x @ x.T, 0)


def _discrepancy(kernel: np.ndarray, first: np.ndarray) -> np.ndarray:
    """kernel : (N, N) without its diagonal.  first : (R, N) bool.  Returns (R,) squared discrepancies."""
    a, b = first.astype(np.float64), (~first).astype(np.float64)
    n, m = a.sum(axis=1), b.sum(axis=1)
    aa, bb, ab = ((left @ kernel * right).sum(axis=1) for left, right in ((a, a), (b, b), (a, b)))
    return aa / (n * (n - 1)) + bb / (m * (m - 1)) - 2 * ab / (n * m)


def _dealt(first: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(R, N) bool: whole groups dealt out anew, until the first side has about as many rows as before."""
    known, of = np.unique(groups, return_inverse=True)
    sizes = np.bincount(of)
    made = np.empty((N_PERMUTATIONS, len(first)), bool)
    for row in made:
        order = rng.permutation(len(known))
        before = sizes[order].cumsum() - sizes[order] / 2
        chosen = np.zeros(len(known), bool)
        chosen[order[before <= first.sum()]] = True
        row[:] = chosen[of]
    return made


def told_apart(
    samples: dict[str, np.ndarray], people: dict[str, np.ndarray | None], rng: np.random.Generator
) -> tuple[Estimate, pd.DataFrame]:
    """How well a linear classifier names the corpus of a face it has not seen.

    samples : corpus -> (N, D) features; of each corpus equally many faces are used, so that chance is 1 / corpora.
    people : corpus -> (N,) the person of each face, or None; no person is in training and test at once.

    Returns the accuracy over ``N_FOLDS`` folds, resampled by people, and the table of its predictions
    (``subject truth`` and a probability for each corpus).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n = min(MOST, *(len(x) for x in samples.values()))
    picked = {name: np.sort(rng.permutation(len(x))[:n]) for name, x in samples.items()}
    x = np.concatenate([samples[name][rows] for name, rows in picked.items()])
    truth = np.repeat(list(samples), [len(rows) for rows in picked.values()])
    groups = np.concatenate([_named_people(name, people[name], rows) for name, rows in picked.items()])
    p = np.zeros((len(x), len(samples)))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    for train, test in GroupKFold(N_FOLDS, shuffle=True, random_state=0).split(x, truth, groups):
        p[test] = model.fit(x[train], truth[train]).predict_proba(x[test])
    table = pd.DataFrame({"subject": groups, "truth": truth})
    table = pd.concat([table, pd.DataFrame(p, columns=sorted(samples))], axis=1)
    return metrics.accuracy(table, rng), table


def _named_people(corpus: str, people: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    return np.array([f"{corpus}/{row if people is None else people[row]}" for row in rows], dtype=object)
