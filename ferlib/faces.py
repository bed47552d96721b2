"""Find a face, align it by the eyes, crop it: OpenCV's Haar cascade, and landmarks where a corpus has them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

CROP_PX = 96
EYES_AT = ((0.335, 0.34), (0.665, 0.34))
"""Where the eyes come to lie in an aligned crop, as fractions of its side; the chin is then at about 0.95."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import cv2

    folder = Path(cv2.__file__).parent / "data"  # cv2.data, whose name its type stubs lack
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))


def find_faces(image: np.ndarray) -> list[Box]:
    """The faces that the Haar cascade of Viola & Jones finds in (H, W) uint8, the largest first."""
    smallest = max(24, min(image.shape) // 5)
    found = _cascade().detectMultiScale(image, scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest))
    boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h in found]
    return sorted(boxes, key=lambda box: (-box[2], box))


def find_face(image: np.ndarray) -> Box | None:
    """The largest face in (H, W) uint8, or None."""
    return next(iter(find_faces(image)), None)


def centre_box(image: np.ndarray) -> Box:
    """The largest centred square of (H, W)."""
    height, width = image.shape
    side = min(height, width)
    return (width - side) // 2, (height - side) // 2, side, side


def whole_box(image: np.ndarray) -> Box:
    """The smallest square around all of (H, W), with the same centre."""
    height, width = image.shape
    side = max(height, width)
    return (width - side) // 2, (height - side) // 2, side, side


def crop_box(image: np.ndarray, box: Box, size: int = CROP_PX) -> np.ndarray:
    """The pixels of ``box`` as (size, size) uint8; what lies outside the image continues its border."""
    import cv2

    x, y, w, h = box
    height, width = image.shape
    over = max(0, -x, -y, x + w - width, y + h - height)
    if over:
        image = cv2.copyMakeBorder(image, over, over, over, over, cv2.BORDER_REPLICATE)
    cut = image[y + over : y + over + h, x + over : x + over + w]
    how = cv2.INTER_AREA if min(w, h) > size else cv2.INTER_CUBIC
    return cv2.resize(cut, (size, size), interpolation=how)


def eye_centres(landmarks: np.ndarray) -> np.ndarray:
    """(2, 2): x, y of the eye on the left and on the right of the picture, from 68 landmarks (iBUG order)."""
    return np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)])


def eyes_fit(eyes: np.ndarray, image: np.ndarray) -> bool:
    """Whether both eyes (2, 2) lie within (H, W), at least 8 pixels apart."""
    height, width = image.shape
    inside = (eyes >= 0).all() and (eyes <= (width, height)).all()
    return bool(inside and np.hypot(*(eyes[1] - eyes[0])) >= 8)


def crop_aligned(image: np.ndarray, eyes: np.ndarray, size: int = CROP_PX) -> np.ndarray:
    """Rotate, scale and shift (H, W) uint8 so that the eyes come to lie at ``EYES_AT``: (size, size) uint8.

    eyes : (2, 2), x and y of the left and right eye in pixels.  Raises ``ValueError`` where they do not
    fit into the image.
    """
    import cv2

    eyes = np.asarray(eyes, np.float64)
    if not eyes_fit(eyes, image):
        raise ValueError(
            f"eyes at {eyes.tolist()} do not fit into {image.shape[1]} x {image.shape[0]} pixels"
        )
    wanted = np.array(EYES_AT) * size
    scale = float((wanted[1, 0] - wanted[0, 0]) / np.hypot(*(eyes[1] - eyes[0])))
    if scale < 1:  # average over the pixels that become one, instead of picking among them
        shrunk = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        eyes = (eyes + 0.5) * (shrunk.shape[1] / image.shape[1], shrunk.shape[0] / image.shape[0]) - 0.5
        image, scale = shrunk, 1.0
        scale = float((wanted[1, 0] - wanted[0, 0]) / np.hypot(*(eyes[1] - eyes[0])))
    across = (eyes[1] - eyes[0]) / np.hypot(*(eyes[1] - eyes[0]))
    turn = scale * np.array([[across[0], across[1]], [-across[1], across[0]]])
    shift = wanted.mean(axis=0) - turn @ eyes.mean(axis=0)
    return cv2.warpAffine(
        image,
        np.column_stack([turn, shift]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
