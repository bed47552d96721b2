"""What the chapter on other corpora draws: matrices, learning from few labels, costs of single factors."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ferlib.labels import DRAWN_PREFIX
from ferlib.plots.common import CYCLE, INK, PAPER, QUIET, WIDTH, styled

__all__ = ["class_travel", "confusion_change", "corpus_distances", "grouped_differences", "label_shares",
           "short", "transfer_matrices"]  # fmt: skip

MARKERS = "osD^v<>"


def short(corpus: str) -> str:
    """``ckplus*`` of ``synthetic-ckplus``: the star says drawn."""
    plain = corpus.removeprefix(DRAWN_PREFIX)
    return plain + "*" * (plain != corpus)


@styled
def transfer_matrices(panels: dict[str, pd.DataFrame], high: float = 1.0) -> np.ndarray:
    """Heat maps side by side: trained on (rows) by tested on (columns), each cell with its interval.

    panels : title -> columns ``source target value`` in [0, 1] and, where there are such, ``low high`` and
    ``baseline``.  high : the value of the darkest cell.  Returns (panels,) Axes.
    """
    columns = min(2, len(panels))
    n = max(table["target"].nunique() for table in panels.values())
    rows = -(-len(panels) // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * (1.2 + 0.62 * n)), squeeze=False, sharey=True
    )
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (title, table) in zip(axes.flat, panels.items(), strict=False):
        _one_matrix(ax, table, high)
        ax.set_title(title, fontsize=9.5)
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    return axes


def _one_matrix(ax: Axes, table: pd.DataFrame, high: float) -> None:
    names, targets = (list(dict.fromkeys(table[side])) for side in ("source", "target"))
    values = table.pivot(index="source", columns="target", values="value").reindex(names)[targets]
    words = table.assign(words=table.apply(_words, axis=1)).pivot(
        index="source", columns="target", values="words"
    )
    sns.heatmap(values, annot=words.reindex(names)[targets], fmt="", cmap="Blues", vmin=0, vmax=high, cbar=False,
                ax=ax, linewidths=2, linecolor=PAPER, annot_kws={"fontsize": 8, "linespacing": 1.35})  # fmt: skip
    _ink(ax, values, 0.62 * high)
    ax.set_xticklabels([short(name) for name in targets], rotation=0, fontsize=8.5)
    ax.set_yticklabels([short(name) for name in names], rotation=90, va="center", fontsize=7.5)
    ax.set_xlabel("tested on", fontsize=9)
    ax.set_ylabel("trained on", fontsize=9)


def _ink(ax: Axes, values: pd.DataFrame, bound: float) -> None:
    """Write dark on light cells and light on those beyond ``bound``, so that all can be read."""
    flat = values.to_numpy(dtype=float).ravel()
    for text, value in zip(ax.texts, flat[~np.isnan(flat)], strict=True):
        text.set_color(PAPER if abs(value) > bound else INK)


def _words(row: pd.Series) -> str:
    """Per cent, under it the interval and what the commonest class alone scores."""
    if pd.isna(row["value"]):
        return ""
    lines = [f"{100 * row['value']:.1f}"]
    if pd.notna(row.get("low")):
        lines.append(f"[{100 * row['low']:.0f}, {100 * row['high']:.0f}]")
    if pd.notna(row.get("baseline")):
        lines.append(f"base {100 * row['baseline']:.0f}")
    return "\n".join(lines)


@styled
def label_shares(table: pd.DataFrame) -> np.ndarray:
    """Accuracy over the share of the target's labels, one panel a target, one line a source.

    table : columns ``source target mode share value low high baseline``.  ``as is`` stands at share 0,
    ``fine-tuned`` as hollow marks.  Returns (targets,) Axes.
    """
    targets, sources = (list(dict.fromkeys(table[side])) for side in ("target", "source"))
    shares = sorted(set(table["share"]))
    _, axes = plt.subplots(1, len(targets), figsize=(WIDTH, 3.4), sharey=True, squeeze=False)
    for ax, target in zip(axes[0], targets, strict=True):
        for i, source in enumerate(sources):
            of = table[(table["source"] == source) & (table["target"] == target)]
            _line(ax, of, shares, i, len(sources), home=source == target)
        ax.axhline(
            table.loc[table["target"] == target, "baseline"].max(), color=QUIET, linestyle="--", linewidth=1
        )
        ax.set(title=f"tested on\n{short(target)}", xticks=range(len(shares)), xlim=(-0.5, len(shares) - 0.5))
        ax.set_xticklabels(["none" if s == 0 else f"{100 * s:g} %" for s in shares], fontsize=8)
        ax.grid(axis="x", visible=False)
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set_ylabel("accuracy")
    axes[0, len(targets) // 2].set_xlabel("share of the target's labels used")
    _legend_below(axes[0, 0].figure, *axes[0, 0].get_legend_handles_labels())
    return axes[0]


def _line(ax: Axes, of: pd.DataFrame, shares: list[float], i: int, n: int, home: bool) -> None:
    """One source in one panel: heads and as is joined by a line, fine-tuned as hollow marks beside it."""
    aside = 0.14 * (i - (n - 1) / 2)
    colour, marker = CYCLE[i % len(CYCLE)], MARKERS[i % len(MARKERS)]
    source = short(str(of["source"].iloc[0]))
    for tuned, one in of.groupby(of["mode"] == "fine-tuned"):
        one = one.sort_values("share")
        x = np.array([shares.index(s) for s in one["share"]]) + aside + 0.07 * tuned
        ax.vlines(x, one["low"], one["high"], color=colour, linewidth=1.6, alpha=0.5)
        ax.plot(x, one["value"], linestyle="none" if tuned else "-" if home else ":", color=colour, marker=marker,
                linewidth=1.3, markersize=5.5, markerfacecolor=PAPER if tuned else colour,
                label=f"{source}, fine-tuned" if tuned else f"trained on {source}")  # fmt: skip


def _legend_below(figure, handles, names) -> None:
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8)


@styled
def class_travel(table: pd.DataFrame) -> np.ndarray:
    """Recall of each emotion on each target, one mark a source; the filled mark is at home.

    table : columns ``source target emotion value low high``.  Returns (targets,) Axes.
    """
    targets, sources = (list(dict.fromkeys(table[side])) for side in ("target", "source"))
    emotions = list(dict.fromkeys(table["emotion"]))
    _, axes = plt.subplots(
        1, len(targets), figsize=(WIDTH, 1.5 + 0.42 * len(emotions)), sharey=True, squeeze=False
    )
    for ax, target in zip(axes[0], targets, strict=True):
        for i, source in enumerate(sources):
            of = table[(table["source"] == source) & (table["target"] == target)].set_index("emotion")
            y = np.array([emotions.index(e) for e in of.index]) + 0.2 * (i - (len(sources) - 1) / 2)
            colour = CYCLE[i % len(CYCLE)]
            ax.hlines(y, of["low"], of["high"], color=colour, linewidth=1.5, alpha=0.5)
            ax.plot(of["value"], y, MARKERS[i % len(MARKERS)], color=colour, markersize=5.5,
                    markerfacecolor=colour if source == target else PAPER,
                    label=f"trained on {short(source)}")  # fmt: skip
        ax.set(
            title=f"tested on\n{short(target)}",
            xlim=(-0.03, 1.03),
            yticks=range(len(emotions)),
            yticklabels=emotions,
        )
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xticks([0, 0.5, 1])
    axes[0, 0].invert_yaxis()
    axes[0, len(targets) // 2].set_xlabel("recall, with 95 % interval")
    _legend_below(axes[0, 0].figure, *axes[0, 0].get_legend_handles_labels())
    return axes[0]


@styled
def confusion_change(table: pd.DataFrame, title: str = "") -> Axes:
    """Differences of the shares of each true class (rows) that are named so (columns), in points.

    table : (C, C) float in [-1, 1].
    """
    _, ax = plt.subplots(figsize=(WIDTH, 1.6 + 0.5 * len(table)))
    words = table.map(
        lambda v: (
            f"{100 * v:+.0f}".replace("+0", "0").replace("-0", "0") if abs(v) < 0.005 else f"{100 * v:+.0f}"
        )
    )
    sns.heatmap(table, annot=words, fmt="", cmap="PuOr_r", vmin=-0.8, vmax=0.8, cbar=False, ax=ax, linewidths=1.5,
                linecolor=PAPER, annot_kws={"fontsize": 9.5})  # fmt: skip
    _ink(ax, table, 0.5)
    ax.set(xlabel="named by the network", ylabel="true emotion", title=title)
    ax.tick_params(axis="x", rotation=40)
    ax.tick_params(axis="y", rotation=0)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    return ax


@styled
def corpus_distances(table: pd.DataFrame) -> Axes:
    """How far corpora lie from home beside what mixing them at random gives.

    table : columns ``source target value null_high p``.
    """
    _, ax = plt.subplots(figsize=(WIDTH, 1.3 + 0.34 * len(table)))
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["null_high"], color="#d7dce2", height=0.62, label="mixed at random, 95 % of mixtures")
    ax.plot(table["value"], y, "o", color=CYCLE[0], markersize=7, label="as it is")
    for place, (value, p) in zip(y, zip(table["value"], table["p"], strict=True), strict=True):
        ax.annotate(f"p = {p:.3f}", (value, place), (8, -3), textcoords="offset points", fontsize=8)
    names = [f"{short(s)} → {short(t)}" for s, t in zip(table["source"], table["target"], strict=True)]
    ax.set(yticks=y, yticklabels=names, xlabel="squared maximum mean discrepancy")
    ax.set_xlim(min(0, table["value"].min()), 1.25 * max(table["value"].max(), table["null_high"].max()))
    ax.grid(axis="y", visible=False)
    _legend_below(ax.figure, *ax.get_legend_handles_labels())
    return ax


@styled
def grouped_differences(table: pd.DataFrame, rows: str, by: str, xlabel: str) -> Axes:
    """Differences with their intervals around a line at none, grouped.

    table : columns ``rows`` (one line each), ``by`` (one colour and mark each), ``value low high`` in [-1, 1].
    """
    names, kinds = (list(dict.fromkeys(table[column])) for column in (rows, by))
    _, ax = plt.subplots(figsize=(WIDTH, 1.4 + (0.16 + 0.13 * len(kinds)) * len(names)))
    for i, kind in enumerate(kinds):
        of = table[table[by] == kind]
        y = np.array([names.index(name) for name in of[rows]]) + 0.24 * (i - (len(kinds) - 1) / 2)
        colour = CYCLE[i % len(CYCLE)]
        ax.hlines(y, of["low"], of["high"], color=colour, linewidth=1.8, alpha=0.5)
        ax.plot(of["value"], y, MARKERS[i % len(MARKERS)], color=colour, markersize=5.5, label=kind)
    ax.axvline(0, color=INK, linewidth=1)
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel, ylim=(len(names) - 0.4, -0.6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    ax.grid(axis="y", visible=False)
    _legend_below(ax.figure, *ax.get_legend_handles_labels())
    return ax
