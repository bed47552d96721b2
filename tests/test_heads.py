"""Heads for Action Units: solutions equal scikit-learn's, useless weights are 0, what is not coded does not count."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from ferlib import heads
from ferlib.config import UsageError
from ferlib.heads import Penalty

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 6))
X = (X - X.mean(axis=0)) / X.std(axis=0)
LOGIT = 2 * X[:, 0] - X[:, 1] + RNG.normal(size=160)
PRESENT = np.stack([LOGIT > 0, X[:, 2] > 0.3], axis=1).astype(float)
LEVEL = np.clip(np.stack([LOGIT + 2, X[:, 3] + 1], axis=1), 0, 5)


def solved(x, y, kind, strength, l1_ratio, n_steps=800):
    penalty = Penalty(strengths=(strength,), l1_ratio=l1_ratio, n_steps=n_steps)
    weights, bias = heads.solve(torch.tensor(x), torch.tensor(y), kind, penalty)
    return weights[0].numpy(), bias[0].numpy()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_presence_is_scikit_learns_elastic_net_logistic_regression(l1_ratio):
    weights, bias = solved(X, PRESENT, "presence", 0.05, l1_ratio)
    for u in range(2):
        model = LogisticRegression(
            C=1 / (0.05 * len(X)), l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=20_000
        ).fit(X, PRESENT[:, u])
        assert weights[u] == pytest.approx(model.coef_[0], abs=2e-4)
        assert bias[u] == pytest.approx(model.intercept_[0], abs=2e-4)


def test_level_is_scikit_learns_elastic_net():
    weights, bias = solved(X, LEVEL, "level", 0.1, 0.5)
    for u in range(2):
        model = ElasticNet(alpha=0.1, l1_ratio=0.5, tol=1e-10).fit(X, LEVEL[:, u])
        assert weights[u] == pytest.approx(model.coef_, abs=1e-5)
        assert bias[u] == pytest.approx(model.intercept_, abs=1e-5)


def test_useless_weights_become_exactly_zero_and_useful_ones_stay():
    weights, _ = solved(X, PRESENT, "presence", 0.1, 0.9)
    assert (weights[0, 2:] == 0).all()
    assert weights[0, 0] > 0.2
    without_l1, _ = solved(X, PRESENT, "presence", 0.1, 0.0)
    assert (without_l1 != 0).all()


@pytest.mark.parametrize("kind", heads.KINDS)
def test_faces_that_are_not_coded_do_not_count(kind):
    y = (PRESENT if kind == "presence" else LEVEL).copy()
    y[100:, 0] = np.nan
    masked, bias = solved(X, y, kind, 0.02, 0.5)
    alone, own = solved(X[:100], y[:100], kind, 0.02, 0.5)
    assert masked[0] == pytest.approx(alone[0], abs=1e-4)
    assert bias[0] == pytest.approx(own[0], abs=1e-4)
    raw = torch.randn(160, 2, dtype=torch.float64)
    of_known = heads.loss(raw[:100], torch.tensor(y[:100]), kind)[0]
    assert heads.loss(raw, torch.tensor(y), kind)[0] == pytest.approx(float(of_known))


def test_the_single_head_suits_each_au_and_the_joint_head_suits_all_alike():
    y = np.stack(
        [PRESENT[:, 0], RNG.permutation(PRESENT[:, 0])], axis=1
    )  # one AU to be read, one of pure chance
    penalty = Penalty(strengths=(0.5, 0.001), l1_ratio=1.0, n_steps=300)
    made = heads.fit(X[:80], y[:80], X[80:], y[80:], "presence", penalty)
    weights = {name: head.linear.weight.detach().numpy() for name, head in made.items()}
    assert (weights["single"][0] != 0).any()
    assert (weights["single"][1] == 0).all()
    assert (weights["joint"][0] != 0).any() == (weights["joint"][1] != 0).any()


def test_an_au_that_val_does_not_show_takes_the_joint_strength():
    val = PRESENT[80:].copy()
    val[:, 1] = 0
    made = heads.fit(X[:80], PRESENT[:80], X[80:], val)
    assert torch.equal(made["single"].linear.weight[1], made["joint"].linear.weight[1])


def test_predictions_are_probabilities_and_levels():
    of_presence = heads.fit(3 * X + 1, PRESENT, 3 * X + 1, PRESENT)["joint"].predict(3 * X + 1)
    assert ((of_presence >= 0) & (of_presence <= 1)).all()
    assert ((of_presence[:, 0] > 0.5) == PRESENT[:, 0]).mean() > 0.75
    of_level = heads.fit(X, LEVEL, X, LEVEL, "level")["joint"].predict(10 * X)
    assert of_level.min() == 0
    assert of_level.max() == 5


@pytest.mark.parametrize(("figure", "measure"), [("f1", f1_score), ("accuracy", accuracy_score)])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.8])
def test_the_threshold_is_the_best_of_all(figure, measure, share):
    score, present = RNG.random((60, 1)).round(1), (RNG.random((60, 1)) < share).astype(float)
    (threshold,) = heads.best_thresholds(score, present, figure)
    every = [measure(present[:, 0], score[:, 0] >= t) for t in np.arange(0, 1.2, 0.05)]
    assert measure(present[:, 0], score[:, 0] >= threshold) == max(every)


def test_a_head_that_learned_nothing_calls_nothing():
    present = PRESENT[:, :1]
    assert heads.best_thresholds(np.full((160, 1), 0.3), present) == [0.5]
    assert heads.best_thresholds(LOGIT[:, None], 0 * present) == [0.5]
    assert heads.best_thresholds(LOGIT[:, None], np.full((160, 1), np.nan)) == [0.5]


def test_a_wrong_penalty_is_refused():
    for wrong in ({"strengths": ()}, {"l1_ratio": 1.5}, {"strengths": (-1.0,)}, {"n_steps": 0}):
        with pytest.raises(UsageError):
            Penalty(**wrong)
