"""The pictures of the book's first page: a face, a network's maps, one filter, how well it tells each Action Unit."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ferlib.plots.common import INK, ORANGE, QUIET, STYLE

__all__ = ["map_stacks", "story_pictures", "unit_bars"]

SIDE_PX = 336
SHIFT = 0.16
"""By how much of its side each map of a stack stands behind the one before it."""


def story_pictures(
    face: np.ndarray, maps: Sequence[np.ndarray], credited: np.ndarray, profile: pd.DataFrame
) -> dict[str, bytes]:
    """Four square WebP files by name, ``face network filter units``.

    face : (H, W) uint8, a face that excites the filter.  maps : see :func:`map_stacks`.  credited : (H, W, 3) uint8,
    the face with the pixels that speak for the response.  profile : see :func:`unit_bars`.
    """
    made = {}
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        for name, picture in (("face", face), ("filter", credited)):
            ax = _square()
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
            ax.set_axis_off()
            made[name] = _webp(ax)
        made["network"] = _webp(map_stacks(maps, _square()))
        made["units"] = _webp(unit_bars(profile, _square(bottom=0.14, left=0.05, width=0.9)))
    return made


def map_stacks(maps: Sequence[np.ndarray], ax: Axes | None = None) -> Axes:
    """A stack of maps for each layer, from the first above to the last below; dark is a strong response.

    maps : of each layer, in order, a few of its maps for one face, (K, h, w).
    """
    ax = _square() if ax is None else ax
    below = 0.0
    for i, stack in enumerate(maps):
        side = 0.8**i
        below -= side * (1 + SHIFT * (len(stack) - 1)) + 0.08
        start = (1 - side) * 0.9
        for k, one in reversed(list(enumerate(stack))):
            x, y = start + k * 3 * SHIFT * side, below + k * SHIFT * side
            strong = np.quantile(one, 0.995) or 1.0
            ax.imshow(one, cmap="Greys", vmin=0, vmax=strong, extent=(x, x + side, y, y + side), zorder=9 - k)
            ring = ([x, x + side, x + side, x, x], [y, y, y + side, y + side, y])
            ax.plot(*ring, color=QUIET, linewidth=0.7, zorder=9.5 - k)
    ax.set_xlim(-0.05, 1.05 + 3 * SHIFT * (max(len(stack) for stack in maps) - 1))
    ax.set_ylim(below - 0.05, 0.05)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def unit_bars(profile: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How well one filter tells each Action Unit, a bar from chance for each, the strongest above.

    profile : columns ``au``, ``value`` (AUC) and ``own``, true for the unit that has its name written.
    """
    ax = _square() if ax is None else ax
    table = profile.sort_values("value").reset_index(drop=True)
    ax.barh(
        table.index,
        table["value"] - 0.5,
        left=0.5,
        color=np.where(table["own"], ORANGE, "#b9c0c8"),
        height=0.8,
    )
    ax.axvline(0.5, color=INK, linewidth=0.8)
    for place, row in table[table["own"]].iterrows():
        name = f"AU {int(row['au'][2:])}"
        below = {"textcoords": "offset points", "ha": "right", "weight": "bold"}
        ax.annotate(name, (row["value"], place), (0, -12), color=ORANGE, **below)  # type: ignore[arg-type]
    ends = [0.5, table["value"].max()]
    ax.set_xticks(ends, [f"{end:.2f}".removeprefix("0") for end in ends])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)
    return ax


def _square(bottom: float = 0.0, left: float = 0.0, width: float = 1.0) -> Axes:
    figure = plt.figure(figsize=(2.1, 2.1), dpi=SIDE_PX / 2.1, layout="none", facecolor="white")
    return figure.add_axes((left, bottom, width, 1 - bottom))


def _webp(ax: Axes) -> bytes:
    file = io.BytesIO()
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(file, format="webp")
    plt.close(figure)
    return file.getvalue()
