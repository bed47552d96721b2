"""Hair on the head: where it grows, how thick it stands, which way its locks run.

Everything here lives on the atlas.  Locks run along circles round a point on the forehead, which is how hair falls
from a parting; the point's place says where the parting is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from ferlib.synthetic.head import CURTAIN, HEAD, atlas, bump, kept, smoothstep, to_torch
from ferlib.synthetic.people import HAIR_STYLES, People

# lowest height of hair, by azimuth in radians: a hairline in front, sideburns, round the ear, to the nape
_HAIRLINE = ((0, 6.3), (0.35, 6.2), (0.6, 5.7), (0.78, 4.8), (0.92, 3.6), (1.05, 2.0), (1.18, 0.3), (1.3, -1.7),
             (1.45, -1.7), (1.7, 0.2), (1.9, -0.6), (2.1, -6.0), (2.5, -8.5), (3.2, -9.0))  # fmt: skip
_FLOWS = ("left", "right", "middle", "down", "crop", "curl")
#              cm on top, at the sides, recession, fringe, roughness cm, how dense at the sides, flow
_STYLE = {"short": (1.4, 0.35, 0.0, 0.0, 0.09, 0.85, "left"), "cropped": (0.4, 0.15, 0.0, 0.0, 0.03, 0.7, "crop"),
          "receding": (0.7, 0.35, 1.0, 0.0, 0.10, 0.8, "left"), "bald": (0, 0, 0, 0, 0, 1, "crop"),
          "fringe": (1.3, 0.9, 0.0, 1.0, 0.18, 1.0, "down"), "long": (0.9, 1.0, 0.0, 0.0, 0.14, 1.0, "middle"),
          "bun": (0.7, 0.35, 0.0, 0.0, 0.08, 1.0, "left"), "curly": (2.0, 1.2, 0.0, 0.25, 0.24, 1.0, "curl"),
          "afro": (3.0, 2.4, 0.0, 0.0, 0.22, 1.0, "curl")}  # fmt: skip
_PARTINGS = {"left": (4.4, 1.2), "right": (-4.4, 1.2), "middle": (0.0, 1.5)}


@dataclass(frozen=True)
class HairMaps:
    """Fixed maps (V,) on the atlas: lowest height of hair, temples, top of the head, and for each of ``_FLOWS`` the
    strands and the clumps of hair, noises (flows, V) of unit variance."""

    line: torch.Tensor
    temple: torch.Tensor
    top: torch.Tensor
    across: torch.Tensor
    strands: torch.Tensor
    clumps: torch.Tensor


def _along(turns: np.ndarray, radius: np.ndarray, width: float, length: float, seed: int) -> np.ndarray:
    """Noise of unit variance, ``width`` cm across circles of ``radius`` and ``length`` cm along them."""
    raw = np.random.default_rng(seed).standard_normal((1024, 64)).astype(np.float32)
    table = cv2.GaussianBlur(raw, (0, 0), sigmaX=0.6, sigmaY=0.6)
    row, col = radius / width, turns * 12.0 / length
    found = cv2.remap(
        table, col.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR, None, cv2.BORDER_WRAP
    )
    return (found - found.mean()) / found.std()


def _isotropic(shape: tuple[int, int], sigma: float, seed: int) -> np.ndarray:
    raw = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    soft = cv2.GaussianBlur(raw, (0, 0), sigma)
    return (soft - soft.mean()) / soft.std()


def _knobs(at: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Noise of unit variance at the places ``at`` (3, V): round knobs ``size`` cm wide with creases between them."""
    raw = np.random.default_rng(seed).standard_normal((48, 48, 48)).astype(np.float32)
    table = gaussian_filter(raw, 2.0, mode="wrap")
    found = map_coordinates(table / table.std(), at * (2.0 / size), order=1, mode="grid-wrap")
    found = np.sqrt(found**2 + 0.1)
    return (found - found.mean()) / found.std()


def _locks(cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Strands and clumps (flows, V) of each of ``_FLOWS``."""
    head, grain = atlas(cols), max(0.10, 24.0 / cols)
    shape = (head.rows, head.cols)
    x, v = (a.reshape(shape) for a in (head.rest[0], head.material[1]))
    turned = head.angle.reshape(shape)
    sheets = (head.part == CURTAIN).reshape(shape)
    fields = {}
    for name, (px, pv) in _PARTINGS.items():
        mirror = -1.0 if px < 0 else 1.0
        fields[name] = (np.arctan2(mirror * (x - px), v - pv), np.hypot(x - px, v - pv))
    fields["down"] = (v / 8.0, 7.5 * turned)
    strands, clumps = [], []
    for i, name in enumerate(_FLOWS):
        if name == "curl":
            strands.append(_knobs(head.rest, max(0.3, 38 / cols), 5 + i).reshape(shape))
            clumps.append(_knobs(head.rest, max(0.55, 65 / cols), 15 + i).reshape(shape))
            continue
        if name == "crop":
            strands.append(_isotropic(shape, 0.5, 5 + i))
            clumps.append(_isotropic(shape, 1.7 * max(cols / 128, 1.0), 15 + i))
            continue
        turn, radius = fields[name]
        turn, radius = (np.where(sheets, v / 8.0, turn), np.where(sheets, 7.5 * turned, radius))
        radius = radius + 0.25 * np.sin(3 * turn + 0.8 * radius)
        fine = 0.8 * _along(turn, radius, grain, 5.0, 31) + 0.6 * _along(turn, radius, 2.5 * grain, 8.0, 32)
        strands.append(fine)
        clumps.append(_along(turn, radius, max(0.55, 2.5 * grain), 9.0, 33))
    flat = lambda fields: np.stack([f.reshape(-1) for f in fields])  # noqa: E731
    behind = 3.0 * sheets * smoothstep(1.45, 2.1, np.abs(turned))  # the neck, where it is dark
    strands = [s - behind for s in strands]
    return flat(strands), flat(clumps)


@kept(8)
def hair_maps(cols: int) -> HairMaps:
    """The maps on the atlas of ``cols`` columns."""
    head = atlas(cols)
    azimuth, line = np.array(_HAIRLINE).T
    turned = np.abs(head.angle)
    strands, clumps = _locks(cols)
    maps = {
        "line": np.interp(turned, azimuth, line),
        "temple": bump(turned, 0, 0.72, 0, 0.22, 1) + 0.25 * bump(head.angle, 0, 0, 0, 0.5, 1),
        "top": smoothstep(2.0, 8.0, head.material[1]),
        "across": head.material[0],
        "strands": strands,
        "clumps": clumps,
    }
    return HairMaps(**{name: to_torch(values) for name, values in maps.items()})


def _flow(people: People) -> torch.Tensor:
    """Which of ``_FLOWS`` (N,) each person's hair follows: a parting lies on the side of ``hair_part``."""
    kinds = torch.tensor([_FLOWS.index(_STYLE[s][-1]) for s in HAIR_STYLES])
    kind = kinds[people.looks["hair_style"].long()]
    part = people.looks["hair_part"]
    swept = (kind < 2) | ((kind == 2) & (part.abs() > 0.4))
    return torch.where(swept, (part > 0).long(), kind)


def locks(people: People, cols: int) -> torch.Tensor:
    """Light and dark of each person's strands (N, V), unit variance."""
    maps, flow = hair_maps(cols), _flow(people)
    return 0.75 * maps.strands[flow] + 0.65 * maps.clumps[flow]


def hair_cover(people: People, cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cover (N, V) in [0, 1] of hair on the atlas and its thickness (N, V) in cm above the skin."""
    head, maps, flow = atlas(cols), hair_maps(cols), _flow(people)
    grows = slice(0, int((head.part == HEAD).sum()))  # the head comes first
    v = to_torch(head.material[1, grows])
    across, crown = maps.across[grows], maps.top[grows]
    numbers = torch.tensor([_STYLE[s][:-1] for s in HAIR_STYLES])
    style = numbers[people.looks["hair_style"].long()]
    top, sides, recede, fringe, rough, dense = (c[:, None] for c in style.unbind(1))
    look = lambda name: people.looks[name][:, None]  # noqa: E731
    strands, clumps = maps.strands[:, grows][flow], maps.clumps[:, grows][flow]
    line = maps.line[grows] + 0.5 * look("hairline") - 0.3
    line = line + maps.temple[grows] * (2.2 * recede + 0.8 * look("male") + 1.2 * look("old") * look("male"))
    sweep = torch.tanh((across - 2.5 * look("hair_part")) / 4.0)
    front = (v > 2).float()
    fall = (2.4 * fringe + (fringe < 0.1) * top.clamp(max=1) * 0.6 * sweep * look("hair_part").sign()) * front
    fall = fall * torch.exp(-((across / 6.5) ** 2))
    ragged = (0.25 * strands + 0.2 * clumps) * (0.15 + rough * 3.0)
    above = v - (line - fall) + ragged
    haired = (top > 0).float()
    cover = torch.sigmoid(above * 4.5 + 0.6 * strands) * haired
    cover = cover * (dense + (1 - dense) * crown)
    grown = (above * 0.7).clamp(0, 1)
    grown = grown * (2 - grown)
    thick = cover * (0.1 + 0.9 * grown) * (sides + (top - sides) * crown)
    lifted = 1 - 0.3 * look("hair_part").sign() * sweep * crown  # higher beside the parting
    uneven = cover * rough * grown * (0.2 * strands + 0.9 * clumps)
    thick = thick * lifted * (0.85 + 0.5 * look("curl")) + uneven
    everywhere = to_torch(head.part == CURTAIN).repeat(2, len(people), 1)
    everywhere[1] = 0
    everywhere[0, :, grows], everywhere[1, :, grows] = cover, thick.clamp(min=0) * haired
    return everywhere[0], everywhere[1]
