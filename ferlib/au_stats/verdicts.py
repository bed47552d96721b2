"""From permutation counts to tables: every cell's p and q, and one verdict per AU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ferlib.au_stats import nulls
from ferlib.au_stats.codes import FREE, Codes, Null, minority_people
from ferlib.au_stats.nulls import Tally
from ferlib.au_stats.statistics import benjamini_hochberg

BEYOND, EMOTION_ONLY, NOT_FOUND, NOT_TESTABLE = VERDICTS = (
    "found beyond emotion", "found with emotion only", "not found", "not testable",
)  # fmt: skip

MIN_PEOPLE = 10  # fewer people in the minority say too little: not testable


@dataclass(frozen=True)
class Plan:
    """How a filter x AU table is tested."""

    statistic: str = "auc"
    null: Null = FREE
    n_permutations: int = 10_000
    min_people: int = MIN_PEOPLE


@dataclass(frozen=True)
class Findings:
    """A tested table of F filters and U AUs.

    effect : (F, U) the statistic itself.  observed : (F, U) studentised.  minority : (U,) int people who
    carry the evidence.  NaN marks filters or AUs that do not vary.
    """

    plan: Plan
    names: tuple[str, ...]
    effect: np.ndarray
    observed: np.ndarray
    minority: np.ndarray
    counts: Tally

    def __add__(self, other: Findings) -> Findings:
        """More permutations of the same table: counts made elsewhere, with another generator, are merged."""
        return replace(self, counts=self.counts + other.counts)

    @cached_property
    def testable(self) -> np.ndarray:
        """(U,) bool: enough people in the minority, and at least one filter and the AU vary."""
        return (self.minority >= self.plan.min_people) & ~np.isnan(self.observed).all(axis=0)

    @cached_property
    def p(self) -> np.ndarray:
        """(F, U) permutation p of each cell."""
        return nulls.cell_p(self.counts, self.observed)

    @cached_property
    def p_fwer(self) -> np.ndarray:
        """(F, U) p adjusted by max-T over all filters and testable AUs."""
        return nulls.max_t_p(self.counts, self.observed, self.testable)

    @cached_property
    def q(self) -> np.ndarray:
        """(F, U) false-discovery rate over the testable cells, from the pooled studentised null."""
        pooled = nulls.pooled_p(self.counts, self.observed)
        return benjamini_hochberg(np.where(self.testable, pooled, np.nan))

    @cached_property
    def p_au(self) -> np.ndarray:
        """(U,) p that no filter at all knows the AU."""
        return nulls.au_p(self.counts, self.observed)

    @cached_property
    def q_au(self) -> np.ndarray:
        """(U,) false-discovery rate over the testable AUs."""
        return benjamini_hochberg(np.where(self.testable, self.p_au, np.nan))

    @cached_property
    def best(self) -> np.ndarray:
        """(U,) int: the filter with the largest studentised statistic; 0 where nothing varies."""
        return np.argmax(np.nan_to_num(self.observed, nan=-np.inf), axis=0)

    def table(self) -> pd.DataFrame:
        """One row a cell: ``filter au effect t p p_fwer q testable``."""
        n_filters, n_aus = self.observed.shape
        columns = {"effect": self.effect, "t": self.observed, "p": self.p, "p_fwer": self.p_fwer, "q": self.q}
        return pd.DataFrame(
            {
                "filter": np.repeat(np.arange(n_filters), n_aus),
                "au": np.tile(np.array(self.names), n_filters),
                **{name: values.ravel() for name, values in columns.items()},
                "testable": np.tile(self.testable, n_filters),
            }
        )


def examine(acts: np.ndarray, codes: Codes, plan: Plan, rng: np.random.Generator) -> Findings:
    """Test every filter against every AU.  acts : (N, F) maximum activation of each filter per image.

    The people should not have trained the network: a network can learn a face by heart.
    """
    task = nulls.problem(acts, codes, plan.statistic, plan.null)
    counts = nulls.tally(task, nulls.permutations(task.units, plan.n_permutations, rng))
    minority = minority_people(codes, plan.null)
    return Findings(plan, codes.names, task.effect, task.observed, minority, counts)


def verdicts(free: Findings, within: Findings, codes: Codes, alpha: float = 0.05) -> pd.DataFrame:
    """One row an AU: does any filter know it, and beyond the emotion?

    free, within : findings of the free null and of the null within emotion.  alpha : false-discovery rate
    over AUs. Columns: ``au verdict n_images n_present n_sequences n_people`` (coded, and all in distinct
    counts) ``n_minority`` (people who carry the evidence within emotion) ``filter`` (the best one) ``effect
    effect_within q q_within n_filters`` (cells with q <= alpha within emotion).
    An AU whose minority within emotion is below the minimum is not testable, however strong its free
    association.
    """
    beyond = within.testable & (within.q_au <= alpha)
    associated = free.testable & (free.q_au <= alpha)
    kinds = np.select([~within.testable, beyond, associated], [NOT_TESTABLE, BEYOND, EMOTION_ONLY], NOT_FOUND)
    best = np.where(beyond, within.best, free.best)
    aus = np.arange(len(codes.names))
    coded = ~np.isnan(codes.present)
    distinct = {
        f"n_{name}": [len(np.unique(values[rows])) for rows in coded.T]
        for name, values in (("sequences", codes.sequence), ("people", codes.subject))
    }
    return pd.DataFrame(
        {
            "au": codes.names,
            "verdict": kinds,
            "n_images": coded.sum(axis=0),
            "n_present": np.nansum(codes.present, axis=0).astype(int),
            **distinct,
            "n_minority": within.minority,
            "filter": best,
            "effect": free.effect[best, aus],
            "effect_within": within.effect[best, aus],
            "q": free.q_au,
            "q_within": within.q_au,
            "n_filters": (within.q <= alpha).sum(axis=0),
        }
    )
