"""From numbers to a saved picture: the rig draws some frames, they are set into native frames and saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferlib.synthetic.native.plan import Camera, Format

_ENCODING: dict[str, dict[str, int]] = {
    ".jpg": {"IMWRITE_JPEG_QUALITY": 92},
    ".png": {
        "IMWRITE_PNG_COMPRESSION": 1,
        "IMWRITE_PNG_STRATEGY": 2,
        "IMWRITE_PNG_FILTER": 64,
    },  # half the time
}


@dataclass(frozen=True, eq=False)
class Shots:
    """What the rig is asked to draw: n pictures, each of one person in one take.

    px : side of the square drawn.  person, take, number : (n,) int; a take has one light and one camera.
    levels : (n, U, 2) in [0, 5].  drift : (n, 3), degrees of yaw, pitch and roll added to the take's pose.
    """

    corpus: str
    camera: Camera
    seed: int
    px: int
    person: np.ndarray
    take: np.ndarray
    number: np.ndarray
    levels: np.ndarray
    drift: np.ndarray


@dataclass(frozen=True, eq=False)
class Pictures:
    """What comes back.

    images : (n, px, px, 3) uint8 RGB.  landmarks : (n, 68, 2) px.  pose : (n, 3) degrees.
    noise : (n,), standard deviation of the sensor noise yet to be added (1 = white).
    """

    images: np.ndarray
    landmarks: np.ndarray
    pose: np.ndarray
    noise: np.ndarray


Draw = Callable[[Shots], Pictures]


def draw_with_rig(shots: Shots) -> Pictures:
    """Draw with the rig.  A take keeps its scene and the head drifts in it.

    The rig's own noise and JPEG are switched off: its noise would stand still in a clip, and its 8 px blocks would
    grow with the frame.
    """
    import torch

    from ferlib.synthetic.camera import draw_scenes
    from ferlib.synthetic.people import draw_people, seeds_of
    from ferlib.synthetic.render import draw_faces

    scene = draw_scenes(seeds_of(f"{shots.corpus}-take", shots.seed, shots.take), shots.camera.setting)
    noise = scene.noise.numpy()
    yaw, pitch, roll = torch.as_tensor(shots.drift).T
    scene = scene.with_(yaw=scene.yaw + yaw, pitch=scene.pitch + pitch, roll=scene.roll + roll)
    scene = scene.with_(noise=0.0, jpeg=0.0)
    framing = {"frame": shots.camera.height_cm, "eye_line": shots.camera.eye_line}
    scene = scene.with_(**{name: value for name, value in framing.items() if value is not None})
    people = draw_people(shots.corpus, shots.seed, shots.person)
    drawn = draw_faces(people, shots.levels, scene, shots.px)
    images = drawn.images.permute(0, 2, 3, 1).contiguous().numpy()
    return Pictures(images, drawn.landmarks.numpy(), drawn.pose.numpy(), noise)


def set_into_frame(
    image: np.ndarray, landmarks: np.ndarray, form: Format, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The square ``image`` (P, P, 3) and its landmarks in the native frame.

    It fills the height; what is too wide is cut, and what is missing beside it continues its border.  Sensor
    noise of standard deviation ``noise`` (1 = white) is added before it is scaled, so that it is as coarse
    as the drawing.
    """
    import cv2

    px = len(image)
    wide = round(px * form.width / form.height)
    left = (wide - px) // 2
    if left > 0:
        canvas = cv2.copyMakeBorder(image, 0, 0, left, wide - px - left, cv2.BORDER_REPLICATE)
    else:
        canvas = image[:, -left : wide - left]
    grain = rng.standard_normal((*canvas.shape[:2], 1), dtype=np.float32) * (255 * noise)
    canvas = np.clip(np.round(canvas + grain), 0, 255).astype(np.uint8)
    if (form.height, form.width) != canvas.shape[:2]:
        how = cv2.INTER_AREA if form.height < px else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, (form.width, form.height), interpolation=how)
    return canvas, (landmarks + np.array([left, 0])) * (form.width / wide, form.height / px)


def save_picture(file: Path, image: np.ndarray, colour: bool) -> None:
    """Write ``image`` (H, W, 3) uint8 RGB in the format of the suffix.  Raises ``OSError`` if it cannot."""
    import cv2

    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if colour else cv2.COLOR_RGB2GRAY)
    options = _ENCODING.get(file.suffix, {})
    known = [(getattr(cv2, name), value) for name, value in options.items() if hasattr(cv2, name)]
    option = [number for pair in known for number in pair]
    if not cv2.imwrite(str(file), pixels, option):
        raise OSError(f"{file} cannot be written")
