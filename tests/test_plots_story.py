"""The pictures of the first page show what was measured."""

import matplotlib as mpl

mpl.use("Agg")

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ferlib import plots
from ferlib.plots.common import ORANGE

PROFILE = pd.DataFrame(
    {"au": ["AU01", "AU12", "AU25"], "value": [0.4, 0.9, 0.6], "own": [False, True, False]}
)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_bars_start_at_chance_and_the_one_unit_is_named_and_coloured():
    ax = plots.unit_bars(PROFILE)
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert ends == [(0.5, pytest.approx(0.4)), (0.5, pytest.approx(0.6)), (0.5, pytest.approx(0.9))]
    own = [mpl.colors.to_hex(bar.get_facecolor()) == ORANGE for bar in ax.patches]
    assert own == [False, False, True]
    assert [text.get_text() for text in ax.texts] == ["AU 12"]


def test_every_map_of_every_layer_is_drawn_and_deeper_layers_stand_lower_and_smaller():
    rng = np.random.default_rng(0)
    ax = plots.map_stacks([rng.random((3, 8, 8)), rng.random((2, 4, 4))])
    extents = [image.get_extent() for image in ax.images]
    sides = [round(right - left, 3) for left, right, _, _ in extents]
    assert sides == [1.0] * 3 + [0.8] * 2
    assert max(top for _, _, _, top in extents[3:]) < min(bottom for _, _, bottom, _ in extents[:3])


def test_the_pictures_are_square_files_and_the_face_keeps_its_greys():
    face = np.full((48, 48), 130, np.uint8)
    made = plots.story_pictures(face, [np.ones((1, 4, 4))], np.zeros((48, 48, 3), np.uint8), PROFILE)
    read = {
        name: cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR) for name, file in made.items()
    }
    assert {name: picture.shape for name, picture in read.items()} == dict.fromkeys(
        ("face", "filter", "network", "units"), (336, 336, 3)
    )
    assert np.abs(read["face"].astype(int) - 130).max() <= 1
    assert read["filter"].max() == 0
