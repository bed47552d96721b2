"""Scores of micro-expressions: pooled over folds, by hand; classes; spotting in long films."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from native_stand_in import flat_faces

from ferlib.config import DataError, UsageError
from ferlib.datasets import megc
from ferlib.metrics import Estimate
from ferlib.micro import clips, drawn, measures, spotting
from ferlib.micro.drawn import Film, LongFilm
from ferlib.micro.network import ClipConfig


def told(rows):
    """A table of predictions from (subject, fold, truth, guess)."""
    table = pd.DataFrame(rows, columns=["subject", "fold", "truth", "guess"])
    names = ["negative", "positive", "surprise"]
    p = pd.DataFrame([[float(g == n) for n in names] for g in table.pop("guess")], columns=names)
    table.insert(0, "row", range(len(table)))
    table.insert(3, "split", "test")
    return pd.concat([table, p], axis=1)


ROWS = [
    ("a", 0, "negative", "negative"), ("a", 0, "negative", "positive"), ("a", 0, "negative", "negative"),
    ("b", 1, "positive", "positive"), ("b", 1, "surprise", "negative"),
    ("c", 2, "surprise", "surprise"), ("c", 2, "negative", "surprise"), ("c", 2, "positive", "negative"),
]  # fmt: skip


def test_uf1_and_uar_equal_what_a_hand_computes_over_all_folds():
    found = measures.summary(told(ROWS), np.random.default_rng(0))
    # pooled: negative TP 2 FP 2 FN 2, positive TP 1 FP 1 FN 1, surprise TP 1 FP 1 FN 1
    assert found["uf1"].value == pytest.approx((4 / 8 + 2 / 4 + 2 / 4) / 3)
    assert found["uar"].value == pytest.approx((2 / 4 + 1 / 2 + 1 / 2) / 3)
    assert found["accuracy"].value == pytest.approx(4 / 8)
    assert (found["uf1"].n, found["uf1"].unit) == (3, "subject")


def test_a_composite_is_scored_corpus_by_corpus():
    table = told([(f"{'smic' if s == 'c' else 'samm'} {s}", f, t, g) for s, f, t, g in ROWS])
    found = measures.by_corpus({"LSTM": table, "again": table}, np.random.default_rng(0))
    assert set(found) == {(name, of) for name in ("LSTM", "again") for of in ("samm", "smic")}
    assert found["LSTM", "smic"]["uar"].value == pytest.approx((1 + 0 + 0) / 3)
    # of samm: negative TP 2 FP 1 FN 1, positive TP 1 FP 1 FN 0, surprise FN 1
    assert found["again", "samm"]["uf1"].value == pytest.approx((4 / 6 + 2 / 3 + 0) / 3)
    assert found["LSTM", "samm"]["accuracy"].value == pytest.approx(3 / 5)


def test_the_mean_over_folds_would_be_another_number():
    rows = [("a", 0, "negative", "negative")] * 3 + [
        ("b", 1, "negative", "positive"),
        ("b", 1, "positive", "positive"),
    ]
    rng, table = np.random.default_rng(0), told(rows)
    per_fold = [measures.summary(part, rng)["uf1"].value for _, part in table.groupby("fold")]
    assert np.mean(per_fold) == pytest.approx((1 + 1 / 3) / 2)
    assert measures.summary(table, rng)["uf1"].value == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_a_difference_is_paired_by_person():
    good = told([(s, f, t, t) for s, f, t, _ in ROWS])
    found = measures.difference(good, told(ROWS), np.random.default_rng(0))
    assert found.value == pytest.approx(0.5)
    assert found.low > 0
    same = measures.difference(good, good, np.random.default_rng(0))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    worse = measures.difference(told(ROWS), good, np.random.default_rng(0))
    words = [measures.verdict(gain) for gain in (found, same, worse)]
    assert words == ["better than", "not clearly different from", "worse than"]
    both = pd.concat([good, told(ROWS)], ignore_index=True)  # of two seeds the mean counts
    half = measures.difference(both, told(ROWS), np.random.default_rng(0))
    assert (half.value, half.low, half.high) == pytest.approx(
        (found.value / 2, found.low / 2, found.high / 2)
    )
    with pytest.raises(DataError, match="same clips"):
        measures.difference(good, told(ROWS[:4]), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("codes", "name"),
    [("12", "I"), ("6+R12", "I"), ("1+2", "II"), ("4+7", "III"), ("4+L10", "VII"), ("L10", "IV"), ("15", "V"),
     ("1+2+4", "VI"), ("14", "VII"), ("4+9?", "IV")],
)  # fmt: skip
def test_objective_classes_follow_the_action_units_alone(codes, name):
    assert measures.objective_class(codes) == name


def test_a_task_keeps_its_classes_and_says_what_it_lacks():
    from micro_world import moving_dots

    dots = clips.of(moving_dots(people=3, each=3))
    assert len(measures.for_task(dots, "emotion")) == 9
    assert set(measures.for_task(dots, "objective").table["label"]) == {"I", "VII"}
    with pytest.raises(DataError, match="composite"):
        measures.for_task(dots, "megc")
    with pytest.raises(UsageError, match="task"):
        measures.for_task(dots, "emotions")


def test_what_is_said_of_a_still_clip_depends_on_the_numbers():
    low, around, high = (Estimate(v, v - 0.05, v + 0.05, 9, "subject") for v in (0.1, 0.2, 0.4))
    assert [measures.against(e, 0.2) for e in (low, around, high)] == [
        "below",
        "not clearly different from",
        "above",
    ]
    assert "tells nothing" in measures.told_by_stillness(around, low, 0.2)
    assert "who is in the clip" in measures.told_by_stillness(high, high, 0.2)
    assert "falls to guessing" in measures.told_by_stillness(high, around, 0.2)
    gains = [Estimate(v, v - 0.05, v + 0.05, 9, "subject") for v in (0.1, 0.0, -0.1)]
    for gain, word in zip(gains, ("gains", "no clear difference", "loses"), strict=True):
        assert word in measures.told_by_onset(gain)


def test_settings_that_were_written_down_are_kept_to():
    how = ClipConfig()
    digest = measures.settled(how, ["emotion", [0, 1]])
    assert measures.settled(how, ["emotion", [0, 1]], promised=digest) == digest
    for other in (replace(how, hidden=32), how):
        with pytest.raises(UsageError, match="not those that were written down"):
            measures.settled(other, ["emotion", [0, 1, 2]], promised=digest)


# -------------------------------------------------------------------------------------------------- spotting


def test_overlap_is_intersection_over_union_of_whole_frames():
    assert spotting.overlap((0, 9), (0, 9)) == 1
    assert spotting.overlap((0, 9), (5, 14)) == pytest.approx(5 / 15)
    assert spotting.overlap((0, 4), (5, 9)) == 0


def test_a_true_interval_is_matched_once_and_only_from_half_an_overlap_on():
    assert spotting.matched([(0, 9), (1, 10)], [(0, 9)]) == (1, 1, 0)
    assert spotting.matched([(5, 14)], [(0, 9)]) == (0, 1, 1)
    assert spotting.matched([], [(0, 9), (20, 29)]) == (0, 0, 2)
    assert spotting.matched([(0, 9), (20, 28)], [(0, 9), (20, 29)]) == (2, 0, 0)
    f1 = spotting.interval_f1([(1, 1, 0), (0, 1, 1), (1, 0, 0)], np.random.default_rng(0))
    assert f1.value == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert f1.n == 3


def bumped(at, lasts=20, n=150, drift=0.3):
    """A film of noise that drifts evenly and in which a patch brightens and fades once."""
    rng = np.random.default_rng(0)
    frames = np.tile(rng.uniform(80, 120, (1, 36, 36)), (n, 1, 1)) + drift * np.arange(n)[:, None, None]
    t = np.arange(lasts)
    frames[at : at + lasts, 6:12, 6:12] += 40 * np.sin(np.pi * (t + 1) / (lasts + 1))[:, None, None]
    return LongFilm(frames.clip(0, 255).astype(np.uint8), (at, at + lasts // 2, at + lasts - 1), 50.0)


def test_a_movement_is_spotted_where_it_is_and_even_drift_is_not_spotted():
    films = [bumped(60), bumped(100)]
    curves = [spotting.curve(film.frames, film.fps) for film in films]
    for film, curve in zip(films, curves, strict=True):
        found = spotting.spot(curve, film.fps)
        assert spotting.matched(found, [(film.marks[0], film.marks[2])])[:3] == (1, 0, 0)
    assert (spotting.apex_errors(films, curves) <= 2).all()
    drifting = bumped(60, drift=0.3).frames[:50]
    assert spotting.curve(drifting, 50.0).max() < 0.2 * curves[0].max()
    assert spotting.spot(np.zeros(50), 50.0) == []
    assert (spotting.curve(films[0].frames[:5], 50.0) == 0).all()


def test_an_interval_laid_anywhere_rarely_hits():
    films = [bumped(60)] * 3
    counts = np.array(spotting.by_chance(films, np.random.default_rng(0), times=100))
    starts = np.arange(150 - 18)
    hits = np.mean([spotting.overlap((s, s + 18), (60, 79)) >= 0.5 for s in starts])
    assert counts[:, 0].mean() == pytest.approx(hits, abs=0.06)


# --------------------------------------------------------------------------------------------- drawn clips


def test_drawn_clips_differ_in_what_is_asked_and_in_nothing_else():
    labels = ["happiness", "happiness", "disgust"]
    weak, strong = (
        drawn.clips(labels, Film(strength=s, drawn=6, n_frames=30), draw=flat_faces) for s in (1.0, 2.0)
    )
    assert weak.table.drop(columns="label").equals(strong.table.drop(columns="label"))
    assert [clip.shape for clip in map(weak.frames, range(3))] == [(6, 96, 96)] * 3
    assert weak.table["subject"].nunique() == 3
    smiles = [i for i, codes in enumerate(weak.table["au_codes"]) if "12" in codes]
    for i in smiles:  # a stand-in whose face brightens as it smiles
        apex = weak.table["apex"][i]
        gains = [int(c.frames(i)[apex].mean()) - int(c.frames(i)[0].mean()) for c in (weak, strong)]
        assert gains[1] > gains[0] > 0
    with pytest.raises(UsageError, match="No recipe"):
        drawn.clips(["joy"], Film(), draw=flat_faces)
    with pytest.raises(UsageError, match="at least 5 frames"):
        Film(n_frames=3)


def test_long_films_hold_one_micro_expression_of_its_length():
    for levels, drift, (onset, apex, offset) in (drawn._planned_film(i, 3.0, 50.0, 0) for i in range(20)):
        acting = np.delete(levels, drawn.U_OF[45], axis=1).max(axis=(1, 2)) > 0
        assert len(levels) == len(drift) == 150
        assert acting[apex]
        assert not acting[:onset].any()
        assert not acting[offset + 1 :].any()
        assert 0.2 <= (offset - onset + 1) / 50 <= 0.51


def test_tasks_find_their_corpora_and_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    assert measures.corpora_of("synthetic-casme2", "emotion") == ["synthetic-casme2"]
    three = measures.corpora_of("synthetic-casme2", "megc")
    assert three == ["synthetic-smic", "synthetic-casme2", "synthetic-samm"]
    assert measures.corpora_of("synthetic-megc", "megc") == three
    assert measures.corpora_of("samm", "megc") == ["smic", "casme2", "samm"]
    with pytest.raises(UsageError, match=r"micro_expressions\.task=megc"):
        measures.corpora_of("synthetic-megc", "emotion")
    with pytest.raises(DataError, match="ferlib corpus make casme2"):
        measures.prepared("synthetic-casme2", "emotion")


def test_the_list_of_a_drawn_composite_is_that_of_its_stores(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    stores = ["synthetic-smic", "synthetic-casme2", "synthetic-samm"]

    def drawn_with(seeds, **takes):
        for store, seed in zip(stores, seeds, strict=True):
            corpus = store.removeprefix("synthetic-")
            mark = {"corpus": corpus, "settings": {"takes": takes[corpus]}, "seed": seed}
            folder = tmp_path / "corpora" / store
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "manifest.json").write_text(json.dumps({"drawn": mark}))

    for seed, takes, n in ((0, {"smic": 164, "casme2": 255, "samm": 159}, 442), (3, QUICK, 101)):
        drawn_with([seed] * 3, **takes)
        listed, _ = megc.read_list(measures.drawn_list(stores) / measures.MEGC_LIST)
        assert len(listed) == n
    for seeds, takes in (
        ([0, 0, 1], QUICK),
        ([0] * 3, QUICK | {"samm": 159}),
        ([0] * 3, QUICK | {"smic": 5}),
    ):
        drawn_with(seeds, **takes)
        with pytest.raises(DataError, match=r"drawn alike, but here are synthetic-smic: .* --size full"):
            measures.drawn_list(stores)


QUICK = {"smic": 32, "casme2": 64, "samm": 40}


def test_clips_are_drawn_for_classes_that_the_rig_can_show():
    assert drawn.labels_for(["negative", "surprise"], 3) == ["negative", "surprise", "negative"]
    assert len(drawn.labels_for(["I", "II"], 4)) == 4
    film = Film(drawn=4, n_frames=20)
    told = drawn.clips(["negative", "positive"], film, draw=flat_faces)
    assert told.table["label"].tolist() == ["negative", "positive"]
    assert set(told.table["au_codes"][1].split("+")) <= {"6", "12", "14", "L12", "R12", "L14", "R14"}
    named = measures.as_task(told, "objective", ["I", "III", "IV"])
    assert set(named.table["label"]) <= {"I", "III", "IV"}
    assert len(measures.as_task(told, "emotion", ["positive"])) == 1
