"""CK+ (Lucey et al. 2010) in its native layout.

``cohn-kanade-images/S005/001/S005_001_00000011.png`` from neutral to peak; beside it ``Landmarks/`` for every
frame, ``FACS/`` and, for 327 of 593 sequences, ``Emotion/`` for the last.  Used are the first frame, which is
neutral, and the last three, which carry the label (Khorrami et al. 2015).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ferlib import faces
from ferlib.datasets.files import BadFile, read_numbers
from ferlib.datasets.native import LayoutError, Reading, drawn_mark
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import (
    Sequence,
    fill_absent,
    known_columns,
    numbered_files,
    one_spelling,
    read_sequences,
    subfolders,
)
from ferlib.labels import AU_NAMES, EMOTIONS, PRESENT_UNKNOWN, au_column

LICENCE = "signed agreement (University of Pittsburgh): non-commercial research, faces must not be passed on"
IMAGES, LANDMARKS, FACS, EMOTION = "cohn-kanade-images", "Landmarks", "FACS", "Emotion"
OFFICIAL = {"people": 123, "sequences": 593, "labelled sequences": 327, "labelled people": 118}
OFFICIAL_EMOTIONS = {
    "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
}  # fmt: skip
N_PEAK = 3


def read(source: Path, crop: bool = True) -> Reading:
    """Read the tree at ``source``; never raises on bad content.

    A row's AU columns are NaN where its sequence has no FACS file; the first frame of a coded sequence has
    them all 0.  Strength 0 in a file means present at unknown strength and is stored as 6.
    Raises ``DataError`` where ``source`` holds no ``cohn-kanade-images``.
    """
    if not (source / IMAGES).is_dir():
        raise LayoutError(
            f"{source} holds no folder {IMAGES}. Give the folder in which the archives were unpacked"
        )
    report = Report("ckplus", source)
    sequences = []
    people = one_spelling(subfolders(source / IMAGES, source, report), r"S(\d{1,4})", source, report)
    for number, person in sorted(people.items()):
        for folder in subfolders(person, source, report):
            sequence = _read_sequence(source, f"S{number:03d}", folder, report)
            if sequence is not None:
                sequences.append(sequence)
    _find_orphans(source, report)
    fill_absent(sequences)
    reading = read_sequences(sequences, source, report, LICENCE, crop)
    _count(sequences, report, drawn=drawn_mark(source) is not None)
    return reading


def _read_sequence(root: Path, subject: str, folder: Path, report: Report) -> Sequence | None:
    """Read what one sequence says; None where it has no frame."""
    files = numbered_files(folder, r"S\d+_\d+_(\d+)\.png", root, report)
    if not files:
        report.notice(folder.relative_to(root), None, "a sequence without frames")
        return None
    numbers = [number for number, _ in files]
    missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    for number in missing[:10]:
        report.problem(folder.relative_to(root), None, f"frame {number} is missing")
    used = files[:1] + files[1:][-N_PEAK:]
    sequence = Sequence(subject, f"{subject}_{folder.name}", used, len(files))
    place = f"{folder.parent.name}/{folder.name}"
    emotion = _read_emotion(root, place, files[-1][1], report)
    levels = _read_facs(root, place, files[-1][1], report)
    for number, _ in used:
        is_neutral = number == numbers[0]
        row: dict[str, Any] = {"emotion": None}
        if emotion is not None:
            row["emotion"] = "neutral" if is_neutral else emotion
        if levels is not None:
            row |= {"coded": True} | ({} if is_neutral else known_columns(levels))
        sequence.by_frame[number] = row
    for number, file in used:
        eyes = _read_eyes(root, place, file, report)
        if eyes is not None:
            sequence.eyes[number] = eyes
    return sequence


def _beside(root: Path, branch: str, place: str, image: Path, ending: str, report: Report) -> Path | None:
    """The file in ``branch`` that belongs to ``image``; files there that belong to no frame are problems."""
    folder = root / branch / place
    wanted = folder / f"{image.stem}{ending}"
    if wanted.is_symlink() or wanted.exists():
        return wanted
    for other in sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []:
        if branch != LANDMARKS and not other.name.startswith("."):
            report.problem(
                other.relative_to(root), None, f"is not of the last frame, {image.name}; is one missing?"
            )
    return None


def _read_emotion(root: Path, place: str, last: Path, report: Report) -> str | None:
    file = _beside(root, EMOTION, place, last, "_emotion.txt", report)
    if file is None:
        return None
    try:
        rows = read_numbers(file, root)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise BadFile("not one number")
        if rows[0][0] not in range(len(EMOTIONS)):
            raise BadFile(f"unknown emotion {rows[0][0]:g} (known: 0 to {len(EMOTIONS) - 1})")
        return EMOTIONS[int(rows[0][0])]
    except BadFile as error:
        report.problem(file.relative_to(root), None, str(error))
        return None


def _read_facs(root: Path, place: str, last: Path, report: Report) -> dict[int, int] | None:
    """AU number -> stored level 1 to 6 at the peak; None where the sequence was not coded."""
    file = _beside(root, FACS, place, last, "_facs.txt", report)
    if file is None:
        return None
    levels: dict[int, int] = {}
    try:
        for i, row in enumerate(read_numbers(file, root), start=1):
            if len(row) != 2:
                raise BadFile(f"line {i}: {len(row)} numbers instead of an AU and its strength")
            if row[0] not in range(1, 100):
                raise BadFile(f"line {i}: AU {row[0]:g} is out of range (1 to 99)")
            if row[1] not in range(6):
                raise BadFile(f"line {i}: strength {row[1]:g} is out of range (0 to 5)")
            if int(row[0]) in levels:
                raise BadFile(f"line {i}: AU {row[0]:g} is there twice")
            levels[int(row[0])] = int(row[1]) or PRESENT_UNKNOWN
    except BadFile as error:
        report.problem(file.relative_to(root), None, str(error))
        return None
    unknown = [number for number in levels if au_column(number) not in AU_NAMES]
    if unknown:
        report.notice(
            file.relative_to(root), None, f"AU {', '.join(map(str, unknown))}: not used by this book"
        )
    return levels


def _read_eyes(root: Path, place: str, image: Path, report: Report) -> np.ndarray | None:
    file = _beside(root, LANDMARKS, place, image, "_landmarks.txt", report)
    if file is None:
        return None
    try:
        rows = read_numbers(file, root)
        if len(rows) != 68 or any(len(row) != 2 for row in rows):
            raise BadFile(f"{len(rows)} rows instead of 68 landmarks x y")
        return faces.eye_centres(np.array(rows))
    except BadFile as error:
        report.problem(file.relative_to(root), None, str(error))
        return None


def _find_orphans(root: Path, report: Report) -> None:
    """Labels of sequences that have no pictures at all, and landmarks of missing frames, are problems."""
    for branch, ending in ((EMOTION, "_emotion.txt"), (FACS, "_facs.txt"), (LANDMARKS, "_landmarks.txt")):
        for file in sorted((root / branch).glob(f"*/*/*{ending}")):
            if file.name.startswith("."):
                continue
            place = root / IMAGES / file.parent.relative_to(root / branch)
            picture = place / (file.name.removesuffix(ending) + ".png")
            if branch == LANDMARKS and place.is_dir() and not picture.exists() and not picture.is_symlink():
                report.problem(file.relative_to(root), None, f"its picture {picture.name} is missing")
            elif branch != LANDMARKS and not place.is_dir():
                report.problem(file.relative_to(root), None, "its sequence has no pictures")


def _count(sequences: list[Sequence], report: Report, drawn: bool) -> None:
    """Count labelled sequences, emotions and AUs; compare with the official release unless drawn."""
    peaks = [sequence.by_frame[sequence.frames[-1][0]] for sequence in sequences]
    shown = [(s.subject, p["emotion"]) for s, p in zip(sequences, peaks, strict=True) if p["emotion"]]
    report.counts |= {
        "labelled sequences": len(shown),
        "labelled people": len({subject for subject, _ in shown}),
    }
    emotions = {name: sum(emotion == name for _, emotion in shown) for name in EMOTIONS[1:]}
    report.counts |= {f"peaks of {name}": n for name, n in emotions.items()}
    columns = sorted({name for peak in peaks for name in peak if name.startswith("AU")})
    report.counts |= {f"peaks with {name}": sum(bool(p.get(name)) for p in peaks) for name in columns}
    if not drawn:
        report.compare(report.counts, OFFICIAL)
        report.compare(emotions, OFFICIAL_EMOTIONS, "peaks of {}")
