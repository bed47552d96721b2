"""Who is drawn: identity, age, skin, hair, beard and glasses, each from a hash of (corpus, seed, index).

No two corpora share a person, because the corpus's name goes into the hash.  Shape is linear: every trait moves
the mean head along one field, and traits are drawn around means that depend on sex, age and ancestry.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ferlib.synthetic.head import CURTAIN, EARS, HEAD, SHOULDERS, atlas, bump, kept, smoothstep, to_torch
from ferlib.synthetic.muscles import BOTH, FOLDS, LOWER, UPPER, fold, pull

MONK = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
"""sRGB of the ten Monk skin tones (Monk 2022)."""

HAIR_STYLES = ("short", "cropped", "receding", "bald", "fringe", "long", "bun", "curly", "afro")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
_HAIR_COLOURS = ((20, 16, 14), (48, 32, 24), (84, 56, 36), (128, 92, 58), (176, 140, 92), (132, 62, 34),
                 (150, 148, 146),                 (215, 212, 208))  # fmt: skip
HAIR_COLOUR_NAMES = ("black", "dark brown", "brown", "light brown", "blond", "red", "grey", "white")

_SHAPE: dict[str, tuple] = {  # one standard deviation of each trait: pulls as in muscles.PULLS
    "jaw_width": ((5.2, -8.3, 1.8, 2.2, 0.38, 0, 0.1, BOTH), (2.5, -10.6, 1.2, 1.0, 0.22, 0, 0, BOTH)),
    "chin_height": ((0, -10.6, 2.6, 1.4, 0, -0.38, 0, BOTH),),
    "chin_forward": ((0, -10.2, 1.6, 1.2, 0, 0, 0.38, BOTH),),
    "cheekbone": ((4.9, -2.4, 1.5, 1.1, 0.18, 0, 0.24, BOTH),),
    "fullness": ((5.2, -6.2, 1.4, 2.2, 0.36, 0, 0.32, BOTH), (0, -12.0, 3.0, 0.9, 0, -0.15, 0.55, BOTH)),
    "brow_ridge": ((2.8, 1.6, 1.8, 0.5, 0, -0.06, 0.22, BOTH), (0, 1.7, 0.9, 0.6, 0, 0, 0.12, BOTH)),
    "brow_height": ((3.0, 2.0, 2.0, 0.7, 0, 0.2, 0, BOTH),),
    "forehead": ((0, 6.5, 6.0, 2.8, 0, 0, 0.5, BOTH),),
    "eye_spacing": ((3.15, 0, 1.6, 1.1, 0.17, 0, 0, BOTH),),
    "eye_tilt": ((4.6, 0.05, 0.9, 0.7, 0, 0.16, 0, BOTH), (1.7, 0, 0.5, 0.5, 0, -0.06, 0, BOTH)),
    "eye_depth": ((3.1, 0.3, 1.5, 0.9, 0, 0, 0.2, BOTH),),
    "eye_width": ((4.6, 0, 0.7, 0.6, 0.13, 0, 0, BOTH), (1.7, 0, 0.4, 0.5, -0.05, 0, 0, BOTH)),
    "bridge_height": ((0, -0.4, 0.7, 1.2, 0, 0, 0.32, BOTH),),
    "bridge_width": ((0.8, -1.2, 0.6, 1.4, 0.12, 0, 0.03, BOTH),),
    "nose_hump": ((0, -1.9, 0.5, 0.7, 0, 0, 0.16, BOTH),),
    "nose_length": ((0, -4.1, 1.7, 0.9, 0, -0.26, 0, BOTH),),
    "nose_width": ((1.4, -4.1, 0.7, 0.6, 0.2, 0, 0.04, BOTH),),
    "nose_tip": ((0, -3.7, 0.9, 0.7, 0, 0.1, 0.3, BOTH),),
    "nose_turn": ((0, -3.8, 0.7, 0.6, 0, 0.2, 0.05, BOTH),),
    "mouth_width": ((2.6, -7.0, 1.1, 0.9, 0.22, 0, -0.05, BOTH),),
    "mouth_height": ((0, -7.0, 3.0, 1.1, 0, 0.2, 0, BOTH),),
    "mouth_forward": ((0, -7.0, 2.4, 1.4, 0, 0, 0.35, BOTH),),
    "upper_lip": ((0, -6.3, 1.9, 0.32, 0, 0.11, 0.12, UPPER),),
    "lower_lip": ((0, -7.8, 1.9, 0.36, 0, -0.13, 0.14, LOWER),),
    "lip_corners": ((2.6, -7.0, 0.8, 0.6, 0, 0.08, 0, BOTH),),
    "sag": ((3.6, -9.4, 1.3, 1.0, 0.12, -0.25, 0.12, BOTH), (4.6, -5.4, 1.1, 1.6, -0.1, -0.1, -0.22, BOTH),
            (2.9, -1.05, 1.1, 0.3, 0, -0.02, 0.14, BOTH), (4.2, 0.9, 1.2, 0.4, 0, -0.14, 0.08, BOTH)),
}  # fmt: skip
TRAITS = (*_SHAPE, "breadth", "depth", "face_height", "skull_height", "neck", "lid_open", "ears",
          "skew_mouth", "skew_brow", "skew_nose", "hair_volume", "hair_length", "shoulders")  # fmt: skip
_MALE = {
    "jaw_width": 0.95,
    "chin_height": 0.6,
    "brow_ridge": 0.8,
    "brow_height": -0.45,
    "neck": 1.0,
    "nose_tip": 0.5,
    "nose_length": 0.4,
    "nose_width": 0.3,
    "upper_lip": -0.8,
    "lower_lip": -0.6,
    "breadth": 0.3,
    "face_height": 0.4,
    "lid_open": -0.6,
    "forehead": -0.6,
    "shoulders": 0.9,
    "mouth_width": 0.3,
    "cheekbone": -0.4,
    "eye_width": -0.4,
}
_EVERYONE = {  # from the sculpture to the mean face of photographs (aligned on FER2013's Training faces)
    "face_height": -1.9,
    "mouth_height": 1.1,
    "brow_height": -0.7,
    "chin_height": -1.0,
    "breadth": 0.4,
    "fullness": 0.5,
    "eye_spacing": 0.4,
    "eye_width": 0.5,
    "lid_open": 1.6,
}
_ANCESTRY = (  # mean traits; a caricature of no one, only a spread of shapes over the ten tones
    {"bridge_height": 0.7, "nose_width": -0.5, "nose_tip": 0.5, "eye_depth": -0.4, "upper_lip": -0.4},
    {"bridge_height": -0.9, "eye_depth": 0.9, "lid_open": -0.8, "eye_tilt": 0.8, "cheekbone": 0.7, "nose_tip": -0.6,
     "breadth": 0.5, "brow_ridge": -0.7},
    {"bridge_height": 0.5, "nose_hump": 0.8, "nose_tip": 0.5, "lid_open": 0.5},
    {"bridge_height": -0.8, "nose_width": 1.5, "upper_lip": 1.2, "lower_lip": 1.2, "mouth_forward": 0.9,
     "nose_tip": -0.3,     "mouth_width": 0.5},
    {"nose_width": 0.6, "cheekbone": 0.5, "bridge_height": 0.1, "lower_lip": 0.4},
)  # fmt: skip
_TONES = ((1, 4), (3, 6), (4, 7), (7, 10), (4, 8))  # Monk tones of each ancestry, both ends included


def seeds_of(corpus: str, seed: int, index) -> np.ndarray:
    """One 64-bit seed a person, (N,) uint64, from the corpus's name, the seed and the person's index."""
    digest = hashlib.sha256(f"{corpus}/{seed}".encode()).digest()
    base = np.frombuffer(digest[:8], np.uint64)[0]
    return _mix(_mix(np.asarray(index, np.uint64) + np.uint64(1)) ^ base)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection that scatters 64-bit counters."""
    with np.errstate(over="ignore"):
        x = np.asarray(x, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniforms(seeds: np.ndarray, stream: str, n: int) -> np.ndarray:
    """(N, n) float64 in (0, 1): column j depends only on its row's seed, the stream's name and j."""
    salt = np.frombuffer(hashlib.sha256(stream.encode()).digest()[:8], np.uint64)[0]
    bits = _mix(
        _mix(np.asarray(seeds, np.uint64) ^ salt)[:, None] + np.arange(1, n + 1, dtype=np.uint64)[None]
    )
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def normals(seeds: np.ndarray, stream: str, n: int) -> np.ndarray:
    """(N, n) float64, standard normal by Box and Muller; independent of the batch like :func:`uniforms`."""
    u = uniforms(seeds, stream, 2 * n)
    return np.sqrt(-2 * np.log(u[:, :n])) * np.cos(2 * np.pi * u[:, n:])


@dataclass(frozen=True)
class People:
    """N people.  ``seeds`` (N,) uint64; ``traits`` (N, T) in standard deviations, named by ``TRAITS``; ``table`` of
    attributes, one row a person; ``skin`` and ``hair`` (N, 3) linear RGB; ``iris`` (N, 3) linear RGB;
    ``looks`` name -> (N,) float32, the remaining numbers the renderer needs."""

    seeds: np.ndarray
    traits: torch.Tensor
    skin: torch.Tensor
    hair: torch.Tensor
    iris: torch.Tensor
    looks: dict[str, torch.Tensor]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows) -> People:
        """The people at ``rows`` (slice, or an integer array, repeats allowed)."""
        pick = np.arange(len(self))[rows]
        looks = {name: value[pick] for name, value in self.looks.items()}
        return People(self.seeds[pick], self.traits[pick], self.skin[pick], self.hair[pick], self.iris[pick], looks,
                      self.table.iloc[pick].reset_index(drop=True))  # fmt: skip

    def sitting(self, rows: np.ndarray) -> People:
        """The people at ``rows`` for drawing: ``table`` stays whole, for slicing it takes longer than a small face."""
        at = torch.as_tensor(rows)
        pick = lambda a: a.index_select(0, at)  # noqa: E731
        looks = dict(zip(self.looks, torch.stack(list(self.looks.values())).index_select(1, at), strict=True))
        return People(self.seeds[rows], pick(self.traits), pick(self.skin), pick(self.hair), pick(self.iris), looks,
                      self.table)  # fmt: skip

    def on_default_device(self) -> People:
        """The same people, their tensors on the default device."""
        looks = {name: torch.as_tensor(value) for name, value in self.looks.items()}
        own: dict[str, Any] = {
            n: torch.as_tensor(getattr(self, n)) for n in ("traits", "skin", "hair", "iris")
        }
        return replace(self, looks=looks, **own)

    def attributes(self) -> pd.DataFrame:
        """One row a person: ``age`` (years), ``monk_tone`` (1-10), ``sex``, ``glasses``, ``beard``,
        ``hair`` and ``hair_colour``."""
        return self.table.copy()


def linear_rgb(srgb) -> np.ndarray:
    """Linear RGB in [0, 1] of sRGB in 0..255 (gamma 2.2)."""
    return (np.asarray(srgb, np.float64) / 255.0) ** 2.2


def draw_people(corpus: str, seed: int, index) -> People:
    """The people number ``index`` (array-like of int) of ``corpus`` under ``seed``; the same ones in any batch."""
    seeds = seeds_of(corpus, seed, np.atleast_1d(index))
    u = uniforms(seeds, "person", 24).T
    male = u[0] < 0.5
    age = np.round(18 + 60 * u[1] ** 1.6)
    ancestry = np.searchsorted([0.48, 0.64, 0.78, 0.92], u[2])
    low, high = np.array(_TONES).T
    tone = np.floor(low[ancestry] + u[3] * (high - low + 1)[ancestry]).astype(int)
    old = np.clip((age - 35) / 40, 0, 1)
    traits = _draw_traits(seeds, male, ancestry, old)
    hair_style, hair_colour = _draw_hair(u, male, age, ancestry, tone)
    beard = np.where(male & (age > 20), np.searchsorted([0.60, 0.80, 0.85, 0.92], u[7]), 0)
    glasses = u[8] < 0.10 + 0.18 * old
    table = pd.DataFrame({"age": age.astype(int), "monk_tone": tone, "sex": np.where(male, "male", "female"),
                          "glasses": glasses, "beard": np.array(BEARDS)[beard],
                          "hair": np.array(HAIR_STYLES)[hair_style],
                          "hair_colour": np.array(HAIR_COLOUR_NAMES)[hair_colour]})  # fmt: skip
    monk = np.array([[int(h[i : i + 2], 16) for i in (0, 2, 4)] for h in MONK])
    skin = (
        linear_rgb(monk[tone - 1]) ** 0.82
        * np.array([0.82, 0.625, 0.53])
        * (1 + 0.03 * normals(seeds, "skin", 3))
    )
    skin = 0.55 * skin + 0.45 * skin.mean(1, keepdims=True) * np.array(
        [1.36, 0.90, 0.74]
    )  # blood under the skin
    skin = skin + np.array([0.024, 0.013, 0.009])
    hair = linear_rgb(np.array(_HAIR_COLOURS)[hair_colour]) * np.exp(0.2 * normals(seeds, "hair", 1))
    dark_eyes = (tone > 5) | (ancestry == 1) | (u[9] < 0.4)
    iris_kind = np.where(dark_eyes, 0, 1 + np.floor(u[10] * 3).astype(int))
    iris = linear_rgb(np.array([(70, 42, 24), (92, 128, 160), (98, 122, 84), (128, 96, 56)])[iris_kind])
    looks = {
        "male": male,
        "old": old,
        "tone": tone,
        "hair_style": hair_style,
        "hair_part": u[16] * 2 - 1,
        "hairline": u[17] * 2 - 1,
        "curl": u[22],
        "beard": beard,
        "glasses": glasses,
        "glasses_shape": u[18],
        "epicanthus": np.where(ancestry == 1, 0.4 + 0.6 * u[11], 0.15 * u[11]),
        "brow_thick": 0.82 + 0.3 * male + 0.5 * (u[12] - 0.5),
        "brow_arch": u[13] - 0.3 * male + 0.3,
        "lipstick": ~male * np.clip(u[14] * 2.2 - 1.2, 0, 1),
        "freckles": (tone < 5) * np.clip(u[15] * 2 - 1.2, 0, 1),
        "red": u[23],
        "fold_gain": 0.65 + 0.75 * old + 0.2 * u[21],
        "top_hue": u[19],
        "top_value": u[20],
    }
    floats = {k: torch.as_tensor(np.asarray(v, np.float32)) for k, v in looks.items()}
    as32 = lambda a: torch.as_tensor(np.clip(a, 0.004, 1).astype(np.float32))  # noqa: E731
    return People(
        seeds, torch.as_tensor(traits.astype(np.float32)), as32(skin), as32(hair), as32(iris), floats, table
    )


def _draw_traits(seeds: np.ndarray, male: np.ndarray, ancestry: np.ndarray, old: np.ndarray) -> np.ndarray:
    """(N, T) traits in standard deviations around the means of the person's sex, ancestry and age."""
    traits = np.clip(0.85 * normals(seeds, "traits", len(TRAITS)), -2.2, 2.2)
    means = np.zeros((len(_ANCESTRY), len(TRAITS)))
    for row, shifts in enumerate(_ANCESTRY):
        for name, shift in shifts.items():
            means[row, TRAITS.index(name)] = shift
    sexed = np.array([_MALE.get(name, 0.0) for name in TRAITS])
    everyone = np.array([_EVERYONE.get(name, 0.0) for name in TRAITS])
    traits += everyone + means[ancestry] + np.where(male, 1, -1)[:, None] * sexed
    traits[:, TRAITS.index("sag")] = 1.8 * old + 0.3 * traits[:, TRAITS.index("sag")]
    return traits


def _draw_hair(u: np.ndarray, male: np.ndarray, age: np.ndarray, ancestry: np.ndarray, tone: np.ndarray):
    """Style and colour indices, (N,) int each, by sex, age and ancestry."""
    old = np.clip((age - 30) / 45, 0, 1)
    style_m = np.searchsorted([0.48, 0.70, 0.72, 0.86], u[4])
    style_m = np.where(u[5] < 0.45 * old, np.where(u[4] < 0.6, 2, 3), np.array([0, 1, 2, 3, 4])[style_m])
    style_m = np.where(style_m == 4, np.select([u[5] < 0.4, u[5] < 0.85], [7, 0], 4), style_m)
    style_f = np.array([5, 6, 4, 7, 0])[np.searchsorted([0.45, 0.68, 0.82, 0.94], u[4])]
    style = np.where(male, style_m, style_f)
    style = np.where(
        (ancestry == 3) & np.isin(style, (0, 5, 4)) & (u[5] < 0.7), np.where(u[5] < 0.35, 8, 1), style
    )
    dark = np.searchsorted([0.6, 0.92], u[6])
    light = np.searchsorted([0.1, 0.35, 0.6, 0.78, 0.93], u[6])
    colour = np.where((ancestry == 0) & (tone < 5), light, dark)
    grey = u[5] * 0.6 + old * 0.75
    return style, np.where((grey > 0.85) & (age > 45), np.where(age > 64, 7, 6), colour)


@kept(8)
def shape_basis(cols: int) -> torch.Tensor:
    """Displacement (T, 3V) of one standard deviation of each of ``TRAITS`` on the atlas of ``cols`` columns, cm."""
    head = atlas(cols)
    x, y, z = head.rest
    v, sign = head.material[1], np.sign(head.rest[0])
    zero, body = np.zeros_like(x), head.part == SHOULDERS
    on_head = ~body * smoothstep(-16.5, -13.0, np.where(head.part == HEAD, v, -13.0))
    stack = lambda dx, dy, dz: np.stack([dx + zero, dy + zero, dz + zero])  # noqa: E731
    fields = {name: pull(head, pulls) for name, pulls in _SHAPE.items()}
    fields["breadth"] = stack(0.045 * x * on_head, 0, 0)
    fields["depth"] = stack(0, 0, 0.04 * (z + 8) * on_head)
    fields["face_height"] = stack(0, 0.04 * np.clip(y, -11.8, 0) * on_head, 0)
    fields["skull_height"] = stack(0, 0.035 * np.maximum(y - 2, 0), 0)
    neck = (
        smoothstep(-9.5, -12.5, v) * (head.part == HEAD) * (1 - 0.9 * head.front * smoothstep(-13, -11.8, v))
    )
    fields["neck"] = stack(0.09 * x * neck, 0, 0.05 * (z + 8) * neck)
    near = head.front * bump(np.abs(head.material[0]), v, 3.15, 0.5, 0.85, 0.28)
    fields["lid_open"] = stack(0, 0.1 * near * smoothstep(-0.3, 0.3, v), 0)
    ear = head.part == EARS
    fields["ears"] = stack(0.12 * (np.abs(x) - 6) * sign * ear, 0.1 * (y + 1.9) * ear, 0)
    fields["skew_mouth"] = (
        stack(0.1, 0.07 * np.sign(x) * np.minimum(np.abs(x), 3), 0) * head.front * bump(x, v, 0, -7.5, 3, 2)
    )
    fields["skew_brow"] = stack(0, 0.14 * np.tanh(x / 2), 0) * head.front * bump(0, v, 0, 2.0, 1, 0.8)
    fields["skew_nose"] = stack(0.1, 0, 0) * head.front * bump(x, v, 0, -3, 1.2, 1.8)
    curtain = head.part == CURTAIN
    out = smoothstep(9, -2, y) * curtain
    fields["hair_volume"] = stack(0.5 * np.sin(head.angle) * out, 0, 0.3 * np.cos(head.angle) * out)
    fields["hair_length"] = stack(0, 3.5 * smoothstep(1, -19, y) * -1 * curtain, 0)
    fields["shoulders"] = stack(0.07 * x * body, 0, 0)
    return to_torch(np.stack([fields[name] for name in TRAITS]).reshape(len(TRAITS), -1))


@kept(8)
def age_folds(cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The folds that stay with age: displacement (3V,) and darkening (V,)."""
    head = atlas(cols)
    parts = [
        (0.35, "AU01"),
        (0.35, "AU02"),
        (0.25, "AU04"),
        (0.5, "AU06"),
        (0.4, "AU10"),
        (0.4, "AU12"),
        (0.35, "AU15"),
    ]
    folds = [(share, *fold(head, FOLDS[au])) for share, au in parts]
    moved = np.sum([share * moves for share, moves, _ in folds], axis=0)
    dark = np.sum([share * shade for share, _, shade in folds], axis=0)
    return to_torch(moved.reshape(-1)), to_torch(dark)
