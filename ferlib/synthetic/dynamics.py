"""How an expression unfolds in time: onsets, micro-expressions, blinks, and the slow drift of a head.

Levels are AU intensities in [0, 5] on the axes T frames x U AUs x 2 sides (left, right), as the rig takes
them. Every muscle moves along a minimum-jerk course (Flash & Hogan 1985), which is S-shaped like the onsets
measured by Schmidt, Cohn & Tian (2003); the AUs of one expression start and arrive at slightly different
times.
"""

from __future__ import annotations

import numpy as np

BLINK_S = (0.15, 0.35)  # a spontaneous blink lasts 0.1 to 0.4 s (Stern, Walrath & Goldstein 1984)
CLOSING_SHARE = 1 / 3  # lids close about twice as fast as they open


def minimum_jerk(t: np.ndarray) -> np.ndarray:
    """0 for t <= 0, 1 for t >= 1, and between them 10 t^3 - 15 t^4 + 6 t^5 (Flash & Hogan 1985, eq. 3)."""
    t = np.clip(t, 0.0, 1.0)
    return t**3 * (10 - 15 * t + 6 * t**2)


def onset(peak: np.ndarray, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """An expression from rest to its peak, as in a sequence of CK+.

    peak : (U, 2) levels in [0, 5].  n_frames : T >= 2.

    Returns (T, U, 2): frame 0 is 0 everywhere, the last frame is ``peak``, and no AU ever falls.
    """
    t = np.linspace(0.0, 1.0, n_frames)[:, None]
    start = rng.uniform(0.02, 0.10) + rng.uniform(0.0, 0.22, len(peak))
    end = rng.uniform(0.70, 0.82) + rng.uniform(0.0, 0.16, len(peak))
    return minimum_jerk((t - start) / (end - start))[:, :, None] * peak


def micro(peak: np.ndarray, n_frames: int, apex: int, rng: np.random.Generator) -> np.ndarray:
    """A micro-expression: rest at its onset frame, ``peak`` at its apex, rest again at its offset.

    peak : (U, 2) levels in [0, 5].  apex : position of the apex, 0 < apex < n_frames - 1 (T = ``n_frames``).

    Returns (T, U, 2).  Raises ``ValueError`` where the apex is not inside the clip.
    """
    if not 0 < apex < n_frames - 1:
        raise ValueError(f"the apex must lie inside the clip: 0 < {apex} < {n_frames - 1}")
    t = np.arange(n_frames)[:, None]
    late, early = rng.uniform(0.0, 0.3, (2, len(peak)))
    rise = minimum_jerk((t - late * apex) / ((1 - late) * apex))
    fall = minimum_jerk(
        (n_frames - 1 - t - early * (n_frames - 1 - apex)) / ((1 - early) * (n_frames - 1 - apex))
    )
    return np.where(t <= apex, rise, fall)[:, :, None] * peak


def blink(n_frames: int, fps: float, middle: int, rng: np.random.Generator) -> np.ndarray:
    """The level of AU45 in a blink that is fully closed at frame ``middle``.  Returns (T,) in [0, 5]."""
    lasts = rng.uniform(*BLINK_S) * fps
    t = np.arange(n_frames) - middle
    closing = minimum_jerk(1 + t / (CLOSING_SHARE * lasts))
    opening = minimum_jerk(1 - t / ((1 - CLOSING_SHARE) * lasts))
    return 5.0 * np.where(t <= 0, closing, opening)


def drift(n_frames: int, fps: float, sd_deg: float, rng: np.random.Generator) -> np.ndarray:
    """Slow involuntary movement of a head that tries to keep still, relative to the first frame.

    sd_deg : standard deviation of each angle over a long time, degrees.

    Returns (T, 3): yaw, pitch, roll in degrees, 0 at frame 0: sums of three sines of 0.6 to 5 s, roll half
    as wide.
    """
    t = np.arange(n_frames)[:, None, None] / fps
    period_s = rng.uniform(0.6, 5.0, (3, 3))
    phase = rng.uniform(0, 2 * np.pi, (3, 3))
    size = sd_deg * np.sqrt(2 / 3) * np.array([1.0, 1.0, 0.5])[:, None]
    sway = (size * np.sin(2 * np.pi * t / period_s + phase)).sum(axis=2)
    return sway - sway[:1]
