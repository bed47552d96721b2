"""The train x test matrix: networks, frozen features, heads and fine-tuning, unit by unit, then cell by cell.

Each unit leaves its answers in the home, so that a matrix that was stopped goes on where it was, and so that a
second matrix with one corpus more does only what is new.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib import config, features, jobs, learner, paths, runs, training
from ferlib.config import DataError
from ferlib.datasets import FaceSet
from ferlib.keep import locked
from ferlib.recipes import RECIPES
from ferlib.runs import Run
from ferlib.splits import Parts
from ferlib.transfer import settings
from ferlib.transfer.retrained import fit_head
from ferlib.transfer.samples import share_of
from ferlib.transfer.settings import Matrix, Unit, faces_of, folds_of, parts_of
from ferlib.transfer.tuned import fine_tuned, tuning_config

MODULES = ("features", "learner", "models", "augment", "batches", "recipes", "transfer.classes",
           "transfer.matrix", "transfer.retrained", "transfer.samples", "transfer.settings",
           "transfer.tuned")  # fmt: skip
"""The modules that a unit's answers go through."""


def networks(matrix: Matrix, n_jobs: int = 1, scheduler: str = "") -> dict[str, list[Run]]:
    """Corpus -> its networks, one a fold, found or trained."""
    wanted = [(corpus, fold) for corpus in matrix.corpora for fold in folds_of(matrix, corpus)]
    keys = jobs.run(partial(_train, matrix), wanted, n_jobs, scheduler, "networks", matrix.train.threads)
    made: dict[str, list[Run]] = {corpus: [] for corpus in matrix.corpora}
    for (corpus, _), key in zip(wanted, keys, strict=True):
        made[corpus].append(runs.find(key))
    return made


def _train(matrix: Matrix, wanted: tuple[str, int]) -> str:
    return training.ensure(settings.training_of(matrix, *wanted), faces_of(matrix, wanted[0])).key


def units_of(matrix: Matrix, nets: dict[str, list[Run]]) -> list[Unit]:
    """Every piece of work of the matrix."""
    return [
        Unit(source, s, target, t, mode, share, nets[source][s].key)
        for source in matrix.corpora
        for target in matrix.corpora
        for s, t in settings.pairs(len(nets[source]), len(folds_of(matrix, target)))
        for mode, share in matrix.rows()
    ]


def answers(
    matrix: Matrix, nets: dict[str, list[Run]], n_jobs: int = 1, scheduler: str = ""
) -> dict[Unit, pd.DataFrame]:
    """What every unit answers on its test part: tables as ``predictions.parquet`` has them, by unit.

    The features of each network on each corpus are computed once, before the units that read them.
    """
    units = units_of(matrix, nets)
    groups: dict[tuple[str, str], list[Unit]] = {}  # that read the same features
    for unit in units:
        if not place_of(matrix, unit).is_file():
            groups.setdefault((unit.key, unit.target), []).append(unit)
    jobs.run(partial(_work, matrix), list(groups.values()), n_jobs, scheduler, "cells", matrix.train.threads)
    return {unit: pd.read_parquet(place_of(matrix, unit)) for unit in units}


def _work(matrix: Matrix, group: list[Unit]) -> None:
    """Work off the units of one network on one corpus; those that are there already are left alone."""
    for unit in group:
        place = place_of(matrix, unit)
        with locked(place):  # of several processes that want a unit one works it off, the others wait
            if not place.is_file():
                try:
                    _answer(matrix, unit)
                except DataError as error:
                    raise type(error)(f"{unit}: {error}") from error


def _answer(matrix: Matrix, unit: Unit) -> None:
    """Work off one unit and leave its answers in its place."""
    run, parts = runs.find(unit.key), parts_of(matrix, unit.target, unit.target_fold)
    settings.refuse_seen(parts_of(matrix, unit.source, unit.source_fold), parts.test)
    how = {"as is": _as_is, "head": _with_head, "fine-tuned": _with_tuning}[unit.mode]
    table = how(matrix, unit, run, parts)
    runs.write_whole(place_of(matrix, unit), lambda file: table.to_parquet(file, index=False))


def _as_is(matrix: Matrix, unit: Unit, run: Run, parts: Parts) -> pd.DataFrame:
    if "head" in matrix.modes:  # which reads the features of the whole corpus anyway
        everything = faces_of(matrix, unit.target)
        p = features.probabilities(run, everything)[rows_of(matrix, unit.target, parts.test)]
    else:
        p = features.probabilities(run, parts.test)
    return _table(parts.test, parts.fold, p, run.emotions)


def _with_head(matrix: Matrix, unit: Unit, run: Run, parts: Parts) -> pd.DataFrame:
    x = features.of(run, faces_of(matrix, unit.target))
    train, val = (share_of(part, unit.share, at_least=2) for part in (parts.train, parts.val))
    at = {
        name: x[rows_of(matrix, unit.target, f)]
        for name, f in (("train", train), ("val", val), ("test", parts.test))
    }
    head = fit_head(at["train"], train.labels, at["val"], val.labels, len(parts.test.emotions))
    return _table(parts.test, parts.fold, head.probabilities(at["test"]), parts.test.emotions)


def _with_tuning(matrix: Matrix, unit: Unit, run: Run, parts: Parts) -> pd.DataFrame:
    train, val = (share_of(part, unit.share, at_least=2) for part in (parts.train, parts.val))
    config = tuning_config(matrix.train, len(train), matrix.tuning_seen)
    folder = place_of(matrix, unit).with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fine_tuned(run, train, val, config, folder)
    p = learner.predict(fitted.net, parts.test.images, RECIPES[config.recipe].flip_at_test)
    shutil.rmtree(folder)
    return _table(parts.test, parts.fold, p, parts.test.emotions)


def _table(test: FaceSet, fold: int | None, p: np.ndarray, emotions: Sequence[str]) -> pd.DataFrame:
    """``row subject fold split truth`` and the probability of each class that the unit may answer."""
    subjects = test.subjects if test.subjects is not None else [None] * len(test)
    told = {
        "row": test.table["row"].to_numpy("int64"),
        "subject": pd.array(subjects, "string"),
        "fold": pd.array([fold] * len(test), "Int64"),
        "split": "test",
        "truth": [test.emotions[label] for label in test.labels],
    }
    return pd.concat([pd.DataFrame(told), pd.DataFrame(p, columns=list(emotions))], axis=1)


def rows_of(matrix: Matrix, corpus: str, part: FaceSet) -> np.ndarray:
    """Where the faces of ``part`` lie among all labelled faces of its corpus."""
    return pd.Index(faces_of(matrix, corpus).table["row"]).get_indexer(pd.Index(part.table["row"]))


def place_of(matrix: Matrix, unit: Unit) -> Path:
    """The file of a unit's answers, named by all that they depend on."""
    parts = parts_of(matrix, unit.target, unit.target_fold)
    seen = [
        unit.key,
        parts.digest,
        parts.test.emotions,
        hashlib.sha256(faces_of(matrix, unit.target).labels.tobytes()).hexdigest(),
        matrix.train.size,
        unit.mode,
        unit.share,
        [matrix.train.keyed(), matrix.tuning_seen] if unit.mode == "fine-tuned" else [],
        _code(),
    ]
    return paths.transfer() / unit.target / f"{unit.source}-{config.digest(*seen, length=16)}.parquet"


@functools.cache
def _code() -> str:
    """Digest of the modules, read once a process."""
    return config.code_digest(MODULES)
