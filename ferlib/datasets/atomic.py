"""Replace a folder so that it is whole or not there, whatever is killed, whenever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ferlib import paths
from ferlib.config import DataError

LOCK_WAIT_S = 600.0


@contextmanager
def replacing(place: Path) -> Iterator[Path]:
    """A fresh empty folder to fill; when the block ends well it is flushed to the disk and becomes ``place``.

    One writer of a place at a time: others wait for its lock, which the system frees when a writer dies.
    If the block raises, ``place`` stays as it was.  Raises ``DataError`` where the disk refuses, or another
    writer holds the lock for longer than ``LOCK_WAIT_S``.
    """
    import filelock  # readers do without

    try:
        with _replacing(place, filelock.FileLock(lock_of(place), timeout=LOCK_WAIT_S)) as fresh:
            yield fresh
    except filelock.Timeout:
        raise DataError(f"{place} is being written by another process; wait for it, or end it") from None
    except OSError as error:
        hint = f"Choose another home:  export FERLIB_HOME=FOLDER (now {paths.home()})"
        raise DataError(f"{place} cannot be written: {error}. {hint}") from error


@contextmanager
def _replacing(place: Path, lock: AbstractContextManager) -> Iterator[Path]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with lock:
        tidy(place)
        fresh = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        fresh.mkdir()
        try:
            yield fresh
            _sync(fresh)
            if place.exists():
                os.rename(place, aside(place))  # a kill here leaves the old one where readers look next
            os.rename(fresh, place)
            _sync_folder(place.parent)
            shutil.rmtree(aside(place), ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def aside(place: Path) -> Path:
    """Where the old content of ``place`` is while it is being replaced."""
    return place.with_name(f".{place.name}.old")


def lock_of(place: Path) -> Path:
    """The lock file of ``place``."""
    return place.with_name(f".{place.name}.lock")


def tidy(place: Path) -> list[Path]:
    """Undo what killed writers of ``place`` left behind; call under its lock.  Returns what was removed."""
    left = list(place.parent.glob(f".{place.name}.*.tmp"))
    if aside(place).exists():
        if place.exists():
            left.append(aside(place))
        else:
            os.rename(aside(place), place)
    for folder in left:
        shutil.rmtree(folder)
    return left


def _sync(folder: Path) -> None:
    for inner, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(inner, name), "rb+") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(inner))


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
