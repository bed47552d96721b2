"""NovaEmotions as this book accepts it: a manifest of pictures with the votes of a crowd.

The corpus's own file format is unpublished (Mourao & Magalhaes 2013): players of a game were filmed in a
living room, and several judges named the emotion in each picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ferlib.labels import EMOTIONS
from ferlib.synthetic.native.plan import Camera, Format, Plan, Size, Take, about, assemble, rng_of

SIZES = {
    "quick": Size(subjects=40, takes=1_000, face_px=96),
    "full": Size(subjects=40, takes=42_911, face_px=96),
}
CAMERA = Camera("living-room")
PICTURE = Format(128, 128)
MANIFEST = "manifest.csv"
MEAN_JUDGMENTS = 229_584 / 42_911  # of a picture
ACTED_SHARE = (0.17, 0.13, 0.07, 0.12, 0.10, 0.18, 0.10, 0.13)  # of EMOTIONS; a guess: unpublished
AGREEMENT = 0.62  # chance that a judge names what was acted
CONFUSED_WITH = {
    "neutral": ("sadness", "contempt"), "anger": ("disgust", "contempt"), "contempt": ("neutral", "disgust"),
    "disgust": ("anger", "contempt"), "fear": ("surprise", "sadness"), "happiness": ("contempt", "neutral"),
    "sadness": ("neutral", "fear"), "surprise": ("fear", "happiness"),
}  # fmt: skip
"""Emotion -> the two that people most take it for (after the confusions in Barsoum et al. 2016, fig. 4)."""


def plan(size: Size, seed: int = 0) -> Plan:
    """Pictures of 40 players, each acted once and judged by several people.

    ``takes`` adds ``acted``, ``emotion`` (most votes; what was acted wins ties) and a column of votes an emotion.
    """
    from ferlib.synthetic.expressions import draw_expressions
    from ferlib.synthetic.people import seeds_of

    rng = rng_of("novaemotions", seed, "cast", size.subjects, size.takes)
    person = np.arange(size.takes) % size.subjects
    acted = rng.choice(len(EMOTIONS), size.takes, p=ACTED_SHARE)
    votes = crowd_votes(acted, rng)
    seeds = seeds_of("novaemotions-face", seed, np.arange(size.takes))
    levels = draw_expressions([EMOTIONS[e] for e in acted], seeds, "wild")
    emotion = (votes + 0.5 * np.eye(len(EMOTIONS))[acted]).argmax(axis=1)
    rows, takes = [], []
    for i in np.argsort(person, kind="stable"):
        subject = f"player{person[i] + 1:02d}"
        name = f"{subject}_{i:05d}"
        row = about(subject, int(person[i]), name, PICTURE)
        row |= {"emotion": EMOTIONS[emotion[i]], "acted": EMOTIONS[acted[i]]}
        rows.append(row | dict(zip(EMOTIONS, votes[i].tolist(), strict=True)))
        takes.append(Take([0], [f"images/{subject}/{name}.jpg"], levels[i : i + 1], np.zeros((1, 3))))
    return assemble("novaemotions", CAMERA, seed, size, rows, takes)


def crowd_votes(acted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Votes (N, 8) of a crowd on pictures that show ``acted`` (N,) index in ``EMOTIONS``.

    At least two judgments a picture, ``MEAN_JUDGMENTS`` on average.  A judge is right with chance
    ``AGREEMENT``, takes it for one of the two confusable emotions with most of the rest, and for any other
    with what is left.
    """
    chance = np.full((len(EMOTIONS), len(EMOTIONS)), 0.2 * (1 - AGREEMENT) / (len(EMOTIONS) - 3))
    for e, name in enumerate(EMOTIONS):
        chance[e, [EMOTIONS.index(other) for other in CONFUSED_WITH[name]]] = 0.4 * (1 - AGREEMENT)
        chance[e, e] = AGREEMENT
    judgments = 2 + rng.poisson(MEAN_JUDGMENTS - 2, len(acted))
    return rng.multinomial(judgments, chance[acted])


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """The manifest: path, emotion, subject, and the votes for each emotion."""
    takes = plan.takes
    votes = takes[list(EMOTIONS)].add_prefix("votes_")
    table = pd.concat([plan.frames["file"].rename("path"), takes[["emotion", "subject"]], votes], axis=1)
    table.to_csv(folder / MANIFEST, index=False, lineterminator="\n")
