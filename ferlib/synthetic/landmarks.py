"""The 68 landmarks of iBUG 300-W (Sagonas et al. 2013) as addresses on the mean face."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from ferlib.synthetic.head import EYE, LIP_LINE, LIP_STRIP, MOUTH_HALF, atlas, kept, to_torch
from ferlib.synthetic.muscles import lower_lid, upper_lid


def _addresses() -> np.ndarray:
    """(68, 2) addresses (across, height), cm; the first 17 run along the jaw from picture left to right."""
    jaw_half = [
        (6.9, -0.2),
        (6.8, -2.0),
        (6.5, -4.2),
        (6.0, -6.3),
        (5.3, -8.3),
        (4.3, -9.9),
        (3.0, -11.0),
        (1.5, -11.55),
    ]
    jaw = [(-x, y) for x, y in jaw_half] + [(0.0, -11.75)] + [(x, y) for x, y in reversed(jaw_half)]
    brow_half = [(4.8, 1.75), (4.1, 2.1), (3.2, 2.15), (2.2, 1.95), (1.3, 1.62)]
    brows = [(-x, y) for x, y in brow_half] + [(x, y) for x, y in reversed(brow_half)]
    nose = [(0.0, 0.2), (0.0, -1.2), (0.0, -2.5), (0.0, -3.7)]
    nose += [(-1.4, -4.55), (-0.7, -4.75), (0, -4.9), (0.7, -4.75), (1.4, -4.55)]
    inner, outer = EYE[0] - 1.52, EYE[0] + 1.52
    a, b = EYE[0] - 0.5, EYE[0] + 0.5
    lid = lambda f, x: (x, float(f(np.array(x))))  # noqa: E731
    eye = [
        lid(upper_lid, outer),
        lid(upper_lid, b),
        lid(upper_lid, a),
        lid(upper_lid, inner),
        lid(lower_lid, a),
        lid(lower_lid, b),
    ]
    right = [(-x, y) for x, y in eye]
    left = [eye[3], eye[2], eye[1], eye[0], eye[5], eye[4]]
    y, s = LIP_LINE, LIP_STRIP
    outer_lips = [(-MOUTH_HALF, y), (-1.6, y + 0.5), (-0.5, y + 0.72), (0, y + 0.62), (0.5, y + 0.72), (1.6, y + 0.5),
                  (MOUTH_HALF, y), (1.5, y - 0.62), (0.6, y - 0.83), (0, y - 0.86),
                  (-0.6, y - 0.83), (-1.5, y - 0.62)]  # fmt: skip
    inner_lips = [
        (-2.3, y),
        (-0.7, y + s),
        (0, y + s),
        (0.7, y + s),
        (2.3, y),
        (0.7, y - s),
        (0, y - s),
        (-0.7, y - s),
    ]
    return np.array(jaw + brows + nose + right + left + outer_lips + inner_lips, np.float64)


@lru_cache(maxsize=64)
def nearest_point(cols: int, across: float, height: float) -> int:
    """Index of the atlas point nearest to an address on the head."""
    head = atlas(cols)
    gap = np.hypot(head.material[0] - across, head.material[1] - height)
    return int(np.argmin(np.where((head.part == 0) & (head.front > 0), gap, np.inf)))


@kept(8)
def _weights(cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners (68, 4) int64 and bilinear weights (68, 4) of the landmarks on the atlas."""
    head = atlas(cols)
    n = int((head.part == 0).sum()) // cols
    heights = head.material[1][: n * cols].reshape(n, cols)[:, 0]
    corners, weights = [], []
    for across, height in _addresses():
        row = int(np.clip(np.searchsorted(-heights, -height) - 1, 0, n - 2))
        line = head.material[0][row * cols : (row + 1) * cols]
        col = int(np.clip(np.searchsorted(line, across) - 1, 0, cols - 2))
        down = (heights[row] - height) / (heights[row] - heights[row + 1])
        along = np.clip((across - line[col]) / (line[col + 1] - line[col]), 0, 1)
        corners.append(
            [row * cols + col, row * cols + col + 1, (row + 1) * cols + col, (row + 1) * cols + col + 1]
        )
        weights.append([(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along])
    return torch.tensor(corners), to_torch(np.array(weights))


def landmark_points(skin: torch.Tensor, cols: int) -> torch.Tensor:
    """Landmarks (N, 3, 68), cm, on a deformed skin (N, 3, V)."""
    corners, weights = _weights(cols)
    return (skin[:, :, corners] * weights).sum(-1)
