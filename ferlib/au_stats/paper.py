"""The paper's statistic, repeated faithfully, and how often it succeeds by chance.

Breuer & Kimmel 2017, sec. 3.2: of the N images that excite filter j most, P(j, u) is the share that shows AU
u; the filter matches u when P(j, u) = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ferlib.au_stats.codes import Codes, Null, exchange_units
from ferlib.au_stats.nulls import permutations

ACTIVE_SHARE = 0.01
"""A filter is dead that fires on fewer of the images, and always-on that stays silent on fewer of them."""


def top_images(acts: np.ndarray, n_top: int) -> np.ndarray:
    """(F, K) int: the ``n_top`` images with the highest activation of each filter, strongest first.

    acts : (N, F); equal activations keep the order of the images.  Raises ``ValueError`` outside 1 <= n_top
    <= N.
    """
    if not 1 <= n_top <= len(acts):
        raise ValueError(f"n_top={n_top} of {len(acts)} images")
    return np.argsort(-acts, axis=0, kind="stable")[:n_top].T


def au_rate(present: np.ndarray, top: np.ndarray) -> np.ndarray:
    """P(j, u) of Breuer & Kimmel 2017, sec. 3.2.  present : (N, U) 0, 1, NaN.  top : (F, K) int.

    Returns (F, U) float in [0, 1], the mean over the top images that were coded; NaN where none was.
    """
    shown = present[top]
    coded = (~np.isnan(shown)).sum(axis=1)
    return np.where(coded > 0, np.nansum(shown, axis=1) / np.maximum(coded, 1), np.nan)


def active_filters(acts: np.ndarray) -> np.ndarray:
    """(F,) bool: filters that fire (activation > 0) on at least 1 % of the images.  acts : (N, F)."""
    return (acts > 0).mean(axis=0) >= ACTIVE_SHARE


@dataclass(frozen=True)
class PaperMatch:
    """Outcome of the paper's test.

    top : (F, K) int.  rate : (F, U) in [0, 1].  active : (F,) bool.
    match : (F, U) bool, every top image was coded, shows the AU and makes the filter fire; inactive filters
    match nothing.
    """

    top: np.ndarray
    rate: np.ndarray
    active: np.ndarray
    match: np.ndarray

    @property
    def n_active(self) -> int:
        """The counterpart of the paper's 50."""
        return int(self.active.sum())

    @property
    def n_matched(self) -> int:
        """The counterpart of the paper's 43: active filters that match at least one AU."""
        return int(self.match.any(axis=1).sum())

    @property
    def n_rejected(self) -> int:
        """The counterpart of the paper's 7."""
        return self.n_active - self.n_matched


def paper_match(acts: np.ndarray, codes: Codes, n_top: int = 5) -> PaperMatch:
    """The paper's test for every filter.  acts : (N, F).

    Images that are coded for no AU at all are not ranked.
    """
    coded = np.flatnonzero((~np.isnan(codes.present)).any(axis=1))
    active = active_filters(acts)
    top = coded[top_images(acts[coded], n_top)]
    fires = (np.take_along_axis(acts, top.T, axis=0) > 0).all(axis=0)
    match = (codes.present[top] == 1).all(axis=1) & (active & fires)[:, None]
    return PaperMatch(top, au_rate(codes.present, top), active, match)


def draw_chance(codes: Codes, n_top: int) -> np.ndarray:
    """(U,) probability that ``n_top`` random images all show an AU: hypergeometric, C(n1, K) / C(n, K).

    It takes images for independent; where one sequence gives several frames, chance is larger
    (:func:`paper_chance`).
    """
    n, n1 = (~np.isnan(codes.present)).sum(axis=0), np.nansum(codes.present, axis=0).astype(int)
    return np.where(n >= n_top, stats.hypergeom.pmf(n_top, n, n1, n_top), np.nan)


@dataclass(frozen=True)
class PaperChance:
    """How many active filters match when label rows are permuted.

    observed : filters that match.  null : (B,) int, the same for each permutation.  per_filter : (F,) in [0,
    1], how often each filter matches some AU by chance (0 for inactive filters).
    """

    observed: int
    null: np.ndarray
    per_filter: np.ndarray

    @property
    def expected(self) -> float:
        return float(self.null.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 % of the chance distribution."""
        low, high = np.percentile(self.null, (2.5, 97.5))
        return float(low), float(high)

    @property
    def p(self) -> float:
        """(1 + b) / (1 + B) that chance matches as many filters (Phipson & Smyth 2010)."""
        return float((1 + (self.null >= self.observed).sum()) / (1 + len(self.null)))


def paper_chance(
    found: PaperMatch, codes: Codes, null: Null, n_permutations: int, rng: np.random.Generator
) -> PaperChance:
    """Chance level of the paper's count under a permutation null, which keeps every filter's top images.

    A filter matches when the AND over the bit masks of its top images' AUs is not zero.  At most 64 AUs.
    """
    units = exchange_units(codes, null)
    shows = codes.present[units.first] == 1
    masks = (shows.astype(np.uint64) << np.arange(shows.shape[1], dtype=np.uint64)).sum(
        axis=1, dtype=np.uint64
    )
    top = units.of_image[found.top[found.active]]
    matched = np.zeros(len(top), int)
    counts = []
    for batch in permutations(units, n_permutations, rng):
        shared = np.bitwise_and.reduce(masks[batch][:, top], axis=2) != 0
        matched += shared.sum(axis=0)
        counts.append(shared.sum(axis=1))
    per_filter = np.zeros(len(found.active))
    per_filter[found.active] = matched / n_permutations
    return PaperChance(found.n_matched, np.concatenate(counts), per_filter)
