"""What each Action Unit does to the face: pulls on the skin, the lids, the jaw, and folds.

A muscle is a short list of pulls after Waters (SIGGRAPH 1987): the skin around a point of the mean face moves
along a vector, less with distance.  Pulls above or below the lip line act on one lip only, which is how the mouth
opens.  Folds are grooves that appear with the action; they shade the skin as much as they bend it.
Amplitudes are those of level E (5), in cm, for the person's left side; the right side mirrors them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic.head import (
    EYE,
    EYE_HALF,
    LIP_LINE,
    LIP_STRIP,
    MOUTH_HALF,
    Atlas,
    atlas,
    bump,
    kept,
    smoothstep,
    to_torch,
)

BOTH, UPPER, LOWER = "both", "upper", "lower"

PULLS: dict[str, tuple] = {  # across, height, widths, push (x, y, z), lip
    "AU01": ((1.55, 2.2, 1.25, 1.3, 0.05, 0.8, 0.12, BOTH), (1.3, 4.5, 1.6, 1.6, 0, 0.35, 0.1, BOTH),
             (2.0, 0.9, 0.9, 0.4, 0, 0.22, -0.05, BOTH)),
    "AU02": ((4.0, 2.1, 1.45, 1.3, 0.05, 0.74, 0.1, BOTH), (1.6, 2.1, 1.1, 1.0, 0, 0.16, 0.04, BOTH),
             (4.0, 4.6, 1.8, 1.6, 0, 0.35, 0.05, BOTH),
             (4.0, 0.9, 0.9, 0.45, 0, 0.28, -0.05, BOTH)),
    "AU04": ((1.35, 1.9, 1.15, 0.95, -0.42, -0.52, 0.15, BOTH), (3.6, 1.9, 1.5, 0.9, -0.28, -0.34, 0.08, BOTH),
             (2.4, 0.85, 1.3, 0.35, -0.1, -0.16, 0.12, BOTH), (1.0, 2.2, 0.4, 0.6, 0, 0, 0.2, BOTH)),
    "AU05": ((3.1, 0.95, 1.4, 0.3, 0, 0.12, -0.12, BOTH),),
    "AU06": ((4.3, -2.0, 1.6, 1.1, -0.05, 0.62, 0.4, BOTH), (5.2, -0.3, 0.8, 0.9, -0.2, 0.12, 0.1, BOTH),
             (3.0, -0.95, 1.2, 0.3, 0, 0.22, 0.22, BOTH), (4.9, 1.6, 1.0, 0.6, 0, -0.2, 0, BOTH)),
    "AU07": ((3.1, -0.75, 1.3, 0.28, 0, 0.15, 0.24, BOTH), (4.9, 0.0, 0.5, 0.5, -0.12, 0, 0, BOTH)),
    "AU09": ((1.1, -2.0, 0.7, 1.0, -0.05, 0.5, 0.25, BOTH), (1.5, -4.05, 0.7, 0.6, 0.08, 0.55, 0.1, BOTH),
             (1.2, -6.2, 1.0, 0.9, 0.0, 0.5, 0.12, UPPER), (1.3, 1.7, 1.3, 0.8, -0.2, -0.5, 0.15, BOTH),
             (2.8, -1.9, 1.1, 0.8, -0.15, 0.4, 0.28, BOTH), (0, 0.5, 0.6, 0.5, 0, -0.1, 0.12, BOTH)),
    "AU10": ((1.35, -6.3, 0.9, 0.85, 0, 0.75, 0.2, UPPER), (1.6, -4.2, 0.6, 0.6, 0.1, 0.25, 0.1, BOTH),
             (2.7, -3.6, 0.9, 1.0, 0.05, 0.4, 0.3, BOTH)),
    "AU11": ((2.4, -4.7, 0.7, 0.9, 0.12, 0.42, 0.38, BOTH), (1.7, -6.2, 0.6, 0.8, 0.05, 0.28, 0.05, UPPER)),
    "AU12": ((2.8, -7.0, 0.9, 0.9, 1.05, 1.05, -0.4, BOTH), (4.0, -3.9, 1.3, 1.3, 0.15, 0.6, 0.5, BOTH),
             (0.7, -6.3, 1.1, 0.5, 0.2, -0.04, -0.12, UPPER), (0.8, -7.7, 1.1, 0.5, 0.2, 0.04, -0.1, LOWER),
             (1.6, -4.1, 0.6, 0.6, 0.14, 0.12, 0, BOTH)),
    "AU14": ((2.75, -7.0, 0.8, 0.7, 0.52, 0.32, -0.6, BOTH), (3.6, -6.9, 0.5, 1.0, -0.2, 0, 0.35, BOTH),
             (1.0, -6.7, 1.0, 0.5, 0.15, -0.08, -0.15, UPPER), (1.0, -7.5, 1.0, 0.5, 0.15, 0.1, -0.1, LOWER)),
    "AU15": ((2.6, -7.05, 0.85, 0.8, 0.12, -0.85, -0.1, BOTH), (3.1, -8.6, 0.8, 0.9, 0.05, -0.35, 0.15, BOTH),
             (0, -7.9, 0.9, 0.5, 0, 0.08, 0.1, LOWER)),
    "AU16": ((1.0, -7.6, 1.2, 0.75, 0.1, -0.7, 0.1, LOWER), (0.8, -9.0, 1.2, 0.6, 0, -0.25, 0.12, BOTH)),
    "AU17": ((0.5, -9.7, 1.15, 1.0, 0, 0.9, 0.34, BOTH), (0.4, -7.8, 1.2, 0.6, 0, 0.42, 0.32, BOTH),
             (0.3, -6.6, 1.0, 0.6, 0, 0.16, 0.05, BOTH), (2.5, -7.1, 0.5, 0.5, 0, -0.22, 0, BOTH)),
    "AU18": ((2.5, -7.0, 1.1, 0.9, -0.92, 0, 0.45, BOTH), (0, -6.5, 1.0, 0.6, 0, 0.12, 0.6, UPPER),
             (0, -7.6, 1.0, 0.6, 0, -0.12, 0.6, LOWER), (1.2, -7.0, 0.7, 0.7, -0.3, 0, 0.2, BOTH)),
    "AU20": ((2.75, -7.15, 1.0, 0.85, 0.95, -0.3, -0.45, BOTH), (0.9, -6.5, 0.9, 0.4, 0.25, -0.14, -0.25, UPPER),
             (0.9, -7.7, 0.9, 0.5, 0.25, 0.1, -0.25, LOWER), (3.4, -9.0, 1.2, 1.2, 0.2, -0.25, 0, BOTH)),
    "AU22": ((2.5, -7.0, 0.9, 0.9, -0.6, 0, 0.35, BOTH), (0, -6.4, 1.2, 0.6, 0, 0.5, 0.6, UPPER),
             (0, -7.7, 1.2, 0.6, 0, -0.5, 0.6, LOWER)),
    "AU23": ((1.0, -6.3, 1.4, 0.28, 0, -0.40, -0.15, UPPER), (1.0, -7.75, 1.4, 0.3, 0, 0.44, -0.15, LOWER),
             (2.6, -7.0, 0.7, 0.6, -0.50, 0, 0.05, BOTH), (0.7, -5.75, 1.0, 0.3, 0, 0, 0.28, BOTH),
             (0.7, -8.25, 1.0, 0.3, 0, 0, 0.28, BOTH)),
    "AU24": ((0.9, -6.35, 1.5, 0.3, 0, -0.48, -0.2, UPPER), (0.9, -7.8, 1.5, 0.32, 0, 0.52, -0.2, LOWER),
             (0.9, -5.9, 1.3, 0.35, 0, -0.12, 0.22, BOTH), (0.9, -8.2, 1.3, 0.35, 0, 0.12, 0.3, BOTH),
             (2.7, -7.0, 0.45, 0.6, 0.1, 0, -0.15, BOTH), (0.5, -9.8, 1.1, 0.9, 0, 0.25, 0.15, BOTH)),
    "AU25": ((0, -6.6, 1.8, 0.6, 0, 0.16, 0.02, UPPER), (0, -7.5, 1.8, 0.8, 0, -0.78, 0.02, LOWER)),
    "AU26": (),
    "AU27": ((2.5, -7.0, 0.9, 1.2, -0.35, -0.15, 0.1, BOTH), (0, -6.6, 1.6, 0.6, 0, 0.35, 0, UPPER),
             (4.4, -6.2, 1.4, 1.6, -0.25, -0.3, -0.25, BOTH)),
    "AU28": ((0.8, -6.35, 1.6, 0.35, 0, -0.62, -0.42, UPPER), (0.8, -7.75, 1.6, 0.4, 0, 0.68, -0.42, LOWER),
             (0.6, -8.9, 1.4, 0.5, 0, 0.3, 0.1, BOTH), (0.6, -5.7, 1.2, 0.5, 0, -0.2, 0, BOTH),
             (2.6, -7.0, 0.6, 0.6, -0.12, 0, -0.1, BOTH)),
    "AU43": (),
    "AU45": (),
}  # fmt: skip

_NASOLABIAL = ((1.85, -3.8), (2.45, -4.8), (3.15, -6.0), (3.55, -7.2), (3.5, -7.9))
_SMILE_LINE = ((1.9, -3.9), (2.75, -4.6), (3.6, -5.7), (4.0, -7.0), (3.8, -7.9))
_FOREHEAD = tuple(
    tuple((x, h + 0.12 * np.cos(x * 0.9)) for x in np.linspace(0, 6, 13)) for h in (3.3, 4.25, 5.15)
)
_POUCH = ((1.75, -0.75), (2.4, -1.15), (3.2, -1.25), (4.1, -1.0), (4.6, -0.6))
FOLDS: dict[str, tuple] = {  # lines, half-width, depth; a window (across, height, widths) says where it is strong
    "AU01": ((_FOREHEAD, 0.16, 0.16, (0.6, 4.2, 1.7, 1.3)),),
    "AU02": ((_FOREHEAD, 0.16, 0.16, (4.1, 4.2, 1.2, 1.3)),),
    "AU04": (((((0.42, 0.9), (0.55, 1.8), (0.75, 3.0)), ((1.25, 2.3), (1.35, 3.2))), 0.17, 0.28,
              (0.6, 1.9, 0.7, 1.0)),),
    "AU06": (((((5.1, 0.15), (6.3, 0.75)), ((5.15, -0.2), (6.5, -0.2)), ((5.05, -0.55), (6.2, -1.1))), 0.13, 0.16,
              (5.7, -0.2, 0.8, 0.9)), ((_POUCH,), 0.17, 0.16, (3.4, -0.9, 1.4, 0.7))),
    "AU07": (((((1.8, -0.62), (3.1, -0.86), (4.5, -0.5)),), 0.12, 0.2, (3.1, -0.75, 1.4, 0.5)),),
    "AU09": (((((0, 0.75), (0.75, 0.85)), ((0, 0.2), (0.8, 0.35)), ((0.5, -1.0), (1.35, -0.35)),
               ((0.75, -1.7), (1.6, -1.05))), 0.14, 0.24, (0.7, -0.3, 1.0, 1.2)),
             ((_NASOLABIAL,), 0.2, 0.2, (2.1, -4.4, 0.7, 0.9))),
    "AU10": (((_NASOLABIAL,), 0.22, 0.3, (2.4, -4.9, 0.8, 1.1)),),
    "AU11": (((_NASOLABIAL,), 0.24, 0.42, (2.7, -5.2, 0.8, 0.9)),),
    "AU12": (((_SMILE_LINE,), 0.24, 0.3, (3.1, -5.4, 1.1, 1.5)),
             ((((4.0, -5.4), (4.45, -6.6), (4.3, -7.6)),), 0.18, 0.1, (4.3, -6.6, 0.6, 0.9))),
    "AU14": (((((2.95, -6.1), (3.25, -7.0), (3.0, -7.9)),), 0.26, 0.48, (3.15, -6.95, 0.5, 0.6)),),
    "AU15": (((((2.7, -7.25), (3.05, -7.8), (3.2, -8.7)),), 0.18, 0.3, (2.95, -7.9, 0.5, 0.8)),),
    "AU16": (((((0, -8.75), (1.3, -8.6), (2.0, -8.2)),), 0.22, 0.2, (0.6, -8.6, 1.4, 0.5)),),
    "AU17": (((((0, -8.75), (0.9, -8.85), (1.6, -9.4)),), 0.18, 0.25, (0.6, -8.9, 1.1, 0.5)),
             ((((0.35, -9.62), (0.62, -9.5)), ((0.95, -10.05), (1.05, -9.8)), ((0.2, -10.5), (0.45, -10.35))),
              0.22, 0.16, (0.4, -9.9, 0.9, 0.8)),
             ((((0.0, -9.9), (0.12, -10.1)), ((0.6, -10.0), (0.7, -10.2))), 0.15, 0.13, (0.4, -9.9, 0.9, 0.8))),
    "AU18": (((((0.3, -5.6), (0.28, -6.2)), ((0.85, -5.7), (0.75, -6.2)), ((1.5, -5.9), (1.3, -6.3)),
               ((0.5, -7.9), (0.55, -8.4)), ((1.2, -7.8), (1.4, -8.3))), 0.13, 0.10, (0.7, -7, 0.9, 1.2)),),
    "AU20": (((((3.2, -7.4), (4.3, -7.7)), ((3.1, -8.1), (4.2, -8.6))), 0.16, 0.14, (3.6, -7.9, 0.8, 0.8)),
             ((((2.6, -12.4), (2.9, -16)), ((0.9, -12.6), (1.2, -16))), 0.3, 0.25, (2.0, -14, 1.5, 2.0))),
    "AU22": (((((2.3, -6.0), (2.9, -7.0), (2.3, -8.0)),), 0.3, 0.12, (2.6, -7, 0.8, 1.0)),),
    "AU23": (((((0.3, -5.8), (0.3, -6.4)), ((0.85, -5.85), (0.8, -6.45)), ((1.4, -6.0), (1.3, -6.5)),
               ((0.3, -7.6), (0.3, -8.1)), ((0.9, -7.55), (0.95, -8.0))), 0.12, 0.07, (0.7, -7, 0.9, 0.9)),
             ((((0, -8.2), (1.1, -8.15), (1.9, -7.75)),), 0.2, 0.2, (0.7, -8.1, 1.2, 0.5)),
             ((((2.55, -6.5), (2.7, -7.0), (2.55, -7.5)),), 0.17, 0.19, (2.6, -7, 0.4, 0.5))),
    "AU24": (((((0, -8.3), (1.2, -8.25), (2.1, -7.8)), ((0.3, -5.75), (1.4, -5.95), (2.2, -6.4))), 0.2, 0.18,
              (0.8, -7, 1.3, 1.3)), ((((2.6, -6.6), (2.8, -7.0), (2.65, -7.5)),), 0.18, 0.21, (2.7, -7, 0.4, 0.5))),
    "AU27": (((((2.9, -5.6), (3.6, -7.4), (3.4, -9.2)),), 0.3, 0.16, (3.4, -7.4, 0.8, 1.6)),),
    "AU28": (((((0, -8.1), (1.4, -7.9), (2.3, -7.4)), ((0, -6.1), (1.3, -6.2), (2.3, -6.7))), 0.16, 0.22,
              (0.8, -7, 1.4, 1.2)),),
}  # fmt: skip


def upper_lid(x):
    """Height of the upper lid's margin, cm, at distance ``x`` from the midline (material address)."""
    t = np.clip((x - EYE[0]) / EYE_HALF, -1, 1)
    return -0.04 + 0.07 * t + 0.49 * (1 - np.abs(t) ** 2.3) * (1 - 0.12 * t)


def lower_lid(x):
    """Height of the lower lid's margin, cm, at distance ``x`` from the midline (material address)."""
    t = np.clip((x - EYE[0]) / EYE_HALF, -1, 1)
    return -0.04 + 0.07 * t - 0.44 * (1 - np.abs(t) ** 2.2) * (1 + 0.14 * t)


def _lip_weights(side: np.ndarray, v: np.ndarray) -> dict[str, np.ndarray]:
    """How much each address belongs to the upper and to the lower lip; apart only between the corners."""
    sharp = np.clip((LIP_LINE - v) / (2 * LIP_STRIP) + 0.5, 0, 1)
    broad = smoothstep(LIP_LINE + 1.2, LIP_LINE - 1.2, v)
    lens = np.sqrt(np.clip(1 - (side / MOUTH_HALF) ** 2, 0, 1))
    lower = lens * sharp + (1 - lens) * broad
    return {BOTH: np.ones_like(v), UPPER: 1 - lower, LOWER: lower}


def pull(head: Atlas, pulls) -> np.ndarray:
    """Displacement (3, V), cm, of mirrored ``pulls`` (across, height, widths, push, lip) on both sides at once."""
    x, v = head.material
    side, sign = np.abs(x), np.tanh(x / 0.35)
    lips = _lip_weights(side, v)
    moved = np.zeros_like(head.rest)
    for cx, cy, sx, sy, dx, dy, dz, lip in pulls:
        weight = bump(side, v, cx, cy, sx, sy) * head.front * lips[lip]
        moved += weight * np.stack([sign * dx, np.full_like(x, dy), np.full_like(x, dz)])
    return moved


def _smooth(points) -> np.ndarray:
    """A cubic curve through ``points`` (n, 2), as a finer polyline."""
    points = np.asarray(points, float)
    if len(points) < 3:
        return points
    return CubicSpline(np.arange(len(points)), points)(np.linspace(0, len(points) - 1, 4 * len(points)))


def nearest_on_line(x: np.ndarray, y: np.ndarray, points) -> tuple[np.ndarray, np.ndarray]:
    """Distance, cm, of each (x, y) from the polyline through ``points``, and how far to its right."""
    best, right = np.full_like(x, np.inf), np.zeros_like(x)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        gap = np.hypot(x - ax - t * dx, y - ay - t * dy)
        right = np.where(gap < best, x - ax - t * dx, right)
        best = np.minimum(best, gap)
    return best, right


def fold(head: Atlas, folds) -> tuple[np.ndarray, np.ndarray]:
    """Groove displacement (3, V) in cm and darkening (V,) in [0, 1] of mirrored ``folds``.

    Skin bulges beside a groove, most on its outer side, where the cheek or the temple is pushed against it.
    """
    x, v = head.material
    height, dark = np.zeros_like(x), np.zeros_like(x)
    for lines, width, depth, (wx, wy, ww, wh) in folds:
        near = np.abs(x)
        window = bump(near, v, wx, wy, ww, wh) * head.front
        found = [nearest_on_line(near, v, _smooth(line)) for line in lines]
        gap = np.min([g for g, _ in found], axis=0)
        right = np.take_along_axis(
            np.stack([r for _, r in found]), np.argmin([g for g, _ in found], axis=0)[None], axis=0
        )[0]
        groove = np.exp(-((gap / width) ** 2))
        bulge = (0.45 + 0.35 * np.tanh(right / width)) * np.exp(-((gap / (2.8 * width)) ** 2))
        height -= depth * window * (groove - bulge)
        dark += window * groove * min(depth / 0.28, 1.15)
    return head.normal * height, dark


def jaw_field(head: Atlas) -> np.ndarray:
    """Displacement (3, V) of the jaw turned about its hinge until the chin drops 1 cm."""
    x, v = head.material
    side = np.abs(x)
    lower = _lip_weights(side, v)[LOWER]
    cheek = smoothstep(-4.0, -9.0, v)
    lens = np.sqrt(np.clip(1 - (side / MOUTH_HALF) ** 2, 0, 1))
    weight = np.where(v > LIP_LINE - 0.4, lens * lower + (1 - lens) * cheek, np.maximum(cheek, lens * lower))
    weight = weight * smoothstep(-14.5, -11.6, v) * head.front
    hinge = np.array([0.0, -2.5, -7.5])[:, None]
    arm = head.rest - hinge
    drop = np.stack([0 * x, -arm[2], arm[1] * 0.8]) / 8.0
    return drop * weight


def _lid_fields(head: Atlas) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (3, V) that bring the upper lid's margin down to the lower one, and the other way round."""
    x, v = head.material
    side = np.abs(x)
    up, low = upper_lid(side), lower_lid(side)
    gap = np.maximum(up - low, 1e-3)
    near = head.front * (np.abs(side - EYE[0]) < EYE_HALF)
    inside = np.clip((v - low) / gap, 0, 1)
    above = smoothstep(1.0, 0.0, v - up)
    below = smoothstep(0.8, 0.0, low - v)
    zero = np.zeros_like(x)
    upper = np.stack([zero, -gap * near * np.where(v > up, above, inside), zero])
    lower = np.stack([zero, gap * near * np.where(v < low, below, 1 - inside), zero])
    return upper, lower


@dataclass(frozen=True)
class MuscleBasis:
    """Everything that moves a face, linear in its coefficients.

    moves : (K, 3V) float32, cm.  dark : (K, V) float32, darkening of folds.  K = 4U + 5: pulls of each AU left
    then right, folds of each AU left then right, upper lids left and right, lower lids left and right, jaw.
    """

    moves: torch.Tensor
    dark: torch.Tensor


@kept(8)
def muscle_basis(cols: int) -> MuscleBasis:
    """The basis on the atlas of ``cols`` columns."""
    head = atlas(cols)
    left = smoothstep(-0.5, 0.5, head.material[0])
    halves = (left, 1 - left)
    pulls = [pull(head, PULLS[au]) for au in DRAWN_AUS]
    folds = [fold(head, FOLDS.get(au, ())) for au in DRAWN_AUS]
    lids = _lid_fields(head)
    none = np.zeros(head.rest.shape[1], np.float32)
    moves = [p * half for p in pulls for half in halves] + [f * half for f, _ in folds for half in halves]
    moves += [lid * half for lid in lids for half in halves] + [jaw_field(head)]
    dark = [none] * (2 * len(pulls)) + [d * half for _, d in folds for half in halves] + [none] * 5
    return MuscleBasis(to_torch(np.stack(moves).reshape(len(moves), -1)), to_torch(np.stack(dark)))


_AT = {au: i for i, au in enumerate(DRAWN_AUS)}


def actuate(levels: torch.Tensor, fold_gain: torch.Tensor) -> torch.Tensor:
    """Coefficients (N, K) of :func:`muscle_basis` for AU ``levels`` (N, U, 2) in [0, 5], left and right.

    fold_gain : (N,) how readily the person's skin folds, 1 at middle age.  Antagonists meet here: lids add up to
    closed and no further, pressed lips do not part, and jaw drop and mouth stretch share one jaw.
    """
    a = (levels / 5.0).clamp(0, 1) ** 0.85
    act = {au: a[:, i] for au, i in _AT.items()}
    pressed = torch.maximum(act["AU24"], act["AU28"]) * 0.75
    a = a.clone()
    a[:, _AT["AU25"]] *= (1 - pressed) * (1 + 0.6 * act["AU12"])  # a smile bares the teeth
    shut = (act["AU43"] + act["AU45"]).clamp(0, 1)
    narrow = (
        0.2 * act["AU07"] + 0.08 * act["AU06"] + 0.15 * act["AU09"] + 0.06 * act["AU04"] + 0.06 * act["AU12"]
    )
    narrow = 0.20 * torch.tanh(narrow / 0.20)
    lower = (
        0.27 * torch.tanh((0.32 * act["AU07"] + 0.2 * act["AU06"] + 0.14 * act["AU09"]) / 0.27) + 0.12 * shut
    )
    upper = (shut * 1.1 + narrow - 0.52 * act["AU05"] * (1 - shut)).clamp(min=-0.5)
    upper = torch.minimum(upper, 1.03 - lower)
    jaw = 1 - (1 - 0.42 * act["AU26"].mean(1)) * (1 - act["AU27"].mean(1))
    wrinkles = a * fold_gain[:, None, None]
    return torch.cat([a.flatten(1), wrinkles.flatten(1), upper, lower, 2.6 * jaw[:, None]], dim=1)
