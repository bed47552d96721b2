"""Make the pictures of one corpus like another's in one respect: grey levels, or how the face is cropped."""

from __future__ import annotations

import numpy as np

from ferlib.config import check_name

ZOOMS = np.geomspace(0.75, 1.35, 13)
REACH = 0.15
"""How far a crop is moved in search, as a share of the side."""
KINDS: dict[str, str] = {
    "mean and deviation": "every face gets the mean and deviation of the reference's grey levels",
    "histogram": "every face gets the reference's whole distribution of grey levels",
    "crop": "one zoom and one shift for all, so that the mean face lies on the reference's",
}


def matched(images: np.ndarray, reference: np.ndarray, how: str) -> np.ndarray:
    """(N, H, W) uint8, ``images`` made like ``reference`` (M, H, W) in the way ``how`` of ``KINDS``."""
    check_name("way of matching", how, KINDS)
    if how == "mean and deviation":
        return _with_moments(images, float(reference.mean()), float(reference.std(axis=(1, 2)).mean()))
    if how == "histogram":
        return _with_histogram(images, np.bincount(reference.ravel(), minlength=256))
    zoom, down, right = crop_between(images, reference)
    return moved(images, zoom, down, right)


def _with_moments(images: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    own = images.mean(axis=(1, 2), keepdims=True)
    spread = np.maximum(images.std(axis=(1, 2), keepdims=True), 1e-6)
    return np.clip(np.rint((images - own) / spread * deviation + mean), 0, 255).astype(np.uint8)


def _with_histogram(images: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Map each face's grey levels by its own distribution function onto that of ``counts`` (256,)."""
    wanted = (counts.cumsum() - counts / 2) / counts.sum()
    out = np.empty_like(images)
    for image, made in zip(images, out, strict=True):
        own = np.bincount(image.ravel(), minlength=256)
        rank = (own.cumsum() - own / 2) / own.sum()
        made[:] = np.rint(np.interp(rank, wanted, np.arange(256))).astype(np.uint8)[image]
    return out


def crop_between(images: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """The zoom, and the shift down and right in pixels, that lay the mean of ``images`` best on ``reference``'s.

    Best: the highest correlation of the two mean faces over the middle of the picture.
    """
    ours, theirs = images.mean(axis=0, dtype=np.float64), reference.mean(axis=0, dtype=np.float64)
    side = len(ours)
    margin, reach = side // 8, max(1, round(REACH * side))
    inside = (slice(margin, side - margin),) * 2
    wanted = _standard(theirs[inside])
    best = (-2.0, 1.0, 0.0, 0.0)
    for zoom in ZOOMS:
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                moved_mean = moved(ours[None], float(zoom), down, right)[0]
                score = float((_standard(moved_mean[inside]) * wanted).mean())
                best = max(best, (score, float(zoom), float(down), float(right)))
    return best[1:]


def _standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / max(float(x.std()), 1e-9)


def moved(images: np.ndarray, zoom: float, down: float, right: float) -> np.ndarray:
    """(N, H, W) enlarged by ``zoom`` about the middle and shifted, in pixels; edges are continued."""
    import cv2

    centre = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
    matrix = np.array([[zoom, 0, centre[0] * (1 - zoom) + right], [0, zoom, centre[1] * (1 - zoom) + down]])
    size = (images.shape[2], images.shape[1])
    return np.stack([cv2.warpAffine(i, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                     for i in images])  # fmt: skip
