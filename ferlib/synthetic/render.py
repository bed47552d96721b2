"""Faces drawn: people x AU levels x scenes -> pictures with their ground truth.

The surface is deformed (linear in identity and muscles), splatted with a z-buffer at a multiple of the
picture's size, shaded per pixel in linear light, painted, and photographed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic import hair, lighting, paint, photo, skin
from ferlib.synthetic.camera import Scene, project, rotation
from ferlib.synthetic.head import (
    CURTAIN,
    EYE,
    EYE_DEPTH,
    HEAD,
    LIP_LINE,
    LIP_STRIP,
    MOUTH_HALF,
    SHOULDERS,
    atlas,
    to_torch,
)
from ferlib.synthetic.landmarks import landmark_points, nearest_point
from ferlib.synthetic.muscles import actuate, muscle_basis
from ferlib.synthetic.people import HAIR_STYLES, People, age_folds, shape_basis
from ferlib.synthetic.raster import rasterise

CHANGED = 0.02  # share of white by which a pixel must differ to count as changed by an AU


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


def draw_faces(people: People, levels, scenes: Scene, size: int = 96, truth: bool = False) -> Drawn:
    """Draws N ``people`` with AU ``levels`` (N, U, 2) in [0, 5], left and right, in N ``scenes``, ``size`` px square.

    A face never depends on the others drawn with it.  With ``truth`` the masks are drawn too, which costs one more
    rendering for each AU that acts.  Raises ``ValueError`` when the three do not have the same length.
    """
    levels = torch.as_tensor(levels, dtype=torch.float32)
    if not len(people) == len(levels) == len(scenes):
        raise ValueError(
            f"{len(people)} people, {len(levels)} rows of levels, {len(scenes)} scenes: need equally many"
        )
    # Batches of one fixed length, the last one filled up: matrix products round alike for every face.
    batch, parts = max(1, min(16, 272 * 272 // size**2)), []
    with torch.inference_mode():
        for start in range(0, len(people), batch):
            rows = np.minimum(np.arange(start, start + batch), len(people) - 1)
            parts.append(_draw(people[rows], levels[rows], scenes[rows], size, truth))
    kept = len(people)
    images, points, masks = (torch.cat(column)[:kept] for column in zip(*parts, strict=True))
    pose = torch.stack([scenes.yaw, scenes.pitch, scenes.roll], 1)
    return Drawn(images, points, pose, masks if truth else None)


def _draw(people: People, levels: torch.Tensor, scenes: Scene, size: int, truth: bool):
    light, points = _paint(people, levels, scenes, size)
    masks = torch.zeros(len(people), len(DRAWN_AUS) if truth else 0, size, size, dtype=torch.bool)
    for u in range(masks.shape[1]):
        if bool((levels[:, u] > 0).any()):
            without = levels.clone()
            without[:, u] = 0
            other, _ = _paint(people, without, scenes, size)
            masks[:, u] = (photo.encode(light) - photo.encode(other)).abs().amax(1) > CHANGED
    return photo.develop(light, scenes), points, masks


def columns_for(size: int) -> int:
    """Atlas columns for a picture of ``size`` px."""
    return 64 if size <= 56 else 96 if size <= 112 else 160 if size <= 256 else 288


@dataclass
class _Surface:
    """A deformed batch: ``at`` (N, 3, V), cm, in the head's frame, ``cover`` (N, V) of hair, ``albedo`` (N, 3, V),
    ``drawable`` (N, V) bool."""

    at: torch.Tensor
    cover: torch.Tensor
    albedo: torch.Tensor
    drawable: torch.Tensor


def deform(
    people: People, levels: torch.Tensor, cols: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Skin (N, 3, V) with expression, the same at rest (identity only), and the darkening of folds (N, V)."""
    head, muscles = atlas(cols), muscle_basis(cols)
    moved, dark = age_folds(cols)
    old = people.looks["old"][:, None]
    rest = to_torch(head.rest.reshape(1, -1)) + people.traits @ shape_basis(cols) + old * moved
    coefficients = actuate(levels, people.looks["fold_gain"])
    at = rest + coefficients @ muscles.moves
    n = len(people)
    return (at.reshape(n, 3, -1), rest.reshape(n, 3, -1), coefficients @ muscles.dark + old * dark)


def _surface(people: People, skin_at: torch.Tensor, dark: torch.Tensor, cols: int) -> _Surface:
    head = atlas(cols)
    cover, thick = hair.hair_cover(people, cols)
    albedo, _ = skin.surface_colour(people, cover, dark, cols)
    at = skin_at + to_torch(head.normal)[None] * thick[:, None]
    part = torch.as_tensor(head.part)
    long_hair = people.looks["hair_style"] == HAIR_STYLES.index("long")
    drawable = torch.as_tensor(head.drawable)[None] & ((part != CURTAIN)[None] | long_hair[:, None])
    return _Surface(at, cover, albedo, drawable)


def _paint(
    people: People, levels: torch.Tensor, scenes: Scene, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear light (N, 3, size, size) and landmarks (N, 68, 2)."""
    cols, n = columns_for(size), len(people)
    head = atlas(cols)
    grid = (head.rows, head.cols)
    fine = int(size * (1.25 if 56 < size <= 112 else 1.5) + 1) // 2 * 2
    skin_at, rest, dark = deform(people, levels, cols)
    surface = _surface(people, skin_at, dark, cols)
    turn = rotation(scenes)
    seen = project(surface.at, scenes, turn, (fine, fine))
    loose = int((head.part == HEAD).sum()) // cols
    hit, point, place = rasterise(seen, grid, surface.drawable, loose, (fine, fine))
    marks = project(landmark_points(skin_at, cols), scenes, turn, (size, size))[:, :2].transpose(1, 2)

    key = torch.einsum("nji,nj->ni", turn, scenes.key)
    normal = lighting.normals(surface.at, grid)
    hollow, lit = (lighting.hollows(surface.at, normal, grid), lighting.shadow(surface.at, key, grid))
    fixed = to_torch(head.material).expand(n, -1, -1)
    grain = hair.locks(people, cols)[:, None]
    sheet = torch.cat(
        [
            surface.at,
            normal,
            surface.albedo,
            hollow[:, None],
            lit[:, None],
            surface.cover[:, None],
            fixed,
            grain,
        ],
        1,
    )
    sampled = F.grid_sample(
        sheet.reshape(n, -1, *grid), place[:, None], align_corners=True, padding_mode="border"
    )
    got = sampled[:, :, 0].transpose(0, 1).contiguous()
    part = torch.as_tensor(head.part, dtype=torch.float32)[point]
    features = _features(levels, people, scenes, skin_at, rest, key, cols)
    colour = _shade(got, part, lighting.Setting.of(scenes, turn, key, fine), people, features)
    picture = torch.where(hit, colour, photo.backdrop(scenes, fine).flatten(2).transpose(0, 1))
    picture = photo.hand_over(picture.reshape(3, n, fine, fine).transpose(0, 1), scenes, people.skin)
    return F.interpolate(picture, size=(size, size), mode="area"), marks


def _shade(
    got: torch.Tensor, part: torch.Tensor, s: lighting.Setting, people: People, features
) -> torch.Tensor:
    """Linear light (3, N, P) of the surface behind each pixel; ``got`` (15, N, P) are the sampled sheets."""
    at, normal, albedo = got[:3], paint.unit(got[3:6]), got[6:9]
    hollow, lit, cover, across, height, grain = got[9:]
    ray = paint.unit(at - s.eye)
    hairy = torch.where(part == CURTAIN, 1.0, cover.clamp(0, 1))
    light = lighting.irradiance(normal, s, hollow, lit)
    gloss = lighting.sheen(normal, ray, s, light, hollow, lit, hairy, grain, across, albedo)
    colour = albedo * light + gloss * torch.where(part == SHOULDERS, 0.15, 1.0)
    bare = torch.where((part == HEAD) & (at[2] > -8), 1 - hairy, 0.0)
    front = (at[2] > -8) & (height > -8.6) & (height < 3.7)  # every feature lies here
    rows = front.reshape(-1).nonzero()[:, 0]
    face = torch.div(rows, got.shape[2], rounding_mode="floor")
    take = lambda a: a.reshape(*a.shape[:-2], -1).index_select(-1, rows)  # noqa: E731
    p = paint.Pixels(
        face=face,
        across=take(across),
        height=take(height),
        at=take(at),
        ray=take(ray),
        light=take(light),
        cm=s.cm[:, 0][face],
        skin=take(bare),
        grain=take(grain),
    )
    colour = colour.reshape(3, -1)
    painted = colour.index_select(1, rows)
    _features_over(painted, p, people, *features)
    return colour.index_copy_(1, rows, painted).reshape(at.shape)


def _features_over(colour, p: paint.Pixels, people: People, eyes, mouth, bridge) -> None:
    """Paints all features over the lit skin, in place."""
    side, near = p.across.abs(), p.skin > 0.02
    paint.paint_near(
        colour, p, near & (side < MOUTH_HALF + 0.1) & ((p.height + 7.0).abs() < 1.3), paint.lips, people
    )
    paint.paint_near(colour, p, near & (side < 2.3) & ((p.height + 4.4).abs() < 0.9), paint.nostrils)
    paint.paint_near(
        colour, p, near & (side < MOUTH_HALF + 0.1) & ((p.height + 7.0).abs() < 0.12), paint.mouth, mouth
    )
    paint.paint_near(
        colour, p, near & ((side - 3.15).abs() < 1.8) & (p.height.abs() < 1.1), paint.eyes, people, eyes
    )
    paint.paint_near(
        colour, p, near & ((side - 3.1).abs() < 2.4) & ((p.height - 1.8).abs() < 1.0), paint.brows, people
    )
    wears = people.looks["glasses"][p.face] > 0
    paint.paint_near(colour, p, wears & (p.height > -4) & (p.height < 3.5), paint.glasses, people, bridge)


def _features(levels, people, scenes, skin_at, rest, key, cols):
    """Eyes, mouth and the root of the nose, as the painters need them."""
    coefficients = actuate(levels, people.looks["fold_gain"])
    opened = (1.03 - coefficients[:, -5:-3] - coefficients[:, -3:-1]).clamp(0, 1.6)
    spots = [nearest_point(cols, side * EYE[0], EYE[1]) for side in (1, -1)]
    shift = rest[:, :, spots] - to_torch(atlas(cols).rest)[None, :, spots]
    home = torch.tensor([[EYE[0], EYE[1], EYE_DEPTH], [-EYE[0], EYE[1], EYE_DEPTH]])
    yaw, pitch = torch.deg2rad(scenes.gaze).unbind(1)
    gaze = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)
    eyes = paint.Eyes(home[None] + shift.transpose(1, 2), opened, gaze, key)
    top, bottom = (nearest_point(cols, 0.0, LIP_LINE + s * LIP_STRIP) for s in (1, -1))
    acting = {
        au: levels[:, DRAWN_AUS.index(au)].amax(1) / 5 for au in ("AU10", "AU12", "AU16", "AU20", "AU25")
    }
    bared = acting["AU12"] + acting["AU10"] + 0.8 * acting["AU20"] + 0.8 * acting["AU16"]
    bared = (bared + 0.6 * acting["AU25"] - coefficients[:, -1] / 2.6).clamp(0, 1)
    centre = 0.5 * (rest[:, :, top] + rest[:, :, bottom])
    gap = (skin_at[:, 1, top] - skin_at[:, 1, bottom]).clamp(min=0.02)
    opened_mouth = (gap - (rest[:, 1, top] - rest[:, 1, bottom])).clamp(min=0)
    return (
        eyes,
        paint.Mouth(centre, coefficients[:, -1], gap, opened_mouth, bared),
        rest[:, :, nearest_point(cols, 0.0, 0.4)],
    )
