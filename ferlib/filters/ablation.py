"""What a filter is for: silence it, and see which emotions the network no longer knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.filters.record import hooked, n_filters_of, relu_of
from ferlib.metrics import LEVEL, N_RESAMPLES


@contextlib.contextmanager
def ablated(model: nn.Module, layer: str, filters: Iterable[int]) -> Iterator[nn.Module]:
    """The network with ``filters`` of ``layer`` silent: their maps are 0 after the ReLU."""
    silent = sorted({int(f) for f in filters})

    def silence(module: nn.Module, inputs: Any, output: Any) -> Any:
        if silent and not 0 <= silent[0] <= silent[-1] < output.shape[1]:
            raise UsageError(f"{layer} has filters 0 to {output.shape[1] - 1}; {silent} were asked for")
        kept = output.new_ones(output.shape[1])
        kept[silent] = 0
        return output * kept[:, None, None]

    with hooked(relu_of(model, layer).register_forward_hook(silence)):
        yield model


def ablation(
    model: nn.Module,
    faces: FaceSet,
    layer: str,
    matched: Mapping[str, Iterable[int]],
    n_random: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Recall that each emotion loses when the filters matched to an AU are silenced.

    matched : AU -> its filters; AUs without filters are left out.  Beside each loss stands what silencing as
    many filters drawn at random costs (``n_random`` draws, shared by AUs with equally many filters).
    One row an AU and emotion: ``au emotion n_filters recall recall_silenced lost low high`` (95 % over people,
    or over images where people are not known; ``n unit``), ``random_lost random_low random_high`` (mean and
    central 95 % of the draws) and ``p``, the share of draws that cost at least as much, (1 + b) / (1 + B).
    """
    truth, names = faces.labels, faces.emotions
    n_filters = n_filters_of(model, layer)
    intact = _right(model, faces)
    chance: dict[int, np.ndarray] = {}
    weights, unit = _resamples(faces, rng)
    rows = []
    for au, filters in matched.items():
        chosen = sorted({int(f) for f in filters})
        if not chosen:
            continue
        if len(chosen) not in chance:
            draws = [rng.choice(n_filters, len(chosen), replace=False) for _ in range(n_random)]
            lost = [intact - _right_without(model, faces, layer, draw) for draw in draws]
            chance[len(chosen)] = np.stack(lost)  # (B, N)
        without = _right_without(model, faces, layer, chosen)
        for k in np.unique(truth):
            of = truth == k
            rows.append(
                {"au": au, "emotion": names[k], "n_filters": len(chosen),
                 **_compared(intact[of], without[of], weights[:, of], chance[len(chosen)][:, of]),
                 "n": len(set(unit[of])), "unit": "subject" if faces.subjects is not None else "image"}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _compared(
    intact: np.ndarray, without: np.ndarray, weights: np.ndarray, chance: np.ndarray
) -> dict[str, float]:
    """intact, without : (M,) 0 or 1.  weights : (R, M) resamples.  chance : (B, M) lost by random filters."""
    lost = intact - without
    total = weights.sum(axis=1)
    draws = (weights @ lost)[total > 0] / total[total > 0]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    by_chance = chance.mean(axis=1)
    random_low, random_high = np.quantile(by_chance, [tail, 1 - tail])
    return {
        "recall": intact.mean(), "recall_silenced": without.mean(), "lost": lost.mean(), "low": low, "high": high,
        "random_lost": by_chance.mean(), "random_low": random_low, "random_high": random_high,
        "p": (1 + (by_chance >= lost.mean() - 1e-12).sum()) / (1 + len(by_chance)),
    }  # fmt: skip


def _right(model: nn.Module, faces: FaceSet) -> np.ndarray:
    """(N,) float64: 1 where the network names the emotion."""
    from ferlib.learner import predict

    return (predict(model, faces.images).argmax(axis=1) == faces.labels).astype(np.float64)


def _right_without(model: nn.Module, faces: FaceSet, layer: str, filters: Iterable[int]) -> np.ndarray:
    with ablated(model, layer, filters):
        return _right(model, faces)


def _resamples(faces: FaceSet, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(R, N) how often each image is drawn, people being drawn with replacement; and (N,) its person."""
    people = faces.subjects if faces.subjects is not None else np.arange(len(faces))
    unit = np.unique(people, return_inverse=True)[1]
    n = unit.max() + 1
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)[:, unit].astype(np.float64), unit
