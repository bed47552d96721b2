"""What an LSTM is compared with, in the same folds: the commonest class, LBP-TOP, optical flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferlib.micro import loso, motion
from ferlib.micro.clips import Clips
from ferlib.micro.lbptop import LBPTOP, describe

SVM_C = 0.01


def majority(clips: Clips) -> pd.DataFrame:
    """Always the commonest class of the other people; probabilities are their shares."""
    names, tables = loso.classes_of(clips), []
    for part in loso.folds(clips):
        others = pd.concat([part.train.table["label"], part.val.table["label"]])
        share = others.value_counts(normalize=True).reindex(names, fill_value=0).to_numpy()
        tables.append(loso.table(clips, part, np.tile(share, (len(part.test), 1))))
    return loso.whole(clips, tables)


def svm(features: np.ndarray, clips: Clips) -> pd.DataFrame:
    """A linear support vector machine on features (C, D), one class against the rest, at a fixed ``C``.

    Nothing is chosen, so it learns from all other people.  Columns hold the softmax of its margins.
    """
    from scipy.special import softmax
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    labels, n_classes, tables = loso.labels_of(clips), len(loso.classes_of(clips)), []
    for part in loso.folds(clips):
        others = loso.places(clips, pd.concat([part.train.table["row"], part.val.table["row"]]))
        machine = make_pipeline(StandardScaler(), LinearSVC(C=SVM_C, random_state=0))
        machine.fit(features[others], labels[others])
        margins = machine.decision_function(features[loso.places(clips, part.test.table["row"])])
        if margins.ndim == 1:  # of two classes it gives the margin of the second
            margins = np.stack([-margins, margins], axis=1)
        p = np.zeros((len(part.test), n_classes))
        p[:, machine.classes_] = softmax(margins, axis=1)
        tables.append(loso.table(clips, part, p))
    return loso.whole(clips, tables)


def lbptop_features(frames: Sequence[np.ndarray], how: LBPTOP = LBPTOP()) -> np.ndarray:  # noqa: B008 - frozen
    """(C, D) float32: the descriptor of each clip of ``frames``."""
    return np.stack([describe(clip, how).reshape(-1) for clip in frames])


def flow_features(clips: Clips, apexes: Sequence[int] | np.ndarray = (), grid: int = 8) -> np.ndarray:
    """(C, D) float32: optical flow from onset to apex of each clip; ``apexes`` (C,) others than those in the table."""
    at = apexes if len(apexes) else clips.table["apex"]
    return np.stack([motion.apex_features(clips.frames(i), int(apex), grid) for i, apex in enumerate(at)])
