"""Your own pictures: find the faces, crop them, and name the expressions with a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import faces, learner, runs
from ferlib.config import DataError, UsageError
from ferlib.recipes import RECIPES
from ferlib.runs import Run

ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp")
PLACE = ("x", "y", "width", "height")
NO_FACE, NOT_READ = "no face found", "cannot be read as a picture"


def pictures(places: Iterable[Path]) -> list[Path]:
    """The files named, and the pictures of the folders named, in order.

    Raises :class:`UsageError` for a place that is not there, ``DataError`` for a folder without pictures.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise UsageError(f"{place} does not exist; name pictures or folders of them")
        inner = (
            sorted(f for f in place.rglob("*") if f.suffix.lower() in ENDINGS) if place.is_dir() else [place]
        )
        if not inner:
            raise DataError(f"{place} holds no pictures ({', '.join(ENDINGS)})")
        found += inner
    return found


def newest() -> Run:
    """The run that was finished last.  Raises ``DataError`` with the next command where there is none."""
    made = runs.all()
    if not made:
        raise DataError("No trained run here. Chapter 1 makes runs:  ferlib book build --only training")
    return max(made, key=lambda run: run.record["date"])


def predict(run: Run, files: Iterable[Path], whole: bool = False) -> pd.DataFrame:
    """One row a face: ``file x y width height note emotion`` and the probability of each of the run's emotions.

    whole : take every picture as a face that was cropped already, instead of looking for faces in it.
    A picture without a face, or that cannot be read, has one row that says so in ``note``.
    """
    size = run.record["network"]["settings"]["size"]
    rows, crops = [], []
    for file in files:
        for row, crop in _found(file, size, whole):
            rows.append({"file": str(file), **row})
            crops.append(crop)
    table = pd.DataFrame(rows, columns=["file", *PLACE, "note"]).astype(dict.fromkeys(PLACE, "Int64"))
    return pd.concat([table, _named(run, crops)], axis=1)


def _found(file: Path, size: int, whole: bool) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    image = _read(file)
    if image is None:
        yield {"note": NOT_READ}, None
        return
    boxes = [faces.whole_box(image)] if whole else faces.find_faces(image)
    for box in boxes:
        yield {**dict(zip(PLACE, box, strict=True)), "note": ""}, faces.crop_box(image, box, size)
    if not boxes:
        yield {"note": NO_FACE}, None


def _read(file: Path) -> np.ndarray | None:
    """(H, W) uint8, or None where the file holds no picture."""
    import cv2

    data = np.fromfile(file, np.uint8)  # imread fails on some names
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None


def _named(run: Run, crops: list[np.ndarray | None]) -> pd.DataFrame:
    """``emotion`` and a probability for each class, one row a crop; missing where the crop is None."""
    p = np.full((len(crops), len(run.emotions)), np.nan, np.float32)
    there = {i: crop for i, crop in enumerate(crops) if crop is not None}
    if there:
        flip = RECIPES[run.config["recipe"]].flip_at_test
        p[list(there)] = learner.predict(run.model(), np.stack(list(there.values())), flip)
    table = pd.DataFrame(p, columns=list(run.emotions))
    names = pd.Series(pd.NA, index=table.index, dtype="string")
    names.iloc[list(there)] = [run.emotions[k] for k in p[list(there)].argmax(axis=1)]
    table.insert(0, "emotion", names)
    return table
