"""Local binary patterns on three orthogonal planes (Zhao & Pietikainen 2007): the classic descriptor of clips.

Each pixel is compared with four neighbours in each of the planes XY, XT and YT; the four answers make a code of
0 to 15.  A clip is described by how often each code occurs in each block of a grid on the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferlib.config import UsageError

PLANES = ("XY", "XT", "YT")
N_CODES = 16


@dataclass(frozen=True)
class LBPTOP:
    """Settings: blocks on each side of the face, and how far the neighbours are in pixels and frames.

    Yan et al. 2014 used 5 x 5 blocks, 4 neighbours, and radii of 1 to 4 in space and 2 to 4 in time.
    """

    grid: int = 5
    radius: int = 1  # pixels, in x and y
    radius_t: int = 2  # frames

    def __post_init__(self) -> None:
        if min(self.grid, self.radius, self.radius_t) < 1:
            raise UsageError(f"{self}: grid and radii must be at least 1")

    @property
    def n_features(self) -> int:
        """Length of a descriptor."""
        return self.grid**2 * len(PLANES) * N_CODES


def describe(frames: np.ndarray, how: LBPTOP = LBPTOP()) -> np.ndarray:
    """Histograms of the codes: (T, H, W) uint8 -> (grid, grid, 3 planes, 16 codes) float32; each sums to 1.

    Pixels nearer to an edge of the clip than a radius have no code.
    Raises ``UsageError`` where none is left in some block.
    """
    r, rt = how.radius, how.radius_t
    inner = tuple(n - 2 * m for n, m in zip(frames.shape, (rt, r, r), strict=True))
    if inner[0] < 1 or min(inner[1:]) < how.grid:
        raise UsageError(f"A clip of {frames.shape} is too small for {how}")
    made = np.empty((how.grid, how.grid, len(PLANES), N_CODES), np.float32)
    rows, columns = (np.linspace(0, n, how.grid + 1).astype(int) for n in inner[1:])
    for plane, neighbours in enumerate(_neighbours(r, rt)):
        codes = _codes(frames, neighbours, (rt, r, r))
        for i in range(how.grid):
            band = codes[:, rows[i] : rows[i + 1]]
            for j in range(how.grid):
                made[i, j, plane] = _histogram(band[:, :, columns[j] : columns[j + 1]])
    return made


def _neighbours(r: int, rt: int) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """For each plane the steps (t, y, x) to its four neighbours, the bit of the first being the lowest."""
    return (
        ((0, 0, r), (0, r, 0), (0, 0, -r), (0, -r, 0)),
        ((0, 0, r), (rt, 0, 0), (0, 0, -r), (-rt, 0, 0)),
        ((0, r, 0), (rt, 0, 0), (0, -r, 0), (-rt, 0, 0)),
    )


def _codes(
    frames: np.ndarray, neighbours: tuple[tuple[int, int, int], ...], margin: tuple[int, ...]
) -> np.ndarray:
    """Codes of the inner pixels, uint8: bit p is set where neighbour p is at least as bright."""

    def seen_from(step: tuple[int, ...]) -> np.ndarray:
        where = (slice(m + s, n - m + s) for s, m, n in zip(step, margin, frames.shape, strict=True))
        return frames[tuple(where)]

    centre = seen_from((0, 0, 0))
    codes = np.zeros(centre.shape, np.uint8)
    for bit, step in enumerate(neighbours):
        codes |= (seen_from(step) >= centre).view(np.uint8) << np.uint8(bit)
    return codes


def _histogram(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes.ravel(), minlength=N_CODES) / codes.size
