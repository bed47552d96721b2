"""Distance from life: networks that have seen drawn faces alone name the emotions of photographs.

Each drawn face is photographed anew at every look: another crop, another contrast, other noise.  Stronger changes of
light and focus, and wider ones of framing, were tried on photographs of FER2013's Training part and left it there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from ferlib import devices
from ferlib.datasets import FaceSet
from ferlib.labels import FER2013_CODES

SIDE = 48  # px
_BATCH = 128


@dataclass(frozen=True)
class Training:
    """How the networks are trained; chosen on photographs of FER2013's Training part alone."""

    n_faces: int = 12_000  # drawn, the seven classes in equal shares, two pictures a person
    n_epochs: int = 8
    n_networks: int = 2  # whose log probabilities are averaged
    widths: tuple[int, ...] = (16, 32, 64, 96)  # maps of the four blocks
    lr: float = 3e-3  # the peak of one cycle of AdamW
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    dropout: float = 0.4
    seed: int = 77


def draw_balanced(n: int, seed: int, workers: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """``n`` faces in FER2013's manner: pictures (N, 48, 48) uint8 and classes (N,) int64 in FER2013's order."""
    from ferlib.synthetic.workshop import in_parallel
    from ferlib.synthetic.writers import draw_fer2013

    rows = np.arange(n)
    plan = pd.DataFrame(
        {"row": rows, "person": rows // 2, "shown": np.array(FER2013_CODES)[rows % 7], "emotion": rows % 7}
    )
    pieces = [(plan.iloc[i : i + 250], seed, SIDE) for i in range(0, n, 250)]
    drawn = in_parallel(draw_fer2013, pieces, workers, "drawn faces")
    images = np.concatenate([grey for grey, _ in drawn])
    return torch.as_tensor(images), torch.as_tensor(rows % 7)


def standardised(x: torch.Tensor) -> torch.Tensor:
    """Pictures (N, 1, H, W) in [0, 255] with zero mean and about unit deviation each."""
    x = x.float()
    return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 8)


def photographed_anew(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures (N, 1, H, W) uint8, standardised, each with another framing, contrast and noise, half of them in part
    hidden: mirrored or not, turned by up to 7 degrees, scaled by up to 12 % and shifted by up to 5 % of the side."""
    n, side = len(x), x.shape[-1]
    spread = lambda width: (torch.rand(n, generator=rng) - 0.5) * width  # noqa: E731
    turn, size, mirror = spread(0.25), 1 + spread(0.24), torch.where(spread(1.0) < 0, -1.0, 1.0)
    top = torch.stack([size * turn.cos() * mirror, -size * turn.sin(), spread(0.2)], 1)
    low = torch.stack([size * turn.sin() * mirror, size * turn.cos(), spread(0.2)], 1)
    grid = F.affine_grid(torch.stack([top, low], 1), list(x.shape), align_corners=False)
    x = F.grid_sample(standardised(x), grid, padding_mode="border", align_corners=False)
    at, u = torch.arange(float(side)), lambda: torch.rand(n, 1, 1, 1, generator=rng)
    half = 7.5 * u().round()  # pixels; none for one in two
    hidden = ((at - side * u()).abs() < half) & ((at[:, None] - side * u()).abs() < half)
    normal = lambda *shape: torch.randn(shape or (n, 1, 1, 1), generator=rng)  # noqa: E731
    x = torch.where(hidden, normal(), x)
    return x * (1 + 0.2 * normal()) + 0.1 * normal(*x.shape)


def network(how: Training) -> nn.Module:
    """Four blocks of convolution, batch norm, rectifier and pooling, and a classifier of seven emotions."""
    layers: list[nn.Module] = []
    for before, after in zip((1, *how.widths), how.widths, strict=False):
        conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    places = (SIDE // 2 ** len(how.widths)) ** 2
    head = nn.Linear(places * how.widths[-1], len(FER2013_CODES))
    return nn.Sequential(*layers, nn.Dropout(how.dropout), nn.Flatten(), head)


def trained(images: torch.Tensor, classes: torch.Tensor, how: Training, seed: int) -> nn.Module:
    """A network trained on ``images`` (N, 48, 48) uint8 and ``classes`` (N,): AdamW under one cycle.

    One thread computes, so that the network does not depend on the machine's cores.
    """
    with devices.settled(1):
        torch.manual_seed(seed)
        rng = torch.Generator().manual_seed(seed)
        net = network(how).to(memory_format=torch.channels_last)
        whole = len(images) // _BATCH * _BATCH
        optimiser = torch.optim.AdamW(net.parameters(), how.lr, weight_decay=how.weight_decay)
        steps = how.n_epochs * whole // _BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.lr, total_steps=steps)
        for _ in range(how.n_epochs):
            for rows in torch.randperm(len(images), generator=rng)[:whole].split(_BATCH):
                faces = photographed_anew(images[rows, None], rng)
                logits = net(faces.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(logits, classes[rows], label_smoothing=how.label_smoothing)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return net.eval()


def log_probabilities(nets: list[nn.Module], images: np.ndarray) -> torch.Tensor:
    """(N, 7) of pictures (N, 48, 48) uint8: the mean over the networks, each face and its mirror image."""
    parts = []
    with torch.inference_mode():
        for some in torch.as_tensor(np.array(images))[:, None].split(500):  # a copy: stores are read-only
            seen = standardised(some)
            said = [net(face).log_softmax(1) for net in nets for face in (seen, seen.flip(-1))]
            parts.append(torch.stack(said).mean(0))
    return torch.cat(parts)


def networks(how: Training, workers: int | None = None) -> list[nn.Module]:
    """Networks trained on the same drawn faces, each from other first weights."""
    images, classes = draw_balanced(how.n_faces, how.seed, workers)
    return [trained(images, classes, how, how.seed + i) for i in range(how.n_networks)]


def calibration(score: torch.Tensor | None = None) -> torch.Tensor:
    """What to add to log probabilities (N, 7) of classes taken as equally likely, so that FER2013's shares count.

    Without ``score`` these are the logarithms of the shares (Bayes).  Networks of drawn faces lean to some classes on
    any photograph; with the ``score`` (N, 7) of photographs whose labels nobody looks at, the mean probability of each
    class over them becomes its share (iterated as in Saerens et al. 2002, "Adjusting the outputs of a classifier to
    new a priori probabilities").
    """
    from ferlib.synthetic.writers import FER2013_SHARES

    shares = torch.as_tensor(FER2013_SHARES).log()
    if score is None:
        return shares
    added = torch.zeros(len(shares), dtype=shares.dtype)
    for _ in range(200):
        added += shares - (score + added).softmax(1).mean(0).log()
    return added


def predictions(nets: list[nn.Module], faces: FaceSet, unlabelled: np.ndarray | None = None) -> pd.DataFrame:
    """What ``nets`` name the photographs ``faces``: ``row subject truth`` and the probability of each class.

    unlabelled : other photographs (M, 48, 48) uint8 that :func:`calibration` looks at; by default none.
    """
    added = calibration(None if unlabelled is None else log_probabilities(nets, unlabelled))
    probability = (log_probabilities(nets, faces.images) + added).softmax(1).numpy()
    people = faces.subjects if faces.subjects is not None else faces.table["row"].astype(str)
    described = {"row": faces.table["row"], "subject": people, "truth": faces.table["emotion"]}
    return pd.concat(
        [pd.DataFrame(described), pd.DataFrame(probability, columns=list(FER2013_CODES))], axis=1
    )
