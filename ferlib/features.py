"""What a frozen network makes of faces: computed once for each run and set of faces, kept in the home, found again.

>>> features.of(run, faces)  # doctest: +SKIP
>>> features.of(run, faces, layer="block3.pool")  # doctest: +SKIP
>>> features.probabilities(run, faces)  # doctest: +SKIP

Features, logits and probabilities come out of one pass.  They are kept as
``features/<run key>/<layer>-<digest of the faces>/{features,logits,mirrored}.npy``.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from ferlib import batches, config, paths
from ferlib.config import DataError, check_name
from ferlib.datasets.base import FaceSet, resized
from ferlib.keep import digest_of, locked, replacing
from ferlib.recipes import RECIPES
from ferlib.runs import Run

LAST_HIDDEN: dict[str, str] = {"EmotionCNN": "relu", "FastCNN": "drop"}
"""The module of each network whose output its last layer reads."""
BATCH = 256
MODULES = ("models", "features", "batches", "datasets.base")
"""The modules that features go through; the weights are named by the run's key."""

_DIGESTS: weakref.WeakKeyDictionary[FaceSet, str] = weakref.WeakKeyDictionary()


def of(run: Run, faces: FaceSet, layer: str = "") -> np.ndarray:
    """What module ``layer`` of the run's network makes of each face, flattened.

    faces : of any size; they are resized to the network's.
    layer : a module's name, such as ``block3.pool``; by default the last hidden layer after its ReLU.

    Returns (N, D) float32, a read-only memory map.  Raises ``UsageError`` for a layer that is not there.
    """
    return _opened(run, faces, layer, "features")


def logits(run: Run, faces: FaceSet, layer: str = "") -> np.ndarray:
    """(N, K) float32 logits in the order of ``run.emotions``, from the same pass as :func:`of`."""
    return _opened(run, faces, layer, "logits")


def probabilities(run: Run, faces: FaceSet) -> np.ndarray:
    """(N, K) float32: what the run's network answers, as :func:`ferlib.learner.predict` computes it.

    For recipes that flip at test this is the mean over each face and its mirror image.
    """
    p = softmax(logits(run, faces), axis=1)
    if RECIPES[run.config["recipe"]].flip_at_test:
        p = (p + softmax(_opened(run, faces, "", "mirrored"), axis=1)) / 2
    return p


def batched(images: np.ndarray, size: int | None = None) -> Iterator[tuple[int, torch.Tensor]]:
    """Where each batch of ``images`` (N, H, W) uint8 begins, and the batch as a network takes it.

    size : side in pixels to which faces are resized; by default they stay.  Yields (B, 1, H, W) float32 grey levels.
    """
    for start in range(0, len(images), BATCH):
        stored = np.asarray(images[start : start + BATCH])
        stored = np.ascontiguousarray(stored if size is None else resized(stored, size))
        yield start, batches.as_tensor(stored)[:, None].float().contiguous(memory_format=torch.channels_last)


@contextlib.contextmanager
def watching(net: torch.nn.Module, layer: str) -> Iterator[list[torch.Tensor]]:
    """Keep what module ``layer`` answered in the last call of ``net``; nothing is left on the network."""
    caught: list[torch.Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(
        lambda m, i, output: caught.__setitem__(slice(None), [output])
    )
    try:
        yield caught
    finally:
        handle.remove()


@torch.inference_mode()
def hidden_of(net: torch.nn.Module, images: np.ndarray, layer: str = "") -> np.ndarray:
    """What module ``layer`` of a network on the CPU makes of each face, flattened; "" is the last hidden layer.

    images : (N, H, W) uint8 of the size that the network takes.  Returns (N, D) float32; nothing is kept.
    """
    made = []
    with watching(net, layer or LAST_HIDDEN[type(net).__name__]) as caught:
        for _, faces in batched(images):
            net(faces)
            made.append(caught[0].flatten(1))
    return torch.cat(made).numpy()


def place_of(run: Run, faces: FaceSet, layer: str = "") -> Path:
    """The folder of these features, whether they are there or not."""
    layer = layer or LAST_HIDDEN[run.record["network"]["name"]]
    made_of = config.digest(content_digest(faces), layer, _code(), length=16)
    return paths.features() / run.key / f"{layer}-{made_of}"


def content_digest(faces: FaceSet) -> str:
    """Digest of the pictures themselves, so that altered or reordered faces are never taken for others."""
    if faces not in _DIGESTS:
        _DIGESTS[faces] = digest_of(faces.images)
    return _DIGESTS[faces]


@functools.cache
def _code() -> str:
    """Digest of the modules, read once a process."""
    return config.code_digest(MODULES)


def _opened(run: Run, faces: FaceSet, layer: str, what: str) -> np.ndarray:
    if len(faces) == 0:
        raise DataError(f"{faces.corpus}: no face to compute features of")
    place = place_of(run, faces, layer)
    if not place.is_dir():
        with locked(
            place.parent / f"{place.name}.making"
        ):  # of several processes one computes, the others wait
            if not place.is_dir():
                _compute(run, faces, layer, place)
    return np.load(place / f"{what}.npy", mmap_mode="r")


def _compute(run: Run, faces: FaceSet, layer: str, place: Path) -> None:
    """One pass of the network over the faces, straight into files; the folder appears when all is written."""
    net, settings = run.model(), run.record["network"]
    layer = layer or LAST_HIDDEN[settings["name"]]
    check_name(f"layer of {run.key}", layer, [name for name, _ in net.named_modules() if name])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device, memory_format=torch.channels_last)
    flips = RECIPES[run.config["recipe"]].flip_at_test
    with replacing(place) as fresh, torch.inference_mode(), watching(net, layer) as caught:
        made = _Files(fresh, len(faces))
        for start, batch in batched(faces.images, settings["settings"]["size"]):
            shown = batch.to(device)
            made.write("logits", start, net(shown))
            made.write("features", start, caught[0].flatten(1))
            if flips:
                made.write("mirrored", start, net(shown.flip(3)))
        made.flush()
        paths.write_json(fresh / "about.json", {"run": run.key, "layer": layer, "corpus": faces.corpus,
                                               "digest": faces.digest, "n": len(faces)})  # fmt: skip


class _Files:
    """``<name>.npy`` files of ``n`` rows that are filled batch by batch."""

    def __init__(self, folder: Path, n: int) -> None:
        self.folder, self.n, self.open = folder, n, {}  # type: tuple[Path, int, dict[str, Any]]

    def write(self, name: str, start: int, rows: Any) -> None:
        """rows : (B, D) tensor, the rows from ``start``."""
        rows = rows.float().cpu().numpy()
        if name not in self.open:
            shape = (self.n, rows.shape[1])
            self.open[name] = np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", np.float32, shape)
        self.open[name][start : start + len(rows)] = rows

    def flush(self) -> None:
        """Hand everything to the system's file cache and let go."""
        for rows in self.open.values():
            rows.flush()
        self.open.clear()
