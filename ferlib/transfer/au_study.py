"""What a study of Action Units asks and finds: its settings, its answers, and the tables that chapters show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ferlib.config import UsageError, check_name
from ferlib.heads import Penalty
from ferlib.metrics import Estimate, side
from ferlib.transfer import au_scores
from ferlib.transfer.au_scores import Answers, Truth

SOURCES: dict[str, str] = {
    "emotion": "last hidden layer of the network that learned emotions",
    "names": "nothing but how likely that network finds each emotion",
    "untrained": "last hidden layer of the same network before training",
    "hog": "histograms of oriented gradients",
    "au": "last hidden layer of the same network trained on the Action Units of each fold's train people",
    "au same": "last hidden layer of the same network trained on the Action Units of the faces that taught it emotions",
}
ENDS = {"": "value", "_low": "low", "_high": "high"}


@dataclass(frozen=True)
class ActionConfig:
    """How Action Units are read.

    n_folds : 5 takes the ten person folds two by two; 10 one by one.  Out-of-fold networks bring their own.
    layer : of the networks; "" the last hidden one.
    n_directions : longer features are projected on so many principal directions of the training faces.
    least_people : an AU that fewer people show, or fewer lack, is shown as too few and not averaged over.
    au_epochs, au_batch : of the network trained on AUs, which has few faces and so takes small batches.
    sources : what the heads read; "au same" needs AU codes of the faces that taught the emotion network.
    """

    n_folds: int = 5
    layer: str = ""
    penalty: Penalty = Penalty()  # noqa: RUF009  frozen
    n_directions: int = 256
    least_people: int = 5
    au_epochs: int = 20
    au_batch: int = 32
    seed: int = 0
    sources: tuple[str, ...] = ("emotion", "names", "untrained", "hog", "au")

    def __post_init__(self) -> None:
        for source in self.sources:
            check_name("source of features", source, SOURCES)
        if self.n_folds not in (5, 10):
            raise UsageError(f"n_folds={self.n_folds}: 5 or 10")
        if self.least_people < 2 or self.n_directions < 1 or self.au_epochs < 1:
            raise UsageError(f"{self}: least_people from 2, n_directions and au_epochs from 1")


@dataclass(frozen=True, eq=False)
class Study:
    """The answers of every source on the same faces, and what they are judged by.

    table : one row a judged face, in the order of the answers.
    """

    truth: Truth
    answers: dict[str, Answers]
    table: pd.DataFrame
    how: ActionConfig
    sentence: str

    @cached_property
    def pairs(self) -> np.ndarray:
        """(U, P, P) see :func:`au_scores.pairs`."""
        return au_scores.pairs(self.truth)

    @cached_property
    def wins(self) -> dict[str, np.ndarray]:
        """Source -> (U, P, P) of its single heads."""
        return {name: au_scores.wins(a.single, a.single, self.truth) for name, a in self.answers.items()}

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.answers)

    @cached_property
    def enough(self) -> np.ndarray:
        """(U,) bool: AUs that enough people show and lack."""
        fewest = np.minimum(self.truth.people_with(1), self.truth.people_with(0))
        return fewest >= self.how.least_people


def per_au(found: Study, source: str, rng: np.random.Generator) -> pd.DataFrame:
    """One row an AU, none left out: how often it occurs, and how well the heads on ``source`` tell it.

    ``n positives people prevalence absent_accuracy accuracy auc auc_low auc_high f1 f1_low f1_high joint_auc
    joint_f1 mse absent_mse too_few``; ``people`` show the AU.
    """
    truth, answer = found.truth, found.answers[source]
    times = au_scores.draw_people(truth.n_people, rng)
    areas = au_scores.auc(found.wins[source], found.pairs, times)
    joint = au_scores.auc(au_scores.wins(answer.joint, answer.joint, truth), found.pairs, times[:1])[0]
    counted = au_scores.outcomes(answer.single_f1, truth)
    right = au_scores.outcomes(answer.single_right, truth)
    f1 = au_scores.measured(au_scores.f1, counted, times)
    joint_f1 = au_scores.f1(au_scores.outcomes(answer.joint_f1, truth).sum(axis=0))
    errors = au_scores.level_errors(answer.level, truth)
    nothing = au_scores.level_errors(np.zeros_like(answer.level), truth)
    n = errors["n"].sum(axis=0)
    area = [au_scores.estimate(column, truth.n_people) for column in areas.T]
    prevalence = np.nanmean(truth.present, axis=0)
    table = pd.DataFrame(
        {
            "n": (~np.isnan(truth.present)).sum(axis=0),
            "positives": np.nansum(truth.present, axis=0).astype(int),
            "people": truth.people_with(1),
            "prevalence": prevalence,
            "absent_accuracy": 1 - prevalence,
            "accuracy": au_scores.accuracy(right.sum(axis=0)),
            **{f"auc{end}": [getattr(e, part) for e in area] for end, part in ENDS.items()},
            **{f"f1{end}": [getattr(e, part) for e in f1] for end, part in ENDS.items()},
            "joint_auc": joint,
            "joint_f1": joint_f1,
            "mse": errors["squared"].sum(axis=0) / np.maximum(n, 1),
            "absent_mse": nothing["squared"].sum(axis=0) / np.maximum(n, 1),
            "too_few": ~found.enough,
        },
        index=pd.Index(truth.aus, name="au"),
    )
    return table


def shown(table: pd.DataFrame, reported: Mapping[str, float]) -> pd.DataFrame:
    """The rows of :func:`per_au` as a reader wants to see them, beside AUCs that others reported.

    ``right`` and ``absent`` are per cent of the codes: by the head, and by always answering "absent".
    """
    space = "\N{NO-BREAK SPACE}"
    ends = table[["auc", "auc_low", "auc_high"]].astype(float)
    made = {
        "faces": table["positives"].astype(str) + "/" + table["n"].astype(str),
        "people": table["people"].astype(str) + np.where(table["too_few"], f"{space}(too{space}few)", ""),
        "AUC": [
            f"{value:.2f}{space}[{low:.2f},{space}{high:.2f}]" if low == low else ""
            for value, low, high in ends.to_numpy()
        ],
        "reported": [f"{reported[au]:.3f}" if au in reported else "" for au in table.index],
        "F1": table["f1"].map("{:.2f}".format).replace("nan", ""),
        "right": (100 * table["accuracy"]).map("{:.1f}".format),
        "absent": (100 * table["absent_accuracy"]).map("{:.1f}".format),
        "MSE": table["mse"].map("{:.2f}".format),
        "absent MSE": table["absent_mse"].map("{:.2f}".format),
    }
    return pd.DataFrame(made).set_index(pd.Index([f"AU{space}{int(au[2:])}" for au in table.index]))


def estimates(found: Study, source: str, rng: np.random.Generator) -> dict[str, Estimate]:
    """Figures over all AUs, with intervals over people.

    ``au_macro_auc au_macro_f1 au_joint_macro_auc au_joint_macro_f1`` over the AUs that are not too few;
    ``au_accuracy au_joint_accuracy`` over every code (what the paper calls binary accuracy),
    ``au_level_accuracy au_mse`` over every code of known level; ``au_absent_*`` the same for always answering
    "absent".
    """
    truth, answer = found.truth, found.answers[source]
    times = au_scores.draw_people(truth.n_people, rng)
    joint_wins = au_scores.wins(answer.joint, answer.joint, truth)
    nothing = np.zeros_like(answer.single_f1)
    draws = {}
    for name, won in {"": found.wins[source], "joint_": joint_wins}.items():
        areas = au_scores.auc(won, found.pairs, times)
        draws[f"au_{name}macro_auc"] = au_scores.macro(areas, found.enough)
    for name, called in {"": answer.single_f1, "joint_": answer.joint_f1}.items():
        f1 = au_scores.f1(au_scores.times_of(times, au_scores.outcomes(called, truth)))
        draws[f"au_{name}macro_f1"] = au_scores.macro(f1, found.enough)
    for name, called in {"": answer.single_right, "joint_": answer.joint_right, "absent_": nothing}.items():
        counted = au_scores.outcomes(called, truth).sum(axis=1)
        draws[f"au_{name}accuracy"] = au_scores.accuracy(au_scores.times_of(times, counted))
    absent = np.zeros_like(answer.level)
    for name, level, graded in (("", answer.level, answer.graded), ("absent_", absent, absent)):
        sums, right = au_scores.level_errors(level, truth), au_scores.level_errors(graded, truth)["right"]
        draws[f"au_{name}level_accuracy"] = au_scores.ratio(right, sums["n"], times)
        draws[f"au_{name}mse"] = au_scores.ratio(sums["squared"], sums["n"], times)
    return {name: au_scores.estimate(draw, truth.n_people) for name, draw in draws.items()}


def summary(found: Study, seed: int = 0) -> pd.DataFrame:
    """One row a source, and one for always answering "absent": macro AUC with ``low high``, and more.

    Every source is resampled with the same random numbers.
    """
    rows = {}
    for source in found.sources:
        e = estimates(found, source, np.random.default_rng(seed))
        area = e["au_macro_auc"]
        rows[source] = {"reads": SOURCES[source], "value": area.value, "low": area.low, "high": area.high,
                        "joint_auc": e["au_joint_macro_auc"].value, "f1": e["au_macro_f1"].value,
                        "joint_f1": e["au_joint_macro_f1"].value, "accuracy": e["au_accuracy"].value,
                        "joint_accuracy": e["au_joint_accuracy"].value,
                        "level_accuracy": e["au_level_accuracy"].value, "mse": e["au_mse"].value}  # fmt: skip
        absent = {"reads": "nothing", "value": 0.5, "joint_auc": 0.5, "f1": 0.0, "joint_f1": 0.0,
                  "accuracy": e["au_absent_accuracy"].value, "joint_accuracy": e["au_absent_accuracy"].value,
                  "level_accuracy": e["au_absent_level_accuracy"].value,
                  "mse": e["au_absent_mse"].value}  # fmt: skip
    return pd.DataFrame({**rows, "always absent": absent}).T.infer_objects()


def comparison(found: Study, rng: np.random.Generator, of: str = "emotion") -> pd.DataFrame:
    """``of`` against every other source by macro AUC: index the other; ``emotion other value low high p n``.

    ``value`` is the difference in favour of ``of`` with its paired interval over people; p by exchanging the
    two sources' scores within people.
    """
    times = au_scores.draw_people(found.truth.n_people, rng)
    draws = {
        s: au_scores.macro(au_scores.auc(won, found.pairs, times), found.enough)
        for s, won in found.wins.items()
    }
    rows = {}
    for other in (s for s in found.sources if s != of):
        gap = au_scores.estimate(draws[of] - draws[other], found.truth.n_people)
        p = au_scores.swap_test(
            found.answers[of].single, found.answers[other].single, found.truth, found.enough, rng
        )
        rows[other] = {of: draws[of][0], "other": draws[other][0], "value": gap.value, "low": gap.low,
                       "high": gap.high, "p": p, "n": gap.n}  # fmt: skip
    return pd.DataFrame(rows).T


def in_words(gains: pd.DataFrame) -> str:
    """The rows of :func:`comparison` as a sentence without its subject, the emotion features."""
    return "; ".join(
        _verdict(*gains.loc[source, ["value", "low", "high"]].astype(float)).format(NAMES[str(source)])
        for source in gains.index
    )


def _verdict(value: float, low: float, high: float) -> str:
    """What a difference and its interval say: better, worse, or that neither is shown."""
    known = {"above": "better than", "below": "worse than"}
    words = known.get(side(low, high), "not shown to be better or worse than")
    return f"{words} {{}} ({value:+.3f}, {low:+.3f} to {high:+.3f})"


NAMES = {
    "names": "the bare answers", "untrained": "those of the untrained network", "hog": "HOG",
    "au": "those of a network taught Action Units by few faces",
    "au same": "those of the network taught Action Units by the same faces",
}  # fmt: skip
"""How a sentence names the other sources."""
