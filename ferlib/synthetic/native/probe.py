"""The probe: faces whose AUs vary independently of one another, of the person and of any emotion.

In a photographed corpus AUs come bound into emotions, so a filter that knows only the emotion seems to know
its AUs.  Here nothing goes with anything: what follows an AU follows that AU.  The blink (AU45) stays out: in
a still picture it is the same as closed eyes (AU43).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic.native.plan import Camera, Format, Plan, Size, Take, about, assemble, rng_of

SIZES = {
    "quick": Size(subjects=75, takes=1_500, face_px=96),
    "full": Size(subjects=200, takes=10_000, face_px=96),
}
CAMERA = Camera("studio")
PICTURE = Format(96, 96)
MANIFEST = "manifest.csv"
VARIED = tuple(name for name in DRAWN_AUS if name != "AU45")
PRESENT_SHARE = 0.15  # of each AU: fewer than four of 24 act in a face, or they would hide one another
LEVELS = (1, 2, 3, 4, 5)


def plan(size: Size, seed: int = 0) -> Plan:
    """``size.takes`` pictures, equally many of each person.

    Each AU acts in the same number of pictures of each person (up to one), at a level drawn evenly from A to E.
    """
    rng = rng_of("probe", seed, "levels", size.subjects, size.takes)
    person = np.sort(np.arange(size.takes) % size.subjects)
    levels = np.zeros((size.takes, len(DRAWN_AUS)), np.float32)
    for mine in np.split(np.arange(size.takes), np.flatnonzero(np.diff(person)) + 1):
        levels[mine] = independent_levels(len(mine), rng)
    rows, takes = [], []
    for i, who in enumerate(person):
        subject = f"P{who + 1:03d}"
        name = f"{subject}_{i:05d}"
        rows.append(about(subject, int(who), name, PICTURE))
        both = np.repeat(levels[i], 2).reshape(1, len(DRAWN_AUS), 2)
        takes.append(Take([0], [f"images/{subject}/{name}.png"], both, np.zeros((1, 3))))
    return assemble("probe", CAMERA, seed, size, rows, takes)


def independent_levels(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, U) levels: each AU acts in ``PRESENT_SHARE`` of the n pictures, in an order of its own."""
    place = rng.random((n, len(DRAWN_AUS))).argsort(axis=0)
    wanted = n * PRESENT_SHARE + rng.random(len(DRAWN_AUS))  # a fraction of a picture is rounded at random
    acting = (place < np.floor(wanted)) & np.isin(DRAWN_AUS, VARIED)
    return np.where(acting, rng.choice(LEVELS, acting.shape), 0).astype(np.float32)


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """The manifest: path, subject, and the level 0 to 5 of each AU that varies."""
    aus = pd.DataFrame(plan.levels.max(axis=2).astype(int), columns=list(DRAWN_AUS))[list(VARIED)]
    table = pd.concat([plan.frames["file"].rename("path"), plan.takes["subject"], aus], axis=1)
    table.to_csv(folder / MANIFEST, index=False, lineterminator="\n")
