"""FER2013 (Goodfellow et al. 2013) in every variant that circulates, and FER+'s votes.

``fer2013.csv`` (``emotion,pixels,Usage``), ``icml_face_data.csv`` (leading spaces, other order),
``train.csv`` (no ``Usage``), and the folders ``train/{angry,...}`` and ``test/``, where ``test`` is
PublicTest and PrivateTest in one.  FER+ (``fer2013new.csv``) is joined by row.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.config import DataError
from ferlib.datasets import fer2013_csv
from ferlib.datasets.duplicates import count_duplicates, mark_duplicates
from ferlib.datasets.ferplus import OFFICIAL_TEST_N, RULES, VOTES, ferplus_labels
from ferlib.datasets.files import BadFile, read_grey
from ferlib.datasets.native import LayoutError, Reading, drawn_mark
from ferlib.datasets.report import Report
from ferlib.labels import FER2013_CODES, FER2013_FOLDERS, FER2013_USAGES, FERPLUS_COLUMNS

LICENCE = "no open licence: research use (ICML 2013 challenge, Kaggle); FER+ votes: MIT (Microsoft)"
OFFICIAL_SPLITS = {"train": 28_709, "val": 3_589, "test": 3_589}
OFFICIAL_FOLDERS = {"train": 28_709, "test": 7_178}
OFFICIAL_EMOTIONS = dict(zip(FER2013_CODES, (4953, 547, 5121, 8989, 6077, 4002, 6198), strict=True))
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
VOTES_NAME = "fer2013new.csv"
CODES = np.array(FER2013_CODES, dtype=object)
SPLIT_OF_USAGE = np.array(list(FER2013_USAGES.values()), dtype=object)


def read(source: Path, votes: Path | None = None) -> Reading:
    """Read a csv file, or a folder that holds one or the folder variant; never raises on bad content.

    votes : FER+'s ``fer2013new.csv``; by default the one beside a csv source, where there is one.
    Raises ``DataError`` where ``source`` or ``votes`` does not exist or is none of the variants.
    """
    file = _find_csv(source)
    report = Report("fer2013", source)
    if file is None:
        reading = _read_folders(source, report)
        if votes is not None:
            raise DataError(
                f"--votes {votes}: FER+ is joined by row, and the folder variant {source} has no rows"
            )
    else:
        reading = _read_csv(file, report)
        beside = file.with_name(VOTES_NAME)
        votes = votes or (beside if beside.is_file() else None)
        if votes is not None:
            _join_votes(reading, votes)
    if len(reading.table):
        reading.table = mark_duplicates(reading.table.drop(columns="row"), np.asarray(reading.images))
        _count(reading, is_folders=file is None, drawn=drawn_mark(source) is not None)
    return reading


def _find_csv(source: Path) -> Path | None:
    """The csv file that ``source`` is or holds; None for the folder variant."""
    if source.is_file():
        return source
    if not source.is_dir():
        raise LayoutError(f"{source} does not exist. Give fer2013.csv or the folder that holds it")
    for name in CSV_NAMES:
        if (source / name).is_file():
            return source / name
    if (source / "train").is_dir() or (source / "test").is_dir():
        return None
    raise LayoutError(f"{source} holds none of {', '.join(CSV_NAMES)} and neither train/ nor test/")


def _read_csv(file: Path, report: Report) -> Reading:
    try:
        faces = fer2013_csv.read_csv(file)
    except (fer2013_csv.BadFile, OSError) as error:
        report.problem(file.name, 1, str(error))
        return Reading(report, pd.DataFrame(), np.empty((0, 48, 48), np.uint8), LICENCE)
    for line, reason in faces.bad:
        report.problem(file.name, line, reason)
    report.counts["rows"] = faces.n_rows
    columns = {
        "image": [f"fer{row:07d}.png" for row in faces.row.tolist()],
        "emotion": CODES[faces.emotion],
        "source": [f"{file.name}:{line}" for line in faces.line.tolist()],
        "row": faces.row,
    }
    if len(faces.usage) and faces.usage.max() < len(SPLIT_OF_USAGE):
        columns["split"] = SPLIT_OF_USAGE[faces.usage]
    table = pd.DataFrame(columns).astype(
        {"emotion": "str"} | ({"split": "str"} if "split" in columns else {})
    )
    return Reading(report, table, faces.images, LICENCE)


def _read_folders(source: Path, report: Report) -> Reading:
    """Read ``train/<emotion>/`` and ``test/<emotion>/``; classes are known by name, never by number."""
    rows: list[dict[str, object]] = []
    images: list[np.ndarray] = []
    for folder in sorted(p for split in ("train", "test") for p in (source / split).glob("*")):
        split = folder.parent.name
        where = folder.relative_to(source)
        if folder.name.startswith("."):
            continue
        if folder.name not in FER2013_FOLDERS or not folder.is_dir():
            report.problem(where, None, f"not one of the emotion folders {', '.join(FER2013_FOLDERS)}")
            continue
        for file in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            name = file.relative_to(source).as_posix()
            try:
                image = read_grey(file, source)
                if image.shape != (48, 48):
                    raise BadFile(f"{image.shape[1]} x {image.shape[0]} pixels instead of 48 x 48")
            except BadFile as error:
                report.problem(name, None, str(error))
                continue
            images.append(image)
            emotion = FER2013_FOLDERS[folder.name]
            rows.append({"image": name, "emotion": emotion, "source": name, "row": len(rows), "split": split})
    report.counts["rows"] = len(rows)
    stacked = np.stack(images) if images else np.empty((0, 48, 48), np.uint8)
    return Reading(report, pd.DataFrame(rows), stacked, LICENCE)


def _join_votes(reading: Reading, file: Path) -> None:
    """Add FER+'s votes to the table, row by row; a row that is not a face (no image name) keeps no votes."""
    table, report = reading.table, reading.report
    votes, usages = read_votes(file, report)
    if len(table) == 0 or len(votes) == 0:
        return
    rows = table["row"].to_numpy()
    if rows[-1] >= len(votes):
        report.problem(file.name, None, f"{len(votes):,} rows of votes for {rows[-1] + 1:,} rows of images")
        return
    if len(votes) != report.counts["rows"]:
        reason = f"{len(votes):,} rows of votes for {report.counts['rows']:,} images, joined from the first"
        report.notice(file.name, None, reason)
    if "split" in table:
        joined = pd.Series(usages[rows]).map(FER2013_USAGES).to_numpy()
        differs = np.flatnonzero(joined != table["split"].to_numpy())
        if len(differs):
            row = int(rows[differs[0]])
            reason = f"Usage {usages[row]!r} is not the image's; {len(differs):,} such rows, so nothing joins"
            report.problem(file.name, row + 2, reason)
            return
    for name, column in zip(VOTES, votes.T, strict=True):
        table[name] = column[rows]


def read_votes(file: Path, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """Read ``fer2013new.csv``.  Returns votes (M, 10) uint16 and usages (M,) object.

    Votes are in ``FERPLUS_COLUMNS`` order; bad rows are reported and have none.  Raises ``DataError`` where
    the file does not exist.
    """
    none = np.zeros((0, len(VOTES)), np.uint16), np.zeros(0, object)
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except FileNotFoundError:
        raise DataError(
            f"--votes {file} does not exist. Get fer2013new.csv from github.com/microsoft/FERPlus"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        report.problem(file.name, None, f"unreadable: {error}")
        return none
    header = ["Usage", "Image name", *FERPLUS_COLUMNS]
    if not lines or [name.strip() for name in lines[0]] != header:
        report.problem(
            file.name, 1, "empty file" if not lines else f"wrong header instead of {','.join(header)}"
        )
        return none
    votes = np.zeros((len(lines) - 1, len(VOTES)), np.uint16)
    for i, fields in enumerate(lines[1:]):
        counts = fields[2:]
        digits = "".join(counts)
        if len(fields) != len(header) or not all(counts) or not (digits.isascii() and digits.isdigit()):
            report.problem(file.name, i + 2, f"not a usage, a name and {len(VOTES)} whole numbers")
        elif len(digits) > 3 * len(VOTES):
            report.problem(file.name, i + 2, "more than 999 votes")
        elif fields[1].strip():
            votes[i] = list(map(int, counts))
    return votes, np.array([fields[0].strip() if fields else "" for fields in lines[1:]], dtype=object)


def _count(reading: Reading, is_folders: bool, drawn: bool) -> None:
    """Count splits, emotions, duplicates and FER+ labels; compare with the official release unless drawn."""
    table, report = reading.table, reading.report
    splits = table["split"].value_counts().to_dict() if "split" in table else {}
    emotions = {name: int((table["emotion"] == name).sum()) for name in FER2013_CODES}
    kept = _count_ferplus(table)
    report.counts |= {f"split {name}": int(splits[name]) for name in OFFICIAL_SPLITS if name in splits}
    report.counts |= {f"emotion {name}": n for name, n in emotions.items()}
    report.counts |= count_duplicates(table)
    report.counts |= {f"{rule}, {split}": n for rule, of in kept.items() for split, n in of.items()}
    if kept:
        reading.facts["ferplus_n"] = kept
    if drawn:
        return
    file = report.source.name
    if not splits:
        report.notice(file, None, "no Usage column, so there are no official splits")
    official = (OFFICIAL_FOLDERS if is_folders else OFFICIAL_SPLITS) if splits else {}
    found = emotions | {name: int(splits.get(name, 0)) for name in official}
    report.compare(found, official | OFFICIAL_EMOTIONS, "{} images")
    for rule, n in OFFICIAL_TEST_N.items():
        labelled = kept.get(rule, {}).get("test", n)
        if labelled != n and splits.get("test") == OFFICIAL_SPLITS["test"]:
            report.notice(file, None, f"{rule} keeps {labelled:,} test images; officially {n:,}")


def _count_ferplus(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Rule -> split -> images that the rule labels; empty without votes."""
    if not set(VOTES) <= set(table.columns):
        return {}
    votes = table[list(VOTES)].to_numpy()
    split = table["split"] if "split" in table else pd.Series("all", index=table.index)
    kept = {rule: pd.Series(ferplus_labels(votes, rule), index=table.index).notna() for rule in RULES}
    return {
        rule: {str(s): int(n) for s, n in is_kept.groupby(split).sum().items()}
        for rule, is_kept in kept.items()
    }
