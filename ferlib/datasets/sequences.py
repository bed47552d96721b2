"""From sequences of pictures to rows and crops: what every corpus of films and clips shares."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import faces
from ferlib.datasets.files import BadFile, read_grey
from ferlib.datasets.native import Reading
from ferlib.datasets.report import Report
from ferlib.labels import AU_NAMES, PRESENT_UNKNOWN, au_column

MAX_NUMBER = 2**31 - 1


@dataclass
class Sequence:
    """Pictures of one person that belong together.

    frames : (native number, file) of each picture used, ascending.   n_frames : pictures that there are.
    columns : what every row says.   by_frame : number -> what that row says besides.
    eyes : number -> (2, 2) x, y of the left and right eye in pixels, where landmarks are known.
    is_cropped : the pictures are cropped faces already.
    """

    subject: str
    name: str
    frames: list[tuple[int, Path]]
    n_frames: int
    columns: dict[str, Any] = field(default_factory=dict)
    by_frame: dict[int, dict[str, Any]] = field(default_factory=dict)
    eyes: dict[int, np.ndarray] = field(default_factory=dict)
    is_cropped: bool = False


def read_sequences(
    sequences: list[Sequence], root: Path, report: Report, licence: str, crop: bool
) -> Reading:
    """Read every frame; a bad one is a problem and has no row.  Without ``crop`` no images are kept.

    Rows say in ``crop`` how their crop was found: ``landmarks``; ``whole``, a cropped face made square by
    continuing its border; ``haar``, the first face that the cascade finds in the sequence (all its frames
    share that box, so that what moves is the face); or ``frame``: no face was found, the largest centred
    square was taken, and a notice says so.
    """
    rows: list[dict[str, Any]] = []
    n_most = sum(len(s.frames) for s in sequences) if crop else 0
    images = np.empty((n_most, faces.CROP_PX, faces.CROP_PX), np.uint8)
    for sequence in sequences:
        pictures = _read_frames(sequence, root, report)
        box = _shared_box(sequence, pictures, root, report) if crop else None
        for number, file, picture in pictures:
            row = {
                "image": file.relative_to(root).as_posix(),
                "subject": sequence.subject,
                "sequence": sequence.name,
                "frame": number,
                "n_frames": sequence.n_frames,
                **sequence.columns,
                **sequence.by_frame.get(number, {}),
            }
            if crop:
                images[len(rows)], row["crop"] = _crop(picture, sequence.eyes.get(number), box)
            rows.append(row)
    report.counts |= {
        "people": len({s.subject for s in sequences}),
        "sequences": len(sequences),
        "images used": len(rows),
    }
    return Reading(report, typed(pd.DataFrame(rows)), images[: len(rows)], licence)


def _read_frames(sequence: Sequence, root: Path, report: Report) -> list[tuple[int, Path, np.ndarray]]:
    read = []
    for number, file in sequence.frames:
        try:
            picture = read_grey(file, root)
            eyes = sequence.eyes.get(number)
            if eyes is not None and not faces.eyes_fit(eyes, picture):
                raise BadFile(f"its landmarks put the eyes at {eyes.round().tolist()}, outside the picture")
            read.append((number, file, picture))
        except BadFile as error:
            report.problem(_relative(file, root), None, str(error))
    return read


def _shared_box(
    sequence: Sequence, pictures: list[tuple[int, Path, np.ndarray]], root: Path, report: Report
) -> tuple[faces.Box, str] | None:
    """The first face found in a sequence, or its centre; None where landmarks make it needless."""
    if all(number in sequence.eyes for number, _, _ in pictures):
        return None
    if sequence.is_cropped:
        return faces.whole_box(pictures[0][2]), "whole"
    for _, _, picture in pictures[:5]:
        box = faces.find_face(picture)
        if box is not None:
            return box, "haar"
    file = _relative(pictures[0][1], root)
    report.notice(file, None, f"no face found in sequence {sequence.name}; its centre was taken")
    return faces.centre_box(pictures[0][2]), "frame"


def _crop(
    picture: np.ndarray, eyes: np.ndarray | None, box: tuple[faces.Box, str] | None
) -> tuple[np.ndarray, str]:
    if eyes is not None:
        return faces.crop_aligned(picture, eyes), "landmarks"
    assert box is not None
    return faces.crop_box(picture, box[0]), box[1]


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the column types of ``store.table_schema``; AUs that some rows lack are NaN."""
    kinds: dict[str, str] = {}
    for name in map(str, table):
        if name in ("frame", "n_frames"):
            kinds[name] = "int32"
        elif name in ("onset", "apex", "offset", "objective_class"):
            kinds[name] = "Int32"
        elif name == "fps" or re.fullmatch(r"AU\d\d", name):
            kinds[name] = "float32"
        elif name.startswith("votes_"):
            kinds[name] = "uint16"
        else:
            kinds[name] = "str"
    aus = sorted(name for name in kinds if re.fullmatch(r"AU\d\d", name))
    return table[[name for name in kinds if name not in aus] + aus].astype(kinds)


# -------------------------------------------------------------------------------------- frames and folders


def numbered_files(folder: Path, pattern: str, root: Path, report: Report) -> list[tuple[int, Path]]:
    """Files of ``folder`` whose name matches ``pattern``, by the number in its first group, ascending.

    Hidden files are passed over; other strangers are notices, and two files of the same number are a problem.
    """
    found: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        match = re.fullmatch(pattern, file.name, re.IGNORECASE)
        if not match or int(match[1]) > MAX_NUMBER:
            report.notice(_relative(file, root), None, "not a frame of this corpus; passed over")
        elif int(match[1]) in found:
            report.problem(_relative(file, root), None, f"frame {int(match[1])} is there twice")
        else:
            found[int(match[1])] = file
    return sorted(found.items())


def subfolders(folder: Path, root: Path, report: Report) -> list[Path]:
    """Folders in ``folder``, sorted by name; hidden ones are passed over, a link out of the tree is a problem."""
    found = []
    for inner in sorted(folder.iterdir()) if folder.is_dir() else []:
        if inner.name.startswith("."):
            continue
        real = os.path.realpath(inner)  # unlike Path.resolve it survives a loop of links
        if not Path(real).is_relative_to(os.path.realpath(root)):
            report.problem(_relative(inner, root), None, f"a link out of the tree, to {real}")
        elif inner.is_dir():
            found.append(inner)
    return found


def one_spelling(folders: Iterable[Path], pattern: str, root: Path, report: Report) -> dict[int, Path]:
    """Folders of people by the number in the first group of ``pattern``.

    A name that does not match is a notice; a person in two spellings (``S5`` and ``S005``) is a problem, and
    only the first is kept.
    """
    found: dict[int, Path] = {}
    for folder in folders:
        match = re.fullmatch(pattern, folder.name, re.IGNORECASE)
        if not match:
            report.notice(_relative(folder, root), None, "not a person's folder; passed over")
        elif int(match[1]) in found:
            other = found[int(match[1])].name
            report.problem(_relative(folder, root), None, f"the same person as {other}, in another spelling")
        else:
            found[int(match[1])] = folder
    return found


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


# ------------------------------------------------------------------------------------------------ AU codes

CODE = re.compile(r"(?:AU)?([LRBU]?)(\d{1,3})([A-E]?)", re.IGNORECASE)


def parse_codes(text: str) -> dict[int, int]:
    """AU number -> stored level of ``4+L10`` or ``12B+25``: 1 to 5 for A to E, 6 without a letter.

    A side (``L``, ``R``) is not kept here.  Raises ``ValueError`` for what is no AU, naming it.
    """
    levels: dict[int, int] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[+,]", text))):
        match = CODE.fullmatch(part)
        if not match:
            raise ValueError(f"{part[:20]!r} is not an AU code")
        number = int(match[2])
        if not 1 <= number <= 99:
            raise ValueError(f"AU {number} is out of range (1 to 99)")
        levels[number] = "_ABCDE".index(match[3].upper()) if match[3] else PRESENT_UNKNOWN
    return levels


def known_columns(levels: dict[int, int]) -> dict[str, int]:
    """AU number -> level as columns, without the codes of head and eye positions that this book does not use."""
    return {au_column(number): level for number, level in levels.items() if au_column(number) in AU_NAMES}


def fill_absent(sequences: list[Sequence]) -> None:
    """In rows that were AU-coded, give every AU that the corpus codes anywhere and that is not there a 0.

    A row counts as coded when its ``by_frame`` entry has the key ``coded``, which is taken out.
    """
    rows = [row for sequence in sequences for row in sequence.by_frame.values()]
    columns = sorted({name for row in rows for name in row if re.fullmatch(r"AU\d\d", name)})
    for row in rows:
        if row.pop("coded", False):
            for name in columns:
                row.setdefault(name, 0)
