"""Batched augmentation of faces: one affine warp and one flip a face, as tensor operations on the device.

What happens to a face depends on (seed, epoch, row) alone: not on the batch it is in, the device, the process
or the faces beside it.  So a run that is resumed, streamed or spread over machines sees the same faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

FLIPS = ("random", "alternate", "none")
N_DRAWS = 6


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random affine map; each amount is drawn uniformly from [-range, +range]."""

    rotation: float = 10.0  # degrees
    shift: float = 0.1  # of the side, in each direction
    zoom: float = 0.1  # of the size
    shear: float = 5.0  # degrees
    flip: str = "random"  # "alternate": a face that is flipped in one epoch is not in the next (airbench)


def uniforms(seed: int, epoch: int, rows: torch.Tensor, n: int = N_DRAWS) -> torch.Tensor:
    """``n`` random numbers for each row: (B,) int64 -> (B, n) float32 in [0, 1).

    A counter-based generator: the 32-bit hash ``lowbias32`` (Wellons 2018, "Prospecting for hash functions")
    chained over seed, epoch, row and column.  It is exact integer arithmetic: every device draws the same.
    """
    columns = torch.arange(n, device=rows.device)
    stream = _mix(_mix(torch.tensor(seed)) + epoch).item()
    bits = _mix(_mix(rows.to(torch.int64) + stream)[:, None] + columns * 0x9E3779B9)
    return (bits >> 8).to(torch.float32) / 2**24


def _mix(x: torch.Tensor) -> torch.Tensor:
    """Hash int64 -> int64 in [0, 2^32), element by element."""
    x = x & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def affine(how: Augmentation, seed: int, epoch: int, rows: torch.Tensor) -> torch.Tensor:
    """The map of each row in this epoch: (B,) int64 -> (B, 2, 3) float32 on the same device.

    Maps output to input positions in the normalised coordinates of :func:`torch.nn.functional.affine_grid`:
    ``theta = [R(rotation) Shear Zoom Flip | 2 shift]``.  Square faces are assumed.
    """
    drawn = uniforms(seed, epoch, rows)
    turn, lean, size, right, down = (2 * drawn[:, :5] - 1).unbind(dim=1)
    angle, lean = torch.deg2rad(turn * how.rotation), torch.tan(torch.deg2rad(lean * how.shear))
    scale = 1 / (1 + size * how.zoom)
    sign = _flip_sign(how.flip, drawn[:, 5], seed, epoch, rows)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    top = torch.stack([cos * sign, cos * lean - sin, 2 * how.shift * right], dim=1)
    bottom = torch.stack([sin * sign, sin * lean + cos, 2 * how.shift * down], dim=1)
    return torch.stack([top, bottom], dim=1)


def _flip_sign(flip: str, drawn: torch.Tensor, seed: int, epoch: int, rows: torch.Tensor) -> torch.Tensor:
    """(B,) float: -1 where the face is mirrored, else 1."""
    if flip == "none":
        return torch.ones_like(drawn)
    if (
        flip == "alternate"
    ):  # Jordan 2024, "94% on CIFAR-10 in 3.29 seconds": no face is repeated in two epochs
        drawn = (uniforms(seed, 0, rows, 1)[:, 0] + 0.5 * (epoch % 2)) % 1.0
    return torch.where(drawn < 0.5, -1.0, 1.0)


def warp(faces: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Apply the maps ``theta`` (B, 2, 3) to ``faces`` (B, C, H, W) float; outside, the border repeats."""
    grid = F.affine_grid(theta, list(faces.shape), align_corners=False)  # (B, H, W, 2)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)
