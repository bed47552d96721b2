"""Which pixels excite a unit: guided back-propagation, deconvnet and the plain gradient by Captum; occlusion."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ferlib.config import UsageError, check_name
from ferlib.filters.record import (
    BATCH,
    activations,
    batch_of,
    evaluating,
    recording,
    refuse_functional_relu,
    relu_of,
)

METHODS = ("guided", "deconvnet", "gradient", "occlusion")
OUTPUT = "output"
"""In place of a convolution: the network's answer, whose units are the classes."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Attributions of B images.

    values : (B, H, W) float32, how much each pixel speaks for the unit, in activation a grey level.
    usable : (B,) bool, False where a map is all zero (the unit is silent) or not finite: such a map says
        nothing and is not drawn.
    """

    values: np.ndarray
    usable: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def seen(self) -> np.ndarray:
        """(B, H, W): ``values``, NaN where a map says nothing."""
        return np.where(self.usable[:, None, None], self.values, np.nan)

    @property
    def reason(self) -> str:
        """How many maps say nothing, in a sentence; empty where all speak."""
        mute = int((~self.usable).sum())
        return f"{mute} of {len(self)} maps are all zero or not finite and are not drawn." if mute else ""


def maps_of(values: np.ndarray) -> Maps:
    """``values`` (B, H, W) with the flag of those that say something."""
    finite = np.isfinite(values).all(axis=(1, 2))
    return Maps(values, finite & (np.where(np.isfinite(values), values, 0) != 0).any(axis=(1, 2)))


def guided_backprop(
    model: nn.Module, layer: str, images: Any, filters: np.ndarray, positions: np.ndarray | None = None
) -> Maps:
    """Guided back-propagation (Springenberg et al. 2015) of one unit an image.

    images : (B, H, W) or (B, 1, H, W) grey levels.  filters : (B,) int, or one for all.
    positions : (B, 2) row and column in the map; by default each filter's strongest unit.
    layer : an address of ``conv_layers``, or ``output``, where ``filters`` are classes.
    Raises ``UsageError`` where the network uses ``F.relu`` or an in-place ReLU.
    """
    return attribution("guided", model, layer, images, filters, positions)


def deconvnet(
    model: nn.Module, layer: str, images: Any, filters: np.ndarray, positions: np.ndarray | None = None
) -> Maps:
    """The deconvnet (Zeiler & Fergus 2014) of one unit an image; as :func:`guided_backprop`."""
    return attribution("deconvnet", model, layer, images, filters, positions)


def attribution(
    method: str, model: nn.Module, layer: str, images: Any, filters: Any, positions: np.ndarray | None = None
) -> Maps:
    """Attribution by one of ``METHODS``; as :func:`guided_backprop`.  Runs ``BATCH`` images at a time."""
    check_name("method", method, METHODS)
    if method == "occlusion":
        return occlusion(model, layer, images, filters, positions)
    faces, filters = _paired(model, images, filters)
    refuse_functional_relu(model, faces[:1])
    parts = []
    with evaluating(model):
        for start in range(0, len(faces), BATCH):
            rows = slice(start, start + BATCH)
            select = _selector(filters[rows], None if positions is None else np.asarray(positions)[rows])
            parts.append(_attribute(method, model, layer, faces[rows].clone(), select))
    return maps_of(np.concatenate(parts))


def _paired(model: nn.Module, images: Any, filters: Any) -> tuple[torch.Tensor, np.ndarray]:
    """(B, 1, H, W) float32 on the device of the network, and (B,) int."""
    faces = batch_of(images, model)
    return faces, np.array(np.broadcast_to(filters, len(faces)), np.int64)


def _selector(filters: np.ndarray, positions: np.ndarray | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """acts (B, F, H, W) or (B, classes) -> (B,): one unit an image."""
    if positions is not None and np.shape(positions) != (len(filters), 2):
        raise UsageError(f"positions are {np.shape(positions)}; ({len(filters)}, 2) was expected")

    def select(acts: torch.Tensor) -> torch.Tensor:
        own = acts[torch.arange(len(acts)), torch.as_tensor(filters)]
        if own.ndim == 1:
            return own
        if positions is None:
            at = own.flatten(1).argmax(dim=1, keepdim=True)
            return own.flatten(1).gather(1, at)[:, 0]
        row, column = torch.as_tensor(positions).unbind(1)
        return own[torch.arange(len(own)), row, column]

    return select


def _attribute(
    method: str, model: nn.Module, layer: str, faces: torch.Tensor, select: Callable
) -> np.ndarray:
    """(B, H, W) float32."""
    from captum.attr import NeuronDeconvolution, NeuronGradient, NeuronGuidedBackprop  # seconds to import

    kinds = {"guided": NeuronGuidedBackprop, "deconvnet": NeuronDeconvolution, "gradient": NeuronGradient}
    watched = model if layer == OUTPUT else relu_of(model, layer)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", message="Setting backward hooks|Input Tensor")
        found = kinds[method](model, watched).attribute(faces.requires_grad_(), neuron_selector=select)
    return found.detach().sum(dim=1).float().cpu().numpy()


def strongest(model: nn.Module, layer: str, images: Any, filters: Any) -> tuple[np.ndarray, np.ndarray]:
    """The activation (B,) and position (B, 2) of each filter's strongest unit on its image."""
    faces, filters = _paired(model, images, filters)
    values, places = [], []
    for rows, acts in activations(model, faces[:, 0].cpu().numpy(), (layer,)):
        own = acts[layer].cpu().numpy()[np.arange(rows.stop - rows.start), filters[rows]]
        at = own.reshape(len(own), -1).argmax(axis=1)
        values.append(own.reshape(len(own), -1)[np.arange(len(own)), at])
        places.append(np.stack(np.unravel_index(at, own.shape[1:]), axis=1))
    return np.concatenate(values), np.concatenate(places)


def rivals(model: nn.Module, layer: str, images: Any, filters: Any, positions: np.ndarray) -> np.ndarray:
    """(B,) int: the other filter that answers most at the same place of the same image."""
    faces, filters = _paired(model, images, filters)
    found = []
    for rows, acts in activations(model, faces[:, 0].cpu().numpy(), (layer,)):
        every, (row, column) = np.arange(rows.stop - rows.start), np.asarray(positions)[rows].T
        there = acts[layer].cpu().numpy()[every, :, row, column]  # (B, F)
        there[every, filters[rows]] = -np.inf
        found.append(there.argmax(axis=1))
    return np.concatenate(found)


def occlusion(
    model: nn.Module,
    layer: str,
    images: Any,
    filters: Any,
    positions: np.ndarray | None = None,
    window: int = 8,
    stride: int = 4,
) -> Maps:
    """How much the answer of one unit an image falls when a square is covered (Zeiler & Fergus 2014, sec. 4.2).

    As :func:`guided_backprop`, without gradients.  window, stride : pixels; the cover has the mean grey level of its
    image.  A pixel's value is the mean loss over the covers that lie on it; negative where covering helps.
    """
    faces, filters = _paired(model, images, filters)
    size = tuple(faces.shape[2:])
    if not 1 <= window <= min(size) or stride < 1:
        raise UsageError(f"window={window}, stride={stride} do not fit into {size[1]} x {size[0]} pixels")
    if positions is None and layer != OUTPUT:
        positions = strongest(model, layer, images, filters)[1]
    corners = [sorted({*range(0, side - window + 1, stride), side - window}) for side in size]
    squares = torch.zeros(len(corners[0]) * len(corners[1]), 1, *size, device=faces.device)
    for square, (top, left) in zip(squares, itertools.product(*corners), strict=True):
        square[:, top : top + window, left : left + window] = 1
    maps = []
    for i, (face, f) in enumerate(zip(faces, filters, strict=True)):
        shown = torch.cat(
            [face[None], torch.lerp(face, face.mean(), squares)]
        )  # the whole face, then the covered
        at = None if positions is None else np.tile(np.asarray(positions)[i], (len(shown), 1))
        answers = _answers(model, layer, shown, _selector(np.full(len(shown), f), at))
        lost = (answers[0] - answers[1:])[:, None, None, None] * squares
        maps.append((lost.sum(dim=0) / squares.sum(dim=0))[0].cpu().numpy())
    return maps_of(np.stack(maps))


def _answers(model: nn.Module, layer: str, faces: torch.Tensor, select: Callable) -> torch.Tensor:
    """(B,): what ``select`` takes from the maps of ``layer``, or from the network's answer."""
    layers = () if layer == OUTPUT else (layer,)
    with evaluating(model), torch.inference_mode(), recording(model, *layers) as kept:
        answer = model(faces)
        return select(kept.get(layer, answer))
