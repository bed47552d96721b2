"""What the chapter on micro-expressions says in words follows from its numbers: its own cells, on tiny worlds."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_micro_measures import bumped, told

from ferlib import metrics
from ferlib.book.record import with_interval
from ferlib.metrics import Estimate
from ferlib.micro import clips, measures, spotting
from ferlib.micro import probes as real
from ferlib.micro.drawn import Film

NOTEBOOK = Path(__file__).parent.parent / "book" / "04_micro_expressions.ipynb"


class Sized(SimpleNamespace):
    """Names with a ``table``, as long as that."""

    def __len__(self):
        return len(self.table)


class Said(dict):
    """A chapter that keeps what it is told to say."""

    say = dict.__setitem__

    def record(self, *_, **__):
        pass

    uses = record


def said_by(cell, **world):
    """What the code cell ``cell`` of the chapter says in a ``world`` of names."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(c["source"]) for c in cells if c["id"] == cell]
    chapter, rng = Said(), np.random.default_rng(0)
    plots = SimpleNamespace(**dict.fromkeys(("spotted", "dependence", "over_time"), lambda *_, **__: None))
    known = {"chapter": chapter, "rng": rng, "plots": plots, "np": np, "pd": pd, "replace": replace}
    known |= {"metrics": metrics, "measures": measures, "with_interval": with_interval, "spotting": spotting}
    exec(source, known | world)
    return chapter


# ---------------------------------------------------------------------------------------------------- clips


def load(task, damaged, labels):
    table = pd.DataFrame({"subject": [f"s{i // 2}" for i in range(8)], "sequence": list("aabbccdd")})
    table["label"] = [labels[i // 2] for i in range(8)]
    left = pd.DataFrame({"label": ["joy", "awe"], "subject": ["s0", "s1"]})
    here = Sized(table=left, damaged=[0] * damaged, faces=SimpleNamespace(images=np.zeros((2, 1, 1))))
    stores = SimpleNamespace(ensure=lambda _: None, load=lambda _: SimpleNamespace(table=table))
    where = SimpleNamespace(corpora_of=lambda *_: ["casme2"], prepared=lambda *_: here)
    classes = SimpleNamespace(classes_of=lambda _: ["joy", "awe"])
    flow = SimpleNamespace(flow_features=lambda _: None)
    names = {"corpus": "casme2", "task": task, "align": False, "clips": clips}
    return said_by("load", datasets=stores, measures=where, loso=classes, baselines=flow, **names)["left_out"]


def test_clips_that_a_task_leaves_out_are_counted_and_their_classes_named():
    four = ["joy", "awe", "fear", "fear"]
    assert load("emotion", 0, four).startswith("Of 4 clips, the task leaves out 2 more: ")
    assert load("emotion", 0, four).endswith(
        "those named fear, which the corpus's authors leave out as too rare"
    )
    assert "leaves out 1 more: those not on the list" in load("megc", 1, four)
    assert load("emotion", 2, ["joy", "awe", "joy", "awe"]) == "No other clip is left out"


# ----------------------------------------------------------------------------------------------- difference


def guesses(right):
    """Predictions on 12 clips of 6 people, of which ``right`` are named rightly."""
    pair = ("negative", "positive")
    return told(
        [(f"s{i % 6}", i % 6, pair[i % 2], pair[(i + (i >= right)) % 2]) for i in range(12)],
    )


KEYS = (
    "LSTM, fine-tuned (the paper)", "commonest class", "LBP-TOP, SVM", "LBP-TOP, magnified, SVM",
    "flow at the coded apex, SVM", "flow at a guessed apex, SVM", "LSTM, fine-tuned, less onset", "LSTM, frozen",
    "LSTM, frozen, less onset", "LSTM, changes", "LSTM, untrained features", "LSTM, AU head",
)  # fmt: skip


def test_a_difference_has_no_sign_beside_worse():
    named = dict.fromkeys(KEYS, guesses(12)) | {"LBP-TOP, SVM": guesses(0)}
    named["LBP-TOP, magnified, SVM"] = guesses(7)
    world = dict.fromkeys(("task", "settled", "rig"), "x") | {"seeds": [0], "serves": ["one"], "off": []}
    world |= {"report": [], "here": [0] * 12, "chance": 0.5, "named": named, "less_onset": SimpleNamespace()}
    world["loso"] = SimpleNamespace(classes_of=lambda _: ["negative", "positive"])
    world["less_onset"].predictions = guesses(6)
    worse = said_by("estimates", paper_way=SimpleNamespace(predictions=guesses(6)), **world)
    assert worse["against_majority"] == "worse than"
    assert worse["by_majority"].startswith("by 50.0")
    assert "-" not in worse["by_majority"]
    assert (worse["against_lbptop"], worse["by_lbptop"][:7]) == ("better than", "by 50.0")
    assert worse["by_lbptop_magnified"].startswith("with a difference of -8.3")


# ------------------------------------------------------------------------------------------ seeds, and the apex


def controls(seeds, at_apex, frozen):
    one = SimpleNamespace(predictions=guesses(6), still=guesses(6), picked=guesses(6))
    some = Estimate(0.5, 0.4, 0.6, 6, "subject")
    rows = ("fine-tuned, less onset", "less onset, shown clips that stand still", "fine-tuned (the paper)",
            "shown clips that stand still")  # fmt: skip
    here = Sized(table=pd.DataFrame({"apex_at": [0.5] * 12}))
    world = dict.fromkeys(("motionless", "by_chance", "paper_way", "less_onset"), one)
    world |= {
        "said": dict.fromkeys((KEYS[0], KEYS[6]), [one] * len(seeds)),
        "rows": dict.fromkeys(rows, some),
    }
    world |= {
        "named": {KEYS[1]: guesses(6), KEYS[8]: guesses(frozen)},
        "here": here,
        "n_frames": 3,
        "cost": some,
    }
    shown = SimpleNamespace(x=np.zeros((12, 3, 2)))
    world["loso"] = SimpleNamespace(examples=lambda *_: shown, inputs=lambda *_: None)
    world["probes"] = SimpleNamespace(identity_share=lambda _: 0.5)
    world["baselines"] = SimpleNamespace(svm=lambda *_: guesses(at_apex))
    world["scores"] = {key: {"uar": replace(some, value=i / 12)} for i, key in enumerate(KEYS)}
    world |= dict.fromkeys(("measured_on", "net", "settings", "size"), "") | {"less": [0], "changes": [0]}
    return said_by("controls-recorded", seeds=seeds, chance=0.5, **world)


def test_one_seed_is_called_one_seed():
    one, three = (controls(seeds, 12, 6)["seeds_told"] for seeds in ([0], [0, 1, 2]))
    assert "one seed" in one
    assert "mean" not in one
    assert one.count("50.0 %") == 2
    assert three.count("50.0 %") == 6
    assert three.endswith("mean over seeds")


def test_the_features_at_the_apex_are_compared_with_all_methods_and_with_the_lstm():
    best = controls([0], 12, 4)
    assert best["apex_features_rank"] == "higher than each of the 12 methods there"
    assert best["apex_features_told"].endswith("the LSTM loses it")
    even = controls([0], 6, 6)
    assert even["apex_features_rank"] == "higher than 6 of the 12 methods there"
    assert even["apex_features_told"].endswith("not shown")


# -------------------------------------------------------------------------------------------------- probes


def panels(seen, strong):
    """What is said where the LSTM's accuracies, each +- 0.1, are ``seen`` after each frame, and ``strong``."""

    def table(name, values):
        values = np.array(values)
        return pd.DataFrame(
            {name: range(len(values)), "value": values, "low": values - 0.1, "high": values + 0.1}
        )

    by = {3: [seen[-1], seen[-1], strong], 4: [seen[-1]] * 4}
    probes = SimpleNamespace(
        against_frames_seen=lambda *_: table("seen", seen),
        against=lambda _, sets, __: table("amount", by[len(sets)]),
        told_by_panels=real.told_by_panels,
    )
    normal = Sized(table=pd.DataFrame({"label": ["a", "a", "b", "c", "d"]}))
    drawn = SimpleNamespace(
        labels_for=lambda *_: [], series=lambda _, films, __: [normal] * len(films),
        Film=Film,
    )  # fmt: skip
    here = SimpleNamespace(as_task=lambda clips, *_: clips)
    slower = SimpleNamespace(slower_camera=lambda *_: normal)
    world = {"probe": SimpleNamespace(classes=[]), "n_drawn": 5, "n_frames": 4, "seeds": [0], "n_jobs": 1}
    said = said_by("drawn-probes", probes=probes, drawn=drawn, measures=here, clips=slower, task="", **world)
    return said["dependence_told"]


def test_panels_without_a_point_above_the_commonest_class_tell_nothing():
    text = panels([0.4, 0.7, 0.8, 0.4], 0.4)
    assert (
        "commonest class, 40.0 %, in “How much of the clip” (2 of 4 points, the highest 80.0 %); none" in text
    )
    assert text.endswith("not clearly different from the commonest class: "
                         "what a panel without such points varies tells nothing here")  # fmt: skip
    assert "“How strong” (1 of 3" in panels([0.4, 0.7, 0.8, 0.4], 0.9)
    clear = panels([0.4, 0.8], 0.8)
    assert "none does" not in clear
    assert "nothing" not in clear
    assert panels([0.4, 0.4], 0.4) == real.told_by_panels([], 5)


def attributed(sums, hits):
    """What is said of clips that get ``sums`` in all and are named rightly where ``hits``; one a person."""
    n = len(sums)
    added = np.stack([np.zeros(n), np.array(sums)], axis=1).astype(np.float32)
    probes = SimpleNamespace(attribution=lambda *_: added, mean_auc=real.mean_auc)
    here = SimpleNamespace(table=pd.DataFrame({"apex_at": [0.5] * n, "subject": range(n)}))
    rows = pd.DataFrame({"value": [0.5] * 4, "low": [0.4] * 4, "high": [0.6] * 4})
    world = {"strength": rows, "rates": rows, "drift": rows, "normal": [0] * 4, "measured_on": ""}
    world["said"] = {"LSTM, frozen, less onset": [SimpleNamespace(predictions=None)]}
    world |= {"measures": SimpleNamespace(is_right=lambda _: np.array(hits)), "n_frames": 4, "here": here}
    world["loso"] = SimpleNamespace(labels_of=lambda _: None)
    probe = SimpleNamespace(features=lambda _: None, lstm=None)
    return said_by("dependence-recorded", probes=probes, probe=probe, **world)["attribution_told"]


@pytest.mark.parametrize(
    ("right", "wrong", "follows"),
    [
        (2.0, 1.0, "the name is right"),
        (1.0, 2.0, "no sign of a right one"),
        (1.0, 1.0, "not tell the two apart"),
    ],
)
def test_attribution_is_compared_between_clips_named_rightly_and_wrongly(right, wrong, follows):
    text = attributed([right, wrong] * 10, [True, False] * 10)
    assert f"named rightly gets {right:.2f} on average, one named wrongly {wrong:.2f}" in text
    assert text.endswith(follows)


def test_attribution_is_not_compared_where_all_clips_fare_alike():
    assert "nothing to compare" in attributed([1.0, 2.0], [True, True])


# ------------------------------------------------------------------------------------------------- spotting


def test_hits_misses_and_false_alarms_are_told_of_the_film_shown_and_of_all():
    lost = replace(bumped(60), marks=(10, 20, 29))  # what moves is somewhere else
    dead = replace(lost, frames=np.repeat(lost.frames[:1], 150, axis=0))

    def of(*films):
        drawn = SimpleNamespace(long_films=lambda *_, **__: list(films))
        return said_by("spot", drawn=drawn, n_films=len(films), seeds=[0], n_jobs=1)

    miss, hit = of(lost, dead, bumped(60)), of(bumped(60))
    assert miss["spotted_here"].endswith("misses the expression and gives 1 false alarm")
    assert miss["spotted_in_all"] == "hits 1, misses 2, false alarms 1"
    assert hit["spotted_here"].endswith("finds the expression and gives 0 false alarms")
    assert hit["spotted_in_all"] == "hits 1, misses 0, false alarms 0"
