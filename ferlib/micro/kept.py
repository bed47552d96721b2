"""What an LSTM said in one fold, kept in the home under a key of all it depends on: a kill loses the fold at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferlib import config, keep, paths

MODULES = ("augment", "batches", "features", "models", "splits", "micro.clips", "micro.kept", "micro.loso",
           "micro.motion", "micro.network")  # fmt: skip
"""The modules that a fold goes through."""


@dataclass(frozen=True, eq=False)
class Fold:
    """What one fold gave.

    rows : (n,) the clips of the person left out.
    watched : (E, n, K) float32 probabilities of them after each epoch; they choose nothing.
    chosen : () int, the epoch that the validation people chose.
    still : (n, K) float32: what that LSTM says where every frame of a clip is its onset.
    history : (E, 3) float: training loss, accuracy and loss on the validation people after each epoch.
    """

    rows: np.ndarray
    watched: np.ndarray
    chosen: np.ndarray
    still: np.ndarray
    history: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """(n, K) probabilities of the epoch that was chosen."""
        return self.watched[int(self.chosen)]


def key(*parts: Any) -> str:
    """A key over ``parts``: arrays and lists of arrays by their bytes, the rest by its canonical text."""
    return config.digest(*map(_told, parts), config.code_digest(MODULES), length=16)


def _told(part: Any) -> Any:
    arrays = part if isinstance(part, list) else [part]
    return keep.digest_of(*arrays) if all(isinstance(array, np.ndarray) for array in arrays) else part


def find_or_make(key: str, fold: int, make: Callable[[], Sequence[Fold]]) -> list[Fold]:
    """The readings of ``fold`` under ``key``; made where they are not there yet, and written whole."""
    place = paths.transfer() / "micro" / f"{key}-{fold:03d}.npz"

    def flat() -> dict[str, np.ndarray]:
        return {f"{i}.{name}": array for i, one in enumerate(make()) for name, array in vars(one).items()}

    found = keep.arrays(place, flat)
    n = len({name.partition(".")[0] for name in found})
    return [Fold(**{name: found[f"{i}.{name}"] for name in Fold.__dataclass_fields__}) for i in range(n)]
