"""Find byte-identical images, within a split and across splits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ferlib.labels import SPLITS


def first_copies(images: np.ndarray) -> np.ndarray:
    """For each image the position of the first one with the same pixels: itself where it is the first.

    images : (N, H, W) uint8.  Returns (N,) int64.
    """
    flat = images.reshape(len(images), -1)
    rng = np.random.default_rng(0)
    width = -(-flat.shape[1] // 8) * 8
    factors = rng.integers(1, 2**63, width // 8, dtype=np.uint64) | np.uint64(1)
    keys = np.empty(len(flat), np.uint64)
    for start in range(0, len(flat), 1024):
        padded = np.zeros((len(flat[start : start + 1024]), width), np.uint8)
        padded[:, : flat.shape[1]] = flat[start : start + 1024]
        keys[start : start + 1024] = padded.view(np.uint64) @ factors  # wraps modulo 2**64
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    earliest = first[which]
    alike = np.flatnonzero(earliest != np.arange(len(flat)))
    by_chance = alike[(flat[alike] != flat[earliest[alike]]).any(axis=1)]
    earliest[by_chance] = by_chance
    return earliest


def mark_duplicates(table: pd.DataFrame, images: np.ndarray) -> pd.DataFrame:
    """``table`` with two more columns.

    duplicate_of : row of the first image with the same pixels, -1 where this is the first or only one.
    duplicate_across : the other splits in which the same pixels occur, as in ``"val test"``; empty for none.
    """
    first = first_copies(images)
    own = np.arange(len(first))
    table = table.assign(duplicate_of=np.where(first == own, -1, first).astype(np.int32))
    if "split" not in table:
        return table.assign(duplicate_across="")
    split = table["split"].to_numpy(dtype=object)
    across = np.full(len(table), "", dtype=object)
    for name in SPLITS:
        elsewhere = np.isin(first, first[split == name]) & (split != name)
        across[elsewhere] += f" {name}"
    return table.assign(duplicate_across=pd.Series(across, index=table.index, dtype="str").str.strip())


def count_duplicates(table: pd.DataFrame) -> dict[str, int]:
    """How many images repeat an earlier one, lie in several splits too, and contradict the earlier label."""
    repeated = table[table["duplicate_of"] >= 0]
    earlier = table["emotion"].to_numpy()[repeated["duplicate_of"].to_numpy()]
    counts = {
        "images identical to an earlier one": len(repeated),
        "of these with another emotion": int((repeated["emotion"].to_numpy() != earlier).sum()),
    }
    for name in SPLITS if "split" in table else ():
        mine = table[table["split"] == name]
        for other in SPLITS:
            shared = int(mine["duplicate_across"].str.contains(other).sum())
            if shared:
                counts[f"{name} images that are also in {other}"] = shared
    return counts
