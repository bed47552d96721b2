"""Action Units from features: worlds in which the answer is known, and figures equal to scikit-learn's."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error, roc_auc_score

from ferlib import datasets, features, labels, paths, runs, splits, training
from ferlib.config import DataError, UsageError
from ferlib.heads import Penalty
from ferlib.recipes import TrainConfig
from ferlib.splits import LeakError
from ferlib.transfer import actions, au_nets, au_scores, au_study
from ferlib.transfer.actions import ActionConfig
from ferlib.transfer.au_scores import Truth

AUS = ("AU01", "AU04", "AU12")
HOW = ActionConfig(penalty=Penalty(strengths=(0.03, 0.003), n_steps=150), au_epochs=1, least_people=4)


def coded_faces(n=200, people=20, seed=0, size=16):
    """AU01 in half, AU04 in a third of the faces, AU12 in two of one person; all at known or unknown strength."""
    rng = np.random.default_rng(seed)
    levels = np.where(rng.random((n, 3)) < (0.5, 0.33, 0), rng.integers(1, 7, (n, 3)), 0)  # 6: not known
    levels[[0, people], 2] = 3
    table = pd.DataFrame({"row": np.arange(n), "image": [f"{i}" for i in range(n)]})
    table["emotion"] = np.where(levels[:, 0] > 0, "fear", "neutral")
    table["subject"] = [f"S{i % people:02d}" for i in range(n)]
    table[list(AUS)] = levels.astype(np.float32)
    images = rng.integers(0, 90, (n, size, size)).astype(np.uint8)
    images[levels[:, 0] > 0, 2:5] += 90
    return datasets.FaceSet(images, table, "synthetic-coded", f"coded{seed}", True, {}, ("neutral", "fear"))


def folds(faces, n=5):
    who = pd.factorize(faces.table["subject"])[0] % n
    return np.stack(
        [np.where(who == f, "test", np.where(who == (f + 1) % n, "val", "train")) for f in range(n)]
    )


def read(features, faces, how=HOW):
    roles = folds(faces)
    made = actions.answered({name: [x] * len(roles) for name, x in features.items()}, faces, roles, how)
    return actions.judged(faces, roles, how, made)


@pytest.fixture(scope="module")
def world():
    """Features that hold the AUs exactly, and those of other faces."""
    faces = coded_faces()
    rng = np.random.default_rng(1)
    stored = faces.table[list(AUS)].to_numpy()
    exact = np.hstack([stored > 0, np.where(stored == 6, 3, stored), rng.normal(size=(200, 4))]).astype(
        np.float32
    )
    return read({"emotion": exact, "hog": exact[rng.permutation(200)]}, faces)


# ---------------------------------------------------------------------------------------------- worlds


def test_features_that_hold_an_au_tell_it_without_error(world):
    table = actions.per_au(world, "emotion", np.random.default_rng(0))
    assert table.loc[["AU01", "AU04"], ["auc", "f1", "joint_auc", "accuracy"]].to_numpy() == pytest.approx(1)
    assert (table["mse"] < 0.3 * table["absent_mse"])[:2].all()


def test_features_of_other_faces_tell_nothing(world):
    table = actions.per_au(world, "hog", np.random.default_rng(0)).loc[["AU01", "AU04"]]
    assert ((table["auc_low"] < 0.5) & (table["auc_high"] > 0.5)).all()
    assert (table["mse"] > 0.95 * np.nanvar(world.truth.level[:, :2], axis=0)).all()


def test_what_tells_beats_what_does_not_and_a_source_never_beats_itself(world):
    table = actions.comparison(world, np.random.default_rng(0))
    assert table.loc["hog", "low"] > 0.3
    assert table.loc["hog", "p"] < 0.01
    same = read(
        {"emotion": np.ones((200, 2), np.float32), "names": np.ones((200, 2), np.float32)}, coded_faces()
    )
    row = actions.comparison(same, np.random.default_rng(0)).loc["names"]
    assert (row["value"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)


def test_a_sentence_says_better_worse_or_neither_as_the_interval_does():
    rows = {"names": (0.1, 0.05, 0.2), "hog": (-0.1, -0.2, -0.05), "untrained": (0.1, -0.1, 0.2)}
    words = actions.in_words(pd.DataFrame(rows, index=["value", "low", "high"]).T).split("; ")
    assert words[0] == "better than the bare answers (+0.100, +0.050 to +0.200)"
    assert words[1].startswith("worse than HOG")
    assert words[2].startswith("not shown to be better or worse than those of the untrained network")
    assert set(au_study.NAMES) == set(actions.SOURCES) - {"emotion"}


def test_equally_noisy_sources_differ_by_no_more_than_chance():
    faces, rng = coded_faces(), np.random.default_rng(3)
    signal = (faces.table[list(AUS)].to_numpy() > 0).astype(np.float32)
    noisy = {name: signal + rng.normal(0, 1, signal.shape) for name in ("emotion", "names")}
    row = actions.comparison(read(noisy, faces), rng).loc["names"]
    assert row["low"] < 0 < row["high"]
    assert row["p"] > 0.05


def test_an_au_of_too_few_people_is_shown_and_not_averaged_over(world):
    table = actions.per_au(world, "emotion", np.random.default_rng(0))
    assert list(table.index) == list(AUS)
    assert table["too_few"].tolist() == [False, False, True]
    assert table.loc["AU12", ["positives", "people"]].tolist() == [2, 1]
    macro = actions.estimates(world, "emotion", np.random.default_rng(0))["au_macro_auc"]
    assert macro.value == pytest.approx(table["auc"][:2].mean())


def test_always_absent_stands_beside_every_figure(world):
    present = world.truth.present
    e = actions.estimates(world, "emotion", np.random.default_rng(0))
    assert e["au_absent_accuracy"].value == pytest.approx(1 - present.mean())
    known = world.truth.level[~np.isnan(world.truth.level)]
    assert e["au_absent_mse"].value == pytest.approx((known**2).mean())
    assert e["au_absent_level_accuracy"].value == pytest.approx((known == 0).mean())
    shown = actions.summary(world)
    assert list(shown.index) == ["emotion", "hog", "always absent"]
    assert shown.loc["always absent", "accuracy"] == pytest.approx(1 - present.mean())


def test_a_level_of_unknown_strength_counts_as_present_and_not_as_a_level(world):
    unknown = coded_faces().table["AU01"].to_numpy() == 6
    assert unknown.any()
    assert np.isnan(world.truth.level[unknown, 0]).all()
    assert (world.truth.present[unknown, 0] == 1).all()
    level = np.where(np.isnan(world.truth.level), 5, 0)
    worse = dataclasses.replace(world.answers["emotion"], level=level)
    errors = au_scores.level_errors(worse.level, world.truth)
    assert errors["squared"].sum() == pytest.approx(np.nansum(world.truth.level**2))


def test_a_level_is_named_only_where_the_au_is_called_present(world):
    for answer in (world.answers["hog"], world.answers["emotion"]):
        assert (answer.graded[~answer.joint_right] == 0).all()
        assert (answer.graded[answer.joint_right] >= 1).all()
    level = actions.estimates(world, "emotion", np.random.default_rng(0))["au_level_accuracy"].value
    known = ~np.isnan(world.truth.level)
    assert level == pytest.approx((answer.graded == world.truth.level)[known].mean())
    assert level > actions.estimates(world, "hog", np.random.default_rng(0))["au_level_accuracy"].value


def test_the_table_shows_every_au_with_its_baseline_and_what_others_reported(world):
    table = actions.per_au(world, "emotion", np.random.default_rng(0))
    shown = actions.shown(table, {"AU04": 0.91})
    shown.index = shown.index.str.replace("\N{NO-BREAK SPACE}", " ")
    assert list(shown.index) == ["AU 1", "AU 4", "AU 12"]
    assert shown.loc["AU 12", "faces"] == "2/200"
    assert ["few" in people for people in shown["people"]] == [False, False, True]
    assert shown["reported"].tolist() == ["", "0.910", ""]
    assert shown.loc["AU 12", "absent"] == "99.0"


# --------------------------------------------------------------------------------- equal to scikit-learn's


def random_truth(n=120, n_folds=3, seed=0):
    rng = np.random.default_rng(seed)
    present = (rng.random((n, 2)) < 0.4).astype(float)
    level = np.where(present > 0, rng.integers(1, 6, (n, 2)), 0).astype(float)
    person = rng.integers(12, size=n)
    person[:12] = np.arange(12)
    return Truth(("AU01", "AU02"), present, level, person % n_folds, person)


def test_auc_is_the_mean_of_scikit_learns_over_folds_weighted_by_pairs():
    truth = random_truth()
    scores = np.random.default_rng(5).random((120, 2)).round(1)  # with ties
    won, pairs = au_scores.wins(scores, scores, truth), au_scores.pairs(truth)
    times = au_scores.draw_people(truth.n_people, np.random.default_rng(0))[:4]
    for r, time in enumerate(times):
        kept = np.repeat(np.arange(120), time[truth.person].astype(int))  # a resample, written out
        for u in range(2):
            parts = []
            for fold in range(3):
                own = kept[truth.fold[kept] == fold]
                y = truth.present[own, u]
                if 0 < y.sum() < len(y):
                    parts.append((y.sum() * (1 - y).sum(), roc_auc_score(y, scores[own, u])))
            weight, area = np.array(parts).T
            assert au_scores.auc(won, pairs, times)[r, u] == pytest.approx(
                (weight * area).sum() / weight.sum()
            )


def test_f1_accuracy_and_mse_are_scikit_learns():
    truth = random_truth()
    rng = np.random.default_rng(7)
    said, level = rng.random((120, 2)) < 0.5, rng.random((120, 2)) * 5
    counted = au_scores.outcomes(said, truth).sum(axis=0)
    errors = au_scores.level_errors(level, truth)
    for u in range(2):
        assert au_scores.f1(counted)[u] == pytest.approx(f1_score(truth.present[:, u], said[:, u]))
        assert au_scores.accuracy(counted)[u] == pytest.approx(
            accuracy_score(truth.present[:, u], said[:, u])
        )
        squared = errors["squared"][:, u].sum() / errors["n"][:, u].sum()
        assert squared == pytest.approx(mean_squared_error(truth.level[:, u], level[:, u]))
        right = errors["right"][:, u].sum() / errors["n"][:, u].sum()
        assert right == pytest.approx(accuracy_score(truth.level[:, u].round(), level[:, u].round()))


def test_a_code_that_is_missing_counts_nowhere():
    truth = random_truth()
    truth.present[:40, 0] = truth.level[:40, 0] = np.nan
    scores = np.random.default_rng(5).random((120, 2))
    changed = scores.copy()
    changed[:40, 0] = 1 - changed[:40, 0]
    for measure in (lambda s: au_scores.wins(s, s, truth), lambda s: au_scores.outcomes(s > 0.5, truth)):
        assert (measure(scores) == measure(changed)).all()
    assert au_scores.outcomes(scores > 0.5, truth)[:, 0].sum() == 80


# ------------------------------------------------------------------------------------ with trained networks


pytestmark = pytest.mark.usefixtures("home")


def stored(name, seed=0):
    """The coded faces as a prepared corpus."""
    faces = coded_faces(seed=seed)
    told = {"synthetic": True, "licence": "none", "source": "test"}
    datasets.write_store(name, faces.images, faces.table.drop(columns="row"), told)
    return datasets.load(name)


SETTINGS = TrainConfig(width=0.05, n_epochs=3, batch_size=16, threads=1, device="cpu", lr=3e-3)


@pytest.fixture(scope="module")
def names(home):
    """A corpus of coded faces that teaches emotions, and the network that it taught."""
    faces = stored("synthetic-folder-names")
    return faces, training.ensure(SETTINGS, faces)


@pytest.fixture(scope="module")
def codes(home):
    return stored("synthetic-folder-codes", seed=1)


def test_a_study_of_a_foreign_network_is_made_once_and_found_again(names, codes, monkeypatch):
    first = actions.study(names[1], codes, HOW)
    assert first.sources == tuple(actions.SOURCES)[:-1]
    assert len(first.table) == 200
    assert "has seen none of the people judged" in first.sentence
    table = actions.summary(first)["value"]
    assert table["emotion"] > table["hog"] - 0.2 > 0.3
    monkeypatch.setattr(au_nets, "trained", None)
    monkeypatch.setattr(actions.heads, "fit", None)
    again = actions.study(names[1], codes, HOW)
    assert (again.answers["au"].single == first.answers["au"].single).all()


def test_a_network_learns_aus_from_the_very_faces_that_taught_it_emotions(names, codes):
    same, run = names
    plan = au_nets.on_same_faces(run, same, seed=0)
    parts = splits.parts(same)
    for part in (parts.train, parts.val):
        assert set(plan.rows[plan.roles == part.role]) == set(part.table["row"])
    assert not np.isin(plan.rows[np.isin(plan.roles, ["train", "val"])], parts.test.table["row"]).any()
    assert (plan.n_epochs, plan.batch_size) == (SETTINGS.n_epochs, SETTINGS.batch_size)
    how = dataclasses.replace(HOW, sources=("emotion", "untrained", "au same"))
    made = actions.study(run, codes, how, same=same)
    auc = actions.per_au(made, "au same", np.random.default_rng(0))["auc"]
    assert auc["AU01"] > 0.9  # a bar that anybody can see
    assert f"the very faces that taught the emotions ({len(parts.train)} of" in actions.fairness(run, how)
    assert "at a disadvantage" in actions.fairness(run, HOW)
    with pytest.raises(UsageError, match="same="):
        actions.study(run, codes, how)
    with pytest.raises(DataError, match="was not trained on these faces"):
        actions.study(run, codes, how, same=codes)


def test_the_rig_knows_the_codes_that_a_layout_leaves_out(names):
    faces = names[0].select(np.arange(3))
    bare = dataclasses.replace(faces, table=faces.table.drop(columns=list(AUS)))
    sides = {f"{au}_{side}": 0.0 for au in labels.DRAWN_AUS for side in ("left", "right")}
    truth = pd.DataFrame({"image": ["2", "1", "0"], **sides})
    truth["AU12_left"], truth["AU12_right"] = [4.6, 0.2, 0.4], [1.0, 1.4, 0.3]
    assert actions.with_codes(bare) is None  # the native tree is gone
    file = paths.drawn("folder-names") / "truth.parquet"
    file.parent.mkdir(parents=True)
    truth.to_parquet(file)
    coded = actions.with_codes(bare)
    assert coded.table["AU12"].tolist() == [0, 1, 5]  # the stronger side; less than half an A is absent
    assert labels.au_present(coded.table).sum() == 2
    assert actions.with_codes(dataclasses.replace(bare, synthetic=False)) is None
    truth[1:].to_parquet(file)
    with pytest.raises(DataError, match=r"is of other faces.*ferlib corpus make folder-names"):
        actions.with_codes(bare)


def test_a_network_is_never_judged_on_people_it_has_seen(codes):
    faces = codes
    nets = {f: training.ensure(SETTINGS.__class__(**{**vars(SETTINGS), "fold": f}), faces) for f in (0, 1)}
    with pytest.raises(LeakError, match="fold -> run"):
        actions.study(nets[0], faces, HOW)
    roles, networks = actions.divided(nets, faces, HOW)
    who = faces.table["subject"].to_numpy()
    for role, run in zip(roles, networks, strict=True):
        tested = set(run.predictions["subject"])
        assert set(who[role == "test"]) == tested
        assert not tested & set(who[role == "train"])
        assert not set(who[role == "val"]) & (set(who[role == "train"]) | tested)
    assert [run.key for run in networks] == [nets[0].key, nets[1].key]


def test_the_body_before_training_is_the_same_network_with_other_weights(names):
    run = names[1]
    blank, trained = runs.untrained(run, seed=0), runs.find(run.key).model()
    assert [p.shape for p in blank.parameters()] == [p.shape for p in trained.parameters()]
    assert blank.normalise.mean == trained.normalise.mean
    assert not np.allclose(blank.output.weight.detach(), trained.output.weight.detach())
    faces = coded_faces(40)
    hidden = features.hidden_of(trained, faces.images)
    assert hidden == pytest.approx(np.array(features.of(run, faces)), abs=1e-5)


def test_faces_without_codes_or_people_are_refused_with_what_to_use():
    faces = coded_faces()
    for lacking in (["subject"], list(AUS)):
        poor = datasets.FaceSet(**{**vars(faces), "table": faces.table.drop(columns=lacking)})
        with pytest.raises(DataError, match="synthetic-ckplus"):
            actions.coded(poor)


def test_of_a_sequence_the_last_frame_is_judged():
    table = pd.DataFrame({"sequence": ["a", "a", "b", "b"], "frame": [1, 9, 7, 2]})
    assert actions.told_frames(table).tolist() == [False, True, True, False]
    assert actions.told_frames(table[["frame"]]).all()
