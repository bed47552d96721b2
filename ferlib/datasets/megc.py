"""The composite of MEGC 2019 (See et al. 2019): clips of SMIC, CASME II and SAMM in three classes.

``combined_3class_gt.csv``, without header: ``casme2,sub01,EP02_01f,1``; ``smic,s01,s01_ne_01,0``;
``samm,6,006_1_2,0``.  The classes are read from this list and never derived again.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from ferlib.config import DataError
from ferlib.datasets.files import LARGEST_TABLE_BYTES, BadFile, read_text
from ferlib.datasets.report import Report

CLASSES = ("negative", "positive", "surprise")
OFFICIAL = {"smic": 164, "casme2": 145, "samm": 133}
COLUMNS = ["corpus", "subject", "sequence", "label"]


def read_list(file: Path) -> tuple[pd.DataFrame, Report]:
    """Read the list.

    Returns a table of ``corpus subject sequence label`` with the names that the stores use and ``label`` one
    of ``CLASSES``, and the report.  Bad lines are problems and left out.
    """
    report = Report("megc", file)
    rows: dict[tuple[str, str, str], str] = {}
    try:
        text = read_text(file, file.parent, LARGEST_TABLE_BYTES)
        lines = list(csv.reader(text.splitlines()))
    except (BadFile, csv.Error) as error:
        report.problem(file.name, None, str(error))
        lines = []
    for number, fields in enumerate(lines, start=1):
        try:
            corpus, subject, sequence, code = _read_line([field.strip() for field in fields])
        except ValueError as error:
            report.problem(file.name, number, str(error))
            continue
        if (corpus, subject, sequence) in rows:
            report.problem(file.name, number, f"clip {sequence} of {subject} is there twice")
        rows.setdefault((corpus, subject, sequence), CLASSES[code])
    for corpus, n in OFFICIAL.items():
        found = sum(key[0] == corpus for key in rows)
        report.counts[f"clips of {corpus}"] = found
        if found != n:
            report.notice(file.name, None, f"{found} clips of {corpus}; the official list has {n}")
    return pd.DataFrame([(*key, label) for key, label in rows.items()], columns=COLUMNS), report


def _read_line(fields: list[str]) -> tuple[str, str, str, int]:
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} fields instead of {len(COLUMNS)}")
    corpus, subject, sequence, code = fields
    if corpus not in OFFICIAL:
        raise ValueError(f"unknown corpus {corpus[:20]!r} (known: {', '.join(OFFICIAL)})")
    if code not in ("0", "1", "2"):
        raise ValueError(f"class {code[:20]!r} is not 0, 1 or 2")
    if corpus == "samm" and subject.isascii() and subject.isdigit():
        subject = f"{int(subject):03d}"
    return corpus, subject, sequence, int(code)


def join(clips: pd.DataFrame, table: pd.DataFrame, corpus: str) -> pd.Series:
    """The composite's class of each row of a store's ``table``, NaN where its clip is not on the list.

    Raises ``DataError`` where the list names a clip of ``corpus`` that the table lacks.
    """
    mine = clips[clips["corpus"] == corpus]
    names = zip(mine["subject"], mine["sequence"].str.lower(), strict=True)
    label: dict[tuple[str, str], str] = dict(zip(names, mine["label"], strict=True))
    keys = list(zip(table["subject"], table["sequence"].str.lower(), strict=True))
    missing = sorted(set(label) - set(keys))
    if missing:
        raise DataError(
            f"{len(missing)} clips of the list are not in {corpus}: {', '.join(' '.join(m) for m in missing[:5])}"
        )
    return pd.Series([label.get(key) for key in keys], index=table.index, dtype="str")
