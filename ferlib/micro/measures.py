"""Classes of clips, and scores that are pooled over all folds.

A table of predictions has a row a clip and covers every fold, so that
``UF1 = mean_c 2 TP_c / (2 TP_c + FP_c + FN_c)`` and ``UAR = mean_c TP_c / (TP_c + FN_c)`` add up TP, FP and FN over
the folds first (See et al. 2019).  The mean of the scores of single folds is something else: most folds
lack some class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import datasets, metrics, paths
from ferlib.config import DataError, UsageError, as_plain, check_name, digest
from ferlib.datasets import megc
from ferlib.datasets.sequences import parse_codes
from ferlib.labels import DRAWN_PREFIX
from ferlib.metrics import Estimate, is_right
from ferlib.micro import clips as whole
from ferlib.micro import motion, network
from ferlib.micro.baselines import SVM_C
from ferlib.micro.clips import Clips
from ferlib.micro.lbptop import LBPTOP
from ferlib.micro.network import ClipConfig
from ferlib.micro.spotting import Spotter

TASKS: dict[str, str] = {
    "emotion": "the corpus's own names, without fear and sadness in CASME II (five classes)",
    "objective": "objective classes I to VII, by Action Units alone (Davison et al. 2018)",
    "megc": "negative, positive and surprise, joined on the list of MEGC 2019",
}
TOO_RARE: dict[str, tuple[str, ...]] = {"casme2": ("fear", "sadness")}
"""Classes that the corpora's authors leave out: two and seven clips (Yan et al. 2014)."""

MEGC_LIST = "combined_3class_gt.csv"

OBJECTIVE: dict[str, tuple[str, ...]] = {
    "I": ("6", "12", "6+12", "6+7+12", "7+12"),
    "II": ("1+2", "5", "25", "1+2+25", "25+26", "5+24"),
    "III": ("23", "4", "4+7", "4+5", "4+5+7", "17+24", "4+6+7", "4+38"),
    "IV": ("10", "9", "4+9", "4+40", "4+5+40", "4+7+9", "4+9+17", "4+7+10", "4+5+7+9", "7+10"),
    "V": ("1", "15", "1+4", "6+15", "15+17"),
    "VI": ("1+2+4", "20"),
}
"""AUs of each objective class; what is not listed is VII.  Noted from Davison et al. 2018, table 2: to check."""
_CLASS_OF = {frozenset(map(int, aus.split("+"))): name for name, sets in OBJECTIVE.items() for aus in sets}
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")


def objective_class(codes: str) -> str:
    """Objective class ``I`` to ``VII`` of AU codes such as ``4+L10``."""
    return _CLASS_OF.get(frozenset(parse_codes(codes.replace("?", ""))), "VII")


def corpora_of(corpus: str, task: str) -> list[str]:
    """The stores that ``task`` needs: ``corpus``, or for ``megc`` the three of its kind, drawn or real.

    Raises ``UsageError`` where ``corpus`` is the composite, whose classes are those of ``megc``, and ``task`` is not.
    """
    drawn = DRAWN_PREFIX if corpus.startswith(DRAWN_PREFIX) else ""
    if check_name("task", task, TASKS) == "megc":
        return [drawn + name for name in megc.OFFICIAL]
    if corpus == f"{drawn}megc":
        raise UsageError(f"{corpus} has the classes of MEGC 2019 alone:  -p micro_expressions.task=megc")
    return [corpus]


def prepared(corpus: str, task: str) -> Clips:
    """The clips of ``task`` from the home.

    Raises ``DataError`` with the next command where a store or the list of MEGC 2019 is missing.
    """
    names = corpora_of(corpus, task)
    parts = {name.removeprefix(DRAWN_PREFIX): whole.of(datasets.load(name)) for name in names}
    if task != "megc":
        return for_task(next(iter(parts.values())), task)
    file = (drawn_list(names) if names[0].startswith(DRAWN_PREFIX) else paths.corpus("megc")) / MEGC_LIST
    if not file.is_file():
        raise DataError(f"There is no {file}. Put the list of MEGC 2019 there")
    listed, report = megc.read_list(file)
    if report.problems:
        raise DataError(f"{file}: {report.problems[0]}")
    return composite(parts, listed)


def drawn_list(stores: Sequence[str]) -> Path:
    """The folder of the list of drawn ``stores``, written anew for the size and seed that they were drawn with.

    Raises ``DataError`` where these differ, or are of no size that has a list.
    """
    kinds = {}
    for store in stores:
        mark = datasets.read_manifest(store)["drawn"]
        sizes = import_module(f"ferlib.synthetic.native.{mark['corpus']}").SIZES
        takes = mark["settings"]["takes"]
        size = next((name for name, of in sizes.items() if of.takes == takes), f"{takes} clips")
        kinds[store] = size, mark["seed"]
    size, seed = kinds[stores[0]]
    if len(set(kinds.values())) > 1 or size.endswith("clips"):
        told = ", ".join(f"{store}: {size}, seed {seed}" for store, (size, seed) in kinds.items())
        raise DataError(
            f"The composite of MEGC 2019 wants its corpora drawn alike, but here are {told}. "
            f"Draw each so:  ferlib corpus make {stores[0].removeprefix(DRAWN_PREFIX)} --size full"
        )
    return datasets.make("megc", size, seed=seed)


def as_task(clips: Clips, task: str, classes: Sequence[str]) -> Clips:
    """Clips drawn as emotions under the names of ``task``; those of other ``classes`` are left out."""
    named = for_task(clips, "objective") if task == "objective" else clips
    return named.select(named.table["label"].isin(classes).to_numpy())


def for_task(clips: Clips, task: str) -> Clips:
    """The clips that ``task`` uses, ``label`` saying their class.  Raises ``DataError`` where it needs more."""
    check_name("task", task, TASKS)
    if task == "megc":
        raise DataError("The classes of MEGC 2019 are joined on its list: measures.composite")
    if task == "emotion":
        left_out = TOO_RARE.get(clips.faces.corpus.removeprefix("synthetic-"), ())
        return clips.select(~clips.table["label"].isin(left_out).to_numpy())
    if "objective_class" in clips.table:
        named = [NUMERALS[int(number) - 1] for number in clips.table["objective_class"]]
    elif "au_codes" in clips.table:
        named = [objective_class(codes) for codes in clips.table["au_codes"]]
    else:
        raise DataError(f"{clips.faces.corpus} has no Action Units, which objective classes need")
    return replace(clips, table=clips.table.assign(label=named))


def composite(parts: Mapping[str, Clips], listed: pd.DataFrame) -> Clips:
    """The composite of MEGC 2019: the clips on its list, as one corpus whose people keep their corpus's name.

    parts : ``casme2``, ``samm``, ``smic`` -> their clips.  listed : from ``datasets.megc.read_list``.
    Labels come from the list alone.  Raises ``DataError`` where it names a clip that is missing.
    """
    tables, images, damaged, before = [], [], [], 0
    at: list[np.ndarray] = []
    times: list[np.ndarray] = []
    for corpus, clips in parts.items():
        label = megc.join(listed, clips.table, corpus)
        mine = replace(clips, table=clips.table.assign(label=label)).select(label.notna().to_numpy())
        pictures = np.concatenate([mine.frames(i) for i in range(len(mine))])
        images.append(pictures)
        ends = np.cumsum([len(found) for found in mine.at])
        at += [before + part for part in np.split(np.arange(ends[-1]), ends[:-1])]
        times += mine.times
        before += len(pictures)
        tables.append(mine.table.assign(subject=corpus + " " + mine.table["subject"].astype(str)))
        damaged.append(clips.damaged)
    table = pd.concat(tables, ignore_index=True)
    table["row"] = np.arange(len(table))
    first = next(iter(parts.values())).faces
    drawn = "synthetic-" if first.synthetic else ""
    faces = replace(first, images=np.concatenate(images), table=pd.DataFrame(), corpus=f"{drawn}megc")
    return Clips(faces, table, tuple(at), tuple(times), pd.concat(damaged, ignore_index=True))


# ------------------------------------------------------------------------------------------- settings frozen


def settled(config: ClipConfig, *more: Any, promised: str = "") -> str:
    """Digest of all that a study of clips can choose: ``config``, ``more``, and what the baselines are set to.

    promised : what was written down before a result was seen; "" promises nothing.
    Raises ``UsageError`` where the settings are others than those.
    """
    fixed = {"lbptop": asdict(LBPTOP()), "svm_c": SVM_C, "gain": motion.GAIN, "spotter": asdict(Spotter()),
             "tuning": asdict(network.TUNING_AUGMENTATION)}  # fmt: skip
    found = digest(asdict(config), fixed, *map(as_plain, more))
    if promised not in ("", found):
        raise UsageError(
            f"settings_digest={promised!r}, but these settings have {found!r}: they are not those that were "
            "written down. Run them without:  -p micro_expressions.settings_digest="
        )
    return found


def rig_of(corpus: str) -> str:
    """Digest of the rig that drew the store ``corpus``, or ``photographs``."""
    drawn = datasets.read_manifest(corpus).get("drawn")
    return str(drawn.get("rig", "unknown")) if drawn else "photographs"


# --------------------------------------------------------------------------------------------------- scores


def summary(predictions: pd.DataFrame, rng: np.random.Generator) -> dict[str, Estimate]:
    """``accuracy``, ``uf1`` and ``uar``, pooled over all folds, with intervals over people."""
    return {
        "accuracy": metrics.accuracy(predictions, rng),
        "uf1": metrics.macro_f1(predictions, rng),
        "uar": metrics.macro_recall(predictions, rng),
    }


def by_corpus(
    named: Mapping[str, pd.DataFrame], rng: np.random.Generator
) -> dict[tuple[str, str], dict[str, Estimate]]:
    """:func:`summary` of each method of ``named`` on the clips of each corpus of a :func:`composite`.

    Keys are method and corpus, whose name the people of a composite bear.
    """
    made: dict[tuple[str, str], dict[str, Estimate]] = {}
    for method, predictions in named.items():
        corpus = predictions["subject"].str.split(" ").str[0]
        made |= {(method, str(of)): summary(part, rng) for of, part in predictions.groupby(corpus)}
    return made


def difference(a: pd.DataFrame, b: pd.DataFrame, rng: np.random.Generator) -> Estimate:
    """Accuracy of ``a`` less that of ``b`` on the same clips; people are resampled in both at once.

    Where a table holds several seeds, the mean over them counts.
    Raises ``DataError`` where the tables are not of the same clips.
    """
    by_clip = [pd.Series(is_right(t), t["row"]).groupby(level=0).mean() for t in (a, b)]
    if not by_clip[0].index.equals(by_clip[1].index):
        raise DataError("Two tables of predictions can be compared only on the same clips")
    gain = by_clip[0] - by_clip[1]
    person = a.drop_duplicates("row").set_index("row").loc[gain.index, "subject"]
    return metrics.mean_over_people(gain.to_numpy(), person.to_numpy(), rng)


def verdict(gain: Estimate) -> str:
    """What a difference of accuracies with its interval allows to say."""
    where = metrics.side(gain.low, gain.high)
    return {"above": "better than", "below": "worse than"}.get(where, where)


def against(found: Estimate, chance: float) -> str:
    """Where a score with its interval lies: ``above``, ``below`` or ``not clearly different from`` chance."""
    return metrics.side(found.low, found.high, chance)


def told_by_stillness(moving: Estimate, still: Estimate, chance: float) -> str:
    """What a score with movement and one without it allow to say of what a method reads."""
    if against(moving, chance) != "above":
        return (
            "With movement it does not lie clearly above guessing, so that taking the movement away tells nothing "
            "about what it reads"
        )
    if against(still, chance) == "above":
        return "Without movement it is still above guessing: a part of what it reads is who is in the clip"
    return "Without movement it falls to guessing: what it reads is the movement, and not who is in the clip"


def told_by_onset(gain: Estimate) -> str:
    """What taking the onset's features away, and nothing else, says of why an LSTM fails."""
    if gain.low > 0:
        return (
            "It gains clearly by that: the movement is in the features, and it is the person, seen in every frame, "
            "that keeps the LSTM from learning it from a few dozen people"
        )
    if gain.high < 0:
        return "It loses clearly by that: what the features tell of the person helps the LSTM more than it hinders"
    return "That makes no clear difference with this many clips: who is in the frame is not shown to be the reason"
