"""From a plan to a tree on the disk: one loop, one pool of workers, written aside and renamed into place."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import ferlib
from ferlib import jobs
from ferlib.config import DataError, digest
from ferlib.lifeline import die_with
from ferlib.synthetic.native.plan import Format, Plan, au_side_columns, rng_of
from ferlib.synthetic.native.shots import Draw, Shots, draw_with_rig, save_picture, set_into_frame

DRAWN, TRUTH = "DRAWN.json", "truth.parquet"
CHUNK = 32  # frames drawn at a time: two batches of the rig, and an even share for the workers
LOCK_WAIT_S = 3600.0

Labels = Callable[[Path, Plan, np.ndarray], None]
"""Writes all that is not a picture into the tree: (folder, plan, landmarks (N, 68, 2) in native pixels)."""


def write_tree(
    out: Path, plan: Plan, labels: Labels, workers: int | None = None, draw: Draw | None = None
) -> Path:
    """Draw ``plan`` into the folder ``out``, replacing an older drawn tree, and return ``out``.

    workers : drawing processes, by default one a CPU core; 1 draws in this process.  The tree is the same for any.
    draw : who draws; by default the rig.

    Raises ``DataError`` where ``out`` holds something that was not drawn, or a drawing process died.
    """
    with fresh_folder(out) as folder:
        landmarks, pose = _draw_all(folder, plan, workers or jobs.cores(), draw or draw_with_rig)
        labels(folder, plan, landmarks)
        _write_truth(folder / TRUTH, plan, landmarks, pose)
        settings = {**dataclasses.asdict(plan.size), **dataclasses.asdict(plan.camera)}
        write_mark(folder, plan.corpus, settings, plan.seed)
    return Path(out)


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A folder to fill; when all went well it becomes ``out``, else ``out`` stays as it was.

    Raises ``DataError`` where ``out`` holds something that was not drawn.
    """
    import filelock

    out = Path(out).absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(_lock_of(out), timeout=LOCK_WAIT_S):
        _tidy(out)
        fresh = out.with_name(f".{out.name}.{os.getpid()}.drawing")
        fresh.mkdir()
        try:
            yield fresh
            if out.exists():
                os.rename(out, _aside(out))
            os.rename(fresh, out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _tidy(out)


def _lock_of(out: Path) -> Path:
    """A lock file of this user's own, away from ``out``: nothing but the tree is left beside it."""
    return Path(tempfile.gettempdir()) / f"ferlib-{digest(str(Path.home()), str(out))}.lock"


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.old")


def _tidy(out: Path) -> None:
    """Undo what a killed writer of ``out`` left behind; refuse to replace what was not drawn."""
    if _aside(out).exists() and not out.exists():
        os.rename(_aside(out), out)
    for left in (_aside(out), *out.parent.glob(f".{out.name}.*.drawing")):
        shutil.rmtree(left, ignore_errors=True)
    if out.exists() and not (out.is_dir() and ((out / DRAWN).is_file() or not any(out.iterdir()))):
        raise DataError(
            f"{out} holds files that were not drawn. Choose another place:  ferlib corpus make --out DIR"
        )


# ------------------------------------------------------------------------------------------------ drawing


def _draw_all(folder: Path, plan: Plan, workers: int, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Draw and save all frames.  Returns landmarks (N, 68, 2) in native pixels, pose (N, 3) in degrees."""
    for parent in {(folder / file).parent for file in plan.frames["file"]}:
        parent.mkdir(parents=True, exist_ok=True)
    chunks = [(draw, shots, part) for shots, part in _chunks(folder, plan)]
    done: Iterator = map(_draw_chunk, *zip(*chunks, strict=True))
    with _pool(workers) if workers > 1 else nullcontext() as pool:
        try:
            done = done if pool is None else pool.map(_draw_chunk, *zip(*chunks, strict=True))
            parts = list(
                tqdm(done, desc=plan.corpus, total=len(chunks), disable=None)
            )  # silent in files and CI
        except BrokenProcessPool:
            raise DataError(f"{folder}: a drawing process died, perhaps of memory") from None
        finally:
            if pool is not None:
                pool.shutdown(cancel_futures=True)  # nobody writes any more when the folder goes
    landmarks, pose = (np.concatenate(part) for part in zip(*parts, strict=True))
    return landmarks, pose


def _chunks(folder: Path, plan: Plan) -> Iterator[tuple[Shots, pd.DataFrame]]:
    """The plan in pieces: what to draw, and ``file width height colour`` of each picture."""
    frames = plan.frames.join(plan.takes[["person", "width", "height", "colour"]], on="take")
    frames["file"] = str(folder) + "/" + frames["file"]
    for start in range(0, len(plan), CHUNK):
        rows = slice(start, start + CHUNK)
        person, take, number = (frames[c].to_numpy()[rows] for c in ("person", "take", "number"))
        yield (
            Shots(plan.corpus, plan.camera, plan.seed, plan.size.face_px, person, take, number,
                  plan.levels[rows], plan.drift[rows]),
            frames.iloc[rows][["file", "width", "height", "colour"]],
        )  # fmt: skip


def _pool(workers: int) -> ProcessPoolExecutor:
    """Drawing processes, forked from a server that loaded the rig once; never from here: threads do not survive it."""
    begin: dict[str, Any] = {"initializer": _begin_worker, "initargs": (os.getpid(),)}
    if sys.platform != "linux":
        return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), **begin)
    context = get_context("forkserver")
    context.set_forkserver_preload(["ferlib.synthetic.render", "ferlib.synthetic.native.tree", "cv2"])
    return ProcessPoolExecutor(workers, mp_context=context, **begin)


def _begin_worker(owner: int) -> None:
    """One thread a process, which does not outlive the one that it draws for."""
    die_with(owner)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is loaded
    import cv2

    cv2.setNumThreads(1)


def _draw_chunk(draw: Draw, shots: Shots, parts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Draw one chunk and save its pictures.  Returns landmarks in native pixels and pose."""
    drawn = draw(shots)
    landmarks = np.empty_like(drawn.landmarks, dtype=np.float32)
    for i, (file, *form) in enumerate(parts.itertuples(index=False, name=None)):
        rng = rng_of(shots.corpus, shots.seed, "noise", shots.take[i], shots.number[i])
        seen = (drawn.images[i], drawn.landmarks[i])
        image, landmarks[i] = set_into_frame(*seen, Format(*form), drawn.noise[i], rng)
        save_picture(Path(file), image, form[2])
    return landmarks, drawn.pose.astype(np.float32)


# ------------------------------------------------------------------------------------------- beside the tree


def _write_truth(file: Path, plan: Plan, landmarks: np.ndarray, pose: np.ndarray) -> None:
    """One row a frame: who, codes, AU levels left and right, pose, landmarks x0 y0 ... in px, attributes."""
    plain = [c for c in plan.takes if not isinstance(plan.takes[c].iloc[0], (dict, tuple))]
    points = [f"{axis}{i}" for i in range(68) for axis in "xy"]
    parts = [
        plan.frames.rename(columns={"file": "image", "number": "frame"}),
        plan.takes.loc[plan.frames["take"], plain].reset_index(drop=True),
        pd.DataFrame(plan.levels.reshape(len(plan), -1), columns=au_side_columns()),
        pd.DataFrame(pose, columns=["yaw", "pitch", "roll"]),
        pd.DataFrame(landmarks.reshape(len(plan), -1), columns=points),
    ]
    table = pd.concat(parts, axis=1)
    table.merge(_attributes(plan), on="person", how="left").to_parquet(file, index=False)


def _attributes(plan: Plan) -> pd.DataFrame:
    """Age, skin tone, sex, hair, beard and glasses of each person of the plan."""
    from ferlib.synthetic.people import draw_people

    person = np.unique(plan.takes["person"])
    return draw_people(plan.corpus, plan.seed, person).attributes().assign(person=person)


def write_mark(folder: Path, corpus: str, settings: dict[str, Any], seed: int) -> None:
    """``DRAWN.json``, by which a reader knows that no photograph is in the tree."""
    what = {"corpus": corpus, "synthetic": True, "settings": settings, "seed": seed}
    mark = {**what, "ferlib": ferlib.__version__}
    (folder / DRAWN).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
