"""The composite of MEGC 2019: one list of clips of SMIC, CASME II and SAMM with three classes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ferlib.synthetic.native import casme2, samm, smic
from ferlib.synthetic.native.plan import Size
from ferlib.synthetic.native.tree import fresh_folder, write_mark

CLASSES = {
    "negative": 0, "disgust": 0, "repression": 0,
    "Anger": 0, "Contempt": 0, "Disgust": 0, "Fear": 0, "Sadness": 0,
    "positive": 1, "happiness": 1, "Happiness": 1, "surprise": 2, "Surprise": 2,
}  # fmt: skip
"""Emotion of any of the three corpora -> class; others, and the few clips of CASME II with fear or sadness,
are out."""

CASME2_SURPLUS = 2  # of its 147 eligible clips, 145 are on the official list
LIST = "combined_3class_gt.csv"


@dataclass(frozen=True)
class Sizes:
    """The sizes of the three drawn corpora that the list joins."""

    casme2: Size
    smic: Size
    samm: Size


FULL = Sizes(casme2.FULL, smic.FULL, samm.FULL)
QUICK = Sizes(casme2.QUICK, smic.QUICK, samm.QUICK)


def composite(sizes: Sizes = FULL, seed: int = 0) -> pd.DataFrame:
    """The list of the drawn trees of these sizes and this seed: ``corpus subject sequence label``.

    At full size CASME II has 145 clips of 24 people, SMIC 164 of 16, SAMM 133 of 28 (See et al. 2019).
    """
    parts = []
    for corpus, takes in {
        "casme2": _without_surplus(casme2.plan_casme2(sizes.casme2, seed).takes, sizes.casme2.takes),
        "smic": smic.plan_smic(sizes.smic, seed).takes,
        "samm": samm.plan_samm(sizes.samm, seed).takes,
    }.items():
        takes = takes[takes["emotion"].isin(list(CLASSES))]
        number = takes["subject"].str.removeprefix("s").astype(int)
        padded = number.map("s{:02d}".format)  # the list says s01 where SMIC's folders say s1
        if corpus == "smic":
            takes = takes.assign(sequence=padded + "_" + takes["sequence"].str.split("_", n=1).str[1])
        subject = {"casme2": number.map("sub{:02d}".format), "smic": padded, "samm": number.astype(str)}[
            corpus
        ]
        parts.append(takes.assign(corpus=corpus, subject=subject, label=takes["emotion"].map(CLASSES)))
    return pd.concat(parts, ignore_index=True)[["corpus", "subject", "sequence", "label"]]


def _without_surplus(takes: pd.DataFrame, planned: int) -> pd.DataFrame:
    """CASME II without the clips of disgust, of people who have another, that are not on the official
    list."""
    spare = takes.index[takes["emotion"].eq("disgust") & takes.duplicated(["subject", "emotion"])]
    surplus = round(CASME2_SURPLUS * planned / casme2.FULL.takes)
    return takes.drop(index=spare[len(spare) - surplus :])


def write_megc(out: Path, sizes: Sizes = QUICK, seed: int = 0) -> Path:
    """Write the list alone: its clips lie in the drawn trees of the three corpora of these sizes and this
    seed."""
    with fresh_folder(out) as folder:
        composite(sizes, seed).to_csv(folder / LIST, index=False, header=False, lineterminator="\n")
        write_mark(folder, "megc", dataclasses.asdict(sizes), seed)
    return Path(out)
