"""Tiny native trees, written by hand: what the real corpora look like on the disk, with noise for faces."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import xlsxwriter
from PIL import Image


def picture(file: Path, width: int = 64, height: int = 48, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def landmarks(left: tuple[float, float] = (24, 20), right: tuple[float, float] = (40, 20)) -> str:
    """68 points in CK+'s notation, with the eyes where told."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = left, right
    return "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)


def text(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def ckplus(root: Path) -> Path:
    """Three sequences: S005 happy with 5 frames, S010 angry with 2, S010 without emotion and FACS."""
    sequences = {
        "S005/001": (
            5,
            "   5.0000000e+00\n",
            "   1.2000000e+01   2.0000000e+00\n   2.5000000e+01   0.0000000e+00\n",
        ),
        "S010/001": (2, "   1.0000000e+00\n", "   4.0000000e+00   5.0000000e+00\n"),
        "S010/002": (4, None, None),
    }
    for i, (place, (n, emotion, facs)) in enumerate(sequences.items()):
        stem = place.replace("/", "_")
        for k in range(1, n + 1):
            picture(root / "cohn-kanade-images" / place / f"{stem}_{k:08d}.png", seed=10 * i + k)
            text(root / "Landmarks" / place / f"{stem}_{k:08d}_landmarks.txt", landmarks())
        last = f"{stem}_{n:08d}"
        if emotion is not None:
            text(root / "Emotion" / place / f"{last}_emotion.txt", emotion)
        if facs is not None:
            text(root / "FACS" / place / f"{last}_facs.txt", facs)
    (root / "Emotion" / "S010" / "002").mkdir(parents=True)  # empty folders occur
    text(root / "cohn-kanade-images" / ".DS_Store", "x")
    text(root / "cohn-kanade-images" / "S005" / "001" / ".DS_Store", "x")
    return root


def workbook(file: Path, rows: list[list], preamble: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with xlsxwriter.Workbook(str(file)) as book:
        book.set_properties({"created": datetime(2014, 5, 8)})  # today's would make each copy differ
        sheet = book.add_worksheet()
        for i in range(preamble):
            sheet.write(i, 0, "about this release" if i % 2 == 0 else "")
        for i, row in enumerate(rows, start=preamble):
            sheet.write_row(i, 0, row)
    return file


CASME2_HEADER = [
    "Subject", "Filename", "", "OnsetFrame", "ApexFrame", "OffsetFrame", "", "Action Units", "Estimated Emotion",
]  # fmt: skip
CASME2_ROWS = [
    [1, "EP02_01f", "", 46, 59, 86, "", "12", "happiness"],
    [1, "EP03_02", "", 2, "/", 10, "", "4+L10", "disgust"],
    ["02", "EP13_04", "", 30, 32, 33, "", "R12", "others"],
]
SAMM_HEADER = [
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
    "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
]  # fmt: skip
SAMM_ROWS = [
    ["006", "006_1_2", 1, 5562, 5588, 5632, 71, "Micro - 1/2", "14A", "Contempt", 7, ""],
    [11, "011_3_1", 3, 80, 90, 95, 16, "Micro", "4+L7B", "Other", 3, "a note"],
]


def casme2(root: Path, rows: list[list] | None = None) -> Path:
    """Frames are numbered as in the workbook, not all are there, and a Windows shortcut strayed in."""
    rows = CASME2_ROWS if rows is None else rows
    workbook(root / "CASME2-coding-20140508.xlsx", [CASME2_HEADER, *rows])
    for subject, clip, numbers in (
        ("sub01", "EP02_01f", (46, 59, 86, 100)), ("sub01", "EP03_02", (2, 9, 10)), ("sub02", "EP13_04", (30, 32, 33)),
    ):  # fmt: skip
        for number in numbers:
            picture(root / "Cropped" / subject / clip / f"reg_img{number}.jpg", 28, 34, seed=number)
    text(root / "Cropped" / "sub01" / "Shortcut.lnk", "x")
    return root


def samm(root: Path, rows: list[list] | None = None) -> Path:
    rows = SAMM_ROWS if rows is None else rows
    workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", [SAMM_HEADER, *rows], preamble=13)
    for subject, clip, numbers in (("006", "006_1_2", (5562, 5588, 5632)), ("011", "011_3_1", (80, 90, 95))):
        for number in numbers:
            picture(root / subject / clip / f"{subject}_{number:05d}.jpg", 60, 40, seed=number)
    return root


def smic(root: Path) -> Path:
    for place, numbers in {
        "s1/micro/negative/s1_ne_01": (9, 10, 100), "s1/micro/surprise/s1_su_01": (3, 4),
        "s12/micro/positive/s12_po_01": (7, 8),
    }.items():  # fmt: skip
        for number in numbers:
            picture(root / "HS" / place / f"reg_image{number}.bmp", 14, 17, seed=number)
    return root


def nova(root: Path) -> Path:
    rows = ["path,emotion,subject,votes_happiness,anger,AU12"]
    for i, (word, subject) in enumerate([("happy", "p1"), ("Anger", "p1"), ("surprise", "p2"), ("", "p3")]):
        picture(root / "images" / f"{i}.png", 40, 40, seed=i)
        rows.append(f"images/{i}.png,{word},{subject},{i},{2 * i},{'' if i == 3 else i}")
    text(root / "manifest.csv", "\n".join(rows) + "\n")
    return root
