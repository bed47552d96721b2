"""Drawn corpora in the native layouts of the real ones, quirks included.

``write(name, out)`` draws any of ``NAMES``; each corpus's module has its plan, its sizes and its writer.
A plan is a table that says everything before a face is drawn; a tree carries ``DRAWN.json`` and
``truth.parquet``.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

from ferlib.config import UsageError, check_name
from ferlib.synthetic.native.plan import Plan, Size

NAMES = ("fer2013", "ckplus", "novaemotions", "casme2", "samm", "smic", "megc", "probe")
"""What can be drawn; ``megc`` is the list that joins drawn CASME II, SMIC and SAMM of one size and seed."""

FER2013_IMAGES = {"quick": 6_000, "full": 35_887}


def write(
    name: str,
    out: Path,
    size: str = "quick",
    subjects: int | None = None,
    images: int | None = None,
    seed: int = 0,
) -> Path:
    """Draw the corpus ``name`` into ``out`` and return it.

    size : ``quick`` or ``full``; subjects, images : other numbers of people and of sequences, clips or
        pictures.

    Raises ``UsageError`` for an unknown name or size, or a number that makes no sense, and ``DataError``
    where ``out`` holds something that was not drawn.
    """
    check_name("drawn corpus", name, NAMES)
    check_name("size", size, ("quick", "full"))
    if min(subjects or 1, images or 1) < 1:
        raise UsageError("--subjects and --images must be at least 1")
    if name == "fer2013":
        return _write_fer2013(out, images or FER2013_IMAGES[size], seed)
    module = importlib.import_module(f"{__name__}.{name}")
    wanted = getattr(module, size.upper())
    if isinstance(wanted, Size):
        wanted = scaled(wanted, subjects, images)
    elif subjects or images:
        raise UsageError(f"{name} is a list of drawn corpora: scale those")
    return getattr(module, f"write_{name}")(out, wanted, seed)


def scaled(size: Size, subjects: int | None, takes: int | None) -> Size:
    """``size`` with other numbers of people and takes; where one is not given it follows the other."""
    if subjects is None:
        subjects = size.subjects if takes is None else max(1, round(size.subjects * takes / size.takes))
    if takes is None:
        takes = max(1, round(size.takes * subjects / size.subjects))
    return dataclasses.replace(size, subjects=min(subjects, takes), takes=takes)


def _write_fer2013(out: Path, images: int, seed: int) -> Path:
    from ferlib.synthetic.writers import write_fer2013

    return write_fer2013(out, images, seed=seed)


__all__ = ["NAMES", "Plan", "Size", "scaled", "write"]
