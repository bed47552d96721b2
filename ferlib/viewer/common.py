"""What the objects of this package share: small pictures, and whether somebody sits before the kernel."""

from __future__ import annotations

import base64
import os
from typing import Any

import numpy as np


def webp(picture: np.ndarray, quality: int = 76) -> bytes:
    """``picture`` (H, W, 3) uint8 RGB as a WebP file."""
    import cv2

    return cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def data_url(picture: np.ndarray, quality: int = 76) -> str:
    """``picture`` (H, W, 3) uint8 RGB as the source of an ``<img>`` that needs no file."""
    return "data:image/webp;base64," + base64.b64encode(webp(picture, quality)).decode()


def is_live() -> bool:
    """Whether a person sits before this kernel: not under the builder, which keeps pages and not widgets."""
    return "FERLIB_RESULT" not in os.environ


class ThreeFaces:
    """What shows itself as a picture always, as an explorer in a page without a kernel, as widgets in a live one."""

    def sheet(self) -> bytes:
        """The contact sheet as a PNG file."""
        raise NotImplementedError

    def html(self) -> str:
        """The explorer, which needs no kernel."""
        raise NotImplementedError

    def widget(self) -> Any:
        """An ipywidgets box; wants a live kernel."""
        raise NotImplementedError

    def can_live(self) -> bool:
        """Whether the object holds what its widgets need."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = {"image/png": self.sheet(), "text/html": self.html(), "text/plain": repr(self)}
        if self.can_live() and is_live():
            bundle |= self.widget()._repr_mimebundle_()
        return bundle
