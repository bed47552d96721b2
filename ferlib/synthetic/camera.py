"""The scene around a head: pose, lens, lights, backdrop, photograph; and the projection onto the picture.

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
    sharp (strength of the camera's sharpening), occluded (1 where a hand covers part of the face),
    clutter (strength of things in the backdrop).
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
    clutter: torch.Tensor

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows) -> Scene:
        pick = np.arange(len(self))[rows]
        at = torch.as_tensor(pick)
        own = {f.name: getattr(self, f.name).index_select(0, at) for f in fields(self)[1:]}
        return Scene(self.seeds[pick], **own)

    def on_default_device(self) -> Scene:
        """The same scenes, their tensors on the default device."""
        return Scene(self.seeds, **{f.name: torch.as_tensor(getattr(self, f.name)) for f in fields(self)[1:]})

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


@dataclass(frozen=True)
class _Recipe:
    """What varies in a setting: means and spreads; ``wild`` in [0, 1] is how uncontrolled light and photograph are."""

    pose: tuple[float, float, float]  # standard deviations of yaw, pitch, roll, degrees
    frame: tuple[float, float]  # height of the picture, cm: mean, deviation
    eye: tuple[float, float]  # height of the eyes, fraction of the picture: mean, deviation
    key: tuple[
        float, float, float, float
    ]  # azimuth of the key light and its deviation, elevation and its deviation
    light: tuple[float, float, float]  # key, fill, ambient
    tint: float
    backdrop: float
    wild: float


_RECIPES = {
    "studio": _Recipe(
        (3, 3, 2), (19.5, 0.5), (0.39, 0.01), (-28, 8, 32, 6), (2.2, 0.55, 0.5), 0.03, 0.35, 0.3
    ),
    "portrait": _Recipe(
        (3, 2, 1.5), (27.5, 0.3), (0.5, 0.005), (-32, 6, 34, 5), (2.35, 0.5, 0.42), 0.05, 0.3, 0.0
    ),
    "lab": _Recipe((4, 4, 2), (20, 0.5), (0.42, 0.01), (-15, 15, 45, 8), (1.9, 0.7, 0.6), 0.03, 0.5, 0.2),
    "living-room": _Recipe(
        (8, 7, 4), (19, 1.2), (0.40, 0.02), (5, 14, -6, 10), (1.7, 0.5, 0.5), 0.16, 0.12, 0.7
    ),
    "wild": _Recipe((16, 10, 7), (16.4, 1.2), (0.385, 0.02), (0, 46, 9, 22), (1.7, 0.7, 0.8), 0.12, 0.3, 1.0),
}


def draw_scenes(seeds, setting: str = "studio") -> Scene:
    """Scenes of a ``setting`` of ``SETTINGS``; ``seeds`` is their number or an array (N,) uint64, one a picture.

    Raises ``ValueError`` for an unknown setting.  The wild one follows FER2013: eyes at 0.39 of the height,
    roll, yaw and pitch with standard deviations of 7, 16 and 10 degrees.
    """
    if setting not in _RECIPES:
        raise ValueError(f"Unknown setting {setting!r}: choose one of {', '.join(SETTINGS)}")
    seeds = seeds_of("scene", 0, np.arange(seeds)) if isinstance(seeds, int) else np.asarray(seeds, np.uint64)
    r, z, u = _RECIPES[setting], normals(seeds, "scene", 20).T, uniforms(seeds, "scene-u", 20).T
    yaw, pitch, roll = (np.clip(sd * z[i], -45, 45) for i, sd in enumerate(r.pose))
    low = r.backdrop * np.exp((0.4 + 0.7 * r.wild) * z[9])[:, None] * np.exp(1.2 * r.tint * z[10:13].T)
    values = {
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "distance": 70 + 110 * u[1],
        "frame": r.frame[0] + r.frame[1] * z[16],
        "eye_line": r.eye[0] + r.eye[1] * z[17],
        "centre": 0.5 + 0.6 * r.eye[1] * z[18],
        "gaze": np.stack([6 * (0.5 + r.wild) * z[19] - 0.6 * yaw, 3 * (u[5] - 0.5) - 0.5 * pitch], -1),
        "back_low": np.clip(low, 0.005, 2.5),
        "back_high": np.clip(low * np.exp((0.5 + r.wild) * (u[6] - 0.4))[:, None], 0.005, 2.5),
        "clutter": r.wild**2 * 1.2 * u[15],
        "occluded": 1.0 * (u[13] < 0.1 * (r.wild == 1.0)),
        **_draw_lights(r, z, u),
        **_draw_photographs(r, u),
    }
    return Scene(seeds, **{k: torch.as_tensor(np.asarray(v, np.float32)) for k, v in values.items()})


def _draw_lights(r: _Recipe, z: np.ndarray, u: np.ndarray) -> dict[str, np.ndarray]:
    """Key and fill lights from opposite sides, in opposite tints."""
    azimuth = r.key[0] * np.where(u[0] < 0.5, 1, -1) + r.key[1] * z[3]
    elevation = np.clip(r.key[2] + r.key[3] * z[4], -30, 80)
    warm = r.tint * z[5][:, None] * np.array([1.0, 0.1, -1.0]) + r.tint * 0.3 * z[6:9].T
    key, fill, ambient = (np.array(r.light)[:, None] * np.exp(0.25 * (0.3 + r.wild) * z[13:16]))[:, :, None]
    return {
        "key": _direction(azimuth, elevation),
        "fill": _direction(-0.8 * azimuth + 20 * (u[2] - 0.5), 5 + 20 * (u[3] - 0.5)),
        "key_rgb": key * np.exp(warm),
        "fill_rgb": fill * np.exp(-0.6 * warm),
        "ambient": ambient * np.exp(-0.3 * warm),
        "rim": 0.25 + 0.5 * u[4],
    }


def _draw_photographs(r: _Recipe, u: np.ndarray) -> dict[str, np.ndarray]:
    """Exposure, contrast, focus and storage of each picture."""
    return {
        "exposure": r.wild * (0.75 * (u[7] * 2 - 1) - 0.45),
        "contrast": 1 + r.wild * (0.5 + 0.35 * (u[8] * 2 - 1)),
        "grey": 0 * u[8],
        "blur": r.wild * 0.55 * u[9] ** 2,
        "sharp": r.wild * 0.7 * u[14],
        "noise": 0.003 + r.wild * 0.010 * u[10] ** 2,
        "jpeg": np.where(u[11] < r.wild * 0.25, 70 + 25 * u[12], 0.0),
    }


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
    pivot, anchor = (points.new_tensor(p)[None, :, None] for p in (PIVOT, ANCHOR))
    seen = torch.baddbmm(-(turn @ pivot), turn, points)
    middle = turn @ (anchor - pivot)  # the point that is framed
    reach, scale = scene.distance[:, None] + PIVOT[2], (height / scene.frame)[:, None]  # 1 at the face
    at = middle[:, :2, 0] * (reach / (scene.distance[:, None] - middle[:, 2])) * scale
    lens = (scene.distance[:, None] - seen[:, 2]).reciprocal_().mul_(reach * scale)
    seen[:, 0].mul_(lens).add_((scene.centre * width)[:, None] - at[:, :1])
    seen[:, 1].mul_(lens).neg_().add_((scene.eye_line * height)[:, None] + 3.0 * scale + at[:, 1:])
    return seen
