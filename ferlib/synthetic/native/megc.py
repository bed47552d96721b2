"""The composite of MEGC 2019: one list of clips of SMIC, CASME II and SAMM with three classes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ferlib.synthetic.native import casme2, samm, smic
from ferlib.synthetic.workshop import fresh_folder, write_mark

CLASSES = {
    "negative": 0, "disgust": 0, "repression": 0,
    "Anger": 0, "Contempt": 0, "Disgust": 0, "Fear": 0, "Sadness": 0,
    "positive": 1, "happiness": 1, "Happiness": 1, "surprise": 2, "Surprise": 2,
}  # fmt: skip
"""Emotion in any of the three -> class; others, and CASME II's few clips of fear or sadness, are out."""

CASME2_SURPLUS = 2  # of its 147 eligible clips, 145 are on the official list
LIST = "combined_3class_gt.csv"


def composite(size: str = "full", seed: int = 0) -> pd.DataFrame:
    """The list of the drawn trees of one size and seed: ``corpus subject sequence label``.

    At full size CASME II has 145 clips of 24 people, SMIC 164 of 16, SAMM 133 of 28 (See et al. 2019).
    """
    parts = []
    for corpus, module in {"casme2": casme2, "smic": smic, "samm": samm}.items():
        takes = module.plan(module.SIZES[size], seed).takes
        takes = _without_surplus(takes) if corpus == "casme2" else takes
        takes = takes[takes["emotion"].isin(list(CLASSES))]
        number = takes["subject"].str.removeprefix("s").astype(int)
        subject = number.map({"casme2": "sub{:02d}", "smic": "s{:02d}", "samm": "{}"}[corpus].format)
        if corpus == "smic":  # the list says s01_ne_01 where the folder says s1_ne_01
            takes = takes.assign(sequence=subject + "_" + takes["sequence"].str.split("_", n=1).str[1])
        parts.append(takes.assign(corpus=corpus, subject=subject, label=takes["emotion"].map(CLASSES)))
    return pd.concat(parts, ignore_index=True)[["corpus", "subject", "sequence", "label"]]


def _without_surplus(takes: pd.DataFrame) -> pd.DataFrame:
    """CASME II without two clips of disgust, of people who have more, that the official list lacks."""
    spare = takes.index[takes["emotion"].eq("disgust") & takes.duplicated(["subject", "emotion"])]
    surplus = round(CASME2_SURPLUS * len(takes) / casme2.SIZES["full"].takes)
    return takes.drop(index=spare[len(spare) - surplus :])


def write_megc(out: Path, size: str = "quick", seed: int = 0) -> Path:
    """Write the list alone: its clips lie in the drawn trees of the three corpora of this size and seed."""
    with fresh_folder(out) as folder:
        composite(size, seed).to_csv(folder / LIST, index=False, header=False, lineterminator="\n")
        write_mark(folder, "megc", {"size": size}, seed)
    return Path(out)
