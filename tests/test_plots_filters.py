"""The figures of the chapter on filters show the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from ferlib import plots
from ferlib.au_stats import VERDICTS
from ferlib.plots import filters as drawn


@pytest.fixture(autouse=True)
def _closed():
    yield
    plots.plt.close("all")


def verdict_table():
    return pd.DataFrame(
        {
            "au": ["AU01", "AU04", "AU12", "AU25"],
            "verdict": VERDICTS,
            "effect_within": [0.9, 0.6, 0.5, np.nan],
            "low": [0.8, 0.5, 0.4, np.nan],
            "high": [0.95, 0.7, 0.6, np.nan],
            "q_within": [0.001, 0.2, 0.9, np.nan],
            "n_minority": [40, 40, 40, 3],
        }
    )


def test_every_verdict_has_a_mark_and_a_colour_of_its_own():
    assert set(drawn.VERDICT_MARKS) == set(VERDICTS)
    assert len({mark for mark, _ in drawn.VERDICT_MARKS.values()}) == 4


def test_a_verdict_is_told_by_shape_with_its_q_and_its_people():
    ax = plots.au_verdicts(verdict_table())
    points = {line.get_label(): line for line in ax.lines if "(" in str(line.get_label())}
    assert list(points) == [f"{name} (1)" for name in VERDICTS]
    assert points["found beyond emotion (1)"].get_xdata().tolist() == [0.9]
    assert [text.get_text() for text in ax.texts] == [
        "q 0.001, 40 people", "q 0.200, 40 people", "q 0.900, 40 people", "no q, 3 people"
    ]  # fmt: skip


def test_chance_counts_are_shares_of_permutations_and_the_line_is_what_was_found():
    counts = pd.DataFrame({"null": ["free"] * 4, "matched": [0, 0, 1, 3]})
    (ax,) = plots.chance_counts(counts, observed=5)
    heights = {round(bar.get_x() + 0.5): bar.get_height() for bar in ax.patches}
    assert (heights[0], heights[1], heights[2], heights[3]) == (0.5, 0.25, 0, 0.25)
    assert ax.lines[0].get_xdata()[0] == 5


def test_controls_are_strips_in_their_order_with_found_aus_full():
    table = pd.DataFrame(
        {
            "network": ["trained"] * 2 + ["untrained"] * 2,
            "au": ["AU01", "AU12"] * 2,
            "effect": [0.6, 0.8, 0.5, 0.55],
            "verdict": ["not found", "found beyond emotion", "not found", "not found"],
        }
    )
    ax = plots.association_strips(table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["trained", "untrained"]
    full = ax.collections[0].get_offsets()
    assert full[:, 0].tolist() == [0.8]
    assert [text.get_text() for text in ax.texts] == ["AU 12", "AU 12"]


def test_recovery_has_a_panel_a_kind_and_a_line_a_statistic():
    rows = [
        {"statistic": test, "kind": kind, "snr": snr, "share": 0.1, "low": 0, "high": 1}
        for test in ("a", "b") for kind in ("one AU", "nothing") for snr in (0.5, 2.0)
    ]  # fmt: skip
    axes = plots.recovery_panels(pd.DataFrame(rows))
    assert [ax.get_title(loc="left") for ax in axes.flat[:2]] == ["one AU (find it)", "nothing"]
    assert [len(ax.lines) for ax in axes.flat[:2]] == [2, 2]


def test_a_tuning_panel_lifts_its_own_unit_out_of_the_others():
    rows = [
        {"panel": "AU 12: x:4", "au": au, "level": level, "rise": level, "low": 0, "high": 6, "own": au == "AU12"}
        for au in ("AU01", "AU12", "AU25") for level in range(6)
    ]  # fmt: skip
    ax = plots.tuning_panels(pd.DataFrame(rows)).flat[0]
    assert [line.get_linewidth() > 2 for line in ax.lines] == [False, False, True]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["rest", "A", "B", "C", "D", "E"]


def test_ablation_names_the_unit_its_filters_and_the_emotion():
    row = {"au": "AU12", "emotion": "happiness", "n_filters": 5, "lost": 0.3, "low": 0.2, "high": 0.4,
           "random_low": 0.0, "random_high": 0.1}  # fmt: skip
    ax = plots.ablation_bars(pd.DataFrame([row]))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["AU 12 (5): happiness"]
    assert ax.patches[0].get_width() == pytest.approx(0.1)
