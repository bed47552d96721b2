"""A corpus whose emotion anybody can see: a bright bar at the top, in the middle or at the bottom."""

import numpy as np
import pandas as pd

from ferlib.datasets import FaceSet

EMOTIONS = ("anger", "happiness", "surprise")


def tiny_faces(n=240, size=16, seed=0, people=0):
    """``n`` noisy faces; 70, 15 and 15 % train, val and test, or ``people`` subjects and no splits."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    images = rng.integers(0, 90, size=(n, size, size)).astype(np.uint8)
    for image, k in zip(images, truth, strict=True):
        image[size // 4 + k * size // 5 :][: size // 6, size // 4 : -size // 4] += 70
    table = pd.DataFrame({"row": np.arange(n), "image": [f"{i}" for i in range(n)]})
    table["emotion"] = [EMOTIONS[k] for k in truth]
    if people:
        table["subject"] = [f"S{i % people:02d}" for i in range(n)]
    else:
        table["split"] = np.repeat(["train", "val", "test"], [n - 2 * (n * 15 // 100)] + [n * 15 // 100] * 2)
    return FaceSet(images, table, "synthetic-tiny", f"digest{seed}", True, {}, EMOTIONS)
