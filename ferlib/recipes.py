"""How a network is trained: the settings, the two recipes, their optimisers and learning rates.

``paper`` is faithful to Breuer & Kimmel 2017, sec. 3.1; what they leave open (batch, epochs) is chosen here.
``fast`` uses what is known since: batch norm, label smoothing, one cycle, averaged weights, test-time flip.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ferlib import config
from ferlib.augment import Augmentation
from ferlib.config import UsageError, check_name

OF_THE_MACHINE = ("threads", "device", "stream", "workers")
OF_THE_FACES = ("corpus", "protocol", "fold", "labels", "duplicates", "size")
"""Settings that are not keyed: the first are only recorded, of the others the faces they lead to are keyed."""


@dataclass(frozen=True)
class Recipe:
    """What makes a recipe; the first five are defaults that :class:`TrainConfig` may override."""

    network: str
    n_epochs: int
    batch_size: int
    lr: float
    patience: int
    augmentation: Augmentation
    optimiser: str = "adam"
    decay: float = 0.0  # Keras: lr / (1 + decay * step)
    one_cycle: float = 0.0  # part of all steps in which lr rises to its peak; 0 for no cycle
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    averaging: float = 0.0  # share of the old weights kept in the running average at each step; 0 for none
    flip_at_test: bool = False  # mean of the probabilities of a face and its mirror image


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(
        network="EmotionCNN",
        n_epochs=60,
        batch_size=64,  # 10 epochs on 6,000 real faces: .463 on val, with 128 .456, one run each
        lr=1e-3,
        patience=15,
        augmentation=Augmentation(),
        decay=1e-5,
    ),
    "fast": Recipe(
        network="FastCNN",
        n_epochs=24,  # 4.4 GFLOP a face and epoch: 15 s on 28,709 faces at 200 TFLOP/s (reckoned, not measured)
        batch_size=128,
        lr=0.1,  # 4 epochs on 4,000 real faces at width 0.125: .415 on val; 0.3 with more dropout .269
        patience=0,
        augmentation=Augmentation(rotation=12.0, shift=0.1, zoom=0.15, shear=6.0, flip="alternate"),
        optimiser="sgd",
        one_cycle=0.2,
        weight_decay=5e-4,
        label_smoothing=0.1,
        averaging=0.99,
        flip_at_test=True,
    ),
}


@dataclass(frozen=True)
class TrainConfig:
    """One training run.  ``n_epochs``, ``batch_size``, ``lr`` 0 and ``patience`` -1 mean the recipe's own."""

    corpus: str = "fer2013"
    protocol: str = "auto"  # who trains, selects and is reported: see splits.PROTOCOLS
    fold: int = 0  # of a protocol with folds
    labels: str = "own"  # or a rule over FER+ votes: see datasets.ferplus.RULES
    duplicates: str = "keep"  # or "drop-cross-split"
    size: int = 0  # side of the faces in pixels; 0: as stored
    recipe: str = "paper"
    width: float = 1.0  # multiplies the network's feature maps
    dropout: float = 0.5  # rate before the output
    n_epochs: int = 0
    batch_size: int = 0
    lr: float = 0.0  # Adam's step size, or the peak of the cycle
    patience: int = -1  # epochs without a better validation accuracy before training stops; 0: never stops
    seed: int = (
        0  # of weights, order, augmentation and dropout; the division of the corpus does not change with it
    )
    threads: int = 2  # on a CPU; another number adds in another order and gives other weights
    device: str = "auto"
    stream: bool = False  # read faces from the memory map by loader workers even where they would fit
    workers: int = 2

    def __post_init__(self) -> None:
        check_name("recipe", self.recipe, RECIPES)
        for name in ("width", "threads"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name}={getattr(self, name)} must be above 0")
        for name in ("n_epochs", "batch_size", "lr", "size", "fold", "seed", "workers"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout} must lie in [0, 1)")

    def resolved(self) -> TrainConfig:
        """The same with the recipe's own values written out."""
        own = RECIPES[self.recipe]
        return dataclasses.replace(
            self,
            n_epochs=self.n_epochs or own.n_epochs,
            batch_size=self.batch_size or own.batch_size,
            lr=self.lr or own.lr,
            patience=own.patience if self.patience < 0 else self.patience,
        )

    def keyed(self) -> dict[str, Any]:
        """What makes the network differ on the same faces, as a plain dictionary."""
        resolved = config.as_plain(self.resolved())
        return {k: v for k, v in resolved.items() if k not in OF_THE_MACHINE + OF_THE_FACES}


def optimiser_of(net: nn.Module, recipe: Recipe, lr: float) -> torch.optim.Optimizer:
    """Fused Adam as in the paper, or Nesterov SGD whose weight decay spares biases and batch norm."""
    if recipe.optimiser == "adam":
        return torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=True)


def lr_factor(recipe: Recipe, step: int, n_steps: int) -> float:
    """The learning rate at ``step`` (from 0) of ``n_steps`` as a multiple of ``lr``.

    ``1 / (1 + decay * step)`` (Keras), or one triangle from 0.2 to 1 to 0 (Smith 2018, as in airbench).
    """
    if not recipe.one_cycle:
        return 1.0 / (1.0 + recipe.decay * step)
    peak = max(1.0, recipe.one_cycle * n_steps)
    if step < peak:
        return 0.2 + 0.8 * step / peak
    return max(0.0, (n_steps - step) / (n_steps - peak))


class Average:
    """A running average of a network's weights and buffers: what is evaluated and kept by the fast recipe."""

    def __init__(self, net: nn.Module, keep: float) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.keep = keep
        self._new = [t for t in net.state_dict().values() if t.is_floating_point()]
        self._old = [t for t in self.net.state_dict().values() if t.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """``old <- k old + (1 - k) new``, with ``k`` growing to ``keep`` over the first steps."""
        keep = min(self.keep, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._old, self._new, 1.0 - keep)
