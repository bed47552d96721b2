"""The skin between nose and chin where muscles press it together: kept from folding over itself, and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ferlib.synthetic.head import LIP_LINE, LIP_STRIP, MOUTH_HALF, atlas, kept, to_torch

REACH = 1.5  # cm above and below the mouth
PRESSED = 0.6  # of its height at rest: a lip less high is pressed
LEAST = 0.18  # of its height at rest that pressed skin keeps


@dataclass(frozen=True)
class Region:
    """The skin around the mouth on the atlas: ``rows`` and ``cols`` of the grid.

    height : (R, 1), cm, addresses of its rows.  across : (C,), cm, of its columns.
    lines : four rows of the region: top of the red, upper and lower lip where they meet, bottom of the red.
    """

    rows: slice
    cols: slice
    height: torch.Tensor
    across: torch.Tensor
    lines: list[int]


@kept(8)
def region(cols: int) -> Region:
    """The region on the atlas of ``cols`` columns."""
    head = atlas(cols)
    across, height = (a.reshape(head.rows, cols) for a in head.material)
    down = height[: int(cols * 1.25), cols // 2]
    inside = np.flatnonzero(np.abs(down - LIP_LINE) < REACH)
    rows = slice(int(inside[0]), int(inside[-1]) + 1)
    marks = LIP_LINE + np.array([0.6, LIP_STRIP, -LIP_STRIP, -0.75])
    lines = [int(np.abs(down[rows] - mark).argmin()) for mark in marks]
    line = across[rows][lines[1]]
    beside = np.flatnonzero(np.abs(line) < MOUTH_HALF + 0.6)
    columns = slice(int(beside[0]), int(beside[-1]) + 1)
    return Region(rows, columns, to_torch(down[rows, None]), to_torch(line[columns]), lines)


def settle(height: torch.Tensor, depth: torch.Tensor, skin: Region) -> torch.Tensor:
    """Keeps each column of ``height`` (N, R, C), cm, in order from top to bottom, and fills with their flesh what is
    hollow in ``depth`` (N, R, C), cm, between lips that press each other; in place.
    Returns what :func:`between` needs, (4, N, C)."""
    slack = LEAST * skin.height
    height -= slack
    from_above = height.cummin(1).values
    from_below = height.flip(1).cummax(1).values.flip(1)
    torch.add(from_above, from_below, out=height).mul_(0.5).add_(slack)
    top, upper, lower, bottom = height[:, skin.lines].unbind(1)
    at = skin.height[skin.lines, 0]
    above, below = (top - upper) / (at[0] - at[1]), (lower - bottom) / (at[2] - at[3])
    first, *_, last = skin.lines
    hollow = depth[:, first : last + 1]
    share = (skin.height[first : last + 1] - at[0]) / (at[3] - at[0])
    chord = torch.lerp(hollow[:, :1], hollow[:, -1:], share)
    hollow.lerp_(chord, ((PRESSED - torch.minimum(above, below)) * 2).clamp_(0, 0.9)[:, None])
    return torch.stack([upper, lower, above, below])


def between(measured: torch.Tensor, skin: Region, face, across, height) -> tuple[torch.Tensor, torch.Tensor]:
    """Where pixels of ``face`` (M,) lie on the lips: height (M,) above the mouth as on lips at rest, cm, and how much
    the lip is drawn out there (M,), 1 at rest; from ``across`` (M,), material, and ``height`` (M,) in the head's frame.
    """
    right = torch.bucketize(across, skin.across).clamp_(1, len(skin.across) - 1)
    left = skin.across[right - 1]
    share = ((across - left) / (skin.across[right] - left)).clamp_(0, 1)
    flat, at = measured.reshape(4, -1), face * len(skin.across) + right
    upper, lower, above, below = torch.lerp(flat.index_select(1, at - 1), flat.index_select(1, at), share)
    over = height - upper
    drawn = torch.where(over > 0, above, below).clamp_(min=LEAST)
    off = over.clamp(min=0) + (height - lower).clamp(max=0)
    return (off / drawn).add_(off.sign(), alpha=LIP_STRIP), drawn
