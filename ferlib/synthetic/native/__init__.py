"""Drawn corpora in the native layouts of the real ones, quirks included.

Each corpus's module has ``SIZES``, ``plan(size, seed)`` - a table that says everything before a face is
drawn - and ``write_labels``.  The writers here draw a plan; a tree carries ``DRAWN.json`` and, row for row,
``truth.parquet``.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path

from ferlib.config import UsageError, check_name
from ferlib.synthetic.native.megc import write_megc
from ferlib.synthetic.native.plan import Plan, Size
from ferlib.synthetic.native.tree import write_tree


def _writer(name: str) -> Callable[..., Path]:
    def write(
        out: Path,
        size: str = "quick",
        n_subjects: int | None = None,
        n_images: int | None = None,
        seed: int = 0,
        workers: int | None = None,
    ) -> Path:
        module = importlib.import_module(f"{__name__}.{name}")
        check_name("size", size, module.SIZES)
        plan = module.plan(scaled(module.SIZES[size], n_subjects, n_images), seed)
        return write_tree(out, plan, module.write_labels, workers)

    write.__name__ = f"write_{name}"
    write.__doc__ = f"""Draw the native layout of ``{name}`` into the folder ``out`` and return it.

    size : ``quick`` or ``full``.  n_subjects, n_images : other numbers of people, and of sequences, clips or
        pictures; where only one is given the other follows.
    workers : drawing processes, by default one a core; the tree is the same for any number.

    Raises ``UsageError`` for sizes that make no sense, ``DataError`` where ``out`` holds what was not drawn.
    """
    return write


write_ckplus = _writer("ckplus")
write_novaemotions = _writer("novaemotions")
write_casme2 = _writer("casme2")
write_samm = _writer("samm")
write_smic = _writer("smic")
write_probe = _writer("probe")

WRITERS: dict[str, Callable[..., Path]] = {
    "ckplus": write_ckplus,
    "novaemotions": write_novaemotions,
    "casme2": write_casme2,
    "samm": write_samm,
    "smic": write_smic,
    "probe": write_probe,
    "megc": write_megc,
}
"""Every native layout by name; ``megc`` is the list that joins drawn CASME II, SMIC and SAMM."""


def scaled(size: Size, n_subjects: int | None = None, n_images: int | None = None) -> Size:
    """``size`` with other numbers of people and takes; where only one is given the other follows it.

    Raises ``UsageError`` for numbers below 1 and for fewer takes than people.
    """
    if n_subjects is None:
        ratio = 1.0 if n_images is None else n_images / size.takes
        n_subjects = min(size.subjects, max(1, round(size.subjects * ratio)))
    if n_images is None:
        n_images = max(1, round(size.takes * n_subjects / size.subjects))
    if not 1 <= n_subjects <= n_images:
        raise UsageError(f"{n_images} images of {n_subjects} people: need at least one of each person")
    return dataclasses.replace(size, subjects=n_subjects, takes=n_images)


__all__ = ["WRITERS", "Plan", "Size", "scaled", *(f"write_{name}" for name in WRITERS)]
