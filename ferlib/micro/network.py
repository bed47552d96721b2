"""The paper's network for clips: features of an emotion network, frame by frame, into one LSTM layer and a softmax.

The emotion network may first be fine-tuned on onset, apex and offset frames of the training people; its dense
layers are dropped (Breuer & Kimmel 2017, sec. 4).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ferlib import augment, batches, features, splits
from ferlib.config import DataError, UsageError, check_name
from ferlib.datasets import FaceSet
from ferlib.micro.motion import INPUTS

TUNING_AUGMENTATION = augment.Augmentation(rotation=5.0, shift=0.04, zoom=0.05, shear=0.0)
MIN_SD = 1e-3


@dataclass(frozen=True)
class ClipConfig:
    """How clips are read, and how the LSTM learns.  What the paper leaves open is chosen here."""

    input: str = "grey"  # what the emotion network is shown: see motion.INPUTS
    n_frames: int = 16  # each clip is brought to this length; 0: as filmed, padded
    relative: bool = False  # features less those of the onset
    pool: int = 2  # the last maps are averaged to this many places on each side
    hidden: int = 64  # units of the LSTM
    dropout: float = 0.3  # before the output
    recurrent_dropout: float = 0.3  # of the state that an LSTM hands on to itself
    n_epochs: int = 30
    batch_size: int = 32
    lr: float = 3e-3
    weight_decay: float = 1e-2
    tuning_epochs: int = 4  # of the emotion network on onset, apex and offset
    tuning_lr: float = 5e-4
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("input", self.input, INPUTS)
        for name in ("pool", "hidden", "n_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must lie in [0, 1)")


# ---------------------------------------------------------------------------------------------- the network


class ClipLSTM(nn.Module):
    """One LSTM layer over the features of a clip, dropout, and a linear output.

    Recurrent dropout drops the same units of the state at every step (Gal & Ghahramani 2016), as Keras does, and
    in all clips of a batch.  Its buffers ``mean`` and ``sd`` bring the features to zero mean and unit deviation.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden: int = 64,
        dropout: float = 0.3,
        recurrent_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.sd: torch.Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("sd", torch.ones(n_features))
        self.lstm = nn.LSTM(n_features, hidden, batch_first=True)  # holds the weights; see states
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, n_classes)
        self.recurrent_dropout = recurrent_dropout
        nn.init.orthogonal_(self._weights()[1])
        with torch.no_grad():
            self._weights()[2][hidden : 2 * hidden] += 1.0  # the forget gate opens (Jozefowicz et al. 2015)

    def _weights(self) -> tuple[torch.Tensor, ...]:
        """Input weights, recurrent weights and the two biases of the LSTM, gates in the order i f g o."""
        return tuple(self.lstm.all_weights[0])

    def states(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, F) features -> (B, T, hidden) states after each frame."""
        of_input, of_state, *biases = self._weights()
        weights = [of_input, of_state * self._kept(of_state), *biases]
        nothing = x.new_zeros(1, len(x), self.lstm.hidden_size)
        x = (x - self.mean) / self.sd
        # what nn.LSTM calls, which has no recurrent dropout: dropping units of the state drops these columns
        return torch.lstm(x, (nothing, nothing), weights, True, 1, 0.0, False, False, True)[0]

    def _kept(self, of_state: torch.Tensor) -> torch.Tensor:
        """(hidden,) 0 for the units that are dropped in this batch, and more than 1 for the others."""
        share = 1 - self.recurrent_dropout
        if not self.training or share == 1:
            return of_state.new_ones(of_state.shape[1])
        return torch.bernoulli(of_state.new_full((of_state.shape[1],), share)) / share

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T, F) -> (B, n_classes) logits after the last frame of each clip; ``lengths`` (B,) counts its frames."""
        states = self.states(x)
        last = states[:, -1] if lengths is None else states[torch.arange(len(x)), lengths - 1]
        return self.output(self.dropout(last))


# --------------------------------------------------------------------------------------------- its examples


@dataclass(frozen=True, eq=False)
class Examples:
    """Clips as the LSTM gets them.

    x : (C, T, F) float32, zero beyond a clip's length.  lengths : (C,) int64.  labels : (C,) int64.
    clips : which clips they are, as :meth:`ferlib.micro.clips.Clips.as_faces` gives them; knows its role.
    """

    x: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    clips: FaceSet

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, part: FaceSet) -> Examples:
        """Those of the clips in ``part``, with its role; clips are found by their ``row``."""
        at = {row: i for i, row in enumerate(self.clips.table["row"])}
        rows = [at[row] for row in part.table["row"]]
        return Examples(self.x[rows], self.lengths[rows], self.labels[rows], part)


def features_of(net: nn.Module, frames: Sequence[np.ndarray], pool: int) -> tuple[np.ndarray, np.ndarray]:
    """The last maps of an emotion network, averaged to ``pool`` x ``pool`` places.

    frames : C arrays (T_c, H, W) uint8.  Returns (C, max T, F * pool * pool) float32 and lengths (C,) int64.
    """
    # a clip that stands still is read once
    seen = [clip[:1] if (clip == clip[:1]).all() else clip for clip in frames]
    ends = np.cumsum([len(clip) for clip in seen])[:-1]
    rows = np.split(_pooled(net, np.concatenate(seen), pool), ends)
    again = [np.repeat(part, len(clip) // len(part), axis=0) for part, clip in zip(rows, frames, strict=True)]
    return padded(np.concatenate(again), frames)


def padded(rows: np.ndarray, frames: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (sum of T, F) of the frames of C clips as (C, max T, F) float32, with their lengths (C,)."""
    lengths = np.array([len(clip) for clip in frames])
    made = np.zeros((len(frames), lengths.max(), rows.shape[1]), np.float32)
    for i, part in enumerate(np.split(rows, np.cumsum(lengths)[:-1])):
        made[i, : len(part)] = part
    return made, lengths


@torch.inference_mode()
def _pooled(net: nn.Module, images: np.ndarray, pool: int) -> np.ndarray:
    net.eval()
    made = []
    for _, faces in features.batched(images):
        maps = net.features(faces)  # type: ignore[operator]
        made.append(F.adaptive_avg_pool2d(maps, min(pool, maps.shape[-1])).flatten(1).contiguous())
    return torch.cat(made).numpy()


def relative(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Features (C, T, F) less those of each clip's onset; zero beyond its length."""
    there = np.arange(x.shape[1]) < lengths[:, None]
    return (x - x[:, :1]) * there[:, :, None]


def without_movement(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Features (C, T, F) of clips in which every frame was replaced by the onset."""
    there = np.arange(x.shape[1]) < lengths[:, None]
    return x[:, :1] * there[:, :, None]


# ------------------------------------------------------------------------------------------------- training


@dataclass
class FittedClips:
    """The LSTM of the best epoch; ``history`` has a row an epoch; ``watched`` (E, n, K) probabilities."""

    net: ClipLSTM
    history: list[dict[str, float]]
    best_epoch: int
    watched: np.ndarray


def fit(
    train: Examples, val: Examples, n_classes: int, config: ClipConfig, watch: Examples | None = None
) -> FittedClips:
    """Train the LSTM on ``train``; keep the epoch that is best on ``val``: by accuracy, then loss, then the first.

    watch : clips that are predicted after every epoch and never choose; for the audit of leaks.
    Raises ``LeakError`` where ``val`` is a test part or shares a person with ``train``.
    """
    splits.refuse_leaks(train.clips, val.clips, val.clips.select(np.zeros(len(val), bool)))
    torch.manual_seed(config.seed)
    n_features = train.x.shape[2]
    net = ClipLSTM(n_features, n_classes, config.hidden, config.dropout, config.recurrent_dropout)
    _standardise(net, train)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    history: list[dict[str, float]] = []
    watched, best, best_epoch, best_weights = [], (-1.0, -float("inf")), -1, net.state_dict()
    for epoch in range(config.n_epochs):
        loss = _epoch(net, optimiser, train, config, epoch)
        p = predict(net, val)
        of_truth = p[np.arange(len(val)), val.labels]
        val_loss = float(-np.log(np.maximum(of_truth, 1e-12)).mean())
        score = float((p.argmax(axis=1) == val.labels).mean()), -val_loss
        history.append({"epoch": epoch, "train_loss": loss, "val_accuracy": score[0], "val_loss": val_loss})
        watched.append(predict(net, watch) if watch is not None else p[:0])
        if score > best:
            best, best_epoch, best_weights = score, epoch, copy.deepcopy(net.state_dict())
    net.load_state_dict(best_weights)
    return FittedClips(net.eval(), history, best_epoch, np.stack(watched))


def _standardise(net: ClipLSTM, train: Examples) -> None:
    there = np.arange(train.x.shape[1]) < train.lengths[:, None]
    seen = train.x[there]
    net.mean.copy_(torch.from_numpy(seen.mean(axis=0)))
    net.sd.copy_(torch.from_numpy(np.maximum(seen.std(axis=0), MIN_SD)))


def _epoch(
    net: ClipLSTM, optimiser: torch.optim.Optimizer, train: Examples, config: ClipConfig, epoch: int
) -> float:
    net.train()
    torch.manual_seed(1_000_003 * config.seed + epoch)  # of dropout
    total = 0.0
    for index in batches.epoch_batches(len(train), config.batch_size, config.seed, epoch):
        at = index.numpy()
        x, lengths, labels = (torch.from_numpy(a[at]) for a in (train.x, train.lengths, train.labels))
        loss = F.cross_entropy(net(x, lengths), labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        total += loss.item() * len(at)
    return total / len(train)


@torch.inference_mode()
def predict(net: ClipLSTM, examples: Examples) -> np.ndarray:
    """Probability of each class after the last frame: (C, K) float32."""
    net.eval()
    x, lengths = torch.from_numpy(examples.x), torch.from_numpy(examples.lengths)
    return net(x, lengths).softmax(dim=1).numpy()


@torch.inference_mode()
def frame_by_frame(net: ClipLSTM, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States (C, T, hidden) and probabilities (C, T, K) after each frame of features (C, T, F)."""
    net.eval()
    states = net.states(torch.from_numpy(x))
    return states.numpy(), net.output(states).softmax(dim=2).numpy()


# ---------------------------------------------------------------------------------------------- fine-tuning


def fine_tuned(net: nn.Module, faces: np.ndarray, labels: np.ndarray, config: ClipConfig) -> nn.Module:
    """A copy of the emotion network ``net``, trained on to name ``labels``; its output layer is new.

    faces : (N, H, W) uint8, onset, apex and offset frames of training people.  labels : (N,) int64.
    Raises ``DataError`` where the faces are not of the size that the network takes.
    """
    torch.manual_seed(config.seed)
    net = copy.deepcopy(net)
    output: nn.Linear = net.output  # type: ignore[assignment]
    net.output = nn.Linear(output.in_features, int(labels.max()) + 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.tuning_lr)
    rows, wanted = torch.arange(len(faces)), torch.from_numpy(labels)
    pictures = batches.as_tensor(np.ascontiguousarray(faces))
    net.train()
    for epoch in range(config.tuning_epochs):
        theta = augment.affine(TUNING_AUGMENTATION, config.seed, epoch, rows)
        for index in batches.epoch_batches(len(faces), 32, config.seed, epoch):
            batch = augment.warp(pictures[index][:, None].float(), theta[index])
            try:
                logits = net(batch.contiguous(memory_format=torch.channels_last))
            except RuntimeError as error:
                raise DataError(
                    f"The network does not take faces of {faces.shape[1:]} pixels: {error}"
                ) from None
            loss = F.cross_entropy(logits, wanted[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()
