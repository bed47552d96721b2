"""Regions: exact ones from the rig, and stand-ins built from landmarks."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_faces import tiny_faces

from ferlib import filters
from ferlib.config import DataError, UsageError
from ferlib.faces import crop_aligned, eye_centres
from ferlib.labels import DRAWN_AUS

APART = ("AU04", "AU09", "AU17", "AU27")
"""AUs of brow, nose, chin and jaw: each has an area of its own."""


@pytest.fixture(scope="module")
def drawn():
    """Faces on which AU ``APART[i]`` alone acts, with landmarks and exact masks."""
    import torch

    from ferlib import devices
    from ferlib.synthetic import camera, people, render

    numbers = [DRAWN_AUS.index(au) for au in APART]
    levels = torch.zeros(len(APART), len(DRAWN_AUS), 2)
    levels[np.arange(len(APART)), numbers] = 4
    seeds = people.seeds_of("landmarks", 0, np.arange(len(APART)))
    crowd = people.draw_people("landmarks", 0, np.arange(len(APART)))
    with devices.settled(1):
        made = render.draw_faces(crowd, levels, camera.draw_scenes(seeds, "studio"), 48, truth=True)
    return made.landmarks.numpy(), made.masks[np.arange(len(APART)), numbers].numpy()


def test_the_area_of_an_au_overlaps_what_it_moved_more_than_any_other_area(drawn):
    points, exact = drawn
    areas = filters.landmark_regions(points, APART, 48)
    both = (areas & exact[:, None]).sum(axis=(2, 3))
    overlap = both / (areas | exact[:, None]).sum(axis=(2, 3))
    assert overlap.argmax(axis=1).tolist() == list(range(len(APART)))
    assert (np.diagonal(overlap) > 0.2).all()


def test_an_au_without_an_area_is_refused(drawn):
    with pytest.raises(UsageError, match="No Action Unit with an area 'AU45'"):
        filters.landmark_regions(drawn[0], ("AU45",), 48)


def test_every_tuned_au_has_an_area():
    assert set(filters.AREAS) == set(filters.TUNED_AUS)


def test_landmarks_go_where_the_aligned_crop_takes_their_pixels(drawn):
    points = drawn[0][0] * 4  # a picture of 192 px
    points = points + 3 * np.sin(np.arange(2) + points / 40)  # leaning a little
    picture = np.zeros((200, 220), np.uint8)
    column, row = np.round(points[30]).astype(int)
    picture[row - 2 : row + 3, column - 2 : column + 3] = 255
    crop = crop_aligned(picture, eye_centres(points), 96).astype(float)
    rows, columns = np.indices(crop.shape)
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    np.testing.assert_allclose(filters.aligned_points(points, 96)[30], found, atol=1)


def test_landmarks_of_ckplus_are_read_from_where_it_was_prepared(tmp_path, drawn):
    faces, points = tiny_faces(2), drawn[0][0]
    table = faces.table.assign(
        crop="landmarks",
        image=[f"cohn-kanade-images/S005/001/S005_001_0000000{i}.png" for i in (1, 2)],
    )
    faces = replace(faces, table=table, manifest={"source": str(tmp_path)})
    with pytest.raises(DataError, match="has no landmarks"):
        filters.ckplus_landmarks(faces)
    folder = tmp_path / "Landmarks" / "S005" / "001"
    folder.mkdir(parents=True)
    for i in (1, 2):
        np.savetxt(folder / f"S005_001_0000000{i}_landmarks.txt", points + i)
    found = filters.ckplus_landmarks(faces, size=48)
    np.testing.assert_allclose(found, [filters.aligned_points(points, 48)] * 2, atol=1e-4)
    haar = replace(faces, table=table.assign(crop=["landmarks", "haar"]))
    with pytest.raises(DataError, match="not cropped by landmarks"):
        filters.ckplus_landmarks(haar)


def test_the_last_face_of_a_sequence_has_the_areas_of_the_aus_that_act_in_it(tmp_path, drawn):
    faces, points = tiny_faces(4), drawn[0][0]
    codes = {"AU09": [0.0, 0.0, 3.0, 6.0], "AU27": [0.0, 0.0, 0.0, 1.0], "AU45": [1.0] * 4}
    table = faces.table.assign(
        **codes, sequence=["a", "a", "a", "b"], frame=[1, 9, 10, 4], crop="landmarks",
        image=[f"cohn-kanade-images/S005/001/S005_001_0000000{i}.png" for i in range(4)],
    )  # fmt: skip
    faces = replace(faces, table=table, manifest={"source": str(tmp_path)})
    assert filters.landmark_faces(faces) is None
    folder = tmp_path / "Landmarks" / "S005" / "001"
    folder.mkdir(parents=True)
    for i in (2, 3):
        np.savetxt(folder / f"S005_001_0000000{i}_landmarks.txt", points)
    found = filters.landmark_faces(faces)
    assert found.aus == ("AU09", "AU27")  # a blink has no area of its own
    assert np.array_equal(found.images, faces.images[[2, 3]])
    size = faces.images.shape[1]
    areas = filters.landmark_regions(filters.aligned_points(points, size)[None], found.aus, size)[0]
    assert np.array_equal(found.masks[1], areas)
    assert np.array_equal(found.masks[0], areas & np.array([True, False])[:, None, None])


def test_exact_regions_are_empty_where_an_au_does_not_act_and_are_drawn_once(tmp_path, monkeypatch):
    from ferlib.synthetic.native.probe import independent_levels

    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    plan = filters.RegionPlan(n=4, size=24)
    found = filters.region_faces(plan)
    assert found.masks.shape == (4, len(filters.TUNED_AUS), 24, 24)
    acting = independent_levels(4, np.random.default_rng(0))[:, [DRAWN_AUS.index(au) for au in found.aus]] > 0
    assert not found.masks[~acting].any()
    assert found.masks[acting].any(axis=(1, 2)).mean() > 0.7  # some AUs are hidden by others, or fine lines
    monkeypatch.setattr("ferlib.synthetic.render.draw_faces", None)
    assert np.array_equal(filters.region_faces(plan).masks, found.masks)
