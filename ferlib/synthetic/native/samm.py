"""SAMM in its native layout: grey clips at 200 fps and a workbook whose header stands on row 14."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from ferlib.synthetic.native import clips
from ferlib.synthetic.native.plan import Format, Plan, Size, Take, apportion, assemble, picture, rng_of, spread
from ferlib.synthetic.native.tree import Draw, write_tree

EMOTIONS = {"Anger": 57, "Happiness": 26, "Other": 26, "Surprise": 15, "Contempt": 12, "Disgust": 9, "Fear": 8,
            "Sadness": 6}  # fmt: skip
SUBJECTS = tuple(n for n in range(6, 38) if n not in (8, 27, 29))  # the 29 people with micro-movements
OTHER_ONLY = 12  # this person has no clip in MEGC's three classes (28 of 29 take part)
FULL = Size(subjects=29, takes=159, face_px=192)
QUICK = Size(subjects=10, takes=40, face_px=96, every=4)
PICTURE = Format(960, 650, colour=False)
FPS = 200
MEDIAN, SHORTEST, LONGEST = 74, 30, 101  # frames: at most half a second (Davison et al. 2018)
WORKBOOK = "SAMM_Micro_FACS_Codes_v2.xlsx"
PREAMBLE = ("SAMM Micro-Movements, FACS codes", "", "Release 2", "", "Frame rate: 200 fps", "", "Drawn faces",
            "", "Inducement codes 1 to 7 name the film shown", "", "Objective classes I to VII follow the AUs",
            "", "")  # fmt: skip
HEADER = ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
          "Action Units", "Estimated Emotion", "Objective Classes", "Notes")  # fmt: skip
OBJECTIVE: tuple[tuple[int, frozenset[int]], ...] = (
    (1, frozenset({6, 12})), (2, frozenset({1, 2, 5, 25, 26})), (3, frozenset({4, 7, 23, 24})),
    (4, frozenset({9, 10})), (5, frozenset({1, 15})), (6, frozenset({20})),
)  # fmt: skip
"""Class -> AUs that it may consist of, the first that fits: a short form of Davison et al. 2018, table 2; 7 is the rest."""


def plan_samm(size: Size = FULL, seed: int = 0) -> Plan:
    """159 clips of 29 people at full size, with the official number of clips an emotion.

    ``takes`` adds ``emotion codes onset apex offset objective``.
    """
    rng = rng_of("samm", seed, "cast", size.subjects, size.takes)
    counts = 1 + apportion(size.takes - size.subjects, rng.lognormal(0, 0.6, size.subjects))
    reserved = {OTHER_ONLY: "Other"} if size.subjects > OTHER_ONLY else {}
    hands = clips.deal(spread(EMOTIONS, size.takes), counts, reserved, rng)
    lengths = clips.lengths(size.takes, MEDIAN, SHORTEST, LONGEST, rng)
    rows, takes = [], []
    for person, hand in enumerate(hands):
        subject = f"{SUBJECTS[person] if person < len(SUBJECTS) else person + 9:03d}"
        for k, emotion in enumerate(hand):
            name = f"{subject}_{k // 3 + 1}_{k % 3 + 1}"
            row, take = _clip(len(rows), int(lengths[len(rows)]), emotion, (subject, name), size, seed)
            rows.append(row | {"subject": subject, "person": person, "sequence": name} | picture(PICTURE))
            takes.append(take)
    return assemble("samm", "lab", seed, size, rows, takes)


def _clip(i: int, n_frames: int, emotion: str, place: tuple[str, str], size: Size, seed: int) -> tuple[dict, Take]:
    """Clip ``i``: its row in the table and its frames, numbered as in the long recording, on five digits."""
    rng = rng_of("samm", seed, "clip", i)
    apex = int(n_frames * rng.uniform(0.3, 0.6))
    onset = int(rng.integers(100, 9_000))
    codes = clips.draw_codes({"Other": "others"}.get(emotion, emotion.lower()), rng)
    kept, levels, drift = clips.draw_take(codes, n_frames, apex, FPS, size, rng)
    row = {"emotion": emotion, "codes": clips.code_text(codes), "objective": objective_class({n for n, _ in codes}),
           "fps": FPS, "onset": onset, "apex": onset + apex, "offset": onset + n_frames - 1}  # fmt: skip
    subject, name = place
    return row, Take(onset + kept, [f"{subject}/{name}/{subject}_{n:05d}.jpg" for n in onset + kept], levels, drift)


def objective_class(aus: set[int]) -> int:
    """The objective class 1 to 7 of a set of AUs, whatever the film or the person said."""
    return next((number for number, allowed in OBJECTIVE if aus <= allowed), 7)


def write_samm(out: Path, size: Size = QUICK, seed: int = 0, workers: int | None = None, draw: Draw | None = None) -> Path:
    """Draw SAMM into ``out`` and return it; see :func:`ferlib.synthetic.native.tree.write_tree`."""
    return write_tree(out, plan_samm(size, seed), _write_workbook, workers, draw)


def _write_workbook(folder: Path, plan: Plan, _: np.ndarray) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(str(folder / WORKBOOK)) as book:
        book.set_properties({"created": datetime(2018, 12, 15)})  # else today's date makes each copy differ
        sheet = book.add_worksheet("MICRO ONLY")
        sheet.write_column(0, 0, PREAMBLE)
        sheet.write_row(len(PREAMBLE), 0, HEADER)
        for i, take in enumerate(plan.takes.itertuples(), start=len(PREAMBLE) + 1):
            lasts = take.offset - take.onset + 1
            sheet.write_row(i, 0, (take.subject, take.sequence, int(take.sequence.split("_")[1]), take.onset, take.apex,
                                   take.offset, lasts, "Micro - 1/2" if lasts > FPS // 4 else "Micro", take.codes,
                                   take.emotion, take.objective, ""))  # fmt: skip
