"""What a train x test matrix is made of: its settings, its corpora in parts, its units of work."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np

from ferlib import datasets, paths, splits
from ferlib.config import UsageError, check_name
from ferlib.datasets import FaceSet
from ferlib.datasets.base import resized
from ferlib.recipes import TrainConfig
from ferlib.splits import LeakError, Parts

MODES: dict[str, str] = {
    "as is": "the network as it was trained, on the classes that both corpora have",
    "head": "its features frozen, and a logistic regression fitted on labels of the target",
    "fine-tuned": "all its weights trained on with labels of the target",
}


@dataclass(frozen=True)
class Matrix:
    """A train x test matrix.

    corpora : prepared corpora, drawn and photographed mixed as you like.
    train : how every network is trained; ``corpus``, ``fold``, ``duplicates`` and ``n_epochs`` are set for each.
    shares : of the target's labels that a head sees; whole people where they are known.
    tuned_shares : the same for fine-tuning.
    n_folds : of the protocols with folds, the first so many are run; 0 for all.
    faces_seen : about how many faces each network is shown in training; 0 for ``train.n_epochs`` as it is.
    tuning_seen : the same for fine-tuning.
    """

    corpora: tuple[str, ...]
    train: TrainConfig
    modes: tuple[str, ...] = tuple(MODES)
    shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    tuned_shares: tuple[float, ...] = (0.1,)
    n_folds: int = 0
    faces_seen: int = 0
    tuning_seen: int = 1000

    def __post_init__(self) -> None:
        for mode in self.modes:
            check_name("mode", mode, MODES)
        if len(self.corpora) < 2 or not self.modes:
            raise UsageError(f"corpora={list(self.corpora)}: a matrix needs at least two, and a mode")
        if len(set(self.corpora)) < len(self.corpora):
            raise UsageError(f"corpora={list(self.corpora)}: one is named twice")
        if any(not 0 < share <= 1 for share in (*self.shares, *self.tuned_shares)):
            raise UsageError(f"shares={self.shares}, tuned_shares={self.tuned_shares}: each in (0, 1]")
        if self.train.size == 0:
            raise UsageError("size=0: a matrix needs faces of one size, for example 48 px")

    def rows(self) -> list[tuple[str, float]]:
        """Every mode with each of its shares; ``as is`` uses none of the target's labels."""
        shares = {"as is": (0.0,), "head": self.shares, "fine-tuned": self.tuned_shares}
        return [(mode, share) for mode in self.modes for share in shares[mode]]


@dataclass(frozen=True)
class Unit:
    """One piece of work: the network of a fold of ``source`` against a fold of ``target``."""

    source: str
    source_fold: int
    target: str
    target_fold: int
    mode: str
    share: float
    key: str

    def __str__(self) -> str:
        return (
            f"{self.source} (fold {self.source_fold}) on {self.target} (fold {self.target_fold}), "
            f"{self.mode}" + (f" with {self.share:.0%} of the labels" if self.share else "")
        )


def faces_of(matrix: Matrix, corpus: str) -> FaceSet:
    """The labelled faces of ``corpus`` at the matrix's size, opened once a process."""
    return _faces(corpus, matrix.train.size, matrix.train.labels, datasets.read_manifest(corpus)["digest"],
                  str(paths.home()))  # fmt: skip


@functools.lru_cache(maxsize=16)
def _faces(corpus: str, size: int, labels: str, digest: str, home: str) -> FaceSet:
    faces = datasets.load(corpus, labels=labels)
    if "duplicate_across" in faces.table:  # what is identical in test is never trained on
        faces = datasets.load(corpus, labels=labels, duplicates="drop-cross-split")
    faces = faces.labelled()
    return dataclasses.replace(faces, images=resized(faces.images, size))


def folds_of(matrix: Matrix, corpus: str) -> list[int]:
    """The folds of the corpus's own protocol that are run; [0] where it has none."""
    return list(range(_fold_count(matrix, corpus)))


def _fold_count(matrix: Matrix, corpus: str) -> int:
    n = parts_of(matrix, corpus, 0).n_folds
    return min(n, matrix.n_folds) if matrix.n_folds else n


def parts_of(matrix: Matrix, corpus: str, fold: int) -> Parts:
    """The parts of ``corpus`` in ``fold`` of the protocol that the matrix's settings ask for."""
    return _parts(faces_of(matrix, corpus), matrix.train.protocol, fold)


@functools.lru_cache(maxsize=256)
def _parts(faces: FaceSet, protocol: str, fold: int) -> Parts:
    return splits.parts(faces, protocol, fold=fold or None)


def training_of(matrix: Matrix, corpus: str, fold: int) -> TrainConfig:
    """How the network of ``fold`` of ``corpus`` is trained."""
    config = dataclasses.replace(matrix.train, corpus=corpus, fold=fold)
    if not matrix.faces_seen:
        return config
    n_train = len(parts_of(matrix, corpus, fold).train)
    return dataclasses.replace(config, n_epochs=max(1, math.ceil(matrix.faces_seen / n_train)))


def pairs(n_source: int, n_target: int) -> list[tuple[int, int]]:
    """Which fold's network meets which fold's test part: fold by fold, the shorter side over again.

    So each network and each test part is used, and on the diagonal every network meets its own test part.
    """
    return [(i % n_source, i % n_target) for i in range(max(n_source, n_target))]


def refuse_seen(trained: Parts, tested: FaceSet) -> None:
    """Raise ``LeakError`` if the network that ``trained`` made has seen a picture or a person of ``tested``.

    Within a corpus, or its copy under another name, by rows and people; between corpora by identical pictures.
    """
    for seen in (trained.train, trained.val):
        if seen.digest == tested.digest or seen.corpus == tested.corpus:
            _refuse_shared("images", seen.table["row"], tested.table["row"], seen, tested)
            if seen.subjects is not None and tested.subjects is not None:
                _refuse_shared("people", seen.subjects, tested.subjects, seen, tested)
        else:
            _refuse_shared("identical pictures", _fingerprints(seen), _fingerprints(tested), seen, tested)


def _refuse_shared(what: str, first, second, seen: FaceSet, tested: FaceSet) -> None:
    both = sorted(set(first) & set(second))
    if both:
        raise LeakError(
            f"{len(both):,} {what} of the test part of {tested.corpus} were seen in training on {seen.corpus}: "
            f"{', '.join(map(str, both[:5]))}"
        )


@functools.lru_cache(maxsize=64)
def _fingerprints(faces: FaceSet) -> frozenset[int]:
    """A number for each picture that says something; flat ones are alike without being copies."""
    return frozenset(hash(np.asarray(image).tobytes()) for image in faces.images if np.ptp(image) > 0)
