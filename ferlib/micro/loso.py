"""Leave one subject out: an LSTM names the clips of each person after learning from the others only.

Every method gives a table of predictions, a row a clip in the order of the clips: ``row subject fold split truth``
and the probability of each class.  The folds are those of ``splits.parts``; fitting and choosing the epoch see
the other people only, and a test part handed to either raises ``splits.LeakError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import nn

from ferlib import features, heads, jobs, splits
from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.labels import au_columns, au_present
from ferlib.micro import kept, motion, network
from ferlib.micro.clips import Clips, to_length
from ferlib.micro.kept import Fold
from ferlib.micro.network import ClipConfig, Examples
from ferlib.runs import Run
from ferlib.splits import Parts

PROTOCOL = "leave-one-person-out"


@dataclass(frozen=True)
class Where:
    """Where folds are worked off: see :func:`ferlib.jobs.run`."""

    n_jobs: int = 1
    scheduler: str = ""


HERE = Where()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an LSTM said of every clip.

    predictions : of the epoch that each fold's validation people chose.
    still : the same LSTMs on clips whose every frame is the onset: nothing moves.
    picked : what a leak would claim, each fold's epoch chosen by its accuracy on the held-out person.  An audit, not
        a result; its ``split`` says so.
    folds : what each fold gave.
    """

    predictions: pd.DataFrame
    still: pd.DataFrame
    picked: pd.DataFrame
    folds: list[Fold]


def classes_of(clips: Clips) -> list[str]:
    """The classes, by name."""
    return sorted(set(clips.table["label"]))


def labels_of(clips: Clips) -> np.ndarray:
    """(C,) int64: index of each clip's class in :func:`classes_of`."""
    return pd.Index(classes_of(clips)).get_indexer(pd.Index(clips.table["label"])).astype(np.int64)


def folds(clips: Clips) -> list[Parts]:
    """One fold a person: this one is the test part, a tenth of the others choose, the rest train.

    Raises ``DataError`` where there are fewer than three people.
    """
    faces = clips.as_faces()
    n = len(splits.fold_names(faces, PROTOCOL))
    return [splits.parts(faces, PROTOCOL, fold=fold, target="all") for fold in range(n)]


def table(clips: Clips, part: Parts, p: np.ndarray) -> pd.DataFrame:
    """The predictions ``p`` (n, K) of the test part of one fold."""
    test = part.test.table
    told = {"row": test["row"], "subject": test["subject"], "fold": part.fold, "split": "test"}
    named = pd.DataFrame(told | {"truth": test["label"]}).reset_index(drop=True)
    return pd.concat([named, pd.DataFrame(p, columns=classes_of(clips))], axis=1)


def whole(clips: Clips, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All folds in one table, in the order of the clips."""
    table = pd.concat(tables, ignore_index=True).set_index("row", drop=False)
    return table.loc[clips.table["row"]].reset_index(drop=True)


def places(clips: Clips, rows: pd.Series | np.ndarray) -> np.ndarray:
    return pd.Index(clips.table["row"]).get_indexer(pd.Index(rows))


# ----------------------------------------------------------------------------------------------- the network


def inputs(clips: Clips, config: ClipConfig, size: int) -> list[np.ndarray]:
    """What the emotion network is shown of each clip: (T, size, size) uint8."""
    return [motion.as_input(frames, config.input) for frames in to_length(clips, config.n_frames, size)]


def examples(net: nn.Module, frames: Sequence[np.ndarray], clips: Clips, config: ClipConfig) -> Examples:
    """The features of ``net`` on the ``frames`` of the clips, as the LSTM gets them."""
    made = Examples(*network.features_of(net, frames, config.pool), labels_of(clips), clips.as_faces())
    return _as_read(made, config)


def _as_read(made: Examples, config: ClipConfig) -> Examples:
    return replace(made, x=network.relative(made.x, made.lengths)) if config.relative else made


def au_examples(run: Run, coded: FaceSet, frames: Sequence[np.ndarray], clips: Clips) -> Examples:
    """Examples whose features are Action Units: the logits of a head on the last hidden layer of ``run``.

    coded : faces whose AUs are known, with people of their own; the head learns from their train and val parts.
    """
    part = splits.parts(coded, target="au")
    inside = [features.of(run, faces) for faces in (part.train, part.val)]
    told = [au_present(faces.table, au_columns(coded.table)) for faces in (part.train, part.val)]
    head = heads.fit(inside[0], told[0], inside[1], told[1])["single"]
    images = np.concatenate(frames)
    table = pd.DataFrame({"row": np.arange(len(images))})
    shown = FaceSet(images, table, clips.faces.corpus, "", clips.faces.synthetic, {}, ())
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.array(features.of(run, shown)))).numpy()  # (N, U)
    return Examples(*network.padded(logits, frames), labels_of(clips), clips.as_faces())


def frozen(net: nn.Module, clips: Clips, config: ClipConfig, size: int, where: Where = HERE) -> Outcome:
    """The LSTM on features of ``net`` as it is: computed once, shared by all folds."""
    return on_features(examples(net, inputs(clips, config, size), clips, config), clips, config, where)


def on_features(made: Examples, clips: Clips, config: ClipConfig, where: Where = HERE) -> Outcome:
    """The LSTM on ready features, fold by fold."""
    key = kept.key(made.x, made.lengths, *_known(clips), asdict(config))
    task = partial(_fold_on_features, made=made, clips=_light(clips), config=config, key=key)
    return _gathered(clips, jobs.run(task, folds_of(clips), where.n_jobs, where.scheduler, "folds"))[0]


def fine_tuned(
    net: nn.Module, clips: Clips, readings: Sequence[ClipConfig], size: int, where: Where = HERE
) -> list[Outcome]:
    """The paper's method: in each fold ``net`` is first fine-tuned on marks of the training people only.

    readings : how LSTMs read the tuned features; one outcome each.  Raises ``UsageError`` where they differ in what
    the network is shown or how it is tuned: it is tuned once a fold.
    """
    first = readings[0]
    for other in readings:
        if any(getattr(other, name) != getattr(first, name) for name in TUNED_BY):
            raise UsageError(f"Readings of one network must agree in {', '.join(TUNED_BY)}: {other}, {first}")
    frames = inputs(clips, first, size)
    weights = [value.numpy() for value in net.state_dict().values()]
    apexes = clips.table["apex_at"].to_numpy()
    key = kept.key(weights, frames, apexes, *_known(clips), list(map(asdict, readings)))
    task = partial(_fold_fine_tuned, net=net, frames=frames, clips=_light(clips), readings=readings, key=key)
    return _gathered(clips, jobs.run(task, folds_of(clips), where.n_jobs, where.scheduler, "folds"))


TUNED_BY = ("input", "n_frames", "pool", "tuning_epochs", "tuning_lr", "seed")


def folds_of(clips: Clips) -> list[int]:
    """The numbers of the folds."""
    return list(range(len(splits.fold_names(clips.as_faces(), PROTOCOL))))


def _known(clips: Clips) -> list[np.ndarray]:
    """Who is in each clip and what it is called: what divides the folds."""
    return [clips.table[name].to_numpy("S") for name in ("row", "subject", "label")]


def _light(clips: Clips) -> Clips:
    """The clips with a 1-pixel picture each, so that a fold can travel to a worker without their frames."""
    n = len(clips)
    faces = replace(clips.faces, images=np.zeros((n, 1, 1), np.uint8), table=pd.DataFrame())
    table = clips.table.assign(apex=0)
    return replace(clips, faces=faces, table=table, at=tuple(np.array([i]) for i in range(n)))


def _part(clips: Clips, fold: int) -> Parts:
    return splits.parts(clips.as_faces(), PROTOCOL, fold=fold, target="all")


def _fold_on_features(fold: int, made: Examples, clips: Clips, config: ClipConfig, key: str) -> list[Fold]:
    def make() -> list[Fold]:
        return [_read(made, clips, _part(clips, fold), config)]

    return kept.find_or_make(key, fold, make)


def _fold_fine_tuned(
    fold: int,
    net: nn.Module,
    frames: list[np.ndarray],
    clips: Clips,
    readings: Sequence[ClipConfig],
    key: str,
) -> list[Fold]:
    def make() -> list[Fold]:
        part = _part(clips, fold)
        faces, names = marks(frames, clips, places(clips, part.train.table["row"]))
        tuned = network.fine_tuned(net, faces, names, readings[0])
        made = examples(tuned, frames, clips, replace(readings[0], relative=False))
        return [_read(_as_read(made, how), clips, part, how) for how in readings]

    return kept.find_or_make(key, fold, make)


def _read(made: Examples, clips: Clips, part: Parts, config: ClipConfig) -> Fold:
    """An LSTM that learns from the train part and names the test part."""
    train, val, test = (made.part(p) for p in (part.train, part.val, part.test))
    fitted = network.fit(train, val, len(classes_of(clips)), config, watch=test)
    still = replace(test, x=network.without_movement(test.x, test.lengths))
    history = [[row[name] for name in ("train_loss", "val_accuracy", "val_loss")] for row in fitted.history]
    return Fold(part.test.table["row"].to_numpy(), fitted.watched, np.array(fitted.best_epoch),
                network.predict(fitted.net, still), np.array(history))  # fmt: skip


def marks(frames: Sequence[np.ndarray], clips: Clips, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onset, apex and offset frames of the clips at ``which``, and what fine-tuning shall call them.

    The apex carries its clip's class; onset and offset show a face at rest and carry one more class, *rest*:
    named after the clip they could only teach who is in it.  Returns (3 n, H, W) uint8 and (3 n,) int64.
    """
    labels, rest = labels_of(clips), len(classes_of(clips))
    faces, names = [], []
    for i in which:
        lasts = len(frames[i]) - 1
        apex = min(max(round(lasts * clips.table["apex_at"].iloc[i]), 1), lasts)
        faces += [frames[i][0], frames[i][apex], frames[i][lasts]]
        names += [rest, labels[i], rest]
    return np.stack(faces), np.array(names, np.int64)


def _gathered(clips: Clips, done: list[list[Fold]]) -> list[Outcome]:
    """An outcome for each reading, of what each fold gave for all of them."""
    parts = folds(clips)
    truth = labels_of(clips)

    def told(p: Sequence[np.ndarray], split: str = "test") -> pd.DataFrame:
        tables = [table(clips, part, answer) for part, answer in zip(parts, p, strict=True)]
        return whole(clips, tables).assign(split=split)

    outcomes = []
    for made in zip(*done, strict=True):
        right = [(one.watched.argmax(axis=2) == truth[places(clips, one.rows)]).mean(axis=1) for one in made]
        best = [one.watched[scores.argmax()] for one, scores in zip(made, right, strict=True)]
        outcomes.append(
            Outcome(
                told([one.p for one in made]),
                told([one.still for one in made], "nothing moves"),
                told(best, "picked on test"),
                list(made),
            )
        )
    return outcomes


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Outcomes of several seeds as one: their rows one after the other, so that scores add up over seeds too."""

    def joined(name: str) -> pd.DataFrame:
        return pd.concat([getattr(one, name) for one in outcomes], ignore_index=True)

    folds = [fold for one in outcomes for fold in one.folds]
    return Outcome(joined("predictions"), joined("still"), joined("picked"), folds)
