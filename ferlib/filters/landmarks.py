"""Regions of Action Units built from 68 landmarks, for faces whose moved pixels nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferlib.config import DataError, check_name
from ferlib.datasets import FaceSet
from ferlib.faces import EYES_AT, eye_centres
from ferlib.filters.regions import Regions
from ferlib.labels import au_columns, au_present

Areas = tuple[tuple[float, tuple[int, ...]], ...]
"""Hulls of landmarks (iBUG numbers), each grown by a share of the distance between the eyes."""


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_EYES: Areas = ((0.12, _span(36, 41)), (0.12, _span(42, 47)))
_MOUTH: Areas = ((0.12, _span(48, 59)),)
_CORNERS: Areas = ((0.18, (48, 49, 59, 60)), (0.18, (53, 54, 55, 64)))
_FURROWS: Areas = ((0.1, (31, 48, 49)), (0.1, (35, 53, 54)))
_JAW: Areas = ((0.08, (*_span(4, 12), *_span(48, 59))),)
AREAS: dict[str, Areas] = {
    "AU01": ((0.25, (20, 21, 22, 23)),),
    "AU02": ((0.25, (17, 18, 19)), (0.25, (24, 25, 26))),
    "AU04": ((0.15, (18, 19, 20, 21, 22, 23, 24, 25, 27)),),
    "AU05": _EYES,
    "AU06": ((0.28, (36, 40, 41)), (0.28, (45, 46, 47))),
    "AU07": _EYES,
    "AU09": ((0.15, (21, 22, 39, 42, *_span(31, 35))),),
    "AU10": ((0.1, (*_span(31, 35), *_span(48, 54))),),
    "AU11": _FURROWS,
    "AU12": (*_CORNERS, *_FURROWS),
    "AU14": ((0.1, (48, 49, 59)), (0.1, (53, 54, 55))),
    "AU15": _CORNERS,
    "AU16": ((0.15, (48, *_span(54, 59))),),
    "AU17": ((0.1, (*_span(6, 10), *_span(55, 59))),),
    "AU18": _MOUTH,
    "AU20": (*_CORNERS, *_MOUTH),
    "AU22": _MOUTH,
    "AU23": _MOUTH,
    "AU24": _MOUTH,
    "AU25": _MOUTH,
    "AU26": _JAW,
    "AU27": _JAW,
    "AU28": _MOUTH,
    "AU43": _EYES,
}
"""Where each AU moves the skin, after the appearance changes of the FACS manual (Ekman, Friesen & Hager 2002)."""


def landmark_regions(points: np.ndarray, aus: Sequence[str], size: int) -> np.ndarray:
    """(N, U, size, size) bool: the area of each of ``aus`` on faces with landmarks ``points`` (N, 68, 2).

    points : columns and rows in pixels, iBUG-68 order.  The areas say where an AU would act, not whether it does:
    multiply by ``labels.au_present`` before :func:`~ferlib.filters.dissect`.
    """
    import cv2

    masks = np.zeros((len(points), len(aus), size, size), np.uint8)
    for face, own in zip(points, masks, strict=True):
        between = float(np.hypot(*np.diff(eye_centres(face), axis=0)[0]))
        for au, mask in zip(aus, own, strict=True):
            for share, numbers in AREAS[check_name("Action Unit with an area", au, AREAS)]:
                hull = np.round(cv2.convexHull(face[list(numbers)].astype(np.float32))).astype(np.int32)
                cv2.fillConvexPoly(mask, hull, 1)
                cv2.polylines(mask, [hull], True, 1, thickness=max(1, round(2 * share * between)))
    return masks.astype(bool)


def aligned_points(points: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (68, 2) of a picture where :func:`ferlib.faces.crop_aligned` puts them in a crop of ``size`` px."""
    eyes = eye_centres(points)
    wanted = np.array(EYES_AT) * size
    across = (eyes[1] - eyes[0]) @ [1, 1j]
    turn = ((wanted[1] - wanted[0]) @ [1, 1j]) / across  # a similarity is a complex factor
    moved = turn * ((points - eyes.mean(axis=0)) @ [1, 1j])
    return np.stack([moved.real, moved.imag], axis=-1) + wanted.mean(axis=0)


def ckplus_landmarks(faces: FaceSet, size: int | None = None) -> np.ndarray:
    """(N, 68, 2) landmarks of CK+ faces in their crops of ``size`` px, read from the folder they were prepared from.

    Raises ``DataError`` where the corpus is not CK+, its source is gone, or a face was not cropped by landmarks.
    """
    folder = _landmark_folder(faces)
    if not folder.is_dir():
        raise DataError(
            f"{faces.corpus} has no landmarks: {folder} is no folder. CK+ has them; "
            "prepare it again:  ferlib corpus prepare ckplus --source PATH"
        )
    if (faces.table["crop"] != "landmarks").any():
        raise DataError(f"{faces.corpus}: some faces were not cropped by landmarks; leave those out")
    points = []
    for image in faces.table["image"]:
        picture = Path(image)
        file = folder / Path(*picture.parts[1:]).with_name(f"{picture.stem}_landmarks.txt")
        points.append(aligned_points(np.loadtxt(file), size or faces.images.shape[1]))
    return np.stack(points)


def _landmark_folder(faces: FaceSet) -> Path:
    return Path(str(faces.manifest.get("source", ""))) / "Landmarks"


def landmark_faces(faces: FaceSet) -> Regions | None:
    """The last face of each sequence with the areas of the AUs that act in it, as :func:`region_faces` gives them.

    Returns None where no landmarks are at hand; faces that were not cropped by landmarks are left out.
    """
    if not _landmark_folder(faces).is_dir():
        return None
    last = np.sort(faces.table.groupby("sequence")["frame"].idxmax())
    shown = faces.select(last[(faces.table["crop"].iloc[last] == "landmarks").to_numpy()])
    aus = tuple(au for au in au_columns(shown.table) if au in AREAS)
    areas = landmark_regions(ckplus_landmarks(shown), aus, shown.images.shape[1])
    acts = au_present(shown.table, list(aus)) == 1
    return Regions(shown.images, areas & acts[:, :, None, None], aus)
