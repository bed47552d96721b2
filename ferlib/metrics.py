"""How good a run is, from its predictions alone.

Every measure is a function of sums over images, so one bootstrap serves them all: it resamples people where
the predictions know them, else images, adds up the sums of those drawn, and measures each total.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferlib.config import DataError

DESCRIBES = ("row", "subject", "fold", "split", "truth")
"""Columns of ``predictions.parquet`` that are not the probability of a class."""
N_RESAMPLES = 1000
LEVEL = 0.95
N_BINS = 15


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval [low, high]; ``n`` counts what was resampled, named by ``unit``."""

    value: float
    low: float
    high: float
    n: int
    unit: str

    def __format__(self, spec: str) -> str:
        """``f"{estimate:.3f}"`` -> ``0.721 [0.706, 0.736]``."""
        spec = spec or ".3f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def as_dict(self) -> dict[str, Any]:
        """``value low high n unit``."""
        return dataclasses.asdict(self)


def emotions_of(predictions: pd.DataFrame) -> list[str]:
    """The classes in the order of their columns."""
    return [c for c in predictions.columns if c not in DESCRIBES]


def accuracy(predictions: pd.DataFrame, rng: np.random.Generator) -> Estimate:
    """Fraction of images whose most probable class is the truth."""
    truth, guess, _ = _read(predictions)
    sums = np.stack([truth == guess, np.ones(len(truth))], axis=1)
    return _bootstrap(lambda s: s[:, 0] / s[:, 1], sums, predictions, rng)


def baseline_accuracy(
    predictions: pd.DataFrame, train_counts: Mapping[str, int], rng: np.random.Generator
) -> Estimate:
    """Accuracy of always naming the commonest class of the training part: what chance and habit give."""
    truth, _, names = _read(predictions)
    commonest = max(names, key=lambda name: train_counts.get(name, 0))
    sums = np.stack([truth == names.index(commonest), np.ones(len(truth))], axis=1)
    return _bootstrap(lambda s: s[:, 0] / s[:, 1], sums, predictions, rng)


def macro_f1(predictions: pd.DataFrame, rng: np.random.Generator) -> Estimate:
    """Mean over the classes that occur of ``F1_c = 2 TP / (2 TP + FP + FN)``."""

    def measure(tables: np.ndarray) -> np.ndarray:  # (R, K, K) truth x guess -> (R,)
        hits = np.einsum("rkk->rk", tables)
        truths, guesses = tables.sum(axis=2), tables.sum(axis=1)
        f1 = 2 * hits / np.maximum(truths + guesses, 1e-12)
        return np.nanmean(np.where(truths > 0, f1, np.nan), axis=1)

    return _of_confusions(measure, predictions, rng)


def macro_recall(predictions: pd.DataFrame, rng: np.random.Generator) -> Estimate:
    """Mean over the classes that occur of their recall; also called UAR.  Guessing scores 1 / classes."""

    def measure(tables: np.ndarray) -> np.ndarray:  # (R, K, K) truth x guess -> (R,)
        hits, truths = np.einsum("rkk->rk", tables), tables.sum(axis=2)
        return np.nanmean(np.where(truths > 0, hits / np.maximum(truths, 1e-12), np.nan), axis=1)

    return _of_confusions(measure, predictions, rng)


def per_class_recall(predictions: pd.DataFrame, rng: np.random.Generator) -> dict[str, Estimate]:
    """For each class that occurs: fraction of its images that are named so."""
    shares = confusion(predictions, rng)
    same = shares[shares["truth"] == shares["predicted"]].set_index("truth")
    rows: dict[Any, Any] = same[["value", "low", "high", "n", "unit"]].to_dict("index")
    return {str(truth): Estimate(**row) for truth, row in rows.items()}


def confusion(predictions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Who is taken for whom, one row a pair: ``truth predicted count value low high n unit``.

    ``value`` is the fraction of ``truth`` named ``predicted``; classes that do not occur have no rows.
    """
    names = emotions_of(predictions)
    sums = _confusion_sums(predictions)
    counts = sums.sum(axis=0).reshape(len(names), len(names))  # (K, K)
    totals, n, unit = _resampled(sums, predictions, rng)
    rows = []
    for t in np.flatnonzero(counts.sum(axis=1)):
        drawn = totals.reshape(-1, len(names), len(names))[:, t]  # (R, K)
        drawn = drawn[drawn.sum(axis=1) > 0]
        low, high = _interval(drawn / drawn.sum(axis=1, keepdims=True))
        for p, share in enumerate(counts[t] / counts[t].sum()):
            ends = (float(low[p]), float(high[p]))
            if ends[0] == ends[1]:  # all or none: resampling cannot move it
                ends = wilson(float(share), _units(predictions[predictions["truth"] == names[t]]))
            found = Estimate(float(share), *ends, n, unit)
            rows.append(
                {"truth": names[t], "predicted": names[p], "count": int(counts[t, p]), **found.as_dict()}
            )
    return pd.DataFrame(rows)


def confusion_counts(predictions: pd.DataFrame) -> pd.DataFrame:
    """(K, K) int: images of each truth (rows) by predicted class (columns)."""
    names = emotions_of(predictions)
    counts = _confusion_sums(predictions).sum(axis=0).reshape(len(names), len(names)).astype(int)
    return pd.DataFrame(
        counts, index=pd.Index(names, name="truth"), columns=pd.Index(names, name="predicted")
    )


def ece(predictions: pd.DataFrame, rng: np.random.Generator, n_bins: int = N_BINS) -> Estimate:
    """Expected calibration error: ``sum_b (n_b / n) |accuracy_b - confidence_b|`` over bins.

    Guo et al. 2017, "On calibration of modern neural networks", eq. 3; bins are (low, high].
    Resampling adds noise to every bin, and noise adds to this error, so percentiles of resamples would miss the
    value itself: the interval is :func:`around` it.
    """
    truth, guess, names = _read(predictions)
    confidence = predictions[names].to_numpy(np.float64).max(axis=1)
    of_bin = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    sums = np.zeros((len(truth), n_bins + 1))
    sums[np.arange(len(truth)), of_bin] = (truth == guess) - confidence
    sums[:, n_bins] = 1
    totals, n, unit = _resampled(sums, predictions, rng)
    draws = np.abs(totals[:, :n_bins]).sum(axis=1) / totals[:, n_bins]
    return around(float(np.abs(sums[:, :n_bins].sum(axis=0)).sum() / len(sums)), draws, n, unit)


def around(value: float, draws: np.ndarray, n: int, unit: str) -> Estimate:
    """``value`` plus and minus 1.96 standard errors, the standard deviation of the resampled ``draws`` (R,).

    Cut off at 0 and 1.  For measures that resampling biases (Efron & Tibshirani 1993, ch. 12).
    """
    reach = 1.96 * float(np.nanstd(draws, ddof=1))
    return Estimate(float(value), max(0.0, value - reach), min(1.0, value + reach), n, unit)


def is_right(predictions: pd.DataFrame) -> np.ndarray:
    """(N,) bool: whether the most probable class is the truth."""
    return predictions[emotions_of(predictions)].idxmax(axis=1).to_numpy() == predictions["truth"].to_numpy()


def mean_over_people(values: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Mean of ``values`` (N,) with percentiles over resampled ``people`` (N,)."""
    of = pd.factorize(people)[0]
    sums, counts = np.bincount(of, values), np.bincount(of)
    drawn = rng.integers(len(sums), size=(N_RESAMPLES, len(sums)))
    draws = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return of_draws(sums.sum() / counts.sum(), draws, len(sums), "subject")


def draw_units(n: int, rng: np.random.Generator) -> np.ndarray:
    """(R, n) int: how often each of ``n`` units is drawn, of ``n`` draws with replacement."""
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)


def of_draws(value: float, draws: np.ndarray, n: int, unit: str) -> Estimate:
    """``value`` with the percentiles of the resampled ``draws`` (R,) (Efron & Tibshirani 1993, ch. 13)."""
    low, high = _interval(draws)
    return Estimate(float(value), float(low), float(high), n, unit)


def side(low: float, high: float, than: float = 0.0) -> str:
    """Where an interval lies: ``above``, ``below`` or ``not clearly different from`` the number ``than``."""
    if low > than:
        return "above"
    return "below" if high < than else "not clearly different from"


def summary_over_seeds(estimates: Iterable[Estimate | float]) -> dict[str, Any]:
    """Several runs of one setting: ``mean``, ``sd`` (n - 1; NaN for one run), ``n``, values ``runs``."""
    values = [e.value if isinstance(e, Estimate) else float(e) for e in estimates]
    if not values:
        raise DataError("No run to summarise: give at least one estimate")
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return {"mean": float(np.mean(values)), "sd": sd, "n": len(values), "runs": values}


# ----------------------------------------------------------------------------------------- the bootstrap


def _read(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(N,) index of the truth, (N,) index of the most probable class, and the classes."""
    names = emotions_of(predictions)
    if len(predictions) == 0:
        raise DataError("No prediction to measure")
    truth = pd.Index(names).get_indexer(pd.Index(predictions["truth"]))
    if (truth < 0).any():
        unknown = sorted(set(predictions["truth"]) - set(names))
        raise DataError(f"Truths without a column of probabilities: {unknown}")
    return truth, predictions[names].to_numpy().argmax(axis=1), names


def _confusion_sums(predictions: pd.DataFrame) -> np.ndarray:
    """(N, K * K) float: one 1 an image, at its truth and guess."""
    truth, guess, names = _read(predictions)
    return np.eye(len(names) ** 2)[truth * len(names) + guess]


def _of_confusions(
    measure: Callable[[np.ndarray], np.ndarray], predictions: pd.DataFrame, rng: np.random.Generator
) -> Estimate:
    k = len(emotions_of(predictions))
    return _bootstrap(lambda s: measure(s.reshape(-1, k, k)), _confusion_sums(predictions), predictions, rng)


def _bootstrap(
    measure: Callable[[np.ndarray], np.ndarray],
    sums: np.ndarray,
    predictions: pd.DataFrame,
    rng: np.random.Generator,
) -> Estimate:
    """``measure`` of the total of ``sums`` (N, D).  measure : (R, D) totals -> (R,) values."""
    totals, n, unit = _resampled(sums, predictions, rng)
    return of_draws(measure(sums.sum(axis=0, keepdims=True))[0], measure(totals), n, unit)


def _resampled(
    sums: np.ndarray, predictions: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, int, str]:
    """Totals (R, D) of ``sums`` (N, D) over units drawn with replacement; how many units and of what."""
    known = "subject" in predictions and not predictions["subject"].isna().any()
    if known:
        codes, people = pd.factorize(predictions["subject"])
        of_unit = np.zeros((len(people), sums.shape[1]))
        np.add.at(of_unit, codes, sums)
    else:
        of_unit = sums
    n = len(of_unit)
    drawn = rng.integers(n, size=(N_RESAMPLES, n))
    drawn += n * np.arange(N_RESAMPLES)[:, None]
    times = np.bincount(drawn.ravel(), minlength=N_RESAMPLES * n).reshape(N_RESAMPLES, n)
    return times.astype(np.float64) @ of_unit, n, "subject" if known else "image"


def _units(predictions: pd.DataFrame) -> int:
    """How many people, or images where people are not known."""
    known = "subject" in predictions and not predictions["subject"].isna().any()
    return predictions["subject"].nunique() if known else len(predictions)


def wilson(share: float, n: int) -> tuple[float, float]:
    """The interval of Wilson (1927) around ``share`` of ``n``; it has a width where the share is 0 or 1."""
    z = 1.959964
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0, middle - half) / (1 + z**2 / n)), float(
        min(1 + z**2 / n, middle + half) / (1 + z**2 / n)
    )


def share(hits: int, n: int, unit: str) -> Estimate:
    """``hits`` of ``n`` as a fraction with its interval of Wilson; of nothing, 0 with the interval [0, 1]."""
    value = float(hits) / max(n, 1)
    return Estimate(value, *(wilson(value, n) if n else (0.0, 1.0)), int(n), unit)


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles over the first axis that enclose ``LEVEL`` of the values."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return low, high
