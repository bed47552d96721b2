"""A matrix in worlds whose answer is known: a copy, permuted labels, a class too many, people seen before."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from transfer_world import EMOTIONS, corpus, matrix

import ferlib
from ferlib import features, models, paths, splits, transfer
from ferlib.book import chapters, keep
from ferlib.config import DataError, UsageError
from ferlib.splits import LeakError
from ferlib.transfer import classes, settings, why
from ferlib.transfer import matrix as module
from ferlib.transfer.matrix import place_of
from ferlib.transfer.samples import share_of
from ferlib.transfer.tuned import adapted


@pytest.fixture(scope="module")
def wish(home):
    """A corpus, its copy, one with permuted labels, and one without people that knows another third class."""
    corpus("synthetic-a")
    corpus("synthetic-copy")
    corpus("synthetic-permuted", seed=1, permuted=True)
    corpus("synthetic-other", seed=2, people=0, names=("anger", "happiness", "contempt"))
    return matrix("synthetic-a", "synthetic-copy", "synthetic-permuted", "synthetic-other")


@pytest.fixture(scope="module")
def nets(wish):
    return transfer.networks(wish)


@pytest.fixture(scope="module")
def answered(wish, nets):
    return transfer.answers(wish, nets)


@pytest.fixture(scope="module")
def cells(wish, answered):
    return {cell.name: cell for cell in transfer.cells_of(wish, answered)}


@pytest.fixture(scope="module")
def summary(cells):
    return (
        transfer.summary(list(cells.values())).set_index(["source", "target", "mode", "share"]).sort_index()
    )


def test_a_corpus_beside_its_copy_gives_equal_cells(summary):
    numbers = ["value", "low", "high", "baseline", "macro_f1", "macro_recall", "n_faces", "n_labels"]
    own = summary.loc["synthetic-a", "synthetic-a"][numbers]
    for source, target in (("a", "copy"), ("copy", "a"), ("copy", "copy")):
        cell = summary.loc[f"synthetic-{source}", f"synthetic-{target}"][numbers]
        pd.testing.assert_frame_equal(cell, own)


def test_every_cell_has_learned_or_says_that_it_has_not(summary):
    assert (summary.loc["synthetic-a", "synthetic-a"]["value"] > 0.9).all()
    chance = summary.loc[["synthetic-a", "synthetic-copy", "synthetic-other"], "synthetic-permuted", :, :]
    assert ((chance["low"] <= 0.5) & (chance["value"] < 0.5)).all()
    assert (summary.loc["synthetic-permuted", "synthetic-permuted"]["value"] < 0.5).all()


def test_a_class_that_one_side_lacks_is_left_out_of_both_sides(cells, nets):
    cell = cells["synthetic-a", "synthetic-other", "as is", 0.0]
    assert cell.emotions == ("anger", "happiness")
    assert cell.mapping == "2 classes; answers left out: surprise; faces left out: contempt"
    assert set(cell.predictions["truth"]) == {"anger", "happiness"}
    test = settings.parts_of(matrix("synthetic-a", "synthetic-other"), "synthetic-other", 0).test
    assert cell.n_left_out == 2 * (test.table["emotion"] == "contempt").sum()  # two networks
    right = (cell.predictions[["anger", "happiness"]].idxmax(axis=1) == cell.predictions["truth"]).sum()
    assert cell.accuracy_of_all() == right / (2 * len(test))


def test_an_answer_outside_the_common_classes_never_counts():
    p = np.array([[0.1, 0.2, 0.7], [0.0, 0.0, 1.0]])
    kept = classes.restricted(p, ("anger", "happiness", "surprise"), ("happiness", "anger"))
    np.testing.assert_allclose(kept, [[2 / 3, 1 / 3], [0.5, 0.5]], atol=1e-6)
    with pytest.raises(DataError, match="Fewer than two classes"):
        classes.shared(("anger", "happiness"), ("happiness", "surprise"))


def test_a_head_and_a_tuned_network_learn_the_targets_own_classes(cells):
    for mode in ("head", "fine-tuned"):
        cell = cells["synthetic-a", "synthetic-other", mode, 1.0]
        assert set(cell.emotions) == {"anger", "happiness", "contempt"}
        assert (cell.n_left_out, cell.n_faces) == (0, 48)
        assert cell.accuracy(np.random.default_rng(0)).value > 0.9


def test_as_is_on_the_diagonal_is_what_the_run_itself_predicted(cells, nets):
    own = pd.concat([run.predictions for run in nets["synthetic-a"]], ignore_index=True)
    mine = cells["synthetic-a", "synthetic-a", "as is", 0.0].predictions
    np.testing.assert_array_equal(mine["row"], own["row"])
    np.testing.assert_allclose(mine[list(EMOTIONS)], own[list(EMOTIONS)], atol=1e-5)


def test_micro_macro_and_per_class_figures_are_those_of_scikit_learn(cells, summary):
    for name, cell in cells.items():
        if "synthetic-permuted" not in name[:2]:
            continue
        truth, guess = cell.predictions["truth"], cell.predictions[list(cell.emotions)].idxmax(axis=1)
        row = summary.loc[name]
        assert row["value"] == pytest.approx(sk.accuracy_score(truth, guess))
        present = sorted(set(truth))
        assert row["macro_f1"] == pytest.approx(
            sk.f1_score(truth, guess, labels=present, average="macro", zero_division=0)
        )
        assert row["macro_recall"] == pytest.approx(
            sk.recall_score(truth, guess, labels=present, average="macro", zero_division=0)
        )
        recalls = transfer.per_class([cell]).set_index("emotion")["value"]
        expected = dict(
            zip(present, sk.recall_score(truth, guess, labels=present, average=None), strict=True)
        )
        assert recalls.to_dict() == pytest.approx(expected)


def test_the_baseline_names_the_class_that_is_commonest_in_the_targets_train_part(cells):
    cell = cells["synthetic-a", "synthetic-other", "head", 1.0]
    train = settings.parts_of(matrix("synthetic-a", "synthetic-other"), "synthetic-other", 0).train.table[
        "emotion"
    ]
    expected = (cell.predictions["truth"] == train.value_counts().idxmax()).mean()
    assert cell.baseline(np.random.default_rng(0)).value == pytest.approx(expected)


def test_each_network_and_each_test_part_is_used_and_the_diagonal_meets_its_own():
    assert settings.pairs(3, 3) == [(0, 0), (1, 1), (2, 2)]
    assert settings.pairs(1, 3) == [(0, 0), (0, 1), (0, 2)]
    assert settings.pairs(3, 2) == [(0, 0), (1, 1), (2, 0)]


def test_an_image_that_two_networks_answered_is_resampled_as_one(cells):
    cell = cells["synthetic-a", "synthetic-other", "head", 1.0]
    found = cell.accuracy(np.random.default_rng(0))
    assert (len(cell.predictions), found.n, found.unit) == (96, 48, "image")
    assert (
        cells["synthetic-a", "synthetic-a", "head", 1.0].accuracy(np.random.default_rng(0)).unit == "subject"
    )


def test_people_or_pictures_seen_in_training_raise(home, wish):
    faces = settings.faces_of(wish, "synthetic-a")
    first, second = (splits.parts(faces, "auto", fold) for fold in (0, 5))
    settings.refuse_seen(first, first.test)
    with pytest.raises(LeakError, match=r"images of the test part of synthetic-a were seen"):
        settings.refuse_seen(first, second.test)
    renamed = dataclasses.replace(second.test, corpus="synthetic-copy")
    with pytest.raises(LeakError, match=r"synthetic-copy were seen in training on synthetic-a"):
        settings.refuse_seen(first, renamed)
    elsewhere = dataclasses.replace(renamed, digest="another")
    with pytest.raises(LeakError, match="identical pictures"):
        settings.refuse_seen(first, elsewhere)
    table = second.test.table.assign(row=lambda t: t["row"] + 1000)
    with pytest.raises(LeakError, match=r"people of the test part.*S\d\d"):
        settings.refuse_seen(first, dataclasses.replace(second.test, table=table))


def test_a_unit_that_meets_faces_its_network_saw_is_stopped(wish, nets):
    unit = transfer.Unit("synthetic-a", 0, "synthetic-a", 1, "as is", 0.0, nets["synthetic-a"][0].key)
    with pytest.raises(LeakError, match="seen in training"):
        module._answer(wish, unit)


def test_a_share_takes_whole_people_and_grows_with_the_share(wish):
    train = settings.parts_of(wish, "synthetic-a", 0).train
    small, large = share_of(train, 0.1), share_of(train, 0.5)
    assert set(small.table["row"]) < set(large.table["row"])
    assert len(small) >= 0.1 * len(train)
    for part in (small, large):
        people = set(part.subjects)
        assert len(part) == np.isin(train.subjects, list(people)).sum()
    assert share_of(train, 1.0) is train
    unknown = settings.parts_of(wish, "synthetic-other", 0).train
    assert len(share_of(unknown, 0.25)) == 24
    assert len(set(share_of(unknown, 0.001, at_least=3).labels)) == 3
    with pytest.raises(UsageError, match="share=0"):
        share_of(train, 0)


def test_a_second_matrix_does_only_what_is_new(wish, nets, answered, monkeypatch):
    worked = []
    work = module._answer
    monkeypatch.setattr(module, "_answer", lambda m, unit: (worked.append(unit), work(m, unit)))
    transfer.answers(wish, nets)
    assert worked == []
    victim = next(iter(answered))
    place_of(wish, victim).unlink()
    again = transfer.answers(wish, nets)
    assert worked == [victim]
    pd.testing.assert_frame_equal(again[victim], answered[victim])


def test_every_pass_of_a_network_over_a_corpus_is_made_once(wish, nets, monkeypatch, tmp_path):
    counted = []
    compute = features._compute
    monkeypatch.setattr(
        features, "_compute", lambda *wanted: (counted.append(len(wanted[1])), compute(*wanted))
    )
    small = dataclasses.replace(wish, corpora=wish.corpora[:2], modes=("as is", "head"))
    for unit in transfer.units_of(small, nets):
        place_of(small, unit).unlink(missing_ok=True)
    for folder in (
        features.place_of(run, settings.faces_of(wish, "synthetic-copy")) for run in nets["synthetic-a"]
    ):
        for file in folder.glob("*"):
            file.unlink()
        folder.rmdir()
    transfer.answers(small, nets)
    assert counted == [160, 160]  # two networks, each once over the copy


def dying_work(wish, group):
    """Stands in for the work on a group of units; the first worker that comes here dies in the middle of it."""
    mark = paths.home() / "died"
    if not mark.exists():
        mark.touch()
        module._answer(wish, group[0])
        os.kill(os.getpid(), signal.SIGKILL)
    module._work(wish, group)


def test_a_matrix_whose_worker_was_killed_is_complete_and_equal_to_the_unbroken_one(
    wish, nets, answered, monkeypatch
):
    small = dataclasses.replace(wish, corpora=wish.corpora[:2], modes=("as is", "head"))
    for unit in transfer.units_of(small, nets):
        place_of(small, unit).unlink()
    monkeypatch.setattr(module, "_work", dying_work)
    again = transfer.answers(small, nets, n_jobs=2)
    assert (paths.home() / "died").exists()
    assert len(again) == 2 * 2 * 2 * 2
    for unit, table in again.items():
        pd.testing.assert_frame_equal(table, answered[unit])


def test_what_is_fine_tuned_starts_from_the_network_it_is_given(nets):
    run = nets["synthetic-a"][0]
    fresh = models.build("EmotionCNN", run.record["network"]["settings"]).state_dict()
    made = adapted(run, fresh, ("surprise", "anger", "contempt"))
    trained = run.model().state_dict()
    for name in fresh:
        if not name.startswith("output."):
            assert (made[name] == trained[name]).all()
    at = {e: i for i, e in enumerate(run.emotions)}
    assert (made["output.weight"][0] == trained["output.weight"][at["surprise"]]).all()
    assert (made["output.bias"][1] == trained["output.bias"][at["anger"]]).all()
    assert (made["output.weight"][2] == fresh["output.weight"][2]).all()


def test_the_mean_over_cells_resamples_a_targets_people_once_for_all_its_cells(cells):
    chosen = [cells["synthetic-a", "synthetic-permuted", "head", 1.0],
              cells["synthetic-copy", "synthetic-permuted", "head", 1.0]]  # fmt: skip
    both = why.mean_over_cells(chosen, why.right, np.random.default_rng(0))
    one = why.mean_over_cells(chosen[:1], why.right, np.random.default_rng(0))
    assert both == one  # equal cells, resampled alike
    alone = chosen[0].accuracy(np.random.default_rng(0))
    assert both.value == pytest.approx(alone.value)
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high), abs=0.04)
    base = why.mean_over_cells(chosen[:1], why.commonest, np.random.default_rng(0))
    assert base.value == pytest.approx(chosen[0].baseline(np.random.default_rng(0)).value)


def test_cells_above_their_baseline_are_counted_by_the_paired_difference(cells):
    chosen = [cells["synthetic-a", "synthetic-a", "as is", 0.0], cells["synthetic-a", "synthetic-copy", "as is", 0.0],
              cells["synthetic-a", "synthetic-permuted", "as is", 0.0]]  # fmt: skip
    table = why.above_baseline(chosen)
    assert table.loc[("as is", "home")].tolist() == [1, 1]
    assert table.loc[("as is", "away")].tolist() == [1, 2]  # the copy, and not the permuted one
    gain = why.gain(chosen[0])
    assert gain.mean() == pytest.approx(why.right(chosen[0]).mean() - why.commonest(chosen[0]).mean())


def test_confusions_differ_by_what_the_networks_answered(cells):
    home = cells["synthetic-a", "synthetic-a", "as is", 0.0]
    away = cells["synthetic-permuted", "synthetic-a", "as is", 0.0]
    difference = transfer.confusion_difference(away, home)
    guess = away.predictions[list(EMOTIONS)].idxmax(axis=1)
    expected = sk.confusion_matrix(
        away.predictions["truth"], guess, labels=EMOTIONS, normalize="true"
    ) - np.eye(3)
    np.testing.assert_allclose(difference.loc[list(EMOTIONS), list(EMOTIONS)], expected, atol=1e-12)


def test_wrong_settings_are_refused():
    for wrong, match in (({"modes": ("asis",)}, "Did you mean 'as is'"), ({"shares": (0.0,)}, "shares"),
                         ({"modes": ()}, "at least two, and a mode")):  # fmt: skip
        with pytest.raises(UsageError, match=match):
            matrix("synthetic-a", "synthetic-copy", **wrong)
    with pytest.raises(UsageError, match="named twice"):
        matrix("synthetic-a", "synthetic-a")


@pytest.mark.parametrize(("drawn", "folder"), [([True, True], "several-drawn"), ([False, False], "several"),
                                               ([True, False], "several-mixed")])  # fmt: skip
def test_a_matrix_is_kept_by_what_its_faces_are_whichever_corpora_it_has(drawn, folder):
    book = Path(ferlib.__file__).parents[1] / "book"
    defaults = chapters.find(book)["cross_dataset"].defaults
    corpora = {f"c{i}": {"digest": "", "synthetic": is_drawn} for i, is_drawn in enumerate(drawn)}
    result = {"chapter": "cross_dataset", "parameters": {**defaults, "corpora": list(corpora), "n_jobs": 7},
              "inputs": {"corpora": corpora}}  # fmt: skip
    assert keep.corpus_of(result) == folder
    assert keep.nearest_profile(book, result) == ("quick", {})
