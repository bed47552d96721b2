"""Write and open corpus stores: ``images.npy``, ``table.parquet`` and ``manifest.json`` in one folder.

A store is written beside its place and renamed into it, under a lock, so that it is whole or not there:
whatever is killed, whenever, leaves the old store or the new one.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ferlib
from ferlib import paths
from ferlib.config import DataError
from ferlib.datasets.report import Report
from ferlib.keep import aside, replacing
from ferlib.labels import DRAWN_PREFIX, EMOTIONS, SPLITS

IMAGES, TABLE, MANIFEST, LEFT_OUT = "images.npy", "table.parquet", "manifest.json", "left_out.csv"


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
    with replacing(paths.corpus(name)) as fresh:
        _fill(fresh, name, images, table, manifest)
    return paths.corpus(name)


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
        "left_out": [],
        **manifest,
        "digest": seen.hexdigest(),
    }
    (folder / MANIFEST).write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    if manifest.get("left_out"):
        pd.DataFrame(manifest["left_out"]).to_csv(folder / LEFT_OUT, index=False)


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
        seen.update(_header((n_images, height, width)))
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
    if written != n_images:
        raise DataError(f"{name}: {written} images for {n_images} table rows")
    return height, width


def is_prepared(name: str) -> bool:
    """Whether a store of that name can be opened."""
    return any((folder / MANIFEST).is_file() for folder in (paths.corpus(name), aside(paths.corpus(name))))


def read_manifest(name: str) -> dict[str, Any]:
    """The manifest of the store ``name``.  Raises ``DataError`` with the next command where there is none."""
    place = paths.corpus(name)
    for folder in (place, aside(place), place):
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
        folder = place if (place / MANIFEST).is_file() else aside(place)
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


def verify_store(name: str) -> Report:
    """Read every byte of the store and compare with its manifest; never raises on damage."""
    report = Report(name, paths.corpus(name))
    try:
        images, table, manifest = open_store(name)
    except DataError as error:
        report.problem(paths.corpus(name), None, str(error))
        return report
    seen = hashlib.sha256(_header(images.shape))
    for start in range(0, len(images), 4096):
        seen.update(np.ascontiguousarray(images[start : start + 4096]).data)
    seen.update(table.to_csv(index=False).encode())
    if seen.hexdigest() != manifest["digest"]:
        report.problem(
            MANIFEST, None, f"the content has not the digest it was stored with. {_how_to_make(name)}"
        )
    report.counts |= {"images": len(images)}
    for column, counts in manifest["counts"].items():
        report.counts |= {f"{column} {value}": n for value, n in counts.items()}
    if manifest["left_out"]:
        report.notice(
            LEFT_OUT, None, f"{len(manifest['left_out']):,} bad rows were left out when it was prepared"
        )
    return report


def _header(shape: tuple[int, ...]) -> bytes:
    """What the digest says of the images before their bytes."""
    return json.dumps({"descr": "|u1", "fortran_order": False, "shape": list(shape)}).encode()


def _how_to_make(name: str) -> str:
    if name.startswith(DRAWN_PREFIX):
        return f"Draw it:  ferlib corpus make {name.removeprefix(DRAWN_PREFIX)}"
    return f"Prepare it from your copy:  ferlib corpus prepare {name} --source PATH"
