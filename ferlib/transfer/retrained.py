"""A new head on frozen features: multinomial logistic regression whose regularisation val chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""What val chooses from: the inverse of the L2 penalty, on features of unit deviation."""
MOST_STEPS = 200


@dataclass(frozen=True)
class Head:
    """``softmax(((x - mean) / scale) @ weights + bias)`` over the classes of the target."""

    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,)
    weights: np.ndarray  # (D, K)
    bias: np.ndarray  # (K,); -inf for a class without a training example
    strength: float

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """(N, D) features -> (N, K) rows that add up to 1."""
        logits = ((x - self.mean) / self.scale) @ self.weights + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_head(x: np.ndarray, y: np.ndarray, val_x: np.ndarray, val_y: np.ndarray, n_classes: int) -> Head:
    """The head of the strength with the highest mean log probability of the truth on val.

    x, val_x : (N, D) features.  y, val_y : (N,) int classes below ``n_classes``; ``y`` holds at least two.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    standard = (x - mean) / scale
    best, best_score = None, -np.inf
    model = LogisticRegression(max_iter=MOST_STEPS, warm_start=True)
    for strength in STRENGTHS:  # from strong to weak, each starting where the last ended
        model.set_params(C=strength)
        with np.errstate(all="ignore"):
            _quietly(model, standard, y)
        head = _head(model, mean, scale, n_classes)
        truth = head.probabilities(val_x)[np.arange(len(val_y)), val_y]
        score = float(np.log(np.maximum(truth, 1e-6)).mean())
        if score > best_score:
            best, best_score = head, score
    assert best is not None
    return best


def _quietly(model, x: np.ndarray, y: np.ndarray) -> None:
    """Fit; that the weakest penalty is not solved to the last digit is of no interest."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)


def _head(model, mean: np.ndarray, scale: np.ndarray, n_classes: int) -> Head:
    """scikit-learn's solution over the classes it saw, spread over all classes."""
    coef, intercept, seen = model.coef_, model.intercept_, model.classes_
    if len(seen) == 2:  # scikit-learn keeps one row: the log odds of the second class
        coef, intercept = np.vstack([0 * coef, coef]), np.concatenate([[0.0], intercept])
    weights, bias = np.zeros((len(mean), n_classes)), np.full(n_classes, -np.inf)
    weights[:, seen], bias[seen] = coef.T, intercept
    return Head(mean, scale, weights, bias, float(model.C))
