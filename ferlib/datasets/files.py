"""Read one file of a native layout - picture, text or workbook - or say precisely why not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

LARGEST_PICTURE_BYTES = 64 << 20
LARGEST_TEXT_BYTES = 64 << 10
LARGEST_TABLE_BYTES = 64 << 20
LARGEST_SIDE_PX = 8192


class BadFile(ValueError):
    """A file that cannot be used, with the reason."""


def check_file(file: Path, root: Path, largest_bytes: int) -> None:
    """Raise :class:`BadFile` unless ``file`` is regular, within ``root``, neither empty nor monstrous."""
    if not str(file).isprintable():
        raise BadFile("a name with characters that cannot be printed")
    real = os.path.realpath(file)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise BadFile(f"a link out of the tree, to {real}")
    if not os.path.lexists(real):
        raise BadFile("missing")
    if not os.path.isfile(real):
        raise BadFile("not a regular file")
    size = os.path.getsize(real)
    if size == 0:
        raise BadFile("empty file")
    if size > largest_bytes:
        raise BadFile(f"{size:,} bytes; at most {largest_bytes:,} make sense here")


def read_grey(file: Path, root: Path) -> np.ndarray:
    """The picture in ``file`` as (H, W) uint8 grey levels (ITU-R 601 luma of colour).

    Raises :class:`BadFile` where it is missing, links out of ``root``, is truncated or no picture.
    """
    from PIL import Image, UnidentifiedImageError  # unlike OpenCV it tells a truncated file from a whole one

    check_file(file, root, LARGEST_PICTURE_BYTES)
    try:
        with Image.open(file) as picture:
            if max(picture.size) > LARGEST_SIDE_PX:
                raise BadFile(
                    f"{picture.size[0]} x {picture.size[1]} pixels; at most {LARGEST_SIDE_PX} a side"
                )
            return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise BadFile("not a picture") from None
    except BadFile:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them raise
        raise BadFile(f"unreadable or truncated: {error}") from None


def read_text(file: Path, root: Path, largest_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """The UTF-8 text in ``file``, without a byte order mark.  Raises :class:`BadFile`."""
    check_file(file, root, largest_bytes)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile("not UTF-8") from None
    except OSError as error:
        raise BadFile(f"unreadable: {error}") from None


def read_numbers(file: Path, root: Path) -> list[list[float]]:
    """The numbers in ``file``, line by line, blank lines left out.  Raises :class:`BadFile` naming the line."""
    rows = []
    for i, line in enumerate(read_text(file, root).splitlines(), start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise BadFile(f"line {i}: {line.strip()[:40]!r} is not numbers") from None
        if not np.isfinite(row).all():
            raise BadFile(f"line {i}: {line.strip()[:40]!r} is not finite")
        if row:
            rows.append(row)
    return rows


def read_sheet(file: Path, root: Path) -> list[list[Any]]:
    """The cells of the first sheet of an Excel workbook, row by row from the top; empty cells are ``""``.

    Raises :class:`BadFile`.
    """
    import python_calamine

    check_file(file, root, LARGEST_TABLE_BYTES)
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(file))
        return book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except BaseException as error:  # a panic of its Rust code is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise BadFile(f"unreadable workbook: {error}") from None
