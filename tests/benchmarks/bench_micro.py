"""How fast clips are described: LBP-TOP against its definition, optical flow, and the LSTM.

    python tests/benchmarks/bench_micro.py [--quick]

LBP-TOP of clips of 66 x 128 x 128 must pass 20 clips/s on two cores.  The definition, one pixel at a time, is
timed on a small clip and extrapolated by the number of pixels.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ferlib.micro import lbptop, motion
from ferlib.micro.network import ClipLSTM

SHAPE = (66, 128, 128)
LIMIT = 20.0  # clips/s
CORES = 2


def timed(call, times: int) -> tuple[float, float]:
    """Wall and CPU seconds of one call, the best of ``times``."""
    best = (float("inf"), float("inf"))
    for _ in range(times):
        wall, used = time.perf_counter(), time.process_time()
        call()
        best = min(best, (time.perf_counter() - wall, time.process_time() - used))
    return best


def by_definition(clip: np.ndarray, how: lbptop.LBPTOP) -> np.ndarray:
    """Counts of codes over a whole clip, one pixel at a time."""
    counts = np.zeros((3, 16), int)
    r, rt = how.radius, how.radius_t
    for t in range(rt, clip.shape[0] - rt):
        for y in range(r, clip.shape[1] - r):
            for x in range(r, clip.shape[2] - r):
                for plane, steps in enumerate(lbptop._neighbours(r, rt)):
                    near = (clip[t + dt, y + dy, x + dx] >= clip[t, y, x] for dt, dy, dx in steps)
                    counts[plane, sum(int(bit) << p for p, bit in enumerate(near))] += 1
    return counts


def main(times: int) -> bool:
    """Print the speeds.  Returns whether the limit is kept."""
    torch.set_num_threads(1)
    rng, how = np.random.default_rng(0), lbptop.LBPTOP()
    clips = [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(4)]
    small = clips[0][:10, :24, :24]
    wall, used = timed(lambda: lbptop.describe(clips[0], how), times)
    loop = timed(lambda: by_definition(small, how), 1)[1] * clips[0].size / small.size
    with ThreadPoolExecutor(CORES) as pool:
        both, _ = timed(lambda: list(pool.map(lbptop.describe, clips)), times)
    rate = len(clips) / both
    verdict = "ok" if rate >= LIMIT else f"TOO SLOW (limit {LIMIT:.0f})"
    print(
        f"LBP-TOP, {SHAPE}, {how.grid} x {how.grid} blocks: {1000 * used:.0f} ms of CPU a clip, {1 / wall:.1f} clips/s"
    )
    print(f"LBP-TOP on {CORES} threads: {rate:.1f} clips/s  {verdict}; {loop / used:,.0f} x the definition")
    face = clips[0][:9, :96, :96]
    print(
        f"optical flow, 96 x 96: {1000 * timed(lambda: motion.flow(face), times)[1] / 8:.1f} ms of CPU a frame"
    )
    lstm, x = ClipLSTM(288, 5), torch.randn(16, 16, 288)
    seconds = timed(lambda: lstm(x).sum().backward(), 5 * times)[1]
    print(f"LSTM, a step on 16 clips of 16 frames: {1000 * seconds:.1f} ms of CPU")
    return rate >= LIMIT


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="each timed twice instead of ten times")
    raise SystemExit(not main(2 if parser.parse_args().quick else 10))
