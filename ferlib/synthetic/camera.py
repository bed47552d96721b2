"""The scene around a head - pose, lens, lights, backdrop, photograph - and the rasteriser.

Angles are degrees: yaw turns the face to the right of the picture, pitch tips it up, roll leans it clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F

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
    contrast, grey, blur (px at 48), noise (fraction of white), jpeg (quality, 0 = none), hand (occlusion, 0 or 1).
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
    "wild": dict(pose=(16, 10, 7), frame=(16.6, 1.1), eye=(0.39, 0.02), key=(0, 50, 30, 22), light=(1.9, 0.6, 0.55),
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
    low = r["backdrop"] * np.exp(0.5 * z[9])[:, None] * np.exp(4 * r["tint"] * z[10:13].T * 0.5)
    photo = r["photo"]
    spread = np.exp(0.25 * (0.3 + photo) * z[13:16])
    values = dict(
        yaw=yaw, pitch=pitch - 2, roll=roll, distance=70 + 110 * u[1], frame=r["frame"][0] + r["frame"][1] * z[16],
        eye_line=r["eye"][0] + r["eye"][1] * z[17], centre=0.5 + 0.6 * r["eye"][1] * z[18],
        key=_direction(key_yaw, key_up), fill=_direction(-0.8 * key_yaw + 20 * (u[2] - 0.5), 5 + 20 * (u[3] - 0.5)),
        key_rgb=(power * spread[0])[:, None] * np.exp(warm), fill_rgb=(fill * spread[1])[:, None] * np.exp(-0.6 * warm),
        ambient=(ambient * spread[2])[:, None] * np.exp(-0.3 * warm), rim=(0.25 + 0.5 * u[4]),
        gaze=np.stack([6 * (0.5 + photo) * z[19] - 0.6 * yaw, 3 * (u[5] - 0.5) - 0.5 * pitch], -1),
        back_low=np.clip(low, 0.01, 1.2), back_high=np.clip(low * np.exp(0.5 * (u[6] - 0.3))[:, None], 0.01, 1.2),
        exposure=photo * 0.35 * (u[7] * 2 - 1), contrast=1 + photo * 0.2 * (u[8] * 2 - 1), grey=0 * u[8],
        blur=photo * 0.55 * u[9] ** 1.5, noise=0.004 + photo * 0.025 * u[10] ** 2,
        jpeg=np.where(u[11] < photo * 0.8, 40 + 50 * u[12], 0.0), occluded=1.0 * (u[13] < 0.06 * (photo == 1.0)),
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


def rasterise(seen: torch.Tensor, grid: tuple[int, int], drawable: torch.Tensor, both_sides: torch.Tensor,
              size: tuple[int, int], finer: int = 2):  # fmt: skip
    """Which point of the surface each pixel shows: a splat of all points with a z-buffer, refined within the cell.

    seen : (N, 3, V) from :func:`project`.  drawable : (N, V) bool.  both_sides : (V,) bool, seen from behind too.
    Returns ``hit`` (N, H*W) bool,
    ``point`` (N, H*W) int64, the nearest atlas point, and ``place`` (N, H*W, 2) in [-1, 1] for ``grid_sample``.
    """
    n, _, v = seen.shape
    (rows, cols), (height, width) = grid, size
    slopes, front = _slopes(seen, grid)
    nearness = torch.where((front | both_sides) & drawable, seen[:, 2], -1e3)
    dense, owner = _denser(torch.stack([seen[:, 0], seen[:, 1], nearness], 1), grid, finer)
    corner = (dense[:, :2] - 0.5).round()
    inside = (corner[:, 0] >= 0) & (corner[:, 0] < width) & (corner[:, 1] >= 0) & (corner[:, 1] < height)
    area = height * width
    pixel = (corner[:, 1] * width + corner[:, 0]).long() + torch.arange(n, device=seen.device)[:, None] * area
    pixel = torch.where(inside & (dense[:, 2] > -40), pixel, n * area)
    near = ((dense[:, 2] + 40.0) * (2**24 / 80.0)).clamp(0, 2**24 - 1).long()
    key = near * v + owner
    buffer = torch.full((n * area + 1,), -1, dtype=torch.int64, device=seen.device)
    buffer.scatter_reduce_(0, pixel.reshape(-1), key.reshape(-1), "amax")
    own = buffer[:-1].reshape(n, height, width)
    best, own = _widest(own).reshape(n, -1), own.reshape(n, -1)
    x = torch.arange(width, device=seen.device) + 0.5
    y = torch.arange(height, device=seen.device) + 0.5
    centre = torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)]).reshape(1, 2, -1)
    point, step = _within_cell(best, v, torch.cat([seen[:, :2], slopes], 1), centre)
    fits = step.abs().amax(1) <= 2.5
    point = torch.where(fits, point, own.clamp(min=0) % v)
    step = step * fits[:, None]
    hit = torch.where(fits, best, own) >= 0
    place = torch.stack([(point % cols + step[:, 0]) * (2 / (cols - 1)) - 1,
                         (torch.div(point, cols, rounding_mode="floor") + step[:, 1]) * (2 / (rows - 1)) - 1], -1)  # fmt: skip
    return hit, point, place


def _denser(seen: torch.Tensor, grid: tuple[int, int], times: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 3, ~V times^2) between those of the grid, so that a splat has no holes, and their nearest grid point."""
    rows, cols = grid
    tall, wide = times * (rows - 1) + 1, times * (cols - 1) + 1
    dense = F.interpolate(seen.reshape(len(seen), 3, rows, cols), size=(tall, wide), mode="bilinear", align_corners=True)
    row = (torch.arange(tall, device=seen.device) + times // 2) // times
    col = (torch.arange(wide, device=seen.device) + times // 2) // times
    return dense.reshape(len(seen), 3, -1), (row[:, None] * cols + col).reshape(-1)


def _slopes(seen: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels moved per grid step (N, 4, V) - inverse of the cell's Jacobian - and whether a point faces the camera."""
    rows, cols = grid
    flat = seen[:, :2].reshape(len(seen), 2, rows, cols)
    along, down = torch.zeros_like(flat), torch.zeros_like(flat)
    along[..., 1:-1] = (flat[..., 2:] - flat[..., :-2]) * 0.5
    down[..., 1:-1, :] = (flat[..., 2:, :] - flat[..., :-2, :]) * 0.5
    ax, ay = along.reshape(len(seen), 2, -1).unbind(1)
    dx, dy = down.reshape(len(seen), 2, -1).unbind(1)
    turn = ax * dy - ay * dx
    safe = torch.where(turn.abs() < 1e-4, torch.full_like(turn, 1e-4), turn)
    return torch.stack([dy / safe, -dx / safe, -ay / safe, ax / safe], 1), turn > 0


def _widest(buffer: torch.Tensor) -> torch.Tensor:
    """The largest key in each 3 x 3 neighbourhood."""
    wide = buffer.clone()
    wide[..., 1:] = torch.maximum(wide[..., 1:], buffer[..., :-1])
    wide[..., :-1] = torch.maximum(wide[..., :-1], buffer[..., 1:])
    tall = wide.clone()
    tall[:, 1:] = torch.maximum(tall[:, 1:], wide[:, :-1])
    tall[:, :-1] = torch.maximum(tall[:, :-1], wide[:, 1:])
    return tall


def _within_cell(keys: torch.Tensor, v: int, table: torch.Tensor, centre: torch.Tensor):
    """Grid point of each key and the Newton step (N, 2, P), in cells, from it to the pixel's centre."""
    point = keys.clamp(min=0) % v
    got = torch.gather(table, 2, point[:, None].expand(-1, 6, -1))
    off = centre - got[:, :2]
    step = torch.stack([got[:, 2] * off[:, 0] + got[:, 3] * off[:, 1], got[:, 4] * off[:, 0] + got[:, 5] * off[:, 1]], 1)
    return point, step
