"""Faces with the exact region that each Action Unit moves in them: the truth for :func:`~ferlib.filters.dissect`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferlib.filters.stimuli import TUNED_AUS, as_uint8, kept, probe_levels, sitters
from ferlib.labels import DRAWN_AUS


@dataclass(frozen=True)
class RegionPlan:
    """``n`` faces of ``n`` people who appear in no corpus, their AUs as independent as in the probe."""

    n: int = 120
    size: int = 48
    eye_line: float = 0.39
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Regions:
    """images : (N, H, W) uint8.  masks : (N, U, H, W) bool, the pixels that differ when an AU alone is taken away.

    aus : U names.
    """

    images: np.ndarray
    masks: np.ndarray
    aus: tuple[str, ...] = TUNED_AUS


def region_faces(plan: RegionPlan) -> Regions:
    """The faces of ``plan`` and their masks from the rig; kept in the home for the next call."""
    from ferlib.synthetic import render

    def draw() -> np.ndarray:
        crowd, scenes = sitters("regions", plan.n, plan.seed, plan.eye_line)
        drawn = render.draw_faces(crowd, probe_levels(plan.n, plan.seed), scenes, plan.size, truth=True)
        assert drawn.masks is not None
        own = drawn.masks[:, [DRAWN_AUS.index(au) for au in TUNED_AUS]].numpy()
        grey = as_uint8(drawn.grey.numpy())
        return np.concatenate([grey[:, None], own.astype(np.uint8)], axis=1)  # the picture, then a mask an AU

    both = kept("regions", plan, draw)
    return Regions(np.ascontiguousarray(both[:, 0]), both[:, 1:].astype(bool))
