"""Planted units: the null within emotion finds AUs and stays quiet; the simpler statistics cry wolf."""

import numpy as np
import pytest

from ferlib import au_stats
from ferlib.au_stats import KINDS, PAPER, TESTS, Codes, Plant
from ferlib.au_stats.recovery import activations, planted, signal

PLANT = Plant(snrs=(0.5, 4.0), n_units=60, n_permutations=400)


def corpus(n_people=50, n_aus=4, frames=3, seed=0):
    """Every person shows three emotions; AUs lean towards an emotion, none is tied to it."""
    rng = np.random.default_rng(seed)
    emotion = np.tile([0, 1, 2], n_people)
    rate = np.where(emotion[:, None] == np.arange(n_aus) % 3, 0.75, 0.2)
    level = (rng.random(rate.shape) < rate) * rng.integers(1, 6, rate.shape)
    rows = np.repeat(np.arange(len(emotion)), frames)
    names = tuple(f"AU{u + 1:02d}" for u in range(n_aus))
    present = (level > 0)[rows].astype(float)
    return Codes(names, present, level[rows].astype(float), emotion[rows], rows, rows // 3)


@pytest.fixture(scope="module")
def table():
    return au_stats.recovery(corpus(), PLANT, np.random.default_rng(1))


def share(table, statistic, kind, snr):
    row = table[(table["statistic"] == statistic) & (table["kind"] == kind) & (table["snr"] == snr)]
    return row["share"].item()


def test_the_table_has_one_row_a_statistic_kind_and_snr(table):
    assert table.columns.tolist() == ["statistic", "kind", "snr", "n", "share", "low", "high"]
    assert len(table) == (1 + len(TESTS)) * len(KINDS) * 2
    assert (table["n"] == 60).all()
    assert table["share"].between(table["low"] - 1e-9, table["high"] + 1e-9).all()


def test_a_planted_au_is_found_by_every_statistic_when_it_is_loud(table):
    for statistic in (PAPER, *TESTS):
        assert share(table, statistic, "one AU", 4.0) > 0.9
        assert share(table, statistic, "one AU", 4.0) >= share(table, statistic, "one AU", 0.5) - 0.02


def test_only_the_null_within_emotion_stays_quiet_at_a_filter_of_the_emotion(table):
    for statistic in ("AUC, images permuted", "AUC, sequences permuted"):
        assert share(table, statistic, "emotion only", 4.0) > 0.9
    assert share(table, PAPER, "emotion only", 4.0) > 2 * share(table, PAPER, "nothing", 4.0)
    for statistic in (s for s in TESTS if "within emotion" in s):
        wolf = table[(table["statistic"] == statistic) & (table["kind"] != "one AU")]["share"]
        assert wolf.mean() < 0.08  # 480 units at a level of 0.05
        assert wolf.max() < 0.2


def test_permuting_images_cries_wolf_at_nothing_at_all(table):
    assert share(table, "AUC, images permuted", "nothing", 0.5) > 0.15
    assert share(table, "AUC, sequences permuted", "nothing", 0.5) < 0.15


def test_signals_follow_what_they_are_named_after():
    codes, rng = corpus(), np.random.default_rng(0)
    targets = np.array([0, 1])
    for kind in KINDS:
        values = signal(codes, kind, targets, rng)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.std(axis=0), 0 if kind == "nothing" else 1)
    assert np.corrcoef(signal(codes, "one AU", targets, rng)[:, 1], codes.present[:, 1])[0, 1] > 0.999
    np.testing.assert_array_equal(signal(codes, "emotion only", targets, rng)[:, 1] > 0, codes.emotion == 1)
    one = signal(codes, "one person only", targets, rng)[:, 0]
    assert len(np.unique(codes.subject[one > 0])) == 1
    with pytest.raises(ValueError, match="No kind of unit 'smile'"):
        signal(codes, "smile", targets, rng)


def test_noise_has_unit_spread_and_frames_of_a_sequence_share_most_of_it():
    codes, rng = corpus(400), np.random.default_rng(0)
    acts = activations(np.zeros((len(codes.emotion), 5)), 1.0, codes, Plant(together=0.8), rng)
    assert acts.std() == pytest.approx(1, abs=0.05)
    frames = acts.reshape(-1, 3, 5)
    assert np.corrcoef(frames[:, 0].ravel(), frames[:, 1].ravel())[0, 1] == pytest.approx(0.8, abs=0.05)


def test_the_same_generator_plants_the_same_units():
    codes = corpus(20)
    first, second = (planted(codes, Plant(n_units=3), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1].equals(second[1])
    assert first[0].shape == (180, 5 * 5 * 3)


def test_power_grows_with_people():
    plant = Plant(snrs=(0.5,), n_units=24, n_permutations=300)
    table = au_stats.power_curve(corpus(), (10, 25, 50), plant, np.random.default_rng(2), n_draws=4)
    within = table[table["statistic"] == "AUC, within emotion"].set_index("n_people")["share"]
    assert within[10] < within[25] < within[50]
    assert (table["n"] == 96).all()


def test_too_few_people_are_refused():
    codes = corpus(8)
    with pytest.raises(ValueError, match="No AU has 10 people"):
        au_stats.recovery(codes, PLANT, np.random.default_rng(0))
    with pytest.raises(ValueError, match="9 people asked for, 8"):
        au_stats.power_curve(codes, (9,), PLANT, np.random.default_rng(0))
