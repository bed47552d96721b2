"""Codes, association statistics, the paper's statistic and intervals, on worlds with known answers."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from ferlib import au_stats
from ferlib.au_stats import FREE, WITHIN_EMOTION, Codes, Null, nulls
from ferlib.au_stats.intervals import resampled
from ferlib.config import DataError

STATISTICS = {
    "auc": roc_auc_score,
    "point_biserial": lambda y, x: stats.pointbiserialr(y, x).statistic,
    "spearman": lambda y, x: stats.spearmanr(x, y).statistic,
}


def codes_of(present, level=None, emotion=None, sequence=None, subject=None):
    present = np.atleast_2d(np.asarray(present, float).T).T
    n, n_aus = present.shape
    return Codes(
        tuple(f"AU{u + 1:02d}" for u in range(n_aus)),
        present,
        present if level is None else np.atleast_2d(np.asarray(level, float).T).T,
        np.zeros(n, int) if emotion is None else np.asarray(emotion),
        np.arange(n) if sequence is None else np.asarray(sequence),
        np.arange(n) if subject is None else np.asarray(subject),
    )


def random_world(seed=0, n=60, n_aus=4, n_filters=5):
    """Ties in the activations, uncoded images, levels that are unknown for some present AUs."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 6, (n, n_aus)) * (rng.random((n, n_aus)) < 0.6)
    present = (level > 0).astype(float)
    level = np.where((level == 3) & (rng.random(level.shape) < 0.5), np.nan, level)
    uncoded = rng.random(n) < 0.2
    present[uncoded, 1], level[uncoded, 1] = np.nan, np.nan
    acts = np.round(rng.gamma(2, size=(n, n_filters)), 1)
    return acts, codes_of(present, level, rng.integers(0, 3, n))


# ---------------------------------------------------------------------------------------------------- codes


def test_codes_are_read_from_a_corpus_table():
    table = pd.DataFrame({
        "emotion": ["happiness", "anger"], "sequence": ["a", "b"], "subject": ["S1", "S2"],
        "AU12": [6.0, 0.0], "AU04": [np.nan, 3.0],
    })  # fmt: skip
    codes = Codes.of(table)
    assert codes.names == ("AU04", "AU12")
    np.testing.assert_array_equal(codes.present, [[np.nan, 1], [1, 0]])
    np.testing.assert_array_equal(codes.level, [[np.nan, np.nan], [3, 0]])


def test_codes_of_wrong_shape_or_value_are_refused():
    with pytest.raises(DataError, match="other than 0, 1 and NaN"):
        codes_of([0, 1, 2])
    with pytest.raises(DataError, match="sequence has 2 entries for 3 images"):
        codes_of([0, 1, 1], sequence=[0, 1])
    with pytest.raises(DataError, match="level is"):
        codes_of([0, 1, 1], level=[0, 1])


def test_a_code_that_changes_inside_a_sequence_is_refused_by_name():
    codes = codes_of([0, 1, 1], sequence=["S1_1", "S1_1", "S2_1"], subject=[1, 1, 2])
    with pytest.raises(DataError, match=r"AU01 .* 'S1_1'"):
        au_stats.exchange_units(codes, FREE)


def test_the_neutral_onset_of_a_sequence_is_a_unit_of_its_own():
    codes = codes_of(
        [0, 1, 1, 0], emotion=["neutral", "fear", "fear", "neutral"], sequence=[7, 7, 7, 8], subject=[1] * 4
    )
    units = au_stats.exchange_units(codes, WITHIN_EMOTION)
    assert len(units) == 3
    assert units.of_image[1] == units.of_image[2] != units.of_image[0]
    assert sorted(len(m) for m in units.members) == [1, 2]
    assert len(au_stats.exchange_units(codes, Null(unit="image"))) == 4


def test_unknown_groups_and_units_are_refused():
    with pytest.raises(ValueError, match="within"):
        Null(within=("age",))
    with pytest.raises(ValueError, match="unit"):
        Null(unit="frame")


def test_minority_people_are_counted_within_emotion():
    # fear: sequences a b c show AU1, d does not, so that is person 3; anger: only e shows it, person 1
    present = [1, 1, 1, 1, 0, 1, 0, 0]
    codes = codes_of(
        present, emotion=list("ffffFaaa".lower()), sequence=list("aabcdefg"), subject=[0, 0, 1, 2, 3, 1, 4, 0]
    )
    assert au_stats.minority_people(codes, WITHIN_EMOTION).tolist() == [2]
    # freely: 4 sequences with, 3 without (d f g) -> people 3, 4, 0
    assert au_stats.minority_people(codes, FREE).tolist() == [3]


def test_in_ckplus_few_sequences_tell_an_au_from_its_emotion():
    codes = Codes.photographed()
    assert codes.present.shape == (327, len(codes.names))
    evidence = dict(zip(codes.names, au_stats.minority_people(codes, WITHIN_EMOTION), strict=True))
    assert {au: evidence[au] for au in ("AU09", "AU01", "AU25", "AU12")} == {
        "AU09": 4, "AU01": 8, "AU25": 14, "AU12": 15,
    }  # fmt: skip


def test_an_au_that_is_never_present_has_no_minority():
    assert au_stats.minority_people(codes_of(np.zeros(6)), FREE).tolist() == [0]


# ----------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("seed", range(5))
def test_statistics_agree_with_scipy_and_sklearn(statistic, seed):
    acts, codes = random_world(seed)
    found = au_stats.effect(acts, codes, statistic)
    labels = codes.level if statistic == "spearman" else codes.present
    for (f, u), value in np.ndenumerate(found):
        known = ~np.isnan(labels[:, u])
        assert value == pytest.approx(STATISTICS[statistic](labels[known, u], acts[known, f]), abs=1e-10)


def test_auc_within_emotion_counts_only_pairs_of_one_emotion():
    acts, codes = random_world(3)
    found = au_stats.effect(acts, codes, "auc", WITHIN_EMOTION)
    for (f, u), value in np.ndenumerate(found):
        wins = pairs = 0.0
        for i, k in combinations(range(len(acts)), 2):
            a, b = codes.present[i, u], codes.present[k, u]
            if codes.emotion[i] == codes.emotion[k] and {a, b} == {0.0, 1.0}:
                sign = np.sign(acts[i, f] - acts[k, f]) * (a - b)
                wins, pairs = wins + (sign + 1) / 2, pairs + 1
        assert value == pytest.approx(wins / pairs)


def test_point_biserial_within_emotion_is_the_partial_correlation():
    acts, codes = random_world(4)
    present = codes.present[:, 0]
    groups = pd.Series(codes.emotion)
    x = acts[:, 0] - pd.Series(acts[:, 0]).groupby(groups).transform("mean")
    y = present - pd.Series(present).groupby(groups).transform("mean")
    found = au_stats.effect(acts, codes, "point_biserial", WITHIN_EMOTION)[0, 0]
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_benjamini_hochberg_agrees_with_statsmodels_and_skips_nan():
    p = np.random.default_rng(0).random((7, 9)) ** 2
    expected = multipletests(p.ravel(), method="fdr_bh")[1].reshape(p.shape)
    np.testing.assert_allclose(au_stats.benjamini_hochberg(p), expected)
    wide = np.concatenate([p, np.full((1, 9), np.nan)])
    np.testing.assert_allclose(au_stats.benjamini_hochberg(wide)[:7], expected)
    assert np.isnan(au_stats.benjamini_hochberg(wide)[7]).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_constant_filter_or_au_has_no_statistic(statistic):
    acts = np.array([[0.1, 1], [0.1, 2], [0.1, 3], [0.1, 4]])
    codes = codes_of([[1, 0, np.nan], [1, 0, np.nan], [1, 1, np.nan], [1, 1, np.nan]])
    found = au_stats.effect(acts, codes, statistic)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[1, [0, 2]]).all()
    assert found[1, 1] > 0


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ValueError, match="No statistic 'f1'"):
        au_stats.effect(np.ones((2, 1)), codes_of([0, 1]), "f1")


# -------------------------------------------------------------------------------------- the paper's statistic


def test_a_filter_that_loves_smiles_is_matched_to_au12_by_the_papers_rule():
    present = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [0, 0], [0, 1]])
    codes = codes_of(present)  # AU01 plays the smile
    acts = np.array([[9, 1, 0], [8, 5, 0], [7, 2, 0], [1, 4, 0], [2, 3, 0], [3, 6, 0]], float)
    found = au_stats.paper_match(acts, codes, n_top=3)
    assert found.top.tolist() == [[0, 1, 2], [5, 1, 3], [0, 1, 2]]
    np.testing.assert_allclose(found.rate, [[1, 1 / 3], [1 / 3, 1], [1, 1 / 3]])
    assert found.match.tolist() == [[True, False], [False, True], [False, False]]
    assert found.active.tolist() == [True, True, False]  # the silent filter matches nothing
    assert (found.n_active, found.n_matched, found.n_rejected) == (2, 2, 0)


def test_an_uncoded_top_image_is_left_out_of_the_rate_and_prevents_a_match():
    present = np.array([[np.nan, 0], [1, 0], [0, 1]])
    found = au_stats.paper_match(np.array([[3.0], [2.0], [1.0]]), codes_of(present), n_top=2)
    assert found.rate.tolist() == [[1.0, 0.0]]
    assert found.n_matched == 0


def test_images_on_which_a_filter_is_silent_are_no_evidence():
    codes = codes_of([1, 1, 0, 0])
    acts = np.array([[5.0, 5], [0, 1], [0, 0], [0, 0]])
    assert au_stats.paper_match(acts, codes, n_top=2).match[:, 0].tolist() == [False, True]


def test_images_without_any_code_are_not_ranked():
    present = np.array([[np.nan], [1], [1]])
    found = au_stats.paper_match(np.array([[3.0], [2.0], [1.0]]), codes_of(present), n_top=2)
    assert found.top.tolist() == [[1, 2]]
    assert found.n_matched == 1


def test_n_top_beyond_the_images_is_refused():
    with pytest.raises(ValueError, match="n_top=4 of 3"):
        au_stats.top_images(np.ones((3, 1)), 4)


def test_lips_part_in_the_top_five_by_chance_in_2_6_per_cent_of_filters():
    present = np.zeros(593)
    present[:287] = 1  # AU25 in CK+
    chance = au_stats.draw_chance(codes_of(present), 5)
    assert chance[0] == pytest.approx(math.comb(287, 5) / math.comb(593, 5))
    assert chance[0] == pytest.approx(0.026, abs=5e-4)


def test_frames_of_one_sequence_raise_the_chance_of_the_papers_rule():
    rng = np.random.default_rng(0)
    sequence = np.repeat(np.arange(60), 3)
    codes = codes_of((np.arange(60) % 2)[sequence], sequence=sequence, subject=sequence)
    acts = rng.standard_normal((60, 400))[sequence] + 0.01 * rng.standard_normal((180, 400)) + 5
    found = au_stats.paper_match(acts, codes, n_top=3)  # always the three frames of one sequence
    frames = au_stats.paper_chance(found, codes, FREE, 200, rng)
    images = au_stats.paper_chance(found, codes, Null(unit="image"), 200, rng)
    assert frames.expected / 400 == pytest.approx(0.5, abs=0.02)
    assert images.expected / 400 == pytest.approx(au_stats.draw_chance(codes, 3)[0], abs=0.02)
    assert images.p < 0.01 < frames.p  # the wrong unit calls noise a discovery


def test_the_chance_of_the_papers_count_equals_a_plain_loop():
    acts, codes = random_world(1, n=12)
    found = au_stats.paper_match(acts, codes, n_top=2)
    chance = au_stats.paper_chance(found, codes, WITHIN_EMOTION, 130, np.random.default_rng(5))
    units = au_stats.exchange_units(codes, WITHIN_EMOTION)
    batches = nulls.permutations(units, 130, np.random.default_rng(5))
    order = np.concatenate(list(batches))
    label = codes.present[units.first]
    expected = [
        sum(any((label[row[units.of_image[top]]] == 1).all(axis=0)) for top in found.top) for row in order
    ]
    assert chance.null.tolist() == expected
    assert chance.observed == found.n_matched
    assert chance.p == (1 + sum(e >= found.n_matched for e in expected)) / 131


# ------------------------------------------------------------------------------------------------ intervals


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("null", [FREE, WITHIN_EMOTION])
def test_a_person_drawn_twice_weighs_like_rows_written_twice(statistic, null):
    acts, codes = random_world(6)
    codes = codes_of(codes.present, codes.level, codes.emotion, subject=np.arange(60) // 4)
    people = au_stats.draw_people(codes.subject, 3, np.random.default_rng(0))
    found = resampled(acts, codes, statistic, null, people)
    for drawn, table in zip(people, found, strict=True):
        rows = np.repeat(np.arange(60), drawn[codes.subject])
        copy = codes.take(rows)
        copy = codes_of(copy.present, copy.level, copy.emotion)  # every row a sequence of its own
        np.testing.assert_allclose(table, au_stats.effect(acts[rows], copy, statistic, null), atol=1e-10)


def test_intervals_over_people_cover_the_true_auc():
    rng = np.random.default_rng(1)
    n_people, images, worlds, shift = 50, 4, 200, 0.8
    subject = np.repeat(np.arange(n_people), images)
    present = np.tile([1, 1, 0, 0], n_people)
    habit = 0.8 * rng.standard_normal((n_people, worlds))[subject]
    acts = shift * present[:, None] + habit + rng.standard_normal((len(subject), worlds))
    codes = codes_of(present, subject=subject)
    people = au_stats.draw_people(subject, 300, rng)
    low, high = au_stats.intervals(acts, codes, "auc", FREE, people)
    truth = stats.norm.cdf(shift / math.sqrt(2 * (1 + 0.8**2)))  # two random people
    covered = ((low[:, 0] <= truth) & (truth <= high[:, 0])).mean()
    assert 0.90 <= covered <= 0.99


def test_estimates_carry_their_people_and_one_person_has_no_interval():
    acts, codes = random_world(2)
    people = au_stats.draw_people(codes.subject, 50, np.random.default_rng(0))
    best = np.array([0, 3, 3, 1])
    for u, estimate in enumerate(au_stats.estimates(acts, codes, best, "auc", FREE, people)):
        assert estimate.value == pytest.approx(au_stats.effect(acts, codes)[best[u], u])
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.unit) == (60, "people")
    alone = codes_of(codes.present, subject=np.zeros(60))
    low, high = au_stats.intervals(acts, alone, "auc", FREE, np.array([[1]]))
    assert np.isnan([low, high]).all()
