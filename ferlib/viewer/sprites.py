"""Many small pictures in one file, and faces with what excites a filter laid over them."""

from __future__ import annotations

import numpy as np

from ferlib.plots import BLUE, ORANGE

COLUMNS = 32
"""Tiles in a row of a sprite."""


def sprite(tiles: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """``tiles`` (N, H, W) or (N, H, W, 3) uint8 in rows: one picture (rows H, columns W, 3)."""
    tiles = tiles if tiles.ndim == 4 else np.repeat(tiles[..., None], 3, axis=3)
    n, height, width, _ = tiles.shape
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, height, width, 3), np.uint8)
    padded[:n] = tiles
    grid = padded.reshape(rows, columns, height, width, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def credited(faces: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Pale faces with the pixels that speak for a unit in orange and those against it in blue.

    faces : (N, H, W) uint8.  seen : (N, H, W) float, NaN where a map says nothing; there the face stays as it is.
    Full colour is the 99.5th percentile of each map.  Returns (N, H, W, 3) uint8.
    """
    grey = faces.astype(np.float32)[..., None]
    mute = ~np.isfinite(seen).all(axis=(1, 2))
    strength = np.where(mute[:, None, None], 0, seen)
    top = np.quantile(np.abs(strength), 0.995, axis=(1, 2), keepdims=True)
    share = np.clip(np.abs(strength) / np.where(top > 0, top, 1), 0, 1)[..., None] ** 0.7
    pale = 90 + 0.6 * grey
    colour = np.where(strength[..., None] > 0, rgb(ORANGE), rgb(BLUE))
    mixed = pale * (1 - share) + colour * share
    return np.round(np.where(mute[:, None, None, None], grey, mixed)).clip(0, 255).astype(np.uint8)


def rgb(colour: str) -> np.ndarray:
    """``"#0072b2"`` as (3,) float."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
