"""Tiny FER2013 worlds for the tests."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib import datasets

USAGES = ("Training", "PublicTest", "PrivateTest")


def pixels(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, 256, (n, 48 * 48), dtype=np.uint8)


def csv_row(emotion: int, face: np.ndarray, usage: str | None = "Training") -> str:
    fields = [str(emotion), " ".join(map(str, face.tolist()))]
    return ",".join([*fields, usage] if usage is not None else fields)


def write_csv(path: Path, rows: list[str], header: str = "emotion,pixels,Usage") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def good_rows(n: int = 12, seed: int = 0) -> tuple[list[str], np.ndarray]:
    faces = pixels(np.random.default_rng(seed), n)
    return [csv_row(i % 7, face, USAGES[i * 3 // n]) for i, face in enumerate(faces)], faces


def store(
    name: str, table: dict[str, list], side: int = 8, images: np.ndarray | None = None
) -> datasets.FaceSet:
    """Store a little corpus of numbered flat images and load it."""
    frame = pd.DataFrame(table)
    n = len(frame)
    if "image" not in frame:
        frame.insert(0, "image", [f"i{i}" for i in range(n)])
    if images is None:
        images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None], (n, side, side))
    synthetic = name.startswith("synthetic-")
    datasets.write_store(name, images, frame, {"synthetic": synthetic, "licence": "none", "source": "test"})
    return datasets.load(name)


def sample(folder: Path) -> Path:
    """The committed sample, unpacked: 42 drawn faces in FER2013's layout with their ``DRAWN.json``."""
    source = Path(__file__).parent / "data" / "fer2013"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fer2013.csv").write_bytes(gzip.decompress((source / "fer2013.csv.gz").read_bytes()))
    shutil.copy(source / "DRAWN.json", folder)
    return folder
