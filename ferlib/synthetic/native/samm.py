"""SAMM in its native layout: grey clips at 200 fps and a workbook whose header stands on row 14."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferlib.synthetic.native import clips
from ferlib.synthetic.native.plan import Camera, Format, Plan, Size, Take, about, assemble, rng_of

EMOTIONS = {
    "Anger": 57, "Happiness": 26, "Other": 26, "Surprise": 15, "Contempt": 12, "Disgust": 9, "Fear": 8,
    "Sadness": 6,
}  # fmt: skip
SUBJECTS = tuple(n for n in range(6, 38) if n not in (8, 27, 29))  # the 29 people with micro-movements
OTHER_ONLY = 12  # this person has no clip in MEGC's three classes (28 of 29 take part)
SIZES = {
    "quick": Size(subjects=10, takes=40, face_px=96, every=5),
    "full": Size(subjects=29, takes=159, face_px=112),
}
CAMERA = Camera("lab", height_cm=24.0, eye_line=0.44)
PICTURE = Format(960, 650, colour=False)
FILM = clips.Film(fps=200, median=74, shortest=30, longest=101, first=(100, 9_000))  # Davison et al. 2018
WORKBOOK = "SAMM_Micro_FACS_Codes_v2.xlsx"
PREAMBLE = (
    "SAMM Micro-Movements, FACS codes", "", "Release 2", "", "Frame rate: 200 fps", "", "Drawn faces", "",
    "Inducement codes name the film shown", "", "Objective classes I to VII follow the AUs", "", "",
)  # fmt: skip
HEADER = (
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration",
    "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
)  # fmt: skip
OBJECTIVE: tuple[tuple[int, frozenset[int]], ...] = (
    (1, frozenset({6, 12})),
    (3, frozenset({4, 7, 23, 24})),
    (5, frozenset({1, 4, 15})),
    (2, frozenset({1, 2, 5, 25, 26})),
    (4, frozenset({4, 9, 10})),
    (6, frozenset({1, 2, 4, 20})),
)
"""Class -> AUs it may consist of; the first that fits counts, 7 is the rest (after Davison et al. 2018)."""


def plan(size: Size, seed: int = 0) -> Plan:
    """159 clips of 29 people at full size, with the official number of clips an emotion.

    ``takes`` adds ``emotion codes onset apex offset objective``.
    """
    rng = rng_of("samm", seed, "cast", size.subjects, size.takes)
    reserved = {OTHER_ONLY: "Other"} if size.subjects > OTHER_ONLY else {}
    hands = clips.cast(EMOTIONS, size, reserved, rng)
    lengths = clips.lengths(FILM, size.takes, rng)
    rows: list[dict] = []
    takes: list[Take] = []
    for person, hand in enumerate(hands):
        subject = f"{SUBJECTS[person] if person < len(SUBJECTS) else person + 9:03d}"
        for k, emotion in enumerate(hand):
            name = f"{subject}_{k // 3 + 1}_{k % 3 + 1}"
            shown = {"Other": "others"}.get(emotion, emotion.lower())
            pattern = f"{subject}/{name}/{subject}_{{n:05d}}.jpg"
            own = rng_of("samm", seed, "clip", len(rows))
            row, take = clips.draw_clip(FILM, shown, int(lengths[len(rows)]), pattern, size, own)
            row |= about(subject, person, name, PICTURE) | {"emotion": emotion}
            rows.append(row | {"objective": objective_class(set(row["aus"]))})
            takes.append(take)
    return assemble("samm", CAMERA, seed, size, rows, takes)


def objective_class(aus: set[int]) -> int:
    """The objective class 1 to 7 of a set of AUs, whatever the film or the person said."""
    return next((number for number, allowed in OBJECTIVE if aus <= allowed), 7)


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """The workbook: 13 lines about the release, then the header."""
    t = plan.takes
    film = t["sequence"].str.split("_").str[1].astype(int)
    lasts = t["offset"] - t["onset"] + 1
    kind = np.where(lasts > FILM.fps // 4, "Micro - 1/2", "Micro")
    frames = (t["onset"], t["apex"], t["offset"], lasts)
    columns = (t["subject"], t["sequence"], film, *frames, kind, t["codes"], t["emotion"], t["objective"], "")
    clips.write_workbook(folder / WORKBOOK, HEADER, columns, PREAMBLE)
