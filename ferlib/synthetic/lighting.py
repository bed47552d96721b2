"""Light on the surface: normals, hollows, the shadow of the key light, skin that scatters, highlights.

Everything is linear light; directions are unit vectors in the head's own frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ferlib.synthetic.camera import Scene
from ferlib.synthetic.head import kept, to_torch
from ferlib.synthetic.paint import dot
from ferlib.synthetic.raster import steps

SHADOW_CELLS = 48  # side of the shadow map


def normals(at: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Unit normals (N, 3, V) by central differences; 0 on the atlas's rim."""
    n = len(at)
    along, down = (a.reshape(n, 3, *grid) for a in steps(at, grid))
    normal = torch.empty_like(along)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        torch.mul(down[:, j], along[:, k], out=normal[:, i]).addcmul_(down[:, k], along[:, j], value=-1)
    squared = torch.mul(normal[:, 0], normal[:, 0])
    squared.addcmul_(normal[:, 1], normal[:, 1]).addcmul_(normal[:, 2], normal[:, 2])
    return normal.mul_(squared.add_(1e-12).rsqrt_()[:, None]).reshape(n, 3, -1)


@kept(32)
def _smoother(length: int, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one axis: mean of 3 at every second point, then of ``window`` of those, (half, length); and linear
    interpolation back, (length, half).  Windows end at the border."""
    half = (length + 1) // 2
    thin, full = np.arange(half), np.arange(length)
    small = (np.abs(2 * thin[:, None] - full) <= 1).astype(float)
    wide = (np.abs(thin[:, None] - thin) <= window // 2).astype(float)
    down = (wide / wide.sum(1, keepdims=True)) @ (small / small.sum(1, keepdims=True))
    return to_torch(down), to_torch(_interpolation(length, half))


def _interpolation(length: int, half: int) -> np.ndarray:
    """(length, half) weights of linear interpolation between the middles of cells, as ``F.interpolate`` has them."""
    place = np.clip((np.arange(length) + 0.5) * half / length - 0.5, 0, half - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(half)), 0)


@kept(32)
def _softener(length: int, window: int) -> torch.Tensor:
    """Along one axis: mean of ``window`` of every second point, interpolated to all, (length, half)."""
    thin = np.arange((length + 1) // 2)
    wide = (np.abs(thin[:, None] - thin) <= window // 2).astype(float)
    return to_torch(_interpolation(length, len(thin)) @ (wide / wide.sum(1, keepdims=True)))


def hollows(at: torch.Tensor, normal: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Ambient occlusion (N, V) in (0, 1] from how far the smoothed surface lies above the surface."""
    n, rows, cols = len(at), *grid
    (to_rows, from_rows), (to_cols, from_cols) = (_smoother(k, 7) for k in grid)
    thin = at.reshape(-1, cols) @ to_cols.T
    smooth = from_rows @ (to_rows @ thin.reshape(n * 3, rows, -1))
    above = (smooth.reshape(n * 3 * rows, -1) @ from_cols.T).reshape(at.shape)
    above = dot(above.sub_(at).transpose(0, 1), normal.transpose(0, 1))
    return above.clamp_(-0.2, 0.7).mul_(-0.9).add_(1).clamp_(0.25, 1.08)


def shadow(at: torch.Tensor, key: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Light (N, V) in [0, 1] that the key light leaves on each point: a coarse shadow map with soft edges."""
    n, rows, cols = len(at), *grid
    thin = at.reshape(n, 3, rows, cols)[:, :, ::2, ::2]
    small = thin.shape[2:]
    up = key.new_tensor([0.0, 1.0, 0.0]).expand_as(key)
    right = torch.linalg.cross(up, key)
    right = right / right.norm(dim=1, keepdim=True)
    frame = torch.stack([right / 18.0, torch.linalg.cross(key, right) / 18.0, key], 1)
    seen = torch.baddbmm(key.new_tensor([0.0, 3.0 / 18.0, 0.0])[None, :, None], frame, thin.reshape(n, 3, -1))
    cells = SHADOW_CELLS
    pixel = seen[:, :2].add(1).mul_(cells / 2).clamp_(0, cells - 0.5).int()
    first = torch.arange(n, device=at.device, dtype=torch.int32)[:, None] * cells**2
    flat = pixel[:, 1].mul_(cells).add_(pixel[:, 0]).add_(first).long()
    buffer = torch.full((n * cells * cells,), -30.0, device=at.device)
    buffer.scatter_reduce_(0, flat.reshape(-1), seen[:, 2].reshape(-1), "amax")
    depth = _blurred(_highest(buffer.reshape(n, cells, cells)))
    above = F.grid_sample(
        depth[:, None], seen[:, :2].transpose(1, 2)[:, None], align_corners=False, padding_mode="border"
    )[:, 0, 0]
    lit = above.sub_(seen[:, 2]).sub_(1.0).mul_(-0.8).add_(1).clamp_(0, 1)
    soft_rows, soft_cols = (_softener(k, 5) for k in grid)
    return (soft_rows @ (lit.reshape(n, *small) @ soft_cols.T)).reshape(n, -1)


def _highest(depth: torch.Tensor) -> torch.Tensor:
    """The largest value (N, H, W) in each 3 x 3 neighbourhood."""
    wide = depth.clone()
    wide[:, 1:] = torch.maximum(wide[:, 1:], depth[:, :-1])
    wide[:, :-1] = torch.maximum(wide[:, :-1], depth[:, 1:])
    tall = wide.clone()
    tall[..., 1:] = torch.maximum(tall[..., 1:], wide[..., :-1])
    tall[..., :-1] = torch.maximum(tall[..., :-1], wide[..., 1:])
    return tall


def _blurred(depth: torch.Tensor) -> torch.Tensor:
    """The mean of 3 x 3, with zeros around the map."""
    line = torch.arange(SHADOW_CELLS, device=depth.device)
    band = ((line[:, None] - line).abs() <= 1).float() / 3
    return band @ (depth @ band)


@dataclass
class Setting:
    """The scenes as the shader needs them; directions in the head's frame.

    eye, key : (N, 3, 1), place of the camera, cm, and direction of the key light.  key_rgb, ambient : (N, 3, 1).
    rim, cm : (N, 1), strength of the rim, and size of a pixel at the head.
    weight, bias : (N, 11, 3) and (N, 11, 1): what a normal is multiplied by to give the wrapped key light in red,
    green and blue, the fill light, the light of the sky, and the cosines to the key light and to above.
    """

    eye: torch.Tensor
    key: torch.Tensor
    key_rgb: torch.Tensor
    ambient: torch.Tensor
    rim: torch.Tensor
    cm: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, scenes: Scene, turn: torch.Tensor, key: torch.Tensor, fine: int) -> Setting:
        """The setting of ``scenes`` whose heads are turned by ``turn`` (N, 3, 3), on a picture of ``fine`` px.

        The key light wraps round the face, wider in red, as light bleeds through skin.
        """
        back = lambda a: torch.einsum("nji,nj->ni", turn, a)[:, None]  # noqa: E731
        wrap = key.new_tensor([0.34, 0.20, 0.15])[:, None]
        soft, fill, sky = (a[:, :, None] for a in (0.5 * scenes.key_rgb, scenes.fill_rgb, scenes.ambient))
        up, one = turn[:, None, 1], torch.ones_like(soft[:, :1])
        aims = [soft / (1 + wrap) * key[:, None], 0.375 * fill * back(scenes.fill), 0.19 * sky * up]
        bias = [soft * wrap / (1 + wrap), 0.125 * fill, 0.31 * sky, 0 * one, 0 * one]
        return cls(
            eye=back(F.pad(scenes.distance[:, None], (2, 0))).transpose(1, 2),
            key=key[:, :, None],
            key_rgb=scenes.key_rgb[:, :, None],
            ambient=scenes.ambient[:, :, None],
            rim=scenes.rim[:, None],
            cm=(scenes.frame / fine)[:, None],
            weight=torch.cat([*aims, key[:, None], up], 1),
            bias=torch.cat(bias, 1),
        )


def irradiance(normal, s: Setting, hollow, lit):
    """Light (N, 3, P) falling on the skin, and the cosines (N, P) of its normal to the key light and to above."""
    parts = torch.baddbmm(s.bias, s.weight, normal)
    parts[:, :6].clamp_(min=0)
    open_ = hollow.clamp(0, 1.1)[:, None]
    tinted = torch.addcmul(
        normal.new_tensor([0.15, 0.0, -0.12])[:, None], open_, normal.new_tensor([0.85, 1.0, 1.12])[:, None]
    )
    shade = torch.add(normal.new_tensor([0.10, 0.05, 0.04])[:, None], lit[:, None], alpha=0.94)
    around = parts[:, 3:6].add_(parts[:, 6:9]).mul_(tinted)
    light = parts[:, :3].mul(shade).mul_(tinted.mul_(0.4).add_(0.6)).add_(around)
    return light, parts[:, 9], parts[:, 10]


def sheen(normal, ray, s: Setting, light, cosines, hollow, lit, hairy, grain, across, albedo):
    """Highlights (N, 3, P): oily skin, less of it in beards, and hair, weaker where dark; a rim against the backdrop.

    ``cosines`` (N, P) of the normal to the key light and to above; the rest as for :func:`irradiance`, with
    ``ray`` (N, 3, P) the direction of sight, ``hairy``, ``grain`` and ``across`` (N, P), and ``albedo`` (N, 3, P).
    """
    to_key, above = cosines
    away = dot(normal.transpose(0, 1), ray.transpose(0, 1))
    along = (s.key.transpose(1, 2) @ ray)[:, 0]
    half = along.mul_(-2).add_(2 + 1e-12).rsqrt_()  # of the vector between light and eye: its length is 1
    shine = (to_key - away).mul_(half).clamp_(min=0)
    fresnel = away.abs_().neg_().add_(1).clamp_(0, 1).square_().square_()
    wide = shine.square_().square()
    wide = wide.mul_(wide).mul_(shine.square_())  # shine**12
    narrow = wide.square().square_()
    pale = albedo.mean(1).mul_(1 / 0.35).clamp_(max=1).mul_(0.75).add_(0.25)
    oily = (across * (1 / 1.6)).square_().neg_().exp_().mul_(0.9).add_(0.5)
    gloss = oily.mul_(narrow).mul_(0.05).add_(wide, alpha=0.022).mul_(1 - hairy)
    band = (0.7 * grain).add_(1).clamp_(0, 3).mul_(wide.mul_(0.045).add_(narrow, alpha=0.022)).mul_(hairy)
    rim = fresnel.mul_(0.16 * s.rim).mul_(hollow).mul_(pale).mul_((0.6 * above).add_(0.4).clamp_(0.2, 1))
    bright = s.key_rgb * gloss.add_(band).mul_(pale).mul_(lit)[:, None]
    return bright.addcmul_(rim[:, None], light + s.ambient)
