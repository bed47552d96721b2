"""CASME II (Yan et al. 2014) in its native layout: 255 clips at 200 fps and a workbook of codes.

``Cropped/sub01/EP02_01f/reg_img46.jpg``, or else ``CASME2_RAW_selected/sub01/EP02_01f/img46.jpg``; the number
is that of the workbook ``CASME2-coding-20140508.xlsx``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ferlib.datasets import clips
from ferlib.datasets.native import LayoutError, Reading, drawn_mark
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import read_sequences

LICENCE = "signed agreement (Institute of Psychology, Chinese Academy of Sciences): research"
FPS = 200
FOLDERS = ("Cropped", "CASME2_RAW_selected")
COLUMNS = (
    "Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion",
)  # fmt: skip
OFFICIAL = {
    "others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2,
}  # fmt: skip
ERRATUM_LINE, TRUE_OFFSET = 62, 91
"""Row 60 (from 0) of the workbook gives an offset before its onset; 91 is meant."""


def read(source: Path, crop: bool = True) -> Reading:
    """Read the tree at ``source``; never raises on bad content.

    ``label`` is the corpus's own word, ``emotion`` the book's where there is one (none for others and
    repression).  Raises ``DataError`` where ``source`` holds no workbook or no folder of clips.
    """
    workbook = clips.find_workbook(source, "CASME2-coding*.xls*")
    folder = next((source / name for name in FOLDERS if (source / name).is_dir()), None)
    if folder is None:
        raise LayoutError(f"{source} holds neither {' nor '.join(FOLDERS)}")
    report = Report("casme2", source)
    rows = [_mended(row, report, workbook.name) for row in clips.read_rows(workbook, source, COLUMNS, report)]
    coded = clips.read_codes(rows, _interpret, workbook.name, report)
    folders = clips.clip_folders(folder, source, r"sub(\d{1,3})", "sub{:02d}", report)
    sequences = clips.join(coded, folders, r"(?:reg_)?img(\d+)\.jpg", FPS, workbook.name, report)
    for sequence in sequences:
        sequence.is_cropped = folder.name == "Cropped"
    reading = read_sequences(sequences, source, report, LICENCE, crop)
    clips.count_labels(sequences, OFFICIAL, report, drawn=drawn_mark(source) is not None)
    return reading


def _mended(row: clips.SheetRow, report: Report, file: str) -> clips.SheetRow:
    """The row with the known erratum of the release corrected, which is a notice."""
    try:
        wrong = row.whole("OffsetFrame") < row.whole("OnsetFrame") <= TRUE_OFFSET
    except ValueError:
        return row
    if row.line != ERRATUM_LINE or not wrong:
        return row
    report.notice(file, row.line, f"offset {row.text('OffsetFrame')} read as {TRUE_OFFSET}: a known erratum")
    return clips.SheetRow(row.line, {**row.cells, "OffsetFrame": TRUE_OFFSET})


def _interpret(row: clips.SheetRow) -> clips.ClipCodes:
    subject = re.fullmatch(r"(?:sub)?(\d{1,3})", row.text("Subject"), re.IGNORECASE)
    if not subject:
        raise ValueError(f"Subject {row.text('Subject')[:20]!r} is not a number")
    label = row.text("Estimated Emotion").lower()
    if label not in OFFICIAL:
        raise ValueError(f"unknown emotion {label[:20]!r} (known: {', '.join(OFFICIAL)})")
    if not row.text("Filename"):
        raise ValueError("no Filename")
    return clips.ClipCodes(
        subject=f"sub{int(subject[1]):02d}",
        name=row.text("Filename"),
        label=label,
        onset=row.whole("OnsetFrame"),
        apex=None if row.text("ApexFrame") in ("/", "") else row.whole("ApexFrame"),
        offset=row.whole("OffsetFrame"),
        levels=clips.parse_clip_codes(row.text("Action Units")),
        au_codes=row.text("Action Units"),
    )
