"""From a plan to a tree on the disk: drawn by several processes, written aside and renamed into place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.synthetic.native.plan import Format, Plan, au_side_columns, rng_of
from ferlib.synthetic.native.shots import Draw, Shots, draw_with_rig, save_picture, set_into_frame
from ferlib.synthetic.workshop import fresh_folder, in_parallel, write_mark

TRUTH = "truth.parquet"
CHUNK = 32  # frames drawn at a time: two batches of the rig, and an even share for the workers

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
        landmarks, pose = _draw_all(folder, plan, workers, draw or draw_with_rig)
        labels(folder, plan, landmarks)
        _write_truth(folder / TRUTH, plan, landmarks, pose)
        settings = {**dataclasses.asdict(plan.size), **dataclasses.asdict(plan.camera)}
        write_mark(folder, plan.corpus, settings, plan.seed)
    return Path(out)


# ------------------------------------------------------------------------------------------------ drawing


def _draw_all(folder: Path, plan: Plan, workers: int | None, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Draw and save all frames.  Returns landmarks (N, 68, 2) in native pixels, pose (N, 3) in degrees."""
    for parent in {(folder / file).parent for file in plan.frames["file"]}:
        parent.mkdir(parents=True, exist_ok=True)
    chunks = [(draw, shots, part) for shots, part in _chunks(folder, plan)]
    parts = in_parallel(_draw_chunk, chunks, workers, plan.corpus)
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


def _draw_chunk(chunk: tuple[Draw, Shots, pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one chunk and save its pictures.  Returns landmarks in native pixels and pose."""
    draw, shots, parts = chunk
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
