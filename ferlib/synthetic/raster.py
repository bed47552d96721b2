"""The rasteriser: which point of the surface each pixel of a picture shows."""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

NEAREST, FARTHEST = 24.0, -36.0  # cm, the range of depths that the z-buffer tells apart
APART, MOST = 1.9, 8  # pixels between the places of a cell that are splatted, and how many on an axis at most
LARGE = 200  # pixels: from this height on the places lie half as far apart, so that edges are smooth
MARGIN = 4.0  # pixels around the picture in which points still count


def chosen(mask: torch.Tensor) -> torch.Tensor:
    """Where the flattened ``mask`` is true, (M,) int64.  NumPy finds them eight times as fast as torch on a CPU."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.reshape(-1).nonzero()[:, 0]


def rasterise(
    seen: torch.Tensor,
    grid: tuple[int, int],
    drawable: torch.Tensor,
    shell: torch.Tensor,
    size: tuple[int, int],
):
    """Which point of the surface each pixel shows: a splat of small patches with a z-buffer, refined within the cell.

    seen : (N, 3, V) from :func:`project`.  drawable, shell : (N, V) bool; a shell shows both its sides.
    Returns ``hit`` (N, P) bool, ``point`` (N, P) int64, the nearest atlas point of each of the P = H W pixels, and
    ``place`` (N, P, 2) in [-1, 1] for ``grid_sample``.
    """
    n, _, v = seen.shape
    (rows, cols), (height, width) = grid, size
    bits = (rows * cols - 1).bit_length()  # of a key, below the nearness
    along, down = steps(seen, grid)
    turn = along[:, 0] * down[:, 1]
    turn.addcmul_(along[:, 1], down[:, 0], value=-1)
    buffer = _splat(seen, along, down, (turn > 0).logical_or_(shell).logical_and_(drawable), size, bits)
    best, own = _widest(buffer).reshape(n, -1), buffer.reshape(n, -1)

    mask = (1 << bits) - 1
    point = (best.clamp(min=0) & mask).long()
    first = torch.arange(n, device=seen.device)[:, None] * (3 * v)
    flat = torch.stack([point + first, point + (first + v)]).reshape(-1)
    (x, y), (ax, ay), (dx, dy) = (
        a.reshape(-1).index_select(0, flat).reshape(2, n, -1) for a in (seen, along, down)
    )
    off_x = (torch.arange(width, device=seen.device) + 0.5).repeat(height) - x
    off_y = (torch.arange(height, device=seen.device) + 0.5).repeat_interleave(width) - y
    area = ax * dy - ay * dx
    area = 2 / torch.where(area.abs() < 4e-4, 4e-4, area)  # the steps are of two points
    step_x, step_y = (off_x * dy - off_y * dx).mul_(area), (off_y * ax - off_x * ay).mul_(area)
    crowded = dx * dx + dy * dy < 0.6  # rows closer than a pixel, at the mouth: the nearest of them will do
    step_y = torch.where(crowded, step_y.clamp(-2.5, 2.5), step_y)
    fits = torch.maximum(step_x.abs(), step_y.abs()) <= 2.5
    step_x, step_y = (torch.where(fits, step, 0.0) for step in (step_x, step_y))
    point = torch.where(fits | (own < 0), point, (own & mask).long())
    hit = torch.where(fits, best, own) >= 0
    line = ((point + 0.5) * (1 / cols)).floor()
    place = torch.stack([(point - line * cols + step_x) * (2 / (cols - 1)) - 1,
                         (line + step_y) * (2 / (rows - 1)) - 1], -1)  # fmt: skip
    hole, lender = _pinholes(hit.reshape(n, height, width))
    for flat in (hit.reshape(-1), point.reshape(-1), place.reshape(-1, 2)):
        flat[hole] = flat[lender]
    return hit, point, place


def _splat(seen, along, down, visible, size: tuple[int, int], bits: int) -> torch.Tensor:
    """Keys (N, H, W) int32 of the nearest point at each pixel, -1 where none: nearness, then the point in ``bits``.

    A point stands for its cell: the larger the cell on the picture, the more places of it are splatted.
    """
    (n, _, v), (height, width) = seen.shape, size
    apart, most, overlap = (APART, MOST, 1.0) if height < LARGE else (APART / 2, 4 * MOST, 1.6)
    wide, tall = width + 2, height + 2  # with a rim for what falls outside
    x, y = seen[:, 0], seen[:, 1]
    visible = visible & ((x - width / 2).abs_() < width / 2 + MARGIN)
    visible &= (y - height / 2).abs_() < height / 2 + MARGIN
    rows = chosen(visible)
    face = torch.div(rows, v, rounding_mode="floor")
    in_three = rows + face * (2 * v) + torch.arange(0, 3 * v, v, device=seen.device)[:, None]
    pick = lambda a: a.reshape(-1).index_select(0, in_three.reshape(-1)).reshape(3, -1)  # noqa: E731
    at, right, below = pick(seen), pick(along).mul_(0.5), pick(down).mul_(0.5)
    across, high = (a[:2].abs().amax(0).div_(apart).ceil_().clamp_(1, most) for a in (right, below))

    count = (across * high).int()
    owner = torch.repeat_interleave(count)
    number = torch.arange(len(owner), device=seen.device) - (count.cumsum(0) - count).index_select(0, owner)
    each = torch.cat([at, right, below, across[None], high[None]]).index_select(1, owner)
    at, right, below, (across, high) = each.split((3, 3, 3, 2))
    line = ((number + 0.5) / across).floor_()
    shift_x = (number + 0.5 - line * across).div_(across).sub_(0.5)
    shift_y = line.add_(0.5).div_(high).sub_(0.5)
    column, row, depth = at.addcmul_(right, shift_x, value=overlap).addcmul_(below, shift_y, value=overlap)

    levels = 1 << (31 - bits)
    near = depth.sub_(FARTHEST).mul_(levels / (NEAREST - FARTHEST)).clamp_(0, levels - 1).int()
    key = near.bitwise_left_shift_(bits).bitwise_or_((rows - face * v).int().index_select(0, owner))
    column = column.add_(1).clamp_(0, wide - 0.5).int()
    row = row.add_(1).clamp_(0, tall - 0.5).int()
    pixel = row.add_((face * tall).int().index_select(0, owner)).mul_(wide).add_(column)
    buffer = torch.full((n * tall * wide,), -1, dtype=torch.int32, device=seen.device)
    buffer.scatter_reduce_(0, pixel.long(), key, "amax")
    return buffer.reshape(n, tall, wide)[:, 1:-1, 1:-1]


def steps(seen: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Movement (N, 3, V) of the points ``seen`` over two grid steps, along and down the atlas; 0 on its rim."""
    flat = seen.reshape(len(seen), 3, *grid)
    along, down = torch.empty_like(flat), torch.empty_like(flat)
    torch.sub(flat[..., 2:], flat[..., :-2], out=along[..., 1:-1])
    torch.sub(flat[..., 2:, :], flat[..., :-2, :], out=down[..., 1:-1, :])
    along[..., :: grid[1] - 1] = 0
    down[..., :: grid[0] - 1, :] = 0
    return along.reshape(seen.shape), down.reshape(seen.shape)


def _pinholes(hit: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Missed pixels of ``hit`` (N, H, W) between two hits, or with hits close by on all four sides, and a hit to the
    left of or above each: two flat indices (M,)."""
    height, width = hit.shape[1:]
    reach = max(2, width // 100)  # folds of hair that face away leave holes, larger in larger pictures
    wide = F.pad(hit, (reach,) * 4)
    across = lambda k: wide[:, reach:-reach, reach + k : reach + k + width]  # noqa: E731
    down = lambda k: wide[:, reach + k : reach + k + height, reach:-reach]  # noqa: E731
    enclosed = ~hit
    for side, sign in product((across, down), (-1, 1)):
        enclosed &= reduce(torch.bitwise_or, (side(sign * k) for k in range(1, reach + 1)))
    between = (across(-1) & across(1)) | (down(-1) & down(1))
    hole = chosen(enclosed | (between & ~hit))
    lender = hole - width
    for k in range(reach, 0, -1):
        lender = torch.where(across(-k).reshape(-1)[hole], hole - k, lender)
    return hole, lender


def _widest(buffer: torch.Tensor) -> torch.Tensor:
    """The largest key in each 3 x 3 neighbourhood."""
    wide = buffer.clone()
    wide[..., 1:] = torch.maximum(wide[..., 1:], buffer[..., :-1])
    wide[..., :-1] = torch.maximum(wide[..., :-1], buffer[..., 1:])
    tall = wide.clone()
    tall[:, 1:] = torch.maximum(tall[:, 1:], wide[:, :-1])
    tall[:, :-1] = torch.maximum(tall[:, :-1], wide[:, 1:])
    return tall
