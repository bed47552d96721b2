"""CASME II in its native layout: cropped clips at 200 fps and the workbook of codes, with its quirks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ferlib.synthetic.native import clips
from ferlib.synthetic.native.plan import Camera, Format, Plan, Size, about, assemble, rng_of

EMOTIONS = {
    "others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2,
}  # fmt: skip
SIZES = {
    "quick": Size(subjects=16, takes=64, face_px=96, every=5),
    "full": Size(subjects=26, takes=255, face_px=112),
}
CAMERA = Camera("lab", height_cm=18.5, eye_line=0.32)  # cropped to the face
PICTURE = Format(280, 340)
FILM = clips.Film(fps=200, median=66, shortest=31, longest=126, first=(1, 300))  # Yan et al. 2014
NO_APEX = 21  # rows of the workbook whose apex is "/"
WRONG_ROW, TRUE_OFFSET, WRONG_OFFSET = 60, 91, 19  # row from 0; loaders of the real workbook set it to 91
OTHERS_ONLY = (9, 17)  # people without a clip in MEGC's three classes (24 of 26 take part)
WRONG_FILM = replace(FILM, first=(TRUE_OFFSET - FILM.median + 1, TRUE_OFFSET - FILM.median + 2))
WORKBOOK = "CASME2-coding-20140508.xlsx"
HEADER = (
    "Subject", "Filename", "", "OnsetFrame", "ApexFrame", "OffsetFrame", "", "Action Units",
    "Estimated Emotion",
)  # fmt: skip


def plan(size: Size, seed: int = 0) -> Plan:
    """255 clips of 26 people at full size, with the official number of clips an emotion.

    ``takes`` adds ``emotion codes onset apex offset coded_apex coded_offset``: the last two are what the
    workbook says, ``apex`` and ``offset`` what was drawn.
    """
    rng = rng_of("casme2", seed, "cast", size.subjects, size.takes)
    reserved = {person: "others" for person in OTHERS_ONLY if person < size.subjects}
    hands = clips.cast(EMOTIONS, size, reserved, rng)
    people = np.repeat(np.arange(size.subjects), [len(hand) for hand in hands])
    emotions = [emotion for hand in hands for emotion in hand]
    lengths = clips.lengths(FILM, size.takes, rng)
    no_apex = set(rng.choice(size.takes, round(NO_APEX * size.takes / SIZES["full"].takes), replace=False))
    rows, takes, names = [], [], _names(people, rng)
    for i, (person, emotion) in enumerate(zip(people.tolist(), emotions, strict=True)):
        film, n_frames = (WRONG_FILM, FILM.median) if i == WRONG_ROW else (FILM, int(lengths[i]))
        pattern = f"Cropped/sub{person + 1:02d}/{names[i]}/reg_img{{n}}.jpg"
        row, take = clips.draw_clip(film, emotion, n_frames, pattern, size, rng_of("casme2", seed, "clip", i))
        row |= about(f"{person + 1:02d}", person, names[i], PICTURE) | {"emotion": emotion}
        row["coded_apex"] = "/" if i in no_apex else str(row["apex"])
        row["coded_offset"] = WRONG_OFFSET if i == WRONG_ROW else row["offset"]
        rows.append(row)
        takes.append(take)
    return assemble("casme2", CAMERA, seed, size, rows, takes)


def _names(people: np.ndarray, rng: np.random.Generator) -> list[str]:
    """``EP02_01f``: episode and number of the clip, ``f`` on some, each once a person and in order."""
    names: list[str] = []
    for person in np.unique(people):
        n = int((people == person).sum())
        episodes = np.sort(rng.choice(np.arange(1, 20 * 6), n, replace=False))
        names += [f"EP{e // 6 + 1:02d}_{e % 6 + 1:02d}{'f' if rng.random() < 0.4 else ''}" for e in episodes]
    return names


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """The workbook, and the Windows shortcut that strayed into the first person's folder."""
    _write_workbook(folder / WORKBOOK, plan)
    stray = folder / plan.frames["file"].iloc[0]
    (stray.parents[1] / "Desktop - Shortcut.lnk").write_bytes(b"L\0\0\0\x01\x14\x02\0")


def _write_workbook(file: Path, plan: Plan) -> None:
    """The coding sheet: blank columns C and G, "/" for an apex that nobody saw."""
    t = plan.takes
    apex = [text if text == "/" else int(text) for text in t["coded_apex"]]
    who = (t["subject"].astype(int), t["sequence"])
    when = (t["onset"], apex, t["coded_offset"])
    clips.write_workbook(file, HEADER, (*who, "", *when, "", t["codes"], t["emotion"]))
