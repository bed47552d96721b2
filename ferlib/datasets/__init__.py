"""Corpora of faces: read native layouts, check them, write and open stores.

``load`` opens a prepared corpus, ``ensure`` makes a drawn one first where it is missing;
``check`` and ``prepare`` read a native layout through the module of that corpus.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

from ferlib import paths
from ferlib.config import DataError, UsageError, check_name
from ferlib.datasets.about import how_to_get
from ferlib.datasets.base import FaceSet, load
from ferlib.datasets.drawn import make, outdated, writers
from ferlib.datasets.native import LayoutError, Reading, drawn_mark, store_reading, stored_name
from ferlib.datasets.report import Finding, Report
from ferlib.datasets.store import is_prepared, open_store, read_manifest, verify_store, write_store
from ferlib.keep import locked
from ferlib.labels import DRAWN_PREFIX

__all__ = [
    "FaceSet", "Finding", "Report", "check", "check_home", "drawn_mark", "ensure", "is_prepared", "load",
    "make", "open_store", "outdated", "prepare", "read_manifest", "stored_name", "verify_store", "write_store",
    "writers",
]  # fmt: skip

READERS: dict[str, str] = {
    "fer2013": "fer2013", "ckplus": "ckplus", "novaemotions": "novaemotions", "casme2": "casme2",
    "samm": "samm", "smic": "smic", "folder": "folder", "probe": "folder",
}  # fmt: skip
"""Corpora whose native layout can be read, and the module of this package whose ``read(source, ...)`` does it.

Your own pictures may be called ``folder`` or ``folder-<any name>``.
"""


def _reader_of(name: str) -> str:
    """The module that reads corpus ``name``.  Raises ``UsageError`` for names that are not known."""
    plain = name.removeprefix(DRAWN_PREFIX)
    return READERS[check_name("corpus", "folder" if plain.startswith("folder-") else plain, READERS)]


def _read(name: str, source: Path, options: dict[str, Any]) -> Reading:
    module = importlib.import_module(f"ferlib.datasets.{_reader_of(name)}")
    takes = inspect.signature(module.read).parameters
    unknown = set(options) - set(takes) - {"crop"}
    if unknown:
        raise UsageError(f"{name} takes no --{', --'.join(sorted(unknown))}")
    try:
        return module.read(source, **{name: value for name, value in options.items() if name in takes})
    except LayoutError as error:
        raise DataError(f"{error}.\n{how_to_get(name)}") from None
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error}.\n{how_to_get(name)}") from error


def _check_there(name: str, source: Path) -> None:
    _reader_of(name)
    try:
        source.stat()
    except FileNotFoundError:
        raise DataError(f"{source} does not exist.\n{how_to_get(name)}") from None
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error}.\n{how_to_get(name)}") from error


def check(name: str, source: Path, **options: Any) -> Report:
    """Read the native layout at ``source`` and say what is wrong with it; stores nothing."""
    _check_there(name, source)
    return _read(name, source, {**options, "crop": False}).report


def check_home(name: str) -> list[Report]:
    """Check what the home holds of corpus ``name``: its store, its drawn store, and its drawn native layout.

    Raises ``DataError`` with the next command where it holds nothing.
    """
    _reader_of(name)
    plain = name.removeprefix(DRAWN_PREFIX)
    names = (DRAWN_PREFIX + plain,) if name != plain else (plain, DRAWN_PREFIX + plain)
    reports = [verify_store(found) for found in names if is_prepared(found)]
    if paths.drawn(plain).is_dir():
        reports.append(check(plain, paths.drawn(plain)))
    if not reports:
        raise DataError(
            f"The home {paths.home()} holds no {name}. Check your copy:  ferlib corpus check {name} PATH\n"
            f"or draw it:  ferlib corpus make {plain}"
        )
    return reports


def prepare(name: str, source: Path, skip_bad: bool = False, **options: Any) -> tuple[Path, Report]:
    """Read the native layout at ``source`` and store it.  Returns the store's folder and the report.

    A tree that bears a ``DRAWN.json`` is stored as ``synthetic-<name>``.  Raises ``DataError`` where there
    are problems, unless ``skip_bad``; then nothing, or all that is good, is stored.
    """
    _check_there(name, source)
    stored_name(name, source)  # refuses a wrong name before the long reading
    reading = _read(name, source, options)
    return store_reading(name, source, reading, skip_bad), reading.report


def ensure(name: str) -> Path:
    """The folder of the prepared corpus ``name``; a missing ``synthetic-*`` one is drawn first.

    One that another version of the rig drew stays as it is, and a warning says so.
    Raises ``DataError`` with the next command where a real corpus is not prepared.
    """
    if not is_prepared(name) and name.startswith(DRAWN_PREFIX):
        plain = name.removeprefix(DRAWN_PREFIX)
        with locked(paths.corpora() / f"{name}.ensure"):  # chapters that run side by side draw it once
            if not is_prepared(name):
                prepare(plain, make(plain))
    notice = outdated(read_manifest(name))
    if notice:
        warnings.warn(notice, stacklevel=2)
    return paths.corpus(name)
