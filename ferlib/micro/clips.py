"""Clips of a store: their frames in order, onset, apex and offset, and why a damaged clip is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ferlib.config import DataError, UsageError
from ferlib.datasets import FaceSet
from ferlib.datasets.base import resized

MARKS = ("onset", "apex", "offset")
ALIGN_STEPS, ALIGN_BLUR = 60, 5


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of one corpus, ready to be read.

    faces : the frames of all clips.
    table : C rows, index 0..C-1: ``row subject sequence label fps n_frames onset apex offset
        apex_at apex_estimated au_codes``; the marks are positions in the clip from 0, ``apex_at`` is the time of the
        apex as a fraction of the clip.
    at : C arrays of positions in ``faces``, ascending in time.
    times : C arrays of float seconds since the onset, aligned with ``at``.
    damaged : what was left out: ``subject sequence reason``.
    """

    faces: FaceSet
    table: pd.DataFrame
    at: tuple[np.ndarray, ...]
    times: tuple[np.ndarray, ...]
    damaged: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def frames(self, clip: int) -> np.ndarray:
        """(T, H, W) uint8: the frames of ``clip`` from onset to offset, as they were filmed."""
        return self.faces.images[self.at[clip]]

    def select(self, which: np.ndarray) -> Clips:
        """The clips at ``which``: a (C,) bool mask or int positions.  Their frames stay shared."""
        rows = np.arange(len(self))[which]
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            at=tuple(self.at[i] for i in rows),
            times=tuple(self.times[i] for i in rows),
        )

    def as_faces(self) -> FaceSet:
        """One row a clip, its apex as the picture: what :mod:`ferlib.splits` divides.  Index as ``table``."""
        apex = np.array([at[mark] for at, mark in zip(self.at, self.table["apex"], strict=True)])
        kept = ["row", "subject", "label"]
        return replace(self.faces, images=self.faces.images[apex], table=self.table[kept].copy())


def of(faces: FaceSet) -> Clips:
    """The clips in ``faces``; a damaged one is left out and says why in ``damaged``, the rest goes on.

    Raises ``DataError`` where ``faces`` has no clips, or none that is whole.
    """
    needed = {"subject", "sequence", "frame", "fps"} - set(faces.table)
    if needed:
        raise DataError(
            f"{faces.corpus} has no clips: it lacks {', '.join(sorted(needed))}. "
            "Corpora with clips are casme2, samm and smic:  ferlib corpus make casme2"
        )
    rows: list[dict[str, object]] = []
    at: list[np.ndarray] = []
    damaged: list[dict[str, object]] = []
    for (subject, sequence), frames in faces.table.groupby(["subject", "sequence"], sort=False):
        frames = frames.sort_values("frame")
        reason = what_is_wrong(frames)
        if reason:
            damaged.append({"subject": subject, "sequence": sequence, "reason": reason})
            continue
        at.append(frames.index.to_numpy())
        rows.append(_row(frames, len(rows), faces.images[at[-1]]))
    if not rows:
        raise DataError(f"{faces.corpus}: no clip is whole; the first: {damaged[0]}")
    found = pd.DataFrame(damaged, columns=["subject", "sequence", "reason"])
    times = tuple(_times(faces.table.loc[where]) for where in at)
    return Clips(faces, pd.DataFrame(rows), tuple(at), times, found)


def what_is_wrong(frames: pd.DataFrame) -> str:
    """Why a clip cannot be used, or ``""``.

    frames : the rows of one clip, by frame number.  Frames are filmed at an even step, which is the commonest
    between them; a coded frame may be stored in between.
    """
    first = frames.iloc[0]
    number = frames["frame"].to_numpy()
    marks = {name: first[name] for name in MARKS if name in frames and not pd.isna(first[name])}
    if len(frames) == 1:
        return "only one frame"
    if "offset" in marks and marks.get("onset") == marks["offset"]:
        return f"onset and offset are the same frame, {marks['onset']}"
    if "apex" in marks and not marks["onset"] <= marks["apex"] <= marks["offset"]:
        return f"apex {marks['apex']} lies outside {marks['onset']} to {marks['offset']}"
    lost = int(first["n_frames"]) - len(frames) if "n_frames" in frames else 0
    if lost > 0:
        return f"{lost} of {int(first['n_frames'])} frames could not be read"
    missing = [f"{name} {mark}" for name, mark in marks.items() if mark not in number]
    steps = np.diff(number)
    gaps = number[:-1][steps > np.bincount(steps).argmax()]
    missing += [f"what follows frame {gap}" for gap in gaps]
    return f"missing frames: {', '.join(missing)}" if missing else ""


def _row(frames: pd.DataFrame, row: int, images: np.ndarray) -> dict[str, object]:
    first = frames.iloc[0]
    number = frames["frame"].to_numpy()
    estimated = "apex" not in frames or pd.isna(first["apex"])
    times = _times(frames)
    apex = estimated_apex(images, times) if estimated else int(np.searchsorted(number, first["apex"]))
    row_of: dict[str, object] = {
        "row": row, "subject": first["subject"], "sequence": first["sequence"], "label": first["label"],
        "fps": float(first["fps"]), "n_frames": len(frames), "onset": 0, "apex": apex,
        "offset": len(frames) - 1, "apex_at": times[apex] / times[-1], "apex_estimated": bool(estimated),
    }  # fmt: skip
    more = ("au_codes", "objective_class")
    return row_of | {name: first[name] for name in more if name in frames}


def _times(frames: pd.DataFrame) -> np.ndarray:
    number = frames["frame"].to_numpy(np.float64)
    return (number - number[0]) / float(frames["fps"].iloc[0])


def estimated_apex(images: np.ndarray, times: np.ndarray) -> int:
    """Position of the frame that lies farthest from the straight line between the first and the last.

    images : (T, H, W) uint8.  times : (T,) seconds.  A head that drifts evenly stays on that line; a face that moves
    and comes back leaves it.  Distance is the mean absolute difference of slightly blurred grey levels.
    """
    from scipy.ndimage import gaussian_filter

    grey = gaussian_filter(images.astype(np.float32), (0, 1.5, 1.5))
    share = ((times - times[0]) / (times[-1] - times[0]))[:, None, None]
    line = (1 - share) * grey[0] + share * grey[-1]
    return int(np.abs(grey - line).mean(axis=(1, 2)).argmax())


def guessed_apexes(clips: Clips) -> np.ndarray:
    """(C,) int: :func:`estimated_apex` of every clip, of those too whose apex was coded."""
    return np.array([estimated_apex(clips.frames(i), times) for i, times in enumerate(clips.times)])


# -------------------------------------------------------------------------------------------- to one length


def at_times(images: np.ndarray, times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Frames at other times, each a blend of its two neighbours.

    images : (T, H, W).  times : (T,) ascending.  wanted : (S,) within them.  Returns (S, H, W) of the same type.
    """
    right = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    share = (wanted - times[right - 1]) / (times[right] - times[right - 1])
    share = np.clip(share, 0, 1)[:, None, None].astype(np.float32)
    blend = (1 - share) * images[right - 1] + share * images[right]
    return np.round(blend).astype(images.dtype) if images.dtype == np.uint8 else blend


def to_length(clips: Clips, n_frames: int, size: int | None = None) -> list[np.ndarray]:
    """Each clip as (n_frames, size, size) uint8, evenly spaced from onset to offset.

    n_frames : 0 keeps the frames as filmed, so that clips differ in length.   size : by default as stored.
    Raises ``UsageError`` for a single frame.
    """
    if n_frames == 1 or n_frames < 0:
        raise UsageError(f"n_frames={n_frames}: a clip needs at least 2 frames (0: as filmed)")
    made = []
    for clip, times in enumerate(clips.times):
        frames = clips.frames(clip) if size is None else resized(clips.frames(clip), size)
        evenly = np.linspace(times[0], times[-1], n_frames)
        made.append(np.asarray(frames) if n_frames == 0 else at_times(frames, times, evenly))
    return made


def slower_camera(clips: Clips, fps: float) -> Clips:
    """What a camera of ``fps`` frames a second would have kept of each clip, its first and last frame included.

    Raises ``UsageError`` where that is faster than the film.
    """
    if (clips.table["fps"] < fps).any():
        raise UsageError(f"fps={fps}: faster than the film ({clips.table['fps'].min():.0f} fps)")
    at, times, apexes = [], [], []
    for clip, seconds in enumerate(clips.times):
        ticks = np.append(np.arange(seconds[0], seconds[-1], 1 / fps), seconds[-1])
        kept = np.unique(np.abs(seconds[:, None] - ticks).argmin(axis=0))
        at.append(clips.at[clip][kept])
        times.append(seconds[kept])
        apexes.append(int(np.abs(kept - clips.table["apex"].iloc[clip]).argmin()))
    lasts = [len(kept) - 1 for kept in at]
    table = clips.table.assign(
        fps=fps, apex=apexes, offset=lasts, n_frames=[last + 1 for last in lasts], apex_estimated=True
    )
    return replace(clips, table=table, at=tuple(at), times=tuple(times))


# ------------------------------------------------------------------------------------------------ alignment


def aligned(clips: Clips) -> Clips:
    """Clips whose faces lie in one place: one rigid map a clip, so that what moves is the face.

    Each onset is brought onto the mean onset (enhanced correlation, Evangelidis & Psarakis 2008), and the whole
    clip follows with the same map.  A clip where that fails stays as it is.
    """
    import cv2

    images = np.array(clips.faces.images)
    onsets = images[[at[0] for at in clips.at]]
    mean = cv2.GaussianBlur(onsets.mean(axis=0).astype(np.float32), (0, 0), 1.5)
    how = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ALIGN_STEPS, 1e-4)
    for onset, at in zip(onsets, clips.at, strict=True):
        still = np.eye(2, 3, dtype=np.float32)
        try:
            grey, mask = onset.astype(np.float32), np.full(onset.shape, 255, np.uint8)
            _, moved = cv2.findTransformECC(mean, grey, still, cv2.MOTION_EUCLIDEAN, how, mask, ALIGN_BLUR)
        except cv2.error:
            continue
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for i in at:
            images[i] = cv2.warpAffine(
                images[i], moved, images[i].shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
    return replace(clips, faces=replace(clips.faces, images=images))


# --------------------------------------------------------------------------------------------------- damage


def spoilt(faces: FaceSet) -> FaceSet:
    """The frames of five clips, each spoilt in one way, and of a sixth that is whole.

    A test of the checks on the corpus itself: a missing frame, a single frame, an unreadable frame (it has
    no row), onset = offset, and an apex outside the clip.
    """
    names = faces.table["sequence"].astype(str) + "/" + faces.table["subject"].astype(str)
    chosen = names.drop_duplicates().to_numpy()[:6]
    if len(chosen) < 6:
        raise DataError(f"{faces.corpus} has {len(chosen)} clips; six are needed")
    table = faces.table.copy()
    rows = [np.flatnonzero(names == name) for name in chosen]
    for name in MARKS:
        if name not in table:
            table[name] = pd.array([pd.NA] * len(table), "Int32")
    table.loc[rows[3], "onset"] = table.loc[rows[3], "offset"] = table["frame"].iloc[rows[3][0]]
    table.loc[rows[4], "onset"] = table["frame"].iloc[rows[4][0]]
    table.loc[rows[4], "offset"] = table["frame"].iloc[rows[4][-1]]
    table.loc[rows[4], "apex"] = table["frame"].iloc[rows[4][-1]] + 1
    left_out = {rows[0][len(rows[0]) // 2 + 1], *rows[1][1:], rows[2][len(rows[2]) // 2 + 1]}
    table.loc[rows[0], "n_frames"] = len(rows[0]) - 1
    table.loc[rows[1], "n_frames"] = 1
    kept = np.array(sorted(set(np.concatenate(rows)) - left_out))
    return replace(faces, table=table).select(kept)
