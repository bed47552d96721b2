"""Read one picture file, or say precisely why not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

LARGEST_FILE_BYTES = 64 << 20
LARGEST_SIDE_PX = 8192


class BadPicture(ValueError):
    """A picture that cannot be used, with the reason."""


def check_file(file: Path, root: Path, largest_bytes: int = LARGEST_FILE_BYTES) -> None:
    """Raise :class:`BadPicture` unless ``file`` is regular, within ``root``, neither empty nor monstrous."""
    real = os.path.realpath(file)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise BadPicture(f"a link out of the tree, to {real}")
    if not os.path.lexists(real):
        raise BadPicture("missing")
    if not os.path.isfile(real):
        raise BadPicture("not a regular file")
    size = os.path.getsize(real)
    if size == 0:
        raise BadPicture("empty file")
    if size > largest_bytes:
        raise BadPicture(f"{size:,} bytes; at most {largest_bytes:,} make sense here")


def read_grey(file: Path, root: Path) -> np.ndarray:
    """The picture in ``file`` as (H, W) uint8 grey levels (ITU-R 601 luma of colour).

    Raises :class:`BadPicture` where it is missing, links out of ``root``, is truncated or no picture.
    """
    from PIL import Image, UnidentifiedImageError  # unlike OpenCV it tells a truncated file from a whole one

    check_file(file, root)
    try:
        with Image.open(file) as picture:
            if max(picture.size) > LARGEST_SIDE_PX:
                raise BadPicture(
                    f"{picture.size[0]} x {picture.size[1]} pixels; at most {LARGEST_SIDE_PX} a side"
                )
            return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise BadPicture("not a picture") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, BadPicture):
            raise
        raise BadPicture(f"unreadable or truncated: {error}") from None
