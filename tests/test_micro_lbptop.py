"""LBP-TOP equals its definition, pixel by pixel."""

import numpy as np
import pytest

from ferlib.config import UsageError
from ferlib.micro.lbptop import LBPTOP, describe

PLANES = {"XY": ("x", "y"), "XT": ("x", "t"), "YT": ("y", "t")}
AXIS = {"t": 0, "y": 1, "x": 2}


def by_definition(volume, how):
    """Every inner pixel's four neighbours in each plane, one comparison at a time."""
    r = {"t": how.radius_t, "y": how.radius, "x": how.radius}
    n = {name: volume.shape[axis] for name, axis in AXIS.items()}
    inner = [n[name] - 2 * r[name] for name in ("t", "y", "x")]
    edges = [[size * i // how.grid for i in range(how.grid + 1)] for size in inner[1:]]
    counts = np.zeros((how.grid, how.grid, 3, 16))
    for t in range(inner[0]):
        for y in range(inner[1]):
            for x in range(inner[2]):
                here = [t + how.radius_t, y + how.radius, x + how.radius]
                i = max(k for k in range(how.grid) if edges[0][k] <= y)
                j = max(k for k in range(how.grid) if edges[1][k] <= x)
                for plane, (first, second) in enumerate(PLANES.values()):
                    code = 0
                    for bit, (axis, sign) in enumerate([(first, 1), (second, 1), (first, -1), (second, -1)]):
                        there = list(here)
                        there[AXIS[axis]] += sign * r[axis]
                        code += (int(volume[tuple(there)]) >= int(volume[tuple(here)])) << bit
                    counts[i, j, plane, code] += 1
    return counts / counts.sum(axis=3, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "how"),
    [((5, 7, 8), LBPTOP(grid=2, radius=1, radius_t=1)), ((9, 11, 13), LBPTOP(grid=3, radius=2, radius_t=3))],
)
def test_the_histograms_are_those_of_the_definition(shape, how):
    volume = np.random.default_rng(0).integers(0, 8, shape).astype(np.uint8)
    assert describe(volume, how) == pytest.approx(by_definition(volume, how), abs=1e-6)
    assert describe(volume, how).size == how.n_features


def test_a_clip_that_does_not_change_has_one_answer_about_time():
    still = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 12, 12)).astype(np.uint8), 7, axis=0)
    made = describe(still, LBPTOP(grid=2, radius=1, radius_t=2))
    in_time = 0b1010  # both neighbours in time are at least as bright: bits 1 and 3
    for plane in (1, 2):
        seen = [code for code in range(16) if made[:, :, plane, code].any()]
        assert all(code & in_time == in_time for code in seen)


def test_clips_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="too small"):
        describe(np.zeros((4, 20, 20), np.uint8), LBPTOP(radius_t=2))
    with pytest.raises(UsageError, match="at least 1"):
        LBPTOP(grid=0)
