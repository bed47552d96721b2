"""How fast a network trains, against what the machine can do and against the loop people usually write.

    python tests/benchmarks/bench_training.py [quick paper fast]

A line for each network: the narrow one of the quick profile, the paper's, and the fast recipe's.  All in one run,
interleaved, medians over the rounds, on the GPU where there is one:

- `images_per_s`: faces a second while training, all told; `bare_images_per_s`: the same for bare steps on tensors
  in place, without order, augmentation, progress or checkpoint
- `checkpoint_s`: seconds to write a state to go on from; `evaluated_per_s`: faces a second named, not learned from
- `overhead`: how much longer an epoch takes than its bare steps, 0.05 is 5 %
- `step`: multiply-adds a second of a bare step over those of a float32 matrix product, of which 1 is all that the
  machine can do
- `usual`: faces a second over those of DataLoader + PIL + per-image torchvision transforms; 1.5 is half as many again

Ends with an error where a limit is broken.  Needs an idle machine: other processes on its cores move every ratio.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F
from tqdm import tqdm

from ferlib import devices, learner
from ferlib.datasets import FaceSet
from ferlib.recipes import TrainConfig

EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
FER2013_TRAIN = 25_839  # faces an epoch under public-as-test: what a checkpoint is divided over
ROUNDS = 5
CASES = {  # settings, faces a measurement on a CPU, limits on a CPU
    "quick": ({"width": 0.25}, 2048, {"overhead": 0.10, "usual": 1.15}),
    "paper": ({"width": 1.0}, 384, {"overhead": 0.10, "step": 0.8, "usual": 1.0}),
    "fast": ({"recipe": "fast"}, 0, {"overhead": 0.10}),
}


def drawn(n: int) -> FaceSet:
    """``n`` faces of noise in FER2013's size."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"row": np.arange(n), "emotion": rng.choice(EMOTIONS, n)})
    images = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    return FaceSet(images, table, "synthetic-noise", "", True, {}, EMOTIONS)


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of ``work``, the device's part included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Bare:
    """Forward, backward and step of ``made``'s network on one batch that is already in place."""

    def __init__(self, made: learner.Learner, n: int) -> None:
        batch = min(made.settings.batch_size, n)
        faces = torch.rand(batch, 1, 48, 48, device=made.fabric.device) * 255
        self.faces = faces.contiguous(memory_format=torch.channels_last)
        self.labels, self.made, self.steps = made.labels[:batch], made, n // batch

    def __call__(self) -> None:
        made = self.made
        made.model.train()
        for _ in range(self.steps):
            loss = F.cross_entropy(made.model(self.faces), self.labels)
            made.fabric.backward(loss)
            made.optimiser.step()
            made.optimiser.zero_grad()


class Usual:
    """The loop people usually write: per-image transforms on PIL pictures, loader workers, default layout."""

    def __init__(self, made: learner.Learner, faces: FaceSet) -> None:
        from torchvision import transforms as T

        change = T.Compose(
            [
                T.RandomHorizontalFlip(),
                T.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5),
                T.ToTensor(),
                T.Normalize(0.5, 0.25),
            ]
        )
        data = Pictures(faces, change)
        self.loader: Any = torch.utils.data.DataLoader(
            data, made.settings.batch_size, shuffle=True, num_workers=2, persistent_workers=True
        )
        self.device = made.fabric.device
        self.net = learner.models.build(
            made.recipe.network, learner.network_settings(faces, made.settings)
        ).to(self.device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def __call__(self) -> None:
        self.net.train()
        for faces, labels in self.loader:
            faces, labels = faces.to(self.device), labels.to(self.device)
            self.optimiser.zero_grad()
            F.cross_entropy(self.net(faces), labels).backward()
            self.optimiser.step()


class Pictures(torch.utils.data.Dataset):
    """The faces as PIL pictures, one at a time."""

    def __init__(self, faces: FaceSet, change: Any) -> None:
        self.faces, self.labels, self.change = faces.images, faces.labels, change

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.change(Image.fromarray(self.faces[i])), int(self.labels[i])


def flops_a_face(width: float) -> float:
    """Floating-point operations of one step of ``EmotionCNN`` a 48 px face: forward, and twice backward."""
    maps, dense = [round(m * width) for m in (64, 128, 256)], round(512 * width)
    first = 25 * maps[0] * 48**2
    rest = 25 * (maps[0] * maps[1] * 24**2 + maps[1] * maps[2] * 12**2) + maps[2] * 36 * dense
    return 2 * (2 * first + 3 * rest)  # nobody asks for the gradient of the faces


def matrix_product_rate(device: torch.device, n: int = 2048) -> float:
    """Floating-point operations a second of a float32 matrix product."""
    a, b = (torch.rand(n, n, device=device) for _ in range(2))
    torch.mm(a, b)
    return 2 * n**3 / seconds(lambda: torch.mm(a, b))


def measured(name: str) -> dict[str, float]:
    """The medians of one case."""
    settings, n, _ = CASES[name]
    fabric = devices.fabric("auto")
    on_gpu = fabric.device.type == "cuda"
    faces = drawn(FER2013_TRAIN if on_gpu else n)
    config = TrainConfig(corpus="synthetic-noise", threads=2, **settings).resolved()  # type: ignore[arg-type]
    rounds = []
    with devices.settled(config.threads), tempfile.TemporaryDirectory() as folder:
        made = learner.Learner(faces, config, fabric)
        bare, usual, checkpoints = (
            Bare(made, len(faces)),
            Usual(made, faces),
            learner.Checkpoints(Path(folder)),
        )
        bar = tqdm(disable=True)
        for epoch in range(ROUNDS + 1):
            found = {
                "bare_s": seconds(bare),
                "epoch_s": seconds(lambda: made.epoch(epoch, bar)),  # noqa: B023
                "usual_s": seconds(usual),
                "save_s": seconds(lambda: (checkpoints.save(made.state()), checkpoints.wait())),
                "matmul": matrix_product_rate(fabric.device),
                "evaluate_s": seconds(
                    lambda: learner.validated(made.evaluated, faces, made.recipe.flip_at_test)
                ),
            }
            rounds.append(found)
        shown = {key: median(r[key] for r in rounds[1:]) for key in rounds[0]}  # the first warms up
        n_bare = bare.steps * len(bare.labels)
        bare_rate = median(n_bare / r["bare_s"] for r in rounds[1:])
        passes = median(r["epoch_s"] / len(faces) * n_bare / r["bare_s"] for r in rounds[1:])
        return {
            "images_per_s": median(len(faces) / r["epoch_s"] for r in rounds[1:]),
            "bare_images_per_s": bare_rate,
            "checkpoint_s": shown["save_s"],
            "evaluated_per_s": len(faces) / shown["evaluate_s"],
            "overhead": passes - 1 + shown["save_s"] / (FER2013_TRAIN / bare_rate),
            "step": median(
                flops_a_face(config.width) * n_bare / r["bare_s"] / r["matmul"] for r in rounds[1:]
            ),
            "usual": median(r["usual_s"] / r["epoch_s"] for r in rounds[1:]),
        }


def main() -> int:
    """Print every case and say which limits are broken."""
    on_gpu = torch.cuda.is_available()
    names = sys.argv[1:] or [name for name, (_, n, _) in CASES.items() if n or on_gpu]
    broken = []
    for name in names:
        found, limits = measured(name), {"overhead": 0.10, "usual": 10.0} if on_gpu else CASES[name][2]
        print(f"{name:6}", "  ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)
        for key, limit in limits.items():
            if found[key] > limit if key == "overhead" else found[key] < limit:
                broken.append(f"{name}: {key} {found[key]:.3f}, limit {limit}")
    print("\n".join(broken) or "every limit is kept")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
