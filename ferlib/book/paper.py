"""Numbers that others reported, in one place, so that no page types them.

Those of Breuer and Kimmel 2017 (arXiv:1705.01842) are marked ``to_check``: they were noted from memory of the
paper and have yet to be read in it again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from ferlib.labels import DRAWN_PREFIX


@dataclass(frozen=True)
class Reported:
    """A number of somebody else."""

    value: float
    spread: float | None  # what stands behind the +-, as printed there
    meaning: str
    source: str  # key in references.bib
    to_check: bool = False
    unit: str = "fraction"

    def __str__(self) -> str:
        factor, sign = (100, " %") if self.unit == "fraction" else (1, "")
        spread = f" ± {factor * self.spread:.4g}" if self.spread else ""
        return f"{factor * self.value:.4g}{spread}{sign}" + (" (to check)" if self.to_check else "")


_paper = partial(Reported, source="breuer2017deep", to_check=True)
_rerun = partial(Reported, source="varanka2023data", unit="")

REPORTED: dict[str, Reported] = {
    "fer2013": _paper(0.721, 0.005, "accuracy on FER2013, seven emotions"),
    "ckplus": _paper(0.9862, 0.0011, "accuracy on CK+, eight emotions, ten folds"),
    "novaemotions": _paper(0.8175, None, "accuracy on NovaEmotions, eight emotions"),
    "fer2013_people": Reported(0.65, 0.05, "accuracy of people on FER2013", "goodfellow2013challenges"),
    "fer2013_winner": Reported(
        0.712, None, "accuracy of the winner of the challenge", "goodfellow2013challenges"
    ),
    "matching_filters": _paper(43 / 50, None, "active filters of the last block that match an Action Unit"),
    "ckplus_to_fer2013": _paper(0.693, None, "accuracy on FER2013 after training on CK+"),
    "ckplus_to_novaemotions": _paper(0.672, None, "accuracy on NovaEmotions after training on CK+"),
    "fer2013_to_ckplus": _paper(0.92, None, "accuracy on CK+ after training on FER2013"),
    "fer2013_to_novaemotions": _paper(0.78, None, "accuracy on NovaEmotions after training on FER2013"),
    "novaemotions_to_ckplus": _paper(0.9375, None, "accuracy on CK+ after training on NovaEmotions"),
    "novaemotions_to_fer2013": _paper(0.718, None, "accuracy on FER2013 after training on NovaEmotions"),
    "au_accuracy": _paper(0.9754, None, "binary accuracy of all Action Units from emotion features"),
    "au_level_accuracy": _paper(0.961, None, "accuracy of Action Unit intensities, 0 to 5"),
    "au_level_mse": _paper(0.2045, None, "mean squared error of Action Unit intensities", unit=""),
    "micro_accuracy": _paper(0.5947, None, "accuracy on CASME II, one subject left out"),
    "micro_lbptop": _paper(0.4412, None, "the same with LBP-TOP"),
    "micro_lbptop_magnified": _paper(0.5191, None, "the same with LBP-TOP and adaptive magnification"),
    "micro_authors": Reported(
        0.6341,
        None,
        "accuracy of the authors of CASME II with LBP-TOP, one subject left out",
        "yan2014casme2",
    ),
    "micro_majority": Reported(
        99 / 246, None, "share of the commonest of five classes in CASME II", "yan2014casme2"
    ),
    "megc_uf1": Reported(0.588, None, "UF1 of LBP-TOP on the composite of MEGC 2019", "see2019megc", unit=""),
    "megc_uar": Reported(0.579, None, "UAR of LBP-TOP on the composite of MEGC 2019", "see2019megc", unit=""),
    "leak_ststnet_clean": _rerun(
        0.713, None, "UF1 of STSTNet, MEGC 2019, epoch not chosen on the held-out person"
    ),
    "leak_ststnet": _rerun(0.774, None, "the same, epoch chosen on the held-out person"),
    "leak_offapex_clean": _rerun(
        0.703, None, "UF1 of OFF-ApexNet, MEGC 2019, epoch not chosen on the held-out person"
    ),
    "leak_offapex": _rerun(0.839, None, "the same, epoch chosen on the held-out person"),
}
"""What the pages quote, by the key that they glue."""


SPTS_CAPP: dict[str, float] = {
    "AU01": 0.969, "AU02": 0.979, "AU04": 0.910, "AU05": 0.978, "AU06": 0.958, "AU07": 0.892, "AU09": 0.996,
    "AU11": 0.852, "AU12": 0.963, "AU15": 0.899, "AU17": 0.933, "AU20": 0.947, "AU23": 0.922, "AU24": 0.913,
    "AU25": 0.975, "AU26": 0.803, "AU27": 0.998,
}  # fmt: skip
"""Area under the ROC curve of each AU on the photographed CK+, leaving out one person (Lucey et al. 2010, table 4)."""


def reported_matrix(corpora: Iterable[str]) -> pd.DataFrame:
    """The paper's train x test matrix, as far as it reports one for ``corpora`` (drawn ones by their layout).

    One row a pair: ``source target value key``; NaN and an empty key where nothing was reported.
    """
    rows = []
    for source, target in itertools.product(list(corpora), repeat=2):
        a, b = (name.removeprefix(DRAWN_PREFIX) for name in (source, target))
        key = a if a == b else f"{a}_to_{b}"
        found = REPORTED.get(key)
        told = {"value": found.value if found else float("nan"), "key": key if found else ""}
        rows.append({"source": source, "target": target, **told})
    return pd.DataFrame(rows)
