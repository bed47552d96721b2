"""What the writers ask of the rig: a take keeps its person, light and camera; sides and drift come out right."""

import hashlib

import numpy as np
import pytest

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic.native import probe
from ferlib.synthetic.native.plan import Camera, Size, peak_of
from ferlib.synthetic.native.shots import Shots, draw_with_rig
from ferlib.synthetic.native.tree import write_tree


def shots(take, levels=None, drift=None, px=48):
    n = len(take)
    return Shots(
        corpus="casme2", camera=Camera("lab"), seed=0, px=px, take=np.array(take), number=np.arange(n),
        person=np.zeros(n, int),
        levels=np.zeros((n, len(DRAWN_AUS), 2), np.float32) if levels is None else np.array(levels, np.float32),
        drift=np.zeros((n, 3), np.float32) if drift is None else np.array(drift, np.float32),
    )  # fmt: skip


def test_frames_of_a_take_share_person_light_and_camera_and_other_takes_do_not():
    images = draw_with_rig(shots([5, 5, 6])).images
    assert images.shape == (3, 48, 48, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], images[1])
    assert np.abs(images[0].astype(int) - images[2]).mean() > 2


def test_the_head_turns_by_its_drift():
    pose = draw_with_rig(shots([5, 5], drift=[(0, 0, 0), (4, -3, 2)])).pose
    np.testing.assert_allclose(pose[1] - pose[0], (4, -3, 2), atol=1e-4)


@pytest.mark.parametrize(("side", "corner"), [("L", 54), ("R", 48)])
def test_a_smile_coded_on_one_side_lifts_that_corner_of_the_mouth(side, corner):
    """The person's left corner of the mouth is landmark 54 (from 0), to the right in the picture."""
    smile = peak_of({(12, side): 5.0})
    points = draw_with_rig(shots([5, 5], levels=[0 * smile, smile], px=96)).landmarks
    risen = points[0, :, 1] - points[1, :, 1]
    other = 48 if corner == 54 else 54
    assert points[0, 54, 0] > points[0, 48, 0]
    assert risen[corner] > 1
    assert risen[corner] > 3 * abs(risen[other])


def test_drawn_faces_do_not_depend_on_the_number_of_workers(tmp_path):
    plan = probe.plan(Size(subjects=2, takes=40, face_px=48))
    digests = []
    for workers in (1, 2):
        tree = write_tree(tmp_path / str(workers), plan, probe.write_labels, workers)
        files = sorted(file for file in tree.rglob("*") if file.is_file())
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert len(digests[0]) == 43
    assert digests[0] == digests[1]
