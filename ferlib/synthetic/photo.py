"""From light to picture: backdrop, lens blur, exposure, film noise, JPEG, 8 bits."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from ferlib.synthetic.camera import Scene
from ferlib.synthetic.people import uniforms


def backdrop(scene: Scene, size: int) -> torch.Tensor:
    """A soft backdrop (N, 3, size, size), linear: a gradient with two blurred shapes."""
    line = torch.linspace(0, 1, size)
    u = torch.as_tensor(uniforms(scene.seeds, "backdrop", 8), dtype=torch.float32)
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
    return picture


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
