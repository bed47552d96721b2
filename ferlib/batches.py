"""Faces in batches: who comes when, and how they get to the device.

The order depends on (seed, epoch) alone.  Faces that fit lie on the device as uint8; others are read from
their memory map by loader workers.  Both ways give the same batches.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ferlib import devices


def epoch_batches(n: int, batch_size: int, seed: int, epoch: int) -> list[torch.Tensor]:
    """``n`` positions in this epoch's order, cut into batches of equal size (+- 1) up to ``batch_size``.

    Equal batches, because a small last one would weigh each of its faces more than the others.
    """
    chance = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(n, generator=chance)
    return list(order.tensor_split(-(-n // batch_size)))


class Resident:
    """All faces on the device.  images : (N, H, W) uint8."""

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self.faces = as_tensor(images).to(device)

    def __call__(self, batches: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (positions (B,) int64, faces (B, 1, H, W) uint8), both on the device."""
        on_device = torch.cat(batches).to(self.faces.device).split([len(b) for b in batches])
        for index in on_device:
            yield index, self.faces[index][:, None]


class Streamed:
    """Faces read from their memory map by ``workers`` processes, a few batches ahead."""

    def __init__(self, images: np.ndarray, device: torch.device, workers: int) -> None:
        self.images, self.device, self.workers = images, device, workers

    def __call__(self, batches: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """As :class:`Resident`.  The workers end with the iterator, or within 5 s of a killed parent."""
        loader: Any = torch.utils.data.DataLoader(
            _Rows(self.images),
            sampler=batches,
            batch_size=None,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it draws a number that dropout would have drawn
            # a memory map is shared by forked workers, but pickled whole for spawned ones
            multiprocessing_context="fork" if self.workers and sys.platform == "linux" else None,
        )
        for index, faces in zip(batches, loader, strict=True):
            yield index.to(self.device), faces.to(self.device, non_blocking=True)[:, None]


class _Rows(torch.utils.data.Dataset):
    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:  # (B,) -> (B, H, W) uint8
        return torch.from_numpy(self.images[index.numpy()])


def feed(images: np.ndarray, device: torch.device, stream: bool, workers: int) -> Resident | Streamed:
    """:class:`Resident` where the faces fit and ``stream`` does not forbid it, else :class:`Streamed`."""
    if stream or not devices.fits(images, device):
        return Streamed(images, device, workers)
    return Resident(images, device)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """A tensor over ``images`` without copying, also where they are a read-only memory map."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(images)


def grey_levels(images: np.ndarray, chunk: int = 4096) -> tuple[float, float]:
    """Mean and deviation over all pixels of (N, H, W) uint8, exact, reading ``chunk`` faces at a time."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(images), chunk):
        counts += np.bincount(images[start : start + chunk].ravel(), minlength=256)
    levels = np.arange(256)
    mean = (counts * levels).sum() / counts.sum()
    return float(mean), float(np.sqrt((counts * (levels - mean) ** 2).sum() / counts.sum()))
