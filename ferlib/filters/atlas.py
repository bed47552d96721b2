"""The atlas of a layer: for each filter the faces that excite it most, and how often and how much it fires."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from ferlib.au_stats import ACTIVE_SHARE
from ferlib.config import DataError
from ferlib.datasets import FaceSet
from ferlib.filters.record import BATCH, activations

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PER_OCTAVE, OCTAVES = 16, (-24, 24)
N_BINS = (OCTAVES[1] - OCTAVES[0]) * PER_OCTAVE + 1
"""Bins of the histogram: the first holds what did not fire, each other 1/16 of an octave (4.4 %)."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """What the F filters of a layer answered to ``n_images`` faces.

    top_images : (F, K) int, positions of the faces with the highest activation, strongest first; equal
        activations keep the order of the faces.
    top_values : (F, K) float32, their activation, the maximum over the map.
    top_positions : (F, K, 2) int, row and column of that maximum in the map; the first in reading order.
    histogram : (F, ``N_BINS``) int, how many faces gave which maximum.  k : K, or more where faces lack.
    """

    layer: str
    n_images: int
    k: int
    top_images: np.ndarray
    top_values: np.ndarray
    top_positions: np.ndarray
    histogram: np.ndarray
    levels: tuple[float, ...] = field(default=LEVELS)

    def __len__(self) -> int:
        return len(self.histogram)

    @property
    def fires(self) -> np.ndarray:
        """(F,) float in [0, 1]: share of the faces on which the filter fires anywhere."""
        return 1 - self.histogram[:, 0] / max(self.n_images, 1)

    @property
    def quantiles(self) -> np.ndarray:
        """(F, Q) float: quantiles ``levels`` of the per-image maximum, at most one bin (4.4 %) off.

        The smallest bin whose cumulative count reaches the level, told by its geometric middle; 0 where the
        filter did not fire.
        """
        reached = self.histogram.cumsum(axis=1)  # (F, N_BINS)
        wanted = np.maximum(np.array(self.levels) * self.n_images, 1)
        found = (reached[:, None] < wanted[:, None] - 1e-9).sum(axis=2)  # (F, Q) bin
        return np.where(found == 0, 0.0, 2.0 ** (OCTAVES[0] + (found - 0.5) / PER_OCTAVE))

    def state(self, share: float = ACTIVE_SHARE) -> np.ndarray:
        """(F,) of ``dead`` (fires on less than ``share`` of the faces), ``always-on`` (silent on less), ``active``.

        The paper's active filters are those that are not dead: ``always-on`` ones speak by how strongly.
        """
        return np.select([self.fires < share, self.fires > 1 - share], ["dead", "always-on"], "active")

    def merge(self, other: Atlas) -> Atlas:
        """The atlas of these faces followed by those of ``other``.

        Raises ``DataError`` for another layer or number of filters.
        """
        if (self.layer, len(self), self.k) != (other.layer, len(other), other.k):
            raise DataError(
                f"Cannot merge {self.layer} ({len(self)} filters, k={self.k}) with "
                f"{other.layer} ({len(other)} filters, k={other.k})"
            )
        values = np.concatenate([self.top_values, other.top_values], axis=1)
        images = np.concatenate([self.top_images, other.top_images + self.n_images], axis=1)
        best = np.lexsort((images, -values), axis=1)[:, : self.k]
        positions = np.concatenate([self.top_positions, other.top_positions], axis=1)
        return replace(
            self,
            n_images=self.n_images + other.n_images,
            top_images=np.take_along_axis(images, best, axis=1),
            top_values=np.take_along_axis(values, best, axis=1),
            top_positions=np.take_along_axis(positions, best[:, :, None], axis=1),
            histogram=self.histogram + other.histogram,
        )


def rank(model: nn.Module, faces: FaceSet | np.ndarray, layer: str, k: int = 25, batch: int = BATCH) -> Atlas:
    """The atlas of ``layer`` over ``faces`` in one pass; what it keeps does not grow with the faces.

    Raises ``DataError`` where an activation is not a number.
    """
    found: Atlas | None = None
    for _, acts in activations(model, faces, (layer,), batch):
        maxima = _maxima(acts[layer], layer)
        floor = found.top_values[:, -1] if found is not None and found.top_values.shape[1] == k else None
        part = _atlas_of(acts[layer], maxima, layer, k, floor)
        found = part if found is None else found.merge(part)
    assert found is not None
    return found


def max_activations(
    model: nn.Module, faces: FaceSet | np.ndarray, layers: tuple[str, ...] | str, batch: int = BATCH
) -> dict[str, np.ndarray]:
    """Layer -> (N, F) float32: the maximum of each filter's map on each face; what ``au_stats`` takes."""
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    made: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for _, acts in activations(model, faces, layers, batch):
        for layer in layers:
            made[layer].append(_maxima(acts[layer], layer))
    return {layer: np.concatenate(parts) for layer, parts in made.items()}


def _maxima(acts: torch.Tensor, layer: str) -> np.ndarray:
    """(B, F, H, W) -> (B, F) float32."""
    maxima = acts.amax(dim=(2, 3)).float().cpu().numpy()
    if not np.isfinite(maxima).all():
        raise DataError(f"{layer} answers with values that are not finite; was the network trained to NaN?")
    return maxima


def _atlas_of(acts: torch.Tensor, maxima: np.ndarray, layer: str, k: int, floor: np.ndarray | None) -> Atlas:
    """The atlas of one batch.  floor : (F,) below which no face can enter the list any more."""
    order = np.argsort(-maxima.T, axis=1, kind="stable")[:, :k]  # (F, k)
    values = np.take_along_axis(maxima.T, order, axis=1)
    positions = np.zeros((*order.shape, 2), np.int64)
    entering = np.ones_like(order, bool) if floor is None else values > floor[:, None]
    filters, _ = np.nonzero(entering)
    if len(filters):
        maps = acts[torch.as_tensor(order[entering]), torch.as_tensor(filters)].float().cpu().numpy()
        at = maps.reshape(len(maps), -1).argmax(axis=1)
        positions[entering] = np.stack(np.unravel_index(at, maps.shape[1:]), axis=1)
    return Atlas(layer, len(maxima), k, order, values, positions, histogram_of(maxima))


def histogram_of(maxima: np.ndarray) -> np.ndarray:
    """(F, ``N_BINS``) int: counts of (N, F) maxima on a logarithmic scale; the first bin holds 0 and less."""
    n_filters = maxima.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        octave = np.log2(maxima, dtype=np.float64)
    bins = np.floor(np.nan_to_num((octave - OCTAVES[0]) * PER_OCTAVE, neginf=-1.0)).astype(np.int64) + 1
    bins = np.where(maxima > 0, np.clip(bins, 1, N_BINS - 1), 0)
    flat = np.bincount((bins + N_BINS * np.arange(n_filters)).ravel(), minlength=n_filters * N_BINS)
    return flat.reshape(n_filters, N_BINS)
