"""Figures of the chapter on micro-expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from ferlib.plots.common import BLUE, CYCLE, ORANGE, QUIET, WIDTH, _axes, styled

FROM_BLUE_TO_ORANGE = LinearSegmentedColormap.from_list("change", [BLUE, "white", ORANGE])
CHANGE = 40
"""Grey levels of change that are shown in full colour."""


@styled
def strip(frames: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """A clip as a row of frames, and under each what changed since the first.

    frames : (T, H, W) uint8.  captions : T texts.  Returns (2, T) Axes; orange is lighter than at first, blue darker.
    """
    n = len(frames)
    _, axes = plt.subplots(2, n, figsize=(WIDTH, 2 * WIDTH / n + 0.45), squeeze=False)
    change = frames.astype(np.float32) - frames[0]
    for t in range(n):
        axes[0, t].imshow(frames[t], cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
        axes[0, t].set_title(captions[t], fontsize=8, fontweight="normal", loc="center", pad=3)
        axes[1, t].imshow(
            change[t], cmap=FROM_BLUE_TO_ORANGE, vmin=-CHANGE, vmax=CHANGE, interpolation="bilinear"
        )
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0, 0].set_ylabel("frame", fontsize=9)
    axes[1, 0].set_ylabel("change", fontsize=9)
    return axes


@styled
def methods(tables: Mapping[str, pd.DataFrame], reference: Mapping[str, float]) -> np.ndarray:
    """Several measures of several methods, one panel a measure, methods down.

    tables : measure -> index of methods, columns ``value low high``.  reference : measure -> value of a dashed line.
    Returns one Axes a measure.
    """
    rows = len(next(iter(tables.values())))
    _, axes = plt.subplots(1, len(tables), figsize=(WIDTH, 0.9 + 0.4 * rows), sharey=True, squeeze=False)
    for ax, (measure, table) in zip(axes[0], tables.items(), strict=True):
        y = np.arange(rows)[::-1]
        ax.hlines(y, table["low"], table["high"], color=BLUE, linewidth=2.5, alpha=0.5)
        ax.plot(table["value"], y, "o", color=BLUE, markersize=6)
        for place, value in zip(y, table["value"], strict=True):
            ax.annotate(
                f"{100 * value:.0f}",
                (value, place),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
            )
        if measure in reference:
            ax.axvline(reference[measure], color=ORANGE, linestyle="--", linewidth=1.2)
        ax.set(yticks=y, yticklabels=list(table.index), ylim=(-0.6, rows - 0.3), title=measure, xlim=(0, 1),
               xticks=[0.2, 0.5, 0.8])  # fmt: skip
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.grid(axis="y", visible=False)
    return axes[0]


@styled
def dependence(tables: Mapping[str, pd.DataFrame], chance: float, ncols: int = 2) -> np.ndarray:
    """Accuracy against one thing at a time, a panel each.

    tables : title -> columns ``value low high`` and first the thing itself, whose name labels the axis.
    Returns (rows, ncols) Axes.
    """
    rows = -(-len(tables) // ncols)
    _, axes = plt.subplots(rows, ncols, figsize=(WIDTH, 2.4 * rows + 0.3), sharey=True, squeeze=False)
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=False):
        name = table.columns[0]
        ax.vlines(table[name], table["low"], table["high"], color=BLUE, linewidth=2.5, alpha=0.4)
        ax.plot(table[name], table["value"], "o-", color=BLUE, markersize=4.5)
        ax.axhline(chance, color=ORANGE, linestyle="--", linewidth=1.2, label="commonest class")
        ax.set(title=title, xlabel=name, ylim=(0, 1))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    axes[0, 0].legend(loc="upper left", fontsize=8.5)
    return axes


@styled
def over_time(
    curves: Mapping[str, np.ndarray], apex: float, ax: Axes | None = None, ylabel: str = ""
) -> Axes:
    """Curves over a clip: name -> (T,), from onset to offset; a line at the mean apex, a fraction in [0, 1]."""
    ax = _axes(ax, 2.8)
    for (name, curve), colour in zip(curves.items(), CYCLE, strict=False):
        ax.plot(np.linspace(0, 1, len(curve)), curve, color=colour, label=name)
    ax.axvline(apex, color=QUIET, linestyle=":", linewidth=1.4)
    ax.annotate(
        "mean apex",
        (apex, 1),
        (3, -9),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=8.5,
        color=QUIET,
    )
    ax.axhline(0, color=QUIET, linewidth=0.8)
    ax.set(xlabel="time, as a fraction of the clip", ylabel=ylabel)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="best", fontsize=8.5)
    return ax


@styled
def spotted(
    movement: np.ndarray,
    fps: float,
    truth: tuple[int, int],
    found: Sequence[tuple[int, int]],
    ax: Axes | None = None,
) -> Axes:
    """A long film's curve of movement (T,), with the true interval above and the spotted ones below."""
    ax = _axes(ax, 2.2)
    t = np.arange(len(movement)) / fps
    ax.plot(t, movement, color=BLUE, linewidth=1.4)
    top = float(movement.max()) or 1.0
    ax.hlines(1.18 * top, truth[0] / fps, truth[1] / fps, color=ORANGE, linewidth=5, label="true")
    ax.hlines([], 0, 0, color=BLUE, linewidth=5, label="spotted")
    for start, end in found:
        ax.hlines(1.06 * top, start / fps, end / fps, color=BLUE, linewidth=5)
    ax.set(xlabel="seconds", ylabel="movement\n(grey levels)", ylim=(0, 1.3 * top), xlim=(0, t[-1]))
    ax.legend(loc="upper right", ncols=2, fontsize=8.5, bbox_to_anchor=(1, 1.22))
    return ax
