"""What the LSTM uses: how much of a clip it needs, how strong, how fast filmed, how still; when and which AUs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from ferlib import metrics
from ferlib.config import DataError
from ferlib.datasets.sequences import parse_codes
from ferlib.labels import au_column
from ferlib.metrics import Estimate
from ferlib.micro import loso, network
from ferlib.micro.baselines import SVM_C
from ferlib.micro.clips import Clips
from ferlib.micro.network import ClipConfig, ClipLSTM, Examples
from ferlib.transfer import au_scores as areas


def predictions(p: np.ndarray, classes: Sequence[str], clips: Clips) -> pd.DataFrame:
    """Probabilities (C, K) of clips as the table that :mod:`ferlib.metrics` measures.

    Raises ``DataError`` where a clip's class is not among ``classes``.
    """
    unknown = sorted(set(clips.table["label"]) - set(classes))
    if unknown:
        raise DataError(f"The network does not know {', '.join(unknown)}; it knows {', '.join(classes)}")
    told = clips.table[["row", "subject"]].assign(fold=0, split="test", truth=clips.table["label"])
    return pd.concat([told.reset_index(drop=True), pd.DataFrame(p, columns=list(classes))], axis=1)


class Named:
    """An LSTM with all it needs to name new clips.

    net : the emotion network.  lstm : the LSTM on its features.  size : side of its faces in pixels.
    """

    def __init__(
        self, net: nn.Module, lstm: ClipLSTM, classes: Sequence[str], config: ClipConfig, size: int
    ) -> None:
        self.net, self.lstm, self.classes, self.config, self.size = net, lstm, list(classes), config, size

    def features(self, clips: Clips) -> np.ndarray:
        """(C, T, F) float32, as the LSTM gets them."""
        frames = loso.inputs(clips, self.config, self.size)
        x, lengths = network.features_of(self.net, frames, self.config.pool)
        return network.relative(x, lengths) if self.config.relative else x

    def __call__(self, clips: Clips) -> pd.DataFrame:
        """The table of predictions of ``clips``."""
        return predictions(
            network.frame_by_frame(self.lstm, self.features(clips))[1][:, -1], self.classes, clips
        )


def trained_on_all(net: nn.Module, clips: Clips, config: ClipConfig, size: int) -> Named:
    """An LSTM on features of ``net`` that learned from ``clips``, for probes with new people only.

    The test and validation people of fold 0 choose its epoch, the others train it.
    """
    made = loso.examples(net, loso.inputs(clips, config, size), clips, config)
    part = loso.folds(clips)[0]
    train = np.isin(clips.table["row"], part.train.table["row"])
    faces = clips.as_faces()
    learns, chooses = (
        made.part(faces.select(mask).with_role(role)) for mask, role in ((train, "train"), (~train, "val"))
    )
    fitted = network.fit(learns, chooses, len(loso.classes_of(clips)), config)
    return Named(net, fitted.net, loso.classes_of(clips), config, size)


# --------------------------------------------------------------------------------------- one thing at a time


def against_frames_seen(named: Named, clips: Clips, rng: np.random.Generator) -> pd.DataFrame:
    """Accuracy after each frame: ``seen`` as a fraction of the clip, ``value low high n``."""
    _, p = network.frame_by_frame(named.lstm, named.features(clips))  # (C, T, K)
    rows = []
    for t in range(p.shape[1]):
        estimate = metrics.accuracy(predictions(p[:, t], named.classes, clips), rng)
        rows.append({"seen": (t + 1) / p.shape[1], **estimate.as_dict()})
    return pd.DataFrame(rows)


def against(named: Named, sets: dict[float, Clips], rng: np.random.Generator) -> pd.DataFrame:
    """Accuracy on sets of clips that differ in one amount: ``amount value low high n``."""
    rows = [
        {"amount": amount, **metrics.accuracy(named(clips), rng).as_dict()} for amount, clips in sets.items()
    ]
    return pd.DataFrame(rows)


def told_by_panels(clear: Sequence[str], n: int) -> str:
    """Which of the panels hold a point that lies clearly above the commonest class."""
    if not clear:
        return (
            f"With {n} clips no point of any panel lies clearly above the commonest class: this LSTM has learned too "
            "little, and the curves say nothing"
        )
    names = " / ".join(name.lower() for name in clear)
    return f"With {n} clips, points of these panels lie clearly above the commonest class: {names}"


# ------------------------------------------------------------------------------------------------ attribution


def attribution(lstm: ClipLSTM, x: np.ndarray, target: np.ndarray, steps: int = 32) -> np.ndarray:
    """What each frame adds to the logit of a class: (C, T) float32.

    Integrated gradients (Sundararajan et al. 2017, by Captum) from the clip whose every frame is its onset to the
    clip itself, summed over features.  The frames of a clip add up to the difference of the two logits.
    x : (C, T, F) features.  target : (C,) class.
    """
    from captum.attr import IntegratedGradients

    given = torch.from_numpy(x)
    still = given[:, :1].expand_as(given)
    lstm.eval()
    made = IntegratedGradients(lstm).attribute(given, still, target=torch.from_numpy(target), n_steps=steps)
    return made.sum(dim=2).detach().numpy().astype(np.float32)


# ------------------------------------------------------------------------------------------------ which AUs


def au_of_clips(clips: Clips) -> pd.DataFrame:
    """Which AUs the coders saw in each clip: (C, U) bool, columns ``AU01 ...``.

    Without codes there are no columns.
    """
    if "au_codes" not in clips.table:
        return pd.DataFrame(index=clips.table.index)
    seen = [set(parse_codes(codes.replace("?", ""))) for codes in clips.table["au_codes"]]
    numbers: list[int] = sorted(set().union(*seen))
    columns = {au_column(n): [n in codes for codes in seen] for n in numbers}
    return pd.DataFrame(columns, index=clips.table.index)


def accuracy_by_au(
    named: pd.DataFrame, clips: Clips, rng: np.random.Generator, least: int = 5
) -> dict[str, Estimate]:
    """Of the clips that show an AU, the share named rightly; AUs in fewer than ``least`` clips are left out."""
    shown = au_of_clips(clips)
    return {
        str(au): metrics.accuracy(named[shown[au].to_numpy()], rng)
        for au in shown
        if shown[au].sum() >= least
    }


def detected(scores: np.ndarray, shown: pd.DataFrame, subjects: pd.Series) -> pd.DataFrame:
    """How well margins tell which AUs act: ``au n prevalence auc f1 f1_always``, an AU a row.

    scores : (C, U), above 0 where the AU is called present.  ``f1_always`` is what always saying yes scores.
    """
    from sklearn.metrics import f1_score, roc_auc_score

    rows = []
    for u, au in enumerate(shown):
        truth = shown[au].to_numpy()
        rows.append(
            {"au": au, "n": int(truth.sum()), "people": subjects[truth].nunique(), "prevalence": truth.mean(),
             "auc": roc_auc_score(truth, scores[:, u]), "f1": f1_score(truth, scores[:, u] > 0, zero_division=0),
             "f1_always": 2 * truth.mean() / (1 + truth.mean())}
        )  # fmt: skip
    columns = ["au", "n", "people", "prevalence", "auc", "f1", "f1_always"]
    return pd.DataFrame(rows, columns=columns)


def mean_auc(
    scores: np.ndarray, shown: pd.DataFrame, subjects: pd.Series, rng: np.random.Generator
) -> Estimate:
    """Mean over the AUs of the area under the curve of :func:`detected`; people are resampled, 0.5 is guessing."""
    person, people = pd.factorize(subjects)
    present = shown.to_numpy(float)
    truth = areas.Truth(tuple(map(str, shown)), present, present, np.zeros(len(shown), int), person)
    won, pairs = areas.wins(scores, scores, truth), areas.pairs(truth)
    draws = areas.auc(won, pairs, areas.draw_people(len(people), rng))
    return areas.estimate(areas.macro(draws, np.ones(len(truth.aus), bool)), len(people))


def au_scores(features: np.ndarray, clips: Clips, least: int = 8) -> tuple[np.ndarray, pd.DataFrame]:
    """Margins (C, U) of one linear machine an AU, each clip's from a fold that never saw its person.

    features : (C, D).  AUs that fewer than ``least`` clips show are left out.  Returns also which clips show
    them, (C, U) bool.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    shown = au_of_clips(clips)
    shown = shown.loc[:, shown.sum() >= least]
    people = clips.table["subject"].to_numpy()
    scores = np.full(shown.shape, -1.0)
    for person in np.unique(people):
        mine = people == person
        for u, au in enumerate(shown):
            truth = shown[au].to_numpy()
            machine = make_pipeline(
                StandardScaler(), LinearSVC(C=SVM_C, class_weight="balanced", random_state=0)
            )
            scores[mine, u] = machine.fit(features[~mine], truth[~mine]).decision_function(features[mine])
    return scores, shown


def identity_share(made: Examples) -> float:
    """Share of the variance of all frames' features that lies between people and not within their clips, in [0, 1].

    ``sum_p n_p |m_p - m|^2 / sum_i |x_i - m|^2`` over frames i, with m_p the mean of person p.
    """
    there = np.arange(made.x.shape[1]) < made.lengths[:, None]
    x = made.x[there]
    person = np.repeat(pd.factorize(made.clips.table["subject"])[0], made.lengths)
    n = np.bincount(person)
    sums = np.stack([np.bincount(person, column) for column in x.T], axis=1)  # (P, F)
    mean = x.mean(axis=0)
    between = (n[:, None] * (sums / n[:, None] - mean) ** 2).sum()
    return float(between / ((x - mean) ** 2).sum())
