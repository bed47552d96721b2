"""How long the filter x AU statistics take, against the obvious loop.

    python tests/benchmarks/bench_au_stats.py [--quick]

10,000 permutations (the shorter way: 500) x 256 filters x 30 AUs x 3,000 images for every statistic and null, with
images that are each a sequence of their own (the drawn probe) and with three frames a sequence (CK+), on all cores.
*Free* deals codes out among all sequences, *within emotion* among those of one emotion.  Ends with an error where one
takes more than 30 s.  The loop is one ``scipy.stats.rankdata``-based AUC per permutation, filter and AU; 500 are timed,
and the rest is extrapolated from these: *4,000 x the loop* means that the loop would take 4,000 times as long.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from dataclasses import replace

import numpy as np
from scipy import stats

from ferlib.au_stats import FREE, STATISTICS, WITHIN_EMOTION, Codes, draw_people, intervals, nulls

N_IMAGES, N_FILTERS, N_AUS, N_PEOPLE = 3_000, 256, 30, 120
LIMIT_S = 30.0
WORLDS = {1: "1 frame a sequence", 3: "3 frames a sequence", 0: "5 % of levels unknown"}


def world(frames: int, rng: np.random.Generator) -> tuple[np.ndarray, Codes]:
    """Random activations (N, F) and codes with ``frames`` images a sequence and seven emotions."""
    n_sequences = N_IMAGES // frames
    emotion = rng.integers(0, 7, n_sequences)
    rate = rng.uniform(0.05, 0.6, (7, N_AUS))[emotion]
    level = (rng.random(rate.shape) < rate) * rng.integers(1, 6, rate.shape)
    subject = rng.integers(0, N_PEOPLE, n_sequences)
    rows = np.repeat(np.arange(n_sequences), frames)
    names = tuple(f"AU{u + 1:02d}" for u in range(N_AUS))
    present = (level > 0).astype(np.float32)[rows]
    codes = Codes(names, present, level.astype(np.float32)[rows], emotion[rows], rows, subject[rows])
    return rng.gamma(2.0, size=(N_IMAGES, N_FILTERS)).astype(np.float32), codes


def loop_seconds(acts: np.ndarray, codes: Codes, n: int, rng: np.random.Generator) -> float:
    """Seconds the loop would need for one permutation of one cell (mean of ``n``)."""
    started = time.perf_counter()
    for i in range(n):
        present = rng.permutation(codes.present[:, i % N_AUS]) == 1
        ranks = stats.rankdata(acts[:, i % N_FILTERS])
        n1 = present.sum()
        _ = (ranks[present].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(present) - n1))
    return (time.perf_counter() - started) / n


def main(n_permutations: int) -> bool:
    """Whether every statistic and null is fast enough."""
    fine = True
    rng = np.random.default_rng(0)
    worlds = {frames: world(frames, rng) for frames in (1, 3)}
    cell = loop_seconds(*worlds[1], 500, rng)
    loop = cell * n_permutations * N_FILTERS * N_AUS
    print(f"{n_permutations} permutations x {N_FILTERS} filters x {N_AUS} AUs x {N_IMAGES} images")
    print(f"loop: {1e6 * cell:.0f} us a cell and permutation, extrapolated {loop / 3600:.1f} h")
    tests = {"free": FREE, "within emotion": WITHIN_EMOTION}
    unknown = rng.random((N_IMAGES, N_AUS)) < 0.05  # 5 % of the intensities; every AU lacks other images
    acts, codes = worlds[1]
    worlds[0] = acts, replace(codes, level=np.where(unknown, np.nan, codes.level))
    for frames, statistic, (name, null) in itertools.product(worlds, STATISTICS, tests.items()):
        if frames == 0 and statistic != "spearman":
            continue
        acts, codes = worlds[frames]
        started, used = time.perf_counter(), time.process_time()
        task = nulls.problem(acts, codes, statistic, null)
        nulls.tally(task, nulls.permutations(task.units, n_permutations, rng))
        seconds, used = time.perf_counter() - started, time.process_time() - used
        verdict = "ok" if seconds <= LIMIT_S else "TOO SLOW"
        fine &= seconds <= LIMIT_S
        print(
            f"{WORLDS[frames]:>24}, {statistic:>14}, {name:>14}: {seconds:6.2f} s "
            f"({used:5.1f} s of CPU) "
            f"{loop / seconds:10,.0f} x the loop  {verdict}"
        )
    started = time.perf_counter()
    intervals(*worlds[1], "auc", FREE, draw_people(worlds[1][1].subject, 100, rng))
    print(
        f"intervals of all cells, 100 resamples of {N_PEOPLE} people: {time.perf_counter() - started:.2f} s"
    )
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return fine


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="500 permutations instead of 10,000")
    sys.exit(0 if main(500 if parser.parse_args().quick else 10_000) else 1)
