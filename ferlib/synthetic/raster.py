"""The rasteriser: which point of the surface each pixel of a picture shows."""

from __future__ import annotations

import torch

POINT_BITS = 18  # of a z-buffer's key, below the nearness
POINT_MASK = (1 << POINT_BITS) - 1


def rasterise(
    seen: torch.Tensor, grid: tuple[int, int], drawable: torch.Tensor, loose: int, size: tuple[int, int]
):
    """Which point of the surface each pixel shows: a splat of small patches with a z-buffer, refined within the cell.

    seen : (N, 3, V) from :func:`project`.  drawable : (N, V) bool.  loose : grid row where the sparse sheets begin.
    Returns ``hit`` (N, P) bool, ``point`` (N, P) int64, the nearest atlas point of each of the P = H W pixels, and
    ``place`` (N, P, 2) in [-1, 1] for ``grid_sample``.
    """
    n = len(seen)
    (rows, cols), (height, width) = grid, size
    along, down = _steps(seen, grid)
    turn = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0]
    first_loose = loose * cols
    turn[:, first_loose:].abs_()  # open sheets show both their sides
    buffer = _splat(seen, along, down, drawable & (turn > 0), grid, size)
    best, own = _widest(buffer).reshape(n, -1), buffer.reshape(n, -1)

    point = best.clamp(min=0) & POINT_MASK
    table = torch.cat([seen[:, :2], along[:, :2], down[:, :2]], 1)
    x, y, ax, ay, dx, dy = torch.gather(table, 2, point[:, None].expand(-1, 6, -1)).unbind(1)
    off_x = (torch.arange(width, device=seen.device) + 0.5).repeat(height) - x
    off_y = (torch.arange(height, device=seen.device) + 0.5).repeat_interleave(width) - y
    area = ax * dy - ay * dx
    area = torch.where(area.abs() < 1e-4, 1e-4, area)
    step_x, step_y = (off_x * dy - off_y * dx) / area, (off_y * ax - off_x * ay) / area
    fits = torch.maximum(step_x.abs(), step_y.abs()) <= 2.5
    point = torch.where(fits | (own < 0), point, own.clamp(min=0) & POINT_MASK)
    hit = _without_pinholes((torch.where(fits, best, own) >= 0).reshape(n, height, width)).reshape(n, -1)
    line = ((point + 0.5) * (1 / cols)).floor()
    place = torch.stack([(point - line * cols + step_x * fits) * (2 / (cols - 1)) - 1,
                         (line + step_y * fits) * (2 / (rows - 1)) - 1], -1)  # fmt: skip
    return hit, point, place


def _splat(seen, along, down, visible, grid: tuple[int, int], size: tuple[int, int]) -> torch.Tensor:
    """Keys (N, H, W) int64 of the nearest point at each pixel, -1 where none: nearness, then the point in the low bits.

    A point stands for its cell: the larger the cell on the picture, the more places of it are splatted.
    """
    n, _, v = seen.shape
    height, width = size
    buffer = torch.full((n * height * width,), -1, dtype=torch.int64, device=seen.device)
    margin = 4.0
    visible = visible & (seen[:, 0] > -margin) & (seen[:, 0] < width + margin)
    visible &= (seen[:, 1] > -margin) & (seen[:, 1] < height + margin)
    faces, points = visible.nonzero(as_tuple=True)
    extent = _extents(seen, grid)[faces, points]
    for smallest, largest, places in ((0.0, 1.9, 1), (1.9, 4.2, 2), (4.2, 8.4, 4), (8.4, 1e9, 8)):
        kept = (extent >= smallest) & (extent < largest)
        face, point = faces[kept], points[kept]
        rows = face * v + point
        at, right, below = (
            a.transpose(0, 1).reshape(3, -1).index_select(1, rows) for a in (seen, along, down)
        )
        shifts = (torch.arange(places, device=seen.device) + 0.5) / places - 0.5
        for x, y in torch.cartesian_prod(shifts, shifts).tolist() if places > 1 else [(0.0, 0.0)]:
            column, row, depth = at + right * x + below * y
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            column, row = column.long().clamp(0, width - 1), row.long().clamp(0, height - 1)
            near = ((depth + 40.0) * (2**24 / 80.0)).long().clamp(0, 2**24 - 1)
            key = torch.where(inside, (near << POINT_BITS) | point, -1)
            buffer.scatter_reduce_(0, (face * height + row) * width + column, key, "amax")
    return buffer.reshape(n, height, width)


def _extents(seen: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Pixels (N, V) from each point to the farthest of its four neighbours on the atlas."""
    flat = seen[:, :2].reshape(len(seen), 2, *grid)
    down = (flat[..., 1:, :] - flat[..., :-1, :]).abs().amax(1)
    along = (flat[..., 1:] - flat[..., :-1]).abs().amax(1)
    extent = flat.new_zeros(len(seen), *grid)
    extent[:, 1:] = down
    torch.maximum(extent[:, :-1], down, out=extent[:, :-1])
    torch.maximum(extent[..., :-1], along, out=extent[..., :-1])
    torch.maximum(extent[..., 1:], along, out=extent[..., 1:])
    return extent.reshape(len(seen), -1)


def _steps(seen: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Movement (N, 3, V) on the picture and in depth per grid step along and down the atlas."""
    flat = seen.reshape(len(seen), 3, *grid)
    along, down = torch.zeros_like(flat), torch.zeros_like(flat)
    torch.sub(flat[..., 2:], flat[..., :-2], out=along[..., 1:-1]).mul_(0.5)
    torch.sub(flat[..., 2:, :], flat[..., :-2, :], out=down[..., 1:-1, :]).mul_(0.5)
    return along.reshape(seen.shape), down.reshape(seen.shape)


def _without_pinholes(hit: torch.Tensor) -> torch.Tensor:
    """``hit`` (N, H, W) with single missed pixels between two hits filled."""
    across, down = torch.zeros_like(hit), torch.zeros_like(hit)
    across[..., 1:-1] = hit[..., 2:] & hit[..., :-2]
    down[:, 1:-1] = hit[:, 2:] & hit[:, :-2]
    return hit | across | down


def _widest(buffer: torch.Tensor) -> torch.Tensor:
    """The largest key in each 3 x 3 neighbourhood."""
    wide = buffer.clone()
    wide[..., 1:] = torch.maximum(wide[..., 1:], buffer[..., :-1])
    wide[..., :-1] = torch.maximum(wide[..., :-1], buffer[..., 1:])
    tall = wide.clone()
    tall[:, 1:] = torch.maximum(tall[:, 1:], wide[:, :-1])
    tall[:, :-1] = torch.maximum(tall[:, :-1], wide[:, 1:])
    return tall
