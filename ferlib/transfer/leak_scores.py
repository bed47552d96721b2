"""What a leak adds to a number: clean and leaky answers on the same faces, resampled together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferlib.labels import DRAWN_PREFIX
from ferlib.metrics import Estimate, draw_units, side

LEAKS: dict[str, str] = {
    "epoch on test": "the best epoch is chosen on the test split",
    "epoch on fold": "in each fold the best epoch is chosen on the people held out",
    "folds by image": "folds are made of images, so a person is in training and in test",
    "copies across splits": "some test faces have an identical copy in training",
    "augmented, then split": "faces are multiplied first and divided afterwards",
}


@dataclass(frozen=True)
class Finding:
    """One leak: the clean number, the leaky one, and what the leak adds, on the same faces.

    n : answers judged, over seeds or folds.  by_run : the difference in each of them.  planted : whether the
    leak was put into the corpus for this purpose.
    """

    leak: str
    corpus: str
    clean: Estimate
    leaky: Estimate
    difference: Estimate
    n: int
    by_run: tuple[float, ...]
    planted: bool = False


def best_epoch(probabilities: np.ndarray, labels: np.ndarray) -> int:
    """The epoch with the highest accuracy, of equals the one with the lowest loss: as ``learner`` chooses on val.

    probabilities : (E, N, K).  labels : (N,).
    """
    of_truth = probabilities[:, np.arange(len(labels)), labels]
    score = (probabilities.argmax(axis=2) == labels).mean(axis=1)
    loss = -np.log(np.maximum(of_truth, 1e-12)).mean(axis=1)
    return int(np.lexsort((loss, -score))[0])


def right_at(probabilities: np.ndarray, labels: np.ndarray, epoch: int) -> np.ndarray:
    """(N,) bool: which faces are named rightly after ``epoch``."""
    return probabilities[epoch].argmax(axis=1) == labels


def finding(
    leak: str,
    corpus: str,
    answers: pd.DataFrame,
    rng: np.random.Generator,
    people: bool = True,
    planted: bool = False,
) -> Finding:
    """Clean and leaky accuracy of the same answers, and their difference, resampled by unit together.

    answers : columns ``right_clean right_leaky`` (bool), ``unit``, who was judged, and ``run``, the seed or fold.
    people : whether units are people; else they are images.
    """
    right = answers[["right_clean", "right_leaky"]].to_numpy(float)
    which, names = pd.factorize(answers["unit"])
    sums = np.zeros((len(names), 3))
    np.add.at(sums, which, np.column_stack([right, np.ones(len(right))]))
    times = draw_units(len(names), rng)
    totals = np.vstack([sums.sum(axis=0), times @ sums])
    clean, leaky = (totals[:, :2] / totals[:, 2:]).T
    unit = "people" if people else "images"
    gaps = pd.Series(right[:, 1] - right[:, 0]).groupby(answers["run"].to_numpy()).mean()
    made = [_estimate(draws, len(names), unit) for draws in (clean, leaky, leaky - clean)]
    return Finding(leak, corpus, made[0], made[1], made[2], len(right), tuple(gaps), planted)


def _estimate(draws: np.ndarray, n: int, unit: str) -> Estimate:
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Estimate(float(draws[0]), float(low), float(high), n, unit)


def table(findings: list[Finding]) -> pd.DataFrame:
    """One row a leak and corpus: ``what corpus clean leaky value low high n units unit planted runs sd_over_runs``.

    ``value`` is leaky minus clean with its interval.
    """
    rows = {
        named(f): {"what": LEAKS[f.leak], "corpus": f.corpus, "clean": f.clean.value, "clean_low": f.clean.low,
                 "clean_high": f.clean.high, "leaky": f.leaky.value, "leaky_low": f.leaky.low,
                 "leaky_high": f.leaky.high, "value": f.difference.value, "low": f.difference.low,
                 "high": f.difference.high, "n": f.n, "units": f.difference.n, "unit": f.difference.unit,
                 "planted": f.planted, "runs": len(f.by_run),
                 "sd_over_runs": float(np.std(f.by_run, ddof=1)) if len(f.by_run) > 1 else float("nan")}
        for f in findings
    }  # fmt: skip
    return pd.DataFrame(rows).T.infer_objects()


def named(finding: Finding) -> str:
    """``folds by image, ckplus``."""
    return f"{finding.leak}, {finding.corpus.removeprefix(DRAWN_PREFIX)}"


def verdict(row: pd.Series) -> str:
    """What the difference of a row of :func:`table` says, in words."""
    words = {"above": "inflates", "below": "deflates"}
    return words.get(side(row["low"], row["high"]), "no effect shown")


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`table` as a reader wants to see them: per cent, and percentage points with intervals.

    ``sd`` : standard deviation of the difference over seeds or folds, in percentage points.
    """
    space = "\N{NO-BREAK SPACE}"
    ends = (100 * table[["low", "high"]].astype(float)).map("{:+.1f}".format)
    spread = (100 * table["sd_over_runs"].astype(float)).map("{:.1f}".format)
    made = {
        "clean": (100 * table["clean"].astype(float)).map(f"{{:.1f}}{space}%".format),
        "with the leak": (100 * table["leaky"].astype(float)).map(f"{{:.1f}}{space}%".format),
        "points added": (100 * table["value"].astype(float)).map("{:+.1f}".format),
        f"95{space}% interval": ends["low"] + f"{space}to{space}" + ends["high"],
        "over": table["units"].map("{:,}".format) + " " + table["unit"],
        "sd": spread,  # over seeds or folds
    }
    return pd.DataFrame(made, index=table.index).rename_axis(None)


def planted_sentence(findings: list[Finding]) -> str:
    """Which of the leaks were put into a corpus for the purpose, in words."""
    names = dict.fromkeys(f.leak for f in findings if f.planted)
    planted = [f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}" for name in names]
    if not planted:
        return "None of these leaks was planted: the corpora brought them along."
    return f"Made for this page, because the corpus does not bring them along: {' and '.join(planted)}."
