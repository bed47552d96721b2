"""What a filter asks for: pictures that excite it, climbed from noise under small transforms."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ferlib.filters.record import device_of, evaluating, hooked, relu_of

STEP = 0.05
CONTRAST = 50.0  # standard deviation of a picture in grey levels, about that of a face
JITTER_PX, SCALE, TURN_DEG = 2.0, 0.08, 8.0  # spreads of the transforms, for faces of 48 pixels


@dataclass(frozen=True, eq=False)
class Maximised:
    """Pictures that excite B filters.

    images : (B, H, W) uint8.  objective : (steps + 1, B) float32, what was climbed, without transforms: the
    filter's answer before its ReLU at the middle of the map.
    """

    images: np.ndarray
    objective: np.ndarray


def maximise(
    model: nn.Module, layer: str, filters: np.ndarray, steps: int, rng: np.random.Generator, size: int = 48
) -> Maximised:
    """Climb from noise towards what excites ``filters`` (B,) of ``layer`` (Olah et al. 2017, "Feature visualization").

    A picture is its Fourier coefficients, with less step for fine detail, brought to the contrast of a face, so
    that it wins by its shapes and not by black and white.  Every step is taken on a shifted, scaled and turned
    copy, so that no pattern wins that one pixel's shift destroys.  Fifty steps are enough.
    size : pixels, as the network takes.
    """
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    chosen = torch.as_tensor(np.asarray(filters, np.int64), device=device_of(model))
    spectrum = (0.01 * torch.randn(len(chosen), size, size // 2 + 1, 2, generator=chance)).to(chosen.device)
    spectrum.requires_grad_()
    climber = torch.optim.Adam([spectrum], lr=STEP)
    reached = []
    with evaluating(model), frozen(model), _before(relu_of(model, layer)) as answer, torch.enable_grad():
        for _ in range(steps):
            reached.append(_score(model, answer, _picture(spectrum, size), chosen).detach())
            climber.zero_grad()
            moved = _transformed(_picture(spectrum, size), chance)
            (-_score(model, answer, moved, chosen).sum()).backward()
            climber.step()
        with torch.no_grad():
            pictures = _picture(spectrum, size)
            reached.append(_score(model, answer, pictures, chosen))
    images = pictures[:, 0].round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return Maximised(images, torch.stack(reached).cpu().numpy())


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No gradient for the weights; afterwards as before."""
    wanted = {p: p.requires_grad for p in model.parameters()}
    model.requires_grad_(False)
    try:
        yield
    finally:
        for p, before in wanted.items():
            p.requires_grad_(before)


@contextlib.contextmanager
def _before(relu: nn.ReLU) -> Iterator[dict[str, torch.Tensor]]:
    """What goes into ``relu``: a filter that is silent still says which way is up."""
    kept: dict[str, torch.Tensor] = {}

    def note(module: nn.Module, inputs: Any) -> None:
        kept["input"] = inputs[0]

    with hooked(relu.register_forward_pre_hook(note)):
        yield kept


def _score(
    model: nn.Module, answer: dict[str, torch.Tensor], pictures: torch.Tensor, filters: torch.Tensor
) -> torch.Tensor:
    """(B,): the answer of each filter at the middle of its map."""
    model(pictures)
    maps = answer["input"]  # (B, F, h, w)
    return maps[torch.arange(len(maps)), filters, maps.shape[2] // 2, maps.shape[3] // 2]


def _picture(spectrum: torch.Tensor, size: int) -> torch.Tensor:
    """Coefficients (B, size, size // 2 + 1, 2) -> grey levels (B, 1, size, size) in (0, 255)."""
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    gain = (1 / (rows**2 + columns**2).sqrt().clamp(min=1 / size)).to(spectrum.device)
    waves = torch.view_as_complex(spectrum.contiguous()) * gain
    light = torch.fft.irfft2(waves, s=(size, size), norm="ortho")
    light = light - light.mean(dim=(1, 2), keepdim=True)
    light = CONTRAST * light / light.std(dim=(1, 2), keepdim=True)
    return (127.5 + 127.5 * torch.tanh(light / 127.5))[:, None]


def _transformed(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Each picture shifted, scaled and turned by a random amount."""
    n = len(pictures)
    draw = lambda spread: spread * (2 * torch.rand(n, generator=chance) - 1)  # noqa: E731
    turn, scale = torch.deg2rad(draw(TURN_DEG)), 1 + draw(SCALE)
    shift = [draw(2 * JITTER_PX / 48) for _ in range(2)]
    top = torch.stack([scale * turn.cos(), -scale * turn.sin(), shift[0]], dim=1)
    low = torch.stack([scale * turn.sin(), scale * turn.cos(), shift[1]], dim=1)
    theta = torch.stack([top, low], dim=1).to(pictures.device)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
