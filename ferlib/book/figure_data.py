"""What a figure was drawn from, as one table that a reader can save.

Tables stay as they are.  Of pictures each row holds one: ``height``, ``width`` and ``pixels``, the values row by row
with spaces between them, as FER2013 writes its faces; a picture in colour as ``png``, the file in base 64.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def of(drawn: Mapping[str, Any]) -> pd.DataFrame | None:
    """The data among the arguments ``drawn`` of a figure; None where there are none, as of words and settings alone.

    What goes with tables as numbers and words (titles, lines of reference) is left out; lists of one length, such as
    pictures and their captions, stand side by side; several tables stand one above the other, under their names.
    """
    found = {name: table for name, value in drawn.items() if (table := _table(value)) is not None}
    lists = {
        name: table for name, table in found.items() if not isinstance(drawn[name], pd.DataFrame | pd.Series)
    }
    if len(lists) == len(found) > 1 and len({tuple(table.index) for table in lists.values()}) == 1:
        named = [t.rename(columns={c: name for c in t if c == "value"}) for name, t in lists.items()]
        return pd.concat(named, axis=1)
    return _stacked(found)


def _stacked(tables: Mapping[Any, pd.DataFrame]) -> pd.DataFrame | None:
    if len(tables) < 2:
        return next(iter(tables.values()), None)
    if len({table.index.nlevels for table in tables.values()}) > 1:  # names within names become one
        tables = {name: table.set_axis([_name(key) for key in table.index]) for name, table in tables.items()}
    return pd.concat({str(name): table for name, table in tables.items()})


def _name(key: Any) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _table(value: Any) -> pd.DataFrame | None:
    if isinstance(value, pd.DataFrame | pd.Series):
        frame = pd.DataFrame(value)
        return frame[[c for c in frame if not any(isinstance(v, np.ndarray) for v in frame[c][:1])]]
    if isinstance(value, Mapping):
        inside = {name: table for name, item in value.items() if (table := _table(item)) is not None}
        return _stacked(inside) if len(inside) != 1 else pd.concat(inside)
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return pd.DataFrame([_picture(value)])
    if isinstance(value, np.ndarray | list | tuple) and len(value):
        return pd.DataFrame([_row(item) for item in value])
    return None


def _row(item: Any) -> dict[str, Any]:
    """One row: a picture, a number or word, or several of these side by side."""
    if isinstance(item, np.ndarray) and item.ndim >= 2:
        return _picture(item)
    if isinstance(item, tuple | list):
        parts = [{f"value{i}": v for v in _row(part).values()} if np.isscalar(part) else _row(part)
                 for i, part in enumerate(item)]  # fmt: skip
        return {name: value for part in parts for name, value in part.items()}
    return {"value": item}


def _picture(image: np.ndarray) -> dict[str, Any]:
    sides = {"height": image.shape[0], "width": image.shape[1]}
    if image.ndim == 3:
        return {**sides, "png": _png(image)}
    return {**sides, "pixels": " ".join(f"{value:.4g}" for value in image.ravel().tolist())}


def _png(image: np.ndarray) -> str:
    """(H, W, 3) uint8, or fractions in [0, 1], as a PNG file in base 64."""
    from PIL import Image

    file, fraction = io.BytesIO(), image.dtype.kind == "f"
    Image.fromarray((255 * image).round().astype(np.uint8) if fraction else image).save(
        file, "PNG", optimize=True
    )
    return base64.b64encode(file.getvalue()).decode()
