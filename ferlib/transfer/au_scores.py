"""How well Action Units are told from one another: AUC, F1, accuracy and levels, over people.

Every figure is a function of sums that are kept person by person, or pair of persons by pair, so that one draw
of multiplicities resamples all AUs and all sources of features alike.  An AUC compares only faces that the same
head scored, those of one fold: heads of different folds need not agree on a scale.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ferlib.metrics import N_RESAMPLES, Estimate, draw_units

TAILS = (2.5, 97.5)  # per cent


@dataclass(frozen=True, eq=False)
class Truth:
    """What coders say of the faces that are judged.

    aus : U names.  present : (N, U) in {0, 1}, NaN where not coded.  level : (N, U) in [0, 5], NaN also where
    the strength is not known.  fold : (N,) int.  person : (N,) int from 0 to P - 1.
    """

    aus: tuple[str, ...]
    present: np.ndarray
    level: np.ndarray
    fold: np.ndarray
    person: np.ndarray

    @property
    def n_people(self) -> int:
        return int(self.person.max()) + 1

    def people_with(self, value: int) -> np.ndarray:
        """(U,) int: people of whom some judged face has the AU present (1) or absent (0)."""
        return (self.by_person(self.present == value) > 0).sum(axis=0)

    def by_person(self, values: np.ndarray) -> np.ndarray:
        """Sums (P, ...) of ``values`` (N, ...) over each person's faces."""
        sums = np.zeros((self.n_people, *values.shape[1:]))
        np.add.at(sums, self.person, values)
        return sums


@dataclass(frozen=True, eq=False)
class Answers:
    """What heads say of the same faces, each (N, U).

    single, joint : probability of presence.  ``_f1`` and ``_right`` : bool, what is called present by the
    thresholds with the highest F1 and accuracy on val.  level : in [0, 5], by the joint head, which aims at the
    smallest squared error.  graded : the level that is named: 0 where ``joint_right`` calls the AU absent, else
    ``level`` rounded, at least 1.
    """

    single: np.ndarray
    joint: np.ndarray
    single_f1: np.ndarray
    joint_f1: np.ndarray
    single_right: np.ndarray
    joint_right: np.ndarray
    level: np.ndarray
    graded: np.ndarray


def draw_people(n_people: int, rng: np.random.Generator) -> np.ndarray:
    """(R, P) multiplicities: in the first row everybody once, then ``N_RESAMPLES`` draws with replacement."""
    return np.vstack([np.ones(n_people), draw_units(n_people, rng)])


def estimate(draws: np.ndarray, n: int) -> Estimate:
    """The value ``draws[0]`` with the percentiles of the other draws; NaN where more than half are lost."""
    value, rest = float(draws[0]), draws[1:]
    if np.isnan(rest).mean() > 0.5:
        return Estimate(value, float("nan"), float("nan"), n, "people")
    low, high = np.nanpercentile(rest, TAILS)
    return Estimate(value, float(low), float(high), n, "people")


# ------------------------------------------------------------------------------------------------- AUC


def wins(positive: np.ndarray, negative: np.ndarray, truth: Truth) -> np.ndarray:
    """How often persons' faces with an AU are scored above persons' faces without it, within folds.

    positive, negative : (N, U) scores, read for faces with and without the AU.

    Returns (U, P, P): pairs of a face of p with the AU and a face of q without that are in order; ties half.
    """
    made = np.zeros((len(truth.aus), truth.n_people, truth.n_people))
    for u in range(len(truth.aus)):
        for fold in np.unique(truth.fold):
            has, lacks = (np.flatnonzero((truth.fold == fold) & (truth.present[:, u] == v)) for v in (1, 0))
            above = np.sign(positive[has, u][:, None] - negative[lacks, u]) / 2 + 0.5
            by_row = np.zeros((truth.n_people, len(lacks)))
            np.add.at(by_row, truth.person[has], above)
            np.add.at(made[u].T, truth.person[lacks], by_row.T)
    return made


def pairs(truth: Truth) -> np.ndarray:
    """(U, P, P): how many such pairs there are."""
    everything = np.ones_like(truth.present)
    return wins(everything, np.zeros_like(everything), truth)


def auc(won: np.ndarray, all_pairs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each AU when person p counts ``times[r, p]`` times.

    won, all_pairs : (U, P, P).  times : (R, P).  Returns (R, U), NaN where no pair is left.
    """
    right, count = (np.einsum("urq,rq->ru", times @ table, times) for table in (won, all_pairs))
    return np.divide(right, count, out=np.full_like(right, np.nan), where=count > 0)


def macro(values: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """(R, U) -> (R,): mean over the AUs with ``enough`` people, those that a resample lost left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values[:, enough], axis=1)


def swap_test(
    first: np.ndarray, second: np.ndarray, truth: Truth, enough: np.ndarray, rng: np.random.Generator
) -> float:
    """Two-sided p of the difference in macro AUC of two sources of scores, by exchanging them within people.

    first, second : (N, U).  If both were equally good, each person's two sets of scores could be exchanged.
    Scores are ranked within folds first, to share a scale.
    """
    a, b = _ranked(first, truth), _ranked(second, truth)
    tables = {(x, y): wins(s, t, truth) for x, s in enumerate((a, b)) for y, t in enumerate((a, b))}
    swapped = rng.integers(2, size=(N_RESAMPLES, truth.n_people))
    swapped = np.vstack([np.zeros((1, truth.n_people)), swapped])
    count = pairs(truth).sum(axis=(1, 2))

    def area(z: np.ndarray) -> np.ndarray:
        taken = {0: 1 - z, 1: z}
        won = sum(np.einsum("urq,rq->ru", taken[x] @ t, taken[y]) for (x, y), t in tables.items())
        return macro(won / np.where(count > 0, count, np.nan), enough)

    gaps = np.abs(area(swapped) - area(1 - swapped))
    return float((1 + (gaps[1:] >= gaps[0] - 1e-12).sum()) / len(gaps))


def _ranked(scores: np.ndarray, truth: Truth) -> np.ndarray:
    ranks = np.empty_like(scores, dtype=np.float64)
    for fold in np.unique(truth.fold):
        mine = truth.fold == fold
        ranks[mine] = rankdata(scores[mine], axis=0) / mine.sum()
    return ranks


# ------------------------------------------------------------------------------------- F1, accuracy, levels


def outcomes(said: np.ndarray, truth: Truth) -> np.ndarray:
    """(P, U, 4): each person's true positives, false positives, false negatives, true negatives."""
    present, absent = truth.present == 1, truth.present == 0
    return truth.by_person(np.stack([said & present, said & absent, ~said & present, ~said & absent], axis=2))


def f1(counted: np.ndarray) -> np.ndarray:
    """``2 TP / (2 TP + FP + FN)`` of (..., 4) outcomes; NaN where the AU is neither there nor called."""
    tp, fp, fn, _ = np.moveaxis(counted, -1, 0)
    below = 2 * tp + fp + fn
    return np.divide(2 * tp, below, out=np.full_like(below, np.nan), where=below > 0)


def accuracy(counted: np.ndarray) -> np.ndarray:
    """Fraction of (..., 4) outcomes that are right; NaN where nothing is coded."""
    n = counted.sum(axis=-1)
    return np.divide(counted[..., 0] + counted[..., 3], n, out=np.full_like(n, np.nan), where=n > 0)


def times_of(times: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """(R, P) multiplicities of sums (P, ...) -> totals (R, ...)."""
    return np.tensordot(times, sums, axes=1)


def level_errors(level: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
    """Each person's sums (P, U): ``n`` codes with a known level, ``right`` when rounded, ``squared`` errors."""
    known = ~np.isnan(truth.level)
    wanted = np.where(known, truth.level, 0)
    error = np.where(known, level - wanted, 0)
    right = known & (np.round(level) == np.round(wanted))
    return {
        "n": truth.by_person(known),
        "right": truth.by_person(right),
        "squared": truth.by_person(error**2),
    }


def ratio(above: np.ndarray, below: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(R,) ratio of two totals of sums (P, U) over people and AUs."""
    return times_of(times, above.sum(axis=1)) / times_of(times, below.sum(axis=1))


def measured(
    measure: Callable[[np.ndarray], np.ndarray], sums: np.ndarray, times: np.ndarray
) -> list[Estimate]:
    """One estimate for each AU: ``measure`` of totals (R, U, ...) of sums (P, U, ...) -> (R, U)."""
    draws = measure(times_of(times, sums))
    return [estimate(column, sums.shape[0]) for column in draws.T]
