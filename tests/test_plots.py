"""Figures show the numbers of the tables that they are given."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ferlib import plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def estimates(**values):
    rows = {name: {"value": v, "low": v - 0.1, "high": v + 0.1, "n": 40} for name, v in values.items()}
    return pd.DataFrame(rows).T


def test_learning_curves_show_each_seed_and_their_mean():
    epochs = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "val_loss": [2.0, 1.5],
                           "train_accuracy": [0.2, 0.6], "val_accuracy": [0.2, 0.5]})  # fmt: skip
    history = pd.concat([epochs.assign(seed=0), epochs.assign(seed=1, train_loss=[4.0, 3.0])])
    loss, accuracy = plots.learning_curves(history)
    drawn = [line.get_ydata().tolist() for line in loss.get_lines()]
    assert drawn[:3] == [[2.0, 1.0], [4.0, 3.0], [3.0, 2.0]]
    assert loss.get_lines()[0].get_xdata().tolist() == [1, 2]  # epochs count from 1
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["training", "validation"]


def test_a_confusion_row_shows_its_shares_and_its_count():
    names = pd.Index(["anger", "fear"])
    ax = plots.confusion(pd.DataFrame([[3, 1], [0, 0]], index=names, columns=names))
    assert [text.get_text() for text in ax.texts] == ["75", "25", "0", "0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["anger (4)", "fear (0)"]


def test_recall_bars_have_the_length_of_the_recall():
    ax = plots.recall_bars(estimates(happiness=0.9, fear=0.3), chance=0.5)
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.3]
    assert ax.get_legend().get_texts()[0].get_text() == "guessing 50.0 %"


def test_intervals_stand_from_the_top_with_their_references():
    ax = plots.intervals(estimates(first=0.9, second=0.3), reference={"chance": 0.25})
    points = ax.get_lines()[0]
    assert points.get_xdata().tolist() == [0.9, 0.3]
    assert points.get_ydata().tolist() == [1, 0]
    assert ax.get_legend().get_texts()[0].get_text() == "chance 25.0 %"


def test_reliability_puts_confidence_across_and_accuracy_up():
    bins = pd.DataFrame({"confidence": [0.3, 0.8], "accuracy": [0.2, 0.7], "n": [5, 10]})
    ax = plots.reliability(bins.assign(low=bins["accuracy"] - 0.1, high=bins["accuracy"] + 0.1))
    assert ax.collections[-1].get_offsets().tolist() == [[0.3, 0.2], [0.8, 0.7]]


def test_a_face_sheet_frames_right_and_wrong_differently():
    faces = np.zeros((3, 8, 8), np.uint8)
    axes = plots.face_sheet(faces, ["a", "b", "c"], [True, False, True], columns=2)
    assert axes.shape == (2, 2)
    frames = [ax.patches[0].get_linestyle() for ax in axes.flat if ax.patches]
    assert frames == ["-", "--", "-"]
    assert [ax.get_title() for ax in axes.flat] == ["a", "b", "c", ""]


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(mpl.rcParams)
    plots.recall_bars(estimates(fear=0.3), chance=0.5)
    assert dict(mpl.rcParams) == before


def test_the_colours_differ_in_lightness_or_hue_for_every_kind_of_colour_vision():
    # Machado et al. 2009, severity 1: red-blind, green-blind, blue-blind; distances in linear RGB
    views = {
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }  # fmt: skip
    used = np.array([mpl.colors.to_rgb(colour) for colour in (plots.BLUE, plots.ORANGE, plots.GREEN)]) ** 2.2
    for matrix in views.values():
        seen = used @ np.array(matrix).T
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert distance[np.triu_indices(3, 1)].min() > 0.1


def test_rows_of_faces_carry_the_name_of_their_row_and_wrap_long_captions():
    face = np.zeros((8, 8), np.uint8)
    axes = plots.face_rows({"one": [(face, "fear")], "two": [(face, "AU 1 + 2 + 5 + 26"), (face, "joy")]})
    assert axes.shape == (2, 2)
    assert [axes[row, 0].texts[0].get_text() for row in range(2)] == ["one", "two"]
    assert "\n" in axes[1, 0].get_title(loc="center")


def test_tables_of_rates_stand_side_by_side_with_their_difference():
    real = pd.DataFrame({"AU01": [0.5], "AU12": [1.0]}, index=["happiness"])
    axes = plots.rate_tables(real, real - 0.25)
    assert [ax.get_title(loc="left") for ax in axes] == ["photographed", "drawn", "drawn − photographed"]
    assert axes[2].collections[0].get_array().ravel().tolist() == [-0.25, -0.25]
    assert axes[2].collections[0].get_clim() == (-1, 1)


def test_maps_of_change_are_shown_on_one_scale_and_on_their_own():
    maps = {"light": np.full((8, 8), 40.0), "expression": np.full((8, 8), 10.0)}
    axes = plots.change_maps(maps, np.random.default_rng(0).random((8, 8)))
    limits = [[ax.images[0].get_clim()[1] for ax in row] for row in axes]
    assert limits == [[40, 40], [40, 10]]


def test_a_crowd_is_told_in_per_cent_of_each_corpus():
    people = pd.DataFrame({"corpus": ["a", "a", "b"], "age": [22, 35, 28], "monk_tone": [1, 10, 5]})
    axes = plots.crowd(people)
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["a (2)", "b (1)"]
    assert [t.get_text() for t in axes[0].texts] == ["50", "50", "100", "0"]
