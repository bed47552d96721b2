"""The protocol laboratory: each leak is made on purpose, and the number that it buys is measured.

The guards of ``splits`` and ``training`` refuse all of this, and stay as they are: what gets round them is
:func:`leak_nets.unguarded`, which this laboratory alone calls and which keeps no run.  Clean and leaky numbers
are those of the same test faces, so their difference is paired, and people (images, where people are not
known) are resampled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from ferlib import augment, batches, jobs, splits
from ferlib.augment import Augmentation
from ferlib.config import DataError
from ferlib.datasets import FaceSet
from ferlib.datasets.base import resized
from ferlib.recipes import TrainConfig
from ferlib.transfer.leak_nets import Lab, Training, unguarded
from ferlib.transfer.leak_scores import (
    LEAKS,
    Finding,
    best_epoch,
    finding,
    named,
    planted_sentence,
    right_at,
    shown,
    table,
    verdict,
)

__all__ = ["LEAKS", "Finding", "Lab", "Training", "laboratory", "named", "planted_sentence", "refusals", "shown",
           "table", "unguarded", "verdict"]  # fmt: skip

# ----------------------------------------------------------------------------------------------- the leaks


@dataclass(frozen=True, eq=False)
class Pair:
    """Clean and leaky trainings of one leak, and the epoch that each of the two protocols takes."""

    leak: str
    clean: list[Training]
    leaky: list[Training]
    epochs: tuple[Callable[[Training], int], Callable[[Training], int]]
    planted: bool = False


def laboratory(
    split: FaceSet, people: FaceSet, lab: Lab | None = None, n_jobs: int = 1, scheduler: str = ""
) -> list[Finding]:
    """Make every leak and measure what it adds.

    split : a corpus with train, val and test splits, such as FER2013.  people : one that knows its people,
    such as CK+.
    """
    lab = lab or Lab()
    pairs = [*pairs_of(_small(people, lab), lab), *pairs_of(_small(split, lab), lab)]
    trainings = {t.place: t for pair in pairs for t in (*pair.clean, *pair.leaky)}
    missing = [training for place, training in trainings.items() if not place.is_file()]
    jobs.run(unguarded, missing, n_jobs, scheduler, "networks with leaks")
    return [compared(pair, np.random.default_rng(0)) for pair in pairs]


def pairs_of(faces: FaceSet, lab: Lab) -> list[Pair]:
    """The leaks that ``faces`` allow: folds need people.  Choosing on the one fold or split tested is one leak."""
    clean, copied, planted = with_copies(faces, lab)
    of_fold = faces.subjects is not None
    by_image = [Pair("folds by image", clean, image_folds(faces, lab), (last, last))] if of_fold else []
    return [
        Pair(
            "epoch on fold" if of_fold else "epoch on test",
            clean,
            clean,
            (chosen_on("val"), chosen_on("test")),
        ),
        *by_image,
        Pair("copies across splits", clean, copied, (last, last), planted),
        Pair("augmented, then split", *multiplied_then_divided(faces, lab), (last, last), True),
    ]


def _small(faces: FaceSet, lab: Lab) -> FaceSet:
    faces = faces.labelled()
    return dataclasses.replace(faces, images=resized(faces.images, lab.size))


def rounds(faces: FaceSet, lab: Lab) -> list[tuple[int, splits.Parts]]:
    """Seed and parts of each clean training: one a fold of people, or one a seed where there are splits."""
    if faces.subjects is None:
        return [(seed, splits.parts(faces)) for seed in lab.seeds]
    n_folds = splits.parts(faces, "person-folds").n_folds
    return [(lab.seeds[0], splits.parts(faces, "person-folds", fold)) for fold in range(n_folds)]


def image_folds(faces: FaceSet, lab: Lab) -> list[Training]:
    """LEAK: as many folds of images, stratified by emotion, as is done where ``subject`` is overlooked."""
    from sklearn.model_selection import StratifiedKFold

    n_folds = splits.parts(faces, "person-folds").n_folds
    dealt = np.empty(len(faces), int)
    cut = StratifiedKFold(n_folds, shuffle=True, random_state=lab.seeds[0])
    for fold, (_, tested) in enumerate(cut.split(faces.labels, faces.labels)):
        dealt[tested] = fold
    # as in the person folds, the next fold is left for val, so that both train on as many faces
    return [
        Training(faces.select((dealt != f) & (dealt != (f + 1) % n_folds)), {"test": faces.select(dealt == f)},
                 lab, lab.seeds[0])
        for f in range(n_folds)
    ]  # fmt: skip


def with_copies(faces: FaceSet, lab: Lab) -> tuple[list[Training], list[Training], bool]:
    """LEAK: copies of test faces in training, in place of as many others.  Clean trainings, leaky ones, planted.

    The corpus's own copies are taken where it is marked to have them, else copies are planted.
    """
    clean, leaky, planted = [], [], True
    for seed, parts in rounds(faces, lab):
        rng = np.random.default_rng(seed)
        own = _own_copies(faces, parts)
        pool = parts.train.select(~np.isin(parts.train.table["row"], own.table["row"]))
        most = lab.n_train if faces.subjects is None else len(pool)
        train = pool.select(rng.permutation(len(pool))[:most])
        copies = own if len(own) else _planted(parts.test, lab.copied_share, rng)
        copies = copies.select(np.arange(len(copies))[: len(train) // 2])
        kept = train.select(np.arange(len(train) - len(copies)))
        clean.append(Training(train, {"val": parts.val, "test": parts.test}, lab, seed))
        leaky.append(Training(joined(kept, copies), {"test": parts.test}, lab, seed))
        planted = planted and len(own) == 0
    return clean, leaky, planted


def _own_copies(faces: FaceSet, parts: splits.Parts) -> FaceSet:
    """Training faces whose exact copy is in test."""
    if "duplicate_across" not in faces.table:
        return parts.train.select(np.zeros(len(parts.train), bool))
    return parts.train.select(parts.train.table["duplicate_across"].str.contains("test").to_numpy(bool))


def _planted(test: FaceSet, share: float, rng: np.random.Generator) -> FaceSet:
    """Copies of a share of the test faces under row numbers of their own."""
    copies = test.select(np.sort(rng.permutation(len(test))[: max(1, round(share * len(test)))]))
    return _renumbered(copies, 10_000_000 + copies.table["row"].to_numpy())


def multiplied_then_divided(faces: FaceSet, lab: Lab) -> tuple[list[Training], list[Training]]:
    """LEAK: variants of faces are made before a fifth of all is put aside for test.

    Clean and leaky trainings are judged on the same originals and learn from as many variants: the clean one
    from variants of other faces, the leaky one from what the random division left, siblings of test faces too.
    """
    clean, leaky = [], []
    for seed in lab.seeds:
        rng = np.random.default_rng(1000 + seed)
        train = splits.parts(faces).train
        some = train.select(np.sort(rng.permutation(len(train))[: lab.n_multiplied]))
        every = variants(
            some, lab.n_variants, seed
        )  # variant k of face i at k * n + i; k = 0 is the original
        aside = rng.random(len(every)) < 0.2
        tested = aside[: len(some)]
        of_tested = np.tile(tested, lab.n_variants)
        judged = {"test": some.select(tested)}
        clean.append(Training(every.select(~of_tested), judged, lab, seed))
        leaky.append(Training(every.select(~aside), judged, lab, seed))
    return clean, leaky


def variants(faces: FaceSet, n: int, seed: int) -> FaceSet:
    """Each face ``n`` times: as it is, and turned, moved and mirrored as in training."""
    stored = batches.as_tensor(np.ascontiguousarray(faces.images))[:, None].float()
    rows = torch.from_numpy(np.array(faces.table["row"], np.int64))
    made = [faces]
    for k in range(1, n):
        moved = augment.warp(stored, augment.affine(Augmentation(), seed, k, rows))[:, 0]
        other = dataclasses.replace(faces, images=moved.round().clamp(0, 255).to(torch.uint8).numpy())
        made.append(_renumbered(other, faces.table["row"].to_numpy() + k * 10_000_000))
    return joined(*made)


def joined(*parts: FaceSet) -> FaceSet:
    """Faces of one corpus, one set after the other."""
    table = pd.concat([part.table for part in parts], ignore_index=True)
    images = np.concatenate([part.images for part in parts])
    return dataclasses.replace(parts[0], images=images, table=table)


def _renumbered(faces: FaceSet, rows: np.ndarray) -> FaceSet:
    return dataclasses.replace(faces, table=faces.table.assign(row=rows))


# ------------------------------------------------------------------------------------------------ measuring


def chosen_on(name: str) -> Callable[[Training], int]:
    """The epoch that is best on the watched set ``name``.  LEAK where that is test."""
    return lambda training: best_epoch(unguarded(training)[name], training.watched[name].labels)


def last(training: Training) -> int:
    """The last epoch: nothing is chosen."""
    return -1


def compared(pair: Pair, rng: np.random.Generator) -> Finding:
    """The same test faces by clean and by leaky networks, each after the epoch that its protocol takes."""
    answers = _answers(pair.clean, pair.epochs[0]).merge(
        _answers(pair.leaky, pair.epochs[1]),
        on=["run", "row"] if _alike(pair.clean, pair.leaky) else "row",
        suffixes=("_clean", "_leaky"),
    )
    if len(answers) < sum(len(t.watched["test"]) for t in pair.clean):
        raise DataError(f"{pair.leak}: clean and leaky numbers would be of different faces")
    if "run" not in answers:
        answers["run"] = answers["run_clean"]
    faces = pair.clean[0].watched["test"]
    answers = answers.assign(unit=answers["unit_clean"])
    return finding(pair.leak, faces.corpus, answers, rng, faces.subjects is not None, pair.planted)


def _alike(clean: list[Training], leaky: list[Training]) -> bool:
    """Whether run i of both lists judges the same faces; folds by image and by person do not."""
    return all(
        a.watched["test"].table["row"].tolist() == b.watched["test"].table["row"].tolist()
        for a, b in zip(clean, leaky, strict=True)
    )


def _answers(trainings: list[Training], epoch_of: Callable[[Training], int]) -> pd.DataFrame:
    """``run row unit right``, one row a test face of each training; the unit is a person or an image."""
    tables = []
    for run, training in enumerate(trainings):
        faces = training.watched["test"]
        right = right_at(unguarded(training)["test"], faces.labels, epoch_of(training))
        unit = faces.subjects if faces.subjects is not None else faces.table["row"].astype(str)
        tables.append(pd.DataFrame({"run": run, "row": faces.table["row"], "unit": unit, "right": right}))
    return pd.concat(tables, ignore_index=True)


def refusals(split: FaceSet, people: FaceSet) -> pd.Series:
    """What the guards answer to the leaks that they can see: leak -> message of the ``LeakError``.

    Raises ``DataError`` where a guard lets one pass.
    """
    from ferlib.training import fit

    parts, by_image = splits.parts(split), image_folds(people.labelled(), Lab())[0]
    tested = by_image.watched["test"]
    nobody = tested.select(np.zeros(len(tested), bool))
    folds = splits.parts(people, "person-folds", 0)
    tried: dict[str, Callable[[], object]] = {
        "epoch on test": lambda: fit(parts.train, parts.test, TrainConfig()),
        "epoch on fold": lambda: fit(folds.train, folds.test, TrainConfig()),
        "folds by image": lambda: splits.refuse_leaks(by_image.train, nobody, tested),
    }
    return pd.Series({leak: _refusal(leak, attempt) for leak, attempt in tried.items()}, name="refused")


def _refusal(leak: str, attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except splits.LeakError as error:
        return str(error)
    raise DataError(f"{leak}: a guard let a leak pass")
