"""Go on training a network on another corpus, with the book's own training loop."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch

from ferlib import devices
from ferlib.datasets import FaceSet
from ferlib.learner import Checkpoints, Fitted, Learner, Progress, fit
from ferlib.recipes import TrainConfig
from ferlib.runs import Run

MOST_EPOCHS = 30


def tuning_config(config: TrainConfig, n_train: int, faces_seen: int) -> TrainConfig:
    """``config`` with as many epochs as show about ``faces_seen`` faces, between 1 and ``MOST_EPOCHS``."""
    epochs = min(MOST_EPOCHS, max(1, math.ceil(faces_seen / n_train)))
    batch = min(config.resolved().batch_size, max(8, n_train // 4))
    return dataclasses.replace(config, n_epochs=epochs, batch_size=batch)


def fine_tuned(run: Run, train: FaceSet, val: FaceSet, config: TrainConfig, folder: Path) -> Fitted:
    """The network of ``run``, trained on for the epochs of ``config``; the best epoch on val is kept.

    The loop of :func:`ferlib.learner.fit` goes on from a checkpoint before its first epoch that holds the
    weights of ``run``.  What the network answered with for a class that ``train`` also has is kept; the other
    outputs begin anew.  ``folder`` holds the checkpoints; if it holds one already, that is gone on from.
    """
    fabric = devices.fabric(config.device)
    checkpoints = Checkpoints(folder)
    if checkpoints.load() is None:
        with devices.settled(config.threads):
            state = Learner(train, config.resolved(), fabric).state()
            state["net"] = adapted(run, state["net"], train.emotions)
            state["average"] = state["net"] if state["average"] else {}
            checkpoints.save({**state, "progress": vars(Progress())})
            checkpoints.wait()
    return fit(train, val, config, folder, fabric)


def adapted(run: Run, fresh: dict[str, torch.Tensor], emotions: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """The weights of ``run`` with an output for each of ``emotions``: copied where it has one, else ``fresh``'s."""
    trained = run.model().state_dict()
    made = {name: trained[name].clone() for name in fresh if not name.startswith("output.")}
    for name in ("output.weight", "output.bias"):
        made[name] = fresh[name].detach().cpu().clone()
        for row, emotion in enumerate(emotions):
            if emotion in run.emotions:
                made[name][row] = trained[name][run.emotions.index(emotion)]
    return made
