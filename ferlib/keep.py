"""Keep what was made so that it is whole or not there, whatever is killed, whenever: folders, and files of arrays."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ferlib import paths
from ferlib.config import DataError

LOCK_WAIT_S = 3600.0


def digest_of(*arrays: np.ndarray) -> str:
    """Digest of arrays: their types, shapes and content."""
    seen = hashlib.sha256()
    for array in arrays:
        seen.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()


def arrays(place: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The named arrays in the file ``place`` (``.npz``); made where they are not there yet."""
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = make()
        paths.write_open(place, lambda file: np.savez(file, allow_pickle=False, **made))
    with np.load(place) as found:
        return dict(found)


@contextmanager
def locked(place: Path, lock: Path | None = None) -> Iterator[None]:
    """Hold the lock of ``place``, the file ``lock``; the system frees it when its holder dies.

    Raises ``DataError`` where another holds it for longer than ``LOCK_WAIT_S``, or the disk refuses.
    """
    import filelock  # readers do without

    held = filelock.FileLock(lock or lock_of(place), timeout=LOCK_WAIT_S)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except filelock.Timeout:
        raise DataError(f"{place} is being written by another process; wait for it, or end it") from None
    except OSError as error:
        raise DataError(_refusal(place, error)) from error
    try:
        yield
    finally:
        held.release()


def _refusal(place: Path, error: OSError) -> str:
    hint = f"Choose another home:  export FERLIB_HOME=FOLDER (now {paths.home()})"
    return f"{place} cannot be written: {error}. {hint}"


@contextmanager
def replacing(place: Path, lock: Path | None = None) -> Iterator[Path]:
    """A fresh empty folder to fill; when the block ends well it is flushed to the disk and becomes ``place``.

    One writer of a place at a time, by the file ``lock`` (beside ``place``, unless told).  If the block raises,
    ``place`` stays as it was.  Raises ``DataError`` where the disk refuses.
    """
    with locked(place, lock):
        fresh = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        try:
            tidy(place)
            fresh.mkdir()
            yield fresh
            _sync(fresh)
            if place.exists():
                os.rename(place, aside(place))  # a kill here leaves the old one where readers look next
            os.rename(fresh, place)
            _sync_folder(place.parent)
            shutil.rmtree(aside(place), ignore_errors=True)
        except OSError as error:
            raise DataError(_refusal(place, error)) from error
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
