"""Drawn corpora in the native layouts of the real ones, each marked by a ``DRAWN.json``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ferlib.labels import DRAWN_AUS, FER2013_CODES
from ferlib.synthetic.camera import draw_scenes
from ferlib.synthetic.expressions import draw_expressions
from ferlib.synthetic.people import draw_people, seeds_of, uniforms
from ferlib.synthetic.render import draw_faces
from ferlib.synthetic.workshop import fresh_folder, in_parallel, write_mark

FER2013_SHARES = np.array([4953, 547, 5121, 8989, 6077, 4002, 6198]) / 35887
FER2013_NOISE = (
    0.04  # share of drawn labels replaced by another class, as in the crowd labels of the original
)
NODS = {
    "sadness": -6.5,
    "anger": -3.0,
    "disgust": 2.0,
    "happiness": 2.0,
    "surprise": 1.0,
    "fear": 0.0,
    "neutral": 0.0,
}
"""Degrees by which an emotion lifts the head on average: the sad look down (Coulson 2004)."""
_USAGES = ("Training", "PublicTest", "PrivateTest")
_CHUNK = 250


def _plan_fer2013(n_images: int, seed: int) -> pd.DataFrame:
    """One row a picture: row, Usage, person, shown emotion, label; people are disjoint between usages."""
    rows = np.arange(n_images)
    u = uniforms(seeds_of("fer2013-plan", seed, rows), "plan", 4).T
    edges = np.round(n_images * np.array([0.8, 0.9])).astype(int)
    usage = np.searchsorted(edges, rows, side="right")
    starts, ends = np.array([0, *edges]), np.array([*edges, n_images])
    crowd = np.maximum((ends - starts) // 3, 1)
    person = starts[usage] + (u[0] * crowd[usage]).astype(int)
    shown = np.searchsorted(np.cumsum(FER2013_SHARES)[:-1], u[1], side="right")
    label = np.where(u[2] < FER2013_NOISE, (u[3] * 7).astype(int), shown)
    return pd.DataFrame({"row": rows, "Usage": np.array(_USAGES)[usage], "person": person,
                         "shown": np.array(FER2013_CODES)[shown], "emotion": label})  # fmt: skip


def draw_fer2013(job: tuple[pd.DataFrame, int, int]):
    """Grey pictures (N, size, size) uint8 and the truth table of one chunk of the plan."""
    plan, seed, size = job
    people = draw_people("fer2013", seed, plan["person"].to_numpy())
    own = seeds_of("fer2013-face", seed, plan["row"].to_numpy())
    levels = draw_expressions(plan["shown"].tolist(), own, "wild")
    scenes = draw_scenes(own, "wild")
    nod = torch.tensor([NODS[emotion] for emotion in plan["shown"]])
    scenes = scenes.with_(
        pitch=scenes.pitch + nod, gaze=scenes.gaze + torch.stack([0 * nod, 1.2 * nod.clamp(max=0)], 1)
    )
    drawn = draw_faces(people, levels, scenes, size)
    grey = drawn.grey.round().to(torch.uint8)
    sides = [f"{au}_{side}" for au in DRAWN_AUS for side in ("left", "right")]
    points = [f"{axis}{i}" for i in range(drawn.landmarks.shape[1]) for axis in "xy"]
    measured = np.concatenate(
        [levels.reshape(len(plan), -1), drawn.pose.numpy(), drawn.landmarks.numpy().reshape(len(plan), -1)], 1
    )
    numbers = pd.DataFrame(measured, columns=[*sides, "yaw", "pitch", "roll", *points])
    truth = pd.concat([plan.reset_index(drop=True), people.attributes(), numbers], axis=1)
    return grey.numpy(), truth


def write_fer2013(out: Path, n_images: int = 6000, seed: int = 0, workers: int | None = None) -> Path:
    """Draws a corpus in FER2013's layout into the folder ``out``, replacing an older drawn one, and returns it.

    ``fer2013.csv`` has FER2013's columns, class shares and usages (8:1:1, no person in two); ``DRAWN.json`` marks it;
    ``truth.parquet`` holds what no photographed corpus has: person, shown emotion, AU levels left and right, pose and
    landmarks (x0, y0 ... in px) of each row.  The result does not depend on ``workers`` (default: one a core).
    Raises ``DataError`` where ``out`` holds something that was not drawn, or the drawing processes failed.
    """
    plan = _plan_fer2013(n_images, seed)
    order = np.argsort(plan["person"].to_numpy(), kind="stable")  # a person is dressed once a chunk
    chunks = [(plan.iloc[order[i : i + _CHUNK]], seed, 48) for i in range(0, n_images, _CHUNK)]
    settings = {"n_images": n_images, "size": 48, "setting": "wild", "label_noise": FER2013_NOISE}
    with fresh_folder(out) as folder:
        parts = in_parallel(draw_fer2013, chunks, workers, "fer2013")
        images, truth = np.empty((n_images, 48 * 48), np.uint8), pd.concat([table for _, table in parts])
        images[order] = np.concatenate([grey for grey, _ in parts]).reshape(n_images, -1)
        pixels = [" ".join(map(str, row)) for row in images.tolist()]
        table = pd.DataFrame({"emotion": plan["emotion"], "pixels": pixels, "Usage": plan["Usage"]})
        table.to_csv(folder / "fer2013.csv", index=False)
        truth.sort_values("row", ignore_index=True).to_parquet(folder / "truth.parquet", index=False)
        write_mark(folder, "fer2013", settings, seed)
    return Path(out)
