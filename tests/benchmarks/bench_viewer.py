"""How fast a moved face and a chosen filter's map follow a slider:  python tests/benchmarks/bench_viewer.py [--quick].

One step is what a live FilterViewer does when a slider moves: draw the face, run the network once, lay the map over
the face, encode the picture.  Timed on one core for the quick and the paper network, where one slider is drawn along
and where every step takes another one, which spares nothing.
The first rate is by the clock; the second counts the seconds of processor that a step took.
Ends with an error where a core cannot do five steps a second.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import pandas as pd
import torch

from ferlib import devices, models
from ferlib.datasets import FaceSet
from ferlib.labels import EMOTIONS
from ferlib.synthetic import primer
from ferlib.viewer import bench

LIMIT_HZ = 5.0
WIDTHS = {"quick": 0.25, "paper": 1.0}
LAYER, UNIT = "block3.conv", 7


def seconds(made: bench.Bench, levels: np.ndarray, moved: str | None) -> list[float]:
    """Of drawing, of the network and its map, and of the picture, for one step."""
    marks = [time.perf_counter()]
    made.face(levels, moved)
    marks.append(time.perf_counter())
    seen = made.look(levels, LAYER, UNIT, moved)
    marks.append(time.perf_counter())
    bench.side_by_side(seen)
    return np.diff([*marks, time.perf_counter()]).tolist()


def main(steps: int) -> bool:
    """Whether every network follows fast enough, even where a new slider is taken at every step."""
    rng, fine = np.random.default_rng(0), True
    for name, width in WIDTHS.items():
        model = models.build("EmotionCNN", {"n_classes": len(EMOTIONS), "size": 48, "width": width}).eval()
        images = rng.integers(0, 256, (64, 48, 48)).astype(np.uint8)
        faces = FaceSet(images, pd.DataFrame({"row": range(64)}), "noise", "0", True, {}, tuple(EMOTIONS))
        made = bench.Bench(model, tuple(EMOTIONS), {"noise": faces})
        stage = made.widget().children[1]
        sliders = [s for column in stage.children[1:] for s in column.children]
        smile = next(s for s in sliders if s.description == "AU 12")
        for way in ("one slider drawn along", "another slider at every step"):
            took, cpu = [], []
            for step in range(steps):
                one = smile if way.startswith("one") else sliders[step % len(sliders)]
                began, used = time.perf_counter(), time.process_time()
                one.value = 5 - one.value if one is not smile else 0.25 * (1 + step % 20)
                took.append(time.perf_counter() - began)
                cpu.append(time.process_time() - used)
            rate, of_core = steps / sum(took), steps / sum(cpu)
            fine &= rate >= LIMIT_HZ
            verdict = "ok" if rate >= LIMIT_HZ else "TOO SLOW"
            print(
                f"{name:>6}, {way:>28}: {rate:5.1f} steps/s, {of_core:5.1f} a second of one core  {verdict}"
            )
        parts = [
            seconds(made, primer.levels_of({"AU12": 0.1 + 4 * step / steps}), None) for step in range(steps)
        ]
        told = zip(("draw", "network and map", "picture"), 1000 * np.median(parts, axis=0), strict=True)
        print(f"{name:>6}, parts of a step: " + ", ".join(f"{part} {ms:.0f} ms" for part, ms in told))
    return fine


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 steps instead of 100")
    given = parser.parse_args()
    torch.set_num_threads(1)
    devices.keep_freed_memory()
    sys.exit(0 if main(20 if given.quick else 100) else 1)
