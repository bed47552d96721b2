"""Write and open corpus stores: ``images.npy``, ``table.parquet`` and ``manifest.json`` in one folder.

A store is written beside its place and renamed into it, under a lock, so that it is whole or not there:
whatever is killed, whenever, leaves the old store or the new one.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ferlib
from ferlib import paths
from ferlib.config import DataError
from ferlib.labels import DRAWN_PREFIX, EMOTIONS, SPLITS

IMAGES, TABLE, MANIFEST = "images.npy", "table.parquet", "manifest.json"
LOCK_WAIT_S = 600.0


def table_schema() -> Any:
    """The pandera schema of a store's table; every column but ``image`` may be absent."""
    import pandera.pandas as pa

    def column(kind: Any, *checks: Any, nullable: bool = False, **more: Any) -> Any:
        return pa.Column(kind, list(checks), nullable=nullable, required=False, **more)

    at_least_0 = pa.Check.ge(0)
    columns = {
        "image": pa.Column(str, unique=True),
        "subject": column(str, pa.Check.str_length(min_value=1), nullable=True),
        "sequence": column(str, nullable=True),
        "frame": column("int32", at_least_0),
        "n_frames": column("int32", pa.Check.ge(1)),
        "split": column(str, pa.Check.isin(SPLITS)),
        "emotion": column(str, pa.Check.isin(EMOTIONS), nullable=True),
        "votes_.+": column("uint16", regex=True),
        r"AU\d\d": column("float32", pa.Check.isin(range(7)), nullable=True, regex=True),
        "onset": column("Int32", at_least_0, nullable=True),
        "apex": column("Int32", at_least_0, nullable=True),
        "offset": column("Int32", at_least_0, nullable=True),
        "fps": column("float32", pa.Check.gt(0)),
        "source": column(str),
        "duplicate_of": column("int32", pa.Check.ge(-1)),
        "duplicate_across": column(str),
    }
    return pa.DataFrameSchema(columns, strict=False)


def write_store(
    name: str, images: np.ndarray | Iterable[np.ndarray], table: pd.DataFrame, manifest: dict[str, Any]
) -> Path:
    """Write the store ``name``, replacing an older one of that name, and return its folder.

    images : (N, H, W) uint8 grey levels, or an iterable of such chunks (n, H, W) in the table's order.
    table : one row an image, columns as in :func:`table_schema`.
    manifest : at least ``synthetic`` (bool), ``licence`` and ``source``; counts, digest and date are added.

    Raises ``DataError`` where the table does not fit the schema or the images, and where a drawn corpus
    is about to be stored under a real corpus's name or the reverse.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise DataError(f"Corpus name {name!r}: use small letters, digits, '-' and '_' only")
    if bool(manifest["synthetic"]) != name.startswith(DRAWN_PREFIX):
        raise DataError(
            f"{name}: a drawn corpus is stored as {DRAWN_PREFIX}<name>, a photographed one never is "
            f"(this one says synthetic={manifest['synthetic']})"
        )
    table = _checked(name, table)
    import filelock  # not needed to read a store

    paths.corpora().mkdir(parents=True, exist_ok=True)
    place = paths.corpus(name)
    with filelock.FileLock(place.with_name(f".{name}.lock"), timeout=LOCK_WAIT_S):
        _tidy(place)
        fresh = place.with_name(f".{name}.{os.getpid()}.tmp")
        fresh.mkdir()
        try:
            _fill(fresh, name, images, table, manifest)
            _swap(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return place


def _checked(name: str, table: pd.DataFrame) -> pd.DataFrame:
    from pandera.errors import SchemaErrors

    table = table.reset_index(drop=True)
    if len(table) == 0:
        raise DataError(f"{name}: no image to store")
    try:
        return table_schema().validate(table, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "failure_case", "index"]].head(10)
        raise DataError(f"{name}: the table breaks its schema:\n{cases.to_string(index=False)}") from None


def _fill(
    folder: Path, name: str, images: np.ndarray | Iterable[np.ndarray], table: pd.DataFrame, manifest: dict
) -> None:
    """Write the three files of a store into ``folder`` and flush them to the disk."""
    seen = hashlib.sha256()
    chunks = iter([images]) if isinstance(images, np.ndarray) else iter(images)
    height, width = _write_images(folder / IMAGES, chunks, len(table), seen, name)
    seen.update(table.to_csv(index=False).encode())
    table.to_parquet(folder / TABLE, index=False)
    counts = {c: table[c].value_counts().sort_index().to_dict() for c in ("split", "emotion") if c in table}
    record = {
        "name": name,
        "n_images": len(table),
        "height_px": height,
        "width_px": width,
        "n_subjects": int(table["subject"].nunique()) if "subject" in table else None,
        "emotions": [e for e in EMOTIONS if e in counts.get("emotion", {})],
        "counts": counts,
        "ferlib": ferlib.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **manifest,
        "digest": seen.hexdigest(),
    }
    (folder / MANIFEST).write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    for file in (folder / TABLE, folder / MANIFEST):
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
    _sync_folder(folder)


def _write_images(
    file: Path, chunks: Iterator[np.ndarray], n_images: int, seen: Any, name: str
) -> tuple[int, int]:
    """Stream ``chunks`` into an ``.npy`` file of ``n_images`` faces.  Returns (height, width) in pixels."""
    first = next(chunks, np.empty((0, 0, 0), np.uint8))
    height, width = first.shape[1:]
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_images, height, width)}
    written = 0
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        seen.update(json.dumps(header).encode())
        chunk: np.ndarray | None = first
        while chunk is not None:
            if chunk.dtype != np.uint8 or chunk.shape[1:] != (height, width):
                raise DataError(
                    f"{name}: images must be (n, {height}, {width}) uint8, not {chunk.shape} {chunk.dtype}"
                )
            content = np.ascontiguousarray(chunk).data
            seen.update(content)
            out.write(content)
            written += len(chunk)
            chunk = next(chunks, None)
        out.flush()
        os.fsync(out.fileno())
    if written != n_images:
        raise DataError(f"{name}: {written} images for {n_images} table rows")
    return height, width


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _swap(fresh: Path, place: Path) -> None:
    """Put ``fresh`` into ``place``.  After a kill between the renames readers find the old store aside."""
    if place.exists():
        os.rename(place, _aside(place))
    os.rename(fresh, place)
    _sync_folder(place.parent)
    shutil.rmtree(_aside(place), ignore_errors=True)


def _tidy(place: Path) -> None:
    """Undo what a killed writer of ``place`` left behind.  Call under its lock."""
    if _aside(place).exists():
        if place.exists():
            shutil.rmtree(_aside(place))
        else:
            os.rename(_aside(place), place)
    for left in place.parent.glob(f".{place.name}.*.tmp"):
        shutil.rmtree(left)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_prepared(name: str) -> bool:
    """Whether a store of that name can be opened."""
    return any((folder / MANIFEST).is_file() for folder in (paths.corpus(name), _aside(paths.corpus(name))))


def read_manifest(name: str) -> dict[str, Any]:
    """The manifest of the store ``name``.  Raises ``DataError`` with the next command where there is none."""
    place = paths.corpus(name)
    for folder in (place, _aside(place), place):
        try:
            return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / MANIFEST}: {error}. {_how_to_make(name)}") from None
    raise DataError(f"No prepared corpus {name!r} in {paths.corpora()}. {_how_to_make(name)}")


def open_store(name: str) -> tuple[np.ndarray, pd.DataFrame, dict[str, Any]]:
    """Open the store ``name``.

    Returns the images as a read-only memory map (N, H, W) uint8, the table (N rows) and the manifest.
    Raises ``DataError`` with the next command where there is no store or it is damaged.
    """
    while True:
        manifest = read_manifest(name)
        place = paths.corpus(name)
        folder = place if (place / MANIFEST).is_file() else _aside(place)
        try:
            images = np.load(folder / IMAGES, mmap_mode="r")
            table = pd.read_parquet(folder / TABLE)
        except FileNotFoundError:
            if read_manifest(name)["digest"] == manifest["digest"] and folder.exists():
                raise DataError(f"{folder} is incomplete. {_how_to_make(name)}") from None
            continue
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} is damaged: {error}. {_how_to_make(name)}") from None
        if read_manifest(name)["digest"] == manifest["digest"]:  # else it was replaced while we read
            break
    if images.dtype != np.uint8 or len(images) != len(table) or len(table) != manifest["n_images"]:
        raise DataError(f"{folder}: images, table and manifest disagree. {_how_to_make(name)}")
    return images, table, manifest


def verify_store(name: str) -> bool:
    """Whether the content of the store still has the digest of its manifest.  Reads every byte."""
    images, table, manifest = open_store(name)
    header = {"descr": "|u1", "fortran_order": False, "shape": images.shape}
    seen = hashlib.sha256(json.dumps(header).encode())
    for start in range(0, len(images), 4096):
        seen.update(np.ascontiguousarray(images[start : start + 4096]).data)
    seen.update(table.to_csv(index=False).encode())
    return seen.hexdigest() == manifest["digest"]


def _how_to_make(name: str) -> str:
    if name.startswith(DRAWN_PREFIX):
        return f"Draw it:  ferlib corpus make {name.removeprefix(DRAWN_PREFIX)}"
    return f"Prepare it from your copy:  ferlib corpus prepare {name} --source PATH"
