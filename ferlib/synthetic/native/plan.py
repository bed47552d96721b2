"""The plan of a drawn corpus: a table of takes and one of frames that say everything before a face is drawn.

A *take* is what a camera records of one person at one go: a sequence, a clip or a single picture.  Person,
light and camera stay the same within a take.  Plans are NumPy and pandas only: thousands of frames are
planned in a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferlib.labels import DRAWN_AUS, au_column

U_OF: dict[int, int] = {int(name[2:]): u for u, name in enumerate(DRAWN_AUS)}
"""Position of AU number n on the axis U of the rig."""


@dataclass(frozen=True)
class Size:
    """How much of a corpus is drawn, and how finely."""

    subjects: int  # people
    takes: int  # sequences, clips or pictures
    face_px: int  # side of the square in which the rig draws; the native frame may be larger
    every: int = 1  # of a clip, only each so many frames are stored (the coded ones always are)


@dataclass(frozen=True)
class Camera:
    """Light and framing: a setting of the rig, and what differs from it."""

    setting: str
    height_cm: float | None = None  # of the picture, at the head
    eye_line: float | None = None  # height of the eyes, from the top, as a fraction of the picture


@dataclass(frozen=True)
class Format:
    """The native picture: size in pixels, and colour or grey."""

    width: int
    height: int
    colour: bool = True


@dataclass(frozen=True, eq=False)
class Take:
    """The T frames of one take."""

    numbers: Sequence[int]  # native frame numbers
    files: Sequence[str]  # paths in the tree
    levels: np.ndarray  # (T, U, 2) in [0, 5]
    drift: np.ndarray  # (T, 3) degrees of yaw, pitch and roll, added to the take's pose


@dataclass(frozen=True, eq=False)
class Plan:
    """All that will be drawn.

    takes : one row a take: ``subject`` (native id), ``person`` (index for the rig), ``sequence`` (native
        name), ``width height colour`` (native picture), and the codes of the corpus.
    frames : N rows, by take: ``take`` (row in ``takes``), ``number`` (native frame number), ``file``.
    levels : (N, U, 2) float32 in [0, 5], U as ``DRAWN_AUS``, sides left and right.
    drift : (N, 3) float32, degrees of yaw, pitch and roll added to the take's pose.
    """

    corpus: str
    camera: Camera
    seed: int
    size: Size
    takes: pd.DataFrame
    frames: pd.DataFrame
    levels: np.ndarray
    drift: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last_frames(self) -> np.ndarray:
        """(C,) int: row in ``frames`` of the last frame of each take."""
        return np.flatnonzero(np.diff(self.frames["take"].to_numpy(), append=-1))


def assemble(corpus: str, camera: Camera, seed: int, size: Size, rows: list[dict], parts: list[Take]) -> Plan:
    """Join takes, described by ``rows`` and with the frames ``parts``, into a plan."""
    take = np.repeat(np.arange(len(parts)), [len(part.files) for part in parts])
    number = np.concatenate([np.asarray(part.numbers) for part in parts])
    frames = pd.DataFrame({"take": take, "number": number, "file": [f for part in parts for f in part.files]})
    levels = np.concatenate([part.levels for part in parts]).astype(np.float32)
    drift = np.concatenate([part.drift for part in parts]).astype(np.float32)
    return Plan(corpus, camera, seed, size, pd.DataFrame(rows), frames, levels, drift)


def about(subject: str, person: int, sequence: str, form: Format) -> dict[str, Any]:
    """The columns that every row of ``Plan.takes`` has."""
    picture = {"width": form.width, "height": form.height, "colour": form.colour}
    return {"subject": subject, "person": person, "sequence": sequence, **picture}


def rng_of(corpus: str, seed: int, *what: object) -> np.random.Generator:
    """A generator of its own for each (corpus, seed, purpose): adding a take moves no other."""
    text = "/".join(str(part) for part in ("native", corpus, seed, *what))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little"))


def apportion(total: int, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Whole numbers that share ``total`` in proportion to ``weights``: by largest remainders."""
    share = total * np.asarray(weights, float) / np.sum(weights)
    whole = np.floor(share + 1e-9).astype(int)
    order = np.argsort(-(share - whole), kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def spread(names: dict[str, int], total: int) -> list[str]:
    """``total`` names in proportion to their official counts, in the order of ``names``."""
    return [n for n, k in zip(names, apportion(total, list(names.values())), strict=True) for _ in range(k)]


def peak_of(codes: dict[tuple[int, str], float]) -> np.ndarray:
    """Levels (U, 2) of ``codes``: (AU number, side) -> level, where side is ``L``, ``R`` or ``""`` for both.

    Raises ``KeyError`` for an AU that the rig does not draw.
    """
    peak = np.zeros((len(DRAWN_AUS), 2))
    for (number, side), level in codes.items():
        peak[U_OF[number], {"L": [0], "R": [1], "": [0, 1]}[side]] = level
    return peak


def au_side_columns() -> list[str]:
    """``AU01_left AU01_right AU02_left ...``: the columns of ``levels`` reshaped to (N, 2U)."""
    return [f"{au_column(n)}_{side}" for n in U_OF for side in ("left", "right")]
