"""Distance from life: networks that have seen drawn faces alone name the emotions of photographs.

Each drawn face is photographed anew at every look: another crop, another contrast, other noise.  Every second network
sees local contrast, so that they err apart.  Tried on photographs of FER2013's Training part and left out: stronger
changes of light and focus, wider ones of framing, elastic warps, a coarser first block, batch norm of photographs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from ferlib import devices
from ferlib.datasets import FaceSet
from ferlib.labels import FER2013_CODES

SIDE = 48  # px
WINDOW = 13  # px a side, over which local contrast is taken
PRIOR = 0.75  # part of the log shares that counts: all serves accuracy, nothing the mean recall
_BATCH = 128


@dataclass(frozen=True)
class Training:
    """How the networks are trained; chosen on photographs of FER2013's Training part alone."""

    n_faces: int = 24_000  # drawn, the seven classes in equal shares, two pictures a person
    n_epochs: int = 7
    n_networks: int = 4  # whose log probabilities are averaged
    widths: tuple[int, ...] = (16, 32, 64, 96)  # maps of the four blocks
    lr: float = 3e-3  # the peak of one cycle of AdamW
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    dropout: float = 0.4
    seed: int = 77


def draw_balanced(n: int, seed: int, workers: int | None = None) -> tuple[np.ndarray, np.ndarray]:
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
    return images, rows % 7


def standardised(x: torch.Tensor, window: int = 0) -> torch.Tensor:
    """Pictures (N, 1, H, W) in [0, 255] with zero mean and about unit deviation each.

    window : side in pixels, odd, of the square around each pixel whose mean and deviation count; 0 takes the picture.
    """
    x = x.float()
    if not window:
        return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 8)
    near = lambda y: F.avg_pool2d(F.pad(y, [window // 2] * 4, mode="reflect"), window, 1)  # noqa: E731
    x = x - near(x)
    return x / (near(x * x).sqrt() + 8)


def photographed_anew(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Pictures (N, 1, H, W), standardised, each with another framing, contrast and noise, half of them in part hidden:
    mirrored or not, turned by up to 7 degrees, scaled by up to 12 % and shifted by up to 5 % of the side."""
    n, side = len(x), x.shape[-1]
    spread = lambda width: (torch.rand(n, generator=rng) - 0.5) * width  # noqa: E731
    turn, size, mirror = spread(0.25), 1 + spread(0.24), torch.where(spread(1.0) < 0, -1.0, 1.0)
    top = torch.stack([size * turn.cos() * mirror, -size * turn.sin(), spread(0.2)], 1)
    low = torch.stack([size * turn.sin() * mirror, size * turn.cos(), spread(0.2)], 1)
    grid = F.affine_grid(torch.stack([top, low], 1), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    at, u = torch.arange(float(side)), lambda: torch.rand(n, 1, 1, 1, generator=rng)
    half = 7.5 * u().round()  # pixels; none for one in two
    hidden = ((at - side * u()).abs() < half) & ((at[:, None] - side * u()).abs() < half)
    normal = lambda *shape: torch.randn(shape or (n, 1, 1, 1), generator=rng)  # noqa: E731
    x = torch.where(hidden, normal(), x)
    return x * (1 + 0.2 * normal()) + 0.1 * normal(*x.shape)


class Network(nn.Sequential):
    """Four blocks of convolution, batch norm, rectifier and pooling, and a classifier of seven emotions: standardised
    pictures (N, 1, 48, 48) -> logits (N, 7).  ``window`` says how its pictures are :func:`standardised`."""

    def __init__(self, how: Training, window: int = 0) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((1, *how.widths), how.widths, strict=False):
            conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        places = (SIDE // 2 ** len(how.widths)) ** 2
        head = nn.Linear(places * how.widths[-1], len(FER2013_CODES))
        super().__init__(*layers, nn.Dropout(how.dropout), nn.Flatten(), head)
        self.window = window


def trained(images: np.ndarray, classes: np.ndarray, how: Training, number: int) -> Network:
    """The network ``number`` of ``images`` (N, 48, 48) uint8 and ``classes`` (N,): AdamW under one cycle.

    Each starts from other weights; those of odd number see local contrast.  One thread computes, so that the network
    does not depend on the machine's cores.
    """
    with devices.settled(1):
        torch.manual_seed(how.seed + number)
        rng = torch.Generator().manual_seed(how.seed + number)
        net = Network(how, WINDOW * (number % 2)).to(memory_format=torch.channels_last)
        pictures, answers = torch.as_tensor(images)[:, None], torch.as_tensor(classes)
        whole = len(images) // _BATCH * _BATCH
        optimiser = torch.optim.AdamW(net.parameters(), how.lr, weight_decay=how.weight_decay)
        steps = how.n_epochs * whole // _BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.lr, total_steps=steps)
        for _ in range(how.n_epochs):
            for rows in torch.randperm(len(images), generator=rng)[:whole].split(_BATCH):
                faces = photographed_anew(standardised(pictures[rows], net.window), rng)
                logits = net(faces.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(logits, answers[rows], label_smoothing=how.label_smoothing)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return net.eval()


def nearer(x: torch.Tensor, px: int) -> torch.Tensor:
    """The middle of pictures (N, 1, S, S), without ``px`` pixels on each side of what was enlarged by as many."""
    side = x.shape[-1]
    return F.interpolate(x, size=side + 2 * px, mode="bilinear")[..., px : side + px, px : side + px]


def log_probabilities(nets: list[Network], images: np.ndarray) -> torch.Tensor:
    """(N, 7) of pictures (N, 48, 48) uint8: the mean over the networks, each face and its mirror image, as they are
    and one and two twelfths larger (a face fills less of a photograph than of a drawing)."""
    parts = []
    with torch.inference_mode():
        for some in torch.as_tensor(np.array(images))[:, None].split(500):  # a copy: stores are read-only
            seen = [(net, nearer(standardised(some, net.window), px)) for net in nets for px in (0, 2, 4)]
            said = [net(face).log_softmax(1) for net, x in seen for face in (x, x.flip(-1))]
            parts.append(torch.stack(said).mean(0))
    return torch.cat(parts)


def networks(how: Training, workers: int | None = None) -> list[Network]:
    """Networks trained on the same drawn faces, as many at once as there are ``workers`` (default: one a core)."""
    from ferlib.synthetic.workshop import in_parallel

    task = partial(trained, *draw_balanced(how.n_faces, how.seed, workers), how)
    return in_parallel(task, range(how.n_networks), workers, "networks of drawn faces")


def calibration(score: torch.Tensor | None = None, prior: float = PRIOR) -> torch.Tensor:
    """What to add to log probabilities (N, 7) of classes taken as equally likely, so that FER2013's shares count.

    Without ``score`` these are the logarithms of the shares (Bayes), times ``prior``.  Networks of drawn faces lean to
    some classes on any photograph; with the ``score`` (N, 7) of photographs whose labels nobody looks at, the mean
    probability of each class over them becomes its share (iterated as in Saerens et al. 2002, "Adjusting the outputs
    of a classifier to new a priori probabilities"), before ``1 - prior`` of the logarithms is taken off again.
    """
    from ferlib.synthetic.writers import FER2013_SHARES

    shares = torch.as_tensor(FER2013_SHARES).log()
    added = shares.clone()
    if score is not None:
        for _ in range(200):
            added += shares - (score + added).softmax(1).mean(0).log()
    return added - (1 - prior) * shares


def predictions(nets: list[Network], faces: FaceSet, unlabelled: np.ndarray | None = None) -> pd.DataFrame:
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
