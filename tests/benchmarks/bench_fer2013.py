"""How fast FER2013's csv is parsed and prepared, against the usual pandas loop, in the same run.

    python tests/benchmarks/bench_fer2013.py [fer2013.csv]

Without a file a random one of 35,887 rows is written, the official number.
*Usual loop*: pandas reads the file and numpy every face from its words.  *Parse*: the file's bytes to an array of
faces, and nothing else.  *Prepare*: the whole command `ferlib corpus prepare fer2013`, which also looks for duplicates
and writes the corpus.  Seconds by the clock, seconds of processor over all cores, and peak memory of the process; then
the ratios to the usual loop, which have the limits.  Ends with an error where a ratio or the memory is above its limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_ROWS = 35_887
LIMITS = {"parse": 1 / 5, "prepare": 1 / 3, "memory_mb": 400}

USUAL = """
import sys
import numpy as np, pandas as pd
table = pd.read_csv(sys.argv[1])
faces = np.array([np.array(pixels.split(), dtype=np.uint8).reshape(48, 48) for pixels in table["pixels"]])
"""
PARSE = """
import sys, time
from pathlib import Path
from ferlib.datasets.fer2013_csv import read_csv
start = time.perf_counter()
faces = read_csv(Path(sys.argv[1]))
print(time.perf_counter() - start)
"""
PREPARE = """
import sys
sys.argv = ["ferlib", "corpus", "prepare", "fer2013", "--source", sys.argv[1]]
from ferlib.cli import main
main()
"""


def write_random_csv(path: Path) -> None:
    """A csv in FER2013's layout with noise for faces."""
    rng = np.random.default_rng(0)
    words = np.array([str(i) for i in range(256)], dtype=object)
    usages = ["Training"] * 28_709 + ["PublicTest"] * 3_589 + ["PrivateTest"] * 3_589
    with path.open("w") as out:
        out.write("emotion,pixels,Usage\n")
        for usage in usages:
            pixels = " ".join(words[rng.integers(0, 256, 48 * 48)])
            out.write(f"{rng.integers(7)},{pixels},{usage}\n")


def run(code: str, csv: Path, home: str) -> tuple[float, float, float, str]:
    """Run ``code`` on ``csv`` in its own process.

    Returns seconds, seconds of processor time, peak memory in MB, and what it printed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(csv)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "FERLIB_HOME": home},
    )  # fmt: skip
    printed = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the measured process failed with status {status}")
    processor_s = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - start, processor_s, usage.ru_maxrss / 1024, printed


def measure(csv: Path, home: str) -> dict[str, float]:
    """Two rounds of each, interleaved; the faster counts, so that a busy machine harms all alike."""
    usual_s, usual_cpu_s, usual_mb, _ = min(run(USUAL, csv, home) for _ in range(2))
    parse_s = min(float(run(PARSE, csv, home)[3]) for _ in range(2))
    prepare_s, prepare_cpu_s, prepare_mb, _ = min(run(PREPARE, csv, home) for _ in range(2))
    print(
        f"usual loop   {usual_s:6.2f} s, {usual_cpu_s:.2f} s of processor, {usual_mb:.0f} MB (whole process)"
    )
    print(f"parse        {parse_s:6.2f} s (bytes to array)")
    print(f"prepare      {prepare_s:6.2f} s, {prepare_cpu_s:.2f} s of processor, {prepare_mb:.0f} MB (same)")
    found = {"parse": parse_s / usual_s, "prepare": prepare_s / usual_s, "memory_mb": prepare_mb}
    for name, value in found.items():
        print(
            f"{name:12} {value:6.3g}   limit {LIMITS[name]:.3g}" + (" of the usual loop" if value < 1 else "")
        )
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "fer2013.csv"
        if len(sys.argv) == 1:
            write_random_csv(csv)
        print(f"{csv}: {csv.stat().st_size / 1e6:.0f} MB")
        found = measure(csv, str(Path(folder) / "home"))
    above = [name for name, value in found.items() if value > LIMITS[name]]
    sys.exit("ABOVE THE LIMIT: " + ", ".join(above) if above else 0)


if __name__ == "__main__":
    main()
