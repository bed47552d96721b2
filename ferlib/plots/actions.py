"""Figures of Action Units read from features, and of what leaks add to a number."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ferlib.plots.common import AMBER, BLUE, GREEN, INK, ORANGE, PINK, QUIET, SKY, WIDTH, styled
from ferlib.plots.common import plt as plt  # the style is theirs

__all__ = ["au_table", "leak_ladder", "source_ladder"]

SOURCE_COLOURS = {"emotion": BLUE, "names": AMBER, "untrained": QUIET, "hog": PINK, "au": GREEN,
                  "au same": SKY}  # fmt: skip
SOURCE_NAMES = {
    "emotion": "emotion features", "names": "emotion names alone", "untrained": "untrained network",
    "hog": "HOG", "au": "trained on AUs here", "au same": "trained on AUs, same faces",
}  # fmt: skip


@styled
def au_table(table: pd.DataFrame, reference: Mapping[str, float] | None = None) -> Axes:
    """How well each Action Unit is told: AUC with its interval, the best first, those of too few people last.

    table : index of AUs, columns ``auc auc_low auc_high positives people too_few``.
    reference : AU -> AUC that others reported, drawn as open diamonds.
    """
    table = table.sort_values(["too_few", "auc"], ascending=[True, False])
    _, ax = plt.subplots(figsize=(WIDTH, 1.5 + 0.3 * len(table)))
    y = np.arange(len(table))[::-1]
    colours = np.where(table["too_few"], QUIET, BLUE)
    ax.axvline(0.5, color=ORANGE, linestyle="--", linewidth=1.2, label="guessing")
    ax.hlines(y, table["auc_low"], table["auc_high"], color=colours, linewidth=2.5, alpha=0.55)
    enough = ~table["too_few"].to_numpy(bool)
    ax.plot(table["auc"][enough], y[enough], "o", color=BLUE, markersize=6.5, label=SOURCE_NAMES["emotion"])
    ax.plot(
        table["auc"][~enough], y[~enough], "o", color=QUIET, markersize=6, mfc="white", label="too few people"
    )
    if reference:
        others = pd.Series(reference).reindex(table.index)
        ax.plot(others, y, "D", color=INK, mfc="none", markersize=6, mew=1.1, label="reported, real CK+")
    ax.set(yticks=y, yticklabels=[f"AU {int(au[2:])}" for au in table.index], ylim=(-0.7, len(table) - 0.3),
           xlabel="area under the ROC curve, 95 % interval over people")  # fmt: skip
    for place, positives, people in zip(y, table["positives"], table["people"], strict=True):
        ax.text(1.01, place, f"{positives} ({people})", transform=ax.get_yaxis_transform(), va="center",
                fontsize=9, color=QUIET)  # fmt: skip
    ax.text(1.01, len(table) - 0.2, "faces\n(people)", transform=ax.get_yaxis_transform(), va="bottom",
            fontsize=9, color=QUIET)  # fmt: skip
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09 - 0.4 / len(table)), ncols=3, columnspacing=1.2)
    return ax


@styled
def source_ladder(summaries: Mapping[str, pd.DataFrame]) -> np.ndarray:
    """Mean AUC over Action Units of each source of features, with its interval; a line at guessing.

    summaries : title -> index of sources, columns ``value low high``; rows without an interval are left out.
    Returns (panels,) Axes.
    """
    most = max(table["low"].notna().sum() for table in summaries.values())
    size = (WIDTH, 1.5 + 0.5 * most)
    _, axes = plt.subplots(1, len(summaries), figsize=size, sharex=True, sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes[0], summaries.items(), strict=True):
        _one_ladder(ax, table[table["low"].notna()].astype({"low": float, "high": float}), title)
    axes[0, 0].legend(loc="lower right", fontsize=8)
    axes[0, 0].figure.supxlabel(
        "mean area under the ROC curve over AUs, 95 % interval over people", fontsize=10
    )
    return axes[0]


def _one_ladder(ax: Axes, shown: pd.DataFrame, title: str) -> None:
    y = np.arange(len(shown))[::-1]
    colours = [SOURCE_COLOURS.get(str(source), INK) for source in shown.index]
    ax.axvline(0.5, color=ORANGE, linestyle="--", linewidth=1.2, label="guessing")
    ax.hlines(y, shown["low"], shown["high"], color=colours, linewidth=3, alpha=0.55)
    ax.scatter(shown["value"].astype(float), y, color=colours, s=55, zorder=3)
    for place, value in zip(y, shown["value"], strict=True):
        ax.annotate(
            f"{value:.3f}", (value, place), (0, 8), textcoords="offset points", ha="center", fontsize=9
        )
    names = [SOURCE_NAMES.get(str(source), str(source)) for source in shown.index]
    ax.set(yticks=y, yticklabels=names, ylim=(-0.6, len(shown) - 0.3), title=title)
    ax.grid(axis="y", visible=False)


@styled
def leak_ladder(table: pd.DataFrame) -> np.ndarray:
    """What each leak buys: on the left from the clean number to the leaky one, on the right the difference.

    table : index of leaks, columns ``clean leaky value low high`` in [0, 1].  Returns (2,) Axes.
    """
    _, axes = plt.subplots(
        1, 2, figsize=(WIDTH, 1.3 + 0.62 * len(table)), sharey=True, gridspec_kw={"width_ratios": [1.15, 1]}
    )
    y = np.arange(len(table))[::-1]
    left, right = axes
    for place, clean, leaky in zip(y, table["clean"], table["leaky"], strict=True):
        left.annotate(
            "", (leaky, place), (clean, place), arrowprops={"arrowstyle": "-", "color": QUIET, "lw": 1.6}
        )
    left.plot(table["clean"], y, "o", color=BLUE, markersize=8, label="clean")
    left.plot(table["leaky"], y, "X", color=ORANGE, markersize=8, label="with the leak")
    names = [textwrap.fill(str(leak), 16) for leak in table.index]
    left.set(yticks=y, yticklabels=names, ylim=(-0.6, len(table) - 0.4), title="Accuracy")
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.axvline(0, color=INK, linewidth=1.2)
    sure = (table["low"].astype(float) > 0) | (table["high"].astype(float) < 0)
    colours = np.where(sure, ORANGE, QUIET)
    right.hlines(y, 100 * table["low"].astype(float), 100 * table["high"].astype(float), color=colours, linewidth=3,
                 alpha=0.6)  # fmt: skip
    right.scatter(100 * table["value"].astype(float), y, color=colours, s=50, zorder=3)
    for place, value in zip(y, table["value"], strict=True):
        words = f"{100 * value:+.1f}" if value else "0"
        right.annotate(
            words, (100 * value, place), (0, 8), textcoords="offset points", ha="center", fontsize=9.5
        )
    right.set(title="Points added", xlabel="percentage points, 95 % interval")
    for ax in axes:
        ax.grid(axis="y", visible=False)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, columnspacing=1, handletextpad=0.2)
    return axes
