"""The scene around a head - pose, lens, lights, backdrop, photograph - and the rasteriser.

Angles are degrees: yaw turns the face to the right of the picture, pitch tips it up, roll leans it clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from ferlib.synthetic.people import normals, seeds_of, uniforms

SETTINGS = ("studio", "wild", "living-room", "lab", "portrait")
PIVOT = (0.0, -3.0, -8.0)  # the head turns about the top of its neck, cm
ANCHOR = (0.0, -3.0, -1.5)  # this point of the head is framed, 3 cm below the eye line


@dataclass(frozen=True)
class Scene:
    """N scenes.  Every field but ``seeds`` is a float32 tensor (N,) or (N, 3).

    yaw, pitch, roll : degrees.  distance : camera to head, cm.  frame : height of the picture at the head, cm.
    eye_line, centre : where the eyes' height and the face's middle lie, fractions of the picture.
    key, fill : directions towards the lights in the camera's frame; key_rgb, fill_rgb, ambient, rim : their light.
    gaze : yaw and pitch of the eyes, degrees.  back_low, back_high : backdrop colours, linear.  exposure : stops.
    contrast, grey, blur (px at 48), noise (fraction of white), jpeg (quality, 0 = none),
    sharp (strength of the camera's sharpening), occluded (1 where a hand covers part of the face).
    """

    seeds: np.ndarray
    yaw: torch.Tensor
    pitch: torch.Tensor
    roll: torch.Tensor
    distance: torch.Tensor
    frame: torch.Tensor
    eye_line: torch.Tensor
    centre: torch.Tensor
    key: torch.Tensor
    fill: torch.Tensor
    key_rgb: torch.Tensor
    fill_rgb: torch.Tensor
    ambient: torch.Tensor
    rim: torch.Tensor
    gaze: torch.Tensor
    back_low: torch.Tensor
    back_high: torch.Tensor
    exposure: torch.Tensor
    contrast: torch.Tensor
    grey: torch.Tensor
    blur: torch.Tensor
    noise: torch.Tensor
    jpeg: torch.Tensor
    sharp: torch.Tensor
    occluded: torch.Tensor

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows) -> Scene:
        pick = np.arange(len(self))[rows]
        return Scene(**{f.name: getattr(self, f.name)[pick] for f in fields(self)})

    def with_(self, **changes) -> Scene:
        """A copy with some fields replaced; numbers are spread over the N scenes."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in changes.items():
            value = torch.as_tensor(value, dtype=torch.float32)
            own[name] = value.expand_as(own[name]).clone() if value.ndim <= own[name].ndim else value
        return Scene(**own)


def _direction(yaw, pitch) -> np.ndarray:
    """Unit vectors (N, 3) towards azimuth ``yaw`` and elevation ``pitch``, degrees, in the camera's frame."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    return np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], -1)


# setting: sd of yaw, pitch, roll; distance; frame mean, sd; key yaw mean, spread; key elevation; key, fill, ambient
_RECIPES = {
    "studio": dict(pose=(3, 3, 2), frame=(19.5, 0.5), eye=(0.39, 0.01), key=(-28, 8, 32, 6), light=(2.2, 0.55, 0.5),
                   tint=0.03, backdrop=0.35, photo=0.3),
    "portrait": dict(pose=(3, 2, 1.5), frame=(27.5, 0.3), eye=(0.5, 0.005), key=(-32, 6, 34, 5), light=(2.35, 0.5, 0.42),
                     tint=0.05, backdrop=0.3, photo=0.0),
    "lab": dict(pose=(4, 4, 2), frame=(20, 0.5), eye=(0.42, 0.01), key=(-15, 15, 45, 8), light=(1.9, 0.7, 0.6),
                tint=0.03, backdrop=0.5, photo=0.2),
    "living-room": dict(pose=(8, 7, 4), frame=(19, 1.2), eye=(0.40, 0.02), key=(5, 14, -6, 10), light=(1.7, 0.5, 0.5),
                        tint=0.16, backdrop=0.12, photo=0.7),
    "wild": dict(pose=(16, 10, 7), frame=(17.3, 1.2), eye=(0.39, 0.02), key=(0, 50, 30, 22), light=(1.9, 0.6, 0.5),
                 tint=0.12, backdrop=0.3, photo=1.0),
}  # fmt: skip


def draw_scenes(seeds, setting: str = "studio") -> Scene:
    """Scenes of a ``setting`` of ``SETTINGS``; ``seeds`` is their number or an array (N,) uint64, one a picture.

    Raises ``ValueError`` for an unknown setting.  The wild one follows FER2013: eyes at 0.39 of the height,
    roll, yaw and pitch with standard deviations of 7, 16 and 10 degrees.
    """
    if setting not in _RECIPES:
        raise ValueError(f"Unknown setting {setting!r}: choose one of {', '.join(SETTINGS)}")
    seeds = seeds_of("scene", 0, np.arange(seeds)) if isinstance(seeds, int) else np.asarray(seeds, np.uint64)
    r, z, u = _RECIPES[setting], normals(seeds, "scene", 20).T, uniforms(seeds, "scene-u", 20).T
    yaw, pitch, roll = (np.clip(sd * z[i], -45, 45) for i, sd in enumerate(r["pose"]))
    key_yaw = r["key"][0] * np.where(u[0] < 0.5, 1, -1) + r["key"][1] * z[3]
    key_up = np.clip(r["key"][2] + r["key"][3] * z[4], -30, 80)
    power, fill, ambient = r["light"]
    warm = r["tint"] * z[5][:, None] * np.array([1.0, 0.1, -1.0]) + r["tint"] * 0.3 * z[6:9].T
    photo = r["photo"]
    low = (
        r["backdrop"] * np.exp((0.4 + 0.7 * photo) * z[9])[:, None] * np.exp(4 * r["tint"] * z[10:13].T * 0.5)
    )
    spread = np.exp(0.25 * (0.3 + photo) * z[13:16])
    values = dict(
        yaw=yaw, pitch=pitch, roll=roll, distance=70 + 110 * u[1], frame=r["frame"][0] + r["frame"][1] * z[16],
        eye_line=r["eye"][0] + r["eye"][1] * z[17], centre=0.5 + 0.6 * r["eye"][1] * z[18],
        key=_direction(key_yaw, key_up), fill=_direction(-0.8 * key_yaw + 20 * (u[2] - 0.5), 5 + 20 * (u[3] - 0.5)),
        key_rgb=(power * spread[0])[:, None] * np.exp(warm), fill_rgb=(fill * spread[1])[:, None] * np.exp(-0.6 * warm),
        ambient=(ambient * spread[2])[:, None] * np.exp(-0.3 * warm), rim=(0.25 + 0.5 * u[4]),
        gaze=np.stack([6 * (0.5 + photo) * z[19] - 0.6 * yaw, 3 * (u[5] - 0.5) - 0.5 * pitch], -1),
        back_low=np.clip(low, 0.005, 2.5), back_high=np.clip(low * np.exp((0.5 + photo) * (u[6] - 0.4))[:, None], 0.005, 2.5),
        exposure=photo * (0.7 * (u[7] * 2 - 1) - 0.2), contrast=1 + photo * (0.34 + 0.3 * (u[8] * 2 - 1)), grey=0 * u[8],
        blur=photo * 0.4 * u[9] ** 3, noise=0.003 + photo * 0.014 * u[10] ** 2,
        sharp=photo * 0.9 * u[14], jpeg=np.where(u[11] < photo * 0.8, 40 + 50 * u[12], 0.0), occluded=1.0 * (u[13] < 0.06 * (photo == 1.0)),
    )  # fmt: skip
    return Scene(seeds, **{k: torch.as_tensor(np.asarray(v, np.float32)) for k, v in values.items()})


def rotation(scene: Scene) -> torch.Tensor:
    """Head-to-camera rotations (N, 3, 3): roll after pitch after yaw."""
    yaw, pitch, roll = (torch.deg2rad(a) for a in (scene.yaw, -scene.pitch, -scene.roll))
    one, nil = torch.ones_like(yaw), torch.zeros_like(yaw)
    c, s = torch.cos, torch.sin
    matrix = lambda *m: torch.stack(m, -1).reshape(-1, 3, 3)  # noqa: E731
    about_y = matrix(c(yaw), nil, s(yaw), nil, one, nil, -s(yaw), nil, c(yaw))
    about_x = matrix(one, nil, nil, nil, c(pitch), -s(pitch), nil, s(pitch), c(pitch))
    about_z = matrix(c(roll), -s(roll), nil, s(roll), c(roll), nil, nil, nil, one)
    return about_z @ about_x @ about_y


def project(points: torch.Tensor, scene: Scene, turn: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Points (N, 3, V) of the head, cm, on the picture: (N, 3, V), columns and rows in pixels, then nearness in cm."""
    height, width = size
    pivot = points.new_tensor(PIVOT)[None, :, None]
    seen = torch.cat([points.new_tensor(ANCHOR)[None, :, None].expand(len(points), 3, 1), points], 2)
    seen = turn @ (seen - pivot)
    lens = scene.distance[:, None] / (scene.distance[:, None] - seen[:, 2])
    scale = (height / scene.frame)[:, None]
    x, y = seen[:, 0] * lens * scale, -seen[:, 1] * lens * scale
    column = x[:, 1:] - x[:, :1] + (scene.centre * width)[:, None]
    row = y[:, 1:] - y[:, :1] + (scene.eye_line * height)[:, None] + 3.0 * scale
    return torch.stack([column, row, seen[:, 2, 1:]], 1)


def rasterise(
    seen: torch.Tensor, grid: tuple[int, int], drawable: torch.Tensor, loose: int, size: tuple[int, int]
):
    """Which point of the surface each pixel shows: a splat of small patches with a z-buffer, refined within the cell.

    seen : (N, 3, V) from :func:`project`.  drawable : (N, V) bool.  loose : grid row where the sparse sheets begin.
    Returns ``hit`` (N, P) bool, ``point`` (N, P) int64, the nearest atlas point of each of the P = H W pixels, and
    ``place`` (N, P, 2) in [-1, 1] for ``grid_sample``.
    """
    n, _, v = seen.shape
    (rows, cols), (height, width) = grid, size
    along, down = _steps(seen, grid)
    turn = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0]
    first_loose = loose * cols
    turn[:, first_loose:].abs_()  # open sheets show both their sides
    buffer = _splat(seen, along, down, drawable & (turn > 0), first_loose, size)
    best, own = _widest(buffer).reshape(n, -1), buffer.reshape(n, -1)

    point = best.clamp(min=0) % v
    table = torch.cat([seen[:, :2], along[:, :2], down[:, :2]], 1)
    x, y, ax, ay, dx, dy = torch.gather(table, 2, point[:, None].expand(-1, 6, -1)).unbind(1)
    off_x = (torch.arange(width, device=seen.device) + 0.5).repeat(height) - x
    off_y = (torch.arange(height, device=seen.device) + 0.5).repeat_interleave(width) - y
    area = ax * dy - ay * dx
    area = torch.where(area.abs() < 1e-4, 1e-4, area)
    step_x, step_y = (off_x * dy - off_y * dx) / area, (off_y * ax - off_x * ay) / area
    fits = torch.maximum(step_x.abs(), step_y.abs()) <= 2.5
    point = torch.where(fits | (own < 0), point, own.clamp(min=0) % v)
    hit = _without_pinholes((torch.where(fits, best, own) >= 0).reshape(n, height, width)).reshape(n, -1)
    line = torch.div(point, cols, rounding_mode="floor")
    place = torch.stack([(point - line * cols + step_x * fits) * (2 / (cols - 1)) - 1,
                         (line + step_y * fits) * (2 / (rows - 1)) - 1], -1)  # fmt: skip
    return hit, point, place


def _splat(seen, along, down, visible, first_loose: int, size: tuple[int, int]) -> torch.Tensor:
    """Keys (N, H, W) int64 of the nearest point at each pixel, -1 where none: nearness times V plus the point.

    A point stands for its cell: it is splatted at several places of it, so that neighbours leave no hole.
    """
    n, _, v = seen.shape
    height, width = size
    buffer = torch.full((n * height * width,), -1, dtype=torch.int64, device=seen.device)
    margin = 4.0
    visible = visible & (seen[:, 0] > -margin) & (seen[:, 0] < width + margin)
    visible &= (seen[:, 1] > -margin) & (seen[:, 1] < height + margin)
    chosen = visible.reshape(-1).nonzero()[:, 0]
    is_loose = chosen % v >= first_loose
    for rows, spread in ((chosen[~is_loose], (2, 2)), (chosen[is_loose], (1, 5))):
        face, point = torch.div(rows, v, rounding_mode="floor"), rows % v
        take = lambda a: a.transpose(0, 1).reshape(3, -1).index_select(1, rows)  # noqa: B023, E731
        at, right, below = take(seen), take(along), take(down)
        for i in range(spread[0]):
            for j in range(spread[1]):
                spot = at + right * ((i + 0.5) / spread[0] - 0.5) + below * ((j + 0.5) / spread[1] - 0.5)
                column, row = spot[0].floor(), spot[1].floor()
                inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
                pixel = (face * height + row.long().clamp(0, height - 1)) * width + column.long().clamp(
                    0, width - 1
                )
                near = ((spot[2] + 40.0) * (2**24 / 80.0)).long().clamp(0, 2**24 - 1)
                buffer.scatter_reduce_(0, pixel, torch.where(inside, near * v + point, -1), "amax")
    return buffer.reshape(n, height, width)


def _steps(seen: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Movement (N, 3, V) on the picture and in depth per grid step along and down the atlas."""
    flat = seen.reshape(len(seen), 3, *grid)
    along, down = torch.zeros_like(flat), torch.zeros_like(flat)
    torch.sub(flat[..., 2:], flat[..., :-2], out=along[..., 1:-1]).mul_(0.5)
    torch.sub(flat[..., 2:, :], flat[..., :-2, :], out=down[..., 1:-1, :]).mul_(0.5)
    return along.reshape(seen.shape), down.reshape(seen.shape)


def _without_pinholes(hit: torch.Tensor) -> torch.Tensor:
    """``hit`` (N, H, W) with single missed pixels between two hits filled."""
    across, down = torch.zeros_like(hit), torch.zeros_like(hit)
    across[..., 1:-1] = hit[..., 2:] & hit[..., :-2]
    down[:, 1:-1] = hit[:, 2:] & hit[:, :-2]
    return hit | across | down


def _widest(buffer: torch.Tensor) -> torch.Tensor:
    """The largest key in each 3 x 3 neighbourhood."""
    wide = buffer.clone()
    wide[..., 1:] = torch.maximum(wide[..., 1:], buffer[..., :-1])
    wide[..., :-1] = torch.maximum(wide[..., :-1], buffer[..., 1:])
    tall = wide.clone()
    tall[:, 1:] = torch.maximum(tall[:, 1:], wide[:, :-1])
    tall[:, :-1] = torch.maximum(tall[:, :-1], wide[:, 1:])
    return tall
