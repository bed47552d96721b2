"""Intervals of filter x AU associations by resampling people, with ranks taken anew in every resample."""

from __future__ import annotations

import warnings

import numpy as np

from ferlib.au_stats.codes import Codes, Null, exchange_units
from ferlib.au_stats.statistics import Association, coded_groups, effect, target_labels
from ferlib.metrics import Estimate

TAILS = (2.5, 97.5)  # per cent: 95 % percentile intervals


def resampled(acts: np.ndarray, codes: Codes, statistic: str, null: Null, people: np.ndarray) -> np.ndarray:
    """The association table under given multiplicities of the people.

    acts : (N, F).  people : (R, A) int >= 0, how often each of the A distinct people (in sorted order) is
    drawn. Returns (R, F, U) float64, NaN where a resample lost one side of an AU.
    """
    person = np.unique(codes.subject, return_inverse=True)[1]
    stratum = exchange_units(codes, null).image_stratum
    values = target_labels(codes, statistic)
    result = np.full((len(people), acts.shape[1], values.shape[1]), np.nan)
    for images, aus in coded_groups(values):
        if len(images) == 0:
            continue
        part = Association(acts[images], values[np.ix_(images, aus)], stratum[images], statistic)
        for r, drawn in enumerate(people):
            result[r][:, aus] = part(drawn[person[images]].astype(np.float64))
    return result


def draw_people(subject: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(R, A) int: multiplicities of A people drawn with replacement, R times.  subject : (N,)."""
    n_people = len(np.unique(subject))
    return rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=n_resamples)


def intervals(
    acts: np.ndarray, codes: Codes, statistic: str, null: Null, people: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile intervals over resampled people (Efron & Tibshirani 1993).

    people : (R, A) int from :func:`draw_people`.  Returns low and high, each (F, U); NaN where more than
    half of the resamples lost one side of the AU, and everywhere with fewer than two people.
    """
    if people.shape[1] < 2:
        return (np.full((acts.shape[1], len(codes.names)), np.nan),) * 2
    draws = resampled(acts, codes, statistic, null, people)
    lost = np.isnan(draws).mean(axis=0) > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an all-NaN cell is reported as NaN
        low, high = np.nanpercentile(draws, TAILS, axis=0)
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)


def estimates(
    acts: np.ndarray, codes: Codes, filters: np.ndarray, statistic: str, null: Null, people: np.ndarray
) -> list[Estimate]:
    """For each AU, the association of one chosen filter with its interval over people.

    filters : (U,) int.  Where the filter was chosen as the best of many on the same images, its value is
    optimistic.
    """
    chosen, column = np.unique(filters, return_inverse=True)
    aus = np.arange(len(codes.names))
    value = effect(acts[:, chosen], codes, statistic, null)[column, aus]
    low, high = (side[column, aus] for side in intervals(acts[:, chosen], codes, statistic, null, people))
    rows = zip(value, low, high, strict=True)
    return [Estimate(float(v), float(a), float(b), people.shape[1], "people") for v, a, b in rows]
