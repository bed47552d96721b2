"""Every measure agrees with scikit-learn or with a hand, and its interval with theory."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from ferlib import metrics
from ferlib.config import DataError
from ferlib.metrics import Estimate

NAMES = ["anger", "happiness", "surprise"]


def predictions(n=400, skill=1.0, seed=0, subjects=None):
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 3)) + skill * np.eye(3)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame(p, columns=NAMES)
    table.insert(0, "truth", [NAMES[t] for t in truth])
    table.insert(0, "split", "test")
    table.insert(0, "subject", pd.array([None] * n if subjects is None else subjects, "string"))
    table.insert(0, "row", np.arange(n))
    return table


def guesses(table):
    return [NAMES[i] for i in table[NAMES].to_numpy().argmax(axis=1)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_accuracy_f1_recall_and_confusion_agree_with_scikit_learn(rng):
    table = predictions()
    truth, guess = table["truth"], guesses(table)
    assert metrics.accuracy(table, rng).value == pytest.approx(sk.accuracy_score(truth, guess))
    assert metrics.macro_f1(table, rng).value == pytest.approx(sk.f1_score(truth, guess, average="macro"))
    recall = dict(zip(NAMES, sk.recall_score(truth, guess, average=None, labels=NAMES), strict=True))
    assert {k: e.value for k, e in metrics.per_class_recall(table, rng).items()} == pytest.approx(recall)
    assert (
        metrics.confusion_counts(table).to_numpy() == sk.confusion_matrix(truth, guess, labels=NAMES)
    ).all()


def test_confusion_shares_are_the_normalised_confusion_matrix(rng):
    table = predictions()
    shares = metrics.confusion(table, rng).pivot(index="truth", columns="predicted", values="value")
    expected = sk.confusion_matrix(table["truth"], guesses(table), labels=NAMES, normalize="true")
    np.testing.assert_allclose(shares.loc[NAMES, NAMES], expected)


@pytest.mark.parametrize(("right", "share"), [(0, 0.0), (8, 1.0)])
def test_a_recall_of_none_or_all_has_the_interval_of_wilson_over_people(rng, right, share):
    table = pd.DataFrame({"truth": "anger", "anger": [1.0] * right + [0.0] * (8 - right)})
    table["happiness"] = 1 - table["anger"]
    for people in (8, 4):
        table["subject"] = [f"S{i % people}" for i in range(8)]
        recall = metrics.per_class_recall(table, rng)["anger"]
        assert recall.value == share
        expected = proportion_confint(share * people, people, method="wilson")
        assert (recall.low, recall.high) == pytest.approx(expected)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (7, 7), (60, 64)])
def test_a_share_has_the_interval_of_wilson(hits, n):
    found = metrics.share(hits, n, "filters")
    assert (found.value, found.n, found.unit) == (hits / n, n, "filters")
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, method="wilson"))


def test_a_share_of_nothing_may_be_anything():
    assert metrics.share(0, 0, "filters") == metrics.Estimate(0, 0, 1, 0, "filters")


def test_a_class_that_does_not_occur_has_no_recall_and_no_part_in_f1(rng):
    table = predictions()
    table = table[table["truth"] != "surprise"]
    assert set(metrics.per_class_recall(table, rng)) == {"anger", "happiness"}
    expected = sk.f1_score(table["truth"], guesses(table), average="macro", labels=["anger", "happiness"])
    assert metrics.macro_f1(table, rng).value == pytest.approx(expected)


def test_calibration_error_of_two_bins_by_hand(rng):
    table = pd.DataFrame(
        {"truth": ["a", "a", "b", "b"], "a": [0.9, 0.8, 0.9, 0.45], "b": [0.1, 0.2, 0.1, 0.55]}
    )  # bin (0.75, 1]: hits 2/3 at confidence 2.6/3; bin (0.5, 0.75]: hit 1 at confidence 0.55
    expected = 3 / 4 * abs(2 / 3 - 2.6 / 3) + 1 / 4 * abs(1 - 0.55)
    assert metrics.ece(table, rng, n_bins=4).value == pytest.approx(expected)


def test_the_interval_of_the_calibration_error_holds_its_value(rng):
    p = rng.random(300)
    truth = np.where(rng.random(300) < p, "a", "b")
    error = metrics.ece(pd.DataFrame({"truth": truth, "a": p, "b": 1 - p}), rng)
    assert 0 <= error.low <= error.value <= error.high <= 1
    assert error.high > error.low


def test_a_calibrated_forecaster_has_a_small_calibration_error(rng):
    p = rng.uniform(0.5, 1, size=20_000)
    truth = np.where(rng.uniform(size=20_000) < p, "a", "b")
    assert metrics.ece(pd.DataFrame({"truth": truth, "a": p, "b": 1 - p}), rng).value < 0.012


def test_the_baseline_names_the_commonest_class_of_the_training_part(rng):
    table = predictions()
    found = metrics.baseline_accuracy(table, {"anger": 5, "happiness": 9, "surprise": 1}, rng)
    assert found.value == (table["truth"] == "happiness").mean()


def test_the_interval_over_images_is_the_binomial_one(rng):
    found = metrics.accuracy(predictions(n=4000), rng)
    expected = 1.96 * np.sqrt(found.value * (1 - found.value) / 4000)
    assert found.unit == "image"
    assert found.n == 4000
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.1)


def test_people_are_the_unit_where_they_are_known(rng):
    people = np.repeat([f"S{i}" for i in range(20)], 50)
    table = predictions(n=1000, subjects=people)
    easy = np.isin(people, [f"S{i}" for i in range(10)])  # half the people are always read, half never
    right = [n if e else NAMES[(NAMES.index(n) + 1) % 3] for n, e in zip(table["truth"], easy, strict=True)]
    table[NAMES] = np.eye(3)[[NAMES.index(n) for n in right]]
    found = metrics.accuracy(table, rng)
    assert (found.n, found.unit) == (20, "subject")
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 / 20), rel=0.15)


def test_the_interval_depends_on_the_generator_alone():
    first, second = (metrics.macro_f1(predictions(), np.random.default_rng(5)) for _ in range(2))
    assert first == second


def test_seeds_are_summarised_as_mean_sd_and_each_run():
    runs = [Estimate(v, 0, 1, 10, "image") for v in (0.70, 0.72, 0.74)]
    found = metrics.summary_over_seeds(runs)
    assert found["mean"] == pytest.approx(0.72)
    assert found["sd"] == pytest.approx(0.02)
    assert found["runs"] == [0.70, 0.72, 0.74]
    assert np.isnan(metrics.summary_over_seeds([0.5])["sd"])


def test_an_estimate_prints_its_interval():
    assert f"{Estimate(0.721, 0.7064, 0.7361, 3589, 'image'):.2f}" == "0.72 [0.71, 0.74]"


def test_nothing_to_measure_is_an_error(rng):
    with pytest.raises(DataError, match="No prediction"):
        metrics.accuracy(predictions().iloc[:0], rng)


def test_a_truth_without_probabilities_is_an_error(rng):
    with pytest.raises(DataError, match="contempt"):
        metrics.accuracy(predictions().assign(truth="contempt"), rng)
