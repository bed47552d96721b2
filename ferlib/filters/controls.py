"""Controls: what looks like a finding without any learning of emotions, and maps that do not heed the weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import ndimage, stats
from torch import nn

from ferlib import training
from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.filters.attribution import OUTPUT, Maps, attribution
from ferlib.recipes import TrainConfig


def shuffled_emotions(settings: TrainConfig, faces: FaceSet, rng: np.random.Generator) -> FaceSet:
    """``faces`` with the emotions of the train part dealt out anew, and those of the val part; test keeps the truth.

    ``training.ensure(settings, shuffled_emotions(settings, faces, rng))`` is the network that could only learn
    by heart (Zhang et al. 2017); its run has a key of its own.  The parts stay those of ``faces``: the true
    emotion remains as ``label``, by which folds are balanced.
    """
    parts = training.divided(settings.resolved(), faces)
    table = faces.table.copy()
    if "label" not in table:
        table["label"] = table["emotion"]
    place = pd.Index(table["row"])
    for part in (parts.train, parts.val):
        at = place.get_indexer(pd.Index(part.table["row"]))
        table.loc[at, "emotion"] = rng.permutation(part.table["emotion"].to_numpy())
    return replace(faces, table=table)


def hog_cells(images: np.ndarray, cell: int = 8) -> np.ndarray:
    """Histograms of oriented gradients as if they were filters: (N, F) float32 (Dalal & Triggs 2005).

    images : (N, H, W) uint8, sides divisible by ``cell``.  F = cells x 9 directions, cells in reading order.
    Raises ``UsageError`` where the cells do not fit.
    """
    import cv2

    height, width = images.shape[1:]
    if height % cell or width % cell:
        raise UsageError(f"cell={cell} does not divide faces of {width} x {height} pixels")
    describe = cv2.HOGDescriptor((width, height), (cell, cell), (cell, cell), (cell, cell), 9)
    cells = np.stack([np.ravel(describe.compute(np.ascontiguousarray(image))) for image in images])
    by_column = cells.reshape(len(images), width // cell, height // cell, 9)  # OpenCV goes down the columns
    return by_column.transpose(0, 2, 1, 3).reshape(len(images), -1).astype(np.float32)


# ----------------------------------------------------------------------------- do maps heed the weights?


def cascade(model: nn.Module, fresh: nn.Module, layer: str = OUTPUT) -> list[tuple[str, nn.Module]]:
    """Networks whose weights are replaced by those of ``fresh`` from ``layer`` downwards, one layer more each time.

    Returns (the last layer replaced, network).  Layers above ``layer`` cannot change its maps and stay.
    """
    weighted = [n for n, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
    upto = len(weighted) if layer == OUTPUT else weighted.index(layer) + 1
    upto += upto < len(weighted) and isinstance(model.get_submodule(weighted[upto]), nn.BatchNorm2d)
    state, other = dict(model.state_dict()), fresh.state_dict()
    made = []
    for name in reversed(weighted[:upto]):
        state |= {key: value for key, value in other.items() if key.rpartition(".")[0] == name}
        made.append((name, _with_state(fresh, state)))
    return made


def _with_state(like: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    network = copy.deepcopy(like)
    network.load_state_dict(state)
    return network.eval()


def randomisation_check(
    method: str, model: nn.Module, fresh: nn.Module, layer: str, images: Any, filters: Any
) -> pd.DataFrame:
    """Whether maps heed the weights (Adebayo et al. 2018, cascading randomisation).

    The map of each filter's strongest unit is made again while layer after layer gets the weights of
    ``fresh``, from ``layer`` down.  One row a step and image: ``step randomised image rank_correlation ssim``, both of
    the absolute maps with the intact one's; NaN where a map says nothing.  A good method falls to chance at
    the first step; one that stays high paints edges, not what the filter learned.
    """
    before = attribution(method, model, layer, images, filters)
    rows = []
    for step, (name, network) in enumerate(cascade(model, fresh, layer), start=1):
        after = attribution(method, network, layer, images, filters)
        likeness = similarities(before, after)
        rows.append(likeness.assign(step=step, randomised=name, image=np.arange(len(before))))
    columns = ["step", "randomised", "image", "rank_correlation", "ssim"]
    return pd.concat(rows, ignore_index=True)[columns]


def similarities(one: Maps, two: Maps) -> pd.DataFrame:
    """``rank_correlation`` (Spearman) and ``ssim`` of the absolute maps, one row an image."""
    rows = []
    for a, b, good in zip(one.values, two.values, one.usable & two.usable, strict=True):
        a, b = np.abs(a), np.abs(b)
        rank = stats.spearmanr(a, b, axis=None).statistic if good else np.nan
        rows.append({"rank_correlation": rank, "ssim": ssim(_unit(a), _unit(b)) if good else np.nan})
    return pd.DataFrame(rows)


def _unit(values: np.ndarray) -> np.ndarray:
    return values / values.max()


def ssim(a: np.ndarray, b: np.ndarray, sigma: float = 1.5) -> float:
    """Structural similarity of two (H, W) pictures in [0, 1] (Wang et al. 2004, eq. 13), Gaussian windows.

    Means and covariances are those of the window, without the correction for its size.
    """
    mean = lambda x: ndimage.gaussian_filter(x.astype(np.float64), sigma, truncate=3.5)  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    local = ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(local.mean())


def chance_similarity(maps: Sequence[Maps]) -> pd.DataFrame:
    """``rank_correlation`` and ``ssim`` of maps of different images, each with the next one: the floor."""
    rolled = [Maps(np.roll(m.values, 1, axis=0), np.roll(m.usable, 1)) for m in maps]
    return pd.concat([similarities(a, b) for a, b in zip(maps, rolled, strict=True)], ignore_index=True)
