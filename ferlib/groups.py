"""Whether a network serves every group of drawn people alike: by skin tone, age, glasses and sex.

The rig knows who each drawn face is.  Photographed corpora do not say it, so there nothing can be measured.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ferlib import metrics
from ferlib.config import DataError
from ferlib.datasets import FaceSet, drawn
from ferlib.labels import DRAWN_PREFIX
from ferlib.metrics import N_RESAMPLES, Estimate

KINDS = ("skin tone", "age", "glasses", "sex")
AGES = {"18 to 29": 18, "30 to 44": 30, "45 to 59": 45, "60 and over": 60}
"""Name of a group of ages and its first year."""


def of(faces: FaceSet) -> pd.DataFrame | None:
    """Who is in each of the N faces: ``person`` and a group of each of :data:`KINDS`, indexed by ``row``.

    Skin tones are those of the Monk scale, 1 (lightest) to 10.  None and ``DataError`` as of :func:`drawn.truth_of`.
    """
    truth = drawn.truth_of(faces)
    if truth is None:
        return None
    if "emotion" in faces.table and "sequence" not in faces.table:  # of a take the first frame is neutral
        told, held = (table["emotion"].fillna("").to_numpy(str) for table in (truth, faces.table))
        if (told != held).any():
            again = f"Draw it again:  ferlib corpus make {faces.corpus.removeprefix(DRAWN_PREFIX)}"
            raise DataError(f"The rig knows other emotions of {faces.corpus} than its store. {again}")
    age = np.searchsorted(list(AGES.values()), truth["age"], side="right") - 1
    who = {
        "person": truth["person"].astype(int),
        "skin tone": truth["monk_tone"].astype(int),
        "age": np.array(list(AGES))[age],
        "glasses": np.where(truth["glasses"].astype(bool), "worn", "none"),
        "sex": truth["sex"],
    }
    return pd.DataFrame({name: np.asarray(column) for name, column in who.items()}, faces.table["row"])


def accuracy(predictions: pd.DataFrame, who: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Accuracy in each group, with an interval over its people: ``kind group value low high n faces``, ``n`` people."""
    asked = who.loc[predictions["row"]]
    known = predictions.assign(subject=asked["person"].to_numpy())
    rows = []
    for kind in KINDS:
        for group in sorted(set(asked[kind])):
            of_group = known[(asked[kind] == group).to_numpy()]
            found = metrics.accuracy(of_group, rng)
            rows.append({"kind": kind, "group": group, **found.as_dict(), "faces": of_group["row"].nunique()})
    return pd.DataFrame(rows)


def spread(
    predictions: pd.DataFrame, who: pd.DataFrame, kind: str, rng: np.random.Generator
) -> dict[str, Estimate]:
    """How far the groups of ``kind`` are apart: the standard deviation of their accuracies, each weighed by its faces.

    ``spread``: what is seen; ``chance``: its mean when the groups are dealt out anew among the people, each of
    whom keeps all faces, with the range of 95 of 100 such deals; ``p``: how often a deal is spread as far.
    """
    asked = who.loc[predictions["row"]]
    right = metrics.is_right(predictions)
    person, people = pd.factorize(asked["person"])
    group, groups = pd.factorize(asked.drop_duplicates("person")[kind])  # of each person, in the same order
    hits, faces = np.bincount(person, right), np.bincount(person).astype(float)
    deals = np.stack([group, *(rng.permutation(group) for _ in range(N_RESAMPLES))])  # (1 + R, people)
    inside = deals[:, None] == np.arange(len(groups))[:, None]  # (1 + R, groups, people)
    n = inside @ faces
    apart = np.sqrt((n * ((inside @ hits) / n - right.mean()) ** 2).sum(axis=1) / len(right))
    seen, dealt = apart[0], apart[1:]
    low, high = np.quantile(dealt, [0.025, 0.975])
    p = (1 + (dealt >= seen - 1e-12).sum()) / (1 + len(dealt))
    return {
        "spread": Estimate(float(seen), np.nan, np.nan, len(people), "subject"),
        "chance": Estimate(float(dealt.mean()), float(low), float(high), len(people), "subject"),
        "p": Estimate(float(p), np.nan, np.nan, len(dealt), "deal"),
    }
