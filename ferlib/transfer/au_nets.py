"""A network for comparison: the emotion network's body, trained on Action Units directly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ferlib import augment, batches, config, devices, features, heads, paths, runs
from ferlib.recipes import RECIPES, lr_factor, optimiser_of

MODULES = (
    "augment",
    "batches",
    "features",
    "heads",
    "learner",
    "models",
    "recipes",
    "runs",
    "transfer.au_nets",
)


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
            made = features.hidden_of(trained(self), self.shown, self.layer)
            paths.write_open(place, lambda file: np.save(file, made))
        return np.load(place)


def trained(plan: NetPlan) -> nn.Module:
    """The body of the emotion network, trained on AUs by its own recipe; the epoch of the lowest val loss."""
    run = runs.find(plan.key)
    recipe, settings = RECIPES[run.config["recipe"]], run.config
    net = runs.untrained(run, plan.seed, plan.present.shape[1]).to(memory_format=torch.channels_last)
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
    raw = torch.cat([net(faces) for _, faces in features.batched(images)])
    return float(heads.loss(raw, wanted, "presence").mean())
