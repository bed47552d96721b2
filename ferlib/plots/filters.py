"""What the chapter on filters draws."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ferlib.plots.common import (
    AMBER,
    BLUE,
    CYCLE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    QUIET,
    SKY,
    WIDTH,
    _axes,
    styled,
)

__all__ = [
    "ablation_bars", "association_strips", "au_verdicts", "chance_counts", "emotion_minority", "overlap",
    "power_lines", "randomisation_steps", "recovery_panels", "share_strips", "tuning_panels",
]  # fmt: skip

VERDICT_MARKS = {
    "found beyond emotion": ("o", BLUE), "found with emotion only": ("s", ORANGE),
    "not found": ("D", QUIET), "not testable": ("x", QUIET),
}  # fmt: skip
"""Mark and colour of each verdict: shape and colour say the same."""
MOST_SHARE = 1.5
"""Shares of variance beyond this are drawn at the edge: of filters that hardly answer they are noise."""
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


def _percent(ax: Axes, which: str = "y") -> None:
    getattr(ax, f"{which}axis").set_major_formatter(PercentFormatter(1))


def _au(name: str) -> str:
    return f"AU {int(name[2:])}"


@styled
def chance_counts(counts: pd.DataFrame, observed: int) -> np.ndarray:
    """How many filters match when labels are dealt out anew, and how many did.

    counts : columns ``null`` (its name) and ``matched`` (filters), one row a permutation.  Returns Axes, one a null.
    """
    names = list(dict.fromkeys(counts["null"]))
    _, axes = plt.subplots(1, len(names), figsize=(WIDTH, 2.9), sharey=True, sharex=True, squeeze=False)
    top = int(max(counts["matched"].max(), observed)) + 2
    for ax, name in zip(axes[0], names, strict=True):
        matched = counts.loc[counts["null"] == name, "matched"]
        share = np.bincount(matched, minlength=top) / len(matched)
        ax.bar(np.arange(len(share)), share, width=1, color=SKY, label="by chance")
        ax.axvline(observed, color=ORANGE, linewidth=2.2, label=f"found: {observed}")
        ax.set(title=name, xlabel="filters that match", xlim=(-1, top))
        _percent(ax)
    axes[0, 0].set_ylabel("share of permutations")
    axes[0, -1].legend(loc="best", fontsize=9)
    return axes[0]


@styled
def emotion_minority(table: pd.DataFrame, needed: int) -> Axes:
    """How many people tell an AU from the emotion.

    table : columns ``au n_minority photographed`` (the same in another corpus, NaN where it lacks the AU), one row an
    AU.  needed : fewer are not tested.
    """
    ax = _axes(None, 2.9)
    place = np.arange(len(table))
    enough = (table["n_minority"] >= needed).to_numpy()
    for of, colour, word in ((enough, BLUE, "here, testable"), (~enough, SKY, "here, too few")):
        ax.bar(place[of], table["n_minority"][of], color=colour, width=0.7, label=word)
    ax.plot(place, table["photographed"], "D", color=PAPER, markeredgecolor=INK, markersize=5,
            label="CK+ as photographed, at most")  # fmt: skip
    ax.axhline(needed, color=ORANGE, linestyle="--", linewidth=1.4, label=f"needed: {needed}")
    ax.set(
        xticks=place,
        xticklabels=[str(int(au[2:])) for au in table["au"]],
        xlabel="Action Unit",
        ylabel="people",
    )
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper center", ncols=4, fontsize=8.5, bbox_to_anchor=(0.45, 1.16))
    return ax


@styled
def au_verdicts(table: pd.DataFrame) -> Axes:
    """The best filter of each AU, its association within emotion, and the verdict.

    table : one row an AU, columns ``au verdict effect_within low high q_within n_minority``.
    """
    ax = _axes(None, 0.9 + 0.27 * len(table))
    y = np.arange(len(table))[::-1]
    ax.axvline(0.5, color=QUIET, linestyle="--", linewidth=1.2)
    for verdict, (mark, colour) in VERDICT_MARKS.items():
        of = (table["verdict"] == verdict).to_numpy()
        if of.any():
            rows = table[of]
            ax.hlines(y[of], rows["low"], rows["high"], color=colour, linewidth=2.5, alpha=0.5)
            ax.plot(
                rows["effect_within"],
                y[of],
                mark,
                color=colour,
                markersize=6.5,
                label=f"{verdict} ({of.sum()})",
            )
    for place, (_, row) in zip(y, table.iterrows(), strict=True):
        told = f"q {row['q_within']:.3f}" if np.isfinite(row["q_within"]) else "no q"
        ax.annotate(f"{told}, {row['n_minority']:.0f} people", (1.01, place), xycoords=("axes fraction", "data"),
                    va="center", fontsize=8, color=QUIET, annotation_clip=False)  # fmt: skip
    ax.set(yticks=y, yticklabels=[_au(au) for au in table["au"]], ylim=(-0.7, len(table) - 0.3),
           xlabel="AUC of the best filter within emotion; dashed: chance")  # fmt: skip
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.5 / len(table) - 0.07), ncols=2, fontsize=9)
    return ax


@styled
def association_strips(table: pd.DataFrame) -> Axes:
    """The best association with each AU, one row a network.

    table : columns ``network au effect`` (AUC) and ``verdict``.
    """
    names = list(dict.fromkeys(table["network"]))
    ax = _axes(None, 0.9 + 0.72 * len(names))
    ax.axvline(0.5, color=QUIET, linestyle="--", linewidth=1.2)
    for place, name in zip(range(len(names))[::-1], names, strict=True):
        own = table[table["network"] == name].sort_values("effect")
        found = (own["verdict"] == "found beyond emotion").to_numpy()
        shift = 0.22 * ((np.arange(len(own)) % 3) - 1)
        for of, fill in ((found, BLUE), (~found, PAPER)):
            ax.scatter(
                own["effect"][of],
                place + shift[of],
                s=34,
                color=fill,
                edgecolor=BLUE,
                linewidth=1.2,
                zorder=3,
            )
        best = own.iloc[-1]
        ax.annotate(_au(best["au"]), (best["effect"], place + shift[-1]), (6, 0), textcoords="offset points",
                    va="center", fontsize=8)  # fmt: skip
    ax.set(yticks=range(len(names))[::-1], yticklabels=names, ylim=(-0.6, len(names) - 0.4),
           xlabel="AUC of the best filter for each AU; full: found beyond emotion")  # fmt: skip
    ax.grid(axis="y", visible=False)
    return ax


@styled
def recovery_panels(table: pd.DataFrame) -> np.ndarray:
    """What each statistic declares of planted units, by kind of unit and signal-to-noise ratio.

    table : columns ``statistic kind snr share low high``.  Returns Axes, one a kind.
    """
    kinds, tests = (list(dict.fromkeys(table[column])) for column in ("kind", "statistic"))
    _, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.9), sharex=True, sharey=True)
    for ax, kind in zip(axes.flat, kinds, strict=False):
        for test, colour, dash in zip(tests, CYCLE, DASHES, strict=False):
            own = table[(table["kind"] == kind) & (table["statistic"] == test)]
            ax.plot(own["snr"], own["share"], linestyle=dash, color=colour, linewidth=1.8, label=test)
        good = kind == kinds[0]
        ax.set(title=f"{kind}" + (" (find it)" if good else ""), ylim=(-0.03, 1.03), xscale="log")
        ax.set_xticks(
            sorted(set(table["snr"])), [f"{snr:g}" for snr in sorted(set(table["snr"]))], minor=False
        )
        ax.minorticks_off()
        _percent(ax)
    for ax in axes[-1]:
        ax.set_xlabel("signal to noise")
    axes[0, 2].tick_params(labelbottom=True)
    axes[0, 2].set_xlabel("signal to noise")
    axes.flat[-1].set_axis_off()
    handles, words = axes.flat[0].get_legend_handles_labels()
    axes.flat[-1].legend(handles, words, loc="center", fontsize=8.5, handlelength=3)
    for ax in axes[:, 0]:
        ax.set_ylabel("declared")
    return axes


@styled
def power_lines(table: pd.DataFrame) -> np.ndarray:
    """How many people it takes to find a planted AU.

    table : columns ``statistic n_people snr share low high``.  Returns Axes, one a statistic.
    """
    tests = list(dict.fromkeys(table["statistic"]))
    _, axes = plt.subplots(1, len(tests), figsize=(WIDTH, 3.0), sharey=True)
    for ax, test in zip(axes, tests, strict=True):
        of_test = table[table["statistic"] == test]
        for snr, colour, dash in zip(sorted(set(table["snr"])), CYCLE, DASHES, strict=False):
            own = of_test[of_test["snr"] == snr]
            ax.fill_between(own["n_people"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
            ax.plot(own["n_people"], own["share"], linestyle=dash, color=colour, marker="o", markersize=4,
                    label=f"signal to noise {snr:g}")  # fmt: skip
        ax.set(title=test, xlabel="people", ylim=(-0.03, 1.03))
        _percent(ax)
    axes[0].set_ylabel("planted AUs found")
    axes[-1].legend(loc="lower right", fontsize=9)
    return axes


@styled
def randomisation_steps(table: pd.DataFrame, floor: dict[str, float]) -> Axes:
    """How like the intact map a map is, as layer after layer loses its weights.

    table : columns ``method randomised step ssim``.  floor : method -> ssim of maps of different faces.
    """
    ax = _axes(None, 3.1)
    methods = list(dict.fromkeys(table["method"]))
    steps = table.drop_duplicates("step").sort_values("step")
    for method, colour, dash in zip(methods, CYCLE, DASHES, strict=False):
        own = table[table["method"] == method].groupby("step")["ssim"]
        mean, low, high = own.mean(), own.quantile(0.25), own.quantile(0.75)
        x = np.r_[0, mean.index]
        ax.plot(x, np.r_[1, mean], linestyle=dash, marker="o", markersize=4, color=colour, label=method)
        ax.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.axhline(floor[method], color=colour, linestyle=dash, linewidth=1, alpha=0.6)
    names = ["intact", *steps["randomised"]]
    ax.set(xticks=range(len(names)), xticklabels=names, ylabel="likeness (SSIM)", ylim=(-0.05, 1.05),
           xlabel="last layer that got fresh weights; thin lines: maps of different faces")  # fmt: skip
    ax.legend(loc="upper right")
    return ax


@styled
def overlap(table: pd.DataFrame) -> np.ndarray:
    """Where the best filter of each AU looks: its overlap with the AU's region, and the same with shuffled regions.

    table : columns ``faces`` (whose, a panel each) ``au iou null_mean null_high p``.  Returns Axes, one a panel.
    """
    sets = dict(list(table.groupby("faces", sort=False)))
    _, axes = plt.subplots(len(sets), 1, figsize=(WIDTH, 2.7 * len(sets)), squeeze=False)
    for ax, (name, own) in zip(axes[:, 0], sets.items(), strict=True):
        x = np.arange(len(own))
        ax.bar(x, own["null_high"], color="#e4e7eb", width=0.72, label="95 % of shuffled regions")
        sure = (own["p"] <= 0.05).to_numpy()
        for of, fill, word in ((sure, BLUE, "p ≤ .05"), (~sure, PAPER, "p > .05")):
            ax.scatter(
                x[of], own["iou"][of], s=40, color=fill, edgecolor=BLUE, linewidth=1.4, zorder=3, label=word
            )
        top = 1.3 * own[["iou", "null_high"]].to_numpy().max()
        ax.set(xticks=x, xticklabels=[str(int(au[2:])) for au in own["au"]], ylabel="intersection over union",
               title=name, ylim=(0, top))  # fmt: skip
        ax.grid(axis="x", visible=False)
    axes[-1, 0].set_xlabel("Action Unit")
    axes[0, 0].legend(loc="upper left", ncols=3, fontsize=9)
    return axes[:, 0]


@styled
def tuning_panels(table: pd.DataFrame) -> np.ndarray:
    """Tuning curves: the answer of a filter as AUs rise on otherwise equal faces.

    table : columns ``panel`` (title) ``au level rise low high own`` (the AU the panel is about).  Returns Axes.
    """
    names = list(dict.fromkeys(table["panel"]))
    _, axes = plt.subplots(
        -(-len(names) // 3), 3, figsize=(WIDTH, 2.1 * -(-len(names) // 3)), sharex=True, squeeze=False
    )
    for ax, name in zip(axes.flat, names, strict=False):
        panel = table[table["panel"] == name]
        for _, curve in panel[~panel["own"]].groupby("au"):
            ax.plot(curve["level"], curve["rise"], color=QUIET, linewidth=0.8, alpha=0.45)
        own = panel[panel["own"]]
        ax.fill_between(own["level"], own["low"], own["high"], color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(own["level"], own["rise"], color=BLUE, linewidth=2.4)
        ax.set_title(name, fontsize=9.5)
        ax.set_xticks(range(6), ["rest", *"ABCDE"])
    for ax in list(axes.flat)[len(names) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("rise")
    return axes


@styled
def ablation_bars(table: pd.DataFrame) -> Axes:
    """What the emotions lose when filters fall silent, against as many random ones.

    table : columns ``au emotion n_filters lost low high random_low random_high``, the rows to show.
    """
    ax = _axes(None, 1.0 + 0.34 * len(table))
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["random_high"] - table["random_low"], left=table["random_low"], color="#dfe3e8", height=0.62,
            label="as many random filters, central 95 %")  # fmt: skip
    ax.hlines(y, table["low"], table["high"], color=BLUE, linewidth=2.5, alpha=0.55)
    ax.plot(
        table["lost"], y, "o", color=BLUE, markersize=6.5, label="the AU's filters, 95 % interval over people"
    )
    ax.axvline(0, color=INK, linewidth=0.8)
    names = [f"{_au(r['au'])} ({r['n_filters']}): {r['emotion']}" for _, r in table.iterrows()]
    ax.set(yticks=y, yticklabels=names, xlabel="recall lost")
    _percent(ax, "x")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.6 / len(table) - 0.08), fontsize=9)
    return ax


@styled
def share_strips(table: pd.DataFrame) -> Axes:
    """How much of each filter's answer is due to one thing alone.

    table : columns ``filter factor share``.
    """
    factors = list(dict.fromkeys(table["factor"]))
    ax = _axes(None, 0.8 + 0.5 * len(factors))
    rng = np.random.default_rng(0)  # of the places across a strip
    for place, factor in zip(range(len(factors))[::-1], factors, strict=True):
        share = table.loc[table["factor"] == factor, "share"].dropna().clip(0, MOST_SHARE)
        spread = place + rng.uniform(-0.22, 0.22, len(share))
        ax.scatter(
            share, spread, s=16, color=GREEN if factor == factors[0] else AMBER, alpha=0.6, linewidth=0
        )
        ax.plot([share.median()] * 2, [place - 0.32, place + 0.32], color=INK, linewidth=2)
    ax.set(
        yticks=range(len(factors))[::-1],
        yticklabels=factors,
        xlabel="share of a filter's variance; line: median",
    )
    _percent(ax, "x")
    ax.grid(axis="y", visible=False)
    return ax
