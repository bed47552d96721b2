"""What the objects of this package share: small pictures, and whether somebody sits before the kernel."""

from __future__ import annotations

import base64
import os

import numpy as np


def webp(picture: np.ndarray, quality: int = 76) -> bytes:
    """``picture`` (H, W, 3) uint8 RGB as a WebP file."""
    import cv2

    return cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def data_url(picture: np.ndarray) -> str:
    """``picture`` (H, W, 3) uint8 RGB as the source of an ``<img>`` that needs no file."""
    return "data:image/webp;base64," + base64.b64encode(webp(picture)).decode()


def is_live() -> bool:
    """Whether a person sits before this kernel: not under the builder, which keeps pages and not widgets."""
    return "FERLIB_RESULT" not in os.environ
