"""A head for Action Units on frozen features: one linear output an AU, with an L1 + L2 penalty on its weights.

For each AU u with the n_u faces for which it is coded, the head minimises

    (1 / n_u) sum_i loss(w_u . x_i + b_u, y_iu) + strength * (l1_ratio |w_u|_1 + (1 - l1_ratio) / 2 |w_u|_2^2)

(the elastic net of Zou & Hastie 2005, scaled as in scikit-learn), where the loss is logistic for presence and
half the squared error for levels.  It is solved by proximal gradient steps with momentum (Beck & Teboulle 2009)
that restart where they turn back (O'Donoghue & Candes 2015), so that useless weights become exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ferlib.config import UsageError, check_name

KINDS: tuple[str, ...] = ("presence", "level")
MOST_LEVEL = 5.0


@dataclass(frozen=True)
class Penalty:
    """What val chooses from, and how the weights are held small."""

    strengths: tuple[float, ...] = (0.1, 0.03, 0.01, 0.003, 0.001)
    l1_ratio: float = 0.5  # 1: only L1, 0: only L2
    n_steps: int = 200  # of the solver

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) < 0 or not 0 <= self.l1_ratio <= 1 or self.n_steps < 1:
            raise UsageError(f"{self}: strengths from 0, l1_ratio in [0, 1], n_steps at least 1")


class ActionUnitHead(nn.Module):
    """(B, D) features -> (B, U): the logit of presence, or the level, of each AU.

    kind : ``presence`` or ``level``.  The features' ``mean`` and ``scale`` are buffers, so weights travel.
    """

    def __init__(self, n_features: int, n_aus: int, kind: str = "presence") -> None:
        super().__init__()
        self.kind = check_name("kind of head", kind, KINDS)
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.linear = nn.Linear(n_features, n_aus)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B, U) logits, or levels that are not yet cut off."""
        return self.linear((features - self.mean) / self.scale)

    @torch.inference_mode()
    def predict(self, features: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, U) float32: probability of presence, or level in [0, 5]."""
        raw = self(torch.from_numpy(np.ascontiguousarray(features, np.float32)))
        return (raw.sigmoid() if self.kind == "presence" else raw.clamp(0, MOST_LEVEL)).numpy()


def loss(raw: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """Mean loss of each AU over the faces for which it is coded.

    raw : (..., N, U) logits or levels.  target : (N, U), NaN where not coded.  Returns
    (..., U); 0 where nothing is coded.
    """
    known = ~target.isnan()
    wanted = target.nan_to_num().expand_as(raw)
    if kind == "presence":
        each = F.binary_cross_entropy_with_logits(raw, wanted, reduction="none")
    else:
        each = (raw - wanted).square() / 2
    return (each * known).sum(dim=-2) / known.sum(dim=0).clamp(min=1)


def solve(x: torch.Tensor, y: torch.Tensor, kind: str, penalty: Penalty) -> tuple[torch.Tensor, torch.Tensor]:
    """The heads of all strengths at once.

    x : (N, D) float of about unit deviation.  y : (N, U), NaN where not coded.

    Returns weights (L, U, D) and biases (L, U) for the L strengths.
    """
    one = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    known, target = (~y.isnan()).T.to(x.dtype), y.nan_to_num().T  # (U, N)
    share = known / known.sum(dim=1, keepdim=True).clamp(min=1)
    strength = torch.tensor(penalty.strengths, dtype=x.dtype)[:, None, None]
    sparse, ridge = strength * penalty.l1_ratio, strength * (1 - penalty.l1_ratio)
    steepest = (0.25 if kind == "presence" else 1.0) * torch.linalg.matrix_norm(one, 2) ** 2
    step = 1 / (steepest * share.amax(dim=1)[None, :, None] + ridge)  # (L, U, 1)
    w = torch.zeros(len(penalty.strengths), y.shape[1], one.shape[1], dtype=x.dtype)
    ahead, t = w, torch.ones_like(w[..., :1])
    for _ in range(penalty.n_steps):
        raw = ahead @ one.T  # (L, U, N)
        error = ((raw.sigmoid() if kind == "presence" else raw) - target) * share
        moved = ahead - step * (error @ one + F.pad((ridge * ahead)[..., :-1], (0, 1)))
        shrunk = moved[..., :-1].sign() * (moved[..., :-1].abs() - step * sparse).clamp(min=0)
        new = torch.cat([shrunk, moved[..., -1:]], dim=-1)
        turned = ((ahead - new) * (new - w)).sum(dim=-1, keepdim=True) > 0
        following = (1 + (1 + 4 * t.square()).sqrt()) / 2
        ahead = new + torch.where(turned, 0.0, (t - 1) / following) * (new - w)
        t, w = torch.where(turned, 1.0, following), new
    return w[..., :-1], w[..., -1]


def fit(
    x: np.ndarray,
    y: np.ndarray,
    val_x: np.ndarray,
    val_y: np.ndarray,
    kind: str = "presence",
    penalty: Penalty | None = None,
) -> dict[str, ActionUnitHead]:
    """The heads ``single`` and ``joint`` of the training faces, chosen by their loss on val.

    x, val_x : (N, D) features.  y, val_y : (N, U) presence in {0, 1} or level in [0, 5], NaN where not coded.

    ``single`` takes for each AU the strength that suits it best, as a detector made alone would; ``joint``
    one strength for all.  (With a linear head and a penalty that adds up over weights, learning AUs together
    or alone differs in nothing else.)  An AU of which val shows one side only takes the joint strength.
    """
    penalty = penalty or Penalty()
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    mean_t, scale_t = (torch.from_numpy(np.asarray(a, np.float32)) for a in (mean, scale))
    seen, judged = ((torch.from_numpy(np.array(a, np.float32)) - mean_t) / scale_t for a in (x, val_x))
    wanted, told = (torch.from_numpy(np.array(a, np.float32)) for a in (y, val_y))
    weights, bias = solve(seen, wanted, kind, penalty)
    losses = loss(torch.einsum("nd,lud->lnu", judged, weights) + bias[:, None], told, kind)  # (L, U)
    joint = losses.sum(dim=1).argmin().expand(y.shape[1])
    high, low = told.nan_to_num(-torch.inf).amax(dim=0), told.nan_to_num(torch.inf).amin(dim=0)
    single = torch.where((high > low) & (low <= 0), losses.argmin(dim=0), joint)
    heads = {}
    for name, chosen in {"single": single, "joint": joint}.items():
        head = ActionUnitHead(x.shape[1], y.shape[1], kind)
        each = torch.arange(y.shape[1])
        head.linear.weight.data, head.linear.bias.data = weights[chosen, each], bias[chosen, each]
        head.mean.copy_(mean_t)
        head.scale.copy_(scale_t)
        heads[name] = head.eval()
    return heads


def best_thresholds(score: np.ndarray, present: np.ndarray, figure: str = "f1") -> np.ndarray:
    """For each AU the threshold with the highest F1, or accuracy, on the faces given.  Give it val, never test.

    score : (N, U) probabilities.  present : (N, U) in {0, 1}, NaN where not coded.  figure : ``f1`` or
    ``accuracy``.  Returns (U,): an AU is called present from its threshold on.  It is 0.5 where no face shows
    the AU, or where all scores are alike, so that a head that learned nothing calls nothing; 2, never reached,
    where calling nothing is best.
    """
    check_name("figure", figure, ("f1", "accuracy"))
    thresholds = np.full(score.shape[1], 0.5)
    for u in range(score.shape[1]):
        known = ~np.isnan(present[:, u])
        s, truth = score[known, u], present[known, u]
        if truth.sum() > 0 and np.ptp(s) > 0:
            thresholds[u] = _best_threshold(s, truth, figure)
    return thresholds


def _best_threshold(score: np.ndarray, truth: np.ndarray, figure: str) -> float:
    """Try every place between two faces: score, truth (N,), both sides of ``truth`` known."""
    order = np.argsort(-score, kind="stable")
    s, called = score[order], np.arange(1, len(score) + 1)
    hits = np.cumsum(truth[order])
    if figure == "f1":
        reached = 2 * hits / (called + truth.sum())
    else:
        reached = (hits + (len(s) - called) - (truth.sum() - hits)) / len(s)
    reached[:-1][np.diff(s) == 0] = -1  # equal scores are called alike
    if figure == "accuracy" and reached.max() <= 1 - truth.mean():
        return 2.0
    best = int(reached.argmax())
    return float((s[best] + s[best + 1]) / 2) if best + 1 < len(s) else float(s[best])
