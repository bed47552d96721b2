"""Permutation nulls and verdicts: exact on tiny worlds, uniform and level-keeping on many null worlds."""

from itertools import permutations as orders

import numpy as np
import pytest
from scipy import stats

from ferlib import au_stats
from ferlib.au_stats import FREE, WITHIN_EMOTION, WITHIN_SUBJECT, Codes, Null, Plan, nulls
from ferlib.au_stats.verdicts import BEYOND, EMOTION_ONLY, NOT_FOUND, NOT_TESTABLE

IMAGES = Null(unit="image")


def codes_of(present, emotion, sequence, subject, level=None):
    names = tuple(f"AU{u + 1:02d}" for u in range(present.shape[1]))
    level = present if level is None else level
    return Codes(names, present, level, np.asarray(emotion), np.asarray(sequence), np.asarray(subject))


def faces(rng, n_sequences=120, frames=3, rates=None):
    """Sequences of ``frames`` equal codes; three emotions; ``rates`` (3, U) of each AU in each emotion."""
    rates = np.array([[0.2, 0.5, 0.7], [0.4, 0.5, 0.1], [0.6, 0.5, 0.4]]) if rates is None else rates
    emotion = np.arange(n_sequences) % 3
    present = (rng.random((n_sequences, rates.shape[1])) < rates[emotion]).astype(float)
    rows = np.repeat(np.arange(n_sequences), frames)
    return codes_of(present[rows], emotion[rows], rows, rows // frames)


def noise(rng, codes, n_filters):
    """(N, F) activations in which frames of a sequence are alike, people have habits, emotions differ."""
    of_sequence = rng.standard_normal((codes.sequence.max() + 1, n_filters))[codes.sequence]
    of_person = rng.standard_normal((codes.subject.max() + 1, n_filters))[codes.subject]
    return of_sequence + 0.5 * of_person + 0.5 * rng.standard_normal((len(codes.emotion), n_filters))


def batches_of(rows):
    rows = np.array(rows)
    return [rows[i : i + 50] for i in range(0, len(rows), 50)]


# -------------------------------------------------------------------------------------- exact on tiny worlds


def tiny_world(statistic="auc"):
    """Seven sequences of unequal length in two emotions, one of them not coded for the second AU."""
    sequence = np.repeat(np.arange(7), [1, 2, 1, 3, 2, 1, 1])
    level = np.array([[2, 1], [0, 0], [1, 0], [0, 2], [4, np.nan], [0, 1], [5, 0]])[sequence]
    present = np.where(np.isnan(level), np.nan, level > 0)
    emotion = np.array([0, 0, 0, 0, 1, 1, 1])[sequence]
    acts = np.round(np.random.default_rng(3).random((len(sequence), 4)), 1)
    return acts, codes_of(present, emotion, sequence, sequence, level)


def every_order(null):
    if not null.within:
        return list(orders(range(7)))
    return [a + b for a in orders(range(4)) for b in orders(range(4, 7))]


@pytest.mark.parametrize("statistic", au_stats.STATISTICS)
@pytest.mark.parametrize("null", [FREE, WITHIN_EMOTION])
def test_over_all_orders_the_studentised_null_has_mean_0_and_variance_1(statistic, null):
    acts, codes = tiny_world()
    task = nulls.problem(acts, codes, statistic, null)
    for part in task.parts:
        rows = nulls.induced(np.array(every_order(null)), part.coded)
        t = part.studentised(np.take(part.z, rows, axis=1))
        np.testing.assert_allclose(t.mean(axis=1, dtype=float), 0, atol=1e-5)
        np.testing.assert_allclose(t.std(axis=1, dtype=float), 1, atol=1e-5)


@pytest.mark.parametrize("null", [FREE, WITHIN_EMOTION])
def test_p_over_all_orders_equals_the_count_by_hand(null):
    acts, codes = tiny_world()
    task = nulls.problem(acts, codes, "auc", null)
    rows = every_order(null)
    p = nulls.cell_p(nulls.tally(task, batches_of(rows)), task.observed)
    for f in range(acts.shape[1]):
        ranks = np.zeros(len(acts))
        for e in (0, 1) if null.within else (None,):
            members = np.full(len(acts), True) if e is None else codes.emotion == e
            ranks[members] = stats.rankdata(acts[members, f])
            ranks[members] -= ranks[members].mean()
        score = np.bincount(codes.sequence, ranks)
        label = codes.present[np.unique(codes.sequence, return_index=True)[1], 0]
        drawn = np.array([score @ label[list(row)] for row in rows])
        b = (drawn >= score @ label - 1e-9).sum()
        assert p[f, 0] == pytest.approx((1 + b) / (1 + len(rows)))


def test_following_a_permutation_back_to_the_coded_units_is_uniform():
    rows = np.array(list(orders(range(5))))
    back = nulls.induced(rows, np.array([True, False, True, True, False]))[:, [0, 2, 3]]
    assert sorted(map(tuple, np.unique(back, axis=0))) == sorted(orders([0, 2, 3]))
    assert (np.unique(back, axis=0, return_counts=True)[1] == 20).all()


def test_permutations_stay_inside_their_strata():
    codes = faces(np.random.default_rng(0), 30)
    both = Null(within=("emotion", "subject"))
    for null in (FREE, WITHIN_EMOTION, WITHIN_SUBJECT, both):
        units = au_stats.exchange_units(codes, null)
        rows = np.concatenate(list(nulls.permutations(units, 100, np.random.default_rng(1))))
        assert rows.shape == (100, 30)
        assert (np.sort(rows, axis=1) == np.arange(30)).all()
        assert (units.stratum[rows] == units.stratum).all()


def test_two_halves_of_the_permutations_merged_equal_the_whole():
    rng = np.random.default_rng(0)
    codes = faces(rng)
    task = nulls.problem(noise(rng, codes, 6), codes, "auc", WITHIN_EMOTION)
    rows = np.concatenate(list(nulls.permutations(task.units, 100, rng)))
    whole = nulls.tally(task, batches_of(rows))
    merged = nulls.tally(task, batches_of(rows[:37])) + nulls.tally(task, batches_of(rows[37:]))
    assert merged.n == whole.n == 100
    found = au_stats.examine(np.ones((360, 1)), codes, Plan(n_permutations=10), rng)
    assert (found + found).counts.n == 20
    for field in ("exceed", "maxima", "pooled"):
        np.testing.assert_allclose(getattr(merged, field), getattr(whole, field), atol=1e-5)


def test_a_two_sided_test_also_counts_filters_that_fall_silent():
    rng = np.random.default_rng(0)
    codes = faces(rng)
    acts = noise(rng, codes, 1) - 3 * codes.present[:, :1]
    one, both = (
        au_stats.examine(acts, codes, Plan(null=null, n_permutations=199), rng)
        for null in (FREE, Null(two_sided=True))
    )
    assert one.p[0, 0] == 1.0
    assert both.p[0, 0] == 1 / 200


# ------------------------------------------------------------------------------------------ many null worlds


@pytest.mark.parametrize("null", [FREE, WITHIN_EMOTION])
@pytest.mark.parametrize("statistic", ["auc", "point_biserial"])
def test_p_values_are_uniform_in_1000_null_worlds_with_sequence_effects(null, statistic):
    rng = np.random.default_rng(7)
    p = []
    for _ in range(10):  # 10 worlds of labels, 100 of activations each
        codes = faces(rng)
        acts = noise(rng, codes, 100)
        if null.within:  # the emotion drives the filter; beyond it there is nothing
            acts += 2 * rng.standard_normal((3, 100))[codes.emotion]
        p.append(au_stats.examine(acts, codes, Plan(statistic, null, 499), rng).p)
    p = np.concatenate(p)
    assert p.shape == (1000, 3)
    for au in p.T:
        assert stats.kstest(au, "uniform").pvalue > 0.001
        assert (au <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_permuting_images_is_too_narrow_and_calls_noise_significant():
    rng = np.random.default_rng(8)
    codes = faces(rng)
    acts = noise(rng, codes, 1000)
    alarms = {
        null.unit: (au_stats.examine(acts, codes, Plan(null=null, n_permutations=299), rng).p <= 0.05).mean()
        for null in (FREE, IMAGES)
    }
    assert alarms["sequence"] == pytest.approx(0.05, abs=0.02)
    assert alarms["image"] > 0.12


def test_a_filter_of_the_emotion_alone_is_found_freely_and_not_within_emotion():
    rng = np.random.default_rng(9)
    codes = faces(rng)
    acts = noise(rng, codes, 500) + 3 * (codes.emotion == 0)[:, None]
    found = {
        name: (au_stats.examine(acts, codes, Plan(null=null, n_permutations=299), rng).p[:, 2] <= 0.05).mean()
        for name, null in (("free", FREE), ("within", WITHIN_EMOTION))
    }
    assert found["free"] > 0.95  # the third AU goes with the first emotion
    assert found["within"] == pytest.approx(0.05, abs=0.03)


def test_a_filter_of_people_is_rejected_only_within_people_who_have_habits():
    rng = np.random.default_rng(14)
    person = np.repeat(np.arange(15), 12)
    present = (rng.random(180) < np.linspace(0.1, 0.9, 15)[person]) * 1.0
    codes = codes_of(present[:, None], np.zeros(180), np.arange(180), person)
    acts = rng.standard_normal((15, 600))[person] + rng.standard_normal((180, 600))
    free, inside = (
        (au_stats.examine(acts, codes, Plan(null=null, n_permutations=299), rng).p <= 0.05).mean()
        for null in (FREE, WITHIN_SUBJECT)
    )
    assert free > 0.15
    assert inside == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("null", [FREE, WITHIN_EMOTION])
def test_max_t_holds_5_per_cent_family_wise_error_and_so_do_q_values_where_nothing_is_true(null):
    rng = np.random.default_rng(10)
    rates = np.array([[0.1, 0.5, 0.3, 0.8], [0.2, 0.5, 0.6, 0.7], [0.1, 0.4, 0.3, 0.9]])
    plan = Plan(null=null, n_permutations=199, min_people=5)
    wrong = np.zeros(3)
    for _ in range(500):
        codes = faces(rng, 45, 2, rates)
        acts = noise(rng, codes, 6)
        acts[:, 1] = acts[:, 0] + 0.3 * acts[:, 1]  # filters are correlated
        found = au_stats.examine(acts, codes, plan, rng)
        wrong += [np.nanmin(p) <= 0.05 for p in (found.p_fwer, found.q, found.q_au)]
    for count in wrong:
        assert stats.binomtest(int(count), 500, 0.05).pvalue > 0.01


def test_the_pooled_null_agrees_with_the_cells_and_reaches_below_one_in_b():
    rng = np.random.default_rng(11)
    codes = faces(rng)
    acts = noise(rng, codes, 100)
    acts[:, 0] += 8 * codes.present[:, 0]
    found = au_stats.examine(acts, codes, Plan(n_permutations=999), rng)
    pooled = nulls.pooled_p(found.counts, found.observed)
    above = found.observed > nulls.BIN_WIDTH
    np.testing.assert_allclose(pooled[above], found.p[above], atol=0.07)
    assert (pooled[found.observed < 0] == 1).all()
    assert found.p[0, 0] == 1 / 1000
    assert pooled[0, 0] == 1 / (1 + 999 * 100)
    assert found.q[0, 0] < 0.01
    assert (found.q[1:] > 0.05).all()


# -------------------------------------------------------------------------------------------------- verdicts


def smile_world(n_people=60, seed=13):
    """People show joy, calm and fright; the four AUs have one verdict each.

    AU01 (the smile) comes and goes in every emotion, and filter 0 follows it.  AU02 is tied to joy but for
    15 people's fright, and filter 1 follows joy.  AU03 is tied to joy but for 5 people.  AU04 is anywhere,
    and no filter knows it. Filter 3 is silent.
    """
    rng = np.random.default_rng(seed)
    emotion = np.tile(["happiness", "neutral", "fear"], n_people)
    person = np.repeat(np.arange(n_people), 3)
    happy = emotion == "happiness"
    level = np.zeros((len(person), 4))
    level[:, 0] = rng.integers(1, 6, len(person)) * (rng.random(len(person)) < np.where(happy, 0.6, 0.2))
    level[:, 1] = happy ^ (person % 4 == 0) * (emotion == "fear")
    level[:, 2] = happy & (person >= 5)
    level[:, 3] = rng.random(len(person)) < 0.4
    rows = np.repeat(np.arange(len(person)), 3)
    codes = codes_of((level > 0)[rows] * 1.0, emotion[rows], rows, person[rows], level[rows])
    smile, joy, dull = codes.level[:, 0], codes.emotion == "happiness", np.zeros(len(rows))
    signal = np.stack([smile, 2.0 * joy, dull, dull], axis=1)
    acts = signal + rng.standard_normal((len(person), 4))[rows] + 0.3 * rng.standard_normal((len(rows), 4))
    acts[:, 3] = 0
    return acts, codes, rng


@pytest.mark.parametrize("statistic", au_stats.STATISTICS)
def test_each_au_gets_the_verdict_it_was_planted_with(statistic):
    acts, codes, rng = smile_world()
    free, within = (
        au_stats.examine(acts, codes, Plan(statistic, null, 999), rng) for null in (FREE, WITHIN_EMOTION)
    )
    table = au_stats.verdicts(free, within, codes).set_index("au")
    assert table["verdict"].tolist() == [BEYOND, EMOTION_ONLY, NOT_TESTABLE, NOT_FOUND]
    assert table.loc["AU01", "filter"] == 0
    assert table.loc["AU02", "filter"] == 1
    assert table["n_minority"].tolist()[1:3] == [15, 5]
    assert table.loc["AU01", ["n_images", "n_sequences", "n_people"]].tolist() == [540, 180, 60]
    assert np.isnan(table.loc["AU03", "q_within"])
    assert table.loc["AU03", "q"] <= 0.05  # with the emotion, which is all that can be said
    assert table.loc["AU01", "n_filters"] == 1


def test_the_table_of_cells_is_tidy_and_names_what_cannot_be_tested():
    acts, codes, rng = smile_world()
    table = au_stats.examine(acts, codes, Plan(null=WITHIN_EMOTION, n_permutations=99), rng).table()
    assert table.columns.tolist() == ["filter", "au", "effect", "t", "p", "p_fwer", "q", "testable"]
    assert len(table) == 16
    silent = table[table["filter"] == 3]
    assert silent[["effect", "t", "p", "p_fwer", "q"]].isna().all(axis=None)
    assert table.loc[table["au"] == "AU03", ["p_fwer", "q"]].isna().all(axis=None)
    assert not table.loc[table["au"] == "AU03", "testable"].any()


@pytest.mark.parametrize("statistic", au_stats.STATISTICS)
def test_worlds_without_evidence_are_reported_and_do_not_crash(statistic):
    rng = np.random.default_rng(0)
    present = np.zeros((12, 3))
    present[:, 1], present[:, 2] = 1, np.nan  # never present, always present, never coded
    codes = codes_of(present, np.arange(12) % 2, np.arange(12), np.zeros(12, int))
    acts = np.stack([np.zeros(12), rng.random(12)], axis=1)
    free, within = (
        au_stats.examine(acts, codes, Plan(statistic, null, 20), rng) for null in (FREE, WITHIN_EMOTION)
    )
    table = au_stats.verdicts(free, within, codes)
    assert (table["verdict"] == NOT_TESTABLE).all()
    assert table["n_images"].tolist() == [12, 12, 0]
    assert np.isnan(free.p).all()
    assert np.isnan(within.q_au).all()


def test_within_one_subject_nothing_that_never_varies_there_is_tested():
    codes = codes_of(np.eye(2)[[0, 0, 1, 1]], [0] * 4, range(4), [0, 0, 1, 1])
    found = au_stats.examine(
        np.arange(4.0)[:, None], codes, Plan(null=WITHIN_SUBJECT, n_permutations=9), np.random.default_rng(0)
    )
    assert np.isnan(found.p).all()


def test_activations_of_other_images_are_refused():
    codes = faces(np.random.default_rng(0), 6)
    with pytest.raises(ValueError, match="5 rows of activations for 18"):
        nulls.problem(np.ones((5, 1)), codes, "auc", FREE)
