"""Leave one subject out: every method names the clips of each person after learning from the others only.

Every method gives a table of predictions, a row a clip in the order of the clips: ``row subject fold split truth``
and the probability of each class.  The folds are those of ``splits.parts``; fitting and choosing the epoch see
the other people only, and a test part handed to either raises ``splits.LeakError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ferlib import features, heads, jobs, metrics, splits
from ferlib.datasets import FaceSet
from ferlib.labels import au_columns, au_present
from ferlib.micro import motion, network
from ferlib.micro.clips import Clips, to_length
from ferlib.micro.lbptop import LBPTOP, describe
from ferlib.micro.network import ClipConfig, Examples
from ferlib.runs import Run
from ferlib.splits import Parts

PROTOCOL = "leave-one-person-out"
SVM_C = 0.01


@dataclass(frozen=True)
class Where:
    """Where folds are worked off: see :func:`ferlib.jobs.run`."""

    n_jobs: int = 1
    scheduler: str = ""


HERE = Where()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an LSTM said of every clip.

    predictions : of the epoch that each fold's validation people chose.
    epochs : for each fold ``fold rows best_epoch history watched``: what the audit of leaks needs.
    """

    predictions: pd.DataFrame
    epochs: list[dict[str, Any]]


def classes_of(clips: Clips) -> list[str]:
    """The classes, by name."""
    return sorted(set(clips.table["label"]))


def labels_of(clips: Clips) -> np.ndarray:
    """(C,) int64: index of each clip's class in :func:`classes_of`."""
    return pd.Index(classes_of(clips)).get_indexer(pd.Index(clips.table["label"])).astype(np.int64)


def folds(clips: Clips) -> list[Parts]:
    """One fold a person: this one is the test part, a tenth of the others choose, the rest train.

    Raises ``DataError`` where there are fewer than three people.
    """
    faces = clips.as_faces()
    n = len(splits.fold_names(faces, PROTOCOL))
    return [splits.parts(faces, PROTOCOL, fold=fold, target="all") for fold in range(n)]


def _table(clips: Clips, part: Parts, p: np.ndarray) -> pd.DataFrame:
    """The predictions ``p`` (n, K) of the test part of one fold."""
    test = part.test.table
    told = {"row": test["row"], "subject": test["subject"], "fold": part.fold, "split": "test"}
    named = pd.DataFrame(told | {"truth": test["label"]}).reset_index(drop=True)
    return pd.concat([named, pd.DataFrame(p, columns=classes_of(clips))], axis=1)


def _whole(clips: Clips, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All folds in one table, in the order of the clips."""
    table = pd.concat(tables, ignore_index=True).set_index("row", drop=False)
    return table.loc[clips.table["row"]].reset_index(drop=True)


def _places(clips: Clips, rows: pd.Series) -> np.ndarray:
    return pd.Index(clips.table["row"]).get_indexer(pd.Index(rows))


# ------------------------------------------------------------------------------------------------ baselines


def majority(clips: Clips) -> pd.DataFrame:
    """Always the commonest class of the other people; probabilities are their shares."""
    names, tables = classes_of(clips), []
    for part in folds(clips):
        others = pd.concat([part.train.table["label"], part.val.table["label"]])
        share = others.value_counts(normalize=True).reindex(names, fill_value=0).to_numpy()
        tables.append(_table(clips, part, np.tile(share, (len(part.test), 1))))
    return _whole(clips, tables)


def svm(features: np.ndarray, clips: Clips) -> pd.DataFrame:
    """A linear support vector machine on features (C, D), one class against the rest, at a fixed ``C``.

    Nothing is chosen, so it learns from all other people.  Columns hold the softmax of its margins.
    """
    from scipy.special import softmax
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    labels, n_classes, tables = labels_of(clips), len(classes_of(clips)), []
    for part in folds(clips):
        others = _places(clips, pd.concat([part.train.table["row"], part.val.table["row"]]))
        machine = make_pipeline(StandardScaler(), LinearSVC(C=SVM_C, random_state=0))
        machine.fit(features[others], labels[others])
        margins = machine.decision_function(features[_places(clips, part.test.table["row"])])
        if margins.ndim == 1:  # of two classes it gives the margin of the second
            margins = np.stack([-margins, margins], axis=1)
        p = np.zeros((len(part.test), n_classes))
        p[:, machine.classes_] = softmax(margins, axis=1)
        tables.append(_table(clips, part, p))
    return _whole(clips, tables)


def lbptop_features(frames: Sequence[np.ndarray], how: LBPTOP = LBPTOP()) -> np.ndarray:  # noqa: B008 - frozen
    """(C, D) float32: the descriptor of each clip of ``frames``."""
    return np.stack([describe(clip, how).reshape(-1) for clip in frames])


def flow_features(clips: Clips, grid: int = 8) -> np.ndarray:
    """(C, D) float32: optical flow from onset to apex of each clip."""
    apexes = clips.table["apex"]
    return np.stack([motion.apex_features(clips.frames(i), apex, grid) for i, apex in enumerate(apexes)])


# ----------------------------------------------------------------------------------------------- the network


def inputs(clips: Clips, config: ClipConfig, size: int) -> list[np.ndarray]:
    """What the emotion network is shown of each clip: (T, size, size) uint8."""
    return [motion.as_input(frames, config.input) for frames in to_length(clips, config.n_frames, size)]


def examples(net: nn.Module, frames: Sequence[np.ndarray], clips: Clips, config: ClipConfig) -> Examples:
    """The features of ``net`` on the ``frames`` of the clips, as the LSTM gets them."""
    x, lengths = network.features_of(net, frames, config.pool)
    if config.relative:
        x = network.relative(x, lengths)
    return Examples(x, lengths, labels_of(clips), clips.as_faces())


def au_examples(run: Run, coded: FaceSet, frames: Sequence[np.ndarray], clips: Clips) -> Examples:
    """Examples whose features are Action Units: the logits of a head on the last hidden layer of ``run``.

    coded : faces whose AUs are known, with people of their own; the head learns from their train and val parts.
    """
    part = splits.parts(coded, target="au")
    inside = [features.of(run, faces) for faces in (part.train, part.val)]
    told = [au_present(faces.table, au_columns(coded.table)) for faces in (part.train, part.val)]
    head = heads.fit(inside[0], told[0], inside[1], told[1])["single"]
    images = np.concatenate(frames)
    table = pd.DataFrame({"row": np.arange(len(images))})
    shown = FaceSet(images, table, clips.faces.corpus, "", clips.faces.synthetic, {}, ())
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.array(features.of(run, shown)))).numpy()  # (N, U)
    return Examples(*network.padded(logits, frames), labels_of(clips), clips.as_faces())


def frozen(net: nn.Module, clips: Clips, config: ClipConfig, size: int, where: Where = HERE) -> Outcome:
    """The LSTM on features of ``net`` as it is: computed once, shared by all folds."""
    return on_features(examples(net, inputs(clips, config, size), clips, config), clips, config, where)


def on_features(made: Examples, clips: Clips, config: ClipConfig, where: Where = HERE) -> Outcome:
    """The LSTM on ready features, fold by fold."""
    task = partial(_fold_on_features, made=made, clips=_light(clips), config=config)
    return _gathered(clips, jobs.run(task, folds_of(clips), where.n_jobs, where.scheduler, "folds"))


def fine_tuned(net: nn.Module, clips: Clips, config: ClipConfig, size: int, where: Where = HERE) -> Outcome:
    """The paper's method: in each fold ``net`` is first fine-tuned on marks of the training people only."""
    frames = inputs(clips, config, size)
    task = partial(_fold_fine_tuned, net=net, frames=frames, clips=_light(clips), config=config)
    return _gathered(clips, jobs.run(task, folds_of(clips), where.n_jobs, where.scheduler, "folds"))


def folds_of(clips: Clips) -> list[int]:
    """The numbers of the folds."""
    return list(range(len(splits.fold_names(clips.as_faces(), PROTOCOL))))


def _light(clips: Clips) -> Clips:
    """The clips with a 1-pixel picture each, so that a fold can travel to a worker without their frames."""
    from dataclasses import replace

    n = len(clips)
    faces = replace(clips.faces, images=np.zeros((n, 1, 1), np.uint8), table=pd.DataFrame())
    table = clips.table.assign(apex=0)
    return replace(clips, faces=faces, table=table, at=tuple(np.array([i]) for i in range(n)))


def _part(clips: Clips, fold: int) -> Parts:
    return splits.parts(clips.as_faces(), PROTOCOL, fold=fold, target="all")


def _fold_on_features(fold: int, made: Examples, clips: Clips, config: ClipConfig) -> tuple[Any, Any]:
    part = _part(clips, fold)
    train, val, test = (made.part(p) for p in (part.train, part.val, part.test))
    fitted = network.fit(train, val, len(classes_of(clips)), config, watch=test)
    noted = {
        "fold": fold,
        "rows": part.test.table["row"].tolist(),
        "best_epoch": fitted.best_epoch,
        "history": fitted.history,
        "watched": fitted.watched,
    }
    return _table(clips, part, fitted.watched[fitted.best_epoch]), noted


def _fold_fine_tuned(
    fold: int, net: nn.Module, frames: list[np.ndarray], clips: Clips, config: ClipConfig
) -> tuple[Any, Any]:
    part = _part(clips, fold)
    faces, names = marks(frames, clips, _places(clips, part.train.table["row"]))
    tuned = network.fine_tuned(net, faces, names, config)
    return _fold_on_features(fold, examples(tuned, frames, clips, config), clips, config)


def marks(frames: Sequence[np.ndarray], clips: Clips, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onset, apex and offset frames of the clips at ``which``, and what fine-tuning shall call them.

    The apex carries its clip's class; onset and offset show a face at rest and carry one more class, *rest*:
    named after the clip they could only teach who is in it.  Returns (3 n, H, W) uint8 and (3 n,) int64.
    """
    labels, rest = labels_of(clips), len(classes_of(clips))
    faces, names = [], []
    for i in which:
        lasts = len(frames[i]) - 1
        apex = min(max(round(lasts * clips.table["apex_at"].iloc[i]), 1), lasts)
        faces += [frames[i][0], frames[i][apex], frames[i][lasts]]
        names += [rest, labels[i], rest]
    return np.stack(faces), np.array(names, np.int64)


def _gathered(clips: Clips, done: list[tuple[Any, Any]]) -> Outcome:
    tables, noted = zip(*done, strict=True)
    return Outcome(_whole(clips, tables), list(noted))


def picked_on_test(outcome: Outcome) -> pd.DataFrame:
    """What a leak would claim: each fold's epoch chosen by its accuracy on the held-out person.

    An audit, not a result; its ``split`` says so.
    """
    table = outcome.predictions.copy()
    names = metrics.emotions_of(table)
    by_row = table.set_index("row", drop=False)
    for fold in outcome.epochs:
        truth = pd.Index(names).get_indexer(pd.Index(by_row.loc[fold["rows"], "truth"]))
        right = (fold["watched"].argmax(axis=2) == truth).mean(axis=1)  # (E,)
        by_row.loc[fold["rows"], names] = fold["watched"][right.argmax()]
    return by_row.assign(split="picked on test").reset_index(drop=True)
