"""Small corpora for the tests of transfer: bars at three heights, people, and what else a test wants changed."""

import numpy as np
import pandas as pd

from ferlib import datasets
from ferlib.recipes import TrainConfig
from ferlib.transfer import Matrix

EMOTIONS = ("anger", "happiness", "surprise")


def bars(n, size, rng, names, dim=0):
    """``n`` noisy pictures (n, size, size), whose bar's height says which of ``names``; and the names."""
    truth = rng.integers(len(names), size=n)
    images = rng.integers(0, 90 - dim, size=(n, size, size)).astype(np.uint8)
    for image, k in zip(images, truth, strict=True):
        at = size // 6 + EMOTIONS.index(names[k]) * size // 4 if names[k] in EMOTIONS else size * 5 // 6
        image[at:][: size // 6, size // 4 : -size // 4] += 70
    return images, [names[k] for k in truth]


def corpus(name, n=160, seed=0, people=20, names=EMOTIONS, permuted=False, dim=0):
    """Store and load ``name``; without ``people`` it has train, val and test splits instead."""
    rng = np.random.default_rng(seed)
    images, emotions = bars(n, 16, rng, names, dim)
    if permuted:
        emotions = list(rng.permutation(emotions))
    table = pd.DataFrame({"image": [f"{name}-{i}" for i in range(n)], "emotion": emotions})
    if people:
        table["subject"] = [f"S{i % people:02d}" for i in range(n)]
    else:
        table["split"] = np.repeat(
            ["train", "val", "test"], [n * 6 // 10, n // 10, n - n * 6 // 10 - n // 10]
        )
    told = {"synthetic": True, "licence": "none", "source": "test"}
    datasets.write_store(name, images, table, told)
    return datasets.load(name)


def matrix(*corpora, **changes):
    """A matrix of tiny networks."""
    train = TrainConfig(width=0.05, n_epochs=4, batch_size=16, size=16, threads=1, device="cpu", lr=3e-3)
    wish = {"n_folds": 2, "shares": (1.0,), "tuned_shares": (1.0,), "tuning_seen": 100}
    return Matrix(tuple(corpora), train, **(wish | changes))
