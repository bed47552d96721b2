"""How drawn corpora compare with life, on tables and pictures small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from ferlib import likeness, metrics
from ferlib.config import DataError

SMILES = pd.DataFrame(
    {
        "emotion": ["happiness", "happiness", "sadness", "sadness"],
        "subject": ["S1", "S2", "S1", "S2"],
        "AU12": [1.0, 1.0, 0.0, 0.0],
        "AU15": [0.0, 0.0, 1.0, 0.0],
    }
)


def rng():
    return np.random.default_rng(0)


def test_a_rate_is_the_share_of_an_emotions_sequences_that_show_the_au():
    rates = likeness.au_rates(SMILES, ["AU12", "AU15"])
    assert rates.index.tolist() == ["happiness", "sadness"]
    assert rates.to_numpy().tolist() == [[1.0, 0.0], [0.0, 0.5]]


def test_equal_tables_agree_and_dealt_out_emotions_do_not():
    real = likeness.real_ckplus()
    assert len(real) == 327
    drawn = real.assign(subject=[f"S{i % 60}" for i in range(len(real))])
    agreed = likeness.agreement(drawn, real, rng())
    assert agreed.r.value == pytest.approx(1)
    assert agreed.distance.value == pytest.approx(0)
    assert agreed.null_r.high < agreed.r.low
    assert agreed.null_distance.low > agreed.distance.high
    assert agreed.r.n == 60


def test_the_difference_of_two_tables_is_the_mean_over_their_cells():
    other = SMILES.assign(AU15=[0.0, 0.0, 1.0, 1.0])
    assert likeness.agreement(SMILES, other, rng()).distance.value == pytest.approx(0.5 / 4)


def test_columns_that_go_together_correlate_more_than_when_dealt_out_anew():
    free = rng().integers(0, 2, (400, 4)).astype(float)
    found, chance = likeness.largest_correlation(free, rng())
    assert found == pytest.approx(np.abs(np.corrcoef(free.T)[np.triu_indices(4, 1)]).max())
    assert found < chance < 0.25
    assert likeness.largest_correlation(free[:, [0, 1, 0]], rng())[0] == pytest.approx(1)


def test_peaks_are_last_frames_with_an_emotion():
    table = pd.DataFrame(
        {
            "sequence": ["a", "a", "b", "b"],
            "frame": [2, 1, 1, 2],
            "subject": "S1",
            "emotion": ["fear", "neutral", "neutral", None],
            "AU01": [6.0, 0.0, 0.0, 3.0],
        }
    )
    assert likeness.peaks(table).to_dict("records") == [{"emotion": "fear", "subject": "S1", "AU01": 1.0}]
    with pytest.raises(DataError, match="no AU codes"):
        likeness.peaks(table.drop(columns="AU01"))


def test_classes_are_counted_once_a_sequence_at_its_apex_in_the_corpuss_own_words():
    table = pd.DataFrame(
        {
            "sequence": ["a", "a", "a", "b"],
            "frame": [1, 2, 3, 1],
            "apex": pd.array([2, 2, 2, None], "Int32"),
            "label": ["others", "others", "others", "disgust"],
            "emotion": [None, None, None, "disgust"],
        }
    )
    assert likeness.tellers(table).index.tolist() == [1, 3]
    counts = likeness.class_counts(table, {"others": 3, "disgust": 1})
    assert counts["here"].to_dict() == {"others": 1, "disgust": 1}
    assert counts["official_share"].tolist() == [0.75, 0.25]


def test_clips_of_two_people_that_share_a_name_are_two_clips():
    table = pd.DataFrame(
        {"subject": ["s1", "s1", "s2"], "sequence": ["EP02_01", "EP02_01", "EP02_01"], "frame": [1, 2, 1],
         "emotion": ["disgust", "disgust", "surprise"]}
    )  # fmt: skip
    assert likeness.tellers(table).index.tolist() == [1, 2]


def test_official_counts_add_up_to_what_was_published():
    names = ("fer2013", "synthetic-ckplus", "casme2", "samm", "smic", "probe")
    sums = [sum(likeness.official_counts(name).values()) for name in names]
    assert sums == [35_887, 327, 255, 159, 164, 0]


def test_examples_show_one_face_a_class_in_the_books_order():
    images = np.arange(4)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    table = pd.DataFrame({"emotion": ["sadness", "anger", "sadness", "neutral"]})
    shown = likeness.examples(images, table)
    assert [caption for _, caption in shown] == ["neutral", "anger", "sadness"]
    assert [int(image[0, 0]) for image, _ in shown[:2]] == [3, 1]


def test_where_there_are_no_classes_faces_are_named_by_their_aus():
    table = pd.DataFrame({"AU01": [2.0, 0.0], "AU12": [5.0, 0.0]})
    shown = likeness.examples(np.zeros((2, 8, 8), np.uint8), table)
    assert {caption for _, caption in shown} == {"AU 1 + 12", "none"}


def test_a_thing_that_moves_half_the_variance_has_a_share_of_a_half():
    noise = np.random.default_rng(1)
    n = 4000
    who, light = noise.normal(size=(2, n, 2, 1, 1))  # [picture, exchanged]
    pictures = {
        "base": who[:, 0] + light[:, 0],
        "person": who[:, 1] + light[:, 0],
        "nothing": who[:, 0] + light[:, 0],
        "everything": who[:, 1] + light[:, 1],
    }
    shares = likeness.pixel_shares(pictures, rng())
    assert set(shares) == {"person", "nothing"}
    assert shares["nothing"].value == 0
    assert shares["person"].low < 0.5 < shares["person"].high
    assert shares["person"].value == pytest.approx(0.5, abs=0.03)


def test_exchanging_changes_what_it_says_and_nothing_else():
    pictures = likeness.exchanged_pictures(3, size=32, seed=0)
    assert {p.shape for p in pictures.values()} == {(3, 32, 32)}
    assert np.array_equal(pictures["base"], pictures["nothing"])
    for thing in (*likeness.FACTORS, "everything"):
        assert all(np.abs(pictures[thing] - pictures["base"]).max(axis=(1, 2)) > 0), thing
    moved = np.abs(pictures["expression"] - pictures["base"])
    assert moved[:, :4, [0, 1, -2, -1]].mean() < moved[:, 10:26, 10:22].mean()  # the face, not the corners


def test_macro_recall_is_the_mean_of_the_recalls():
    p = pd.DataFrame({"row": range(4), "truth": ["a", "a", "a", "b"], "a": [1, 1, 0, 0], "b": [0, 0, 1, 1.0]})
    assert metrics.macro_recall(p, rng()).value == pytest.approx((2 / 3 + 1) / 2)


def test_the_distance_from_life_is_told_or_said_to_be_unmeasured():
    assert "not measured" in likeness.distance_sentence(pd.DataFrame())
    names = (
        "accuracy",
        "macro_recall",
        "uncalibrated_accuracy",
        "uncalibrated_macro_recall",
        "baseline_accuracy",
    )
    numbers = {
        "key": [f"real_{name}" for name in names],
        "value": [0.4, 0.35, 0.37, 0.31, 0.25],
        "low": 0.1,
        "high": 0.5,
        "split": "fer2013, PublicTest",
    }
    record = pd.DataFrame({**numbers, "device": "cpu", "commit": "abc", "date": "2030-01-01", "stale": True})
    said = likeness.distance_sentence(record)
    assert "40.0 % (10.0 % to 50.0 %)" in said
    assert "fer2013, PublicTest" in said
    assert "changed since" in said
