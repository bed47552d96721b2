"""The training loop: a network in training, its checkpoints, and the choice of its best epoch on val."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from ferlib import augment, batches, devices, models, runs
from ferlib.config import DataError
from ferlib.datasets import FaceSet
from ferlib.recipes import RECIPES, Average, TrainConfig, lr_factor, optimiser_of
from ferlib.splits import refuse_leaks

EVALUATION_BATCH = 256


@dataclass
class Fitted:
    """The network of the best epoch, on the device it was trained on, and how it came about."""

    net: nn.Module
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float


@dataclass
class Progress:
    """What a checkpoint keeps beside the tensors."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: tuple[float, float] = (-1.0, -float("inf"))
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The next epoch to train."""
        return len(self.history)

    def stops(self, patience: int) -> bool:
        """Whether ``patience`` epochs in a row were no better than the best."""
        return 0 < patience <= self.epoch - 1 - self.best_epoch

    def note(self, row: dict[str, float], net: nn.Module) -> None:
        """Add an epoch; keep its weights if it is best on val: by accuracy, then loss, then the first."""
        self.history.append(row)
        score = (row["val_accuracy"], -row["val_loss"])
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch - 1, score
            self.best_weights = {k: v.detach().clone() for k, v in net.state_dict().items()}


def network_settings(train: FaceSet, config: TrainConfig) -> dict[str, Any]:
    """The keyword arguments of the network for these faces."""
    height, width = train.images.shape[1:]
    if height != width:
        raise DataError(f"{train.corpus}: faces of {height} x {width} pixels are not square")
    return {"n_classes": len(train.emotions), "size": height, "channels": 1, "width": config.width,
            "dropout": config.dropout}  # fmt: skip


class Learner:
    """A network in training: what one step needs, and what a checkpoint must hold to go on exactly."""

    def __init__(self, train: FaceSet, settings: TrainConfig, fabric: Any) -> None:
        self.settings, self.recipe, self.fabric = settings, RECIPES[settings.recipe], fabric
        torch.manual_seed(settings.seed)
        self.net = models.build(self.recipe.network, network_settings(train, settings))
        mean, std = batches.grey_levels(train.images)
        self.net.normalise.mean.fill_(mean)  # type: ignore[union-attr, operator]
        self.net.normalise.std.fill_(std or 1.0)  # type: ignore[union-attr, operator]
        # measured on a CPU with AVX-512: 1.5x the speed at width 1, 1.3x at width 0.25
        self.net.to(memory_format=torch.channels_last)
        optimiser = optimiser_of(self.net, self.recipe, settings.lr)
        self.model, self.optimiser = fabric.setup(self.net, optimiser)
        self.average = Average(self.net, self.recipe.averaging) if self.recipe.averaging else None
        self.feed = batches.feed(train.images, fabric.device, settings.stream, settings.workers)
        self.labels = torch.from_numpy(train.labels).to(fabric.device)
        self.rows = batches.as_tensor(train.table["row"].to_numpy(np.int64)).to(fabric.device)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is scored and kept."""
        return self.average.net if self.average else self.net

    def epoch(self, epoch: int, bar: Any) -> dict[str, float]:
        """Train on every face once.  Returns the epoch's row of the history, without validation."""
        started, s, fabric = time.perf_counter(), self.settings, self.fabric
        torch.manual_seed(1_000_003 * s.seed + epoch + 500_009 * fabric.global_rank)  # of dropout
        order = batches.epoch_batches(len(self.labels), s.batch_size, s.seed, epoch)
        shares = [batch[fabric.global_rank :: fabric.world_size] for batch in order]
        theta = augment.affine(self.recipe.augmentation, s.seed, epoch, self.rows)  # (N, 2, 3)
        sums = torch.zeros(3, device=fabric.device)  # of losses, hits, faces: stays on the device
        self.model.train()
        for i, (index, stored) in enumerate(self.feed(shares)):  # (B,) int64, (B, 1, H, W) uint8
            faces = augment.warp(stored.float(), theta[index])
            step = epoch * len(order) + i
            lr = s.lr * lr_factor(self.recipe, step, s.n_epochs * len(order))
            sums += self.step(faces, self.labels[index], lr)
            if self.average:
                self.average.update(step)
            if bar.update(len(order[i])):  # true when it redraws: reading a tensor makes a GPU wait
                loss, hits, n = sums.tolist()
                bar.set_postfix_str(f"loss {loss / n:.3f} acc {hits / n:.3f}", refresh=False)
        loss, hits, n = fabric.all_reduce(sums, reduce_op="sum").tolist()
        seconds = time.perf_counter() - started
        return {"epoch": epoch, "lr": lr, "train_loss": loss / n, "train_accuracy": hits / n,
                "seconds": seconds, "images_per_s": n / seconds}  # fmt: skip

    def step(self, faces: torch.Tensor, labels: torch.Tensor, lr: float) -> torch.Tensor:
        """One step of the optimiser on faces (B, 1, H, W) and labels (B,).  Returns (sum of losses, hits, B)."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        logits = self.model(faces.contiguous(memory_format=torch.channels_last))  # (B, K)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self.fabric.backward(loss)
        self.optimiser.step()
        self.optimiser.zero_grad()
        hits = (logits.detach().argmax(dim=1) == labels).sum()
        size = torch.full_like(hits, len(labels))
        return torch.stack([loss.detach().float() * size, hits.float(), size.float()])

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: tensors, shared with the network."""
        average = self.average.net.state_dict() if self.average else {}
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(), "average": average}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average:
            self.average.net.load_state_dict(state["average"])


class Checkpoints:
    """``checkpoint.pt`` in a run's folder: written whole, by a thread beside training, after every epoch."""

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / runs.CHECKPOINT if folder else None
        self.writer = ThreadPoolExecutor(max_workers=1)
        self.pending: Future[None] | None = None

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint, or None where there is none that can be read."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except (
            RuntimeError,
            EOFError,
            ValueError,
            OSError,
        ):  # a disk that lost power may have kept half of it
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Copy ``state`` now, write it while training goes on."""
        if self.path is not None:
            self.wait()
            self.pending = self.writer.submit(self._write, self.path, _copied(state))

    def wait(self) -> None:
        """Return when the last checkpoint lies on the disk; raise what writing it raised."""
        if self.pending is not None:
            self.pending.result()
            self.pending = None

    @staticmethod
    def _write(path: Path, state: dict[str, Any]) -> None:
        runs.write_whole(path, lambda file: torch.save(state, file))


def _copied(value: Any) -> Any:
    """A copy of nested dicts and lists whose tensors are copied to the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def fit(
    train: FaceSet, val: FaceSet, config: TrainConfig, folder: Path | None = None, fabric: Any = None
) -> Fitted:
    """Train on ``train``, keep the epoch that is best on ``val``: by accuracy, then by loss, then the first.

    folder : where a checkpoint is written after every epoch, and found to continue from; None for neither.
    fabric : as made by :func:`ferlib.devices.fabric`; by default one for ``config.device``.

    Raises ``LeakError`` where test faces are handed in or the two parts share an image or a person.
    """
    refuse_leaks(train, val, val.select(np.zeros(len(val), bool)))
    config = config.resolved()
    fabric = fabric or devices.fabric(config.device)
    with devices.settled(config.threads):
        learner, progress = Learner(train, config, fabric), Progress()
        checkpoints = Checkpoints(folder if fabric.is_global_zero else None)
        found = Checkpoints(folder).load()
        if found is not None:
            progress = Progress(**found.pop("progress"))
            learner.restore(found)
        with _bar(len(train), config.n_epochs, progress, fabric.is_global_zero) as bar:
            while progress.epoch < config.n_epochs and not progress.stops(config.patience):
                started = time.perf_counter()
                bar.set_description_str(f"epoch {progress.epoch + 1}/{config.n_epochs}", refresh=False)
                row = learner.epoch(progress.epoch, bar)
                bar.set_postfix_str(f"loss {row['train_loss']:.3f} acc {row['train_accuracy']:.3f}")
                row |= validated(learner.evaluated, val, learner.recipe.flip_at_test)
                row = fabric.broadcast(row)  # several processes must choose and stop alike
                progress.note(row, learner.evaluated)
                progress.seconds += time.perf_counter() - started
                checkpoints.save({**learner.state(), "progress": vars(progress)})
        checkpoints.wait()
        learner.evaluated.load_state_dict(progress.best_weights)
    return Fitted(learner.evaluated.eval(), progress.history, progress.best_epoch, progress.seconds)


def _bar(n: int, n_epochs: int, progress: Progress, shown: bool) -> Any:
    """A bar over all faces of all epochs, with faces/s and the time left; only on a terminal."""
    return tqdm(
        total=n * n_epochs,
        initial=n * progress.epoch,
        unit=" faces",
        unit_scale=True,
        disable=None if shown else True,
        dynamic_ncols=True,
    )


def validated(net: nn.Module, val: FaceSet, flip: bool) -> dict[str, float]:
    """``val_loss`` (mean negative log probability of the truth) and ``val_accuracy``."""
    p, truth = predict(net, val.images, flip), val.labels
    of_truth = p[np.arange(len(truth)), truth]
    return {
        "val_loss": float(np.log(1 / np.maximum(of_truth, 1e-12)).mean()),
        "val_accuracy": float((p.argmax(axis=1) == truth).mean()),
    }


@torch.inference_mode()
def predict(net: nn.Module, images: np.ndarray, flip: bool = False) -> np.ndarray:
    """Probability of each class: (N, H, W) uint8 -> (N, K) float32 rows that sum to 1.

    flip : take the mean over each face and its mirror image.
    The faces go to the device of ``net`` batch by batch, so that ``images`` may be a memory map.
    """
    device = next(net.parameters()).device
    net.eval()
    made = []
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        for start in range(0, len(images), EVALUATION_BATCH):
            stored = batches.as_tensor(images[start : start + EVALUATION_BATCH]).to(device)
            faces = stored[:, None].float().contiguous(memory_format=torch.channels_last)  # (B, 1, H, W)
            p = net(faces).float().softmax(dim=1)
            if flip:
                p = (p + net(faces.flip(3)).float().softmax(dim=1)) / 2
            made.append(p)
    return torch.cat(made).cpu().numpy()
