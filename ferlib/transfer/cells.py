"""The cells of a matrix: which classes were judged, how many faces, how often right, against what baseline."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ferlib import metrics
from ferlib.metrics import Estimate
from ferlib.transfer import classes
from ferlib.transfer.samples import share_of
from ferlib.transfer.settings import Matrix, Unit, parts_of


@dataclass(frozen=True, eq=False)
class Cell:
    """One source, target, mode and share: what all folds answered, on the classes that count.

    predictions : as ``predictions.parquet``, with a column for each class judged; faces of other classes are
        left out.  ``subject`` is the image itself where people are not known, so that an image that several
        networks answered is resampled as one.
    n_left_out : faces of the test parts whose class the network cannot name.
    train_counts : class -> images of the target's train part, over all folds, for the baseline.
    n_labels, n_people : of the target's train part that were used, mean over folds (0 people: not known).
    """

    source: str
    target: str
    mode: str
    share: float
    protocol: str
    mapping: str
    predictions: pd.DataFrame
    n_left_out: int
    train_counts: dict[str, int]
    n_labels: float
    n_people: float
    knows_people: bool

    @property
    def name(self) -> tuple[str, str, str, float]:
        return self.source, self.target, self.mode, self.share

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """The classes judged."""
        return tuple(metrics.emotions_of(self.predictions))

    @property
    def n_faces(self) -> int:
        """How many different faces were judged."""
        return int(self.predictions["row"].nunique())

    def unit(self, estimate: Estimate) -> Estimate:
        """``estimate`` naming what was resampled: people, or images where people are not known."""
        return estimate if self.knows_people else dataclasses.replace(estimate, unit="image")

    def accuracy(self, rng: np.random.Generator) -> Estimate:
        """Fraction of the judged faces that are named rightly."""
        return self.unit(metrics.accuracy(self.predictions, rng))

    def baseline(self, rng: np.random.Generator) -> Estimate:
        """The same for always naming the class that is commonest in the target's train part."""
        return self.unit(metrics.baseline_accuracy(self.predictions, self.train_counts, rng))

    def accuracy_of_all(self) -> float:
        """Accuracy where faces that the network cannot name count as wrong."""
        return float(metrics.is_right(self.predictions).sum() / (len(self.predictions) + self.n_left_out))

    def dealt(self, rng: np.random.Generator) -> Cell:
        """The same answers with the true names of the faces dealt out at random: what habit alone scores."""
        names = rng.permutation(self.predictions["truth"].to_numpy())
        return dataclasses.replace(self, predictions=self.predictions.assign(truth=names))


def cells_of(matrix: Matrix, answers: dict[Unit, pd.DataFrame]) -> list[Cell]:
    """The cells of ``answers``, in the order of corpora, modes and shares."""
    grouped: dict[tuple[str, str, str, float], list[Unit]] = {}
    for unit in answers:
        grouped.setdefault((unit.source, unit.target, unit.mode, unit.share), []).append(unit)
    return [_cell(matrix, units, [answers[unit] for unit in units]) for units in grouped.values()]


def _cell(matrix: Matrix, units: list[Unit], tables: list[pd.DataFrame]) -> Cell:
    first = units[0]
    parts = [parts_of(matrix, u.target, u.target_fold) for u in units]
    target = parts[0].test.emotions
    answered = tuple(metrics.emotions_of(tables[0]))
    kept = classes.shared(answered, target)
    table = pd.concat(tables, ignore_index=True)
    judged = table["truth"].isin(kept).to_numpy()
    p = classes.restricted(table.loc[judged, list(answered)].to_numpy(), answered, kept)
    told = table.loc[judged, ["row", "subject", "fold", "split", "truth"]].reset_index(drop=True)
    knows_people = bool(told["subject"].notna().all())
    told["subject"] = told["subject"].fillna(told["row"].astype("string"))
    used = [share_of(part.train, first.share, at_least=2) for part in parts] if first.share else []
    counts = pd.concat([part.train.table["emotion"] for part in parts]).value_counts()
    return Cell(
        first.source, first.target, first.mode, first.share, parts[0].protocol,
        classes.sentence(answered, target, kept),
        pd.concat([told, pd.DataFrame(p, columns=list(kept))], axis=1),
        int((~judged).sum()),
        {e: int(counts.get(e, 0)) for e in kept},
        float(np.mean([len(u) for u in used])) if used else 0.0,
        float(np.mean([u.table["subject"].nunique() for u in used])) if used and knows_people else 0.0,
        knows_people,
    )  # fmt: skip


def summary(cells: list[Cell], seed: int = 0) -> pd.DataFrame:
    """One row a cell: ``source target mode share``, ``value low high n unit`` of its accuracy, ``baseline``,
    ``baseline_low baseline_high``, ``macro_f1``, ``macro_recall``, ``accuracy_of_all``, ``n_faces``,
    ``n_left_out``, ``classes``, ``protocol``, ``n_labels``, ``n_people``.

    Every cell is resampled with the same random numbers, so that equal cells have equal intervals.
    """
    rows = []
    for cell in cells:
        accuracy = cell.accuracy(np.random.default_rng(seed))
        baseline = cell.baseline(np.random.default_rng(seed))
        rows.append(
            {"source": cell.source, "target": cell.target, "mode": cell.mode, "share": cell.share,
             **accuracy.as_dict(),
             "baseline": baseline.value, "baseline_low": baseline.low, "baseline_high": baseline.high,
             "macro_f1": metrics.macro_f1(cell.predictions, np.random.default_rng(seed)).value,
             "macro_recall": metrics.macro_recall(cell.predictions, np.random.default_rng(seed)).value,
             "accuracy_of_all": cell.accuracy_of_all(), "n_faces": cell.n_faces,
             "n_left_out": cell.n_left_out, "classes": cell.mapping, "protocol": cell.protocol,
             "n_labels": cell.n_labels, "n_people": cell.n_people}
        )  # fmt: skip
    return pd.DataFrame(rows)


def per_class(cells: list[Cell], seed: int = 0) -> pd.DataFrame:
    """One row a cell and class: ``source target mode share emotion value low high n`` of its recall."""
    rows = [
        {"source": cell.source, "target": cell.target, "mode": cell.mode, "share": cell.share,
         "emotion": emotion, **found.as_dict()}
        for cell in cells
        for emotion, found in metrics.per_class_recall(cell.predictions, np.random.default_rng(seed)).items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def confusion_difference(away: Cell, home: Cell) -> pd.DataFrame:
    """Shares of each true class (rows) named so (columns), of ``away`` minus those of ``home``.

    Both on the classes that both judge; a network's answers are restricted to them first.
    """
    both = classes.shared(away.emotions, home.emotions)
    return _shares(away, both) - _shares(home, both)


def _shares(cell: Cell, kept: tuple[str, ...]) -> pd.DataFrame:
    judged = cell.predictions[cell.predictions["truth"].isin(kept)]
    counts = pd.crosstab(judged["truth"], judged[list(kept)].idxmax(axis=1))
    counts = counts.reindex(index=list(kept), columns=list(kept), fill_value=0)
    return counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
