"""What looking into a network costs, against running it:  python tests/benchmarks/bench_filters.py [--quick].

The ranking pass (strongest faces, positions, histogram) over a bare forward pass of the same faces, in one run,
for every convolution of the quick and the paper network: each pair is timed in turn, the median ratio counts.
Ends with an error where a ratio is above the limit.  Also told: batched attribution and tuning faces a second.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ferlib import devices, filters, models
from ferlib.filters.record import BATCH, batch_of

LIMIT = 1.3
WIDTHS = {"quick": 0.25, "paper": 1.0}
SIZE, K = 48, 25


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes, in seconds of CPU: what else runs on the machine does not count."""
    started = time.process_time()
    function()
    return time.process_time() - started


@torch.inference_mode()
def bare(model: torch.nn.Module, images: np.ndarray) -> None:
    """The forward pass over all faces, in the batches of the ranking pass."""
    for start in range(0, len(images), BATCH):
        model(batch_of(images[start : start + BATCH], model))


def ratio(model: torch.nn.Module, images: np.ndarray, layer: str, rounds: int) -> tuple[float, float]:
    """Median ratio of ranking to bare forward, and faces a second of the ranking."""
    pairs = [
        (seconds(lambda: bare(model, images)), seconds(lambda: filters.rank(model, images, layer, K)))
        for _ in range(rounds)
    ]
    forward, ranking = np.array(pairs).T
    return float(np.median(ranking / forward)), len(images) / float(np.median(ranking))


def main(n_quick: int, n_paper: int, rounds: int) -> bool:
    """Whether every ratio is within the limit."""
    rng, fine = np.random.default_rng(0), True
    for name, width in WIDTHS.items():
        model = models.build("EmotionCNN", {"n_classes": 8, "size": SIZE, "width": width}).eval()
        n = n_quick if name == "quick" else n_paper
        images = rng.integers(0, 256, (n, SIZE, SIZE)).astype(np.uint8)
        bare(model, images[:BATCH])  # warm up
        for layer in filters.conv_layers(model):
            found, speed = ratio(model, images, layer, rounds)
            fine &= found <= LIMIT
            verdict = "ok" if found <= LIMIT else f"ABOVE {LIMIT}"
            print(
                f"{name:>6} {layer}: ranking / forward {found:.3f}, {speed:,.0f} faces/s, n = {n}  {verdict}"
            )
        chosen = np.arange(64) % filters.rank(model, images[:64], layer).histogram.shape[0]
        took = seconds(lambda: filters.guided_backprop(model, layer, images[:64], chosen))  # noqa: B023
        print(f"{name:>6} {layer}: guided back-propagation of 64 units {took:.2f} s")
    return fine


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer faces and rounds")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    devices.keep_freed_memory()
    sys.exit(0 if main(*((768, 64, 3) if given.quick else (2048, 384, 5))) else 1)
