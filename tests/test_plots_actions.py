"""Figures of Action Units and leaks show the numbers of the tables that they are given."""

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from ferlib import plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def au_table():
    rows = {"AU01": (0.9, 0.8, 0.95, 40, 20, False), "AU12": (0.7, 0.6, 0.8, 30, 15, False),
            "AU18": (0.99, 0.5, 1.0, 2, 1, True)}  # fmt: skip
    columns = ["auc", "auc_low", "auc_high", "positives", "people", "too_few"]
    return pd.DataFrame(rows, index=columns).T


def test_the_best_au_stands_first_and_one_of_too_few_people_last_and_hollow():
    ax = plots.au_table(au_table())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["AU 1", "AU 12", "AU 18"]
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines["emotion features"].get_xdata()) == [0.9, 0.7]
    assert list(lines["too few people"].get_xdata()) == [0.99]
    assert lines["too few people"].get_markerfacecolor() == "white"
    assert [text.get_text() for text in ax.texts][:3] == ["40 (20)", "30 (15)", "2 (1)"]


def test_what_others_reported_stands_beside():
    ax = plots.au_table(au_table(), {"AU12": 0.96})
    lines = {line.get_label(): line for line in ax.get_lines()}
    reported = pd.Series(lines["reported, real CK+"].get_xdata())
    assert reported.isna().tolist() == [True, False, True]


def test_a_source_without_interval_is_left_out_of_the_ladder():
    summary = pd.DataFrame(
        {"value": [0.8, 0.5], "low": [0.7, None], "high": [0.9, None]}, index=["emotion", "always absent"]
    )
    axes = plots.source_ladder({"here": summary, "there": summary})
    assert [ax.get_title("left") for ax in axes] == ["here", "there"]
    ax = axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["emotion features"]
    assert ax.collections[-1].get_offsets().tolist() == [[0.8, 0]]


def test_a_leak_that_adds_nothing_is_grey_at_zero():
    table = pd.DataFrame({"clean": [0.5, 0.5], "leaky": [0.7, 0.5], "value": [0.2, 0.0], "low": [0.1, -0.02],
                          "high": [0.3, 0.02]}, index=["folds by image", "epoch on test"])  # fmt: skip
    _, right = plots.leak_ladder(table)
    points = right.collections[-1]
    assert points.get_offsets()[:, 0].tolist() == pytest.approx([20, 0])
    first, second = (mpl.colors.to_hex(colour) for colour in points.get_facecolors())
    assert (first, second) == (plots.ORANGE, plots.QUIET)
    assert [text.get_text() for text in right.texts] == ["+20.0", "0"]
