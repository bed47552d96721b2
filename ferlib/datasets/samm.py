"""SAMM (Davison et al. 2018) in its native layout: 159 grey clips at 200 fps and a workbook of codes.

``006/006_1_2/006_05562.jpg``, the number being that of ``SAMM_Micro_FACS_Codes_v2.xlsx``, whose header stands on
row 14.
"""

from __future__ import annotations

from pathlib import Path

from ferlib.datasets import clips
from ferlib.datasets.native import Reading, drawn_mark
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import read_sequences

LICENCE = "signed agreement (Manchester Metropolitan University): research"
FPS = 200
COLUMNS = (
    "Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units", "Estimated Emotion",
    "Objective Classes",
)  # fmt: skip
OFFICIAL = {
    "anger": 57, "happiness": 26, "other": 26, "surprise": 15, "contempt": 12, "disgust": 9, "fear": 8,
    "sadness": 6,
}  # fmt: skip


def read(source: Path, crop: bool = True) -> Reading:
    """Read the tree at ``source``; never raises on bad content.

    ``label`` is the corpus's own word in small letters, ``emotion`` the book's (none for other),
    ``objective_class`` 1 to 7.  Raises ``DataError`` where ``source`` holds no workbook.
    """
    workbook = clips.find_workbook(source, "SAMM_Micro_FACS_Codes*.xls*")
    report = Report("samm", source)
    rows = clips.read_rows(workbook, source, COLUMNS, report)
    coded = clips.read_codes(rows, _interpret, workbook.name, report)
    folders = clips.clip_folders(source, source, r"(\d{1,3})", "{:03d}", report)
    sequences = clips.join(coded, folders, r"\d+_(\d+)\.jpg", FPS, workbook.name, report)
    reading = read_sequences(sequences, source, report, LICENCE, crop)
    clips.count_labels(sequences, OFFICIAL, report, drawn=drawn_mark(source) is not None)
    return reading


def _interpret(row: clips.SheetRow) -> clips.ClipCodes:
    label = row.text("Estimated Emotion").lower()
    if label not in OFFICIAL:
        raise ValueError(f"unknown emotion {label[:20]!r} (known: {', '.join(OFFICIAL)})")
    objective = row.whole("Objective Classes")
    if not 1 <= objective <= 7:
        raise ValueError(f"objective class {objective} is out of range (1 to 7)")
    if not row.text("Filename"):
        raise ValueError("no Filename")
    apex = row.text("Apex Frame")
    return clips.ClipCodes(
        subject=f"{row.whole('Subject'):03d}",
        name=row.text("Filename"),
        label=label,
        onset=row.whole("Onset Frame"),
        apex=None if apex in ("/", "", "-1") else row.whole("Apex Frame"),
        offset=row.whole("Offset Frame"),
        levels=clips.parse_clip_codes(row.text("Action Units")),
        au_codes=row.text("Action Units"),
        more={"objective_class": objective},
    )
