"""What a sweep over parameters draws."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ferlib.plots.common import BLUE, WIDTH, styled


@styled
def sweep(table: pd.DataFrame, xlabel: str, ylabel: str, percent: bool = False) -> Axes:
    """One number over the points of a sweep, with its 95 % interval where it has one.

    table : columns ``value low high``; its index holds numbers, which are placed by size, or names of points.
    """
    numeric = pd.api.types.is_numeric_dtype(table.index)
    table = table.sort_index() if numeric else table
    x = table.index.to_numpy() if numeric else np.arange(len(table))
    _, ax = plt.subplots(figsize=(WIDTH, 2.9))
    ax.vlines(x, table["low"], table["high"], color=BLUE, linewidth=2.5, alpha=0.55)
    ax.plot(x, table["value"], "o-" if numeric else "o", color=BLUE, linewidth=1.2, markersize=7)
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=x, xmargin=0.08)
    ax.set_xticklabels([f"{v:g}" if numeric else str(v) for v in table.index])
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", visible=False)
    return ax
