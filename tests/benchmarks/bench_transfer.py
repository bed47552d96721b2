"""What a train x test matrix costs beside the forward passes and the heads that it cannot do without.

    python tests/benchmarks/bench_transfer.py [--n 3000] [--width 0.5]

Two corpora of random pictures, 48 px, one network each, which names them as it is and with heads fitted on three
shares of the labels.  A unit is one network on one corpus in one of these ways.  *Passes needed*: every network once
over every corpus.  *Heads*: each fitted once, on features that are there.  *Whole matrix*: all of it, with writing
features and answers.  All are CPU seconds on one thread, so that other processes on the machine count little.
The limit is broken where the matrix without its heads costs more than 1.5 x the passes.

The whole can take less than the passes that it needs, and the ratio is then below 1: the passes are made
with networks as they are loaded, weights in the order in which they are stored; the matrix first puts the weights in
the order of the faces (channels last), and a convolution on a CPU is then much quicker.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time

os.environ["FERLIB_HOME"] = tempfile.mkdtemp(prefix="ferlib-bench-")

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from ferlib import datasets, features, learner, transfer
from ferlib.labels import EMOTIONS
from ferlib.recipes import TrainConfig
from ferlib.transfer import settings
from ferlib.transfer.matrix import rows_of
from ferlib.transfer.retrained import fit_head
from ferlib.transfer.samples import share_of

LIMIT = 1.5
CORPORA = ("synthetic-bench-a", "synthetic-bench-b")


def make_corpus(name: str, n: int, seed: int) -> None:
    """Pictures of noise, whose brightness says a little about their class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(len(EMOTIONS), size=n)
    images = (rng.integers(0, 150, (n, 48, 48)) + 12 * truth[:, None, None]).astype(np.uint8)
    table = pd.DataFrame({"image": [str(i) for i in range(n)], "emotion": [EMOTIONS[k] for k in truth]})
    table["split"] = np.repeat(["train", "val", "test"], [n * 8 // 10, n // 10, n - n * 8 // 10 - n // 10])
    datasets.write_store(name, images, table, {"synthetic": True, "licence": "none", "source": "benchmark"})


def seconds(work) -> float:
    """CPU seconds of ``work()``."""
    started = time.process_time()
    work()
    return time.process_time() - started


def passes(matrix, nets) -> None:
    """Every network once over every corpus, and nothing else."""
    for runs in nets.values():
        for corpus in matrix.corpora:
            learner.predict(runs[0].model(), settings.faces_of(matrix, corpus).images)


def heads(matrix, nets) -> None:
    """Every head of the matrix, on features that are there."""
    for runs in nets.values():
        for corpus in matrix.corpora:
            x, parts = (
                features.of(runs[0], settings.faces_of(matrix, corpus)),
                settings.parts_of(matrix, corpus, 0),
            )
            for share in matrix.shares:
                train, val = (share_of(part, share, at_least=2) for part in (parts.train, parts.val))
                at = [x[rows_of(matrix, corpus, part)] for part in (train, val)]
                fit_head(at[0], train.labels, at[1], val.labels, len(train.emotions))


def main(n: int, width: float) -> int:
    torch.set_num_threads(1)
    for seed, name in enumerate(CORPORA):
        make_corpus(name, n, seed)
    train = TrainConfig(width=width, n_epochs=1, size=48, threads=1, device="cpu")
    matrix = transfer.Matrix(CORPORA, train, modes=("as is", "head"))
    with threadpool_limits(1):
        nets = transfer.networks(matrix)
        passes(matrix, nets)  # warms up
        whole = seconds(lambda: transfer.answers(matrix, nets))
        forward, fitting = seconds(lambda: passes(matrix, nets)), seconds(lambda: heads(matrix, nets))
    ratio = (whole - fitting) / forward
    print(f"{n:,} faces a corpus, width {width}: {len(transfer.units_of(matrix, nets))} units, one thread")
    print(f"  passes needed {forward:.2f} s, heads {fitting:.2f} s, whole matrix {whole:.2f} s")
    print(
        f"  (matrix - heads) / passes = {ratio:.2f}, limit {LIMIT}: {'kept' if ratio <= LIMIT else 'BROKEN'}"
    )
    return int(ratio > LIMIT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--width", type=float, default=0.5)
    wish = parser.parse_args()
    code = main(wish.n, wish.width)
    shutil.rmtree(os.environ["FERLIB_HOME"])
    sys.exit(code)
