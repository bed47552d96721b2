"""Your own pictures: a folder an emotion, or a csv manifest.  The drawn probe is read by it too.

Folders: ``happy/a.png``, or ``train/happy/a.png``.  Manifest: a csv file, or ``manifest.csv`` in the folder, with
a column ``path`` (relative to the manifest) and any of ``emotion``, ``subject``, ``split``, a column of votes for
each emotion (``happiness`` or ``votes_happiness``), and AUs (``AU12``: 0 absent, 1 to 5 = A to E, 6 present,
blank not coded).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import faces
from ferlib.datasets.files import LARGEST_TABLE_BYTES, BadFile, read_grey, read_text
from ferlib.datasets.native import LayoutError, Reading
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import subfolders, typed
from ferlib.labels import AU_NAMES, EMOTION_WORDS, EMOTIONS

LICENCE = "yours: say who may use these pictures"
MANIFEST = "manifest.csv"
SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
MOST_VOTES = 60_000


@dataclass
class Picture:
    """One picture: where it is said (file, line), its path from the root, and its columns."""

    said_in: str
    line: int | None
    path: str
    columns: dict[str, Any] = field(default_factory=dict)


def read(source: Path, crop: bool = True, name: str = "folder", licence: str = LICENCE) -> Reading:
    """Read ``source``, a folder or a csv file; never raises on bad content.

    A square picture is taken for a cropped face; in any other the largest face is found and cropped, and where
    there is none the centre is taken and a notice says so.
    Raises ``DataError`` where ``source`` does not exist or is neither of the two layouts.
    """
    report = Report(name, source)
    manifest = source if source.is_file() else source / MANIFEST
    if manifest.is_file() or manifest.is_symlink():
        root = manifest.parent
        pictures = read_manifest(manifest, report)
    elif source.is_dir():
        root = source
        pictures = _walk_folders(source, report)
    else:
        raise LayoutError(f"{source} does not exist. Give a folder or a csv manifest")
    pictures = _unique(pictures, report)
    _find_spellings(pictures, report)
    reading = _read_pictures(pictures, root, report, crop)
    reading.licence = licence
    table = reading.table
    report.counts["images used"] = len(table)
    if "subject" in table:
        report.counts["people"] = int(table["subject"].nunique())
    for column in ("split", "emotion"):
        if column in table:
            report.counts |= {
                f"{column} {k}": int(n) for k, n in table[column].value_counts().sort_index().items()
            }
    return reading


# ------------------------------------------------------------------------------------------------ layouts


def _walk_folders(root: Path, report: Report) -> list[Picture]:
    """Pictures in ``<emotion>/`` and ``<split>/<emotion>/``; other folders are problems."""
    pictures = []
    found: list[tuple[Path, dict[str, Any]]] = []
    for folder in subfolders(root, root, report):
        if folder.name.lower() in SPLIT_WORDS:
            split = {"split": SPLIT_WORDS[folder.name.lower()]}
            found += [(inner, split) for inner in subfolders(folder, root, report)]
        else:
            found.append((folder, {}))
    for folder, split in found:
        where = folder.relative_to(root).as_posix()
        emotion = EMOTION_WORDS.get(folder.name.lower())
        if emotion is None:
            report.problem(where, None, f"not an emotion (known: {', '.join(EMOTION_WORDS)})")
            continue
        for file in sorted(folder.iterdir()):
            if not file.name.startswith("."):
                path = file.relative_to(root).as_posix()
                pictures.append(Picture(path, None, path, {"emotion": emotion, **split}))
    if not found:
        raise LayoutError(f"{root} holds neither {MANIFEST} nor a folder an emotion, such as 'happy'")
    return pictures


def read_manifest(file: Path, report: Report) -> list[Picture]:
    """The good rows of a manifest; bad ones are problems with their line."""
    try:
        text = read_text(file, file.parent, LARGEST_TABLE_BYTES)
        rows = csv.reader(text.splitlines())
        header = [name.strip() for name in next(rows, [])]
        meaning = _read_header(header, file, report)
        pictures = []
        for fields in rows:
            if not any(cell.strip() for cell in fields):
                continue
            try:
                pictures.append(_read_row(fields, meaning, file.name, rows.line_num))
            except ValueError as error:
                report.problem(file.name, rows.line_num, str(error))
        return pictures
    except (BadFile, csv.Error) as error:
        report.problem(file.name, None, str(error))
        return []


def _read_header(header: list[str], file: Path, report: Report) -> list[str]:
    """The column of the table that each field becomes, '' for none.  Raises :class:`BadFile`."""
    meaning = []
    for name in header:
        small = name.lower()
        if small in ("path", "emotion", "subject", "split"):
            meaning.append(small)
        elif small.removeprefix("votes_") in EMOTION_WORDS:
            meaning.append(f"votes_{EMOTION_WORDS[small.removeprefix('votes_')]}")
        elif re.fullmatch(r"au\d\d?", small) and f"AU{int(small[2:]):02d}" in AU_NAMES:
            meaning.append(f"AU{int(small[2:]):02d}")
        else:
            meaning.append("")
            report.notice(file.name, 1, f"column {name[:30]!r} means nothing here; passed over")
    used = [name for name in meaning if name]
    if "path" not in used:
        raise BadFile("wrong header: no column 'path'")
    if len(set(used)) < len(used):
        raise BadFile(f"wrong header: column {max(used, key=used.count)!r} is there twice")
    return meaning


def _read_row(fields: list[str], meaning: list[str], file: str, line: int) -> Picture:
    """One row.  Raises ``ValueError`` with everything that is wrong."""
    if len(fields) != len(meaning):
        raise ValueError(f"{len(fields)} fields instead of {len(meaning)}")
    columns: dict[str, Any] = {}
    wrong = []
    for name, cell in zip(meaning, (cell.strip() for cell in fields), strict=True):
        try:
            if name:
                columns[name] = _read_cell(name, cell)
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))
    return Picture(file, line, str(columns.pop("path")), columns)


def _read_cell(name: str, cell: str) -> Any:
    if name == "path" and (not cell or "\0" in cell):
        raise ValueError("no path")
    if name in ("emotion", "split") and cell:
        words = EMOTION_WORDS if name == "emotion" else SPLIT_WORDS
        if cell.lower() not in words:
            raise ValueError(f"unknown {name} {cell[:20]!r} (known: {', '.join(words)})")
        return words[cell.lower()]
    if name == "split":
        raise ValueError("no split")
    if name.startswith("votes_"):
        if not (cell.isascii() and cell.isdigit() and int(cell[:9]) <= MOST_VOTES):
            raise ValueError(f"{name} {cell[:20]!r} is not a number of votes")
        return int(cell)
    if name in AU_NAMES and cell:
        if cell not in tuple("0123456"):
            raise ValueError(f"{name} {cell[:20]!r} is not 0 to 6")
        return int(cell)
    return cell or None


def _unique(pictures: list[Picture], report: Report) -> list[Picture]:
    """The pictures, each path once; a second row of a picture is a problem."""
    kept: dict[str, Picture] = {}
    for picture in pictures:
        first = kept.setdefault(str(Path(picture.path)), picture)
        if first is not picture:
            report.problem(
                picture.said_in, picture.line, f"{picture.path} is there twice, first in line {first.line}"
            )
    return list(kept.values())


def _find_spellings(pictures: list[Picture], report: Report) -> None:
    """A person in two spellings (``S5``, ``s005``) is a problem: person folds would divide them."""
    spellings: dict[str, dict[str, Picture]] = {}
    for picture in pictures:
        subject = picture.columns.get("subject")
        if subject:
            plain = re.sub(r"0+(?=\d)", "", re.sub(r"[\s_-]", "", subject.casefold()))
            spellings.setdefault(plain, {}).setdefault(subject, picture)
    for firsts in spellings.values():
        first, *others = firsts
        for other in others:
            picture = firsts[other]
            report.problem(
                picture.said_in, picture.line, f"person {other!r} is {first!r} in another spelling"
            )


# ----------------------------------------------------------------------------------------------- pictures


def _read_pictures(pictures: list[Picture], root: Path, report: Report, crop: bool) -> Reading:
    rows: list[dict[str, Any]] = []
    images = np.empty((len(pictures) if crop else 0, faces.CROP_PX, faces.CROP_PX), np.uint8)
    for picture in pictures:
        try:
            grey = read_grey(root / picture.path, root)
        except BadFile as error:
            reason = str(error) if picture.line is None else f"{picture.path}: {error}"
            report.problem(picture.said_in, picture.line, reason)
            continue
        row = {"image": picture.path, **picture.columns}
        if crop:
            images[len(rows)], row["crop"] = _crop(grey, picture, report)
        rows.append(row)
    columns = {name for row in rows for name in row}
    if not any(row.get("subject") for row in rows):
        columns.discard("subject")
    table = pd.DataFrame(rows, columns=_order(columns)) if rows else pd.DataFrame()
    return Reading(report, typed(table), images[: len(rows)], "")


def _order(columns: set[str]) -> list[str]:
    known = ["image", "subject", "split", "emotion", *(f"votes_{e}" for e in EMOTIONS), "crop", *AU_NAMES]
    return [name for name in known if name in columns]


def _crop(grey: np.ndarray, picture: Picture, report: Report) -> tuple[np.ndarray, str]:
    if grey.shape[0] == grey.shape[1]:
        return faces.crop_box(grey, faces.centre_box(grey)), "whole"
    box = faces.find_face(grey)
    if box is not None:
        return faces.crop_box(grey, box), "haar"
    report.notice(picture.said_in, picture.line, f"no face found in {picture.path}; its centre was taken")
    return faces.crop_box(grey, faces.centre_box(grey)), "frame"
