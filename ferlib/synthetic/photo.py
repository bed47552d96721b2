"""From light to picture: backdrop, lens blur, exposure, film noise, JPEG, 8 bits."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from ferlib.synthetic.camera import Scene
from ferlib.synthetic.head import kept
from ferlib.synthetic.people import uniforms
from ferlib.synthetic.raster import chosen


@kept(1)
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
    u = torch.as_tensor(uniforms(scene.seeds, "backdrop", 12), dtype=torch.float32)[:, :, None]
    lit = torch.ones(len(scene), size, size)
    for i in (0, 4):
        wide = 0.02 + 0.12 * u[:, i + 2]
        across, down = (torch.exp(-((line - u[:, i + axis]) ** 2) / wide) for axis in (0, 1))
        lit = lit.addcmul((u[:, i + 3] * 1.1 - 0.5)[..., None] * down[:, :, None], across[:, None] * lit)
    ramp = torch.lerp(scene.back_high[:, :, None], scene.back_low[:, :, None], line)
    picture = ramp[..., None] * lit[:, None]
    if bool((scene.clutter > 0).any()):
        at = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)[None] * (
            0.15 + 0.5 * u[:, 8, None, None]
        )
        at = at + (u[:, 9:11, 0] * 1.3 - 1)[:, None, None]
        seen = F.grid_sample(
            _things().expand(len(scene), -1, -1, -1), at, align_corners=False, padding_mode="reflection"
        )
        picture.mul_(seen.mul_(scene.clutter[:, None, None, None]).exp_())
    return picture


def hand_over(picture: torch.Tensor, scene: Scene, skin: torch.Tensor) -> torch.Tensor:
    """``picture`` (N, 3, S, S), linear, with a hand of colour ``skin`` (N, 3) over the faces of occluded scenes."""
    rows = chosen(scene.occluded > 0)
    if len(rows):  # few are
        picture[rows] = _with_hand(picture[rows], scene[rows.cpu().numpy()], skin[rows])
    return picture


def _with_hand(picture: torch.Tensor, scene: Scene, skin: torch.Tensor) -> torch.Tensor:
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
    metered = (0.42 / middle.mean((1, 2, 3)).clamp(0.02, 4.0)) ** 0.6
    wide = lambda a: a[:, None, None, None]  # noqa: E731
    light = light * wide(1.25 * metered * 2.0**scene.exposure)
    picture = encode(_blurred(light, scene.blur * light.shape[-1] / 48))
    picture.sub_(0.45).mul_(wide(scene.contrast)).add_(0.45)
    if bool((scene.sharp > 0).any()):
        picture = torch.lerp(_soft(picture), picture, wide(1 + scene.sharp))
    if bool((scene.grey > 0).any()):
        picture.lerp_(picture.mean(1, keepdim=True), wide(scene.grey))
    picture.addcmul_(_grain(scene.seeds, picture.shape), wide(scene.noise))
    stored = chosen(scene.jpeg > 0)
    if len(stored):
        picture[stored] = _jpeg(picture[stored], scene.jpeg[stored])
    return picture.clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8)


@kept(8)
def _mean_of_3(length: int) -> torch.Tensor:
    """(length, length): the mean of each point and its two neighbours, the ends repeated."""
    at = torch.arange(length)[:, None] + torch.tensor([-1, 0, 1])
    return F.one_hot(at.clamp(0, length - 1), length).sum(1) / 3.0


def _soft(picture: torch.Tensor) -> torch.Tensor:
    """Means of 3 x 3 pixels (N, C, H, W)."""
    down, across = (_mean_of_3(k) for k in picture.shape[2:])
    return down @ (picture @ across.T)


SHARP = 0.25  # pixels: a blur of this standard deviation or less leaves a picture as it is


def _blurred(light: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with a standard deviation (N,) in pixels for each picture, over 2.5 of them to each side."""
    rows = chosen(sigma > SHARP)
    if not len(rows):
        return light
    sigma = sigma[rows][:, None]
    reach = math.ceil(2.5 * float(sigma.max()))
    at = torch.arange(-reach, reach + 1, device=light.device).abs()
    weight = torch.exp(-0.5 * (at / sigma) ** 2) * (at <= (2.5 * sigma).ceil())
    weight = (weight / weight.sum(1, keepdim=True)).T[..., None, None, None]
    h, w = light.shape[2:]
    wide = F.pad(light[rows], (reach,) * 4, mode="replicate")
    tall, soft = torch.zeros_like(wide[..., :w]), torch.zeros_like(light[rows])
    for i in range(2 * reach + 1):
        tall.addcmul_(weight[i], wide[..., i : i + w])
    for i in range(2 * reach + 1):
        soft.addcmul_(weight[i], tall[..., i : i + h, :])
    light[rows] = soft
    return light


_FILM = 1 << 20  # values on the strip of film


@kept(4)
def _film(length: int) -> torch.Tensor:
    """A long strip of white noise of unit variance, from which every picture takes its own piece: (_FILM, length)."""
    strip = np.random.default_rng(48).standard_normal(_FILM).astype(np.float32)
    return torch.as_tensor(np.resize(strip, _FILM + length)).as_strided((_FILM, length), (1, 1))


def _grain(seeds: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    """Film noise (N, 1, H, W) of unit variance, from each picture's own seed."""
    n, _, h, w = shape
    start = torch.as_tensor((uniforms(seeds, "grain", 1)[:, 0] * _FILM).astype(np.int64))
    return _film(h * w).index_select(0, start).reshape(n, 1, h, w)


@kept(1)
def _dct() -> torch.Tensor:
    k, x = np.mgrid[:8, :8]
    basis = np.cos((2 * x + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    return torch.as_tensor(basis, dtype=torch.float32)


def _jpeg(picture: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """The loss of baseline JPEG: 8 x 8 cosine blocks, quantised with a smooth copy of Annex K's luminance table."""
    n, c, h, w = picture.shape
    wide = F.pad(picture, (0, -w % 8, 0, -h % 8), mode="replicate") - 0.5
    tall, broad = wide.shape[2:]
    basis = _dct()
    waves = (basis @ wide.reshape(-1, 8, broad)).reshape(-1, 8) @ basis.T
    k = torch.arange(8.0)
    table = 11 + 4.2 * (k[:, None] + k[None]) + 0.55 * (k[:, None] + k[None]) ** 2
    scale = torch.where(quality < 50, 50 / quality.clamp(min=1), 2 - quality / 50).clamp(min=0.02)
    unit = (table[None] * scale[:, None, None] / 255)[
        :, None, :, None
    ]  # faces, blocks down, 8, blocks across, 8
    waves = waves.reshape(n, -1, 8, broad // 8, 8).div_(unit).round_().mul_(unit)
    blocks = basis.T @ (waves.reshape(-1, 8) @ basis).reshape(-1, 8, broad)
    return blocks.reshape(n, c, tall, broad)[..., :h, :w] + 0.5
