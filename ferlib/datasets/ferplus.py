"""FER+ (Barsoum et al. 2016): ten crowd votes an image of FER2013, and named rules that make labels of them.

Papers report FER+ accuracies over different image sets because their rules differ: name the rule, print n.
"""

from __future__ import annotations

import numpy as np

from ferlib.labels import FERPLUS_COLUMNS

VOTES = tuple(f"votes_{column}" for column in FERPLUS_COLUMNS)
"""Vote columns of a store's table, in the order of ``fer2013new.csv``."""

RULES: dict[str, str] = {
    "ferplus-majority": "official code: single votes dropped, then more than half of the rest for one",
    "ferplus-argmax8": "most votes among the eight emotions, the first of equals",
    "ferplus-argmax8-unique": "most votes among the eight emotions; ties are left out",
    "ferplus-argmax10-unique": "most votes among all ten columns; ties, unknown and no-face are left out",
}

OFFICIAL_TEST_N: dict[str, int] = {
    "ferplus-majority": 3153,
    "ferplus-argmax8": 3573,
    "ferplus-argmax8-unique": 3414,
    "ferplus-argmax10-unique": 3376,
}
"""Images that each rule keeps of the official PrivateTest split."""


def ferplus_labels(votes: np.ndarray, rule: str) -> np.ndarray:
    """The emotion of each image under ``rule``.

    votes : (N, 10) counts in the order of ``FERPLUS_COLUMNS``; a row of zeros means that nobody voted.

    Returns (N,) object: an emotion, or None where the rule leaves the image out.  Raises ``KeyError`` for
    a rule that is not in ``RULES``.  Source: microsoft/FERPlus, ``src/ferplus.py``.
    """
    votes = votes.astype(np.int64)
    if rule == "ferplus-majority":
        votes = np.where(votes > 1, votes, 0)
        kept = 2 * votes.max(axis=1) > votes.sum(axis=1)
    elif rule == "ferplus-argmax8":
        votes = votes[:, :8]
        kept = votes.any(axis=1)
    elif rule in RULES:
        votes = votes[:, :8] if rule == "ferplus-argmax8-unique" else votes
        kept = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    else:
        raise KeyError(rule)
    winner = votes.argmax(axis=1)
    kept &= winner < 8
    names = np.array(FERPLUS_COLUMNS, dtype=object)[winner]
    names[~kept] = None
    return names
