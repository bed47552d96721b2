"""Figures: each takes a table that was computed elsewhere, draws it, and returns its Axes.

Colours are those of Okabe and Ito (2008), which people with any kind of colour vision can tell apart;
nothing is said by colour alone.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

INK, QUIET, PAPER = "#22272e", "#6b7480", "#ffffff"
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)

STYLE: dict[str, Any] = {
    "figure.dpi": 160, "figure.facecolor": PAPER, "figure.constrained_layout.use": True,
    "axes.facecolor": PAPER, "axes.edgecolor": QUIET, "axes.linewidth": 0.8, "axes.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.titlesize": 11,
    "axes.titleweight": "bold", "axes.titlepad": 10, "axes.labelsize": 10, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#e4e7eb", "grid.linewidth": 0.8, "text.color": INK,
    "font.size": 10,
    "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.major.size": 0, "ytick.major.size": 0, "legend.frameon": False, "lines.linewidth": 2,
}  # fmt: skip
WIDTH = 6.6
"""Width of a figure in inches: at 10 points its text can be read on a telephone too."""

# In a notebook, the first figure loads the backend that shows it.  Were that figure made inside rc_context, the
# backend's own settings would be undone at once, and no figure would be shown.
plt.switch_backend(plt.get_backend())

KEEPERS: list[Callable[[dict[str, Any]], None]] = []
"""Called with what each figure was drawn from, by the names of its parameters; an open chapter is one."""

Drawing = TypeVar("Drawing", bound=Callable[..., Any])


def styled(draw: Drawing) -> Drawing:
    """``draw`` in the style of the book, leaving matplotlib's own settings alone."""

    @functools.wraps(draw)
    def inside(*args: Any, **options: Any) -> Any:
        with plt.rc_context(STYLE):  # type: ignore[arg-type]
            drawn = draw(*args, **options)
        for keep in KEEPERS:
            keep(inspect.signature(draw).bind(*args, **options).arguments)
        return drawn

    return inside  # type: ignore[return-value]


def _axes(ax: Axes | None, height: float) -> Axes:
    return ax if ax is not None else plt.subplots(figsize=(WIDTH, height))[1]


@styled
def learning_curves(history: pd.DataFrame) -> np.ndarray:
    """Loss and accuracy over the epochs, train and validation, one thin line a seed.

    history : columns ``seed epoch`` (from 0) ``train_loss val_loss train_accuracy val_accuracy``.  Returns (2,) Axes.
    """
    _, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.0))
    for ax, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for part, colour, dash in (("train", BLUE, "--"), ("val", ORANGE, "-")):
            column = f"{part}_{measure}"
            for _, one in history.groupby("seed"):
                ax.plot(one["epoch"] + 1, one[column], dash, color=colour, linewidth=1, alpha=0.45)
            mean = history.groupby("epoch")[column].mean()
            ax.plot(
                mean.index + 1,
                mean,
                dash,
                color=colour,
                label={"train": "training", "val": "validation"}[part],
            )
        ax.set(title=measure.capitalize(), xlabel="epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[1].legend(loc="lower right")
    return axes


@styled
def confusion(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How often each true class (row) was given each name (column), as shares of the row.

    counts : (C, C) int table, true classes down, predicted across.
    """
    share = counts.div(counts.sum(axis=1).replace(0, 1), axis=0)
    ax = _axes(ax, 5.2)
    words = share.map(lambda s: f"{100 * s:.0f}")
    sns.heatmap(share, annot=words, fmt="", cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, ax=ax,
                linewidths=1.5, linecolor=PAPER, annot_kws={"fontsize": 10})  # fmt: skip
    ax.set(xlabel="named by the network", ylabel="true emotion", title="Per cent of each true emotion")
    ax.set_yticklabels([f"{name} ({n:,})" for name, n in counts.sum(axis=1).items()], rotation=0)
    ax.tick_params(axis="x", rotation=40)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax


@styled
def intervals(
    table: pd.DataFrame, ax: Axes | None = None, reference: dict[str, float] | None = None, title: str = ""
) -> Axes:
    """Estimates as points with their intervals, one a row, from the top.

    table : index of labels, columns ``value low high`` in [0, 1] (``low high`` NaN where there is none).
    reference : name -> value of vertical lines, such as chance.
    """
    ax = _axes(ax, 0.9 + 0.36 * len(table))
    y = np.arange(len(table))[::-1]
    ax.hlines(y, table["low"], table["high"], color=BLUE, linewidth=2.5, alpha=0.55)
    ax.plot(table["value"], y, "o", color=BLUE, markersize=7)
    for place, value in zip(y, table["value"], strict=True):
        ax.annotate(
            f"{100 * value:.1f}", (value, place), (0, 7), textcoords="offset points", ha="center", fontsize=9
        )
    for (name, value), colour in zip((reference or {}).items(), (QUIET, ORANGE, GREEN), strict=False):
        ax.axvline(value, color=colour, linestyle="--", linewidth=1.2, label=f"{name} {100 * value:.1f} %")
    ax.set(yticks=y, yticklabels=list(table.index), ylim=(-0.6, len(table) - 0.35), title=title)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", visible=False)
    if reference:
        below = -0.45 / (0.36 * len(table) + 0.4)  # under tick labels, which do not grow with the rows
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, below), ncols=3)
    return ax


@styled
def recall_bars(table: pd.DataFrame, chance: float, ax: Axes | None = None) -> Axes:
    """Recall of each class as a bar with its interval; a line at the recall of guessing.

    table : index of classes, columns ``value low high n``.
    """
    ax = _axes(ax, 0.9 + 0.42 * len(table))
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["value"], color=SKY, height=0.62)
    ax.hlines(y, table["low"], table["high"], color=INK, linewidth=1.6)
    ax.axvline(chance, color=ORANGE, linestyle="--", linewidth=1.4, label=f"guessing {100 * chance:.1f} %")
    names = [f"{name} ({n:,.0f})" for name, n in table["n"].items()]
    ax.set(yticks=y, yticklabels=names, xlim=(0, 1), xlabel="recall, with 95 % interval")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    return ax


@styled
def reliability(bins: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How often the network is right against how sure it says it is.

    bins : columns ``confidence accuracy low high n``, one row a bin.
    """
    ax = _axes(ax, 3.6)
    ax.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1.2, label="as sure as right")
    ax.vlines(bins["confidence"], bins["low"], bins["high"], color=BLUE, linewidth=2.5, alpha=0.55)
    size = 20 + 180 * bins["n"] / bins["n"].max()
    ax.scatter(bins["confidence"], bins["accuracy"], s=size, color=BLUE, zorder=3, label="faces of one bin")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", ylabel="share that is right")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper left")
    return ax


@styled
def face_sheet(
    images: Sequence[np.ndarray] | np.ndarray,
    captions: Sequence[str],
    right: Sequence[bool] | None = None,
    columns: int = 6,
) -> np.ndarray:
    """Faces in rows, each with its caption.

    images : (N, H, W) uint8.
    right : (N,) where given, frames each face by a solid line where right and by a dashed one where wrong.

    Returns (rows, columns) Axes.
    """
    rows, lines = -(-len(images) // columns), 1 + max(caption.count("\n") for caption in captions)
    title = (7 + 10 * lines) / 72  # inches above each face
    height = rows * (WIDTH / columns + title)
    grid = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 1 - title / height, "wspace": 0.07}
    grid["hspace"] = title * columns / WIDTH * 1.05
    # Laid out by hand and without ticks: the layout engine takes four times as long as all else.
    _, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, layout="none", gridspec_kw=grid,
                           subplot_kw={"xticks": [], "yticks": []})  # fmt: skip
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
        ax.set_title(captions[i], fontsize=8, fontweight="normal", loc="center", pad=4)
        if right is not None:
            good = right[i]
            frame = plt.Rectangle((-0.5, -0.5), *image.shape[::-1], fill=False, linewidth=2.4, clip_on=False)
            frame.set(color=GREEN if good else ORANGE, linestyle="-" if good else "--")
            ax.add_patch(frame)
    return axes


@styled
def face_rows(rows: dict[str, list[tuple[np.ndarray, str]]]) -> np.ndarray:
    """One row of faces for each group, under the group's name.

    rows : name -> faces (H, W) uint8 grey or (H, W, 3) RGB with their captions; rows may differ in length.

    Returns (rows, columns) Axes.
    """
    columns = max(len(faces) for faces in rows.values())
    wrapped = {name: [textwrap.fill(caption, 14) for _, caption in faces] for name, faces in rows.items()}
    tall = 14 + 9 * max(
        text.count("\n") for texts in wrapped.values() for text in texts
    )  # points of captions
    height = len(rows) * (WIDTH / columns + (tall + 32) / 72)
    figure, axes = plt.subplots(len(rows), columns, figsize=(WIDTH, height), squeeze=False)
    figure.set_layout_engine(
        "constrained", h_pad=16 / 72
    )  # room for the names, which the layout does not see
    for ax in axes.flat:
        ax.set_axis_off()
    for line, (name, faces) in zip(axes, rows.items(), strict=True):
        for ax, (image, _), text in zip(line, faces, wrapped[name], strict=False):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
            ax.set_title(text, fontsize=7.5, fontweight="normal", loc="center", pad=3)
        above = 16 + 9 * max(text.count("\n") for text in wrapped[name])
        title = line[0].annotate(name, (0, 1), (0, above), xycoords="axes fraction", annotation_clip=False,
                                 textcoords="offset points", fontweight="bold", fontsize=9.5)  # fmt: skip
        title.set_in_layout(False)
    # An empty text holds the top edge: a picture that is cropped to its layout would lose the first name.
    figure.text(0, 1, " ", va="top", fontsize=1)
    return axes


@styled
def rate_tables(real: pd.DataFrame, drawn: pd.DataFrame) -> np.ndarray:
    """Two tables of rates side by side and, on the right, how they differ.

    real, drawn : (E, U) in [0, 1], emotions by AUs, with the same rows and columns.  Returns (3,) Axes.
    """
    _, axes = plt.subplots(1, 3, figsize=(WIDTH, 0.235 * real.shape[1] + 1.5), sharey=True)
    panels = {"photographed": real, "drawn": drawn, "drawn − photographed": drawn - real}
    for ax, (name, table) in zip(axes, panels.items(), strict=True):
        cmap, low, high = ("PuOr_r", -1, 1) if ax is axes[2] else ("Blues", 0, 1)
        bar = {"location": "bottom", "shrink": 0.8, "pad": 0.02, "format": PercentFormatter(1, decimals=0)}
        sns.heatmap(
            table.T, ax=ax, linewidths=0.6, linecolor=PAPER, cbar_kws=bar, cmap=cmap, vmin=low, vmax=high
        )
        ax.set(title=name, xlabel="", ylabel="")
        ax.tick_params(axis="x", rotation=55, labelsize=8.5)
        ax.tick_params(axis="y", rotation=0, labelsize=8.5)
        plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return axes


@styled
def change_maps(maps: dict[str, np.ndarray], face: np.ndarray) -> np.ndarray:
    """Where pictures change when one thing is exchanged: above on one scale, below each on its own.

    maps : name -> (H, W) root mean square difference in grey levels.  face : (H, W) mean picture, whose
    outline lies under the maps.  Returns (2, maps) Axes.
    """
    top = max(float(change.max()) for change in maps.values())
    from scipy.ndimage import gaussian_filter

    _, axes = plt.subplots(2, len(maps), figsize=(WIDTH, 2 * WIDTH / len(maps) * 1.3), squeeze=False)
    for column, (name, change) in zip(axes.T, maps.items(), strict=True):
        for ax, high in zip(column, (top, float(change.max())), strict=True):
            ax.imshow(change, cmap="cividis", vmin=0, vmax=high or 1, interpolation="bilinear")
            ax.contour(gaussian_filter(face, 1.5), levels=2, colors="white", linewidths=0.5, alpha=0.5)
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(f"yellow = {high:.0f}", fontsize=8)
            ax.grid(visible=False)
        column[0].set_title(name.replace(" and ", "\nand "), fontsize=9, loc="center")
    axes[0, 0].set_ylabel("one scale", fontsize=9)
    axes[1, 0].set_ylabel("own scale", fontsize=9)
    return axes


@styled
def crowd(people: pd.DataFrame) -> np.ndarray:
    """Who is drawn: per cent of each corpus's people by age and by skin tone.

    people : one row a person, columns ``corpus age monk_tone``.  Returns (2,) Axes.
    """
    _, axes = plt.subplots(1, 2, figsize=(WIDTH, 1.3 + 0.42 * people["corpus"].nunique()), sharey=True)
    decade = people["age"] // 10 * 10
    n = people["corpus"].value_counts()
    names = people["corpus"].map(lambda name: f"{name} ({n[name]:,})")
    parts = {"age, by decade": decade, "skin tone (Monk), 1 lightest": people["monk_tone"]}
    for ax, (title, column) in zip(axes, parts.items(), strict=True):
        share = pd.crosstab(names, column, normalize="index").reindex(names.unique())
        words = share.map(lambda s: f"{100 * s:.0f}")
        sns.heatmap(share, annot=words, fmt="", cmap="Blues", vmin=0, vmax=0.5, cbar=False, ax=ax,
                    linewidths=1, linecolor=PAPER, annot_kws={"fontsize": 8.5})  # fmt: skip
        ax.set(title=title, xlabel="", ylabel="")
        ax.tick_params(axis="y", rotation=0, labelsize=8.5)
    return axes
