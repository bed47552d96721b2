"""Faces drawn: people x AU levels x scenes -> pictures with their ground truth.

The surface is deformed (linear in identity and muscles), splatted with a z-buffer at a multiple of the
picture's size, shaded per pixel in linear light, painted, and photographed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic import paint, photo, skin
from ferlib.synthetic.camera import Scene, project, rasterise, rotation
from ferlib.synthetic.head import CURTAIN, EYE, EYE_DEPTH, HEAD, LIP_LINE, LIP_STRIP, SHOULDERS, atlas, to_torch
from ferlib.synthetic.landmarks import landmark_points, nearest_point
from ferlib.synthetic.muscles import actuate, muscle_basis
from ferlib.synthetic.people import HAIR_STYLES, TRAITS, People, age_folds, shape_basis


@dataclass(frozen=True)
class Drawn:
    """N pictures and their truth.

    images : (N, 3, H, W) uint8.  landmarks : (N, 68, 2) float32, columns and rows in pixels, iBUG-68 order.
    pose : (N, 3) float32, yaw, pitch, roll in degrees.  masks : (N, U, H, W) bool or None, the pixels each AU
    moved or changed: those that differ when that AU alone is taken away.
    """

    images: torch.Tensor
    landmarks: torch.Tensor
    pose: torch.Tensor
    masks: torch.Tensor | None = None


def draw_faces(people: People, levels, scenes: Scene, size: int = 96, truth: bool = False, batch: int = 16) -> Drawn:
    """Draws ``people`` (N) with AU ``levels`` (N, U, 2) in [0, 5], left and right, in ``scenes`` (N), ``size`` px square.

    The result does not depend on ``batch``.  Raises ``ValueError`` when the three do not have the same length.
    """
    levels = torch.as_tensor(levels, dtype=torch.float32)
    if not len(people) == len(levels) == len(scenes):
        raise ValueError(f"{len(people)} people, {len(levels)} rows of levels and {len(scenes)} scenes: need equally many")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(people), batch):
            rows = slice(start, start + batch)
            parts.append(_draw(people[rows], levels[rows], scenes[rows], size, truth))
    images, points, masks = (list(column) for column in zip(*parts, strict=True))
    pose = torch.stack([scenes.yaw, scenes.pitch, scenes.roll], 1)
    return Drawn(torch.cat(images), torch.cat(points), pose, torch.cat(masks) if truth else None)


def _draw(people: People, levels: torch.Tensor, scenes: Scene, size: int, truth: bool):
    light, points = _paint(people, levels, scenes, size)
    masks = None
    if truth:
        masks = torch.zeros(len(people), len(DRAWN_AUS), size, size, dtype=torch.bool)
        for u in range(len(DRAWN_AUS)):
            acting = levels[:, u].amax(1) > 0
            if bool(acting.any()):
                without = levels[acting].clone()
                without[:, u] = 0
                rows = acting.nonzero()[:, 0].numpy()
                other, _ = _paint(people[rows], without, scenes[rows], size)
                masks[acting, u] = ((photo.encode(light[acting]) - photo.encode(other)).abs().amax(1) > 0.02)
    return photo.develop(light, scenes), points, masks


def columns_for(size: int) -> int:
    """Atlas columns for a picture of ``size`` px."""
    return 96 if size <= 56 else 128 if size <= 112 else 192 if size <= 256 else 320


@dataclass
class _Surface:
    """A deformed batch: ``at`` (N, 3, V) in the head's frame, ``cover`` (N, V) hair, ``albedo`` (N, 3, V), ``fuzz`` (N, V)."""

    at: torch.Tensor
    cover: torch.Tensor
    albedo: torch.Tensor
    drawable: torch.Tensor


def deform(people: People, levels: torch.Tensor, cols: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Skin (N, 3, V) with expression, the same at rest (identity only), and the darkening of folds (N, V)."""
    head, muscles = atlas(cols), muscle_basis(cols)
    moved, dark = age_folds(cols)
    old = people.looks["old"][:, None]
    rest = to_torch(head.rest.reshape(1, -1)) + people.traits @ shape_basis(cols) + old * moved
    coefficients = actuate(levels, people.looks["fold_gain"])
    at = rest + coefficients @ muscles.moves
    n = len(people)
    return at.reshape(n, 3, -1), rest.reshape(n, 3, -1), coefficients @ muscles.dark + old * dark


def _surface(people: People, skin_at: torch.Tensor, dark: torch.Tensor, cols: int) -> _Surface:
    head = atlas(cols)
    cover, thick = skin.hair_cover(people, cols)
    albedo, _ = skin.surface_colour(people, cover, dark, cols)
    at = skin_at + to_torch(head.normal)[None] * thick[:, None]
    part = torch.as_tensor(head.part)
    long_hair = people.looks["hair_style"] == HAIR_STYLES.index("long")
    drawable = torch.as_tensor(head.drawable)[None] & ((part != CURTAIN)[None] | long_hair[:, None])
    return _Surface(at, cover, albedo, drawable)


def _normals(at: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Unnormalised normals (N, 3, V) by central differences."""
    n, rows, cols = len(at), *grid
    p = at.reshape(n, 3, rows, cols)
    along, down = torch.zeros_like(p), torch.zeros_like(p)
    along[..., 1:-1] = p[..., 2:] - p[..., :-2]
    down[..., 1:-1, :] = p[..., 2:, :] - p[..., :-2, :]
    normal = torch.linalg.cross(down, along, dim=1).reshape(n, 3, -1)
    return normal / (normal.norm(dim=1, keepdim=True) + 1e-6)


def _hollows(at: torch.Tensor, normal: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Ambient occlusion (N, V) in (0, 1] from how far the smoothed surface lies above the surface."""
    n, rows, cols = len(at), *grid
    small = F.avg_pool2d(at.reshape(n, 3, rows, cols), 3, 2, 1, count_include_pad=False)
    wide = F.avg_pool2d(F.avg_pool2d(small, (1, 7), 1, (0, 3), count_include_pad=False), (7, 1), 1, (3, 0), count_include_pad=False)
    smooth = F.interpolate(wide, size=grid, mode="bilinear", align_corners=False).reshape(n, 3, -1)
    above = ((smooth - at) * normal).sum(1)
    return (1 - 0.9 * above.clamp(-0.2, 0.7)).clamp(0.25, 1.08)


def _shadow(at: torch.Tensor, key: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
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
    above = F.grid_sample(depth, place.transpose(1, 2)[:, None], align_corners=False, padding_mode="border")[:, 0, 0]
    lit = 1 - ((above - seen[:, 2] - 1.0) * 0.8).clamp(0, 1)
    lit = F.avg_pool2d(lit.reshape(n, 1, *small), 5, 1, 2, count_include_pad=False)
    return F.interpolate(lit, size=grid, mode="bilinear", align_corners=False).reshape(n, -1)


def _paint(people: People, levels: torch.Tensor, scenes: Scene, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear light (N, 3, size, size) and landmarks (N, 68, 2)."""
    cols = columns_for(size)
    head = atlas(cols)
    grid = (head.rows, head.cols)
    fine = int(size * (1.5 if size <= 56 else 2)) // 2 * 2
    skin_at, rest, dark = deform(people, levels, cols)
    surface = _surface(people, skin_at, dark, cols)
    turn = rotation(scenes)
    seen = project(surface.at, scenes, turn, (fine, fine))
    hit, point, place = rasterise(seen, grid, surface.drawable, (fine, fine))
    points = project(landmark_points(skin_at, cols), scenes, turn, (size, size))[:, :2].transpose(1, 2)

    normal = _normals(surface.at, grid)
    key = torch.einsum("nji,nj->ni", turn, scenes.key)
    hollow = _hollows(surface.at, normal, grid)
    lit = _shadow(surface.at, key, grid)
    material = to_torch(head.material).expand(len(people), -1, -1)
    sheet = torch.cat([surface.at, normal, material, surface.albedo, hollow[:, None], lit[:, None], surface.cover[:, None]], 1)
    sheet = torch.cat([sheet, skin.skin_maps(cols).strands.expand(len(people), 1, -1)], 1)
    sampled = F.grid_sample(sheet.reshape(len(people), -1, *grid), place[:, None], align_corners=True, padding_mode="border")
    colour = _light_and_paint(sampled[:, :, 0], point, people, levels, scenes, turn, key, skin_at, rest, fine, cols)
    backdrop = photo.backdrop(scenes, fine).flatten(2)
    picture = torch.where(hit[:, None], colour, backdrop).reshape(len(people), 3, fine, fine)
    return F.interpolate(picture, size=(size, size), mode="area"), points


def _light_and_paint(got, point, people, levels, scenes, turn, key, skin_at, rest, fine, cols):
    at, normal, address, albedo = got[:, :3], got[:, 3:6], got[:, 6:8], got[:, 8:11]
    hollow, lit, cover, grain = got[:, 11], got[:, 12], got[:, 13], got[:, 14]
    normal = normal / (normal.norm(dim=1, keepdim=True) + 1e-6)
    eye_point = torch.einsum("nji,nj->ni", turn, F.pad(scenes.distance[:, None], (2, 0)))
    ray = at - eye_point[:, :, None]
    ray = ray / ray.norm(dim=1, keepdim=True)
    part = torch.as_tensor(atlas(cols).part)[point]
    hairy = torch.where(part == CURTAIN, torch.ones_like(cover), cover.clamp(0, 1))
    cloth = (part == SHOULDERS).float()
    light = _irradiance(normal, key, scenes, turn, hollow, lit)
    colour = albedo * light + _sheen(normal, ray, key, scenes, light, lit, hairy, cloth, grain, address, hollow)
    face = (part == HEAD).float() * (at[:, 2] > -8).float() * (1 - hairy)
    p = paint.Pixels(address[:, 0], address[:, 1], at, ray, light, (scenes.frame / fine)[:, None], face, grain)
    eyes, mouth = _eyes_and_mouth(levels, people, scenes, skin_at, rest, key, cols)
    colour = paint.lips(colour, p, people)
    colour = paint.nostrils(colour, p)
    colour = paint.mouth(colour, p, people, mouth)
    colour = paint.eyes(colour, p, people, eyes)
    colour = paint.brows(colour, p, people)
    return paint.glasses(colour, p, people, rest[:, :, nearest_point(cols, 0.0, 0.4)])


def _irradiance(normal, key, scenes, turn, hollow, lit):
    """Light (N, 3, P) falling on the skin; the wrap is wider in red, as light bleeds through skin."""
    fill = torch.einsum("nji,nj->ni", turn, scenes.fill)
    up = turn[:, 1]
    wrap = normal.new_tensor([0.34, 0.20, 0.15])[None, :, None]
    facing = torch.einsum("nc,ncp->np", key, normal)[:, None]
    soft = ((facing + wrap) / (1 + wrap)).clamp(min=0)
    shade = lit[:, None] * (1 - 0.06) + 0.06 * normal.new_tensor([1.6, 0.8, 0.6])[None, :, None]
    other = (torch.einsum("nc,ncp->np", fill, normal) * 0.75 + 0.25).clamp(min=0)[:, None]
    sky = (0.62 + 0.38 * torch.einsum("nc,ncp->np", up, normal))[:, None]
    hollow = hollow[:, None].clamp(0, 1.1)
    tinted = hollow ** normal.new_tensor([0.85, 1.05, 1.15])[None, :, None]
    return (scenes.key_rgb[:, :, None] * soft * shade * (0.6 + 0.4 * tinted)
            + (scenes.fill_rgb[:, :, None] * other + scenes.ambient[:, :, None] * sky) * tinted) * 0.5  # fmt: skip


def _sheen(normal, ray, key, scenes, light, lit, hairy, cloth, grain, address, hollow):
    """Highlights (N, 3, P): oily skin, hair, and a rim against the backdrop."""
    half = key[:, :, None] - ray
    half = half / half.norm(dim=1, keepdim=True)
    shine = torch.einsum("ncp,ncp->np", normal, half).clamp(min=0)
    facing = -torch.einsum("ncp,ncp->np", normal, ray)
    fresnel = (1 - facing).clamp(0, 1) ** 4
    oily = 0.5 + 0.9 * torch.exp(-((address[:, 0] / 1.6) ** 2)) * (address[:, 1] > -10.5).float()
    gloss = (0.055 * shine**12 + 0.06 * shine**48 * oily) * (1 - hairy)
    band = (1 + 0.7 * grain).clamp(0, 3) * (0.05 * shine**10 + 0.04 * shine**40) * hairy
    skin_rim = 0.16 * fresnel * scenes.rim[:, None] * hollow
    keyed = scenes.key_rgb[:, :, None] * ((gloss + band) * lit)[:, None]
    return (keyed + skin_rim[:, None] * (scenes.ambient[:, :, None] + light)) * (1 - 0.85 * cloth)[:, None]


def _eyes_and_mouth(levels, people, scenes, skin_at, rest, key, cols):
    coefficients = actuate(levels, people.looks["fold_gain"])
    opened = (1.03 - coefficients[:, -5:-3] - coefficients[:, -3:-1]).clamp(0, 1.6)
    mean = to_torch(atlas(cols).rest)
    spots = [nearest_point(cols, side * EYE[0], EYE[1]) for side in (1, -1)]
    shift = rest[:, :, spots] - mean[None, :, spots]
    home = torch.tensor([[EYE[0], EYE[1], EYE_DEPTH], [-EYE[0], EYE[1], EYE_DEPTH]])
    look = torch.deg2rad(scenes.gaze)
    yaw, pitch = look[:, 0], look[:, 1]
    gaze = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)[:, None].expand(-1, 2, -1)
    eyes = paint.Eyes(home[None] + shift.transpose(1, 2), opened, gaze, key)
    top, bottom = (nearest_point(cols, 0.0, LIP_LINE + s * LIP_STRIP) for s in (1, -1))
    centre = 0.5 * (rest[:, :, top] + rest[:, :, bottom])
    gap = (skin_at[:, 1, top] - skin_at[:, 1, bottom]).clamp(min=0.02)
    return eyes, paint.Mouth(centre, coefficients[:, -1], gap)


__all__ = ["TRAITS", "Drawn", "columns_for", "deform", "draw_faces"]
