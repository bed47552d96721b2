"""Colour on the surface: skin with its mottling, redness and freckles, beard, hair and clothes.

Everything here lives on the atlas, in linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ferlib.synthetic.hair import locks
from ferlib.synthetic.head import EARS, SHOULDERS, atlas, bump, kept, smoothstep, to_torch
from ferlib.synthetic.people import People
from ferlib.synthetic.raster import chosen

FOLD_DARKENS = (0.43, 0.45, 0.45)  # share of red, green and blue that a fold takes away


@dataclass(frozen=True)
class SkinMaps:
    """Fixed maps (V,) on the atlas, each about [0, 1] unless said: redness, lid_dark, beard regions, freckles,
    noises of unit variance (coarse, fine, bristles)."""

    red: torch.Tensor
    socket: torch.Tensor
    beard: torch.Tensor  # (len(BEARDS), V)
    coarse: torch.Tensor  # (4, V)
    fine: torch.Tensor
    bristles: torch.Tensor
    freckles: torch.Tensor


def _noise(shape: tuple[int, int], sigma: tuple[float, float], seed: int) -> np.ndarray:
    """Smooth noise of unit variance on the atlas; ``sigma`` across and down, in grid points."""
    raw = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    soft = cv2.GaussianBlur(raw, (0, 0), sigmaX=max(sigma[0], 0.05), sigmaY=max(sigma[1], 0.05))
    return ((soft - soft.mean()) / soft.std()).reshape(-1)


def _beards(side: np.ndarray, v: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Where each beard of ``BEARDS`` grows, (5, V)."""
    jaw = smoothstep(-4.2, -7.0, v + 0.28 * (4.5 - side).clip(0)) * smoothstep(-13.6, -12.4, v)
    cheek_free = smoothstep(2.4, 3.6, side + np.maximum(-6.0 - v, 0) * 2.0)
    around_lips = 1 - smoothstep(1.08, 0.9, np.hypot(side / 2.7, (v + 7.1) / 0.8))
    full = jaw * np.maximum(cheek_free, smoothstep(-8.0, -8.6, v)) * around_lips
    soul = bump(side, v, 0, -8.35, 0.35, 0.4) * around_lips
    moustache = (
        smoothstep(-6.7, -6.1, v + 0.1 * side)
        * smoothstep(-4.9, -5.7, v + 0.12 * side)
        * smoothstep(3.0, 1.9, side)
    )
    moustache = np.maximum(moustache * 0.92, 0.8 * bump(side, v, 2.95, -6.9, 0.35, 0.7)) * around_lips
    goatee = smoothstep(2.1, 1.5, side) * smoothstep(-8.5, -9.1, v) * smoothstep(-12.8, -12.0, v)
    goatee = np.maximum(goatee, bump(side, v, 2.6, -8.6, 0.45, 1.0)) + soul
    everything = np.clip(np.maximum(full, moustache) + soul, 0, 1)
    return np.stack([0 * v, everything, moustache, np.maximum(goatee, moustache), everything]) * front


@kept(8)
def skin_maps(cols: int) -> SkinMaps:
    """The maps on the atlas of ``cols`` columns."""
    head = atlas(cols)
    x, v = head.material
    side, shape, fine = np.abs(x), (head.rows, head.cols), cols / 128
    red = (
        0.8 * bump(side, v, 4.1, -3.0, 1.4, 1.2)
        + 0.7 * bump(side, v, 0.3, -3.9, 1.0, 0.7)
        + 0.35 * bump(side, v, 0, -10, 1.3, 0.9)
    )
    red = red * head.front + 0.8 * (head.part == EARS)
    socket = bump(side, v, 2.3, -0.5, 1.2, 0.7) + 0.6 * bump(side, v, 3.1, 0.8, 1.3, 0.4)
    spots = _noise(shape, (0.8 * fine, 0.8 * fine), 3)
    bristles = 0.8 * _noise(shape, (0.3, 1.6 * fine), 5) + 0.6 * _noise(shape, (1.6 * fine, 3 * fine), 7)
    maps = {
        "red": red,
        "socket": socket * head.front,
        "beard": _beards(side, v, head.front),
        "coarse": np.stack([_noise(shape, (s * fine, s * fine), 10 + s) for s in (3, 5, 8, 14)]),
        "fine": _noise(shape, (0.6 * fine, 0.6 * fine), 4) * smoothstep(-14.0, -11.5, v),  # not on the neck
        "bristles": bristles,
        "freckles": np.clip(spots - 1.3, 0, 1.5) * head.front,
    }
    return SkinMaps(**{name: to_torch(values) for name, values in maps.items()})


def surface_colour(people: People, cover: torch.Tensor, cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Albedo (N, 3, V), linear, of skin, hair and clothes, and how much of it a fold of darkness 1 takes away.

    cover : (N, V) in [0, 1], hair.  Bristles and hair hide what a fold would darken.
    """
    head, maps = atlas(cols), skin_maps(cols)
    look = lambda name: people.looks[name][:, None]  # noqa: E731
    part = torch.as_tensor(head.part)
    mix = people.traits[:, None, [0, 7, 13, 19]] * 0.5
    coarse = maps.coarse.expand(len(people), -1, -1)  # one product a person: those of one shape round alike
    mottle = torch.bmm(mix, coarse)[:, 0].mul_(0.035).add_(maps.fine, alpha=0.02)
    redness = maps.red * (0.6 + 0.7 * look("red")) + 0.1 * torch.bmm(mix.roll(1, 2), coarse)[:, 0]
    shade = (
        1 + mottle - 0.10 * maps.socket * (1 + look("old")) - 0.12 * look("freckles") * maps.freckles
    ).clamp(0.3, 1.3)
    skin = people.skin[:, :, None] * shade[:, None]
    blush = torch.stack([0.03 * redness, -0.20 * redness, -0.20 * redness], 1)
    skin = skin * (1 + blush)
    beard = maps.beard[people.looks["beard"].long()]
    full = (people.looks["beard"] > 1).float()[:, None]
    density = (beard * (0.34 + 0.52 * full) * (1 + 0.13 * maps.bristles)).clamp(0, 0.95)
    grown = (0.85 * people.hair + 0.04 * people.skin)[:, :, None]
    bearded = chosen(people.looks["beard"] > 0)
    share = (grown[bearded] / skin[bearded].clamp(min=1e-3)) ** density[bearded][:, None]
    skin[bearded] *= share  # bristles let some skin through
    wisps = 0.24 * locks(people, cols) - 0.25 * (0.6 - cover).clamp(min=0)
    hair = people.hair.clamp(max=0.5)[:, :, None] * torch.exp(wisps)[:, None]
    cloth = _clothes(people)[:, :, None] * (1 + 0.06 * maps.coarse[2])
    colour = skin + (hair - skin) * cover[:, None]
    fold = skin * ((1 - density) * (1 - cover))[:, None] * skin.new_tensor(FOLD_DARKENS)[:, None]
    clad = (part == SHOULDERS)[None, None]
    return torch.where(clad, cloth, colour), fold.masked_fill(clad, 0)


def _clothes(people: People) -> torch.Tensor:
    """Linear RGB (N, 3) of the top each person wears."""
    hue, value = people.looks["top_hue"], people.looks["top_value"]
    wheel = 0.5 + 0.5 * torch.cos(6.2832 * (hue[:, None] + torch.tensor([0.0, 0.33, 0.67])))
    return (0.02 + 0.35 * value[:, None] ** 2) * (0.45 + 0.55 * wheel)
