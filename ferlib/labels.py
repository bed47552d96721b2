"""The words of the field: emotions, Action Units, corpora and their foreign codes.

Every corpus speaks its own dialect. It is translated once, at the loader, into the names of this module,
and only :func:`au_present` and :func:`au_level` read the AU columns of a table.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

EMOTIONS: tuple[str, ...] = (
    "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
)  # fmt: skip
"""The eight emotions in the order of CK+'s codes 0 to 7."""

EMOTION_WORDS: dict[str, str] = {
    **{emotion: emotion for emotion in EMOTIONS},
    "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "afraid": "fear", "fearful": "fear",
    "happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise",
}  # fmt: skip
"""Emotion of each word, in small letters, that people name folders and columns with."""

FER2013_CODES: tuple[str, ...] = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""Emotion of each code 0 to 6 in ``fer2013.csv``."""

FER2013_FOLDERS: dict[str, str] = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
    "neutral": "neutral", "sad": "sadness", "surprise": "surprise",
}  # fmt: skip
"""Emotion of each folder of the folder variant of FER2013."""

FER2013_USAGES: dict[str, str] = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
"""Split of each ``Usage`` value of FER2013."""

FERPLUS_COLUMNS: tuple[str, ...] = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
"""Vote columns of ``fer2013new.csv`` in file order; ``NF`` means "not a face"."""

SPLITS: tuple[str, ...] = ("train", "val", "test")
CORPORA: tuple[str, ...] = ("fer2013", "ckplus", "novaemotions", "casme2", "samm", "smic")
DRAWN_PREFIX = "synthetic-"
"""A drawn corpus is stored as this prefix and the name of the corpus whose layout it has."""

AU_NAMES: dict[str, str] = {
    "AU01": "inner brow raiser", "AU02": "outer brow raiser", "AU04": "brow lowerer",
    "AU05": "upper lid raiser", "AU06": "cheek raiser", "AU07": "lid tightener",
    "AU09": "nose wrinkler", "AU10": "upper lip raiser", "AU11": "nasolabial deepener",
    "AU12": "lip corner puller", "AU13": "sharp lip puller", "AU14": "dimpler",
    "AU15": "lip corner depressor", "AU16": "lower lip depressor", "AU17": "chin raiser",
    "AU18": "lip pucker", "AU20": "lip stretcher", "AU21": "neck tightener", "AU22": "lip funneler",
    "AU23": "lip tightener", "AU24": "lip pressor", "AU25": "lips part", "AU26": "jaw drop",
    "AU27": "mouth stretch", "AU28": "lip suck", "AU29": "jaw thrust", "AU31": "jaw clencher",
    "AU34": "cheek puff", "AU38": "nostril dilator", "AU39": "nostril compressor",
    "AU43": "eyes closed", "AU45": "blink",
}  # fmt: skip
"""Every AU that a corpus of this book codes, with its FACS name."""

AU_MUSCLES: dict[str, str] = {
    "AU01": "frontalis, inner part", "AU02": "frontalis, outer part",
    "AU04": "corrugator supercilii, depressor supercilii", "AU05": "levator palpebrae superioris",
    "AU06": "orbicularis oculi, orbital part", "AU07": "orbicularis oculi, palpebral part",
    "AU09": "levator labii superioris alaeque nasi", "AU10": "levator labii superioris",
    "AU11": "zygomaticus minor", "AU12": "zygomaticus major", "AU13": "levator anguli oris",
    "AU14": "buccinator", "AU15": "depressor anguli oris", "AU16": "depressor labii inferioris",
    "AU17": "mentalis", "AU18": "incisivii labii", "AU20": "risorius, platysma", "AU21": "platysma",
    "AU22": "orbicularis oris, outer part", "AU23": "orbicularis oris", "AU24": "orbicularis oris",
    "AU25": "depressor labii inferioris, or relaxation of mentalis",
    "AU26": "masseter relaxed; temporalis and internal pterygoid", "AU27": "pterygoids, digastric",
    "AU28": "orbicularis oris", "AU29": "pterygoids", "AU31": "masseter", "AU34": "buccinator relaxed",
    "AU38": "nasalis, alar part", "AU39": "nasalis, transverse part; depressor septi",
    "AU43": "levator palpebrae relaxed; orbicularis oculi", "AU45": "levator palpebrae relaxed; orbicularis oculi",
}  # fmt: skip
"""The muscle behind each AU, after the FACS manual's table (Ekman, Friesen & Hager 2002)."""

DRAWN_AUS: tuple[str, ...] = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU11", "AU12", "AU14", "AU15", "AU16",
    "AU17", "AU18", "AU20", "AU22", "AU23", "AU24", "AU25", "AU26", "AU27", "AU28", "AU43", "AU45",
)  # fmt: skip
"""The 25 AUs that the rig draws."""

AU_LETTERS: tuple[str, ...] = ("", "A", "B", "C", "D", "E")
"""FACS intensity letter of each level 0 to 5."""

PRESENT_UNKNOWN = 6
"""Stored level of an AU that is present at a strength nobody coded."""


def au_column(number: int) -> str:
    """Column name of AU ``number``: ``au_column(1) == "AU01"``.  Raises ``ValueError`` outside 1 to 99."""
    if not 1 <= number <= 99:
        raise ValueError(f"AU {number} is not an Action Unit number (1 to 99)")
    return f"AU{number:02d}"


def au_title(column: str) -> str:
    """``"AU 12 (lip corner puller)"`` of ``"AU12"``: how prose names an AU at first use."""
    return f"AU {int(column[2:])} ({AU_NAMES[column]})"


def au_columns(table: pd.DataFrame) -> list[str]:
    """The AU columns that ``table`` has, in ascending order.  Empty where the corpus is not AU-coded."""
    return sorted(c for c in table.columns if len(c) == 4 and c.startswith("AU") and c[2:].isdigit())


def takes(table: pd.DataFrame) -> np.ndarray:
    """(N,) int: which take each row is a frame of, from 0 in order of appearance.

    A take is a sequence of one person: CASME II gives two people's clips the same name.
    """
    names = [column for column in ("subject", "sequence") if column in table]
    return table.groupby(names, sort=False, dropna=False).ngroup().to_numpy()


def _au_array(table: pd.DataFrame, columns: list[str] | None) -> np.ndarray:
    wanted = au_columns(table) if columns is None else columns
    return table[wanted].to_numpy(dtype=np.float32, na_value=np.nan)


def au_present(table: pd.DataFrame, columns: list[str] | None = None) -> np.ndarray:
    """Which AUs each image shows.  Returns (N, U) float32: 1 present, 0 absent, NaN not coded."""
    stored = _au_array(table, columns)
    return np.where(np.isnan(stored), np.nan, (stored > 0).astype(np.float32))


def au_level(table: pd.DataFrame, columns: list[str] | None = None) -> np.ndarray:
    """How strongly each AU acts.  Returns (N, U) float32 in [0, 5] (1 = A, 5 = E).

    NaN where the AU was not coded, or coded as present without a strength (stored as 6).
    """
    stored = _au_array(table, columns)
    return np.where(stored == PRESENT_UNKNOWN, np.nan, stored)
