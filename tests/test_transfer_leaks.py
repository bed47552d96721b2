"""Leaks made on purpose: they inflate where they must, add nothing where there is nothing, and stay locked in."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_faces import EMOTIONS, tiny_faces

import ferlib
from ferlib import learner, splits
from ferlib.config import UsageError
from ferlib.transfer import leak_scores, leaks
from ferlib.transfer.leaks import Lab

LAB = Lab(
    width=0.1, size=16, n_epochs=8, batch_size=16, n_train=60, n_multiplied=40, n_variants=2, seeds=(0,)
)


pytestmark = pytest.mark.usefixtures("home")


def people_with_one_look(n_people=15, per_person=6, size=16):
    """Every person has a look of one's own and one emotion for life: who knows the person knows the label."""
    rng = np.random.default_rng(0)
    faces = tiny_faces(n_people * per_person, size, people=n_people)
    person = np.arange(len(faces)) % n_people
    looks = 255 * (rng.random((n_people, 4, 4)) < 0.5).repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    noise = rng.integers(-20, 20, faces.images.shape)
    emotion = rng.permutation(np.arange(n_people) % 3)[person]
    table = faces.table.assign(emotion=np.array(EMOTIONS)[emotion])
    return dataclasses.replace(
        faces,
        images=np.clip(looks[person] + noise, 0, 255).astype(np.uint8),
        table=table,
        corpus="synthetic-people",
    )


@pytest.fixture(scope="module")
def found():
    """The laboratory where people betray the label, and in a corpus with splits whose faces can be read."""
    lab = dataclasses.replace(LAB, n_epochs=14)
    return {leak_scores.named(f): f for f in leaks.laboratory(tiny_faces(), people_with_one_look(), lab)}


# ------------------------------------------------------------------------------------------------ inflation


def test_folds_by_image_inflate_where_people_betray_the_label_and_folds_by_person_do_not(found):
    by_image = found["folds by image, people"]
    assert by_image.clean.low < 1 / 3 + 0.15
    assert by_image.leaky.value > 0.65
    assert by_image.difference.low > 0.2
    assert by_image.difference.unit == "people"
    assert by_image.n == 90


def test_where_everybody_shows_everything_folds_by_image_add_nothing():
    pair = leaks.pairs_of(tiny_faces(160, people=16), LAB)[1]
    assert pair.leak == "folds by image"
    for training in (*pair.clean, *pair.leaky):
        leaks.unguarded(training)
    kept = [{len(leaks.unguarded(t)["test"]) for t in of} for of in (pair.clean, pair.leaky)]
    assert kept == [{LAB.n_epochs}, {1}]  # every epoch where one is chosen on val, else the last
    difference = leaks.compared(pair, np.random.default_rng(0)).difference
    assert difference.low <= 0 <= difference.high


def test_the_epoch_chosen_on_test_is_never_worse_than_the_one_chosen_on_val(found):
    for leak in ("epoch on test, tiny", "epoch on fold, people"):
        assert found[leak].leaky.value >= found[leak].clean.value
        assert min(found[leak].by_run) >= 0


def test_a_leak_that_adds_nothing_is_shown_as_zero():
    one_epoch = dataclasses.replace(LAB, n_epochs=1)
    pair = leaks.pairs_of(tiny_faces(), one_epoch)[0]
    assert pair.leak == "epoch on test"
    for training in pair.clean:
        leaks.unguarded(training)
    made = leaks.compared(pair, np.random.default_rng(0))  # there is one epoch to choose from
    assert (made.difference.value, made.difference.low, made.difference.high) == (0, 0, 0)
    assert leaks.verdict(leaks.table([made]).iloc[0]) == "no effect shown"
    assert leaks.shown(leaks.table([made]))["points added"].tolist() == ["+0.0"]


def test_every_leak_is_made_on_folds_of_people_and_on_splits(found):
    on_folds = ["epoch on fold", "folds by image", "copies across splits", "augmented, then split"]
    on_splits = ["epoch on test", "copies across splits", "augmented, then split"]
    assert [f.leak for f in found.values()] == on_folds + on_splits
    assert set(on_folds + on_splits) == set(leaks.LEAKS)
    assert [f.difference.unit for f in found.values()] == ["people"] * 4 + ["images"] * 3


def test_what_was_measured_is_found_again_without_training(found, monkeypatch):
    monkeypatch.setattr(learner, "Learner", None)
    lab = dataclasses.replace(LAB, n_epochs=14)
    again = {leak_scores.named(f): f for f in leaks.laboratory(tiny_faces(), people_with_one_look(), lab)}
    assert again == found


# ------------------------------------------------------------------------------------------ what leaks where


def test_copies_replace_as_many_training_faces():
    faces = tiny_faces()
    (clean,), (leaky,), planted = leaks.with_copies(faces, LAB)
    assert planted
    assert len(clean.train) == len(leaky.train) == 60
    seen = {image.tobytes() for image in leaky.train.images}
    tested = [image.tobytes() in seen for image in leaky.watched["test"].images]
    assert sum(tested) == round(LAB.copied_share * len(tested))
    assert not {image.tobytes() for image in clean.train.images} & {
        i.tobytes() for i in clean.watched["test"].images
    }


def test_a_corpus_with_copies_of_its_own_needs_none_planted():
    faces = tiny_faces()
    images = faces.images.copy()
    images[:4] = images[-4:]  # four training faces are test faces
    across = np.where(np.arange(len(faces)) < 4, "test", "")
    faces = dataclasses.replace(faces, images=images, table=faces.table.assign(duplicate_across=across))
    (clean,), (leaky,), planted = leaks.with_copies(faces, LAB)
    assert not planted
    assert not set(clean.train.table["row"]) & {0, 1, 2, 3}
    assert set(leaky.train.table["row"]) >= {0, 1, 2, 3}


def test_multiplied_faces_have_siblings_in_test_only_with_the_leak():
    (clean,), (leaky,) = leaks.multiplied_then_divided(tiny_faces(), LAB)
    tested = set(clean.watched["test"].table["image"])
    assert tested == set(leaky.watched["test"].table["image"])
    assert not tested & set(clean.train.table["image"])
    assert len(tested & set(leaky.train.table["image"])) > 0.8 * len(tested)
    originals = set(leaky.train.table["row"]) & set(leaky.watched["test"].table["row"])
    assert not originals  # siblings are there, the test face itself is not


def test_variants_differ_and_the_first_is_the_original():
    some = tiny_faces(20)
    every = leaks.variants(some, 3, seed=0)
    assert len(every) == 60
    assert (every.images[:20] == some.images).all()
    assert (every.images[20:40] != some.images).any(axis=(1, 2)).all()
    assert every.table["row"].is_unique


def test_clean_and_leaky_folds_train_on_as_many_faces():
    faces = tiny_faces(200, people=20)
    by_person, by_image = leaks.with_copies(faces, LAB)[0], leaks.image_folds(faces, LAB)
    sizes = [np.mean([len(t.train) for t in trainings]) for trainings in (by_person, by_image)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)
    tested = np.concatenate([t.watched["test"].table["row"] for t in by_image])
    assert sorted(tested) == sorted(faces.table["row"])


# -------------------------------------------------------------------------------------------------- measures


def test_the_best_epoch_is_the_one_that_training_would_keep():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.dirichlet(np.ones(3), size=(6, 10)).round(1) + 0.01
        truth = rng.integers(3, size=10)
        progress = learner.Progress()
        net = type("Net", (), {"state_dict": lambda self: {}})()
        for epoch in p:
            of_truth = epoch[np.arange(10), truth]
            accuracy = (epoch.argmax(axis=1) == truth).mean()
            progress.note({"val_accuracy": accuracy, "val_loss": -np.log(of_truth).mean()}, net)
        assert leak_scores.best_epoch(p, truth) == progress.best_epoch


def test_the_difference_is_paired_and_resamples_people():
    answers = pd.DataFrame({"unit": np.repeat(["a", "b", "c"], 4), "run": np.tile([0, 1], 6)})
    answers["right_clean"] = [True, False] * 6
    answers["right_leaky"] = [True, True, True, False] * 3  # everybody gains one of four
    made = leak_scores.finding("x", "corpus", answers, np.random.default_rng(0))
    assert (made.clean.value, made.leaky.value) == (0.5, 0.75)
    assert (made.difference.value, made.difference.low, made.difference.high) == (0.25, 0.25, 0.25)
    assert (made.n, made.difference.n, made.by_run) == (12, 3, (0.0, 0.5))
    answers["right_leaky"] = answers["right_clean"] | (answers["unit"] == "a")  # one of three people gains
    gained = leak_scores.finding("x", "corpus", answers, np.random.default_rng(0)).difference
    draws = np.random.default_rng(1).integers(3, size=(4000, 3))
    expected = np.quantile((draws == 0).mean(axis=1) / 2, [0.025, 0.975])
    assert (gained.low, gained.high) == pytest.approx(tuple(expected), abs=1e-9)


# ---------------------------------------------------------------------------------------------------- guards


def test_the_guards_refuse_what_the_laboratory_does():
    refused = leaks.refusals(tiny_faces(), tiny_faces(120, people=12))
    assert list(refused.index) == ["epoch on test", "epoch on fold", "folds by image"]
    assert "test images" in refused.iloc[0]
    assert re.search(r"train and test share \d+ people", refused.iloc[2])
    leaky = leaks.image_folds(tiny_faces(120, people=12), LAB)[0]
    with pytest.raises(splits.LeakError):
        splits.refuse_leaks(
            leaky.train, leaky.watched["test"].select(np.zeros(12, bool)), leaky.watched["test"]
        )


def test_training_without_guards_is_called_in_the_laboratory_only():
    package = Path(ferlib.__file__).parent
    users = {
        file.name for file in package.rglob("*.py") if re.search(r"\bunguarded\b", file.read_text("utf-8"))
    }
    assert users == {"leaks.py", "leak_nets.py"}


def test_a_laboratory_that_cannot_be_is_refused():
    for wrong in ({"copied_share": 0.0}, {"n_variants": 1}, {"seeds": ()}):
        with pytest.raises(UsageError):
            Lab(**wrong)
