"""Faces drawn: people x AU levels x scenes -> pictures with their ground truth.

Each person is dressed once, the muscles move the surface (linear in their coefficients), it is splatted with a
z-buffer at a multiple of the picture's size, shaded per pixel in linear light, painted, and photographed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ferlib import devices
from ferlib.labels import DRAWN_AUS
from ferlib.synthetic import lighting, lips, paint, photo
from ferlib.synthetic.camera import Scene, project, rotation
from ferlib.synthetic.dress import BRIDGE, LEFT_EYE, LOWER_LIP, RIGHT_EYE, UPPER_LIP, acting, dress
from ferlib.synthetic.head import EYE, EYE_DEPTH, HEAD, MOUTH_HALF, SHOULDERS, atlas, kept, to_torch
from ferlib.synthetic.landmarks import nearest_point
from ferlib.synthetic.muscles import actuate
from ferlib.synthetic.people import People
from ferlib.synthetic.raster import chosen, rasterise

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

    @property
    def grey(self) -> torch.Tensor:
        """(N, H, W) float32 grey levels in [0, 255]: the luminance of ITU-R BT.601."""
        return torch.einsum("nchw,c->nhw", self.images.float(), torch.tensor([0.299, 0.587, 0.114]))


def draw_faces(
    people: People, levels, scenes: Scene, size: int = 96, truth: bool = False, device: str = ""
) -> Drawn:
    """Draws N ``people`` with AU ``levels`` (N, U, 2) in [0, 5], left and right, in N ``scenes``, ``size`` px square.

    A face never depends on the others drawn with it.  With ``truth`` the masks are drawn too, which costs one more
    rendering for each AU of each face that acts.  One thread draws: use one process a core.  On a ``device`` of
    torch's, as ``"cuda"``, everything is computed there; what is drawn comes back to the CPU.
    Raises ``ValueError`` when the three do not have the same length.
    """
    n = len(people)
    if not n == len(levels) == len(scenes):
        raise ValueError(f"{n} people, {len(levels)} rows of levels, {len(scenes)} scenes: need equally many")
    pose = torch.stack([scenes.yaw, scenes.pitch, scenes.roll], 1)
    images, points = torch.zeros(n, 3, size, size, dtype=torch.uint8), torch.zeros(n, 68, 2)
    masks = torch.zeros(n, len(DRAWN_AUS), size, size, dtype=torch.bool) if truth else None
    there = torch.device(device) if device else nullcontext()
    with devices.settled(1), _no_denormals(), torch.inference_mode(), there:
        levels = torch.as_tensor(levels, dtype=torch.float32)
        people, scenes = people.on_default_device(), scenes.on_default_device()
        for rows, scene, light, marks in _lit(people, levels, scenes, size):
            images[rows], points[rows] = photo.develop(light, scene).cpu(), marks.cpu()
            if masks is not None:
                _mask(masks, rows, light, people, levels, scenes)
    return Drawn(images, points, pose, masks)


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Numbers below 1e-38, from the tails of Gaussians, count as 0: they would cost a twentieth of the time."""
    flushed = float(torch.tensor(1e-30) * torch.tensor(1e-10)) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def _lit(people: People, levels: torch.Tensor, scenes: Scene, size: int) -> Iterator[tuple]:
    """Row numbers (n,), their scenes, linear light (n, 3, size, size) and landmarks (n, 68, 2), a batch at a time.

    Batches have one fixed length, the last one filled up: matrix products round alike for every face.  Those of one
    person lie together.
    """
    order, batch = np.argsort(people.seeds, kind="stable"), batch_for(size)
    for start in range(0, len(order), batch):
        rows = order[np.minimum(np.arange(start, start + batch), len(order) - 1)]
        scene = scenes[rows]
        yield rows, scene, *_paint(people.sitting(rows), levels[rows], scene, size)


def _mask(masks: torch.Tensor, rows: np.ndarray, light, people: People, levels, scenes: Scene) -> None:
    """Marks in ``masks`` where the faces ``rows``, whose ``light`` is known, differ from those without one AU."""
    face, au = (levels[rows] > 0).any(2).cpu().nonzero(as_tuple=True)
    without = levels[rows][face]
    without[torch.arange(len(face)), au] = 0
    shown, who = photo.encode(light), rows[face]
    for pairs, _, other, _ in _lit(people.sitting(who), without, scenes[who], light.shape[-1]):
        changed = (shown[face[pairs]] - photo.encode(other)).abs().amax(1) > CHANGED
        masks[who[pairs], au[pairs]] = changed.cpu()


def batch_for(size: int) -> int:
    """Faces drawn at a time: enough to pay for the calls, few enough for the cache."""
    return max(1, min(32, 384 * 384 // size**2))


def columns_for(size: int) -> int:
    """Atlas columns for a picture of ``size`` px."""
    return 56 if size <= 56 else 88 if size <= 112 else 160 if size <= 256 else 288


def _paint(
    people: People, levels: torch.Tensor, scenes: Scene, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear light (N, 3, size, size) and landmarks (N, 68, 2)."""
    cols, n = columns_for(size), len(people)
    head = atlas(cols)
    grid = (head.rows, head.cols)
    fine = int(size * (1.2 if size <= 112 else 1.5 if size < 200 else 2) + 1) // 2 * 2
    coefficients = actuate(levels, people.looks["fold_gain"])
    sheet, spots, rest, drawable, shell, pressed = _surface(people, coefficients, cols)
    at = sheet[:, :3].contiguous()
    turn = rotation(scenes)
    seen = project(at, scenes, turn, (fine, fine))
    hit, point, place = rasterise(seen, grid, drawable, shell, (fine, fine))
    marks = project(spots[:, :, :68], scenes, turn, (size, size))[:, :2].transpose(1, 2)

    key = torch.einsum("nji,nj->ni", turn, scenes.key)
    normal = lighting.normals(at, grid)
    sheet[:, 3:6] = normal
    sheet[:, 9] = lighting.hollows(at, normal, grid)
    sheet[:, 10] = lighting.shadow(at, key, grid)
    got = F.grid_sample(
        sheet.reshape(n, -1, *grid), place[:, None], align_corners=True, padding_mode="border"
    )[:, :, 0]
    head_skin, shine = (a.index_select(0, point.reshape(-1)).reshape(n, -1) for a in _kinds(cols))
    features = (*_features(levels, coefficients, scenes, spots, rest, key, cols), pressed, lips.region(cols))
    colour = _shade(got, head_skin, shine, lighting.Setting.of(scenes, turn, key, fine), people, features)
    shown = hit[:, None].float()
    picture = torch.cat([colour.mul_(shown), shown], 1)
    picture = _smaller(picture.reshape(n, 4, fine, fine), size)
    picture = picture[:, :3] + (1 - picture[:, 3:]) * photo.backdrop(scenes, size)
    return photo.hand_over(picture, scenes, people.skin), marks


def _surface(people: People, coefficients: torch.Tensor, cols: int):
    """What the surface carries (N, 15, V): place, normal and albedo (three each), hollow, light of the key, cover of
    hair, address (two), locks; normal, hollow and light are left open.  Then the spots (N, 3, 73) in expression and at
    rest, what may be drawn and what is a shell, (N, V) bool, and the lips as :func:`lips.settle` measured them.
    """
    head, muscles = atlas(cols), acting(cols)
    dressed, who = dress(people, cols)
    n, block = len(people), (..., muscles.rows, muscles.cols)
    own = lambda a: a.index_select(0, who)  # noqa: E731
    flat = own(dressed.sheet)
    sheet = flat.reshape(n, 15, head.rows, head.cols)
    moved = sheet[:, :3][block]
    moved += (coefficients @ muscles.moves).reshape(moved.shape)
    skin = lips.region(cols)
    height, depth = sheet[:, 1:3, skin.rows, skin.cols].unbind(1)
    pressed = lips.settle(height, depth, skin)
    u = len(DRAWN_AUS)
    folded = torch.cat([coefficients[:, 2 * u : 4 * u], people.looks["old"][:, None]], 1) @ muscles.dark
    dark = folded.clamp_(0, 1.3).reshape(n, 1, *moved.shape[2:])
    sheet[:, 6:9][block].addcmul_(own(dressed.folds), dark, value=-1)
    rest = own(dressed.spots)
    spots = rest + (coefficients @ muscles.spots).reshape(rest.shape)
    return flat, spots, rest, own(dressed.drawable), own(dressed.shell), pressed


@kept(8)
def _kinds(cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each point of the atlas (V,): 1 on the head, else 0; and how much its surface glistens."""
    part = atlas(cols).part
    return to_torch(part == HEAD), to_torch(np.where(part == SHOULDERS, 0.15, 1.0))


@kept(8)
def _area(fine: int, size: int) -> torch.Tensor:
    """(size, fine) weights by which a pixel is the mean of the finer ones that it touches."""
    edge, at = np.arange(size) * fine / size, np.arange(fine)
    first, last = np.floor(edge), np.ceil(edge + fine / size - 1e-9)
    touched = (at >= first[:, None]) & (at < last[:, None])
    return to_torch(touched / touched.sum(1, keepdims=True))


def _smaller(picture: torch.Tensor, size: int) -> torch.Tensor:
    """``picture`` (N, C, F, F) averaged to ``size`` px."""
    area = _area(picture.shape[-1], size)
    return area @ (picture @ area.T)


def _shade(got, head_skin, shine, s: lighting.Setting, people: People, features) -> torch.Tensor:
    """Linear light (N, 3, P) of the surface behind each pixel; ``got`` (N, 15, P) is the sampled sheet,
    ``head_skin`` and ``shine`` (N, P) are 1 on the head, and how much the part glistens."""
    at, normal, albedo = got[:, :3], got[:, 3:6], got[:, 6:9]
    hollow, lit, cover, across, height, grain = got[:, 9:].unbind(1)
    normal = _unit(normal)
    ray = _unit(at - s.eye)
    hairy = cover.clamp(0, 1)
    light, *cosines = lighting.irradiance(normal, s, hollow, lit)
    gloss = lighting.sheen(normal, ray, s, light, cosines, hollow, lit, hairy, grain, across, albedo)
    gloss.mul_(shine[:, None])
    colour = torch.addcmul(gloss, albedo, light)
    near = at[:, 2] > -8
    bare = (1 - hairy).mul_(head_skin).mul_(near)
    rows = chosen(_featured(across, height, people) & near)
    face = torch.div(rows, got.shape[2], rounding_mode="floor")
    pixel = rows - face * got.shape[2]
    known = got.reshape(-1).index_select(0, _places(got, face, pixel, (12, 13, 14, 0, 1, 2)).reshape(-1))
    three = _places(colour, face, pixel, (0, 1, 2))
    painted, ray, light = (
        a.reshape(-1).index_select(0, three.reshape(-1)).reshape(3, -1) for a in (colour, ray, light)
    )
    scale, skin = s.cm[:, 0].index_select(0, face), bare.reshape(-1).index_select(0, rows)
    p = paint.Pixels(face, torch.cat([known.reshape(6, -1), ray, light, scale[None], skin[None]]))
    _features_over(painted, p, people, *features)
    colour.reshape(-1).index_copy_(0, three.reshape(-1), painted.reshape(-1))
    return colour


def _places(a: torch.Tensor, face: torch.Tensor, pixel: torch.Tensor, channels: tuple) -> torch.Tensor:
    """Where ``channels`` of the pixels ``pixel`` (M,) of ``face`` (M,) lie in a flat ``a`` (N, C, P): (channels, M)."""
    _, c, p = a.shape
    return face * (c * p) + pixel + p * torch.tensor(channels, device=a.device)[:, None]


def _unit(a: torch.Tensor) -> torch.Tensor:
    """Vectors (N, 3, P) scaled to length 1."""
    return a * paint.dot(*[a.transpose(0, 1)] * 2).add_(1e-12).rsqrt_()[:, None]


def _featured(across: torch.Tensor, height: torch.Tensor, people: People) -> torch.Tensor:
    """Where on the face (N, P) something may be painted: eyes and brows, nose and mouth, or all that glasses cover."""
    side = across.abs()
    upper = (side < 5.5) & ((height - 0.85).abs() < 1.95)
    lower = (side < MOUTH_HALF + 0.1) & ((height + 5.9).abs() < 2.4)
    seen = upper | lower
    if bool((people.looks["glasses"] > 0).any()):
        seen |= (people.looks["glasses"] > 0)[:, None] & (height > -4) & (height < 3.5)
    return seen


def _features_over(colour, p: paint.Pixels, people: People, eyes, mouth, bridge, pressed, skin) -> None:
    """Paints all features over the lit skin, in place."""
    side, near = p.across.abs(), p.skin > 0.02
    around = near & (side < MOUTH_HALF + 0.1) & ((p.height + 7.0).abs() < 1.3)
    paint.paint_near(colour, p, around, paint.lips, people, pressed, skin)
    paint.paint_near(colour, p, near & (side < 2.3) & ((p.height + 4.4).abs() < 0.9), paint.nostrils)
    paint.paint_near(
        colour,
        p,
        near & (side < MOUTH_HALF + 0.1) & ((p.height + 7.0).abs() < 0.12),
        paint.mouth,
        people,
        mouth,
    )
    paint.paint_near(
        colour, p, near & ((side - 3.15).abs() < 1.8) & (p.height.abs() < 1.1), paint.eyes, people, eyes
    )
    paint.paint_near(
        colour, p, near & ((side - 3.1).abs() < 2.4) & ((p.height - 1.8).abs() < 1.0), paint.brows, people
    )
    wears = people.looks["glasses"].index_select(0, p.face) > 0
    paint.paint_near(colour, p, wears & (p.height > -4) & (p.height < 3.5), paint.glasses, people, bridge)


def _features(levels, coefficients, scenes, spots, rest, key, cols):
    """Eyes, mouth and the root of the nose, as the painters need them."""
    opened = (1.03 - coefficients[:, -5:-3] - coefficients[:, -3:-1]).clamp(0, 1.6)
    eyes_at = [nearest_point(cols, side * EYE[0], EYE[1]) for side in (1, -1)]
    shift = rest[:, :, [LEFT_EYE, RIGHT_EYE]] - to_torch(atlas(cols).rest)[None, :, eyes_at]
    home = torch.tensor([[EYE[0], EYE[1], EYE_DEPTH], [-EYE[0], EYE[1], EYE_DEPTH]])
    yaw, pitch = torch.deg2rad(scenes.gaze).unbind(1)
    gaze = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)
    eyes = paint.Eyes(home[None] + shift.transpose(1, 2), opened, gaze, key)
    act = {au: levels[:, DRAWN_AUS.index(au)].amax(1) / 5 for au in ("AU10", "AU12", "AU16", "AU20", "AU25")}
    bared = act["AU12"] + act["AU10"] + 0.8 * act["AU20"] + 0.8 * act["AU16"]
    bared = (bared + 0.6 * act["AU25"] - coefficients[:, -1] / 2.6).clamp(0, 1)
    centre = 0.5 * (rest[:, :, UPPER_LIP] + rest[:, :, LOWER_LIP])
    gap = (spots[:, 1, UPPER_LIP] - spots[:, 1, LOWER_LIP]).clamp(min=0.02)
    parted = (gap - (rest[:, 1, UPPER_LIP] - rest[:, 1, LOWER_LIP])).clamp(min=0)
    return eyes, paint.Mouth(centre, coefficients[:, -1], gap, parted, bared), rest[:, :, BRIDGE]
