"""Networks for comparison: the emotion network's body, trained on Action Units directly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ferlib import augment, batches, config, devices, features, heads, keep, labels, paths, runs, splits
from ferlib.config import DataError
from ferlib.datasets import FaceSet, drawn
from ferlib.datasets.base import resized
from ferlib.recipes import RECIPES, lr_factor, optimiser_of
from ferlib.runs import Run

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

    images : (N, H, W) uint8, of the size that the network takes.  present : (N, U), NaN where not coded.
    roles : (N,), ``train``, ``val`` or another.  rows : (N,) of the store.
    """

    key: str
    images: np.ndarray
    present: np.ndarray
    roles: np.ndarray
    rows: np.ndarray
    n_epochs: int
    batch_size: int
    seed: int

    def blank(self) -> nn.Module:
        """The body with fresh weights and an output for each Action Unit."""
        return runs.untrained(runs.find(self.key), self.seed, self.present.shape[1])

    def net(self) -> nn.Module:
        """The network after the epoch with the lowest loss on val: found in the home, or trained."""
        from safetensors.torch import load_file, save_file

        seen = keep.digest_of(self.images, self.present, self.roles.astype("S5"), self.rows)
        made_of = config.digest(self.key, seen, self.n_epochs, self.batch_size, self.seed,
                                config.code_digest(MODULES), length=16)  # fmt: skip
        place = paths.transfer() / f"au-network-{made_of}.safetensors"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            state = {name: tensor.contiguous() for name, tensor in trained(self).state_dict().items()}
            paths.write_whole(place, lambda file: save_file(state, file))
        net = self.blank()
        net.load_state_dict(load_file(place))
        return net.eval()

    def make(self) -> None:
        """Train the network, unless it is there."""
        self.net()


def on_fold(
    run: Run, faces: FaceSet, roles: np.ndarray, n_epochs: int, batch_size: int, seed: int
) -> NetPlan:
    """The body of ``run`` on the faces whose role in one fold is train.  roles : (N,) ``train``, ``val`` or another."""
    images = resized(faces.images, run.record["network"]["settings"]["size"])
    return NetPlan(run.key, images, labels.au_present(faces.table), roles, faces.table["row"].to_numpy(),
                   n_epochs, batch_size, seed)  # fmt: skip


def on_same_faces(run: Run, faces: FaceSet, seed: int) -> NetPlan:
    """The body of ``run`` on the very faces that taught it emotions, as often as it saw them, for their AUs.

    faces : the corpus that ``run`` was trained on, with AU codes; see :func:`with_codes`.
    Raises ``DataError`` where its train and val parts are not those of ``run``.
    """
    told = run.record
    parts = splits.parts(faces, told["protocol"], told["fold"])
    if told["parts_digest"] != parts.digest:
        raise DataError(f"{run.key} was not trained on these faces of {faces.corpus}; train it anew")
    rows = faces.table["row"]
    roles = np.where(
        rows.isin(parts.train.table["row"]), "train", np.where(rows.isin(parts.val.table["row"]), "val", "")
    )
    return on_fold(run, faces, roles, told["config"]["n_epochs"], told["config"]["batch_size"], seed)


def with_codes(faces: FaceSet) -> FaceSet | None:
    """Faces of a drawn corpus with the AU codes that its layout leaves out and the rig knows.

    A code is the level of the stronger side, rounded; what is weaker than half an A is absent.
    None and ``DataError`` as of :func:`drawn.truth_of`.
    """
    own = drawn.truth_of(faces)
    if own is None:
        return None
    sides = [[f"{au}_{side}" for side in ("left", "right")] for au in labels.DRAWN_AUS]
    levels = {
        au: own[pair].max(axis=1).round().to_numpy(np.float32)
        for au, pair in zip(labels.DRAWN_AUS, sides, strict=True)
    }
    return dataclasses.replace(faces, table=faces.table.assign(**levels))


def trained(plan: NetPlan) -> nn.Module:
    """The body of the emotion network, trained on AUs by its own recipe; the epoch of the lowest val loss."""
    settings = runs.find(plan.key).config
    recipe = RECIPES[settings["recipe"]]
    net = plan.blank().to(memory_format=torch.channels_last)
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
