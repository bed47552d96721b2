"""How far corpora lie apart, what matching undoes, and single factors, in worlds where that is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from tiny_faces import tiny_faces

from ferlib import features, splits, training
from ferlib.config import DataError, UsageError
from ferlib.transfer import factors, matching, shift


def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------ distances


def test_the_discrepancy_is_the_mean_of_kernels_as_written():
    x, y = rng().normal(size=(7, 3)), rng().normal(1, 1, size=(5, 3))
    both = np.concatenate([x, y])
    width = np.median([np.linalg.norm(a - b) ** 2 for i, a in enumerate(both) for b in both[:i]])
    k = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean") / (2 * width))  # noqa: E731
    off = lambda m: (m.sum() - np.trace(m)) / (len(m) * (len(m) - 1))  # noqa: E731
    expected = off(k(x, x)) + off(k(y, y)) - 2 * k(x, y).mean()
    assert shift.mmd(x, y, rng()).value == pytest.approx(expected, rel=1e-6)


def test_equal_corpora_are_not_told_apart_and_moved_ones_are():
    x, y = rng().normal(size=(2, 120, 4))
    same, moved = shift.mmd(x, y, rng()), shift.mmd(x, y + 1, rng())
    assert same.p > 0.05
    assert abs(same.value) < 0.02
    assert moved.p == pytest.approx(1 / 201)
    assert moved.ratio > 5


def test_faces_of_one_person_are_dealt_together():
    people = np.repeat(np.arange(8), 20)
    centres = rng().normal(0, 3, size=(16, 4))
    x, y = (centres[people + 8 * side] + rng().normal(size=(160, 4)) * 0.3 for side in (0, 1))
    assert shift.mmd(x, y, rng()).p < 0.01  # as if every face were a person
    assert shift.mmd(x, y, rng(), people, people).p > 0.05  # eight people a side say nothing


def test_one_face_is_no_sample():
    with pytest.raises(DataError, match="Two faces"):
        shift.mmd(np.zeros((1, 2)), np.zeros((3, 2)), rng())


def test_a_corpus_is_told_where_features_differ_and_not_where_only_people_do():
    n, people = 120, np.repeat(np.arange(12), 10)
    same = {name: rng().normal(size=(n, 5)) for name in "ab"}
    moved = {"a": same["a"], "b": same["b"] + 3}
    personal = {name: np.eye(24)[people + 12 * i] for i, name in enumerate("ab")}
    of = {"a": people, "b": people}
    assert shift.told_apart(moved, of, rng())[0].value > 0.95
    for samples in (same, personal):
        estimate, table = shift.told_apart(samples, of, rng())
        assert estimate.low <= 0.5
        assert estimate.n == 24
    assert set(table.columns) == {"subject", "truth", "a", "b"}


def test_a_sample_takes_whole_people():
    groups = np.repeat(np.arange(10), 10)
    rows = shift.sample(100, groups, rng(), most=35)
    assert len(rows) == 30
    assert (np.bincount(groups[rows], minlength=10) % 10 == 0).all()
    assert len(shift.sample(100, None, rng(), most=35)) == 35


# ------------------------------------------------------------------------------------------- matching


def textured(n, seed, low=60, high=120):
    return np.random.default_rng(seed).integers(low, high, size=(n, 24, 24)).astype(np.uint8)


def test_matched_grey_levels_have_the_references_moments_or_its_whole_distribution():
    ours, theirs = textured(5, 0, 0, 60), textured(8, 1, 90, 190)
    for how in ("mean and deviation", "histogram"):
        made = matching.matched(ours, theirs, how)
        assert made.dtype == np.uint8
        np.testing.assert_allclose(made.mean(axis=(1, 2)), theirs.mean(), atol=1.0)
        np.testing.assert_allclose(made.std(axis=(1, 2)), theirs.std(axis=(1, 2)).mean(), atol=1.0)
    levels = [0.05, 0.3, 0.5, 0.9]
    np.testing.assert_allclose(np.quantile(made[0], levels), np.quantile(theirs, levels), atol=2)


def test_brighter_stays_brighter():
    ours = textured(1, 0)
    made = matching.matched(ours, textured(4, 1), "histogram")
    order = np.argsort(ours[0].ravel(), kind="stable")
    assert (np.diff(made[0].ravel()[order].astype(int)) >= 0).all()


def test_a_known_zoom_and_shift_is_found_and_undone():
    y, x = np.mgrid[:48, :48]
    blobs = [(16, 16), (16, 32), (33, 24)]
    face = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 20) for a, b in blobs)
    reference = np.stack([(200 * face / face.max()).astype(np.uint8)] * 3)
    zoom = float(matching.ZOOMS[4])
    ours = matching.moved(reference, 1 / zoom, 3, -2)
    found = matching.crop_between(ours, reference)
    assert found[0] == pytest.approx(zoom, rel=0.06)
    assert found[1:] == pytest.approx((-3 * zoom, 2 * zoom), abs=1.1)
    undone = matching.matched(ours, reference, "crop").astype(float)
    before = np.abs(ours.astype(float) - reference).mean()
    assert np.abs(undone - reference)[:, 6:-6, 6:-6].mean() < 0.3 * before


def test_an_unknown_way_of_matching_is_refused():
    with pytest.raises(UsageError, match="'histogram'"):
        matching.matched(textured(1, 0), textured(1, 1), "histogramm")


# -------------------------------------------------------------------------------------------- factors


@pytest.fixture(scope="module")
def drawn(home):
    return factors.drawn(n_people=1, size=24)


def test_only_the_factor_changes(drawn):
    plain = drawn["plain", "plain"].images.astype(int)
    assert list(drawn["plain", "plain"].table["emotion"]) == list(factors.DRAWN)
    for (factor, level), faces in drawn.items():
        change = np.abs(faces.images - plain).mean(axis=(1, 2))  # (7,) grey levels
        assert (change > 1).all() or factor == "plain", (factor, level)
        pd.testing.assert_frame_equal(faces.table, drawn["plain", "plain"].table)
    turned = [np.abs(drawn["yaw", level].images - plain).mean() for level in ("15°", "30°", "45°")]
    assert turned == sorted(turned)
    dim, light, dark = (
        drawn[k].images.mean() for k in (("light", "dim"), ("skin tone", "Monk 2"), ("skin tone", "Monk 9"))
    )
    assert dim < 0.8 * plain.mean()
    assert dark < light


def test_faces_are_drawn_once(drawn, monkeypatch):
    monkeypatch.setattr(factors, "_draw", lambda item: 1 / 0)
    again = factors.drawn(n_people=1, size=24)
    for name, faces in drawn.items():
        np.testing.assert_array_equal(faces.images, again[name].images)
    with pytest.raises(DataError, match="ZeroDivisionError"):
        factors.drawn(n_people=2, size=24)


def test_a_cost_is_paired_by_person(home, monkeypatch):
    plain = np.array([1, 1, 1, 0, 1, 1], bool)
    turned = np.array([1, 0, 1, 0, 0, 1], bool)
    people = np.array(["a", "a", "b", "b", "c", "c"])
    found = factors.mean_over_people(plain.astype(float) - turned, people, rng())
    per_person = np.array([0.5, 0.0, 0.5])
    draws = [per_person[row].mean() for row in rng().integers(3, size=(1000, 3))]
    assert found.value == pytest.approx(1 / 3)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert found.n == 3


@pytest.fixture(scope="module")
def run(home):
    faces = tiny_faces(n=200, people=20)
    settings = training.TrainConfig(
        corpus="tiny", width=0.05, n_epochs=3, batch_size=16, threads=1, device="cpu", lr=3e-3
    )
    return training.ensure(settings, faces), splits.parts(faces, "auto")


def test_labels_dealt_at_random_teach_nothing_and_few_wrong_ones_little(run):
    table = factors.label_noise(*run, [0.2, 1.0], rng()).set_index("level")
    assert list(table.index) == ["20%", "100%"]
    assert table.loc["20%", "value"] > 0.8
    assert table.loc["100%", "low"] < 0.5 < table.loc["20%", "low"]
    assert table.loc["100%", "cost"] == pytest.approx(
        table.loc["20%", "value"] + table.loc["20%", "cost"] - table.loc["100%", "value"]
    )


def test_a_head_is_scikit_learns_logistic_regression_on_standardised_features(run):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ferlib.transfer.retrained import STRENGTHS, fit_head

    parts = run[1]
    x = {role: np.asarray(features.of(run[0], getattr(parts, role))) for role in ("train", "val", "test")}
    head = fit_head(x["train"], parts.train.labels, x["val"], parts.val.labels, 3)
    scores, models = {}, {}
    for strength in STRENGTHS:
        models[strength] = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        p = models[strength].fit(x["train"], parts.train.labels).predict_proba(x["val"])
        scores[strength] = np.log(p[np.arange(len(p)), parts.val.labels]).mean()
    assert head.strength == max(scores, key=scores.get)
    expected = models[head.strength].predict_proba(x["test"])
    np.testing.assert_allclose(head.probabilities(x["test"]), expected, atol=0.02)


def test_a_class_without_an_example_is_never_named():
    from ferlib.transfer.retrained import fit_head

    x, y = rng().normal(size=(40, 3)), np.arange(40) % 2 * 2  # classes 0 and 2 of 4
    head = fit_head(x + y[:, None], y, x + y[:, None], y, 4)
    p = head.probabilities(x)
    assert (p[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
