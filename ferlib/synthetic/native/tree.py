"""From a plan to a tree on the disk: one loop, one pool of workers, written aside and renamed into place."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

import ferlib
from ferlib.config import DataError
from ferlib.synthetic.native.plan import Plan, au_side_columns

DRAWN, TRUTH = "DRAWN.json", "truth.parquet"
CHUNK = 24  # frames drawn at a time: large enough for the rig, small enough for an even share of the workers
LOCK_WAIT_S = 3600.0
_ENCODING = {".jpg": "IMWRITE_JPEG_QUALITY", ".png": "IMWRITE_PNG_COMPRESSION"}
_QUALITY = {".jpg": 92, ".png": 1}


@dataclass(frozen=True, eq=False)
class Shots:
    """What the rig is asked to draw: n pictures, each of one person in one take.

    person, take, number : (n,) int; pictures of one take share light and camera.  px : side of the square drawn.
    levels : (n, U, 2) in [0, 5].  drift : (n, 3) degrees of yaw, pitch and roll added to the take's pose.
    """

    corpus: str
    setting: str
    seed: int
    px: int
    person: np.ndarray
    take: np.ndarray
    number: np.ndarray
    levels: np.ndarray
    drift: np.ndarray


@dataclass(frozen=True, eq=False)
class Pictures:
    """What comes back: ``images`` (n, px, px, 3) uint8 RGB, ``landmarks`` (n, 68, 2) px, ``pose`` (n, 3) degrees."""

    images: np.ndarray
    landmarks: np.ndarray
    pose: np.ndarray


Draw = Callable[[Shots], Pictures]
Labels = Callable[[Path, Plan, np.ndarray], None]
"""Writes all that is not a picture into the tree: (folder, plan, landmarks (N, 68, 2) in native pixels)."""


def write_tree(out: Path, plan: Plan, labels: Labels, workers: int | None = None, draw: Draw | None = None) -> Path:
    """Draw ``plan`` into the folder ``out``, replacing an older drawn tree, and return ``out``.

    workers : drawing processes, by default one a CPU core; 1 draws in this process.  The tree is the same for any.
    draw : who draws; by default the rig.

    Raises ``DataError`` where ``out`` holds something that was not drawn, or a drawing process died.
    """
    import filelock

    out = Path(out).absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(out.with_name(f".{out.name}.lock"), timeout=LOCK_WAIT_S):
        _tidy(out)
        fresh = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        fresh.mkdir()
        try:
            landmarks, pose = _draw_all(fresh, plan, workers or os.cpu_count() or 1, draw or draw_with_rig)
            labels(fresh, plan, landmarks)
            _write_truth(fresh / TRUTH, plan, landmarks, pose)
            _write_mark(fresh / DRAWN, plan)
            if out.exists():
                os.rename(out, _aside(out))
            os.rename(fresh, out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _tidy(out)
    return out


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.old")


def _tidy(out: Path) -> None:
    """Undo what a killed writer of ``out`` left behind; refuse to replace what was not drawn."""
    if _aside(out).exists() and not out.exists():
        os.rename(_aside(out), out)
    for left in (_aside(out), *out.parent.glob(f".{out.name}.*.tmp")):
        shutil.rmtree(left, ignore_errors=True)
    if out.exists() and not (out.is_dir() and ((out / DRAWN).is_file() or not any(out.iterdir()))):
        raise DataError(f"{out} holds files that were not drawn. Choose another place:  ferlib corpus make --out DIR")


# ------------------------------------------------------------------------------------------------ drawing


def _draw_all(folder: Path, plan: Plan, workers: int, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Draw and save every frame.  Returns landmarks (N, 68, 2) in native pixels and pose (N, 3) in degrees."""
    for parent in {(folder / file).parent for file in plan.frames["file"]}:
        parent.mkdir(parents=True, exist_ok=True)
    jobs = ((draw, shots, part) for shots, part in _chunks(folder, plan))
    if workers == 1:
        done = [_draw_chunk(*job) for job in jobs]
    else:
        try:
            done = list(_pool(workers).map(_draw_chunk, *zip(*jobs, strict=True)))
        except BrokenProcessPool:
            _pool.cache_clear()
            raise DataError(f"{folder}: a drawing process died, perhaps of memory; try fewer workers") from None
    landmarks, pose = (np.concatenate(parts) for parts in zip(*done, strict=True))
    return landmarks, pose


def _chunks(folder: Path, plan: Plan) -> Iterator[tuple[Shots, pd.DataFrame]]:
    """The plan in pieces: what to draw, and ``file width height colour`` of each picture."""
    frames = plan.frames.join(plan.takes[["person", "width", "height", "colour"]], on="take")
    frames["file"] = str(folder) + "/" + frames["file"]
    for start in range(0, len(plan), CHUNK):
        rows = slice(start, start + CHUNK)
        person, take, number = (frames[c].to_numpy()[rows] for c in ("person", "take", "number"))
        yield (
            Shots(plan.corpus, plan.setting, plan.seed, plan.size.face_px, person, take, number,
                  plan.levels[rows], plan.drift[rows]),
            frames.iloc[rows][["file", "width", "height", "colour"]],
        )  # fmt: skip


@lru_cache(maxsize=1)
def _pool(workers: int) -> ProcessPoolExecutor:
    """One pool for all corpora of a process: loading the rig takes a worker seconds."""
    ways = multiprocessing.get_all_start_methods()  # never a plain fork: torch's threads do not survive it
    context = multiprocessing.get_context("forkserver" if "forkserver" in ways else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is loaded: one process a core is fastest
    import cv2

    cv2.setNumThreads(1)


def _draw_chunk(draw: Draw, shots: Shots, parts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Draw one chunk and save its pictures.  Returns landmarks in native pixels and pose."""
    drawn = draw(shots)
    landmarks = np.empty_like(drawn.landmarks, dtype=np.float32)
    for i, part in enumerate(parts.itertuples()):
        image, landmarks[i] = set_into_frame(drawn.images[i], drawn.landmarks[i], part.width, part.height)
        save_picture(Path(part.file), image, part.colour)
    return landmarks, drawn.pose.astype(np.float32)


def draw_with_rig(shots: Shots) -> Pictures:
    """Draw with the rig: a take keeps its scene, and the head drifts in it."""
    raise NotImplementedError


def set_into_frame(image: np.ndarray, landmarks: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The square ``image`` (P, P, 3) scaled to ``height`` and cut or continued to ``width``, and its landmarks."""
    import cv2

    px = image.shape[0]
    how = cv2.INTER_AREA if height < px else cv2.INTER_CUBIC
    square = image if height == px else cv2.resize(image, (height, height), interpolation=how)
    left = (width - height) // 2
    if left > 0:
        square = cv2.copyMakeBorder(square, 0, 0, left, width - height - left, cv2.BORDER_REFLECT_101)
    elif width < height:
        square = square[:, -left : width - left]
    return square, landmarks * (height / px) + (left, 0)


def save_picture(file: Path, image: np.ndarray, colour: bool) -> None:
    """Write ``image`` (H, W, 3) uint8 RGB in the format of the file's suffix.  Raises ``OSError`` where it cannot."""
    import cv2

    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if colour else cv2.COLOR_RGB2GRAY)
    option = [getattr(cv2, _ENCODING[file.suffix]), _QUALITY[file.suffix]] if file.suffix in _ENCODING else []
    if not cv2.imwrite(str(file), pixels, option):
        raise OSError(f"{file} cannot be written")


# ------------------------------------------------------------------------------------------- beside the tree


def _write_truth(file: Path, plan: Plan, landmarks: np.ndarray, pose: np.ndarray) -> None:
    """One row a frame: who, what was coded, AU levels left and right, pose, landmarks (x0 y0 x1 ...), attributes."""
    takes = plan.takes.drop(columns=[c for c in plan.takes if plan.takes[c].map(type).isin([dict, tuple]).any()])
    parts = [
        plan.frames.rename(columns={"file": "image", "number": "frame"}),
        takes.loc[plan.frames["take"]].reset_index(drop=True),
        pd.DataFrame(plan.levels.reshape(len(plan), -1), columns=au_side_columns()),
        pd.DataFrame(pose, columns=["yaw", "pitch", "roll"]),
    ]
    table = pd.concat(parts, axis=1)
    table["landmarks"] = list(landmarks.reshape(len(plan), -1))
    table.merge(_attributes(plan), on="person", how="left").to_parquet(file, index=False)


def _attributes(plan: Plan) -> pd.DataFrame:
    """Age, skin tone, sex, hair, beard and glasses of each person of the plan."""
    from ferlib.synthetic.people import draw_people

    person = np.unique(plan.takes["person"])
    return draw_people(plan.corpus, plan.seed, person).attributes().assign(person=person)


def _write_mark(file: Path, plan: Plan) -> None:
    settings = {**dataclasses.asdict(plan.size), "setting": plan.setting}
    mark = {"corpus": plan.corpus, "synthetic": True, "settings": settings, "seed": plan.seed}
    file.write_text(json.dumps({**mark, "ferlib": ferlib.__version__}, indent=1) + "\n", encoding="utf-8")
