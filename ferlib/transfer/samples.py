"""A share of a corpus's labels, people by people where they are known."""

from __future__ import annotations

import numpy as np

from ferlib.config import UsageError
from ferlib.datasets import FaceSet


def share_of(faces: FaceSet, share: float, at_least: int = 1) -> FaceSet:
    """``share`` of the images: those of whole people drawn at random, or single images without people.

    at_least : so many classes must be among them; more is drawn until they are.  A smaller share lies within a
    larger one.  Raises ``UsageError`` unless ``share`` is in (0, 1].
    """
    if not 0 < share <= 1:
        raise UsageError(f"share={share}: must lie above 0 and not above 1")
    if share == 1:
        return faces
    people, labels = faces.subjects, faces.labels
    groups = (
        np.arange(len(faces)) if people is None else np.unique(people.astype(str), return_inverse=True)[1]
    )
    order = np.random.default_rng(0).permutation(int(groups.max()) + 1)
    turn = np.empty_like(order)
    turn[order] = np.arange(len(order))  # when each person's turn is
    turns = turn[groups]  # (N,)
    images = np.bincount(turns).cumsum()  # images drawn after each turn
    met = np.sort([turns[labels == k].min() for k in np.unique(labels)])  # each class for the first time
    enough = (images >= share * len(faces)) & (np.arange(len(order)) >= met[min(at_least, len(met)) - 1])
    last = int(enough.argmax())
    return faces.select(turns <= last)
