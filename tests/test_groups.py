"""Accuracy by group of people: a network that fails one group is found, one that fails at random is not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ferlib import groups
from ferlib.config import DataError
from ferlib.datasets import FaceSet

PEOPLE, EACH = 120, 5


def world(miss, seed=0):
    """Predictions of 120 people with 5 faces each, of which ``miss(person)`` (a probability) are named wrongly."""
    rng = np.random.default_rng(seed)
    tone, old = rng.integers(1, 4, PEOPLE), rng.integers(0, 2, PEOPLE)
    person = np.repeat(np.arange(PEOPLE), EACH)
    rows = np.arange(len(person))
    who = pd.DataFrame(
        {"person": person, "skin tone": tone[person], "age": np.where(old, "60 and over", "18 to 29")[person],
         "glasses": "none", "sex": np.where(person % 2, "male", "female")}, index=rows,
    )  # fmt: skip
    wrong = rng.random(len(person)) < np.array([miss(tone[p]) for p in person])
    told = pd.DataFrame({"row": rows, "truth": "anger", "anger": np.where(wrong, 0.1, 0.9)})
    return told.assign(fear=1 - told["anger"]), who


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_accuracy_is_told_for_each_group_with_its_people(rng):
    predictions, who = world(lambda tone: 0.4 if tone == 3 else 0.1)
    table = groups.accuracy(predictions, who, rng).set_index(["kind", "group"])
    right = predictions["anger"] > predictions["fear"]
    for kind, group in [("skin tone", 3), ("age", "60 and over"), ("sex", "male")]:
        rows = who[kind] == group
        row = table.loc[(kind, group)]
        assert row["value"] == pytest.approx(right[rows.to_numpy()].mean())
        assert (row["n"], row["faces"]) == (who[rows]["person"].nunique(), rows.sum())
        assert row["low"] < row["value"] < row["high"]


def test_a_network_that_fails_one_group_is_told_from_chance(rng):
    predictions, who = world(lambda tone: 0.4 if tone == 3 else 0.1)
    found = groups.spread(predictions, who, "skin tone", rng)
    right = (predictions["anger"] > 0.5).groupby(who["skin tone"]).agg(["mean", "size"])
    expected = np.sqrt(
        np.average((right["mean"] - (predictions["anger"] > 0.5).mean()) ** 2, weights=right["size"])
    )
    assert found["spread"].value == pytest.approx(expected)
    assert found["p"].value < 0.01
    assert found["spread"].value > found["chance"].high
    assert groups.spread(predictions, who, "sex", rng)["p"].value > 0.05


def test_a_network_that_fails_all_alike_is_called_unfair_no_more_often_than_chance_would(rng):
    p = [groups.spread(*world(lambda tone: 0.3, seed), "skin tone", rng)["p"].value for seed in range(60)]
    assert np.mean(np.array(p) < 0.1) < 0.25
    assert 0.3 < np.mean(p) < 0.7


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A drawn FER2013 of four faces whose truth lies in the home, and the file of that truth."""
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    table = pd.DataFrame({"row": [0, 2, 3], "image": ["fer0000000.png", "fer0000002.png", "fer0000003.png"],
                          "emotion": ["anger", "fear", "neutral"]})  # fmt: skip
    truth = pd.DataFrame({"row": range(4), "person": [7, 7, 8, 9], "emotion": [0, 3, 2, 6], "sex": "male",
                          "age": [18, 18, 59, 60], "monk_tone": 5, "glasses": [False, False, True, False]})  # fmt: skip
    file = tmp_path / "drawn" / "fer2013" / "truth.parquet"
    file.parent.mkdir(parents=True)
    truth.to_parquet(file)
    images = np.zeros((3, 8, 8), np.uint8)
    return FaceSet(images, table, "synthetic-fer2013", "0", True, {}, ("anger", "fear", "neutral")), file


def test_the_rig_tells_who_is_in_a_face(drawn):
    faces, file = drawn
    who = groups.of(faces)
    assert who.index.tolist() == [0, 2, 3]
    assert who["person"].tolist() == [7, 8, 9]
    assert who["age"].tolist() == ["18 to 29", "45 to 59", "60 and over"]
    assert who["glasses"].tolist() == ["none", "worn", "none"]
    assert groups.of(replace(faces, synthetic=False)) is None
    file.unlink()
    assert groups.of(faces) is None


def test_a_truth_about_other_faces_is_refused(drawn):
    faces, _ = drawn
    faces.table.loc[0, "emotion"] = "fear"
    with pytest.raises(DataError, match="ferlib corpus make fer2013"):
        groups.of(faces)


def test_the_first_frame_of_a_take_may_be_neutral(drawn):
    faces, _ = drawn
    faces.table.loc[0, "emotion"] = "neutral"
    faces.table["sequence"] = "S1_1"
    assert groups.of(faces)["person"].tolist() == [7, 8, 9]
