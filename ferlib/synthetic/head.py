"""The mean head at rest: a sculpted surface on one grid, the *atlas*.

Lengths are centimetres in the head's own frame: x to the right of the picture (the person's left), y up,
z towards the viewer, origin on the skin between the eyes.  Proportions follow Farkas's adult means
("Anthropometry of the Head and Face", 1994).  The atlas stacks four sheets of one width, row under row:
the head with its neck, a curtain of long hair, the shoulders, and the two ears side by side.
Each point has a *material* address (across, height), its place on the mean face; an address never moves,
so brows, lids and lips are painted by address and travel with the skin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")

LIP_LINE = -7.0  # height of the closed mouth
LIP_STRIP = 0.05  # half-height of the strip of skin that stretches into the open mouth
MOUTH_HALF = 2.7  # from the midline to a lip corner
EYE = (3.15, 0.0)  # address of the middle of an eye
EYE_HALF = 1.58  # from its middle to a corner
EYE_RADIUS = 1.2
EYE_DEPTH = -1.42  # z of the eyeball's centre
BEHIND = 2.6  # azimuth, radians, beyond which the back of the head is left out: no pose shows it
HEAD, CURTAIN, SHOULDERS, EARS = range(4)


@dataclass(frozen=True)
class Atlas:
    """The rest surface on a grid of ``rows`` x ``cols`` points, V in all.

    rest : (3, V) float32, cm.  normal : (3, V) float32, unit.  material : (2, V) float32, cm.
    angle : (V,) azimuth in radians, 0 in front.  part : (V,) int, HEAD to EARS.
    drawable : (V,) bool, False on the first and last row of a sheet and between the ears.
    front : (V,) float32 in [0, 1], 1 on the face and 0 on the back of the head.
    """

    rows: int
    cols: int
    rest: np.ndarray
    normal: np.ndarray
    material: np.ndarray
    angle: np.ndarray
    part: np.ndarray
    drawable: np.ndarray
    front: np.ndarray


def smoothstep(low, high, x):
    """0 below ``low``, 1 above ``high``, a smooth cubic between.  NumPy arrays."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bump(x, y, cx, cy, sx, sy=None):
    """A Gaussian of height 1 around (cx, cy); NumPy arrays, cm."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / (sy or sx)) ** 2))


def _profile(knots: list[tuple[float, float]], blur: float = 0.5):
    """A smooth curve through ``knots`` (height, value): linear, then blurred over ``blur`` cm."""
    heights, values = np.array(sorted(knots)).T
    fine = np.arange(heights[0] - 2, heights[-1] + 2, 0.05)
    window = np.hanning(2 * int(blur / 0.05) + 3)
    padded = np.pad(np.interp(fine, heights, values), len(window) // 2, mode="edge")
    smooth = np.convolve(padded, window / window.sum(), mode="valid")
    return lambda v: np.interp(v, fine, smooth)


_HALF_WIDTH = _profile([(3, 7.6), (1.5, 7.4), (0, 7.15), (-2.5, 6.9), (-5, 6.4), (-7, 5.8), (-9, 4.95), (-10.5, 4.1),
                        (-12, 3.4), (-14, 3.0)])  # fmt: skip
_FRONT = _profile([(3, 1.5), (1.8, 1.5), (0.6, 1.0), (-1.5, 0.9), (-3.5, 1.0), (-5, 1.1), (-7, 1.05), (-8.8, 0.35),
                   (-10.1, 0.75), (-11, 0.35), (-11.7, -0.6), (-12.5, -2.2)])  # fmt: skip
_BACK = _profile([(3, -18), (0, -17.6), (-4, -15.6), (-8, -13.2), (-12, -12.2), (-19, -12.6)])
_NECK_FRONT = _profile([(-9, -4.0), (-12, -4.3), (-14, -4.5), (-16, -4.0), (-19, -2.6)])
_NECK_WIDTH = _profile([(-6, 5.0), (-12, 4.85), (-15, 5.1), (-17, 6.0), (-19, 7.6)])
_JAW_LINE = _profile([(0, -11.75), (0.5, -11.4), (0.85, -10.3), (1.15, -8.9), (1.4, -7.3), (1.65, -5.2), (2.1, -4),
                      (3.2, -4)], blur=0.12)  # fmt: skip
_NOSE_HEIGHT = _profile([(2.2, 0), (1.2, 0.12), (0.6, 0.36), (0, 0.6), (-1, 0.98), (-2, 1.4), (-3, 1.85), (-3.5, 2.05),
                         (-3.9, 2.08), (-4.25, 1.8), (-4.55, 1.25), (-4.8, 0.6), (-5.1, 0)], blur=0.25)  # fmt: skip
_NOSE_WIDTH = _profile(
    [(1.5, 0.9), (0, 0.7), (-1.5, 0.84), (-3, 1.0), (-3.8, 0.98), (-4.3, 0.8), (-4.8, 0.6)]
)
_SIDE = -8.0  # z of the head's widest plane

_SCULPTURE = (  # mirrored bumps: across, height, widths, push along z
    (2.9, 1.75, 1.7, 0.5, 0.42),  # brow ridge
    (0.0, 1.75, 0.8, 0.6, 0.12),  # glabella
    (0.0, 0.8, 0.75, 0.6, 0.16),  # root of the nose
    (2.9, 0.2, 1.45, 0.8, -0.85),  # eye socket
    (1.45, 0.3, 0.45, 0.6, -0.22),  # inner corner of the socket
    (6.6, 2.6, 0.9, 2.0, -0.3),  # temple
    (4.7, -2.3, 1.5, 1.1, 0.45),  # cheekbone
    (3.2, -3.8, 1.4, 1.3, 0.25),  # front of the cheek
    (4.9, -6.0, 1.3, 1.7, 0.16),  # hollow of the cheek
    (2.15, -1.6, 0.8, 0.35, -0.12),  # tear trough
    (1.40, -4.08, 0.40, 0.46, 0.92),  # wing of the nose
    (1.98, -4.2, 0.2, 0.55, -0.18),  # crease behind the wing
    (0.0, -3.82, 0.60, 0.55, 0.36),  # tip of the nose
    (0.62, -4.62, 0.24, 0.2, -0.4),  # nostril
    (2.75, -5.6, 0.25, 1.0, -0.025),  # nasolabial fold, softly
    (0.0, -5.6, 0.2, 0.45, -0.1),  # philtrum
    (0.4, -5.7, 0.16, 0.5, 0.08),  # its ridge
    (0.0, -6.45, 1.35, 0.42, 0.4),  # upper lip
    (0.45, -6.62, 0.4, 0.25, 0.1),
    (0.0, -7.55, 1.3, 0.4, 0.45),  # lower lip
    (0.55, -7.5, 0.5, 0.3, 0.1),
    (0.0, -7.0, 1.2, 0.11, -0.42),  # between the lips
    (2.65, -7.0, 0.3, 0.35, -0.25),  # lip corner
    (0.0, -8.55, 1.1, 0.35, -0.22),  # fold between lip and chin
    (0.0, -10.1, 1.0, 0.75, 0.35),  # chin
    (0.0, -13.6, 0.7, 1.0, 0.35),  # larynx
    (3.2, -15.8, 0.7, 2.6, 0.3),  # sternomastoid
)


def _row_heights(n: int) -> np.ndarray:
    """Heights of the head's rows, crown to collar: dense on the face, densest at eyes and lip line."""
    v = np.linspace(12.07, -19.0, 8000)
    density = (
        0.8 + 0.2 * smoothstep(-13, -12, v) + smoothstep(-12.8, -11.5, v) * smoothstep(4.5, 3.0, v) * 0.8
    )
    density += 32.0 * bump(v, 0, LIP_LINE, 0, 0.06, 1) + 1.2 * bump(v, 0, 0.05, 0, 0.5, 1)
    density += 1.2 * bump(v, 0, -4.5, 0, 0.4, 1) + 7.0 * bump(v, 0, 12.1, 0, 0.2, 1)
    spread = np.cumsum(density)
    return np.interp(np.linspace(0, 1, n), (spread - spread[0]) / (spread[-1] - spread[0]), v)


def _loft(theta: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Skull and jaw above the jaw line, neck below it.  Returns (3, rows, cols)."""
    dome = np.clip(1 - (np.maximum(v - 3, 0) / 9.1) ** 2.35, 1e-5, 1) ** (1 / 2.2)
    sin, cos = np.sin(theta), np.cos(theta)
    front = _SIDE + (_FRONT(np.minimum(v, 3)) - _SIDE) * dome
    back = _SIDE + (_BACK(np.minimum(v, 3)) - _SIDE) * dome
    x = _HALF_WIDTH(np.minimum(v, 3)) * dome * sin
    z = np.where(cos > 0, _SIDE + (front - _SIDE) * np.abs(cos) ** 1.04, _SIDE + (_SIDE - back) * cos)
    jaw, soft = (_JAW_LINE(np.abs(theta)), 0.45 + 1.3 * smoothstep(1.2, 2.0, np.abs(theta)))
    neck = smoothstep(jaw + 0.25 * soft, jaw - 1.1 * soft, v)
    middle = 0.5 * (_NECK_FRONT(v) - 12.4)
    neck_z = middle + 0.5 * (_NECK_FRONT(v) + 12.4) * cos
    return np.stack([x + (_NECK_WIDTH(v) * sin - x) * neck, v + 0 * x, z + (neck_z - z) * neck])


def _sculpt(rest: np.ndarray, x: np.ndarray, v: np.ndarray, front: np.ndarray) -> None:
    """Adds nose, sockets, lids, lips and chin to the loft, in place."""
    side = np.abs(x)
    for cx, cy, sx, sy, dz in _SCULPTURE:
        rest[2] += front * dz * bump(side, v, cx, cy, sx, sy)
    arched = v - 0.32 * np.minimum(side, 1.2) ** 2 * smoothstep(
        -2.8, -4.2, v
    )  # a gull's wings seen from the front
    ridge = np.exp(-((side / _NOSE_WIDTH(v)) ** 2))
    flank = np.exp(-((side / (1.75 * _NOSE_WIDTH(v))) ** 2))
    rest[2] += front * _NOSE_HEIGHT(arched) * (0.86 * ridge + 0.14 * flank)
    rest[1] += front * 0.28 * bump(side, v, 0, -4.75, 1.1, 0.3)  # the base of the nose faces a little forward
    reach = (EYE_RADIUS + 0.1) ** 2 - (side - EYE[0]) ** 2 - (v - EYE[1]) ** 2
    lids = EYE_DEPTH + np.sqrt(np.maximum(reach, 0.0))
    lids = np.where(reach > 0, lids, -9.0)
    gap = rest[2] - lids
    rest[2] = np.where(front > 0.5, 0.5 * (rest[2] + lids + np.sqrt(gap**2 + 0.03)), rest[2])


def _head_sheet(rows: int, cols: int):
    c = np.linspace(-1, 1, cols)
    theta, v = np.meshgrid(BEHIND * (0.6 * c + 0.4 * c**3), _row_heights(rows))
    rest = _loft(theta, v)
    front = smoothstep(1.75, 1.25, np.abs(theta))
    across = np.where(np.abs(theta) < np.pi / 2, _HALF_WIDTH(np.minimum(v, 3)) * np.sin(theta),
                      np.sign(theta) * (_HALF_WIDTH(np.minimum(v, 3)) + 5 * (np.abs(theta) - np.pi / 2)))  # fmt: skip
    _sculpt(rest, across, v, front)
    return rest, np.stack([across, v]), theta, front


def _curtain_sheet(rows: int, cols: int):
    """Long hair: from the crown over the sides and the back, open in front, straight down below the ears."""
    c = np.linspace(-1, 1, cols)
    theta = np.sign(c) * (0.98 + (BEHIND - 0.98) * np.abs(c) ** 0.8)
    theta, v = np.meshgrid(theta, np.linspace(11.0, -22, rows))
    rest = _loft(theta, np.maximum(v, 1.0))
    fall = smoothstep(1.0, -9.0, v)
    away = 0.7 + 1.1 * smoothstep(8, 0, v) + 0.5 * fall
    rest[0] += np.sin(theta) * away
    rest[2] += np.cos(theta) * away + 0.8 * fall
    wave = np.sin(0.8 * v + 4 * np.abs(theta)) + 0.5 * np.sin(1.5 * v - 5 * np.abs(theta) + np.sign(theta))
    rest[0] += 0.22 * fall * wave - 0.9 * np.sign(theta) * smoothstep(-9, -19, v)
    rest[2] += 0.22 * fall * wave
    rest[1] = 11 + (v - 11) * (1 + 0.05 * np.sin(11 * theta) + 0.02 * np.sin(23 * theta))
    return rest, np.stack([20 + rest[0], v]), theta, 0 * v


def _shoulder_sheet(rows: int, cols: int):
    t, c = np.linspace(0, 1, rows)[:, None], np.linspace(-1, 1, cols)[None]
    theta = BEHIND * c + 0 * t
    wide = 3.2 + 1.5 * smoothstep(0.0, 0.12, t) + 16.4 * smoothstep(0.0, 0.8, t) ** 0.9
    deep = 2.7 + 1.5 * smoothstep(0.0, 0.12, t) + 5.8 * smoothstep(0, 0.9, t)
    y = -14.6 - 5.0 * t**1.3 - 9.0 * smoothstep(0.72, 1.0, t)
    x = wide * np.sign(np.sin(theta)) * np.abs(np.sin(theta)) ** 0.85
    rest = np.stack([x, y + 0.9 * -np.cos(theta) * (1 - t), -8.0 + deep * np.cos(theta)])
    return rest, np.stack([x, y + 0 * x - 10]), theta, 0 * x


def _ear_sheet(rows: int, cols: int):
    """Both ears as bowls: rows run from the canal over antihelix and rim to behind the ear."""
    r = np.linspace(0.02, 1.0, rows)[:, None]
    half = cols // 2
    a = np.linspace(-np.pi - 0.4, np.pi + 0.4, half)[None] + 0 * r
    up, ahead = np.sin(a), np.cos(a)
    reach = np.minimum(r / 0.88, 1.0) * (1 - 0.3 * smoothstep(0.88, 1.0, r))
    narrow = 1.75 * (1 - 0.3 * smoothstep(0.1, 1.0, -up))
    relief = (
        -0.45
        + 0.75 * smoothstep(0.3, 0.6, r)
        - 0.38 * bump(r, 0, 0.7, 0, 0.06, 1)
        + 0.4 * bump(r, 0, 0.85, 0, 0.06, 1)
    )
    relief = relief + 0.35 * bump(ahead, up, 0.9, -0.1, 0.3, 0.35) * bump(r, 0, 0.5, 0, 0.15, 1)  # tragus
    relief = relief - 1.3 * smoothstep(0.88, 1.0, r)
    p, q = -ahead * reach * narrow, up * reach * 3.15
    lean = 0.42
    x = 6.75 + p * np.sin(lean) + relief * np.cos(lean) + 0.1 * q
    z = -8.3 - p * np.cos(lean) + relief * np.sin(lean) - 0.18 * q
    y = q - 1.9
    rest = np.concatenate([np.stack([-x, y, z]), np.stack([x, y, z])[:, :, ::-1]], axis=2)
    if cols % 2:
        rest = np.concatenate([rest, rest[:, :, -1:]], axis=2)
    theta = np.sign(rest[0]) * 1.6
    return (rest, np.stack([rest[0] + np.sign(rest[0]) * 1.5, rest[1]]), theta, 0 * theta + 0.0)


def grid_normals(points: np.ndarray) -> np.ndarray:
    """Unit normals (3, rows, cols) of a grid of points, by central differences."""
    down, along = np.gradient(points, axis=1), np.gradient(points, axis=2)
    normal = np.cross(down, along, axis=0)
    return normal / (np.linalg.norm(normal, axis=0, keepdims=True) + 1e-9)


@lru_cache(maxsize=4)
def atlas(cols: int) -> Atlas:
    """The atlas with ``cols`` points a row: the finer, the crisper a large picture."""
    counts = [int(cols * 1.25), cols // 3, cols // 5, cols // 5]
    makers = (_head_sheet, _curtain_sheet, _shoulder_sheet, _ear_sheet)
    sheets = [make(n, cols) for make, n in zip(makers, counts, strict=True)]
    inner = np.ones((sum(counts), cols), bool)
    starts = np.cumsum([0, *counts])
    inner[starts[:-1]] = inner[starts[1:] - 1] = False
    inner[:, [0, -1]] = False
    inner[starts[3] :, cols // 2 - 1 : cols // 2 + 1] = False
    inner[starts[1] : starts[2], cols // 2 - 1 : (cols + 1) // 2 + 1] = False  # the parting in front
    part = np.repeat(np.arange(4), counts)[:, None] + np.zeros((1, cols), int)
    joined = [np.concatenate([s[i] for s in sheets], axis=-2).astype(np.float32) for i in range(4)]
    normal = np.concatenate([grid_normals(s[0]) for s in sheets], axis=1).astype(np.float32)
    flat = lambda a: a.reshape(*a.shape[:-2], -1)  # noqa: E731
    return Atlas(sum(counts), cols, flat(joined[0]), flat(normal), flat(joined[1]), flat(joined[2]), flat(part),
                 flat(inner), flat(joined[3]))  # fmt: skip


def to_torch(array: np.ndarray) -> torch.Tensor:
    """A float32 tensor of ``array`` on the default device."""
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32)


def kept(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Keeps the last results of a function that makes tensors, those of each default device apart."""

    def keep(make: Callable[..., T]) -> Callable[..., T]:
        made = lru_cache(maxsize)(lambda device, *asked: make(*asked))
        return wraps(make)(lambda *asked: made(torch.get_default_device(), *asked))

    return keep
