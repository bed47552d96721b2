"""Why a network travels or not: what it sees elsewhere, what matching the pictures changes, how sure it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ferlib import features, learner, metrics
from ferlib.datasets import FaceSet
from ferlib.metrics import Estimate, mean_over_people
from ferlib.recipes import RECIPES
from ferlib.runs import Run
from ferlib.transfer import classes, matching, shift
from ferlib.transfer.cells import Cell
from ferlib.transfer.matrix import rows_of
from ferlib.transfer.settings import Matrix, faces_of, folds_of, pairs, parts_of


def mean_over_cells(
    cells: list[Cell], measure: Callable[[Cell], np.ndarray], rng: np.random.Generator
) -> Estimate:
    """Mean over cells of the mean of ``measure`` (N,) over each cell's predictions.

    The people of a target are resampled together for all cells that are tested on them; ``n`` counts people.
    """
    people = {t: _people(cells, t) for t in dict.fromkeys(cell.target for cell in cells)}
    draws = {t: rng.integers(len(p), size=(metrics.N_RESAMPLES, len(p))) for t, p in people.items()}
    values, drawn = [], []
    for cell in cells:
        codes = people[cell.target].get_indexer(pd.Index(cell.predictions["subject"]))
        got = np.asarray(measure(cell), float)
        sums, counts = (np.bincount(codes, w, len(people[cell.target])) for w in (got, np.ones_like(got)))
        values.append(got.mean())
        drawn.append(sums[draws[cell.target]].sum(axis=1) / counts[draws[cell.target]].sum(axis=1))
    unit = "subject" if all(cell.knows_people for cell in cells) else "person or image"
    n = sum(len(p) for p in people.values())
    return metrics.of_draws(np.mean(values), np.mean(drawn, axis=0), n, unit)


def _people(cells: list[Cell], target: str) -> pd.Index:
    """Everybody, or every image, that ``target`` is tested on in any of ``cells``."""
    return pd.Index(
        sorted({p for cell in cells if cell.target == target for p in cell.predictions["subject"]})
    )


def as_estimate(row: Mapping[str, Any]) -> Estimate:
    """The :class:`Estimate` in the columns ``value low high n unit`` of a row of a table."""
    value, low, high = (float(row[part]) for part in ("value", "low", "high"))
    return Estimate(value, low, high, int(row["n"]), str(row["unit"]))


def right(cell: Cell) -> np.ndarray:
    """(N,) bool: which predictions are right."""
    return metrics.is_right(cell.predictions)


def commonest(cell: Cell) -> np.ndarray:
    """(N,) bool: which are right when the class that is commonest in the target's train part is always named."""
    name = max(cell.emotions, key=lambda emotion: cell.train_counts.get(emotion, 0))
    return (cell.predictions["truth"] == name).to_numpy()


def gain(cell: Cell) -> np.ndarray:
    """(N,) in {-1, 0, 1}: :func:`right` minus :func:`commonest`, face by face."""
    return right(cell).astype(float) - commonest(cell)


def above_baseline(cells: list[Cell], seed: int = 0) -> pd.DataFrame:
    """How many cells name more faces rightly than their commonest class does, by a paired interval above zero.

    Index ``mode``, and ``home`` or ``away``; columns ``above cells``.
    """
    rows = [
        {"mode": cell.mode, "where": "home" if cell.source == cell.target else "away",
         "above": mean_over_cells([cell], gain, np.random.default_rng(seed)).low > 0, "cells": 1}
        for cell in cells
    ]  # fmt: skip
    return pd.DataFrame(rows).groupby(["mode", "where"])[["above", "cells"]].sum()


def calibration(cells: list[Cell], seed: int = 0) -> pd.DataFrame:
    """One row a cell: ``source target value low high n`` of the expected calibration error, and ``confidence``,
    the mean probability of the class named."""
    rows = []
    for cell in cells:
        error = metrics.ece(cell.predictions, np.random.default_rng(seed))
        sure = float(cell.predictions[list(cell.emotions)].max(axis=1).mean())
        rows.append({"source": cell.source, "target": cell.target, **error.as_dict(), "confidence": sure})
    return pd.DataFrame(rows)


def distances(matrix: Matrix, nets: dict[str, list[Run]], rng: np.random.Generator) -> pd.DataFrame:
    """How far each target lies from home in the features of each source's first network.

    Home: the faces of the source's own test part, which that network has not seen.  One row a pair of corpora:
    ``source target value null_mean null_high p n ratio`` of the squared discrepancy of :func:`shift.mmd`.
    """
    rows = []
    for source in matrix.corpora:
        home = parts_of(matrix, source, 0).test
        for target in matrix.corpora:
            if target != source:
                away = _some(matrix, target, rng)
                x, y = (seen(matrix, nets[source][0], faces) for faces in (home, away))
                found = shift.mmd(x, y, rng, home.subjects, away.subjects)
                rows.append({"source": source, "target": target, **vars(found), "ratio": found.ratio})
    return pd.DataFrame(rows)


def _some(matrix: Matrix, corpus: str, rng: np.random.Generator) -> FaceSet:
    """Test faces of ``corpus`` over the folds that are run, at most ``shift.MOST``."""
    rows = np.concatenate([parts_of(matrix, corpus, f).test.table["row"] for f in folds_of(matrix, corpus)])
    everything = faces_of(matrix, corpus)
    tested = everything.select(np.isin(everything.table["row"].to_numpy(), rows))
    return tested.select(shift.sample(len(tested), tested.subjects, rng))


def seen(matrix: Matrix, run: Run, part: FaceSet) -> np.ndarray:
    """(N, D) features of ``part``, read from those of the whole corpus where these were computed."""
    everything = faces_of(matrix, part.corpus)
    if features.place_of(run, everything).is_dir():
        return features.of(run, everything)[rows_of(matrix, part.corpus, part)]
    return np.asarray(features.of(run, part))


def told_apart(matrix: Matrix, nets: dict[str, list[Run]], rng: np.random.Generator) -> pd.DataFrame:
    """How well the corpus of a face is told from grey levels alone, and from each source's features.

    One row a kind of features: ``value low high n unit`` of the accuracy; chance is 1 / corpora.
    """
    some = {corpus: _some(matrix, corpus, rng) for corpus in matrix.corpora}
    people = {corpus: faces.subjects for corpus, faces in some.items()}
    kinds = {"grey levels alone": {corpus: grey_statistics(faces.images) for corpus, faces in some.items()}}
    for source in matrix.corpora:
        kinds[f"features of {source}"] = {c: seen(matrix, nets[source][0], f) for c, f in some.items()}
    found = {name: shift.told_apart(samples, people, rng)[0].as_dict() for name, samples in kinds.items()}
    return pd.DataFrame(found).T


def grey_statistics(images: np.ndarray) -> np.ndarray:
    """(N, H, W) uint8 -> (N, 7): mean, deviation and the quantiles .05 .25 .5 .75 .95 of each face's grey levels."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    quantiles = np.quantile(flat, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).T
    return np.column_stack([flat.mean(axis=1), flat.std(axis=1), quantiles])


def matching_effects(matrix: Matrix, nets: dict[str, list[Run]], rng: np.random.Generator) -> pd.DataFrame:
    """What it changes to make the target's test faces like the source's train faces in one respect.

    One row a pair of corpora and way of ``matching.KINDS``: ``source target how plain value low high n``;
    ``plain`` is the accuracy without, ``value`` the difference, with an interval over people.
    """
    rows = []
    for source, target in itertools.permutations(matrix.corpora, 2):
        right, people = _matched(matrix, nets[source], source, target)
        for how in matching.KINDS:
            found = mean_over_people(right[how] - right["plain"], people, rng)
            told = {"source": source, "target": target, "how": how, "plain": float(right["plain"].mean())}
            rows.append({**told, **found.as_dict()})
    return pd.DataFrame(rows)


def _matched(
    matrix: Matrix, nets: list[Run], source: str, target: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Way of matching, or ``plain``, -> (N,) 1.0 where right; (N,) the person of each; over all pairs of folds."""
    hits: dict[str, list[np.ndarray]] = {how: [] for how in ("plain", *matching.KINDS)}
    people = []
    for s, t in pairs(len(nets), len(folds_of(matrix, target))):
        test, like = parts_of(matrix, target, t).test, parts_of(matrix, source, s).train
        kept = classes.shared(nets[s].emotions, test.emotions)
        test = test.select(np.isin(test.table["emotion"].to_numpy(dtype=object), kept))
        for how, found in hits.items():
            images = test.images if how == "plain" else matching.matched(test.images, like.images, how)
            found.append(_hits(nets[s], images, test.table["emotion"].to_numpy(), kept))
        people.append(test.subjects if test.subjects is not None else test.table["row"].to_numpy(str))
    return {how: np.concatenate(found) for how, found in hits.items()}, np.concatenate(people)


def _hits(run: Run, images: np.ndarray, truth: np.ndarray, kept: tuple[str, ...]) -> np.ndarray:
    """(N,) 1.0 where the network names the face rightly among ``kept``; nothing is kept on the disk."""
    p = learner.predict(run.model(), images, RECIPES[run.config["recipe"]].flip_at_test)
    p = classes.restricted(p, run.emotions, kept)
    return (np.array(kept)[p.argmax(axis=1)] == truth).astype(float)
