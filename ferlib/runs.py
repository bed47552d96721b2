"""Trained runs: one folder a key, whole or not there.

A run is made in a hidden folder beside its place, under a lock, and renamed into it when it is complete.
What was killed is continued there by the next process that asks for the run.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib import models, paths
from ferlib.config import DataError, nearest
from ferlib.paths import write_json, write_whole  # noqa: F401  what a run is written with

RECORD, WEIGHTS, HISTORY = "run.json", "weights.safetensors", "history.csv"
PREDICTIONS, CHECKPOINT = "predictions.parquet", "checkpoint.pt"
KEY = re.compile(r"[a-z0-9][a-z0-9_-]*-s\d+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Run:
    """A finished run in ``path``."""

    path: Path

    @property
    def key(self) -> str:
        return self.path.name

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """``run.json``: config, network, emotions, digests, device, versions, seconds, counts."""
        return json.loads((self.path / RECORD).read_text(encoding="utf-8"))

    @property
    def config(self) -> dict[str, Any]:
        """The settings the run was made with, the recipe's own values written out."""
        return self.record["config"]

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return tuple(self.record["emotions"])

    @functools.cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: its number, learning rate, loss and accuracy of train and val, seconds."""
        return pd.read_csv(self.path / HISTORY)

    @functools.cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a test image: ``row subject fold split truth`` and the probability of each class."""
        return pd.read_parquet(self.path / PREDICTIONS)

    def model(self) -> Any:
        """The trained network on the CPU, in evaluation mode."""
        from safetensors.torch import load_file

        net = models.build(self.record["network"]["name"], self.record["network"]["settings"])
        net.load_state_dict(load_file(self.path / WEIGHTS))
        return net.eval()


def untrained(run: Run, seed: int = 0, n_classes: int = 0) -> Any:
    """The network of ``run`` with fresh weights, in evaluation mode; the normalisation of its faces stays.

    n_classes : outputs, where they shall be others than the run's own.
    """
    import torch

    told = run.record["network"]
    settings = told["settings"] | ({"n_classes": n_classes} if n_classes else {})
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        fresh = models.build(told["name"], settings)
    fresh.normalise.load_state_dict(run.model().normalise.state_dict())  # type: ignore[union-attr]
    return fresh.eval()


def find(key: str) -> Run:
    """The finished run ``key``.  Raises ``DataError`` with the nearest run and the next command."""
    run = look_up(key)
    if run is None:
        hint = nearest(key, [r.key for r in all()])
        raise DataError(
            f"No trained run {key!r}.{hint} Chapter 1 makes runs:  ferlib book build --only training"
        )
    return run


def look_up(key: str) -> Run | None:
    """The finished run ``key``, or None."""
    return Run(paths.run(key)) if (paths.run(key) / RECORD).is_file() else None


def all() -> list[Run]:
    """Every finished run, by key."""
    return [Run(f) for f in _folders() if KEY.fullmatch(f.name) and (f / RECORD).is_file()]


def unfinished() -> list[Path]:
    """Folders of runs that were begun and not finished; the same command continues them."""
    return [f for f in _folders() if f.name.startswith(".") and f.is_dir()]


def _folders() -> list[Path]:
    return sorted(paths.runs().iterdir()) if paths.runs().is_dir() else []


@contextlib.contextmanager
def lock(key: str) -> Iterator[None]:
    """Wait until no other process makes the run ``key``; keep others from it.  A killed holder lets go."""
    import filelock  # comes with torch

    paths.runs().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(paths.runs() / f".{key}.lock"):
        yield


def workplace(key: str) -> Path:
    """The hidden folder in which the run ``key`` is made, or continued; call it under :func:`lock`."""
    folder = paths.runs() / f".{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def publish(key: str) -> Run:
    """Rename the workplace of ``key`` into its place, without the checkpoint."""
    folder, place = workplace(key), paths.run(key)
    if not (folder / RECORD).is_file():
        raise DataError(f"The run {key!r} is not finished: {folder} holds no {RECORD}")
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if place.exists():  # what was left there is no run: look_up found none
        shutil.rmtree(place)
    folder.rename(place)
    return Run(place)
