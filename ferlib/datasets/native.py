"""What all native layouts have in common: a reading with its report, the mark of drawn corpora, prepare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib.config import DataError
from ferlib.datasets.report import Report
from ferlib.datasets.store import write_store
from ferlib.labels import DRAWN_PREFIX

DRAWN = "DRAWN.json"


class LayoutError(DataError):
    """The source is not laid out as that corpus is: the wrong folder, or an empty one."""


@dataclass
class Reading:
    """A native layout, read: what was found wrong, one table row for each good image, and the images.

    images : (N, H, W) uint8, or chunks of them in the table's order.
    facts : what the store's manifest says besides.
    """

    report: Report
    table: pd.DataFrame
    images: np.ndarray | Iterable[np.ndarray]
    licence: str
    facts: dict[str, Any] = field(default_factory=dict)


def drawn_mark(source: Path) -> dict[str, Any] | None:
    """The content of the ``DRAWN.json`` that marks ``source`` as drawn, or None for photographs.

    Looked for beside a file, in a folder, and in the folders above: a part of a drawn tree is drawn.
    An unreadable mark is a mark.
    """
    start = source.absolute()
    for folder in (start, *start.parents):
        mark = folder / DRAWN
        if mark.is_file():
            try:
                content = json.loads(mark.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                content = {}
            return content if isinstance(content, dict) else {}
    return None


def stored_name(name: str, source: Path) -> str:
    """The name under which ``source`` is stored: a drawn tree never gets the name of a real corpus."""
    plain = name.removeprefix(DRAWN_PREFIX)
    if drawn_mark(source) is not None:
        return DRAWN_PREFIX + plain
    if name != plain:
        raise DataError(f"{source} bears no {DRAWN}, so it is not {name}. Prepare it as {plain!r}")
    if plain == "probe":
        raise DataError(f"{source} bears no {DRAWN}; the probe is always drawn:  ferlib corpus make probe")
    return plain


def store_reading(name: str, source: Path, reading: Reading, skip_bad: bool = False) -> Path:
    """Store ``reading`` of ``source``; returns the folder.

    Raises ``DataError`` where it has problems, unless ``skip_bad``: then what is wrong is left out and
    listed in ``left_out.csv`` in the store.
    """
    problems = reading.report.problems
    next_step = f"All of them:  ferlib corpus check {name} {source}"
    if problems and not skip_bad:
        shown = "\n".join(f"  {problem}" for problem in problems[:5])
        raise DataError(
            f"{source} has {len(problems):,} problem(s); nothing was stored.\n{shown}\n{next_step}\n"
            "Store the rest without them:  add --skip-bad"
        )
    if len(reading.table) == 0:
        raise DataError(f"{source} has no usable image. {next_step}")
    mark = drawn_mark(source)
    manifest = {
        "synthetic": mark is not None,
        "licence": "MIT (drawn by ferlib)" if mark is not None else reading.licence,
        "source": str(source.absolute()),
        "drawn": mark,
        "left_out": [{"file": p.file, "line": p.line, "reason": p.reason} for p in problems],
        **reading.facts,
    }
    return write_store(stored_name(name, source), reading.images, reading.table, manifest)
