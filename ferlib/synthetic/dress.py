"""What of a face depends on the person alone: the head at rest with its hair and colours, computed once a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic import hair, skin
from ferlib.synthetic.head import CURTAIN, EYE, HEAD, LIP_LINE, LIP_STRIP, atlas, kept, to_torch
from ferlib.synthetic.landmarks import landmark_points, nearest_point
from ferlib.synthetic.muscles import muscle_basis
from ferlib.synthetic.people import HAIR_STYLES, People, age_folds, shape_basis

TOGETHER, SHAPED = (
    2,
    8,
)  # people dressed, and shapes mixed, at a time: matrix products of one shape round alike
LEFT_EYE, RIGHT_EYE, UPPER_LIP, LOWER_LIP, BRIDGE = range(68, 73)  # spots, after the 68 landmarks
OVERHANGING, SIDES = 0.3, 1.9  # cm of hair, and radians from the middle of the face
_STILL = 1e-4  # cm and darkness: below this the muscles do not act on a point


@dataclass(frozen=True)
class Dressed:
    """P people at rest on the atlas.

    sheet : (P, 15, V), what the surface carries: place, cm, hair included, and normal, albedo (three each), hollow,
    light of the key, cover of hair, address (two), locks; normal, hollow and light are left open.
    drawable, shell : (P, V) bool, the latter what shows both its sides: locks, and thick hair, whose curls overhang.
    folds : (P, 3, rows, cols) of the acting block, what a fold of darkness 1 takes from the albedo.
    spots : (P, 3, 73), cm, landmarks and the points named above.
    """

    sheet: torch.Tensor
    drawable: torch.Tensor
    shell: torch.Tensor
    folds: torch.Tensor
    spots: torch.Tensor


@dataclass(frozen=True)
class Acting:
    """The muscles on the block of the atlas that they move: ``rows`` and ``cols`` of the grid.

    moves : (K, 3 R C), cm.  dark : (2U + 1, R C) of the folds, the last row those of age.  spots : (K, 3 * 73), cm.
    """

    rows: slice
    cols: slice
    moves: torch.Tensor
    dark: torch.Tensor
    spots: torch.Tensor


def spots(field: torch.Tensor, cols: int) -> torch.Tensor:
    """The landmarks and the named points (K, 3, 73) of ``field`` (K, 3, V)."""
    lips = [(0.0, LIP_LINE + side * LIP_STRIP) for side in (1, -1)]
    addresses = ((EYE[0], EYE[1]), (-EYE[0], EYE[1]), *lips, (0.0, 0.4))
    named = [nearest_point(cols, across, height) for across, height in addresses]
    return torch.cat([landmark_points(field, cols), field[:, :, named]], 2)


@kept(8)
def acting(cols: int) -> Acting:
    """The muscles on the atlas of ``cols`` columns."""
    head, basis = atlas(cols), muscle_basis(cols)
    grid = (head.rows, head.cols)
    first = 2 * len(DRAWN_AUS)
    dark = torch.cat([basis.dark[first : 2 * first], age_folds(cols)[1][None]]).reshape(-1, *grid)
    moves = basis.moves.reshape(-1, 3, *grid)
    moved = torch.maximum(moves.abs().amax((0, 1)), dark.abs().amax(0)) > _STILL
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in (moved.any(k).nonzero() for k in (1, 0)))
    block = lambda a: a[..., rows, columns].reshape(len(a), -1).contiguous()  # noqa: E731
    fixed = spots(basis.moves.reshape(-1, 3, head.rows * head.cols), cols).reshape(len(moves), -1)
    return Acting(rows, columns, block(moves), block(dark), fixed)


def dress(people: People, cols: int) -> tuple[Dressed, torch.Tensor]:
    """Each person of ``people`` once, and which of them (N,) each of the N is."""
    _, first, who = np.unique(people.seeds, return_index=True, return_inverse=True)
    filled = first[np.minimum(np.arange(-(-len(first) // TOGETHER) * TOGETHER), len(first) - 1)]
    return _dressed(people.sitting(filled), cols), torch.as_tensor(who)


def _dressed(people: People, cols: int) -> Dressed:
    head, n, block = atlas(cols), len(people), acting(cols)
    traits = F.pad(people.traits, (0, 0, 0, -n % SHAPED))
    rest = torch.cat([some @ shape_basis(cols) for some in traits.split(SHAPED)])[:n]
    rest = rest.add_(to_torch(head.rest.reshape(-1))).addcmul_(
        people.looks["old"][:, None], age_folds(cols)[0]
    )
    rest = rest.reshape(n, 3, -1)
    cover, thick = hair.hair_cover(people, cols)
    albedo, folds = skin.surface_colour(people, cover, cols)
    long_hair = people.looks["hair_style"] == HAIR_STYLES.index("long")
    curtain = torch.as_tensor(head.part == CURTAIN)
    fixed = spots(rest, cols)
    at, address = (
        rest.addcmul_(to_torch(head.normal), thick[:, None]),
        to_torch(head.material).expand(n, -1, -1),
    )
    parts = (at, torch.zeros_like(at), albedo, torch.zeros_like(at[:, :2]), cover[:, None], address)
    return Dressed(
        spots=fixed,
        sheet=torch.cat([*parts, hair.locks(people, cols)[:, None]], 1),
        drawable=torch.as_tensor(head.drawable) & (~curtain | long_hair[:, None]),
        shell=torch.as_tensor(head.part != HEAD)
        | (thick > OVERHANGING) & torch.as_tensor(np.abs(head.angle) < SIDES),
        folds=folds.reshape(n, 3, head.rows, head.cols)[..., block.rows, block.cols].contiguous(),
    )
