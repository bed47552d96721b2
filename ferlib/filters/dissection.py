"""Where a filter looks: overlap of its strongest activations with the regions that Action Units move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from ferlib.config import DataError
from ferlib.filters.record import BATCH, activations, pictures_of


def thresholds(
    model: nn.Module, layer: str, images: Any, quantile: float = 0.99, batch: int = BATCH
) -> np.ndarray:
    """(F,) the activation that a share ``1 - quantile`` of all places of all images exceeds, exactly.

    Keeps only the strongest values, so that memory does not grow with the maps (Bau et al. 2017, sec. 3.1).
    """
    n_images = len(pictures_of(images))
    kept: torch.Tensor | None = None
    for _, acts in activations(model, images, (layer,), batch):
        places = acts[layer].shape[2] * acts[layer].shape[3] * n_images
        n = max(1, int(np.ceil((1 - quantile) * places)))
        values = acts[layer].transpose(0, 1).flatten(1)
        values = values if kept is None else torch.cat([kept, values], dim=1)
        kept = values.topk(min(n, values.shape[1]), dim=1, sorted=False).values
    assert kept is not None
    return kept.amin(dim=1).cpu().numpy()


def strong_places(
    model: nn.Module, layer: str, images: Any, quantile: float, shape: tuple[int, int]
) -> np.ndarray:
    """(N, F, H, W) bool: where the maps, enlarged to ``shape`` bilinearly, reach the filter's threshold.

    A filter whose threshold is 0 is nowhere strong: it fires on less than the share asked for.
    """
    limit = torch.as_tensor(thresholds(model, layer, images, quantile))[:, None, None]
    parts = []
    for _, acts in activations(model, images, (layer,)):
        maps = F.interpolate(acts[layer].float().cpu(), size=shape, mode="bilinear", align_corners=False)
        parts.append(((maps >= limit) & (maps > 0)).numpy())
    return np.concatenate(parts)


def iou(places: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(F, U) float in [0, 1]: intersection over union of the strong places and regions, summed over the images.

    places : (N, F, H, W) bool.  masks : (N, U, H, W) bool.  Bau et al. 2017, eq. 1.  NaN where both are empty.
    """
    return _ratio(_pixels(places), _pixels(masks))


def _pixels(regions: np.ndarray) -> torch.Tensor:
    """(N, C, H, W) bool -> (C, N, H * W) float32."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(regions, 1, 0))).flatten(2).float()


def _ratio(places: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
    """places : (F, N, H * W).  masks : (U, N, H * W).  Returns (F, U)."""
    both = (places.flatten(1) @ masks.flatten(1).T).double()
    union = _area(places)[:, None] + _area(masks) - both
    return torch.where(union > 0, both / union.clamp(min=1), torch.nan).numpy()


def _area(regions: torch.Tensor) -> torch.Tensor:
    """(C, N, H * W) -> (C,) float64: how many pixels, exactly also where they are many."""
    return regions.sum(dim=2).double().sum(dim=1)


def dissect(
    model: nn.Module,
    layer: str,
    images: Any,
    masks: np.ndarray,
    rng: np.random.Generator,
    quantile: float = 0.99,
    n_null: int = 100,
) -> pd.DataFrame:
    """Network dissection (Bau et al. 2017) of every filter with every AU, and what shuffled masks give.

    images : (N, H, W).  masks : (N, U, h, w) bool, the pixels each AU moves in each image, at any resolution.
    The null hands each image the masks of another one, so that a filter that always looks at the mouth is not
    taken for one that looks there when the mouth acts.
    One row a filter and AU (``au`` is the column of ``masks``): ``filter au iou null_mean null_high`` (the 95th
    percentile) and ``p``, (1 + b) / (1 + B).
    """
    if len(masks) != len(pictures_of(images)):
        raise DataError(f"{len(masks)} rows of masks for {len(pictures_of(images))} images")
    places = _pixels(strong_places(model, layer, images, quantile, masks.shape[2:]))
    regions = _pixels(masks)
    found = _ratio(places, regions)
    orders = (torch.as_tensor(rng.permutation(len(masks))) for _ in range(n_null))
    null = np.stack([_ratio(places, regions[:, order]) for order in orders])
    filters, aus = (grid.ravel() for grid in np.indices(found.shape))
    return pd.DataFrame(
        {
            "filter": filters,
            "au": aus,
            "iou": found.ravel(),
            "null_mean": null.mean(axis=0).ravel(),
            "null_high": np.quantile(null, 0.95, axis=0).ravel(),
            "p": ((1 + (null >= found - 1e-12).sum(axis=0)) / (1 + n_null)).ravel(),
        }
    )
