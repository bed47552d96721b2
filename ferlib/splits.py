"""Who trains, who selects, who is tested: named protocols, folds by person, and guards against leaks.

Every split is a function of (store, protocol, fold, seed) alone, and has a digest to prove it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib import config
from ferlib.config import DataError, UsageError, check_name
from ferlib.datasets.base import FaceSet
from ferlib.labels import au_columns

PROTOCOLS: dict[str, str] = {
    "auto": "the first of the protocols below that fits the corpus",
    "official": "train on train, select on val, report test (FER2013: Training, PublicTest, PrivateTest)",
    "held-out-test": "train and select on nine and one tenths of train, report test",
    "public-as-test": "train and select on nine and one tenths of train, report val (FER2013: PublicTest)",
    "person-folds": "ten folds that share no person, stratified by emotion; select on the next fold",
    "leave-one-person-out": "one fold a person; select on a tenth of the other people",
    "image-folds": "ten folds of images, stratified by emotion, where people are not known",
}
N_FOLDS = 10
VAL_FRACTION = 0.1
TARGETS = ("emotion", "au", "all")


class LeakError(DataError):
    """What is reported would be seen in training or selection."""


@dataclass(frozen=True, eq=False)
class Parts:
    """One way to divide a corpus: three disjoint :class:`FaceSet`, and how to say it in prose."""

    protocol: str
    train: FaceSet
    val: FaceSet
    test: FaceSet
    sentence: str
    digest: str
    fold: int | None = None
    n_folds: int = 1


def parts(
    faces: FaceSet, protocol: str = "auto", fold: int | None = None, seed: int = 0, target: str = "emotion"
) -> Parts:
    """Divide ``faces`` into train, val and test.

    protocol : one of ``PROTOCOLS``.
    fold : 0 to n_folds - 1 for the protocols with folds (None means 0), None for the others.
    seed : of every random choice.
    target : ``emotion`` leaves out images without an emotion, ``au`` those without AU codes, ``all`` none.

    Raises ``DataError`` where the corpus lacks what the protocol needs, ``UsageError`` for wrong names.
    """
    faces = _with_target(faces, target)
    protocol = choose_protocol(faces, protocol)
    of_folds = protocol.endswith(("-folds", "-person-out"))
    if fold is not None and not of_folds:
        raise UsageError(f"Protocol {protocol!r} has no folds; leave fold out")
    n_folds = len(fold_names(faces, protocol)) if of_folds else 1
    if of_folds:
        fold = 0 if fold is None else fold
        if not 0 <= fold < n_folds:
            raise UsageError(f"fold={fold}: {protocol!r} on {faces.corpus} has folds 0 to {n_folds - 1}")
        roles = _roles_of_fold(faces, protocol, fold, seed)
    else:
        roles = _roles_of_split(faces, protocol, seed)
    made = {role: faces.select(roles == role).with_role(role) for role in ("train", "val", "test")}
    empty = [role for role, part in made.items() if len(part) == 0]
    if empty:
        raise DataError(f"{faces.corpus} is too small for {protocol!r}: no image left for {', '.join(empty)}")
    refuse_leaks(made["train"], made["val"], made["test"])
    sentence = _sentence(protocol, made, fold, n_folds)
    rows = [part.table["row"].tolist() for part in made.values()]
    digest = config.digest(faces.digest, protocol, fold, rows, length=16)
    return Parts(protocol, made["train"], made["val"], made["test"], sentence, digest, fold, n_folds)


def choose_protocol(faces: FaceSet, protocol: str = "auto") -> str:
    """``protocol`` itself where it names one; for ``auto`` the first that fits the corpus."""
    check_name("protocol", protocol, PROTOCOLS)
    if protocol != "auto":
        return protocol
    has = set(faces.table["split"]) if "split" in faces.table else set()
    if {"train", "val", "test"} <= has:
        return "official"
    if {"train", "test"} <= has:
        return "held-out-test"
    if {"train", "val"} <= has:
        return "public-as-test"
    return "person-folds" if faces.subjects is not None else "image-folds"


def fold_names(faces: FaceSet, protocol: str) -> list[str]:
    """The name of each fold: the person tested, or the fold's number."""
    if protocol == "leave-one-person-out":
        return sorted(set(_people(faces, protocol)))
    if protocol == "person-folds":
        return [str(i) for i in range(min(N_FOLDS, len(set(_people(faces, protocol)))))]
    return [str(i) for i in range(N_FOLDS)]


def write_folds(faces: FaceSet, protocol: str, path: Path, seed: int = 0) -> str:
    """Write the test fold of every image (``row,image,subject,fold``) as csv.  Returns its digest."""
    folds = _fold_of_each(faces, protocol, seed)
    columns = [c for c in ("row", "image", "subject") if c in faces.table]
    text = faces.table[columns].assign(fold=folds).to_csv(index=False, lineterminator="\n")
    path.write_text(text, encoding="utf-8", newline="\n")
    return config.digest(text, length=16)


# ---------------------------------------------------------------------------------------------- guards


def refuse_test_in_selection(*chosen_from: FaceSet) -> None:
    """Raise :class:`LeakError` if a set that training or selection would see is kept for the report."""
    for faces in chosen_from:
        serves_as = faces.role or faces.split
        if serves_as == "test":
            raise LeakError(
                f"{len(faces):,} test images of {faces.corpus} were handed to training or selection. "
                "Use the train and val parts of ferlib.splits.parts"
            )


def refuse_leaks(train: FaceSet, val: FaceSet, test: FaceSet) -> None:
    """Raise :class:`LeakError` if parts share an image or a person, naming up to five of them."""
    refuse_test_in_selection(train, val)
    named = {"train": train, "val": val, "test": test}
    for first, second in (("train", "test"), ("val", "test"), ("train", "val")):
        a, b = named[first], named[second]
        if a.corpus != b.corpus:
            continue
        rows = np.intersect1d(a.table["row"], b.table["row"])
        if len(rows):
            raise LeakError(
                f"{first} and {second} share {len(rows):,} images of {a.corpus}: rows {rows[:5].tolist()}"
            )
        if a.subjects is not None and b.subjects is not None:
            both = sorted(set(a.subjects) & set(b.subjects))
            if both:
                raise LeakError(
                    f"{first} and {second} share {len(both)} people of {a.corpus}: {', '.join(both[:5])}"
                )


# ------------------------------------------------------------------------------------------- divisions


def _with_target(faces: FaceSet, target: str) -> FaceSet:
    check_name("target", target, TARGETS)
    if target == "emotion":
        return faces.labelled()
    if target == "au":
        columns = au_columns(faces.table)
        if not columns:
            raise DataError(f"{faces.corpus} has no AU codes")
        return faces.select(faces.table[columns].notna().any(axis=1).to_numpy())
    return faces


def _people(faces: FaceSet, protocol: str) -> np.ndarray:
    people = faces.subjects
    if people is None:
        raise DataError(
            f"{faces.corpus} does not know its people, which {protocol!r} needs; use 'image-folds'"
        )
    if len(set(people)) < 3:
        raise DataError(f"{faces.corpus} has {len(set(people))} people here; {protocol!r} needs at least 3")
    return people


def _roles_of_split(faces: FaceSet, protocol: str, seed: int) -> np.ndarray:
    """(N,) role of each image, '' for unused, under a protocol that follows the corpus's own splits."""
    needed = {"official": "train val test", "held-out-test": "train test", "public-as-test": "train val"}[
        protocol
    ]
    split = faces.table["split"].to_numpy(dtype=object) if "split" in faces.table else np.array([])
    missing = [name for name in needed.split() if name not in split]
    if missing:
        raise DataError(
            f"{faces.corpus} has no {' and no '.join(missing)} images, which protocol {protocol!r} needs. "
            f"Protocol {choose_protocol(faces)!r} fits it"
        )
    if protocol == "official":
        return split
    roles = np.full(len(faces), "", dtype=object)
    train = np.flatnonzero(split == "train")
    fold = _stratified(_classes(faces)[train], _copies(faces)[train], round(1 / VAL_FRACTION), seed)
    roles[train] = np.where(fold == 0, "val", "train")
    roles[split == ("val" if protocol == "public-as-test" else "test")] = "test"
    return roles


def _roles_of_fold(faces: FaceSet, protocol: str, fold: int, seed: int) -> np.ndarray:
    folds = _fold_of_each(faces, protocol, seed)
    tested = folds == fold
    if protocol == "leave-one-person-out":
        others = ~tested
        k = min(round(1 / VAL_FRACTION), len(set(folds[others])))
        selects = np.zeros(len(faces), bool)
        selects[others] = _stratified(_classes(faces)[others], folds[others], k, seed) == 0
    else:
        selects = folds == (fold + 1) % len(fold_names(faces, protocol))
    return np.where(tested, "test", np.where(selects, "val", "train"))


def _fold_of_each(faces: FaceSet, protocol: str, seed: int) -> np.ndarray:
    """(N,) int: the fold in which each image is tested."""
    names = fold_names(faces, protocol)
    if protocol == "leave-one-person-out":
        return np.searchsorted(names, _people(faces, protocol).astype(str))
    groups = _copies(faces) if protocol == "image-folds" else _people(faces, protocol)
    return _stratified(_classes(faces), groups, len(names), seed)


def _classes(faces: FaceSet) -> np.ndarray:
    """(N,) int: class of each image for stratification; a corpus's own ``label`` says more than ``emotion``."""
    column = next((name for name in ("label", "emotion") if name in faces.table), None)
    if column is None:
        return np.zeros(len(faces), np.int64)
    return pd.factorize(faces.table[column], sort=True)[0]


def _copies(faces: FaceSet) -> np.ndarray:
    """(N,) int: the same number for byte-identical images, which must not be divided."""
    if "duplicate_of" not in faces.table:
        return np.arange(len(faces))
    first = faces.table["duplicate_of"].to_numpy()
    return np.where(first < 0, faces.table["row"].to_numpy(), first)


def _stratified(classes: np.ndarray, groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deal whole groups into ``n_folds`` folds of like class counts.

    classes, groups : (N,).  Returns (N,) int: the fold of each image.
    Groups go, largest first and otherwise in random order, to the fold that is left most even: the one that
    minimises the variance over folds of each class's share, summed (scikit-learn's ``StratifiedGroupKFold``).
    """
    rng = np.random.default_rng(seed)
    known, group_of = np.unique(groups.astype(str) if groups.dtype == object else groups, return_inverse=True)
    seen, class_of = np.unique(classes, return_inverse=True)
    counts = np.zeros((len(known), len(seen)))  # (groups, classes)
    np.add.at(counts, (group_of, class_of), 1)
    order = rng.permutation(len(known))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    shares = counts / counts.sum(axis=0)
    filled = np.zeros((n_folds, len(seen)))
    fold_of_group = np.empty(len(known), np.int64)
    for group in order:
        # adding a share to fold f changes the summed variance by 2 filled[f] . share, and by what all f have
        # in common; of equal folds the emptier one is taken
        best = np.argmin(filled @ shares[group] + 1e-9 * filled.sum(axis=1))
        filled[best] += shares[group]
        fold_of_group[group] = best
    return fold_of_group[group_of]


_SPOKEN: dict[str, str] = {
    "official": "{train} train images fitted the network, {val} val images selected the epoch, "
    "{test} test images are reported",
    "held-out-test": "nine tenths of the train images ({train}) fitted the network, the last tenth ({val}) "
    "selected the epoch, {test} test images are reported",
    "public-as-test": "nine tenths of the train images ({train}) fitted the network, the last tenth ({val}) "
    "selected the epoch, {test} val images are reported",
    "person-folds": "{train} images of {train_people} people fitted the network, {val} of {val_people} "
    "others selected the epoch, {test} of {test_people} others are reported",
    "image-folds": "{train} images fitted the network, {val} selected the epoch, {test} are reported; who is "
    "in an image is not known, so that one person may be in several parts",
}


def _sentence(protocol: str, made: dict[str, FaceSet], fold: int | None, n_folds: int) -> str:
    """What each part was used for, in plain words."""
    corpus = made["train"].corpus
    spoken = _SPOKEN["person-folds" if protocol == "leave-one-person-out" else protocol]
    if corpus.endswith("fer2013"):  # the words of its own release
        spoken = spoken.replace(" val images", " PublicTest images").replace(
            " test images", " PrivateTest images"
        )
        spoken = spoken.replace(" train images", " Training images")
    words = {role: f"{len(part):,}" for role, part in made.items()}
    for role, part in made.items():
        words[f"{role}_people"] = "" if part.subjects is None else str(len(set(part.subjects)))
    where = "" if fold is None else f", fold {fold} of {n_folds}"
    return f"{corpus}, protocol {protocol}{where}: {spoken.format(**words)}."
