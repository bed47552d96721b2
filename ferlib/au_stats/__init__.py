"""Filter x Action Unit statistics that can say no.

``paper``       the paper's statistic P(j, u), and how often it succeeds by chance
``statistics``  AUC, point-biserial and Spearman of every filter with every AU, free or within emotion
``nulls``       permutation of whole sequences, by matrix products: mergeable counts, max-T, pooled null
``verdicts``    tables of p and q, and one verdict per AU
``intervals``   intervals by resampling people
``recovery``    the method tested on planted units

Inputs: ``acts`` (N, F), the maximum activation of each filter per image, and :class:`Codes`, the labels of
the images.
"""

from ferlib.au_stats.codes import (
    FREE,
    WITHIN_EMOTION,
    WITHIN_SUBJECT,
    Codes,
    Null,
    exchange_units,
    minority_people,
)
from ferlib.au_stats.intervals import draw_people, estimates, intervals
from ferlib.au_stats.paper import (
    ACTIVE_SHARE,
    PaperChance,
    PaperMatch,
    active_filters,
    au_rate,
    draw_chance,
    paper_chance,
    paper_match,
    top_images,
)
from ferlib.au_stats.recovery import KINDS, PAPER, TESTS, Plant, power_curve, recovery
from ferlib.au_stats.statistics import STATISTICS, benjamini_hochberg, effect
from ferlib.au_stats.verdicts import VERDICTS, Findings, Plan, examine, verdicts

__all__ = [
    "ACTIVE_SHARE", "FREE", "KINDS", "PAPER", "STATISTICS", "TESTS", "VERDICTS", "WITHIN_EMOTION", "WITHIN_SUBJECT",
    "Codes", "Findings", "Null", "PaperChance", "PaperMatch", "Plan", "Plant",
    "active_filters", "au_rate", "benjamini_hochberg", "draw_chance", "draw_people", "effect", "estimates",
    "examine", "exchange_units", "intervals", "minority_people", "paper_chance", "paper_match",
    "power_curve", "recovery", "top_images", "verdicts",
]  # fmt: skip
