"""What a filter answers as one Action Unit grows while person, pose and light are held: causal tuning."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from torch import nn

from ferlib.filters.atlas import max_activations
from ferlib.filters.stimuli import Stimuli
from ferlib.metrics import LEVEL, draw_units


@dataclass(frozen=True, eq=False)
class Tuning:
    """Answers of the F filters of a layer: the maximum of the map, after the ReLU.

    response : (F, U, L, P) float32, of AU ``aus[u]`` at ``levels[l]``, first 0 (rest), on the face of each person.
    together : (F, V, P) float32, of both AUs of ``pairs[v]`` at the last level.
    """

    layer: str
    aus: tuple[str, ...]
    pairs: tuple[str, ...]
    response: np.ndarray
    together: np.ndarray
    levels: tuple[int, ...] = (0, 1, 2, 3, 4, 5)

    @property
    def rest(self) -> np.ndarray:
        """(F, P): the answer to each person's face at rest."""
        return self.response[:, 0, 0]

    @property
    def rise(self) -> np.ndarray:
        """(F, U, L, P): the answer above that to the same person at rest."""
        return self.response - self.response[:, :, :1]


def tuning(model: nn.Module, layer: str, stimuli: Stimuli) -> Tuning:
    """The answers of ``layer`` to :func:`~ferlib.filters.tuning_faces`."""
    acts = max_activations(model, stimuli.images, layer)[layer]  # (N, F)
    table = stimuli.table
    cells = {
        key: acts[rows].T for key, rows in table.groupby(["acting", "level"], sort=False).indices.items()
    }
    names = [name for name in dict.fromkeys(table["acting"]) if name]
    aus, pairs = (tuple(n for n in names if ("+" in n) == joined) for joined in (False, True))
    levels = tuple(sorted({0, *table["level"]}))
    rest = cells["", 0]  # (F, P)
    response = [np.stack([rest, *(cells[au, level] for level in levels[1:])], axis=1) for au in aus]
    together = [cells[pair, levels[-1]] for pair in pairs]
    both = np.stack(together, axis=1) if pairs else np.empty((len(rest), 0, rest.shape[1]), np.float32)
    return Tuning(layer, aus, pairs, np.stack(response, axis=1), both, levels)


@dataclass(frozen=True, eq=False)
class Curves:
    """A mean over people with its 95 % interval, resampling people: three arrays of one shape; ``n`` people."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


def _tail(n: int) -> float:
    """The level of the lower percentile for a 95 % interval over ``n`` people.

    Resampling few people gives too narrow intervals; a wider percentile makes up for it (Hesterberg 2015, "What
    teachers should know about the bootstrap", sec. 5.3: expanded percentile intervals).
    """
    if n < 2:
        return 0.0
    return float(stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - LEVEL) / 2, n - 1)))


def over_people(values: np.ndarray, rng: np.random.Generator) -> Curves:
    """Mean over the last axis (..., P) with expanded percentile intervals, resampling people."""
    n = values.shape[-1]
    weights = draw_units(n, rng).T.astype(np.float32) / n  # (P, R)
    low, high = np.empty(values.shape[:-1]), np.empty(values.shape[:-1])
    for i in np.ndindex(values.shape[:1]):  # a filter at a time: all resamples at once would fill the memory
        draws = values[i].astype(np.float32) @ weights
        low[i], high[i] = np.quantile(draws, [_tail(n), 1 - _tail(n)], axis=-1)
    return Curves(values.mean(axis=-1), low, high, n)


def curves(found: Tuning, rng: np.random.Generator) -> Curves:
    """Tuning curves (F, U, L): mean rise above the same person's face at rest; 0 at level 0."""
    return over_people(found.rise, rng)


def causes(found: Tuning, rng: np.random.Generator) -> pd.DataFrame:
    """Which AU moves which filter: the rise at the last level, by itself and against the same filter's other AUs.

    One row a filter and AU: ``filter au rise low high`` (95 % over people), ``p`` of a paired t-test over people,
    two-sided, ``q`` after Benjamini & Hochberg over all rows, and ``rank``, 1 for the AU that raises the filter
    most.  Where all people answer alike, p is 0 or, for no change, 1.
    """
    final = found.rise[:, :, -1].astype(np.float64)  # (F, U, P)
    spread = over_people(final, rng)
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal answers: their p is told below
        p = stats.ttest_1samp(final, 0, axis=2).pvalue
    alike = final.std(axis=2) <= 1e-12 * np.abs(final).max(axis=2)
    p = np.where(alike, np.where(final[..., 0] == 0, 1.0, 0.0), p)
    unit, au = (grid.ravel() for grid in np.indices(p.shape))
    rank = (-final.mean(axis=2)).argsort(axis=1, kind="stable").argsort(axis=1) + 1
    values = {"rise": spread.value, "low": spread.low, "high": spread.high, "p": p,
              "q": stats.false_discovery_control(p, axis=None), "rank": rank}  # fmt: skip
    table = pd.DataFrame({"filter": unit, "au": np.array(found.aus)[au]})
    return table.assign(**{name: value.ravel() for name, value in values.items()})


def selectivity(found: Tuning, rng: np.random.Generator) -> pd.DataFrame:
    """How much more a filter answers to one AU than to the others.

    Index (Morcos et al. 2018, eq. 1, on rises at the last level, negative ones counted as 0):
    ``(best - mean of others) / (best + mean of others)``, 1 for one AU only, 0 for all alike, -1 where the
    chosen AU does not raise it in the people measured, NaN where none does.

    Every second person chooses the AU, the others are measured, so that choosing the best of many flatters
    nobody.  One row a filter: ``filter au index low high n``.
    """
    final = found.rise[:, :, -1]  # (F, U, P)
    best = final[:, :, ::2].mean(axis=2).argmax(axis=1)
    measured = final[:, :, 1::2]
    n = measured.shape[2]
    weights = draw_units(n, rng).T / n
    tail = _tail(n)
    rows = []
    for f, u in enumerate(best):
        value = _index(measured[f].mean(axis=1, keepdims=True), u)[0]
        draws = _index(measured[f] @ weights, u)
        known = draws[~np.isnan(draws)]
        low, high = (
            np.quantile(known, [tail, 1 - tail]) if len(known) and not np.isnan(value) else (np.nan,) * 2
        )
        rows.append({"filter": f, "au": found.aus[u], "index": value, "low": low, "high": high, "n": n})
    return pd.DataFrame(rows)


def _index(rises: np.ndarray, best: int) -> np.ndarray:
    """rises : (U, R).  Returns (R,)."""
    rises = np.maximum(rises, 0)
    others = np.delete(rises, best, axis=0).mean(axis=0)
    total = rises[best] + others
    return np.where(total > 0, (rises[best] - others) / np.where(total > 0, total, 1), np.nan)


def interactions(found: Tuning, rng: np.random.Generator) -> Curves:
    """(F, V): the answer to two AUs at the last level beyond the sum of their rises, ``r_ab - r_a - r_b + r_0``."""
    alone = found.response[:, :, -1]  # (F, U, P)
    parts = [[found.aus.index(au) for au in pair.split("+")] for pair in found.pairs]
    beyond = [found.together[:, v] - alone[:, a] - alone[:, b] + found.rest for v, (a, b) in enumerate(parts)]
    empty = np.empty((len(alone), 0, alone.shape[2]), np.float32)
    return over_people(np.stack(beyond, axis=1) if beyond else empty, rng)


def variance_shares(model: nn.Module, layer: str, stimuli: Stimuli, rng: np.random.Generator) -> pd.DataFrame:
    """Share of each filter's variance that is left when all but one thing is held: total-effect indices.

    Jansen 1999: half the mean squared difference between answers to pictures that differ in this alone, over
    half that of unrelated pictures.  A filter of AUs has a large share for ``AUs`` and small ones for
    ``person``, ``skin tone``, ``pose`` and ``light``; the shares add up to more than 1 as far as things interact.
    stimuli : of :func:`~ferlib.filters.exchange_faces`.  One row a filter and factor: ``filter factor share low
    high n``; NaN where unrelated pictures give the same answer.
    """
    acts = max_activations(model, stimuli.images, layer)[layer].astype(np.float64)
    groups = stimuli.table.groupby("exchanged", sort=False).indices
    base = acts[groups[""]]
    moved = {name: (acts[rows] - base) ** 2 for name, rows in groups.items() if name}  # each (P, F)
    n = len(base)
    times = draw_units(n, rng)
    whole = moved.pop("everything")
    tail = _tail(n)
    rows = []
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a filter that never answers has no shares
        for name, part in moved.items():
            share = part.sum(axis=0) / whole.sum(axis=0)
            low, high = np.nanquantile((times @ part) / (times @ whole), [tail, 1 - tail], axis=0)
            rows += [{"filter": f, "factor": name, "share": share[f], "low": low[f], "high": high[f], "n": n}
                     for f in range(len(share))]  # fmt: skip
    return pd.DataFrame(rows)
