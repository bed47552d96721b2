"""Faces with the exact region that each Action Unit moves in them: the truth for :func:`~ferlib.filters.dissect`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferlib import devices
from ferlib.filters.stimuli import TUNED_AUS, as_uint8, kept, luminance, still_scenes
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
    from ferlib.synthetic import camera, people, render
    from ferlib.synthetic.native.probe import independent_levels

    def draw() -> np.ndarray:
        crowd = people.draw_people("regions", plan.seed, np.arange(plan.n))
        scenes = still_scenes(camera, people.seeds_of("regions", plan.seed, np.arange(plan.n)), plan.eye_line)
        levels = np.repeat(
            independent_levels(plan.n, np.random.default_rng(plan.seed))[:, :, None], 2, axis=2
        )
        with devices.settled(1):  # a second thread costs more than it gives where a core is busy
            drawn = render.draw_faces(crowd, levels, scenes, plan.size, truth=True)
        assert drawn.masks is not None
        own = drawn.masks[:, [DRAWN_AUS.index(au) for au in TUNED_AUS]].numpy()
        grey = as_uint8(luminance(drawn.images))
        return np.concatenate([grey[:, None], own.astype(np.uint8)], axis=1)  # the picture, then a mask an AU

    both = kept("regions", plan, draw)
    return Regions(np.ascontiguousarray(both[:, 0]), both[:, 1:].astype(bool))
