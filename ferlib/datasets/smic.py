"""SMIC-HS (Li et al. 2013) in its native layout: 164 clips at 100 fps in three classes; no apex, no AUs.

``HS/s1/micro/{negative,positive,surprise}/s1_ne_01/reg_image*.bmp``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ferlib.datasets import clips
from ferlib.datasets.native import LayoutError, Reading, drawn_mark
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import Sequence, numbered_files, one_spelling, read_sequences, subfolders
from ferlib.labels import EMOTIONS

LICENCE = "signed agreement (University of Oulu): research"
FPS = 100
OFFICIAL = {"negative": 70, "positive": 51, "surprise": 43}
CODES = {"ne": "negative", "po": "positive", "sur": "surprise", "su": "surprise"}


def read(source: Path, crop: bool = True) -> Reading:
    """Read the tree at ``source``, the folder ``HS`` or the one above; never raises on bad content.

    ``label`` is ``negative``, ``positive`` or ``surprise``.  People and clips get padded names (``s01``,
    ``s01_ne_01``), as in the composite list of MEGC 2019.  Raises ``DataError`` where there is no ``HS``.
    """
    folder = source if source.name == "HS" else source / "HS"
    if not folder.is_dir():
        raise LayoutError(f"{source} holds no folder HS. Give the folder in which SMIC was unpacked")
    report = Report("smic", source)
    people = one_spelling(subfolders(folder, source, report), r"s(\d{1,3})", source, report)
    sequences: list[Sequence] = []
    for number, person in sorted(people.items()):
        for emotion in subfolders(person / "micro", source, report):
            if emotion.name not in OFFICIAL:
                reason = f"unknown emotion (known: {', '.join(OFFICIAL)})"
                report.problem(emotion.relative_to(source), None, reason)
                continue
            for clip in subfolders(emotion, source, report):
                sequences += _read_clip(source, number, emotion.name, clip, report)
    reading = read_sequences(_without_twins(sequences, report), source, report, LICENCE, crop)
    clips.count_labels(sequences, OFFICIAL, report, drawn=drawn_mark(source) is not None)
    return reading


def _read_clip(root: Path, person: int, label: str, folder: Path, report: Report) -> list[Sequence]:
    """The clip in ``folder``, or none where its name contradicts its place or it has no frames."""
    where = folder.relative_to(root)
    match = re.fullmatch(r"s(\d{1,3})_(ne|po|sur|su)_(\d{1,3})", folder.name, re.IGNORECASE)
    if not match:
        report.notice(where, None, "not a clip's folder; passed over")
        return []
    if int(match[1]) != person or CODES[match[2].lower()] != label:
        report.problem(where, None, f"the name contradicts its place: person s{person}, {label}")
        return []
    files = numbered_files(folder, r"(?:reg_)?image(\d+)\.bmp", root, report)
    if not files:
        report.problem(where, None, "a clip without frames")
        return []
    columns = {"emotion": label if label in EMOTIONS else None, "label": label, "fps": FPS}
    name = f"s{person:02d}_{match[2].lower()}_{int(match[3]):02d}"
    return [Sequence(f"s{person:02d}", name, files, len(files), columns, is_cropped=True)]


def _without_twins(sequences: list[Sequence], report: Report) -> list[Sequence]:
    """The clips, each name once; a second folder of the same clip is a problem."""
    kept: dict[str, Sequence] = {}
    for sequence in sequences:
        if sequence.name in kept:
            where = sequence.frames[0][1].parent.relative_to(report.source)
            other = kept[sequence.name].frames[0][1].parent.name
            report.problem(where, None, f"the same clip as {other}, in another spelling")
        kept.setdefault(sequence.name, sequence)
    return list(kept.values())
