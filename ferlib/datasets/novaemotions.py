"""NovaEmotions (Mourão & Magalhães 2013): faces of people who play a game, eight emotions by crowd vote.

Its file format is unpublished.  Accepted are what :mod:`ferlib.datasets.folder` accepts: a csv manifest
(``path,emotion,subject`` and votes an emotion), or a folder an emotion.
"""

from __future__ import annotations

from pathlib import Path

from ferlib.datasets import folder
from ferlib.datasets.native import Reading, drawn_mark

LICENCE = "on request from the authors: research"
OFFICIAL_N = 42_911


def read(source: Path, crop: bool = True) -> Reading:
    """Read a manifest or folders; never raises on bad content.  Raises as :func:`folder.read`."""
    reading = folder.read(source, crop, "novaemotions", LICENCE)
    report, found = reading.report, reading.report.counts["images used"]
    if drawn_mark(source) is None and found != OFFICIAL_N:
        report.notice(source.name, None, f"{found:,} images; the published corpus has {OFFICIAL_N:,}")
    if "subject" not in reading.table:
        report.notice(source.name, None, "no subject column: folds by person are not possible")
    return reading
