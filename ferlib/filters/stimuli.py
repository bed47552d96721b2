"""Faces drawn for experiments on filters: one thing changes, everything else is held.  Drawn once and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ferlib import config, paths
from ferlib.config import UsageError, check_name
from ferlib.labels import DRAWN_AUS

TUNED_AUS = tuple(au for au in DRAWN_AUS if au != "AU45")
"""In a still picture a blink (AU 45) is the same as closed eyes (AU 43)."""
PAIRS = (
    "AU01+AU02", "AU01+AU04", "AU04+AU05", "AU04+AU07", "AU05+AU07", "AU06+AU12", "AU09+AU10",
    "AU12+AU25", "AU15+AU17", "AU20+AU25", "AU23+AU24", "AU25+AU26",
)  # fmt: skip
"""Pairs that act together in the faces of emotions (EMFACS)."""
FACTORS: dict[str, tuple[str, ...]] = {
    "AUs": (),
    "person": (),
    "skin tone": (),
    "pose": ("yaw", "pitch", "roll", "gaze"),
    "light": ("key", "fill", "key_rgb", "fill_rgb", "ambient", "rim", "exposure"),
}
"""What is exchanged for another draw of it, and the scene's fields that it means (none for the first three)."""


@dataclass(frozen=True)
class TuningPlan:
    """Which faces to draw: each person at rest, then every AU alone from A to E, then pairs of AUs at E.

    aus : names of AUs that the rig draws.  pairs : two names joined by ``+``.  levels : in [1, 5], ascending; the
    last alone is enough for causes and interactions, and then many people cost little.  size : pixels.
    eye_line : height of the eyes, a fraction of the picture: 0.39 in the probe and in FER2013, 0.34 in CK+, whose
    crops are aligned by the eyes.
    """

    aus: tuple[str, ...] = TUNED_AUS
    pairs: tuple[str, ...] = PAIRS
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)
    n_people: int = 12
    size: int = 48
    eye_line: float = 0.39
    seed: int = 0

    def __post_init__(self) -> None:
        for au in [*self.aus, *(au for pair in self.pairs for au in pair.split("+"))]:
            check_name("drawn AU", au, DRAWN_AUS)
        if not self.levels or list(self.levels) != sorted({*self.levels} & {1, 2, 3, 4, 5}):
            raise UsageError(f"levels={self.levels}: give some of 1 to 5 (A to E), ascending")
        if self.n_people < 2:
            raise UsageError(f"n_people={self.n_people}: intervals over people need at least 2")

    @property
    def conditions(self) -> list[tuple[str, int]]:
        """(AU or pair, level) of each picture of a person; ``("", 0)`` is the face at rest."""
        alone = [(au, level) for au in self.aus for level in self.levels]
        return [("", 0), *alone, *((pair, self.levels[-1]) for pair in self.pairs)]


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Drawn faces and what each shows.

    images : (N, H, W) uint8.  table : N rows; ``person`` and ``acting`` (an AU, a pair, or "" at rest) and
    ``level`` of tuning faces; ``person`` and ``exchanged`` of faces for :func:`variance_shares`.
    """

    images: np.ndarray
    table: pd.DataFrame


def tuning_faces(plan: TuningPlan) -> Stimuli:
    """The faces of ``plan``: the scene of a person never changes, so its muscles alone make the difference.

    The people appear in no corpus.  About 100 faces a second on one core; kept in the home for the next call.
    """
    conditions = plan.conditions
    levels = np.stack([_levels(acting, level) for acting, level in conditions])
    who = np.repeat(np.arange(plan.n_people), len(conditions))
    which = np.tile(np.arange(len(conditions)), plan.n_people)
    table = pd.DataFrame({"person": who, "acting": [conditions[i][0] for i in which],
                          "level": [conditions[i][1] for i in which]})  # fmt: skip

    def draw() -> np.ndarray:
        crowd, scenes = sitters("tuning", plan.n_people, plan.seed, plan.eye_line)
        drawn = _grey(crowd[who], levels[which], scenes[who], plan.size)
        return as_uint8(_unmetered(drawn.reshape(plan.n_people, len(conditions), plan.size, plan.size)))

    return Stimuli(kept("tuning", plan, draw), table)


def _levels(acting: str, level: int) -> np.ndarray:
    """(U, 2) float32: the AUs of ``acting`` at ``level`` on both sides."""
    own = np.zeros((len(DRAWN_AUS), 2), np.float32)
    own[[DRAWN_AUS.index(au) for au in acting.split("+") if au]] = level
    return own


def sitters(name: str, n: int, seed: int, eye_line: float) -> tuple[Any, Any]:
    """``n`` people of the crowd ``name``, and a studio scene for each as the probe has them, centred, without noise."""
    from ferlib.synthetic import camera, people

    scenes = camera.draw_scenes(people.seeds_of(name, seed, np.arange(n)), "studio")
    still = {"noise": 0.0, "blur": 0.0, "jpeg": 0.0, "sharp": 0.0}
    crowd = people.draw_people(name, seed, np.arange(n))
    return crowd, scenes.with_(**still, eye_line=eye_line, centre=0.5, frame=19.5)


def probe_levels(n: int, seed: int) -> np.ndarray:
    """(n, U, 2) AU levels as independent as in the probe, the same on both sides."""
    from ferlib.synthetic.native.probe import independent_levels

    return np.repeat(independent_levels(n, np.random.default_rng(seed))[:, :, None], 2, axis=2)


def _unmetered(grey: np.ndarray) -> np.ndarray:
    """Give pictures (P, C, H, W) of a person the exposure of the first one; returns (P * C, H, W).

    The rig's camera meters the light, so that an open mouth brightens everything around it.  What no muscle
    moves, the upper border, tells by how much.
    """
    height = grey.shape[2] // 2
    border = np.concatenate([grey[:, :, 0], grey[:, :, :height, :2].reshape(*grey.shape[:2], -1),
                             grey[:, :, :height, -2:].reshape(*grey.shape[:2], -1)], axis=2)  # fmt: skip
    light = border.mean(axis=2)[:, :, None, None]  # (P, C, 1, 1)
    return (grey * light[:, :1] / light).reshape(-1, *grey.shape[2:])


def as_uint8(grey: np.ndarray) -> np.ndarray:
    """Grey levels rounded and cut off to [0, 255]."""
    return np.clip(np.round(grey), 0, 255).astype(np.uint8)


def _grey(crowd: Any, levels: np.ndarray, scenes: Any, size: int) -> np.ndarray:
    """(N, size, size) float32 grey levels."""
    from ferlib.synthetic import render

    return render.draw_faces(crowd, levels, scenes, size).grey.numpy()


def kept(kind: str, plan: Any, draw: Any) -> np.ndarray:
    """The pictures of ``plan``, drawn or found; a change of the rig's code draws them anew."""
    folder = paths.home() / "stimuli"
    file = folder / f"{kind}-{config.digest(plan, config.code_digest(('synthetic',)), length=12)}.npy"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        images = draw()
        paths.write_open(file, lambda opened: np.save(opened, images))
    return np.load(file, mmap_mode="r")


@dataclass(frozen=True)
class ExchangePlan:
    """``n`` faces of ``n`` people with AUs as in the probe, and each again with one of ``FACTORS`` exchanged."""

    n: int = 60
    size: int = 48
    eye_line: float = 0.39
    seed: int = 0


def exchange_faces(plan: ExchangePlan) -> Stimuli:
    """Pictures for :func:`variance_shares`: ``exchanged`` is "" , one of ``FACTORS``, or "everything"."""
    names = ("", *FACTORS, "everything")
    table = pd.DataFrame(
        {"person": np.tile(np.arange(plan.n), len(names)), "exchanged": np.repeat(names, plan.n)}
    )

    def draw() -> np.ndarray:
        crowd, scenes = sitters("exchange", 2 * plan.n, plan.seed, plan.eye_line)
        levels = probe_levels(2 * plan.n, plan.seed)
        one, two = slice(0, plan.n), slice(plan.n, None)
        fields = dict(FACTORS)
        fields["everything"] = tuple(f for own in FACTORS.values() for f in own)
        made = []
        for name in names:
            every = name == "everything"
            who = crowd[two] if every or name == "person" else crowd[one]
            if name == "skin tone":
                who = _in_skin_of(who, crowd[two])
            does = two if every or name == "AUs" else one
            scene = scenes[one].with_(**{f: getattr(scenes[two], f) for f in fields.get(name, ())})
            made.append(_grey(who, levels[does], scene, plan.size))
        return as_uint8(np.concatenate(made))

    return Stimuli(kept("exchange", plan, draw), table)


def _in_skin_of(who: Any, others: Any) -> Any:
    """The same people with the skin colour of others."""
    return replace(who, skin=others.skin, looks={**who.looks, "tone": others.looks["tone"]})
