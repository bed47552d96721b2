"""`FaceSet`: the faces of a corpus and the table that describes them, in one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ferlib.config import DataError, UsageError, check_name
from ferlib.datasets.ferplus import RULES, VOTES, ferplus_labels
from ferlib.datasets.store import open_store
from ferlib.labels import EMOTIONS, SPLITS

DUPLICATES = ("keep", "drop-cross-split")


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces and their table.

    images : (N, H, W) uint8 grey levels; may be a read-only memory map.
    table : N rows, index 0..N-1, aligned with ``images``; columns as in ``store.table_schema``, and ``row``,
        the row in the store.
    corpus, digest, synthetic, manifest : where the faces come from; the digest is that of the whole store.
    emotions : the classes in the order of ``EMOTIONS``: those of the whole store, so that splits agree.
    role : what a split was made for by :mod:`ferlib.splits`: None, ``train``, ``val`` or ``test``.
    """

    images: np.ndarray
    table: pd.DataFrame
    corpus: str
    digest: str
    synthetic: bool
    manifest: dict[str, Any]
    emotions: tuple[str, ...]
    role: str | None = None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64: index of each image's emotion in ``emotions``.

        Raises ``DataError`` where an image has none: :meth:`labelled` leaves such images out.
        """
        if "emotion" not in self.table:
            raise DataError(f"{self.corpus} has no emotion labels")
        index = pd.Index(self.emotions).get_indexer(pd.Index(self.table["emotion"]))
        if (index < 0).any():
            raise DataError(
                f"{self.corpus}: {(index < 0).sum():,} of {len(self):,} images carry no emotion; "
                "faces.labelled() leaves them out"
            )
        return index.astype(np.int64)

    @property
    def subjects(self) -> np.ndarray | None:
        """(N,) object: the person in each image, or None where the corpus does not know its people."""
        if "subject" not in self.table or self.table["subject"].isna().any():
            return None
        return self.table["subject"].to_numpy(dtype=object)

    @property
    def split(self) -> str | None:
        """The one split that all images belong to; None where they are mixed or the corpus has no splits."""
        found = set(self.table["split"]) if "split" in self.table else set()
        return str(found.pop()) if len(found) == 1 else None

    def select(self, which: np.ndarray) -> FaceSet:
        """The faces at ``which``: an (N,) bool mask or int positions.  A run of rows is not copied."""
        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        one_run = len(rows) > 0 and bool((np.diff(rows) == 1).all())
        images = self.images[rows[0] : rows[-1] + 1] if one_run else self.images[rows]
        return replace(self, images=images, table=self.table.iloc[rows].reset_index(drop=True))

    def labelled(self) -> FaceSet:
        """The faces that carry an emotion."""
        if "emotion" not in self.table:
            raise DataError(f"{self.corpus} has no emotion labels")
        known = self.table["emotion"].notna().to_numpy()
        return self if known.all() else self.select(known)

    def with_role(self, role: str) -> FaceSet:
        """The same faces, made to serve as ``role`` (``train``, ``val`` or ``test``)."""
        return replace(self, role=check_name("role", role, SPLITS))


def load(
    name: str,
    split: str | None = None,
    size: int | None = None,
    duplicates: str = "keep",
    labels: str = "own",
) -> FaceSet:
    """Open the prepared corpus ``name``.

    split : only this split (``train``, ``val`` or ``test``).
    size : side in pixels to which faces are resized; by default the stored size, without copying.
    duplicates : ``drop-cross-split`` leaves out of train what is identical in val or test, and out of val
        what is identical in test; the split that counts most stays whole.
    labels : ``own`` (``fer2013`` means the same), or one of ``ferplus.RULES``, which keeps the images
        that the rule labels.

    Raises ``DataError`` with the next command where the corpus or the columns asked for are not there.
    """
    check_name("way with duplicates", duplicates, DUPLICATES)
    check_name("labelling rule", labels, ("own", "fer2013", *RULES))
    if size is not None and size < 8:
        raise UsageError(f"size={size}: a face needs at least 8 pixels a side")
    images, table, manifest = open_store(name)
    table.insert(0, "row", np.arange(len(table)))
    faces = FaceSet(
        images, table, name, manifest["digest"], manifest["synthetic"], manifest, tuple(manifest["emotions"])
    )
    if labels in RULES:
        faces = _with_ferplus(faces, labels)
    if duplicates == "drop-cross-split":
        faces = faces.select(~_seen_in_a_later_split(faces))
    if split is not None:
        faces = faces.select(_mask_of_split(faces, split))
    return faces if size is None else replace(faces, images=resized(faces.images, size))


def _with_ferplus(faces: FaceSet, rule: str) -> FaceSet:
    if not set(VOTES) <= set(faces.table.columns):
        raise DataError(
            f"{faces.corpus} was prepared without FER+ votes. Add them:  "
            f"ferlib corpus prepare {faces.corpus} --source PATH --votes fer2013new.csv"
        )
    table = faces.table.copy()
    named = pd.Series(ferplus_labels(table[list(VOTES)].to_numpy(), rule), index=table.index)
    table["emotion"] = named.astype(faces.table["emotion"].dtype)
    present = set(named.dropna())
    return replace(faces, table=table, emotions=tuple(e for e in EMOTIONS if e in present)).labelled()


def _seen_in_a_later_split(faces: FaceSet) -> np.ndarray:
    """(N,) bool: images whose exact copy lies in a split that counts more (test before val before train).

    None do where a corpus has no splits of its own: it is split by person.
    """
    if "split" not in faces.table:
        return np.zeros(len(faces.table), dtype=bool)
    if "duplicate_across" not in faces.table:
        raise DataError(f"{faces.corpus} was prepared without marks of duplicates; use duplicates='keep'")
    across = faces.table["duplicate_across"].str
    split = faces.table["split"]
    in_test, in_val = across.contains("test"), across.contains("val")
    return ((in_test & (split != "test")) | (in_val & (split == "train"))).to_numpy(dtype=bool)


def _mask_of_split(faces: FaceSet, split: str) -> np.ndarray:
    check_name("split", split, SPLITS)
    if "split" not in faces.table:
        raise DataError(f"{faces.corpus} has no official splits; use ferlib.splits.parts")
    mask = (faces.table["split"] == split).to_numpy()
    if not mask.any():
        raise DataError(f"{faces.corpus} has no {split!r} images; it has {sorted(set(faces.table['split']))}")
    return mask


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """(N, H, W) uint8 -> (N, size, size) uint8: area averaging when shrinking, cubic when growing."""
    if images.shape[1:] == (size, size):
        return images
    import cv2  # a bare GPU image lacks it and trains at the stored size

    how = cv2.INTER_AREA if size < images.shape[1] else cv2.INTER_CUBIC
    out = np.empty((len(images), size, size), np.uint8)
    for i, image in enumerate(images):
        cv2.resize(image, (size, size), dst=out[i], interpolation=how)
    return out
