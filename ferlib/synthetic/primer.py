"""One person sits for every Action Unit: the pictures of the primer, and what a coder looks for in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ferlib.config import UsageError
from ferlib.labels import DRAWN_AUS
from ferlib.synthetic.camera import Scene, draw_scenes
from ferlib.synthetic.people import People, draw_people, seeds_of
from ferlib.synthetic.render import draw_faces

SIGNS: dict[str, str] = {
    "AU01": "The inner ends of the brows rise. Short lines cross the middle of the forehead.",
    "AU02": "The outer ends of the brows rise into an arch. Lines cross the sides of the forehead.",
    "AU04": "The brows come down and together. Upright furrows stand between them.",
    "AU05": "The upper lids rise. More of the white shows above the iris.",
    "AU06": "The cheeks rise and the skin is drawn in around the eyes. Crow's feet form beside them.",
    "AU07": "The lids tighten and the eyes narrow. The cheeks stay where they are.",
    "AU09": "The skin beside and above the nose is drawn up in wrinkles, and the brows sink with it.",
    "AU10": "The upper lip is drawn straight up, and the furrow from nose to mouth deepens in its upper part.",
    "AU11": "The furrow from nose to mouth deepens in its middle part. The lips hardly move.",
    "AU12": "The corners of the lips are pulled back and up.",
    "AU14": "The corners of the lips tighten and are drawn inwards. A dimple or a line forms beside them.",
    "AU15": "The corners of the lips are pulled down.",
    "AU16": "The lower lip is pulled down. The lower teeth may show.",
    "AU17": "The chin boss is pushed up and wrinkles. It lifts the lower lip.",
    "AU18": "The lips are drawn together and pushed forward. The mouth becomes narrow.",
    "AU20": "The lips are stretched sideways and flatten.",
    "AU22": "The lips turn outwards, forward and apart, like a funnel.",
    "AU23": "The lips tighten. Their red parts narrow, and they are not pressed together.",
    "AU24": "The lips are pressed together. Their red parts narrow, and the chin stays down.",
    "AU25": "The lips are apart. The jaw need not move.",
    "AU26": "The jaw drops as if it were relaxed. A space opens between the teeth.",
    "AU27": "The jaw is pulled down, and the mouth is stretched open and tall.",
    "AU28": "The lips are drawn over the teeth into the mouth. Their red parts go out of sight.",
    "AU43": "The upper lids come down and stay down.",
    "AU45": "The eyes close and open again within half a second. The picture shows the moment between.",
}
"""What to look for, one or two sentences an AU, in words after the FACS manual (Ekman, Friesen & Hager 2002)."""

COMBINATIONS: dict[str, tuple[str, ...]] = {
    "AU06+AU12": ("AU06", "AU12"),
    "AU01+AU04": ("AU01", "AU04"),
    "AU01+AU02+AU05+AU26": ("AU01", "AU02", "AU05", "AU26"),
    "AU01+AU02+AU04+AU05+AU20": ("AU01", "AU02", "AU04", "AU05", "AU20"),
    "AU04+AU05+AU07+AU23": ("AU04", "AU05", "AU07", "AU23"),
    "AU09+AU15+AU16": ("AU09", "AU15", "AU16"),
    "AU01+AU04+AU15": ("AU01", "AU04", "AU15"),
}
"""Combinations after EMFACS that a reader may know."""

LEVELS = (0, 1, 2, 3, 4, 5)
"""Neutral, then the intensities A to E."""


@dataclass(frozen=True)
class Sitter:
    """One person before a fixed camera: whatever differs between two of its pictures, its muscles did it."""

    people: People
    scene: Scene

    def draw(self, levels: np.ndarray, px: int) -> np.ndarray:
        """Pictures (N, px, px, 3) uint8 RGB of AU ``levels`` (N, U, 2) in [0, 5], left and right."""
        rows = np.zeros(len(levels), int)
        drawn = draw_faces(self.people[rows], np.asarray(levels, np.float32), self.scene[rows], px)
        return drawn.images.permute(0, 2, 3, 1).contiguous().numpy()


def sitter(person: int = 0) -> Sitter:
    """Person number ``person`` of the primer, seen from the front in even light, without noise.

    The people of the primer appear in no corpus.
    """
    even = {"pitch": 0.0, "roll": 0.0, "gaze": 0.0, "noise": 0.0, "blur": 0.0, "jpeg": 0.0, "exposure": 0.0}
    framing = {"frame": 20.5, "eye_line": 0.40, "centre": 0.5, "distance": 120.0}
    scene = draw_scenes(seeds_of("primer-scene", 0, [0]), "studio").with_(yaw=0.0, **even, **framing)
    return Sitter(draw_people("primer", 0, [person]), scene)


def levels_of(acting: Mapping[str, float]) -> np.ndarray:
    """(U, 2) float32 levels, U as ``DRAWN_AUS``, with the AUs of ``acting`` at their level on both sides.

    Raises ``UsageError`` for an AU that the rig does not draw.
    """
    levels = np.zeros((len(DRAWN_AUS), 2), np.float32)
    for au, level in acting.items():
        if au not in DRAWN_AUS:
            raise UsageError(f"The rig does not draw {au!r}. It draws {', '.join(DRAWN_AUS)}")
        levels[DRAWN_AUS.index(au)] = level
    return levels


def steps(who: Sitter, moves: Mapping[str, Iterable[str]], px: int) -> dict[str, np.ndarray]:
    """Each of ``moves`` (name -> its AUs) from neutral to E: name -> (6, px, px, 3) uint8, one a level.

    The neutral picture is drawn once and shared.
    """
    wanted = [levels_of(dict.fromkeys(aus, level)) for aus in moves.values() for level in LEVELS[1:]]
    drawn = who.draw(np.stack([levels_of({}), *wanted]), px)
    acting = drawn[1:].reshape(len(moves), len(LEVELS) - 1, px, px, 3)
    return {name: np.concatenate([drawn[:1], strip]) for name, strip in zip(moves, acting, strict=True)}


def alone() -> dict[str, tuple[str]]:
    """Every drawn AU on its own, as :func:`steps` takes it."""
    return {au: (au,) for au in DRAWN_AUS}


def change(neutral: np.ndarray, active: np.ndarray) -> np.ndarray:
    """How much lighter each pixel became: (H, W) float in [-1, 1], the difference of luminance (ITU-R BT.601).

    neutral, active : (H, W, 3) uint8 RGB.
    """
    weights = np.array([0.299, 0.587, 0.114])
    return (active.astype(np.float64) - neutral.astype(np.float64)) @ weights / 255
