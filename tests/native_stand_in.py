"""Drawers for tests of the writers: flat grey squares, fast, whose pixels tell what was asked for."""

import os
import signal
import time

import numpy as np

from ferlib.synthetic.native.plan import Size
from ferlib.synthetic.native.shots import Pictures, Shots

SIZES = {
    "casme2": Size(subjects=3, takes=62, face_px=16, every=30),
    "ckplus": Size(subjects=6, takes=20, face_px=16),
    "novaemotions": Size(subjects=3, takes=12, face_px=16),
    "probe": Size(subjects=3, takes=12, face_px=16),
    "samm": Size(subjects=3, takes=8, face_px=16, every=30),
    "smic": Size(subjects=3, takes=8, face_px=16, every=10),
}
"""As small as each layout can be and still have all its quirks."""


def flat_faces(shots: Shots) -> Pictures:
    """Grey levels 40 + person; the mean level of AU12 is added, so that a smile brightens."""
    n, px = len(shots.person), shots.px
    grey = 40 + shots.person + 20 * shots.levels[:, 9].mean(axis=1)
    images = np.broadcast_to(grey[:, None, None, None], (n, px, px, 3)).astype(np.uint8)
    grid = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 17), np.linspace(0.3, 0.8, 4)), -1).reshape(68, 2)
    return Pictures(images, np.tile(grid * px, (n, 1, 1)), shots.drift + 1.0, np.full(n, 0.01))


def faces_then_death(shots: Shots) -> Pictures:
    """Draws the first persons, then its process is killed."""
    if shots.person.max() > 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return flat_faces(shots)


def faces_then_silence(shots: Shots) -> Pictures:
    """Draws the first persons, then hangs."""
    if shots.person.max() > 0:
        time.sleep(3600)
    return flat_faces(shots)


def slow_faces(shots: Shots) -> Pictures:
    """Takes its time, so that a test can kill it at work."""
    time.sleep(0.5)
    return flat_faces(shots)


def faces_then_error(shots: Shots) -> Pictures:
    """Draws the first persons, then raises."""
    if shots.person.max() > 0:
        raise RuntimeError("out of paint")
    return flat_faces(shots)
