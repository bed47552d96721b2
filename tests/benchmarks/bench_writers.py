"""How long it takes to draw the corpora in their native layouts, and how much room they need.

    python tests/benchmarks/bench_writers.py [--size quick|full] [--flat] [--workers N] [NAME ...]

``--flat`` draws flat squares instead of faces: what is left is planning, encoding and writing.
With one worker the CPU seconds are those of all the work, whatever else the machine does.
The quick sizes, drawn FER2013 included, have 90 s on two cores.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from ferlib.synthetic import native
from ferlib.synthetic.native.tree import write_tree

sys.path.insert(0, str(Path(__file__).parents[1]))
LIMIT_S = 90.0


def disk_mb(folder: Path) -> float:
    """Size of all files in ``folder``, MB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def draw(name: str, size: str, out: Path, flat: bool, workers: int | None) -> int:
    """Draw the corpus ``name`` and return its number of frames."""
    if name == "fer2013":
        from ferlib.synthetic.writers import write_fer2013

        n_images = {"quick": 6_000, "full": 35_887}[size]
        write_fer2013(out, n_images, workers=workers)
        return n_images
    if name == "megc":
        native.write_megc(out, size)
        return 0
    from native_stand_in import flat_faces

    module = importlib.import_module(f"ferlib.synthetic.native.{name}")
    plan = module.plan(module.SIZES[size])
    write_tree(out, plan, module.write_labels, workers, flat_faces if flat else None)
    return len(plan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["fer2013", *native.WRITERS])
    parser.add_argument("--size", default="quick", choices=("quick", "full"))
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    total = 0.0
    print(f"{options.size} sizes, {'flat squares' if options.flat else 'faces'}")
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            started, cpu_started = time.perf_counter(), time.process_time()
            n_frames = draw(name, options.size, Path(folder) / name, options.flat, options.workers)
            cpu = time.process_time() - cpu_started
            seconds = time.perf_counter() - started
            total += seconds
            room = disk_mb(Path(folder))
        rate = n_frames / seconds
        print(f"{name:14s} {n_frames:7,} frames {seconds:7.1f} s {rate:6.0f} frames/s {room:8.1f} MB  "
              f"CPU {cpu:6.1f} s here", flush=True)  # fmt: skip
    verdict = "" if options.size == "full" or options.flat else f"; limit {LIMIT_S:.0f} s on two cores"
    print(f"{'all':14s} {total:30.1f} s{verdict}")


if __name__ == "__main__":
    main()
