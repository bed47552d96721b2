"""Action Units from emotion features: has a network that learned to name emotions learned AUs on the way?

The same heads read several sources: the frozen emotion network's last hidden layer, its answers alone ("names"),
the same network untrained, histograms of oriented gradients (HOG), and the same network trained on AUs, of each
fold's faces or of those that taught it emotions.  Folds share no person, and no face is tested whose person the
emotion network has seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferlib import config, features, heads, jobs, keep, labels, paths, splits
from ferlib.config import DataError, UsageError
from ferlib.datasets import FaceSet
from ferlib.datasets.base import resized
from ferlib.runs import Run, untrained
from ferlib.transfer import au_nets, settings
from ferlib.transfer.au_nets import NetPlan, with_codes
from ferlib.transfer.au_scores import Answers, Truth
from ferlib.transfer.au_study import (
    SOURCES,
    ActionConfig,
    Study,
    comparison,
    estimates,
    in_words,
    per_au,
    shown,
    summary,
)

__all__ = ["SOURCES", "ActionConfig", "Study", "comparison", "estimates", "fairness", "in_words", "per_au", "shown",
           "study", "summary", "with_codes"]  # fmt: skip

MODULES = ("features", "heads", "models", "augment", "batches", "splits", "labels", "runs",
           "transfer.actions", "transfer.au_nets")  # fmt: skip


def study(
    run: Run | Mapping[int, Run],
    faces: FaceSet,
    how: ActionConfig | None = None,
    n_jobs: int = 1,
    scheduler: str = "",
    same: FaceSet | None = None,
) -> Study:
    """Fit the heads of every source in every fold and let them answer on its test faces; found again later.

    run : a network of another corpus, or fold -> the networks of this corpus's own person folds.
    faces : AU-coded, with known people; all frames train, the one that was coded of each sequence is judged.
    same : the faces that taught the network emotions, with AU codes, for the source "au same".

    Raises ``LeakError`` where a network has seen a person it would be tested on.
    """
    how = how or ActionConfig()
    faces = coded(faces)
    first = run if isinstance(run, Run) else next(iter(run.values()))
    size = first.record["network"]["settings"]["size"]
    faces = dataclasses.replace(faces, images=resized(faces.images, size))
    roles, runs = divided(run, faces, how)
    codes = same.table[labels.au_columns(same.table)].to_json() if same else ""
    key = config.digest(how, [r.key for r in runs], codes, features.content_digest(faces),
                        keep.digest_of(roles.astype("S5")),
                        faces.table[labels.au_columns(faces.table)].to_json(),
                        config.code_digest(MODULES), length=16)  # fmt: skip
    place = paths.transfer() / f"actions-{faces.corpus}-{key}.npz"

    def flat() -> dict[str, np.ndarray]:
        read = _features(faces, same, roles, runs, how, (n_jobs, scheduler))
        made = answered(read, faces, roles, how, (n_jobs, scheduler))
        return {f"{s}.{k}": v for s, a in made.items() for k, v in vars(a).items()}

    found = keep.arrays(place, flat)
    fields = [field.name for field in dataclasses.fields(Answers)]
    told = {s: Answers(**{name: found[f"{s}.{name}"] for name in fields}) for s in how.sources}
    return judged(faces, roles, how, told, _who_learned(faces, runs))


def coded(faces: FaceSet) -> FaceSet:
    """The faces with AU codes.  Raises ``DataError`` where there are none or people are not known."""
    aus = labels.au_columns(faces.table)
    if not aus or faces.subjects is None:
        raise DataError(f"{faces.corpus} needs Action Units and known people; synthetic-ckplus has both")
    known = faces.table[aus].notna().any(axis=1).to_numpy()
    return faces if known.all() else faces.select(known)


def told_frames(table: pd.DataFrame) -> np.ndarray:
    """(N,) bool: the last frame of each sequence, the one that coders of CK+ coded; every face without one."""
    if "sequence" not in table or table["sequence"].isna().any():
        return np.ones(len(table), bool)
    return (table["frame"] == table.groupby(labels.takes(table))["frame"].transform("max")).to_numpy()


# ------------------------------------------------------------------------------------------------- folds


def divided(run: Run | Mapping[int, Run], faces: FaceSet, how: ActionConfig) -> tuple[np.ndarray, list[Run]]:
    """(F, N) roles ``train val test`` of each face in each fold, and the F networks."""
    if isinstance(run, Mapping):
        pairs = [(_roles_of_network(network, faces), network) for _, network in sorted(run.items())]
        return np.stack([roles for roles, _ in pairs]), [network for _, network in pairs]
    if run.record["corpus"]["digest"] == faces.digest:
        raise splits.LeakError(
            f"{run.key} was trained on {faces.corpus} itself. Give the networks of its folds, fold -> run"
        )
    tested = np.full(len(faces), -1)
    rows = pd.Index(faces.table["row"])
    for fold in range(splits.parts(faces, "person-folds", 0, target="au").n_folds):
        part = splits.parts(faces, "person-folds", fold, target="au").test
        tested[rows.get_indexer(pd.Index(part.table["row"]))] = fold * how.n_folds // splits.N_FOLDS
    roles = [
        np.where(tested == f, "test", np.where(tested == (f + 1) % (tested.max() + 1), "val", "train"))
        for f in range(tested.max() + 1)
    ]
    return np.stack(roles), [run] * len(roles)


def _roles_of_network(run: Run, faces: FaceSet) -> np.ndarray:
    """(N,) roles in the fold that made ``run``; people it never met train the head."""
    told = run.record
    parts = splits.parts(faces, told["protocol"], told["fold"])
    if told["parts_digest"] != parts.digest:
        raise DataError(f"{run.key} was not trained on these faces of {faces.corpus}; train it anew")
    settings.refuse_seen(parts, parts.test)
    who = np.asarray(faces.subjects)
    testing, choosing = (np.isin(who, np.unique(np.asarray(p.subjects))) for p in (parts.test, parts.val))
    return np.where(testing, "test", np.where(choosing, "val", "train"))


# ------------------------------------------------------------------------------------- features and heads


def hog(images: np.ndarray) -> np.ndarray:
    """(N, H, W) uint8 -> (N, 900) float32: 9 orientations in 8 px cells of 48 px faces, blocks of 2 x 2 cells.

    Dalal & Triggs 2005, "Histograms of oriented gradients for human detection", as OpenCV has it.
    """
    import cv2

    describe = cv2.HOGDescriptor((48, 48), (16, 16), (8, 8), (8, 8), 9)
    return np.stack([np.ravel(describe.compute(face)) for face in resized(images, 48)]).astype(np.float32)


def answered(
    read: Mapping[str, Sequence[np.ndarray]],
    faces: FaceSet,
    roles: np.ndarray,
    how: ActionConfig,
    machine: tuple[int, str] = (1, ""),
) -> dict[str, Answers]:
    """Every source's answers (N, U) on all faces, each by the head of the fold that tests it.

    read : source -> features (N, D) of each fold.  roles : (F, N).  machine : processes and scheduler.
    """
    present, level = labels.au_present(faces.table), labels.au_level(faces.table)
    judged = told_frames(faces.table)
    work = [
        _Work(x, present, level, roles[f], judged, how)
        for folds in read.values()
        for f, x in enumerate(folds)
    ]
    done = iter(jobs.run(_read_fold, work, machine[0], machine[1], "heads"))
    made = {}
    for source in read:
        parts = [next(done) for _ in roles]
        joined = {name: np.zeros(present.shape, part.dtype) for name, part in parts[0].items()}
        for f, part in enumerate(parts):
            for name, values in part.items():
                joined[name][roles[f] == "test"] = values
        made[source] = Answers(**joined)
    return made


def _features(faces, same, roles, runs, how, machine: tuple[int, str]) -> dict[str, list[np.ndarray]]:
    """Source -> the features (N, D) that each fold's head reads."""
    plans = _plans(faces, same, roles, runs, how)
    jobs.run(NetPlan.make, [plan for of in plans.values() for plan in of], *machine, what="networks on AUs")
    made: dict[str, list[np.ndarray]] = {}
    for source in how.sources:
        if source == "emotion":
            folds = [features.of(run, faces, how.layer) for run in runs]
        elif source == "names":
            folds = [features.logits(run, faces, how.layer) for run in runs]
        elif source == "hog":
            folds = [hog(faces.images)]
        elif source == "untrained":
            folds = [features.hidden_of(untrained(runs[0], how.seed), faces.images, how.layer)]
        else:
            folds = [features.hidden_of(plan.net(), faces.images, how.layer) for plan in plans[source]]
        made[source] = folds if len(folds) == len(roles) else folds * len(roles)
    return made


def _plans(faces, same, roles, runs, how) -> dict[str, list[NetPlan]]:
    """Source -> the networks that learn Action Units for it: one a fold, or one on the same faces."""
    plans = {}
    if "au" in how.sources:
        plans["au"] = [
            au_nets.on_fold(run, faces, role, how.au_epochs, how.au_batch, how.seed)
            for run, role in zip(runs, roles, strict=True)
        ]
    if "au same" in how.sources:
        if same is None:
            raise UsageError(
                'The source "au same" needs same=, the faces that taught the network, with AU codes'
            )
        plans["au same"] = [au_nets.on_same_faces(run, same, how.seed) for run in dict.fromkeys(runs)]
    return plans


@dataclass(frozen=True, eq=False)
class _Work:
    """One source in one fold: features x (N, D), codes (N, U), roles (N,), which faces are judged (N,)."""

    x: np.ndarray
    present: np.ndarray
    level: np.ndarray
    roles: np.ndarray
    judged: np.ndarray
    how: ActionConfig


def _read_fold(work: _Work) -> dict[str, np.ndarray]:
    """Fit on train, choose on the judged faces of val, answer on all test faces: fields of ``Answers``."""
    train, val, test = (work.roles == role for role in ("train", "val", "test"))
    val = val & work.judged
    x = _shortened(np.asarray(work.x), train, work.how.n_directions)
    fitted = heads.fit(x[train], work.present[train], x[val], work.present[val], "presence", work.how.penalty)
    made = {}
    for name, head in fitted.items():
        made[name], chosen = head.predict(x[test]), head.predict(x[val])
        for ending, figure in {"f1": "f1", "right": "accuracy"}.items():
            made[f"{name}_{ending}"] = made[name] >= heads.best_thresholds(chosen, work.present[val], figure)
    graded = heads.fit(x[train], work.level[train], x[val], work.level[val], "level", work.how.penalty)
    level = graded["joint"].predict(x[test])
    return made | {"level": level, "graded": np.where(made["joint_right"], np.maximum(level.round(), 1), 0)}


def _shortened(x: np.ndarray, train: np.ndarray, most: int) -> np.ndarray:
    """(N, D) -> at most ``most`` principal directions of the training faces."""
    if x.shape[1] <= most:
        return x
    mean = x[train].mean(axis=0)
    _, _, directions = np.linalg.svd(x[train] - mean, full_matrices=False)
    return (x - mean) @ directions[:most].T


def judged(
    faces: FaceSet, roles: np.ndarray, how: ActionConfig, made: dict[str, Answers], who: str = ""
) -> Study:
    """The study of the answers ``made`` on all faces: kept are the faces that were tested and coded."""
    kept = told_frames(faces.table) & (roles == "test").any(axis=0)
    table = faces.table[kept].reset_index(drop=True)
    fold = (roles == "test").argmax(axis=0)[kept]
    person = np.unique(np.asarray(faces.subjects)[kept].astype(str), return_inverse=True)[1]
    truth = Truth(
        tuple(labels.au_columns(table)), labels.au_present(table), labels.au_level(table), fold, person
    )
    answers = {s: Answers(**{k: v[kept] for k, v in vars(a).items()}) for s, a in made.items()}
    sentence = (
        f"{who}In each of {len(roles)} folds of {faces.corpus} that share no person, heads were fitted on the "
        "train people; those of val chose the penalty and the thresholds. Judged are "
        f"{len(table):,} faces of {truth.n_people} people"
        + (", the coded frame of each sequence." if "sequence" in table else ".")
    )
    return Study(truth, answers, table, how, sentence)


def _who_learned(faces: FaceSet, runs: list[Run]) -> str:
    trained_on = runs[0].record["corpus"]["name"]
    own = ", in folds of its own," if trained_on == faces.corpus else ""
    return f"The emotion network learned on {trained_on}{own} and has seen none of the people judged. "


def fairness(run: Run, how: ActionConfig) -> str:
    """What the networks that learned AUs had to learn from, beside what the emotion network ``run`` had."""
    n, corpus = sum(run.record["counts"]["train"].values()), run.record["corpus"]["name"]
    if "au same" in how.sources:
        return (
            f"That network learned from the very faces that taught the emotions ({n:,} of {corpus}), as often as "
            "they were shown there and by the same recipe; only the labels differ. The rig knows them."
        )
    return (
        f"That network is at a disadvantage: it learned from the train people of one fold alone, the emotion "
        f"network from {n:,} faces of {corpus}, of which no Action Units are known."
    )
