"""Clips that the rig draws in memory, so that one thing at a time can be changed: strength, drift, length.

The people belong to no stored corpus.  Same seed, same people, light, codes and timing: two sets that differ in
``strength`` differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ferlib import faces as crops
from ferlib import jobs
from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.labels import DRAWN_AUS
from ferlib.micro.clips import Clips
from ferlib.synthetic import dynamics
from ferlib.synthetic.native import casme2
from ferlib.synthetic.native.clips import DRIFT_DEG, RECIPES, code_text, draw_codes
from ferlib.synthetic.native.plan import U_OF, peak_of, rng_of
from ferlib.synthetic.native.shots import Draw, Shots, draw_with_rig, set_into_frame

CORPUS = "micro-probe"
FACE_PX = 96
FPS = 200.0
SHOWN_AS = {"other": "others", "negative": "disgust", "positive": "happiness"}
"""Classes that have no recipe of their own, and the one that shows them."""


@dataclass(frozen=True)
class Film:
    """How clips are drawn."""

    strength: float = 1.0  # multiplies all levels of the expression
    drift_deg: float = DRIFT_DEG  # standard deviation of the head's slow turning
    n_frames: int = 66  # filmed at 200 fps, from onset to offset
    drawn: int = 0  # of them only so many, evenly spaced, are drawn; 0: all
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_frames < 5 or self.drawn == 1 or not 0 <= self.drawn <= self.n_frames:
            raise UsageError(f"{self}: needs at least 5 frames, of which 0 or 2 and more are drawn")


def clips(labels: Sequence[str], film: Film, n_jobs: int = 1, draw: Draw = draw_with_rig) -> Clips:
    """One clip a label, each of another person, cropped as CASME II's are.

    labels : keys of ``synthetic.native.clips.RECIPES`` or of ``SHOWN_AS``.
    Raises ``UsageError`` for a label that has no recipe.
    """
    return series(labels, [film], n_jobs, draw)[0]


def series(
    labels: Sequence[str], films: Sequence[Film], n_jobs: int = 1, draw: Draw = draw_with_rig
) -> list[Clips]:
    """The same clips drawn once for each of ``films``, which say what differs."""
    unknown = sorted(set(labels) - set(RECIPES) - set(SHOWN_AS))
    if unknown:
        raise UsageError(f"No recipe for {', '.join(unknown)} (known: {', '.join(RECIPES)})")
    plans = [[_planned(label, i, film) for i, label in enumerate(labels)] for film in films]
    items = [(i, film.seed, plan[0], plan[1]) for film, mine in zip(films, plans, strict=True)
             for i, plan in enumerate(mine)]  # fmt: skip
    images = jobs.run(partial(_drawn, draw=draw), items, n_jobs, what="clips drawn")
    n = len(labels)
    return [
        _as_clips(labels, film, mine, images[k * n : (k + 1) * n])
        for k, (film, mine) in enumerate(zip(films, plans, strict=True))
    ]


def _as_clips(
    labels: Sequence[str],
    film: Film,
    plans: Sequence[tuple[np.ndarray, np.ndarray, str, int]],
    images: Sequence[np.ndarray],
) -> Clips:
    kept, n = _kept(film), len(labels)
    table = pd.DataFrame({"row": range(n), "subject": [f"P{i:03d}" for i in range(n)], "label": list(labels)})
    table = table.assign(
        sequence=table["subject"], fps=FPS, n_frames=len(kept), onset=0, apex=[plan[3] for plan in plans],
        offset=len(kept) - 1, apex_estimated=False, au_codes=[plan[2] for plan in plans],
    )  # fmt: skip
    table["apex_at"] = kept[table["apex"]] / kept[-1]
    pictures = np.concatenate(images)
    faces = FaceSet(pictures, pd.DataFrame(), f"synthetic-{CORPUS}", f"seed{film.seed}", True, {}, ())
    at = tuple(np.split(np.arange(n * len(kept)), n))
    return Clips(faces, table, at, tuple([kept / FPS] * n), pd.DataFrame())


def labels_for(classes: Sequence[str], n: int) -> list[str]:
    """``n`` names that :func:`clips` can draw, in turn: those of ``classes`` that it can, else every emotion."""
    known = [name for name in classes if name in {**RECIPES, **SHOWN_AS}] or list(RECIPES)
    return [known[i % len(known)] for i in range(n)]


def courses(labels: Sequence[str], film: Film) -> list[pd.DataFrame]:
    """The course of each AU that acts in the clips that :func:`clips` draws: a row a frame, levels in [0, 5].

    Of a one-sided AU the side that acts.
    """
    made = []
    for i, label in enumerate(labels):
        levels = _planned(label, i, film)[0].max(axis=2)  # (T, U)
        acting = np.flatnonzero(levels.max(axis=0) > 0)
        names = [f"AU {int(DRAWN_AUS[u][2:])}" for u in acting]
        made.append(pd.DataFrame(levels[:, acting], columns=names))
    return made


def _kept(film: Film) -> np.ndarray:
    """Positions of the frames that are drawn."""
    return np.unique(np.linspace(0, film.n_frames - 1, film.drawn or film.n_frames).round().astype(int))


def _planned(label: str, i: int, film: Film) -> tuple[np.ndarray, np.ndarray, str, int]:
    """Levels (T, U, 2), drift (T, 3), codes, and the apex as a position among the frames that are drawn."""
    rng = rng_of(CORPUS, film.seed, "clip", i)
    codes = draw_codes(SHOWN_AS.get(label, label), rng)
    peak = film.strength * peak_of(codes) * rng.uniform(0.9, 1.1, (len(U_OF), 2))
    apex = int(film.n_frames * rng.uniform(0.3, 0.6))
    levels = dynamics.micro(np.clip(peak, 0, 5), film.n_frames, apex, rng)
    drift = dynamics.drift(film.n_frames, FPS, 1.0, rng) * film.drift_deg
    kept = _kept(film)
    return levels[kept], drift[kept], code_text(codes), int(np.abs(kept - apex).argmin())


def _drawn(item: tuple[int, int, np.ndarray, np.ndarray], draw: Draw) -> np.ndarray:
    """Grey crops of the size that stores keep, (T, 96, 96) uint8, of (person, seed, levels, drift)."""
    import cv2

    who, seed, levels, drift = item
    n = len(levels)
    person, take = np.full(n, who), np.full(n, who)
    shots = Shots(
        CORPUS, casme2.CAMERA, seed, FACE_PX, person, take, np.arange(n),
        levels.astype(np.float32), drift.astype(np.float32),
    )  # fmt: skip
    seen = draw(shots)
    made = []
    for t in range(n):
        rng = rng_of(CORPUS, seed, "noise", who, t)
        image, _ = set_into_frame(seen.images[t], seen.landmarks[t], casme2.PICTURE, seen.noise[t], rng)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        made.append(crops.crop_box(grey, crops.whole_box(grey)))
    return np.stack(made)


# -------------------------------------------------------------------------------------------- long films


@dataclass(frozen=True, eq=False)
class LongFilm:
    """A film of one person in which one micro-expression occurs.

    frames : (T, 96, 96) uint8.  marks : positions of onset, apex and offset.  fps : frames a second.
    """

    frames: np.ndarray
    marks: tuple[int, int, int]
    fps: float


def long_films(
    n: int, seconds: float = 3.0, fps: float = 50.0, seed: int = 0, n_jobs: int = 1
) -> list[LongFilm]:
    """``n`` films of as many people; each rests, drifts, blinks about once in three seconds, and once reacts.

    The micro-expression lasts 0.2 to 0.5 s (Yan et al. 2013) and begins anywhere.
    """
    plans = [_planned_film(i, seconds, fps, seed) for i in range(n)]
    items = [(i, seed, levels, drift) for i, (levels, drift, _) in enumerate(plans)]
    films = jobs.run(partial(_drawn, draw=draw_with_rig), items, n_jobs, what="films drawn")
    return [LongFilm(frames, plan[2], fps) for frames, plan in zip(films, plans, strict=True)]


def _planned_film(
    i: int, seconds: float, fps: float, seed: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    rng = rng_of(CORPUS, seed, "film", i)
    n = round(seconds * fps)
    lasts = round(rng.uniform(0.2, 0.5) * fps)
    onset = int(rng.integers(1, n - lasts))
    apex = max(1, int(lasts * rng.uniform(0.3, 0.6)))
    label = str(rng.choice(list(casme2.EMOTIONS)))
    levels = np.zeros((n, len(U_OF), 2))
    levels[onset : onset + lasts] = dynamics.micro(peak_of(draw_codes(label, rng)), lasts, apex, rng)
    for _ in range(rng.poisson(seconds / 3)):
        lids = dynamics.blink(n, fps, int(rng.integers(n)), rng)
        levels[:, U_OF[45]] = np.maximum(levels[:, U_OF[45]], lids[:, None])
    drift = dynamics.drift(n, fps, DRIFT_DEG, rng)
    return levels, drift, (onset, onset + apex, onset + lasts - 1)
