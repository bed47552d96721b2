"""Receptive fields: which pixels a unit of a map can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ferlib.config import UsageError
from ferlib.filters.record import batch_of, evaluating, hooked, relu_of

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_GLOBAL = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Linear)


@dataclass(frozen=True)
class Field:
    """Units of a layer see squares of ``side`` pixels, ``step`` apart; the first begins at ``first`` (<= 0)."""

    side: int
    step: int
    first: int

    def boxes(self, positions: np.ndarray, image_size: int | tuple[int, int]) -> np.ndarray:
        """Top, left, bottom, right (..., 4) in pixels of units at ``positions`` (..., 2), within the image.

        ``image[top:bottom, left:right]`` is what the unit sees.
        """
        size = np.broadcast_to(image_size, 2)
        low = self.first + self.step * np.asarray(positions)
        return np.concatenate([np.clip(low, 0, size), np.clip(low + self.side, 0, size)], axis=-1)


def field_of(model: nn.Module, layer: str, image_size: int) -> Field:
    """The field of ``layer``, from the windows the network runs before it (Araujo et al. 2019, eq. 2 and 3).

    Branches that join again must keep the same step, as residual ones do; the longest path counts.
    Raises ``UsageError`` where something before the layer sees the whole map.
    """
    target = relu_of(model, layer)
    ran: list[nn.Module] = []

    def note(module: nn.Module, *_: Any) -> None:
        ran.append(module)

    watched = [m for m in model.modules() if isinstance(m, (*_WINDOWS, *_GLOBAL)) or m is target]
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    with hooked(*(m.register_forward_hook(note) for m in watched)), evaluating(model), torch.no_grad():
        model(batch_of(np.zeros((1, first.in_channels, image_size, image_size), np.uint8), model))
    side, step, start = 1, 1, 0
    for module in ran[: ran.index(target)]:
        if isinstance(module, _GLOBAL):
            raise UsageError(f"Units of {layer} see the whole image: {type(module).__name__} comes before it")
        kernel, stride, padding, dilation = (_one(getattr(module, name, 1)) for name in _SIZES)
        start -= padding * step
        side += (kernel - 1) * dilation * step
        step *= stride
    return Field(side, step, start)


_SIZES = ("kernel_size", "stride", "padding", "dilation")


def _one(size: Any) -> int:
    """The size of a square window; raises ``UsageError`` for any other."""
    found = {size} if isinstance(size, int) else set(size)
    if len(found) > 1 or isinstance(size, str):
        raise UsageError(f"Receptive fields of windows with {size} are not told; use square ones")
    return int(found.pop())


def receptive_field(model: nn.Module, layer: str, positions: np.ndarray, image_size: int) -> np.ndarray:
    """Top, left, bottom, right (..., 4) int in pixels: what units of ``layer`` at ``positions`` (..., 2) see."""
    return field_of(model, layer, image_size).boxes(positions, image_size)
