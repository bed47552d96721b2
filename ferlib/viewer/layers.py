"""What the filter viewer tells of a layer: tables and small pictures, gathered once from a network and its faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferlib import filters
from ferlib.au_stats import Findings
from ferlib.config import UsageError, check_name
from ferlib.datasets import FaceSet
from ferlib.filters import Curves
from ferlib.labels import au_columns, au_present

FACES = 6
"""Strongest faces that are kept of each filter."""


@dataclass(frozen=True, eq=False)
class Profile:
    """How each of F filters goes with each of U Action Units, over the faces that the statistics used.

    aus : U names.  effect, low, high : (F, U) AUC in [0, 1] with its 95 % interval over people.
    q : (F, U) false-discovery rate.  q_within : the same within emotion.  NaN where nothing is known.
    """

    aus: tuple[str, ...]
    effect: np.ndarray
    low: np.ndarray
    high: np.ndarray
    q: np.ndarray
    q_within: np.ndarray

    @classmethod
    def of(cls, free: Findings, within: Findings, limits: tuple[np.ndarray, np.ndarray]) -> Profile:
        """From the two findings of ``au_stats.examine`` and the limits of ``au_stats.intervals``."""
        return cls(free.names, free.effect, *limits, free.q, within.q)


@dataclass(frozen=True, eq=False)
class Tuned:
    """What the rig told: U Action Units raised one by one on otherwise unchanged faces.

    aus : V names.  curves : (F, V, 6) rise above rest.  selectivity : one row a filter, ``au index``.
    """

    aus: tuple[str, ...]
    curves: Curves
    selectivity: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Layer:
    """The F filters of a layer, K strongest faces each.

    faces : (M, H, W) uint8, every face that any filter shows, once.  captions : (M,) what they show.
    top : (F, K) int, positions in ``faces``.  values : (F, K) float, activation.
    boxes : (F, K, 4) int, top left bottom right of what the strongest unit sees, px.
    seen : (F, K, H, W) float32, which pixels excite it; NaN where the map says nothing.
    state : (F,) ``active``, ``dead`` or ``always-on``.  fires : (F,) in [0, 1].
    """

    name: str
    faces: np.ndarray
    captions: tuple[str, ...]
    top: np.ndarray
    values: np.ndarray
    boxes: np.ndarray
    seen: np.ndarray
    state: np.ndarray
    fires: np.ndarray
    profile: Profile
    tuned: Tuned | None = None

    def __post_init__(self) -> None:
        shapes = {"values": self.values.shape, "boxes": self.boxes.shape[:2], "seen": self.seen.shape[:2]}
        for field, shape in shapes.items():
            if shape != self.top.shape:
                raise UsageError(f"{field} is {shape}; {self.top.shape} = (filters, faces) was expected")
        if len(self.profile.effect) != len(self):
            raise UsageError(f"profile is of {len(self.profile.effect)} filters; {len(self)} were expected")

    def __len__(self) -> int:
        return len(self.top)

    def strongest_for(self, au: str) -> np.ndarray:
        """Filters by how strongly they go with ``au``, the best first; dead and unknown ones last."""
        column = self.profile.aus.index(check_name("Action Unit", au, self.profile.aus))
        effect = np.where(self.state == "dead", np.nan, self.profile.effect[:, column])
        return np.argsort(-np.nan_to_num(effect, nan=-1.0), kind="stable")


def layer_of(
    model: Any,
    faces: FaceSet,
    layer: str,
    profile: Profile,
    tuned: Tuned | None = None,
    method: str = "guided",
) -> Layer:
    """Rank ``faces`` for every filter of ``layer`` and keep what the viewer shows.

    method : how pixels are credited, one of ``filters.METHODS``.
    """
    atlas = filters.rank(model, faces, layer, k=FACES)
    shown, top = np.unique(atlas.top_images, return_inverse=True)
    n_filters, k = atlas.top_images.shape
    top = top.reshape(n_filters, k)
    unit = np.repeat(np.arange(n_filters), k)
    positions = atlas.top_positions.reshape(-1, 2)
    height, width = faces.images.shape[1], faces.images.shape[2]
    images = np.ascontiguousarray(faces.images[shown])
    maps = filters.attribution(method, model, layer, images[top.ravel()], unit, positions)
    return Layer(
        name=layer,
        faces=images,
        captions=captions(faces.table.iloc[shown]),
        top=top,
        values=atlas.top_values,
        boxes=filters.receptive_field(model, layer, atlas.top_positions, height),
        seen=maps.seen.reshape(n_filters, k, height, width).astype(np.float32),
        state=atlas.state(),
        fires=atlas.fires,
        profile=profile,
        tuned=tuned,
    )


def captions(table: pd.DataFrame) -> tuple[str, ...]:
    """What each row of a corpus table shows, in a few words: ``happiness, AU 6 12 25``."""
    aus = au_columns(table)
    shows = au_present(table, aus) == 1
    numbers = [" ".join(str(int(au[2:])) for au in np.array(aus)[row]) for row in shows]
    named = table["emotion"].tolist() if "emotion" in table else [None] * len(table)
    told = [
        [str(emotion)] * pd.notna(emotion) + [f"AU {acting}" if acting else "no AU"]
        for emotion, acting in zip(named, numbers, strict=True)
    ]
    return tuple(", ".join(words) for words in told)
