"""What is known about the images: their AU codes, emotion, sequence and person, and what may be exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ferlib import labels
from ferlib.config import DataError

GROUPINGS: tuple[str, ...] = ("emotion", "subject")
UNITS: tuple[str, ...] = ("sequence", "image")


@dataclass(frozen=True)
class Codes:
    """Labels of N images for U Action Units.

    present : (N, U) 1 present, 0 absent, NaN not coded.  level : (N, U) in [0, 5], NaN where no strength is
    known. emotion, sequence, subject : (N,) names or numbers.  names : U column names.
    Raises ``DataError`` where the lengths disagree or a presence code is not 0, 1 or NaN.
    """

    names: tuple[str, ...]
    present: np.ndarray
    level: np.ndarray
    emotion: np.ndarray
    sequence: np.ndarray
    subject: np.ndarray

    def __post_init__(self) -> None:
        shape = (len(self.emotion), len(self.names))
        for field in ("present", "level"):
            if getattr(self, field).shape != shape:
                found = getattr(self, field).shape
                raise DataError(f"{field} is {found}; {shape} = (images, AUs) was expected")
        for field in ("sequence", "subject"):
            if len(getattr(self, field)) != shape[0]:
                raise DataError(f"{field} has {len(getattr(self, field))} entries for {shape[0]} images")
        if not np.isin(self.present[~np.isnan(self.present)], (0, 1)).all():
            raise DataError("present holds values other than 0, 1 and NaN; read it with labels.au_present")

    @classmethod
    def of(cls, table: pd.DataFrame, columns: list[str] | None = None) -> Codes:
        """Codes of a corpus table (``columns``: its AU columns, by default all of them)."""
        names = tuple(labels.au_columns(table) if columns is None else columns)
        present, level = labels.au_present(table, list(names)), labels.au_level(table, list(names))
        emotion, subject = (table[c].to_numpy() for c in ("emotion", "subject"))
        return cls(names, present, level, emotion, labels.takes(table), subject)

    @classmethod
    def photographed(cls) -> Codes:
        """The AUs of CK+'s 327 labelled sequences, without a face; each counts as a sequence of another person."""
        from ferlib.synthetic.expressions import ckplus_combinations  # torch comes with it

        table = ckplus_combinations().fillna("")
        table = table.loc[np.repeat(table.index, table["count"])]
        acting = table["aus"].astype(str).str.get_dummies("+").drop(columns="", errors="ignore")
        names = tuple(labels.au_column(int(str(number))) for number in acting)
        present, one = acting.to_numpy(float), np.arange(len(table))
        return cls(names, present, np.full_like(present, np.nan), table["emotion"].to_numpy(), one, one)

    def take(self, rows: np.ndarray) -> Codes:
        """The codes of some images.  rows : (M,) int or (N,) bool."""
        fields = ("present", "level", "emotion", "sequence", "subject")
        return replace(self, **{field: getattr(self, field)[rows] for field in fields})

    def select(self, aus: np.ndarray) -> Codes:
        """The codes of some AUs.  aus : (V,) int or (U,) bool."""
        names = tuple(np.array(self.names)[aus])
        return replace(self, names=names, present=self.present[:, aus], level=self.level[:, aus])


@dataclass(frozen=True)
class Null:
    """Which label rows may change places: the null hypothesis of a permutation test.

    within : the groups inside which rows stay, any of ``"emotion"`` and ``"subject"``; none is the free null.
    unit : ``"sequence"`` moves all images of a sequence together.  ``"image"`` treats frames of one sequence
    as independent, which they are not: it exists to show how much too narrow that null is.
    Where a person's habits colour both the AUs and the activations, only ``"subject"`` keeps the person out.
    two_sided : also count filters that fall silent when the AU acts.
    """

    within: tuple[str, ...] = ()
    unit: str = "sequence"
    two_sided: bool = False

    def __post_init__(self) -> None:
        if not set(self.within) <= set(GROUPINGS):
            raise ValueError(f"within={self.within!r}; known groups are {GROUPINGS}")
        if self.unit not in UNITS:
            raise ValueError(f"unit={self.unit!r}; known units are {UNITS}")


FREE = Null()
WITHIN_EMOTION = Null(within=("emotion",))
WITHIN_SUBJECT = Null(within=("subject",))


@dataclass(frozen=True)
class Units:
    """The S things that are permuted, and the G strata in which they stay.

    of_image : (N,) int unit of each image.  first : (S,) int one image of each unit.
    stratum : (S,) int in [0, G).  subject : (S,) int in [0, A).
    """

    of_image: np.ndarray
    first: np.ndarray
    stratum: np.ndarray
    subject: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def image_stratum(self) -> np.ndarray:
        """(N,) int stratum of each image."""
        return self.stratum[self.of_image]

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Units of each stratum."""
        order = np.argsort(self.stratum, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.stratum))[:-1])


def exchange_units(codes: Codes, null: Null) -> Units:
    """The units that ``null`` permutes.

    A unit is the part of a sequence that shares one emotion, so that the neutral onset of a CK+ sequence and
    its peak are labelled each in its own right.  Raises ``DataError`` where an AU code changes inside a
    unit: then no label belongs to the whole unit.
    """
    n_images = len(codes.emotion)
    keys = [_numbered(codes.sequence), _numbered(codes.emotion), _numbered(codes.subject)]
    rows = np.arange(n_images)[:, None] if null.unit == "image" else np.stack(keys, axis=1)
    _, first, of_image = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    of_image = of_image.reshape(-1)
    for field in ("present", "level"):
        _check_constant(codes, field, first[of_image])
    groups = [_numbered(getattr(codes, group)) for group in null.within] or [np.zeros(n_images, int)]
    _, stratum = np.unique(np.stack(groups, axis=1)[first], axis=0, return_inverse=True)
    return Units(of_image, first, stratum.reshape(-1), keys[2][first])


def _numbered(values: np.ndarray) -> np.ndarray:
    return pd.factorize(values, use_na_sentinel=False)[0]


def _check_constant(codes: Codes, field: str, first_image: np.ndarray) -> None:
    """``first_image`` : (N,) int the image whose codes all images of a unit must share."""
    values = getattr(codes, field)
    same = (values == values[first_image]) | (np.isnan(values) & np.isnan(values[first_image]))
    if same.all():
        return
    image, au = np.argwhere(~same)[0]
    raise DataError(
        f"{codes.names[au]} ({field}) changes inside sequence '{codes.sequence[image]}' under one emotion. "
        "Keep frames whose codes agree (such as the peak), or name finer sequences."
    )


def minority_people(codes: Codes, null: Null) -> np.ndarray:
    """How many people carry the evidence about each AU.  Returns (U,) int.

    In each stratum the rarer of "present" and "absent" (counted in units) is its minority; the result counts
    the distinct people with a minority unit in any stratum.  Within emotion this is tiny in CK+: nearly all
    surprised faces show AU 1, so that 8 people tell whether a filter knows AU 1 or only surprise.
    """
    units = exchange_units(codes, null)
    present = codes.present[units.first]
    minority = np.zeros(present.shape, bool)
    for members in units.members:
        part = present[members]
        rarer = ((part == 1).sum(axis=0) <= (part == 0).sum(axis=0)).astype(float)
        minority[members] = part == rarer
    people = np.zeros((units.subject.max(initial=-1) + 1, present.shape[1]), bool)
    np.logical_or.at(people, units.subject, minority)
    return people.sum(axis=0)
