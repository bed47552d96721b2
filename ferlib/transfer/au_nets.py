"""Networks for comparison: the emotion network's body before training, and trained on Action Units directly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ferlib import augment, batches, config, devices, features, heads, models, paths, runs
from ferlib.learner import EVALUATION_BATCH
from ferlib.recipes import RECIPES, lr_factor, optimiser_of
from ferlib.runs import Run

MODULES = ("augment", "batches", "heads", "learner", "models", "recipes", "transfer.au_nets")


def untrained(run: Run, seed: int, n_outputs: int = 0) -> nn.Module:
    """The network of ``run`` with fresh weights; the normalisation of its faces stays.

    n_outputs : other than the run's own, for another task.
    """
    told = run.record["network"]
    torch.manual_seed(seed)
    net = models.build(told["name"], told["settings"] | ({"n_classes": n_outputs} if n_outputs else {}))
    net.normalise.load_state_dict(run.model().normalise.state_dict())  # type: ignore[union-attr]
    return net.eval()


@torch.inference_mode()
def hidden_of(net: nn.Module, images: np.ndarray, layer: str = "") -> np.ndarray:
    """What module ``layer`` makes of each face, flattened; "" is the last hidden layer.

    images : (N, H, W) uint8 of the size that the network takes.  Returns (N, D) float32.
    """
    layer = layer or features.LAST_HIDDEN[type(net).__name__]
    caught: list[torch.Tensor] = []
    handle = dict(net.named_modules())[layer].register_forward_hook(lambda m, i, out: caught.append(out))
    try:
        for faces in _batches(images):
            net(faces)
    finally:
        handle.remove()
    return torch.cat([made.flatten(1) for made in caught]).numpy()


def _batches(images: np.ndarray) -> Iterator[torch.Tensor]:
    """(B, 1, H, W) float faces."""
    for start in range(0, len(images), EVALUATION_BATCH):
        stored = batches.as_tensor(np.ascontiguousarray(images[start : start + EVALUATION_BATCH]))
        yield stored[:, None].float().contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class NetPlan:
    """One network to be trained on Action Units: the body of run ``key``, on the faces whose role is train.

    shown : (M, H, W) uint8 faces of which features are wanted, of the size that the network takes.
    images : (N, H, W) uint8.  present : (N, U), NaN where not coded.  roles : (N,).  rows : (N,) of the store.
    """

    key: str
    shown: np.ndarray
    images: np.ndarray
    present: np.ndarray
    roles: np.ndarray
    rows: np.ndarray
    layer: str
    n_epochs: int
    batch_size: int
    seed: int

    def features(self) -> np.ndarray:
        """(M, D) float32 of the shown faces from the epoch with the lowest loss on val; kept in the home."""
        seen = hashlib.sha256()
        for array in (self.shown, self.images, self.present, self.roles.astype("S5"), self.rows):
            seen.update(np.ascontiguousarray(array).tobytes())
        made_of = config.digest(self.key, seen.hexdigest(), self.layer, self.n_epochs, self.batch_size, self.seed,
                                config.code_digest(MODULES), length=16)  # fmt: skip
        place = paths.transfer() / f"au-network-{made_of}.npy"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            made = hidden_of(trained(self), self.shown, self.layer)
            paths.write_whole(place, lambda file: _save(file, made))
        return np.load(place)


def _save(file: Path, made: np.ndarray) -> None:
    with open(file, "wb") as whole:
        np.save(whole, made)


def trained(plan: NetPlan) -> nn.Module:
    """The body of the emotion network, trained on AUs by its own recipe; the epoch of the lowest val loss."""
    run = runs.find(plan.key)
    recipe, settings = RECIPES[run.config["recipe"]], run.config
    net = untrained(run, plan.seed, plan.present.shape[1]).to(memory_format=torch.channels_last)
    train, val = (np.flatnonzero(plan.roles == role) for role in ("train", "val"))
    faces = batches.as_tensor(np.ascontiguousarray(plan.images))[:, None]  # (N, 1, H, W) uint8
    wanted = torch.from_numpy(plan.present.astype(np.float32))
    rows = torch.from_numpy(np.array(plan.rows, np.int64))
    optimiser = optimiser_of(net, recipe, settings["lr"])
    best, best_loss, step = net.state_dict(), float("inf"), 0
    devices.keep_freed_memory()
    for epoch in range(plan.n_epochs):
        torch.manual_seed(1_000_003 * plan.seed + epoch)  # of dropout
        order = batches.epoch_batches(len(train), plan.batch_size, plan.seed, epoch)
        theta = augment.affine(recipe.augmentation, plan.seed, epoch, rows)
        net.train()
        for picked in order:
            index = torch.from_numpy(train)[picked]
            for group in optimiser.param_groups:
                group["lr"] = settings["lr"] * lr_factor(recipe, step, plan.n_epochs * len(order))
            shown = augment.warp(faces[index].float(), theta[index])
            raw = net(shown.contiguous(memory_format=torch.channels_last))
            heads.loss(raw, wanted[index], "presence").mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            step += 1
        now = _val_loss(net.eval(), plan.images[val], wanted[val])
        if now < best_loss:
            best, best_loss = {k: v.clone() for k, v in net.state_dict().items()}, now
    net.load_state_dict(best)
    return net.eval()


@torch.inference_mode()
def _val_loss(net: nn.Module, images: np.ndarray, wanted: torch.Tensor) -> float:
    raw = torch.cat([net(faces) for faces in _batches(images)])
    return float(heads.loss(raw, wanted, "presence").mean())
