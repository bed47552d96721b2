"""From light to picture: backdrop, lens blur, exposure, film noise, JPEG, 8 bits."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ferlib.synthetic.camera import Scene
from ferlib.synthetic.people import uniforms


@lru_cache(maxsize=1)
def _things() -> torch.Tensor:
    """A wide picture (1, 3, 512, 512) of overlapping soft boxes and discs, log brightness with unit variance."""
    rng = np.random.default_rng(7)
    picture = np.zeros((512, 512, 3), np.float32)
    for _ in range(500):
        (x, y), (w, h), tone = (
            rng.integers(0, 512, 2).tolist(),
            rng.integers(4, 70, 2).tolist(),
            rng.normal(0, 1, 3),
        )
        tone = (tone.mean() * 1.5 + 0.3 * tone).tolist()
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + w, y + 2 * h), tone, -1)
        else:
            cv2.ellipse(picture, (x, y), (w, h), float(rng.uniform(0, 180)), 0, 360, tone, -1)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return torch.as_tensor((soft - soft.mean()) / soft.std()).permute(2, 0, 1)[None]


def backdrop(scene: Scene, size: int) -> torch.Tensor:
    """A backdrop (N, 3, size, size), linear: a gradient, two soft lights and, in the wild, things out of focus."""
    line = torch.linspace(0, 1, size)
    u = torch.as_tensor(uniforms(scene.seeds, "backdrop", 12), dtype=torch.float32)
    ramp = line[None, :, None].expand(len(scene), size, size)
    picture = (
        scene.back_high[:, :, None, None] * (1 - ramp)[:, None]
        + scene.back_low[:, :, None, None] * ramp[:, None]
    )
    for i in (0, 4):
        gap = (line[None, None, :] - u[:, i, None, None]) ** 2 + (
            line[None, :, None] - u[:, i + 1, None, None]
        ) ** 2
        spot = torch.exp(-gap / (0.02 + 0.12 * u[:, i + 2, None, None]))
        picture = picture * (1 + (u[:, i + 3] * 1.1 - 0.5)[:, None, None, None] * spot[:, None])
    if bool((scene.clutter > 0).any()):
        at = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)[None] * (
            0.15 + 0.5 * u[:, 8, None, None, None]
        )
        at = at + (u[:, 9:11] * 1.3 - 1)[:, None, None]
        seen = F.grid_sample(
            _things().expand(len(scene), -1, -1, -1), at, align_corners=False, padding_mode="reflection"
        )
        picture = picture * torch.exp(scene.clutter[:, None, None, None] * seen)
    return picture


def hand_over(picture: torch.Tensor, scene: Scene, skin: torch.Tensor) -> torch.Tensor:
    """``picture`` (N, 3, S, S), linear, with a hand of colour ``skin`` (N, 3) over the faces of occluded scenes."""
    if not bool((scene.occluded > 0).any()):
        return picture
    line = torch.linspace(0, 1, picture.shape[-1])
    u = torch.as_tensor(uniforms(scene.seeds, "hand", 6), dtype=torch.float32)[:, :, None, None]
    side = torch.where(u[:, 0] < 0.5, -1.0, 1.0)
    lean = side * (0.1 + 1.0 * u[:, 1])  # from straight up to leaning across the face
    x = line[None, None, :] - 0.5 - side * (0.18 + 0.2 * u[:, 2])
    y = line[None, :, None] - 0.85 - 0.15 * u[:, 3]
    along, across = -y * lean.cos() - x * lean.sin(), x * lean.cos() - y * lean.sin()
    gap = torch.hypot((along + 0.12) / 1.1, across) - 0.11
    for i in range(4):
        reach = 0.17 + 0.1 * u[:, 4] - 0.03 * abs(i - 1.3)
        gap = torch.minimum(
            gap, torch.hypot(along - along.clamp(-0.1, 1).minimum(reach), across - (i - 1.5) * 0.058) - 0.027
        )
    cover = (0.5 - gap * picture.shape[-1]).clamp(0, 1) * scene.occluded[:, None, None]
    light = 0.5 * scene.key_rgb + 0.5 * scene.ambient
    tone = (skin * light)[:, :, None, None] * (0.55 + 0.6 * (-gap / 0.027).clamp(0, 1))[:, None]
    return picture + (tone - picture) * cover[:, None]


def encode(light: torch.Tensor) -> torch.Tensor:
    """Display values in [0, 1] of linear light: a soft shoulder, then gamma 2.2."""
    bent = light * (1 + light / 4.0) / (1 + light)
    return bent.clamp(0, 1) ** (1 / 2.2)


def develop(light: torch.Tensor, scene: Scene) -> torch.Tensor:
    """8-bit pictures (N, 3, H, W) of linear light."""
    middle = light[
        ..., light.shape[2] // 4 : -(light.shape[2] // 6), light.shape[3] // 4 : -(light.shape[3] // 4)
    ]
    metered = (0.42 / middle.mean((1, 2, 3)).clamp(0.02, 4.0)) ** 0.4
    light = light * (1.25 * metered * 2.0**scene.exposure)[:, None, None, None]
    picture = encode(_blur(light, scene.blur * light.shape[-1] / 48))
    picture = (picture - 0.45) * scene.contrast[:, None, None, None] + 0.45
    soft = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
    picture = picture + scene.sharp[:, None, None, None] * (picture - soft)
    grey = picture.mean(1, keepdim=True)
    picture = picture + (grey - picture) * scene.grey[:, None, None, None]
    picture = picture + scene.noise[:, None, None, None] * _grain(scene.seeds, picture.shape)
    if bool((scene.jpeg > 0).any()):
        picture = torch.where((scene.jpeg > 0)[:, None, None, None], _jpeg(picture, scene.jpeg), picture)
    return (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _blur(light: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with a standard deviation (N,) in pixels for each picture."""
    if float(sigma.max()) < 0.05:
        return light
    n, c, h, w = light.shape
    reach = math.ceil(2.5 * float(sigma.max()))
    at = torch.arange(-reach, reach + 1, dtype=light.dtype)
    kernel = torch.exp(-0.5 * (at[None] / sigma.clamp(min=0.05)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    flat = light.reshape(1, n * c, h, w)
    flat = F.conv2d(
        F.pad(flat, (reach, reach, 0, 0), mode="replicate"), kernel[:, None, None, :], groups=n * c
    )
    flat = F.conv2d(
        F.pad(flat, (0, 0, reach, reach), mode="replicate"), kernel[:, None, :, None], groups=n * c
    )
    return flat.reshape(n, c, h, w)


@lru_cache(maxsize=1)
def _film() -> torch.Tensor:
    """A long strip of white noise of unit variance, from which every picture takes its own piece."""
    return torch.as_tensor(np.random.default_rng(48).standard_normal(1 << 20).astype(np.float32))


def _grain(seeds: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    """Film noise (N, 1, H, W) of unit variance, from each picture's own seed."""
    n, _, h, w = shape
    start = torch.as_tensor((uniforms(seeds, "grain", 1)[:, 0] * (1 << 20)).astype(np.int64))
    return _film()[(start[:, None] + torch.arange(h * w)) & ((1 << 20) - 1)].reshape(n, 1, h, w)


@lru_cache(maxsize=1)
def _dct() -> torch.Tensor:
    k, x = np.mgrid[:8, :8]
    basis = np.cos((2 * x + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    return torch.as_tensor(basis, dtype=torch.float32)


def _jpeg(picture: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """The loss of baseline JPEG: 8 x 8 cosine blocks, quantised with a smooth copy of Annex K's luminance table."""
    n, c, h, w = picture.shape
    pad_h, pad_w = -h % 8, -w % 8
    wide = F.pad(picture, (0, pad_w, 0, pad_h), mode="replicate")
    blocks = wide.unfold(2, 8, 8).unfold(3, 8, 8) - 0.5
    basis = _dct()
    waves = basis @ blocks @ basis.T
    k = torch.arange(8.0)
    table = 11 + 4.2 * (k[:, None] + k[None]) + 0.55 * (k[:, None] + k[None]) ** 2
    scale = torch.where(quality < 50, 50 / quality.clamp(min=1), 2 - quality / 50).clamp(min=0.02)
    unit = (table[None] * scale[:, None, None] / 255)[:, None, None, None]
    blocks = basis.T @ (torch.round(waves / unit) * unit) @ basis + 0.5
    return blocks.transpose(3, 4).reshape(n, c, h + pad_h, w + pad_w)[..., :h, :w]
