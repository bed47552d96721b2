"""SMIC-HS in its native layout: a folder a person, three emotions, clips at 100 fps, no apex and no AUs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferlib.synthetic.native import clips
from ferlib.synthetic.native.plan import Camera, Format, Plan, Size, Take, about, assemble, rng_of

EMOTIONS = {"negative": 70, "positive": 51, "surprise": 43}
SHOWN = {
    "negative": ("disgust", "sadness", "fear", "anger"),
    "positive": ("happiness",),
    "surprise": ("surprise",),
}
SUBJECTS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)  # the 16 of 20 people who showed any
SIZES = {
    "quick": Size(subjects=8, takes=32, face_px=96, every=3),
    "full": Size(subjects=16, takes=164, face_px=112),
}
CAMERA = Camera("lab", height_cm=18.5, eye_line=0.32)  # cropped to the face
PICTURE = Format(140, 170)
FILM = clips.Film(fps=100, median=33, shortest=11, longest=58, first=(1, 40_000))  # Li et al. 2013


def plan(size: Size, seed: int = 0) -> Plan:
    """164 clips of 16 people at full size; ``takes`` adds ``emotion codes onset apex offset``.

    The apex and the codes are drawn but not part of the native layout.
    """
    rng = rng_of("smic", seed, "cast", size.subjects, size.takes)
    hands = clips.cast(EMOTIONS, size, {}, rng)
    lengths = clips.lengths(FILM, size.takes, rng)
    rows: list[dict] = []
    takes: list[Take] = []
    for person, hand in enumerate(hands):
        subject = f"s{SUBJECTS[person] if person < len(SUBJECTS) else person + 5}"
        for k, emotion in enumerate(sorted(hand)):
            name = f"{subject}_{emotion[:2]}_{sorted(hand)[: k + 1].count(emotion):02d}"
            own = rng_of("smic", seed, "clip", len(rows))
            shown = str(own.choice(SHOWN[emotion]))
            pattern = f"HS/{subject}/micro/{emotion}/{name}/reg_image{{n}}.bmp"
            row, take = clips.draw_clip(FILM, shown, int(lengths[len(rows)]), pattern, size, own)
            row |= about(subject, person, name, PICTURE) | {"emotion": emotion}
            rows.append(row)
            takes.append(take)
    return assemble("smic", CAMERA, seed, size, rows, takes)


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """SMIC's labels are its folders."""
