"""Faces are found, turned upright by the eyes, and cropped without loss."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from ferlib import faces


def dots(points, height=100, width=120) -> np.ndarray:
    """Black, with a white 5 x 5 spot at each (x, y)."""
    image = np.zeros((height, width), np.uint8)
    for x, y in points:
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    return image


def brightest(image: np.ndarray, columns: slice) -> tuple[float, float]:
    """Centre of mass x, y of the part of ``image`` in ``columns``."""
    part = np.zeros_like(image, dtype=float)
    part[:, columns] = image[:, columns]
    ys, xs = np.indices(image.shape)
    return float((part * xs).sum() / part.sum()), float((part * ys).sum() / part.sum())


@pytest.mark.parametrize(
    "eyes", [((40, 40), (80, 40)), ((40, 40), (70, 60)), ((30, 60), (95, 30)), ((50, 50), (62, 50))]
)
def test_the_eyes_come_to_lie_at_the_same_places(eyes):
    crop = faces.crop_aligned(dots(eyes), np.array(eyes, float))
    assert crop.shape == (96, 96)
    for (x, y), columns in zip(faces.EYES_AT, (slice(0, 48), slice(48, 96)), strict=True):
        found = brightest(crop, columns)
        assert found == pytest.approx((x * 96, y * 96), abs=1.0)


@pytest.mark.parametrize(
    "eyes",
    [[[5, 5], [5, 5]], [[np.nan, 1], [20, 3]], [[-1, 5], [20, 5]], [[5, 5], [1e9, 5]], [[5, 5], [20, 101]]],
)
def test_eyes_that_coincide_or_lie_outside_the_picture_are_refused(eyes):
    with pytest.raises(ValueError, match="do not fit into 120 x 100 pixels"):
        faces.crop_aligned(dots([(5, 5)]), np.array(eyes, float))


def test_eye_centres_are_means_of_six_landmarks():
    points = np.zeros((68, 2))
    points[36:42, 0], points[42:48, 0] = np.arange(6), 10 + np.arange(6)
    assert faces.eye_centres(points).tolist() == [[2.5, 0], [12.5, 0]]


def test_a_box_beyond_the_image_continues_its_border():
    image = np.tile(np.arange(10, dtype=np.uint8) * 20, (10, 1))
    crop = faces.crop_box(image, (-5, 0, 20, 20), size=20)
    assert crop.shape == (20, 20)
    assert (crop[:, :5] == 0).all()
    assert (crop[:, 15:] == 180).all()
    assert faces.whole_box(np.zeros((34, 28))) == (-3, 0, 34, 34)
    assert faces.centre_box(np.zeros((48, 64))) == (8, 0, 48, 48)


def test_the_cascade_finds_drawn_faces_and_none_in_noise():
    sample = Path(__file__).parent / "data" / "fer2013" / "fer2013.csv.gz"
    lines = gzip.decompress(sample.read_bytes()).decode().splitlines()[1:]
    found = 0
    for line in lines:
        face = np.array(line.split(",")[1].split(), np.uint8).reshape(48, 48)
        scene = np.full((240, 240), 128, np.uint8)
        scene[50:194, 40:184] = faces.crop_box(face, (0, 0, 48, 48), 144)
        box = faces.find_face(scene)
        if box is not None:
            x, y, w, h = box
            assert 40 < x + w / 2 < 184
            assert 50 < y + h / 2 < 194
            found += 1
    assert found >= 5  # wild poses and light; a cascade for frontal faces
    noise = np.random.default_rng(0).integers(0, 256, (240, 240), dtype=np.uint8)
    assert faces.find_face(noise) is None
