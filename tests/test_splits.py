"""Protocols divide a corpus as they say, and refuse leaks."""

import numpy as np
import pandas as pd
import pytest
from fer_world import store

from ferlib import datasets, splits
from ferlib.config import DataError, UsageError
from ferlib.datasets.duplicates import mark_duplicates
from ferlib.splits import LeakError, parts

EMOTIONS = ["anger", "fear", "happiness", "neutral"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))


def with_splits(n_train=200, n_val=20, n_test=20):
    n = n_train + n_val + n_test
    split = ["train"] * n_train + ["val"] * n_val + ["test"] * n_test
    return store(
        "synthetic-fer2013", {"emotion": [EMOTIONS[i % 4] for i in range(n)], "split": split}, side=2
    )


def with_people(n_people=20, n_each=8):
    subject = np.repeat([f"S{i:03d}" for i in range(n_people)], n_each).tolist()
    emotion = [EMOTIONS[i % 4] for i in range(len(subject))]
    return store("synthetic-ckplus", {"emotion": emotion, "subject": subject}, side=2)


def rows(part):
    return set(part.table["row"])


def test_official_uses_the_three_splits_as_they_are():
    made = parts(with_splits())
    assert made.protocol == "official"
    assert [len(p) for p in (made.train, made.val, made.test)] == [200, 20, 20]
    assert [p.role for p in (made.train, made.val, made.test)] == ["train", "val", "test"]
    assert "20 PublicTest images selected the epoch, 20 PrivateTest images are reported" in made.sentence


def test_public_as_test_selects_on_a_stratified_tenth_of_train():
    faces = with_splits(n_test=0)
    made = parts(faces)
    assert made.protocol == "public-as-test"
    assert [len(p) for p in (made.train, made.val, made.test)] == [180, 20, 20]
    assert np.bincount(made.val.labels).tolist() == [5, 5, 5, 5]
    assert set(made.test.table["split"]) == {"val"}
    assert rows(made.val) != rows(parts(faces, seed=1).val)
    assert "20 PublicTest images are reported" in made.sentence
    with pytest.raises(DataError, match=r"no test images.*'public-as-test' fits"):
        parts(faces, "official")


def test_held_out_test_serves_a_corpus_without_val():
    made = parts(with_splits(n_val=0))
    assert made.protocol == "held-out-test"
    assert [len(p) for p in (made.train, made.val, made.test)] == [180, 20, 20]


def test_person_folds_test_everyone_once_and_share_nobody():
    faces = with_people()
    tested = []
    for fold in range(10):
        made = parts(faces, fold=fold)
        people = [set(p.subjects) for p in (made.train, made.val, made.test)]
        assert people[0].isdisjoint(people[1] | people[2])
        assert people[1].isdisjoint(people[2])
        assert len(made.train) + len(made.val) + len(made.test) == len(faces)
        tested += sorted(people[2])
    assert made.protocol == "person-folds"
    assert made.n_folds == 10
    assert sorted(tested) == sorted(set(faces.subjects))
    assert "128 images of 16 people fitted the network, 16 of 2 others selected" in made.sentence


def test_person_folds_are_stratified_though_people_differ():
    """Twenty people, ten of whom show only fear, ten only anger: each fold gets one of each."""
    subject = np.repeat([f"S{i}" for i in range(20)], 3).tolist()
    emotion = ["fear" if int(s[1:]) % 2 else "anger" for s in subject]
    faces = store("synthetic-ckplus", {"emotion": emotion, "subject": subject}, side=2)
    for fold in range(10):
        assert np.bincount(parts(faces, fold=fold).test.labels).tolist() == [3, 3]


def test_leave_one_person_out_has_a_fold_a_person():
    faces = with_people(5)
    names = splits.fold_names(faces, "leave-one-person-out")
    assert names == ["S000", "S001", "S002", "S003", "S004"]
    for fold, name in enumerate(names):
        made = parts(faces, "leave-one-person-out", fold)
        assert set(made.test.subjects) == {name}
        assert name not in set(made.train.subjects) | set(made.val.subjects)
        assert len(made.val) > 0


def test_image_folds_keep_copies_together():
    images = np.zeros((60, 4, 4), np.uint8)
    images[:, 0, 0] = np.arange(60) // 2  # each image twice
    table = {"emotion": [EMOTIONS[i // 2 % 4] for i in range(60)]}
    frame = mark_duplicates(pd.DataFrame(table), images)
    faces = store("synthetic-x", {name: frame[name].to_numpy() for name in frame}, images=images)
    for fold in range(10):
        made = parts(faces, "image-folds", fold)
        pairs = [set(p.table["row"] // 2) for p in (made.train, made.val, made.test)]
        assert pairs[0].isdisjoint(pairs[1] | pairs[2])
        assert pairs[1].isdisjoint(pairs[2])
    assert "one person may be in several parts" in made.sentence


def test_divisions_are_the_same_every_time_and_have_a_digest(tmp_path):
    faces = with_people()
    assert parts(faces, seed=3).digest == parts(faces, seed=3).digest != parts(faces, seed=4).digest
    first = splits.write_folds(faces, "person-folds", tmp_path / "folds.csv", seed=3)
    written = pd.read_csv(tmp_path / "folds.csv")
    assert first == splits.write_folds(faces, "person-folds", tmp_path / "again.csv", seed=3)
    assert written.columns.tolist() == ["row", "image", "subject", "fold"]
    assert rows(parts(faces, "person-folds", 4, seed=3).test) == set(written[written["fold"] == 4]["row"])


def test_images_without_the_target_are_left_out():
    table = {
        "emotion": [*EMOTIONS, None, *EMOTIONS, None],
        "subject": [f"S{i}" for i in range(10)],
        "AU01": np.array([0, 1, 0, 1, 1, 0, 1, 0, 1, np.nan], np.float32),
    }
    faces = store("synthetic-ckplus", table, side=2)
    kept = {target: parts(faces, "person-folds", target=target) for target in ("emotion", "au", "all")}
    sizes = {target: len(p.train) + len(p.val) + len(p.test) for target, p in kept.items()}
    assert sizes == {"emotion": 8, "au": 9, "all": 10}


def test_a_test_set_handed_to_selection_is_refused_by_role_and_by_split():
    faces = with_splits()
    made = parts(faces)
    splits.refuse_test_in_selection(made.train, made.val)
    with pytest.raises(LeakError, match="20 test images of synthetic-fer2013"):
        splits.refuse_test_in_selection(made.train, made.test)
    with pytest.raises(LeakError, match="20 test images"):
        splits.refuse_test_in_selection(datasets.load("synthetic-fer2013", split="test"))
    public = parts(faces, "public-as-test")
    splits.refuse_test_in_selection(public.train, public.val)
    with pytest.raises(LeakError):
        splits.refuse_test_in_selection(public.test)


def test_shared_people_and_shared_images_are_refused_by_name():
    faces = with_people(4, 4)
    first, second = faces.select(np.arange(6)), faces.select(np.arange(6, 16))
    with pytest.raises(LeakError, match=r"share 1 people of synthetic-ckplus: S001"):
        splits.refuse_leaks(first, faces.select(np.array([], int)), second)
    with pytest.raises(LeakError, match=r"train and test share 2 images.*\[4, 5\]"):
        splits.refuse_leaks(first, faces.select(np.array([], int)), faces.select(np.arange(4, 8)))
    with pytest.raises(LeakError, match="people"):
        parts(with_people(), "image-folds")


@pytest.mark.parametrize(
    ("protocol", "fold", "error", "words"),
    [
        ("person-fold", None, UsageError, "Did you mean 'person-folds'"),
        ("person-folds", 10, UsageError, "folds 0 to 9"),
        ("official", 0, UsageError, "no folds"),
        ("official", None, DataError, "no train"),
    ],
)
def test_what_a_corpus_cannot_do_is_said(protocol, fold, error, words):
    faces = with_people()
    with pytest.raises(error, match=words):
        parts(faces, protocol, fold)


def test_people_are_needed_where_the_protocol_is_about_people():
    with pytest.raises(DataError, match="does not know its people"):
        parts(with_splits(), "person-folds", 0)
    with pytest.raises(DataError, match="needs at least 3"):
        parts(with_people(2), "person-folds", 0)
    with pytest.raises(DataError, match=r"too small for 'image-folds': no image left for"):
        parts(store("synthetic-x", {"emotion": ["fear", "anger"]}), "image-folds", 0)
