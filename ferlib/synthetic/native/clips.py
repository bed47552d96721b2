"""What the three micro-expression corpora share: which AUs act, how strongly, how long, on which side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from ferlib.synthetic import dynamics
from ferlib.synthetic.native.plan import U_OF, Size, Take, apportion, peak_of, spread


@dataclass(frozen=True)
class Film:
    """How clips were filmed."""

    fps: int
    median: int  # clip length in frames
    shortest: int
    longest: int
    first: tuple[int, int]  # range of the first frame's number


Codes = dict[tuple[int, str], float]
"""(AU number, side ``L``, ``R`` or ``""``) -> level."""

RECIPES: dict[str, tuple[tuple[int, tuple[int, ...]], ...]] = {
    "happiness": ((5, (12,)), (3, (6, 12)), (1, (6,)), (1, (12, 14))),
    "disgust": ((5, (4, 7)), (3, (4,)), (2, (9,)), (2, (10,)), (2, (4, 10)), (1, (4, 7, 9)), (1, (7, 10))),
    "surprise": ((4, (1, 2)), (2, (5,)), (2, (2,)), (1, (1, 2, 25)), (1, (1, 2, 5))),
    "repression": ((4, (15,)), (3, (17,)), (2, (15, 17)), (1, (12, 17)), (1, (14, 17))),
    "sadness": ((3, (1,)), (1, (1, 4)), (1, (15,))),
    "fear": ((1, (1, 2, 4)), (1, (20,)), (1, (1, 4))),
    "anger": ((3, (4, 7)), (2, (4,)), (2, (7,)), (1, (23,)), (1, (4, 24))),
    "contempt": ((4, (14,)), (1, (12,))),
    "others": (
        (4, (4,)),
        (3, (14,)),
        (2, (4, 14)),
        (2, (7,)),
        (1, (2,)),
        (1, (17, 24)),
        (1, (18,)),
        (1, (4, 7, 17)),
    ),
}
"""Emotion -> (weight, AUs), after Yan et al. 2014 (CASME II) and Davison et al. 2018 (SAMM); own weights."""

ONE_SIDED = (2, 10, 12, 14)
ONE_SIDED_SHARE = 0.3
BLINK_SHARE = 0.15  # of the clips; people blink less while they suppress an expression
DRIFT_DEG = 0.7
UNEVEN = 0.8  # standard deviation of the log number of clips a person
CREATED = datetime(2014, 5, 8)  # of the workbooks: today's date would make each copy differ


def draw_codes(emotion: str, rng: np.random.Generator) -> Codes:
    """AUs at intensity A or B (level 1 or 2) of one micro-expression, some on one side of the face only."""
    weights, recipes = zip(*RECIPES[emotion], strict=True)
    aus = recipes[rng.choice(len(recipes), p=np.array(weights) / sum(weights))]
    codes: Codes = {}
    for number in aus:
        one_sided = number in ONE_SIDED and rng.random() < ONE_SIDED_SHARE
        side = str(rng.choice(["L", "R"])) if one_sided else ""
        codes[number, side] = 1.0 if rng.random() < 0.3 else 2.0
    return codes


def code_text(codes: Codes) -> str:
    """``4+L10``: the notation of CASME II's workbook, without intensities."""
    return "+".join(f"{side}{number}" for number, side in codes)


def lengths(film: Film, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) clip lengths in frames: shuffled log-normal quantiles around the median, cut to the range."""
    z = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    sd = np.log(film.longest / film.median) / 2.2
    drawn = np.round(film.median * np.exp(sd * z)).astype(int)
    return rng.permutation(np.clip(drawn, film.shortest, film.longest))


def stored(n_frames: int, every: int, always: tuple[int, ...] = ()) -> np.ndarray:
    """Positions of the frames that are stored: each ``every``-th, the last one and those of ``always``."""
    return np.unique([*range(0, n_frames, every), n_frames - 1, *always])


def draw_clip(
    film: Film, shown: str, n_frames: int, pattern: str, size: Size, rng: np.random.Generator
) -> tuple[dict[str, Any], Take]:
    """One clip: its row ``codes fps onset apex offset``, and its frames from onset to offset.

    shown : a key of ``RECIPES``.  pattern : path of a frame in the tree, ``{n}`` standing for its number.
    Each AU varies a little around its letter and between the sides; some clips contain a blink.
    """
    codes = draw_codes(shown, rng)
    peak = peak_of(codes) * rng.uniform(0.8, 1.2, (len(U_OF), 1)) * rng.uniform(0.9, 1.1, (len(U_OF), 2))
    apex = int(n_frames * rng.uniform(0.3, 0.6))
    levels = dynamics.micro(peak, n_frames, apex, rng)
    if rng.random() < BLINK_SHARE:
        lids = dynamics.blink(n_frames, film.fps, int(rng.integers(n_frames)), rng)
        levels[:, U_OF[45]] = np.maximum(levels[:, U_OF[45]], lids[:, None])
    drift = dynamics.drift(n_frames, film.fps, DRIFT_DEG, rng)
    onset = int(rng.integers(*film.first))
    kept = stored(n_frames, size.every, (apex,))
    numbers = (onset + kept).tolist()
    row = {"codes": code_text(codes), "aus": tuple(number for number, _ in codes), "fps": film.fps,
           "onset": onset, "apex": onset + apex, "offset": onset + n_frames - 1}  # fmt: skip
    return row, Take(numbers, [pattern.format(n=n) for n in numbers], levels[kept], drift[kept])


def cast(
    emotions: dict[str, int], size: Size, reserved: dict[int, str], rng: np.random.Generator
) -> list[list[str]]:
    """What each person shows: ``size.takes`` clips in proportion to the official counts ``emotions``.

    Some people show much more than others, as in life; ``reserved`` as in :func:`deal`.
    """
    counts = 1 + apportion(size.takes - size.subjects, rng.lognormal(0, UNEVEN, size.subjects))
    return deal(spread(emotions, size.takes), counts, reserved, rng)


def deal(
    emotions: list[str], counts: np.ndarray, reserved: dict[int, str], rng: np.random.Generator
) -> list[list[str]]:
    """Share ``emotions`` out over people who get ``counts`` clips each.

    reserved : person -> the only emotion that this person shows; each other person gets at least one emotion
        that is nobody's reserved one.  Where too few are left to keep this, people get what there is.

    Returns a list of emotions a person.
    """
    common = set(reserved.values())
    left = [emotions[i] for i in rng.permutation(len(emotions))]

    def draw(wanted: Callable[[str], bool]) -> str:
        return left.pop(next((i for i, emotion in enumerate(left) if wanted(emotion)), 0))

    hands: list[list[str]] = [[] for _ in counts]
    for person, emotion in reserved.items():
        hands[person] = [draw(emotion.__eq__) for _ in range(counts[person])]
    others = [person for person in range(len(counts)) if person not in reserved]
    for person in others:
        hands[person].append(draw(lambda emotion: emotion not in common))
    for person in others:
        hands[person] += [draw(bool) for _ in range(counts[person] - 1)]
    return hands


def write_workbook(
    file: Path, header: Sequence[str], columns: Sequence, preamble: Sequence[str] = ()
) -> None:
    """Write an Excel sheet: ``preamble`` lines, ``header``, ``columns`` (a text alone fills its column)."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(file)) as book:
        book.set_properties({"created": CREATED})
        sheet = book.add_worksheet()
        sheet.write_column(0, 0, preamble)
        sheet.write_row(len(preamble), 0, header)
        rows = max(len(column) for column in columns if not isinstance(column, str))
        for at, column in enumerate(columns):
            cells = [column] * rows if isinstance(column, str) else list(column)
            sheet.write_column(len(preamble) + 1, at, cells)
