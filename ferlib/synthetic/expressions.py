"""What a face does for an emotion: AU levels after EMFACS, after CK+'s own combinations, and broader in the wild.

``ckplus_combinations.csv`` lists the AU combinations of CK+'s 327 labelled sequences with their counts
(labels only; from the R package NetFACS, Apache-2.0).  In the ``ckplus`` setting a face takes one of them with the
probability it has there, so the joint table of the drawn AUs is CK+'s.  The ``wild`` setting mixes these with
recipes CK+ lacks: shouted anger, tears with closed eyes, laughter, neutral faces that are not bland.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.labels import DRAWN_AUS, EMOTIONS
from ferlib.synthetic.people import normals, seeds_of, uniforms

_AT = {int(au[2:]): i for i, au in enumerate(DRAWN_AUS)}
SETTINGS = ("ckplus", "wild")

# share of the emotion's faces, then AU: (mean level, probability that it joins in)
WILD: dict[str, tuple] = {
    "neutral": (
        (0.40, {}),
        (0.12, {24: (1.2, 0.8), 17: (0.8, 0.5)}),
        (0.10, {4: (1.0, 0.9), 7: (0.6, 0.5)}),
        (0.08, {1: (1.0, 0.6), 2: (1.0, 0.8)}),
        (0.08, {12: (0.9, 0.9), 14: (0.8, 0.3)}),
        (0.08, {15: (1.0, 0.8), 17: (0.8, 0.4)}),
        (0.08, {25: (1.8, 1.0), 26: (0.9, 0.4)}),
        (0.06, {43: (1.6, 1.0)}),
    ),
    "anger": (
        (0.36, {4: (4.4, 1), 7: (3, 0.9), 9: (2, 0.4), 10: (3.5, 0.9), 16: (3, 0.6), 25: (4, 1), 26: (3.5, 0.7),
                20: (2, 0.3), 5: (2.5, 0.4), 22: (2.5, 0.3)}),
        (0.14, {4: (4.4, 1), 5: (2.5, 0.5), 7: (2.5, 0.7), 10: (3, 0.6), 25: (4, 1), 27: (3.5, 1), 9: (2, 0.4)}),
        (0.28, {4: (4.0, 1), 7: (3, 0.8), 23: (3, 0.6), 24: (3.2, 0.7), 17: (2.5, 0.6), 5: (2, 0.3)}),
    ),
    "contempt": (
        (0.40, {14: (3.8, 1), 12: (1.5, 0.4), 7: (1.5, 0.2)}),
        (0.20, {12: (2.4, 1), 14: (3.0, 0.8), 10: (2, 0.3)}),
        (0.15, {14: (3.5, 1), 17: (2.2, 0.8), 24: (2, 0.5), 2: (2.5, 0.4)}),
    ),
    "disgust": (
        (0.25, {9: (4, 1), 10: (3, 0.8), 4: (3, 0.8), 7: (3, 0.7), 25: (3, 0.8), 6: (2, 0.4)}),
        (0.18, {10: (4, 1), 15: (2.5, 0.7), 17: (3, 0.8), 4: (2.5, 0.7), 9: (2, 0.4), 7: (2, 0.5)}),
        (0.20, {9: (4, 1), 4: (3, 0.8), 16: (3.5, 0.9), 25: (4, 1), 26: (3, 0.9), 10: (3.5, 0.7), 43: (2.5, 0.3)}),
    ),
    "fear": (
        (0.34, {1: (4, 1), 2: (2, 0.5), 4: (3.4, 0.9), 5: (3.5, 0.8), 20: (4, 0.85), 25: (3.2, 0.9), 26: (2, 0.5),
                16: (2, 0.4)}),
        (0.26, {1: (4, 1), 2: (2.5, 0.5), 4: (3.4, 0.85), 5: (3.5, 0.8), 25: (4, 1), 27: (3.5, 1), 20: (3.5, 0.7),
                16: (2.5, 0.5), 11: (2, 0.3)}),
        (0.16, {1: (3.5, 1), 4: (3.2, 0.95), 5: (2.5, 0.7), 24: (2, 0.3), 11: (2.4, 0.4), 20: (2, 0.4)}),
    ),
    "happiness": (
        (0.14, {6: (2.5, 0.8), 12: (3.4, 1), 7: (1.5, 0.3)}),
        (0.34, {6: (3.8, 1), 12: (5, 1), 25: (5, 1), 26: (2.5, 0.5), 7: (2.5, 0.4)}),
        (0.16, {6: (4.2, 1), 12: (5, 1), 25: (5, 1), 26: (4, 0.6), 27: (2.2, 0.4), 43: (3.5, 0.3), 7: (3, 0.5)}),
        (0.06, {12: (2.2, 1), 25: (1.5, 0.4), 14: (1.2, 0.2)}),
    ),
    "sadness": (
        (0.18, {1: (3.2, 0.9), 4: (2.8, 0.9), 15: (3, 0.8), 43: (4.6, 1), 17: (2.5, 0.6)}),
        (0.18, {1: (3.2, 0.9), 4: (3, 0.9), 43: (2.4, 0.8), 15: (2.2, 0.8), 11: (2, 0.3)}),
        (0.14, {1: (3, 0.8), 4: (3.8, 1), 6: (2.8, 0.8), 7: (3, 0.8), 15: (2.5, 0.5), 20: (2.8, 0.6), 25: (3.5, 1),
                11: (2.5, 0.5), 43: (3.2, 0.6), 26: (2.5, 0.4)}),
        (0.15, {1: (2.6, 0.9), 4: (2.2, 0.7), 15: (2.2, 0.9)}),
    ),
    "surprise": (
        (0.22, {1: (3.8, 1), 2: (3.8, 1), 5: (3.2, 0.9), 25: (3, 1), 26: (3.5, 1)}),
        (0.10, {1: (3.5, 1), 2: (3.5, 1), 5: (3, 0.9), 12: (2.2, 1), 25: (3, 1), 26: (3.2, 0.9)}),
        (0.08, {1: (3, 0.8), 2: (3, 0.8), 5: (3, 0.9), 18: (2, 0.5), 22: (3.2, 0.8), 25: (2.5, 1), 26: (2.5, 0.8)}),
    ),
}  # fmt: skip
"""Recipes beyond CK+; the rest of an emotion's share follows CK+'s combinations (for neutral: no AU)."""

_NEIGHBOURS = {"neutral": ("sadness", "anger", "happiness"), "anger": ("disgust", "neutral", "sadness"),
               "contempt": ("neutral", "happiness", "disgust"), "disgust": ("anger", "sadness", "contempt"),
               "fear": ("surprise", "sadness", "anger"), "happiness": ("neutral", "surprise", "contempt"),
               "sadness": ("neutral", "fear", "anger"), "surprise": ("fear", "happiness", "neutral")}  # fmt: skip


def ckplus_combinations() -> pd.DataFrame:
    """CK+'s AU combinations: columns ``emotion``, ``aus`` ("6+12+25") and ``count``; counts sum to 327."""
    return pd.read_csv(Path(__file__).with_name("ckplus_combinations.csv"), comment="#")


@lru_cache(maxsize=2)
def _recipes(setting: str):
    """Cumulative share within its emotion, emotion code, mean level (R, U) and probability (R, U) of each recipe."""
    rows = []
    table = ckplus_combinations()
    for emotion in EMOTIONS:
        wild = WILD[emotion] if setting == "wild" else ()
        rest = 1 - sum(share for share, _ in wild)
        rows += [(emotion, share, acts) for share, acts in wild]
        own = table[table["emotion"] == emotion]
        if own.empty:
            rows.append((emotion, rest, {}))
        for aus, count in zip(own["aus"], own["count"], strict=True):
            strength = 4.3 if emotion == "contempt" else 3.5  # one lip corner alone must carry it
            acts = {int(n): (strength, 1.0) for n in str(aus).split("+")}
            rows.append((emotion, rest * count / own["count"].sum(), acts))
    level, chance = np.zeros((len(rows), len(_AT))), np.zeros((len(rows), len(_AT)))
    for i, (_, _, acts) in enumerate(rows):
        for number, (mean, probability) in acts.items():
            level[i, _AT[number]], chance[i, _AT[number]] = mean, probability
    codes = np.array([EMOTIONS.index(e) for e, _, _ in rows])
    return np.array([s for _, s, _ in rows]), codes, level, chance


def _pick(codes: np.ndarray, u: np.ndarray, setting: str) -> np.ndarray:
    """A recipe (N,) for each emotion code, by its share; ``u`` (N,) is uniform."""
    shares, owners, _, _ = _recipes(setting)
    chosen = np.zeros(len(codes), int)
    for code in np.unique(codes):
        own, mine = np.flatnonzero(owners == code), codes == code
        edges = np.cumsum(shares[own]) / shares[own].sum()
        chosen[mine] = own[np.searchsorted(edges[:-1], u[mine], side="right")]
    return chosen


def draw_expressions(
    emotions, seed=0, setting: str = "ckplus", strength: float = 1.0, ambiguous: float = 0.15
) -> np.ndarray:
    """AU levels of faces showing ``emotions`` (N names).

    seed : an int, or (N,) uint64 seeds, one a face.  setting : ``ckplus`` or ``wild``.
    strength : factor on all levels.  ambiguous : share of faces in the wild that are faint or half another emotion.
    Returns (N, U, 2) float32 in [0, 5], left and right, U in the order of ``DRAWN_AUS``.
    Raises ``ValueError`` for an unknown setting or emotion.
    """
    if setting not in SETTINGS:
        raise ValueError(f"Unknown setting {setting!r}: choose one of {', '.join(SETTINGS)}")
    unknown = sorted(set(emotions) - set(EMOTIONS))
    if unknown:
        raise ValueError(f"Unknown emotion {unknown[0]!r}: choose one of {', '.join(EMOTIONS)}")
    codes = np.array([EMOTIONS.index(e) for e in emotions])
    seeds = (
        seeds_of("expression", seed, np.arange(len(codes)))
        if np.ndim(seed) == 0
        else np.asarray(seed, np.uint64)
    )
    u = uniforms(seeds, "expression", 8).T
    levels = _one(codes, seeds, u[0], "first", setting)
    if setting == "wild":
        unclear = u[1] < ambiguous
        neighbours = np.array([[EMOTIONS.index(n) for n in _NEIGHBOURS[e]] for e in EMOTIONS])
        other = _one(neighbours[codes, (u[2] * 3).astype(int)], seeds, u[3], "second", setting)
        share = np.where(unclear & (u[4] < 0.5), 0.45, 0.0)[:, None, None]
        faint = np.where(unclear & (u[4] >= 0.5), 0.4, 1.0)[:, None, None]
        levels = (levels * (1 - share) + other * share) * faint
    return np.clip(levels * strength, 0, 5).astype(np.float32)


def _one(codes: np.ndarray, seeds: np.ndarray, pick: np.ndarray, stream: str, setting: str) -> np.ndarray:
    """Levels (N, U, 2) of one emotion a face: recipe, shared intensity, spread a muscle, asymmetry."""
    _, _, level, chance = _recipes(setting)
    row = _pick(codes, pick, setting)
    joins = uniforms(seeds, stream + "-joins", len(_AT)) < chance[row]
    z = normals(seeds, stream + "-level", 3 * len(_AT) + 2)
    shared = 1 + 0.16 * z[:, :1] if setting == "ckplus" else 0.8 + 0.24 * z[:, :1]
    mean = np.where(
        joins, np.maximum(level[row] * shared + 0.45 * z[:, 2 : 2 + len(_AT)] * (level[row] > 1.5), 0.5), 0.0
    )
    skew = 1 + 0.07 * z[:, 2 + len(_AT) :].reshape(len(codes), len(_AT), 2)
    both = mean[:, :, None] * skew
    return np.clip(both * _one_sided(codes, seeds, stream, joins), 0, 5)


def _one_sided(codes: np.ndarray, seeds: np.ndarray, stream: str, joins: np.ndarray) -> np.ndarray:
    """Factor (N, U, 2): contempt pulls one lip corner; other emotions are rarely one-sided."""
    u = uniforms(seeds, stream + "-side", 2).T
    factor = np.ones((len(codes), len(_AT), 2))
    lopsided = (codes == EMOTIONS.index("contempt")) & (u[0] < 0.85)
    weak = (u[1] < 0.5).astype(int)
    for number in (10, 12, 14):
        factor[lopsided, _AT[number], weak[lopsided]] = 0.12
    factor[lopsided, _AT[2], weak[lopsided]] = 0.2
    return factor
