"""Colour on the surface: skin with its mottling, redness and freckles, beard, hair and clothes.

Everything here lives on the atlas, in linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from ferlib.synthetic.head import CURTAIN, EARS, HEAD, SHOULDERS, atlas, bump, smoothstep, to_torch
from ferlib.synthetic.people import HAIR_STYLES, People

# lowest height of hair, by azimuth in radians: a hairline in front, sideburns, round the ear, to the nape
_HAIRLINE = ((0, 6.2), (0.35, 6.2), (0.6, 5.7), (0.78, 4.8), (0.92, 3.6), (1.05, 2.0), (1.18, 0.3), (1.3, -1.7),
             (1.45, -1.7), (1.7, 0.2), (1.9, -0.6), (2.1, -6.0), (2.5, -8.5), (3.2, -9.0))  # fmt: skip
#              thickness on top, at the sides, recession of the hairline, fringe, strand depth, curl
_STYLE = {"short": (1.1, 0.75, 0.0, 0.0, 0.10, 0.2), "cropped": (0.35, 0.25, 0.0, 0.0, 0.05, 0.6),
          "receding": (0.5, 0.5, 1.0, 0.0, 0.08, 0.2), "bald": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
          "fringe": (1.2, 1.0, 0.0, 1.0, 0.12, 0.1), "long": (0.9, 1.0, 0.0, 0.0, 0.12, 0.1),
          "bun": (0.7, 0.4, 0.0, 0.0, 0.07, 0.1), "curly": (2.0, 1.5, 0.0, 0.25, 0.35, 1.0),
          "afro": (3.2, 2.6, 0.0, 0.0, 0.3, 1.0)}  # fmt: skip


@dataclass(frozen=True)
class SkinMaps:
    """Fixed maps (V,) on the atlas, each about [0, 1] unless said: redness, lid_dark, beard regions, hair geometry,
    noises of unit variance (coarse, fine, strands, curls)."""

    red: torch.Tensor
    socket: torch.Tensor
    beard: torch.Tensor  # (len(BEARDS), V)
    hairline: torch.Tensor
    temple: torch.Tensor
    top: torch.Tensor
    part_line: torch.Tensor
    coarse: torch.Tensor  # (4, V)
    fine: torch.Tensor
    strands: torch.Tensor
    curls: torch.Tensor
    freckles: torch.Tensor


def _noise(shape: tuple[int, int], sigma: tuple[float, float], seed: int) -> np.ndarray:
    """Smooth noise of unit variance on the atlas; ``sigma`` across and down, in grid points."""
    raw = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    soft = cv2.GaussianBlur(raw, (0, 0), sigmaX=max(sigma[0], 0.05), sigmaY=max(sigma[1], 0.05))
    return ((soft - soft.mean()) / soft.std()).reshape(-1)


def _beards(side: np.ndarray, v: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Where each beard of ``BEARDS`` grows, (5, V)."""
    jaw = smoothstep(-4.6, -6.4, v + 0.28 * (4.5 - side).clip(0)) * smoothstep(-13.6, -12.4, v)
    cheek_free = smoothstep(2.4, 3.6, side + np.maximum(-6.0 - v, 0) * 2.0)
    around_lips = 1 - smoothstep(1.25, 0.85, np.hypot(side / 2.6, (v + 7.05) / 0.95))
    full = jaw * np.maximum(cheek_free, smoothstep(-8.0, -8.6, v)) * around_lips
    soul = bump(side, v, 0, -8.35, 0.35, 0.4)
    moustache = (
        smoothstep(-6.75, -6.2, v + 0.1 * side) * smoothstep(-5.0, -5.5, v) * smoothstep(3.1, 2.4, side)
    )
    moustache = np.maximum(moustache, bump(side, v, 2.95, -6.9, 0.35, 0.7)) * around_lips
    goatee = smoothstep(2.1, 1.5, side) * smoothstep(-8.5, -9.1, v) * smoothstep(-12.8, -12.0, v)
    goatee = np.maximum(goatee, bump(side, v, 2.6, -8.6, 0.45, 1.0)) + soul
    everything = np.clip(np.maximum(full, moustache) + soul, 0, 1)
    return np.stack([0 * v, everything, moustache, np.maximum(goatee, moustache), everything]) * front


@lru_cache(maxsize=8)
def skin_maps(cols: int, device: str = "cpu") -> SkinMaps:
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
    azimuth, line = np.array(_HAIRLINE).T
    hairline = np.interp(np.abs(head.angle), azimuth, line)
    temple = bump(np.abs(head.angle), 0, 0.72, 0, 0.22, 1) + 0.25 * bump(head.angle, 0, 0, 0, 0.5, 1)
    spots = _noise(shape, (0.8 * fine, 0.8 * fine), 3)
    strands = 0.75 * _noise(shape, (0.3, 7 * fine), 5) + 0.65 * _noise(shape, (1.1 * fine, 14 * fine), 7)
    maps = {
        "red": red,
        "socket": socket * head.front,
        "beard": _beards(side, v, head.front),
        "hairline": hairline,
        "temple": temple,
        "top": smoothstep(2.0, 8.5, v),
        "part_line": x,
        "coarse": np.stack([_noise(shape, (s * fine, s * fine), 10 + s) for s in (3, 5, 8, 14)]),
        "fine": _noise(shape, (0.6 * fine, 0.6 * fine), 4),
        "strands": strands,
        "curls": _noise(shape, (1.6 * max(fine, 1.0),) * 2, 6),
        "freckles": np.clip(spots - 1.3, 0, 1.5) * head.front,
    }
    return SkinMaps(**{name: to_torch(values, device) for name, values in maps.items()})


def hair_cover(people: People, cols: int, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Cover (N, V) in [0, 1] of hair on the atlas and its thickness (N, V) in cm above the skin."""
    head, maps = atlas(cols), skin_maps(cols, device)
    v = to_torch(head.material[1], device)
    part = torch.as_tensor(head.part, device=device)
    style = torch.tensor([_STYLE[s] for s in HAIR_STYLES], device=device)[people.looks["hair_style"].long()]
    look = lambda name: people.looks[name][:, None]  # noqa: E731
    top, sides, recede, fringe, _, _ = (c[:, None] for c in style.unbind(1))
    line = (
        maps.hairline
        + 0.45 * look("hairline")
        + maps.temple * (2.2 * recede + 0.8 * look("male") + 1.2 * look("old") * look("male"))
    )
    fall = (
        2.6 * fringe * torch.exp(-(((maps.part_line - 1.5 * look("hair_part")) / 6.0) ** 2)) * (v > 2).float()
    )
    above = v - (line - fall) + 0.04 * maps.strands + 0.12 * maps.curls
    on_head = (part == HEAD).float() * (top > 0)
    cover = torch.sigmoid(above * 3.6 + 0.55 * maps.strands) * on_head
    grown = (above * 0.6).clamp(0, 1)
    thick = cover * (0.15 + 0.85 * grown) * (sides + (top - sides) * maps.top)
    sweep = 1 + 0.35 * look("hair_part") * torch.tanh(maps.part_line / 3.0) * maps.top
    rough = 0.12 * maps.strands * style[:, 4:5] + 0.6 * maps.curls * style[:, 4:5] * style[:, 5:6]
    thick = thick * sweep * (1 + 0.2 * (look("curl") - 0.5)) + cover * rough * grown
    return torch.where(part == CURTAIN, torch.ones_like(cover), cover), thick * on_head


def surface_colour(people: People, cover: torch.Tensor, dark: torch.Tensor, cols: int, device: str = "cpu"):
    """Albedo (N, 3, V), linear, of skin, hair and clothes; ``dark`` (N, V) are folds, ``cover`` (N, V) is hair."""
    head, maps = atlas(cols), skin_maps(cols, device)
    look = lambda name: people.looks[name][:, None]  # noqa: E731
    part = torch.as_tensor(head.part, device=device)
    mix = torch.stack([people.traits[:, i] for i in (0, 7, 13, 19)], 1) * 0.5
    mottle = 0.035 * (mix @ maps.coarse) + 0.02 * maps.fine
    redness = maps.red * (0.6 + 0.7 * look("red")) + 0.1 * (mix.roll(1, 1) @ maps.coarse)
    shade = (
        1 + mottle - 0.10 * maps.socket * (1 + look("old")) - 0.12 * look("freckles") * maps.freckles
    ).clamp(0.3, 1.3)
    shade = shade * (1 - 0.55 * dark.clamp(0, 1.3))
    skin = people.skin[:, :, None] * shade[:, None]
    blush = torch.stack([0.03 * redness + 0.04 * dark, -0.20 * redness, -0.20 * redness], 1)
    skin = skin * (1 + blush)
    beard = maps.beard[people.looks["beard"].long()]
    full = (people.looks["beard"] > 1).float()[:, None]
    density = beard * (0.36 + 0.5 * full) * (1 + 0.12 * maps.fine + 0.10 * maps.strands).clamp(0.5, 1.4)
    hair = people.hair[:, :, None] * (1 + 0.22 * maps.strands + 0.08 * maps.coarse[0]).clamp(0.25, 2.0)
    skin = skin + (0.8 * hair - skin) * (density * full + density * (1 - full) * 0.75).clamp(0, 0.92)[:, None]
    cloth = _clothes(people)[:, :, None] * (1 + 0.06 * maps.coarse[2])
    colour = skin + (hair - skin) * cover[:, None]
    return torch.where((part == SHOULDERS)[None, None], cloth, colour), beard * full


def _clothes(people: People) -> torch.Tensor:
    """Linear RGB (N, 3) of the top each person wears."""
    hue, value = people.looks["top_hue"], people.looks["top_value"]
    wheel = 0.5 + 0.5 * torch.cos(6.2832 * (hue[:, None] + torch.tensor([0.0, 0.33, 0.67])))
    return (0.02 + 0.35 * value[:, None] ** 2) * (0.45 + 0.55 * wheel)
