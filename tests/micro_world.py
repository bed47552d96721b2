"""A world in which only the direction of movement tells the class: a soft dot that starts anywhere."""

import numpy as np
import pandas as pd

from ferlib.datasets import FaceSet

STEPS = {"down": (1, 0), "left": (0, -1), "right": (0, 1)}
FPS = 200.0


def dot(y, x, size=24, sd=2.5):
    rows, columns = np.mgrid[:size, :size]
    return 40 + 180 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sd**2))


def film(step, start, n_frames, far=7.0, size=24):
    """(T, size, size) uint8: the dot moves ``far`` pixels and stays there."""
    share = np.clip(np.linspace(0, 1.4, n_frames), 0, 1) * far
    return np.stack([dot(start[0] + s * step[0], start[1] + s * step[1], size) for s in share]).astype(
        np.uint8
    )


def moving_dots(people=6, each=6, seed=0, every=1):
    """A FaceSet of ``people * each`` clips of 8 to 12 frames, with onset, apex and offset."""
    rng = np.random.default_rng(seed)
    images, rows = [], []
    for person in range(people):
        for k in range(each):
            name = list(STEPS)[k % len(STEPS)]
            n = int(rng.integers(8, 13))
            clip = film(STEPS[name], rng.uniform(8, 15, 2), n)
            clip = np.clip(clip + rng.normal(0, 3, clip.shape), 0, 255).astype(np.uint8)
            first = int(rng.integers(1, 100))
            for t in range(n):
                rows.append(
                    {
                        "subject": f"P{person}",
                        "sequence": f"c{k}",
                        "label": name,
                        "frame": first + t * every,
                        "n_frames": n,
                        "fps": FPS,
                        "onset": first,
                        "apex": first + (n - 2) * every,
                        "offset": first + (n - 1) * every,
                        "au_codes": "12" if name == "left" else "4+L10",
                    }
                )
            images.append(clip)
    table = pd.DataFrame(rows).astype({"onset": "Int32", "apex": "Int32", "offset": "Int32"})
    table.insert(0, "row", np.arange(len(table)))
    return FaceSet(np.concatenate(images), table, "synthetic-dots", f"dots{seed}", True, {}, ())
