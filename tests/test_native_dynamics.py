"""Expressions start at rest, reach their peak, and move as faces do in between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib.synthetic import dynamics


def rng(seed=0):
    return np.random.default_rng(seed)


PEAK = rng(7).uniform(0, 5, (25, 2))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_an_onset_rises_from_rest_to_the_peak_and_never_falls(n_frames, seed):
    levels = dynamics.onset(PEAK, n_frames, rng(seed))
    assert levels.shape == (n_frames, 25, 2)
    assert (levels[0] == 0).all()
    np.testing.assert_allclose(levels[-1], PEAK)
    assert (np.diff(levels, axis=0) >= -1e-12).all()


def test_the_last_three_of_eighteen_frames_are_near_the_peak():
    share = [dynamics.onset(PEAK, 18, rng(s))[-3:].sum() / (3 * PEAK.sum()) for s in range(50)]
    assert np.mean(share) > 0.95


def test_aus_of_one_expression_do_not_start_together():
    levels = dynamics.onset(np.full((25, 2), 5.0), 60, rng())
    first_seen = (levels[:, :, 0] > 0.5).argmax(axis=0)
    assert len(set(first_seen)) > 3


def test_an_onset_is_slow_at_both_ends_and_fastest_in_the_middle():
    speed = np.diff(dynamics.minimum_jerk(np.linspace(0, 1, 101)))
    assert speed.argmax() in (49, 50)
    assert speed[0] < 0.01 * speed.max()
    assert speed.sum() == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 126), st.floats(0.2, 0.8), st.integers(0, 10**6))
def test_a_micro_expression_is_at_rest_at_both_ends_and_at_its_peak_at_the_apex(n_frames, where, seed):
    apex = int(np.clip(round(n_frames * where), 1, n_frames - 2))
    levels = dynamics.micro(PEAK, n_frames, apex, rng(seed))
    assert np.isfinite(levels).all()
    assert (levels[[0, -1]] == 0).all()
    np.testing.assert_allclose(levels[apex], PEAK)
    assert (levels <= PEAK + 1e-12).all()
    assert (np.diff(levels[: apex + 1], axis=0) >= -1e-12).all()
    assert (np.diff(levels[apex:], axis=0) <= 1e-12).all()


@pytest.mark.parametrize("apex", [0, 9, 10, -1])
def test_an_apex_outside_the_clip_is_refused(apex):
    with pytest.raises(ValueError, match="inside the clip"):
        dynamics.micro(PEAK, 10, apex, rng())


def test_a_blink_closes_the_eye_for_a_tenth_to_four_tenths_of_a_second():
    for seed in range(20):
        lids = dynamics.blink(400, 200.0, 200, rng(seed))
        assert lids[200] == 5.0
        assert lids[0] == lids[-1] == 0.0
        assert 0.1 <= (lids > 0.01).sum() / 200.0 <= 0.4
        closing, opening = (lids[:200] > 0.01).sum(), (lids[200:] > 0.01).sum()
        assert closing < opening


def test_a_head_drifts_slowly_from_where_it_was_and_rolls_least():
    sway = np.array([dynamics.drift(2000, 200.0, 0.7, rng(s)) for s in range(40)])
    assert (sway[:, 0] == 0).all()
    spread = (sway - sway.mean(axis=1, keepdims=True)).std(axis=(0, 1))
    assert spread[0] == pytest.approx(0.7, rel=0.15)
    assert spread[2] == pytest.approx(0.35, rel=0.15)
    assert np.abs(np.diff(sway, axis=1)).max() < 0.1  # degrees in 5 ms
