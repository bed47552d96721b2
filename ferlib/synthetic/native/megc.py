"""The composite of MEGC 2019: one list of clips of SMIC, CASME II and SAMM with three classes."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from ferlib.synthetic.native import casme2, samm, smic
from ferlib.synthetic.native.plan import Size
from ferlib.synthetic.native.tree import write_folder

CLASSES = {
    "negative": 0, "disgust": 0, "repression": 0, "anger": 0, "contempt": 0, "fear": 0, "sadness": 0,
    "positive": 1, "happiness": 1, "surprise": 2,
}  # fmt: skip
"""Emotion of any of the three corpora -> class; CASME II's fear and sadness are left out of the composite."""

CASME2_LEFT_OUT = ("others", "sadness", "fear")
CASME2_CLIPS = 145  # two eligible clips of the 147 are not on the official list
LIST = "combined_3class_gt.csv"


def composite(casme2_size: Size = casme2.FULL, smic_size: Size = smic.FULL, samm_size: Size = samm.FULL, seed: int = 0) -> pd.DataFrame:
    """The list of the drawn trees of these sizes and this seed: ``corpus subject sequence label``.

    At full size CASME II has 145 clips of 24 people, SMIC 164 of 16, SAMM 133 of 28 (See et al. 2019).
    """
    chinese = casme2.plan_casme2(casme2_size, seed).takes
    chinese = chinese[~chinese["emotion"].isin(CASME2_LEFT_OUT)]
    crowded = chinese[chinese["emotion"].eq("disgust") & chinese.duplicated("subject", keep="first")]
    surplus = round(2 * casme2_size.takes / casme2.FULL.takes)
    chinese = chinese.drop(index=crowded.index[len(crowded) - surplus :])
    finnish = smic.plan_smic(smic_size, seed).takes
    british = samm.plan_samm(samm_size, seed).takes
    british = british[british["emotion"] != "Other"]
    padded = finnish["subject"].str[1:].str.zfill(2)  # the list says s01 where the folder says s1
    parts = [
        chinese.assign(corpus="casme2", subject="sub" + chinese["subject"]),
        finnish.assign(corpus="smic", subject="s" + padded, sequence="s" + padded + finnish["sequence"].str[finnish["subject"].str.len().max() :]),
        british.assign(corpus="samm", subject=british["subject"].astype(int).astype(str)),
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(label=table["emotion"].str.lower().map(CLASSES))[["corpus", "subject", "sequence", "label"]]
