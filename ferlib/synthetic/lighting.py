"""Light on the surface: normals, hollows, the shadow of the key light, skin that scatters, highlights.

Everything is linear light; directions are unit vectors in the head's own frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ferlib.synthetic.camera import Scene
from ferlib.synthetic.paint import dot, unit


def normals(at: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Unit normals (N, 3, V) by central differences."""
    n, rows, cols = len(at), *grid
    p = at.reshape(n, 3, rows, cols)
    along, down = torch.zeros_like(p), torch.zeros_like(p)
    along[..., 1:-1] = p[..., 2:] - p[..., :-2]
    down[..., 1:-1, :] = p[..., 2:, :] - p[..., :-2, :]
    ax, ay, az = along.unbind(1)
    dx, dy, dz = down.unbind(1)
    normal = torch.stack([dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax], 1)
    squared = normal[:, 0] ** 2 + normal[:, 1] ** 2 + normal[:, 2] ** 2
    return (normal * torch.rsqrt(squared + 1e-12)[:, None]).reshape(n, 3, -1)


def hollows(at: torch.Tensor, normal: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Ambient occlusion (N, V) in (0, 1] from how far the smoothed surface lies above the surface."""
    n, rows, cols = len(at), *grid
    small = F.avg_pool2d(at.reshape(n, 3, rows, cols), 3, 2, 1, count_include_pad=False)
    wide = F.avg_pool2d(
        F.avg_pool2d(small, (1, 7), 1, (0, 3), count_include_pad=False),
        (7, 1),
        1,
        (3, 0),
        count_include_pad=False,
    )
    smooth = F.interpolate(wide, size=grid, mode="bilinear", align_corners=False).reshape(n, 3, -1)
    above = ((smooth - at) * normal).sum(1)
    return (1 - 0.9 * above.clamp(-0.2, 0.7)).clamp(0.25, 1.08)


def shadow(at: torch.Tensor, key: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Light (N, V) in [0, 1] that the key light leaves on each point: a coarse shadow map with soft edges."""
    n, rows, cols = len(at), *grid
    thin = at.reshape(n, 3, rows, cols)[:, :, ::2, ::2]
    small = thin.shape[2:]
    up = torch.tensor([0.0, 1.0, 0.0]).expand_as(key)
    right = torch.linalg.cross(up, key)
    right = right / right.norm(dim=1, keepdim=True)
    seen = torch.stack([right, torch.linalg.cross(key, right), key], 1) @ thin.reshape(n, 3, -1)
    cells = 48
    place = (seen[:, :2] + torch.tensor([0.0, 3.0])[None, :, None]) / 18.0
    pixel = ((place + 1) * (cells / 2)).long().clamp(0, cells - 1)
    flat = pixel[:, 1] * cells + pixel[:, 0] + torch.arange(n)[:, None] * cells * cells
    buffer = torch.full((n * cells * cells,), -30.0)
    buffer.scatter_reduce_(0, flat.reshape(-1), seen[:, 2].reshape(-1), "amax")
    depth = F.max_pool2d(buffer.reshape(n, 1, cells, cells), 3, 1, 1)
    depth = F.avg_pool2d(depth, 3, 1, 1)
    above = F.grid_sample(depth, place.transpose(1, 2)[:, None], align_corners=False, padding_mode="border")[
        :, 0, 0
    ]
    lit = 1 - ((above - seen[:, 2] - 1.0) * 0.8).clamp(0, 1)
    lit = F.avg_pool2d(lit.reshape(n, 1, *small), 5, 1, 2, count_include_pad=False)
    return F.interpolate(lit, size=grid, mode="bilinear", align_corners=False).reshape(n, -1)


@dataclass
class Setting:
    """The scenes as the shader needs them, (3, N, 1) or (N, 1), directions in the head's frame."""

    eye: torch.Tensor
    key: torch.Tensor
    fill: torch.Tensor
    up: torch.Tensor
    key_rgb: torch.Tensor
    fill_rgb: torch.Tensor
    ambient: torch.Tensor
    rim: torch.Tensor
    cm: torch.Tensor

    @classmethod
    def of(cls, scenes: Scene, turn: torch.Tensor, key: torch.Tensor, fine: int) -> Setting:
        """The setting of ``scenes`` whose heads are turned by ``turn`` (N, 3, 3), on a picture of ``fine`` px."""
        lift = lambda a: a.T[:, :, None].contiguous()  # noqa: E731
        back = lambda a: lift(torch.einsum("nji,nj->ni", turn, a))  # noqa: E731
        camera = F.pad(scenes.distance[:, None], (2, 0))
        return cls(
            eye=back(camera),
            key=lift(key),
            fill=back(scenes.fill),
            up=lift(turn[:, 1]),
            key_rgb=lift(scenes.key_rgb),
            fill_rgb=lift(scenes.fill_rgb),
            ambient=lift(scenes.ambient),
            rim=scenes.rim[:, None],
            cm=(scenes.frame / fine)[:, None],
        )


def irradiance(normal, s: Setting, hollow, lit):
    """Light (3, N, P) falling on the skin; the wrap is wider in red, as light bleeds through skin."""
    wrap = normal.new_tensor([0.34, 0.20, 0.15])[:, None, None]
    soft = ((dot(s.key, normal) + wrap) / (1 + wrap)).clamp(min=0)
    shade = lit * 0.94 + normal.new_tensor([0.10, 0.05, 0.04])[:, None, None]
    other = (dot(s.fill, normal) * 0.375 + 0.125).clamp(min=0)
    sky = 0.31 + 0.19 * dot(s.up, normal)
    open_ = hollow.clamp(0, 1.1)
    tinted = torch.stack([0.15 + 0.85 * open_, open_, 1.12 * open_ - 0.12])
    return (0.5 * s.key_rgb) * soft * shade * (0.6 + 0.4 * tinted) + (
        s.fill_rgb * other + s.ambient * sky
    ) * tinted


def sheen(normal, ray, s: Setting, light, hollow, lit, hairy, grain, across, albedo):
    """Highlights (3, N, P): oily skin, less of it on dark skin and in beards, hair, and a rim against the backdrop."""
    shine = dot(normal, unit(s.key - ray)).clamp(min=0)
    fresnel = (1 - dot(normal, ray).abs()).clamp(0, 1) ** 4
    wide = shine**12
    narrow = wide**4
    oily = 0.5 + 0.9 * torch.exp(-((across / 1.6) ** 2))
    pale = 0.25 + 0.75 * (albedo.mean(0) / 0.35).clamp(max=1)
    gloss = (0.022 * wide + 0.05 * narrow * oily) * (1 - hairy) * pale
    band = (1 + 0.7 * grain).clamp(0, 3) * (0.03 * wide + 0.015 * narrow) * hairy
    rim = 0.16 * fresnel * s.rim * hollow * (0.4 + 0.6 * dot(s.up, normal)).clamp(0.2, 1) * pale
    return s.key_rgb * ((gloss + band) * lit) + rim * (s.ambient + light)
