"""Which classes two corpora share, and what a network of one may answer on the other."""

from __future__ import annotations

import numpy as np

from ferlib.config import DataError


def shared(source: tuple[str, ...], target: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that both know, in the target's order.  Raises ``DataError`` where fewer than two are."""
    both = tuple(e for e in target if e in source)
    if len(both) < 2:
        raise DataError(f"Fewer than two classes in common: {', '.join(source)} and {', '.join(target)}")
    return both


def restricted(p: np.ndarray, emotions: tuple[str, ...], kept: tuple[str, ...]) -> np.ndarray:
    """Probabilities (N, K) over ``emotions`` -> (N, S) over ``kept``, rows again adding up to 1.

    A class that is not kept is never answered, so that it can be neither right nor wrong.
    """
    chosen = p[:, [emotions.index(e) for e in kept]].astype(np.float64)
    total = chosen.sum(axis=1, keepdims=True)
    return np.where(total > 0, chosen / np.where(total > 0, total, 1), 1 / len(kept)).astype(np.float32)


def sentence(source: tuple[str, ...], target: tuple[str, ...], kept: tuple[str, ...]) -> str:
    """The mapping in words: how many classes are judged, and which are left out because a side lacks them."""
    lacking = {"answers": [e for e in source if e not in kept], "faces": [e for e in target if e not in kept]}
    told = [f"{side} left out: {', '.join(names)}" for side, names in lacking.items() if names]
    return "; ".join([f"{len(kept)} classes", *told])
