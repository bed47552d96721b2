"""How like life the drawn faces are: which Action Units go with which emotion, and what changes the pixels."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferlib import labels, paths
from ferlib.config import DataError
from ferlib.metrics import LEVEL, N_RESAMPLES, Estimate, around

# ------------------------------------------------------------------------------- the corpora themselves


def official_counts(corpus: str) -> dict[str, int]:
    """Published number of each class of ``corpus`` (drawn or photographed), in the corpus's own words.

    Empty where the corpus has none or none was published.
    """
    plain = corpus.removeprefix(labels.DRAWN_PREFIX)
    if importlib.util.find_spec(f"ferlib.datasets.{plain}") is None:
        return {}
    module = importlib.import_module(f"ferlib.datasets.{plain}")
    return dict(getattr(module, "OFFICIAL_EMOTIONS", getattr(module, "OFFICIAL", {})))


def tellers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that tell a corpus's classes: apex or last frame of each sequence, or every single image.

    Adds ``class``: the corpus's own word where it has one, else the emotion; rows without either are left
    out where any row has one.
    """
    if "sequence" in table and table["sequence"].notna().all():
        apex = table["frame"] == table["apex"] if "apex" in table else pd.Series(False, index=table.index)
        order = table.assign(_is_apex=apex.fillna(False).astype(bool)).sort_values(["_is_apex", "frame"])
        table = table.loc[order.groupby(labels.takes(order)).tail(1).index].sort_index()
    column = "label" if "label" in table else "emotion"
    named = table.assign(**{"class": table.get(column)})
    return named[named["class"].notna()] if named["class"].notna().any() else named


def class_counts(table: pd.DataFrame, official: dict[str, int]) -> pd.DataFrame:
    """Classes of a corpus: ``official`` and ``here`` (counts), ``official_share`` and ``share`` (fractions)."""
    here = tellers(table)["class"].value_counts()
    counts = (
        pd.DataFrame({"official": pd.Series(official, dtype="float"), "here": here}).fillna(0).astype(int)
    )
    counts = counts.sort_values(["official", "here"], ascending=False)
    return counts.assign(
        official_share=counts["official"] / max(counts["official"].sum(), 1),
        share=counts["here"] / max(counts["here"].sum(), 1),
    )


def examples(
    images: np.ndarray, table: pd.DataFrame, n: int = 8, seed: int = 0
) -> list[tuple[np.ndarray, str]]:
    """Up to ``n`` faces with captions, one of each class; where there are no classes, with their AUs.

    images : (N, H, W) uint8, aligned with ``table``, whose index is 0..N-1.
    """
    rows = tellers(table)
    if rows["class"].notna().any():
        rows = rows.groupby("class", sort=False).sample(1, random_state=seed)
        rows = rows.sort_values("class", key=lambda c: c.map(lambda e: [*labels.EMOTIONS, e].index(e)))
        captions = rows["class"].tolist()
    else:
        rows = rows.sample(min(n, len(rows)), random_state=seed)
        aus = labels.au_columns(rows)
        acting = labels.au_present(rows, aus) > 0
        captions = [
            "AU " + " + ".join(str(int(a[2:])) for a in np.array(aus)[row]) if row.any() else "none"
            for row in acting
        ]
    return [(images[i], caption) for i, caption in zip(rows.index[:n], captions, strict=False)]


# -------------------------------------------------------------------------- Action Units and emotions


def au_rates(table: pd.DataFrame, aus: list[str]) -> pd.DataFrame:
    """P(AU | emotion) over the rows of ``table``.

    table : columns ``emotion`` and ``aus`` (0, 1), one row a sequence.  Returns (E, U) float in [0, 1], the
    emotions in the order of ``labels.EMOTIONS``.
    """
    rates = table.groupby("emotion", observed=True)[aus].mean()
    return rates.reindex([e for e in labels.EMOTIONS if e in rates.index])


def real_ckplus() -> pd.DataFrame:
    """AUs of the 327 labelled sequences of the photographed CK+: ``emotion AU01 ...`` (0, 1), one row each.

    From the table that comes with the rig (labels only; R package NetFACS, Apache-2.0).
    """
    from ferlib.synthetic.expressions import ckplus_combinations

    table = ckplus_combinations()
    table = table.loc[table.index.repeat(table["count"])].reset_index(drop=True)
    acting = [{labels.au_column(int(n)) for n in str(aus).split("+")} for aus in table["aus"]]
    coded = {au: [float(au in row) for row in acting] for au in sorted(set().union(*acting))}
    return pd.concat([table[["emotion"]], pd.DataFrame(coded)], axis=1)


def peaks(table: pd.DataFrame) -> pd.DataFrame:
    """The last frame of each sequence with an emotion: ``emotion subject AU01 ...`` (0, 1), one row each.

    table : that of a corpus store.  Raises ``DataError`` where it has no AU codes.
    """
    aus = labels.au_columns(table)
    if not aus or "sequence" not in table:
        raise DataError("This corpus has no AU codes of sequences")
    rows = table.sort_values("frame")
    last = rows.groupby(labels.takes(rows)).tail(1)
    last = last[last["emotion"].notna() & (last["emotion"] != "neutral")]
    present = pd.DataFrame(labels.au_present(last, aus), columns=aus)
    return pd.concat([last[["emotion", "subject"]].reset_index(drop=True), present], axis=1)


@dataclass(frozen=True)
class Agreement:
    """How two tables P(AU | emotion) agree over their common cells.

    r : correlation; distance : mean absolute difference; both with intervals over the people of the first.
    null_r, null_distance : the same where the first one's emotions were dealt out anew at random.
    """

    r: Estimate
    distance: Estimate
    null_r: Estimate
    null_distance: Estimate


def agreement(drawn: pd.DataFrame, real: pd.DataFrame, rng: np.random.Generator) -> Agreement:
    """Compare P(AU | emotion) of ``drawn`` (``emotion subject AU01 ...``) with that of ``real``.

    The bootstrap resamples people; the null permutes the emotions of the drawn sequences.  Resampled people
    never match as well as all of them do, so the intervals are standard errors around the values.
    """
    aus = [au for au in labels.au_columns(drawn) if au in real]
    goal = au_rates(real, aus)
    emotions = [e for e in goal.index if (drawn["emotion"] == e).any()]
    target = goal.loc[emotions].to_numpy().ravel()  # (E * U,)
    acts = drawn[aus].to_numpy(np.float64)  # (S, U)
    shown = drawn["emotion"].to_numpy()[:, None] == np.array(emotions)  # (S, E)
    person, people = pd.factorize(drawn["subject"])
    times = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=N_RESAMPLES)[:, person]
    once = np.ones((1, len(drawn)))
    value, boot = _compared(once, shown, acts, target), _compared(times, shown, acts, target)
    dealt = np.concatenate(
        [_compared(once, rng.permutation(shown), acts, target) for _ in range(N_RESAMPLES)]
    )
    return Agreement(
        *(around(value[0, k], boot[:, k], len(people), "subject") for k in range(2)),
        *(_estimate(np.median(dealt[:, k]), dealt[:, k], len(drawn), "sequence") for k in range(2)),
    )


def _compared(times: np.ndarray, shown: np.ndarray, acts: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Correlation and mean absolute difference (R, 2) of the table under weights ``times`` (R, S) with
    ``target`` (E * U,); cells of emotions that a resample lost are left out."""
    cells = (shown[:, :, None] * acts[:, None, :]).reshape(len(acts), -1)  # (S, E * U)
    n = np.repeat(times @ shown, acts.shape[1], axis=1)  # (R, E * U)
    with np.errstate(invalid="ignore"):
        rates = (times @ cells) / n
    found = []
    for row in rates:
        kept = ~np.isnan(row)
        distance = np.abs(row[kept] - target[kept]).mean()
        found.append((np.corrcoef(row[kept], target[kept])[0, 1], distance))
    return np.array(found)


def _estimate(value: float, draws: np.ndarray, n: int, unit: str) -> Estimate:
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high), n, unit)


def largest_correlation(
    acts: np.ndarray, rng: np.random.Generator, n_deals: int = 200
) -> tuple[float, float]:
    """The largest correlation, in size, between two columns of ``acts``, and what chance alone stays below.

    acts : (N, U), no column constant.  The second number is the 95th percentile of the largest correlation over
    ``n_deals`` random orders of every column on its own.
    """
    z = (acts - acts.mean(axis=0)) / acts.std(axis=0)
    above = np.triu_indices(z.shape[1], 1)

    def largest(columns: np.ndarray) -> float:
        return float(np.abs(columns.T @ columns / len(columns))[above].max())

    dealt = [largest(rng.permuted(z, axis=0)) for _ in range(n_deals)]
    return largest(z), float(np.quantile(dealt, 0.95))


# --------------------------------------------------------------------------- what changes the pixels

FACTORS: dict[str, tuple[str, ...]] = {
    "expression": (),
    "person": (),
    "light": ("key", "fill", "key_rgb", "fill_rgb", "ambient", "rim", "exposure"),
    "pose and framing": ("yaw", "pitch", "roll", "gaze", "distance", "frame", "eye_line", "centre"),
    "backdrop and camera": (
        "back_low",
        "back_high",
        "clutter",
        "contrast",
        "blur",
        "sharp",
        "noise",
        "jpeg",
        "occluded",
    ),
}
"""What a picture is made of; the scene's fields that belong to each (expression and person have none)."""


MANNERS = {"fer2013": ("wild", "wild"), "ckplus": ("ckplus", "studio")}
"""Expressions and scenes in the manner of a corpus."""


def exchanged_pictures(n: int, size: int, seed: int, manner: str = "fer2013") -> dict[str, np.ndarray]:
    """``n`` pictures of ``n`` people, and each again with one thing exchanged for another draw of it.

    manner : of :data:`MANNERS`.  Returns name -> (N, size, size) float32 grey levels in [0, 255]: ``base``, each
    of :data:`FACTORS`, ``nothing`` (drawn twice) and ``everything`` (an unrelated picture).
    """
    from ferlib.synthetic import camera, expressions, people, render

    both = people.seeds_of("likeness", seed, np.arange(2 * n))
    code = (people.uniforms(both, "emotion", 1)[:, 0] * len(labels.FER2013_CODES)).astype(int)
    emotions = np.array(labels.FER2013_CODES)[code].tolist()
    levels = expressions.draw_expressions(emotions, both, MANNERS[manner][0])
    crowd = people.draw_people("likeness", seed, np.arange(2 * n))
    scenes = camera.draw_scenes(both, MANNERS[manner][1])
    one, two = slice(0, n), slice(n, 2 * n)

    def draw(who: slice, does: slice, fields: tuple[str, ...]) -> np.ndarray:
        changed = scenes[one].with_(**{name: getattr(scenes[two], name) for name in fields})
        return render.draw_faces(crowd[who], levels[does], changed, size).grey.numpy()

    every = tuple(name for fields in FACTORS.values() for name in fields)
    pictures = {
        "base": draw(one, one, ()),
        "nothing": draw(one, one, ()),
        "everything": draw(two, two, every),
    }
    for factor, fields in FACTORS.items():
        who, does = two if factor == "person" else one, two if factor == "expression" else one
        pictures[factor] = draw(who, does, fields)
    return pictures


def change_maps(pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where each exchange changes the picture: name -> (H, W) root mean square difference, grey levels."""
    base = pictures["base"]
    return {name: np.sqrt(((p - base) ** 2).mean(axis=0)) for name, p in pictures.items() if name != "base"}


def pixel_shares(pictures: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, Estimate]:
    """Share of the pixel variance that is left when all but one thing is held fixed: total-effect indices.

    Jansen 1999: half the mean squared difference between pictures that differ in this alone, over the
    variance; the variance is half the mean squared difference of unrelated pictures.  The shares add up to
    more than 1 as far as the factors interact.  Intervals by resampling the base pictures, one a person.
    """
    base = pictures["base"]
    moved = {name: ((p - base) ** 2).mean(axis=(1, 2)) for name, p in pictures.items() if name != "base"}
    n = len(base)
    times = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    whole = moved.pop("everything")
    shares = {
        name: (part.sum() / whole.sum(), (times @ part) / (times @ whole)) for name, part in moved.items()
    }
    return {name: _estimate(value, draws, n, "subject") for name, (value, draws) in shares.items()}


# ------------------------------------------------------------------------------- distance from life


def distance_sentence(record: pd.DataFrame) -> str:
    """What the numbers of record ``real_...`` say, or that there are none.

    record : rows of ``book.numbers_of_record``: ``key value low high split`` and more.
    """
    names = (
        "accuracy",
        "macro_recall",
        "uncalibrated_accuracy",
        "uncalibrated_macro_recall",
        "baseline_accuracy",
    )
    keys = [f"real_{name}" for name in names]
    if record.empty or not set(keys) <= set(record["key"]):
        return "How far the drawn faces are from life was not measured for this copy of the book."
    rows: dict[Any, dict[Any, Any]] = (
        record.drop_duplicates("key", keep="last").set_index("key").to_dict("index")
    )
    said = ["{value:.1%} ({low:.1%} to {high:.1%})".format(**rows[key]) for key in keys]
    first = rows[keys[0]]
    sentence = (
        f"Networks that have learned from drawn faces alone name {said[0]} of the photographs as people did "
        f"({first['split']}), with a mean recall over the emotions of {said[1]}; without calibration {said[2]}, "
        f"with a mean recall of {said[3]}. Always naming the commonest emotion gives {said[4]}."
    )
    told = ", ".join(f"{name} {first[name]}" for name in ("device", "commit", "date") if name in first)
    stale = " The code has changed since." if first.get("stale") else ""
    return sentence.replace("%", " %") + (f" Number of record: {told}.{stale}" if told else "")


# ------------------------------------------------------------------------------------- who is drawn


def attributes(corpus: str) -> pd.DataFrame:
    """One row a person of the drawn corpus: ``age`` (years), ``monk_tone`` (1 to 10), ``sex``, ``glasses`` ...

    Raises ``DataError`` where its native tree, with the truth about each picture, is not in the home.
    """
    plain = corpus.removeprefix(labels.DRAWN_PREFIX)
    file = paths.drawn(plain) / "truth.parquet"
    if not file.is_file():
        raise DataError(f"{file} is missing. Draw the corpus again:  ferlib corpus make {plain}")
    table = pd.read_parquet(file, columns=["person", "age", "monk_tone", "sex", "glasses", "beard"])
    return table.drop_duplicates("person").drop(columns="person").reset_index(drop=True)
