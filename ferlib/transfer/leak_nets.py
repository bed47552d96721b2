"""Training without guards, for the protocol laboratory alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ferlib import config, devices, keep, learner, paths
from ferlib.augment import Augmentation
from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.recipes import TrainConfig

MODULES = ("augment", "batches", "learner", "models", "recipes", "transfer.leak_nets")
STILL = Augmentation(rotation=0, shift=0, zoom=0, shear=0, flip="none")


@dataclass(frozen=True)
class Lab:
    """What the laboratory trains.

    n_train : faces of the corpus with splits that train each network.
    n_multiplied, n_variants : faces that are multiplied, and how many variants of each there are then.
    copied_share : of the test faces that get a copy in training, where the corpus has none of its own; in the
        photographed FER2013 288 of 3,589 have one.
    """

    width: float = 0.125
    size: int = 32
    n_epochs: int = 15
    batch_size: int = 16
    lr: float = 2e-3
    n_train: int = 1000
    n_multiplied: int = 300
    n_variants: int = 3
    copied_share: float = 0.08
    seeds: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if not 0 < self.copied_share <= 1 or self.n_variants < 2 or not self.seeds:
            raise UsageError(f"{self}: copied_share in (0, 1], n_variants from 2, at least one seed")


@dataclass(frozen=True, eq=False)
class Training:
    """One network, and the sets that it predicts, whoever is in them.

    Where ``val`` is among them, all are predicted after every epoch, to choose from; else after the last alone.
    """

    train: FaceSet
    watched: Mapping[str, FaceSet]
    lab: Lab
    seed: int
    augmentation: Augmentation = STILL  # a network that never sees a face twice alike cannot know it by heart

    @cached_property
    def place(self) -> Path:
        """Where what it answered is kept."""
        sets = (self.train, *self.watched.values())
        seen = keep.digest_of(*(a for f in sets for a in (f.images, f.labels, f.table["row"].to_numpy())))
        how = [
            self.lab.width,
            self.lab.n_epochs,
            self.lab.batch_size,
            self.lab.lr,
            self.seed,
            self.augmentation,
        ]
        made_of = config.digest(how, list(self.watched), seen, config.code_digest(MODULES), length=16)
        return paths.transfer() / f"leak-{self.train.corpus}-{made_of}.npz"


def unguarded(training: Training) -> dict[str, np.ndarray]:
    """Train on whatever is given and predict the watched sets.  UNSAFE: sees test faces.

    Returns (E, N, K) float32 probabilities of each watched set, of every epoch or of the last; found again in the home.
    """
    return keep.arrays(training.place, lambda: _traced(training))


def _traced(training: Training) -> dict[str, np.ndarray]:
    from tqdm import tqdm

    lab = training.lab
    wish = TrainConfig(recipe="paper", width=lab.width, n_epochs=lab.n_epochs, batch_size=lab.batch_size, lr=lab.lr,
                       seed=training.seed, threads=1, device="cpu")  # fmt: skip
    with devices.settled(1):
        net = learner.Learner(training.train, wish.resolved(), devices.fabric("cpu"))
        net.recipe = dataclasses.replace(net.recipe, augmentation=training.augmentation)
        traces: dict[str, list[np.ndarray]] = {name: [] for name in training.watched}
        for epoch in range(lab.n_epochs):
            net.epoch(epoch, tqdm(disable=True))
            if "val" not in training.watched and epoch + 1 < lab.n_epochs:
                continue
            for name, faces in training.watched.items():
                traces[name].append(learner.predict(net.evaluated, faces.images))
    return {name: np.stack(trace) for name, trace in traces.items()}
