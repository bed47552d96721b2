"""One thing at a time: faces of the same people with the same expressions, in which the rig changes one factor."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import config, features, jobs, paths
from ferlib.datasets import FaceSet
from ferlib.keep import replacing
from ferlib.labels import EMOTIONS
from ferlib.metrics import mean_over_people
from ferlib.runs import Run
from ferlib.splits import Parts
from ferlib.transfer import classes
from ferlib.transfer.retrained import fit_head

LEVELS: dict[str, dict[str, Any]] = {
    "plain": {"plain": 0},
    "yaw": {"15°": 15, "30°": 30, "45°": 45},
    "light": {"from the side": "side", "from below": "below", "dim": "dim"},
    "skin tone": {"Monk 2": 2, "Monk 9": 9},
    "glasses": {"worn": 1},
    "occlusion": {"a hand": 1},
}
"""Factor -> its levels, each against the plain picture of the same person with the same expression."""
CAPTIONS: dict[tuple[str, str], str] = {
    **{("yaw", level): f"turned {level}" for level in LEVELS["yaw"]},
    **{("light", level): f"light {level}" for level in LEVELS["light"]},
    ("light", "dim"): "dim light",
    ("glasses", "worn"): "glasses",
}
"""How a picture names its level where the level's own name does not say it."""
DRAWN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""The emotions drawn: those that every corpus of the chapter knows."""
PEOPLE = "transfer-factors"
"""The rig's name for these people, so that they are in no corpus."""


Item = tuple[str, str, int, int, int]
"""Factor, level, number of people, side in pixels, seed."""


def levels() -> list[tuple[str, str]]:
    """Every factor with each of its levels; the plain pictures first."""
    return [(factor, level) for factor, known in LEVELS.items() for level in known]


def drawn(
    n_people: int, size: int = 48, seed: int = 0, n_jobs: int = 1, scheduler: str = ""
) -> dict[tuple[str, str], FaceSet]:
    """(factor, level) -> ``n_people`` people x ``DRAWN`` emotions, drawn once and kept in the home."""
    items = [(factor, level, n_people, size, seed) for factor, level in levels()]
    missing = [item for item in items if not _place(item).is_dir()]
    jobs.run(_draw, missing, n_jobs, scheduler, "factors")
    return {item[:2]: _faces(item) for item in items}


def _place(item: Item) -> Path:
    return paths.transfer() / "factors" / config.digest(list(item), _code(), length=16)


@functools.cache
def _code() -> str:
    return config.code_digest(["synthetic", "transfer.factors"])


def _draw(item: Item) -> None:
    """Draw the faces of one level; the folder appears when they are complete."""
    from ferlib.synthetic.expressions import draw_expressions
    from ferlib.synthetic.people import draw_people, seeds_of
    from ferlib.synthetic.render import draw_faces

    factor, level, n_people, size, seed = item
    person = np.repeat(np.arange(n_people), len(DRAWN))
    own = seeds_of(PEOPLE + "-face", seed, np.arange(len(person)))
    people, scenes = draw_people(PEOPLE, seed, person), _plain_scenes(person, seed)
    people, scenes = _changed(people, scenes, factor, LEVELS[factor][level], person)
    acting = draw_expressions(list(DRAWN) * n_people, own, "ckplus")
    grey = draw_faces(people, acting, scenes, size).grey.round().numpy().astype(np.uint8)
    with replacing(_place(item)) as fresh:
        np.save(fresh / "images.npy", grey)


def _plain_scenes(person: np.ndarray, seed: int) -> Any:
    """A studio for each person, the same for all of a person's faces; seen from the front."""
    from ferlib.synthetic.camera import draw_scenes
    from ferlib.synthetic.people import seeds_of

    scenes = draw_scenes(seeds_of(PEOPLE + "-scene", seed, person), "studio")
    return scenes.with_(yaw=0.0, pitch=0.0, roll=0.0, gaze=0.0, occluded=0.0)


def _changed(people: Any, scenes: Any, factor: str, value: Any, person: np.ndarray) -> tuple[Any, Any]:
    """People and scenes with one factor set to ``value``; glasses are off in all but their own level."""
    import torch

    looks = {**people.looks, "glasses": torch.full((len(people),), float(factor == "glasses"))}
    people = dataclasses.replace(people, looks=looks)
    if factor == "yaw":  # to the left for every other person
        scenes = scenes.with_(yaw=torch.as_tensor(np.where(person % 2, value, -value), dtype=torch.float32))
    elif factor == "light":
        scenes = scenes.with_(**LIGHTS[value])
    elif factor == "occlusion":
        scenes = scenes.with_(occluded=1.0)
    elif factor == "skin tone":
        people = _with_tone(people, value)
    return people, scenes


LIGHTS: dict[str, dict[str, Any]] = {
    "side": {"key": [0.98, 0.17, 0.09], "fill_rgb": 0.05, "ambient": 0.1},
    "below": {"key": [0.0, -0.77, 0.64], "fill_rgb": 0.05, "ambient": 0.1},
    "dim": {"exposure": -2.0},
}
"""Fields of a scene for each light: directions in the camera's frame, light in the rig's units, stops."""


def _with_tone(people: Any, tone: int) -> Any:
    """The same people with the skin colour that the rig gave somebody of Monk tone ``tone``."""
    import torch

    from ferlib.synthetic.people import draw_people

    others = draw_people(PEOPLE + "-skin", 0, np.arange(300))
    donor = int(np.flatnonzero(others.table["monk_tone"] == tone)[0])
    looks = {**people.looks, "tone": torch.full((len(people),), float(tone))}
    return dataclasses.replace(people, skin=others.skin[[donor] * len(people)], looks=looks)


def _faces(item: Item) -> FaceSet:
    images = np.load(_place(item) / "images.npy", mmap_mode="r")
    n_people = item[2]
    table = pd.DataFrame({"row": np.arange(len(images)), "emotion": list(DRAWN) * n_people,
                          "subject": np.repeat([f"P{i:03d}" for i in range(n_people)], len(DRAWN))})  # fmt: skip
    emotions = tuple(e for e in EMOTIONS if e in DRAWN)
    return FaceSet(images, table, f"drawn {item[0]} {item[1]}", _place(item).name, True, {}, emotions)


def measured(run: Run, sets: dict[tuple[str, str], FaceSet], rng: np.random.Generator) -> pd.DataFrame:
    """Accuracy of ``run`` on each level and what the factor costs, with intervals over people.

    One row a level: ``factor level value low high n`` of the accuracy, ``cost cost_low cost_high`` of plain
    minus level, paired by person (0 for plain itself).
    """
    right = {name: _right(run, faces) for name, faces in sets.items()}  # (N,) bool each
    rows = []
    for (factor, level), hits in right.items():
        people = sets[factor, level].table["subject"].to_numpy()
        found = mean_over_people(hits.astype(float), people, rng)
        cost = mean_over_people(right["plain", "plain"] - hits.astype(float), people, rng)
        told = {"cost": cost.value, "cost_low": cost.low, "cost_high": cost.high}
        rows.append({"factor": factor, "level": level, **found.as_dict(), **told})
    return pd.DataFrame(rows)


def _right(run: Run, faces: FaceSet) -> np.ndarray:
    """(N,) bool: whether the network names each face rightly among the classes that it and the faces know."""
    kept = classes.shared(run.emotions, faces.emotions)
    p = classes.restricted(features.probabilities(run, faces), run.emotions, kept)
    return np.array(kept)[p.argmax(axis=1)] == faces.table["emotion"].to_numpy()


def label_noise(run: Run, parts: Parts, shares: Sequence[float], rng: np.random.Generator) -> pd.DataFrame:
    """Accuracy of a head on frozen features when a share of its training labels is dealt at random.

    The labels of val are spoilt alike, those of test are not.  Columns as :func:`measured`, one row a share.
    """
    x = {part.role: np.asarray(features.of(run, part)) for part in (parts.train, parts.val, parts.test)}
    n, test, rights = len(parts.test.emotions), parts.test, {}
    for share in (0.0, *shares):
        y, val_y = (_spoilt(part.labels, share, n, rng) for part in (parts.train, parts.val))
        p = fit_head(x["train"], y, x["val"], val_y, n).probabilities(x["test"])
        rights[share] = (p.argmax(axis=1) == test.labels).astype(float)
    people = test.subjects if test.subjects is not None else np.arange(len(test))
    rows = []
    for share in shares:
        found = mean_over_people(rights[share], people, rng)
        cost = mean_over_people(rights[0.0] - rights[share], people, rng)
        told = {"cost": cost.value, "cost_low": cost.low, "cost_high": cost.high}
        rows.append({"factor": "label noise", "level": f"{share:.0%}", **found.as_dict(), **told})
    return pd.DataFrame(rows)


def _spoilt(labels: np.ndarray, share: float, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """``labels`` (N,), of which ``share`` were replaced by classes drawn evenly."""
    spoilt = rng.permutation(len(labels)) < round(share * len(labels))
    return np.where(spoilt, rng.integers(n_classes, size=len(labels)), labels)
