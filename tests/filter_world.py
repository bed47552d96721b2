"""Networks small enough to work out by hand, and faces made of stripes."""

from collections import OrderedDict

import numpy as np
import pandas as pd
import torch
from torch import nn

from ferlib.datasets import FaceSet

ACROSS = [[1, 1, 1], [-1, -1, -1], [0, 0, 0]]  # answers to a bright row above a dark one
DOWN = [[1, -1, 0], [1, -1, 0], [1, -1, 0]]
EMOTIONS = ("anger", "happiness")


class Watcher(nn.Module):
    """One convolution with given kernels and biases, its ReLU, and the largest answer of each filter."""

    def __init__(self, kernels, biases=0.0):
        super().__init__()
        kernels = torch.as_tensor(np.asarray(kernels), dtype=torch.float32)[:, None]  # (F, 1, k, k)
        conv = nn.Conv2d(1, len(kernels), kernels.shape[-1], padding=kernels.shape[-1] // 2)
        conv.weight.data, conv.bias.data = kernels, torch.zeros(len(kernels)) + torch.as_tensor(biases)
        self.block = nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU()))

    def forward(self, faces):
        return self.block(faces.float()).amax(dim=(2, 3))


def striped(contrast, size=8, direction="across"):
    """(size, size) uint8: grey 100 with one line brighter by ``contrast``, in the middle."""
    image = np.full((size, size), 100.0)
    image[size // 2, 2:-2] += contrast
    return (image if direction == "across" else image.T).astype(np.uint8)


def striped_faces(n=24, n_people=6):
    """Anger is a line across, happiness a line down; people differ in strength."""
    truth = np.arange(n) % 2
    person = np.arange(n) // 2 % n_people
    pairs = zip(truth, person, strict=True)
    images = np.stack([striped(40 + 10 * p, direction=("across", "down")[t]) for t, p in pairs])
    table = pd.DataFrame({"row": np.arange(n), "image": [f"{i}" for i in range(n)]})
    table["emotion"] = [EMOTIONS[t] for t in truth]
    table["subject"] = [f"S{p}" for p in person]
    return FaceSet(images, table, "synthetic-striped", "digest", True, {}, EMOTIONS)


def n_hooks(model):
    """How many hooks hang on a model and its parts."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)
