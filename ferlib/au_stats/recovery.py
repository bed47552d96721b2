"""The method tested on planted units: how often each statistic finds an AU, and how often it cries wolf.

Units of known kind are planted into the AU, emotion, sequence and person structure of a corpus.  A statistic
should declare the units that follow an AU and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferlib import metrics
from ferlib.au_stats.codes import FREE, WITHIN_EMOTION, Codes, Null, minority_people
from ferlib.au_stats.nulls import cell_p, permutations, problem, tally
from ferlib.au_stats.paper import paper_match
from ferlib.au_stats.verdicts import MIN_PEOPLE

KINDS: tuple[str, ...] = ("one AU", "emotion only", "pose only", "one person only", "nothing")
"""What a planted unit responds to; only the first should be declared."""

PAPER = "paper: P = 1"
TESTS: dict[str, tuple[str, Null]] = {
    "AUC, images permuted": ("auc", Null(unit="image")),
    "AUC, sequences permuted": ("auc", FREE),
    "AUC, within emotion": ("auc", WITHIN_EMOTION),
    "point-biserial, within emotion": ("point_biserial", WITHIN_EMOTION),
    "Spearman, within emotion": ("spearman", WITHIN_EMOTION),
}
"""Permutation tests that are compared: name -> (statistic, null)."""
POWER_TESTS: tuple[str, ...] = ("AUC, sequences permuted", "AUC, within emotion")


@dataclass(frozen=True)
class Plant:
    """What is planted and how it is judged.

    A unit's activation is snr * signal + noise, both of unit standard deviation over the images;
    ``together`` is the share of noise variance that the frames of one sequence have in common.
    """

    snrs: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    n_units: int = 50  # a kind and signal-to-noise ratio
    together: float = 0.8
    n_top: int = 5
    n_permutations: int = 2_000
    alpha: float = 0.05  # a unit, over all its AUs


def signal(codes: Codes, kind: str, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, n) what ideal units of one kind respond to, mean 0 and standard deviation 1 (0 for "nothing").

    targets : (n,) int, the AU of each unit.  "emotion only" is the emotion that shows this AU most often;
    "pose only" a tilt of the head, half the habit of the person and half of the sequence; "one person only"
    anyone of them.
    """
    makers: dict[str, Callable[[], np.ndarray]] = {
        "one AU": lambda: np.nan_to_num(codes.present[:, targets]),
        "emotion only": lambda: _typical_emotion(codes)[:, targets],
        "pose only": lambda: (
            _shared(codes.subject, len(targets), rng) + _shared(codes.sequence, len(targets), rng)
        ),
        "one person only": lambda: (
            codes.subject[:, None] == rng.choice(np.unique(codes.subject), len(targets))
        ),
        "nothing": lambda: np.zeros((len(codes.emotion), len(targets))),
    }
    if kind not in makers:
        raise ValueError(f"No kind of unit {kind!r}; known: {KINDS}")
    values = np.asarray(makers[kind](), dtype=np.float64)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _typical_emotion(codes: Codes) -> np.ndarray:
    """(N, U) bool: the image shows the emotion in which the AU is most frequent."""
    emotions = np.unique(codes.emotion)
    shown = [np.nan_to_num(codes.present[codes.emotion == e]).mean(axis=0) for e in emotions]
    return codes.emotion[:, None] == emotions[np.argmax(shown, axis=0)]


def _shared(group: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(N, n) standard normal values that all images of one group share.  group : (N,)."""
    numbers = np.unique(group, return_inverse=True)[1]
    return rng.standard_normal((numbers.max() + 1, n))[numbers]


def activations(
    signals: np.ndarray, snr: float, codes: Codes, plant: Plant, rng: np.random.Generator
) -> np.ndarray:
    """(N, n) activations of units with given ``signals`` (N, n) at one signal-to-noise ratio."""
    n_images, n = signals.shape
    of_sequence = np.sqrt(plant.together) * _shared(codes.sequence, n, rng)
    of_frame = np.sqrt(1 - plant.together) * rng.standard_normal((n_images, n))
    return snr * signals + of_sequence + of_frame


def planted(codes: Codes, plant: Plant, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """All units: activations (N, n) and one row a unit, ``kind snr target`` (an AU's name).

    Targets take turns over the AUs of ``codes``; "nothing" has no signal and appears at every ratio as a
    control.
    """
    columns, rows = [], []
    targets = np.arange(plant.n_units) % len(codes.names)
    for kind in KINDS:
        for snr in plant.snrs:
            columns.append(activations(signal(codes, kind, targets, rng), snr, codes, plant, rng))
            rows += [{"kind": kind, "snr": snr, "target": codes.names[t]} for t in targets]
    return np.concatenate(columns, axis=1), pd.DataFrame(rows)


def declared(acts: np.ndarray, codes: Codes, test: str, plant: Plant, rng: np.random.Generator) -> np.ndarray:
    """(n, U) bool: the AUs that one statistic declares for each unit.

    Permutation tests hold ``plant.alpha`` a unit by Bonferroni over its AUs.  The paper's rule has no level.
    """
    if test == PAPER:
        return (codes.present[paper_match(acts, codes, plant.n_top).top] == 1).all(axis=1)
    statistic, null = TESTS[test]
    task = problem(acts, codes, statistic, null)
    counts = tally(task, permutations(task.units, plant.n_permutations, rng))
    tested = (~np.isnan(task.observed)).sum(axis=1, keepdims=True)
    return cell_p(counts, task.observed) * tested <= plant.alpha


def recovery(
    codes: Codes, plant: Plant, rng: np.random.Generator, min_people: int = MIN_PEOPLE
) -> pd.DataFrame:
    """Power and false alarms of every statistic on planted units.

    Only AUs that are testable within emotion take part (``min_people`` in the minority).  Returns one row a
    statistic, kind and snr: ``statistic kind snr n share low high``.  ``share`` in [0, 1] is, for "one AU",
    the units whose AU is declared (power), for the others the units for which any AU is declared (crying
    wolf); with its Wilson 95 % interval.  Raises ``ValueError`` where no AU is testable.
    """
    codes = _testable(codes, min_people)
    acts, units = planted(codes, plant, rng)
    target = units["target"].map({name: i for i, name in enumerate(codes.names)}).to_numpy()
    tables = []
    for test in (PAPER, *TESTS):
        named = declared(acts, codes, test, plant, rng)
        hit = np.where(units["kind"] == KINDS[0], named[np.arange(len(named)), target], named.any(axis=1))
        tables.append(_shares(units.assign(statistic=test, hit=hit), ["statistic", "kind", "snr"]))
    return pd.concat(tables, ignore_index=True)


def _testable(codes: Codes, min_people: int) -> Codes:
    enough = minority_people(codes, WITHIN_EMOTION) >= min_people
    if not enough.any():
        raise ValueError(
            f"No AU has {min_people} people in its minority within emotion: nothing can be recovered"
        )
    return codes.select(enough)


def _shares(units: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Share of hits with its 95 % Wilson interval, one row a group."""
    table = units.groupby(by, sort=False)["hit"].agg(n="size", found="sum").reset_index()
    found = [metrics.share(k, n, "units") for k, n in table[["found", "n"]].to_numpy()]
    limits = {end: [getattr(one, end) for one in found] for end in ("low", "high")}
    return table.drop(columns="found").assign(share=table["found"] / table["n"], **limits)


def power_curve(
    codes: Codes, n_people: tuple[int, ...], plant: Plant, rng: np.random.Generator, n_draws: int = 5
) -> pd.DataFrame:
    """How many people it takes to find a planted AU, freely and within its emotion.

    For each number of people, ``n_draws`` times that many are drawn without replacement and units that follow
    one AU are planted among them.  AUs that all people together cannot tell from the emotion take no part;
    one that has a single code in every emotion of a draw counts as not found there.  Returns one row a
    statistic, number of people and snr: ``statistic n_people snr n share low high``.  Raises ``ValueError``
    where more people are asked for than there are, and where no AU is testable.
    """
    people = np.unique(codes.subject)
    if max(n_people) > len(people):
        raise ValueError(f"{max(n_people)} people asked for, {len(people)} in the corpus")
    codes = _testable(codes, MIN_PEOPLE)
    units = []
    for count in n_people:
        for _ in range(n_draws):
            part = codes.take(np.isin(codes.subject, rng.choice(people, count, replace=False)))
            units.append(_power_of_draw(part, plant, rng).assign(n_people=count))
    return _shares(pd.concat(units, ignore_index=True), ["statistic", "n_people", "snr"])


def _power_of_draw(codes: Codes, plant: Plant, rng: np.random.Generator) -> pd.DataFrame:
    """One row a planted unit and test: ``statistic snr hit``."""
    targets = np.arange(plant.n_units) % len(codes.names)
    signals = signal(codes, KINDS[0], targets, rng)
    acts = np.concatenate([activations(signals, snr, codes, plant, rng) for snr in plant.snrs], axis=1)
    rows, snr = np.arange(acts.shape[1]), np.repeat(plant.snrs, plant.n_units)
    tables = []
    for test in POWER_TESTS:
        hit = declared(acts, codes, test, plant, rng)[rows, np.tile(targets, len(plant.snrs))]
        tables.append(pd.DataFrame({"statistic": test, "snr": snr, "hit": hit}))
    return pd.concat(tables)
