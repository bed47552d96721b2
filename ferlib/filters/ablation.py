"""What a filter is for: silence it, and see which emotions the network no longer knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.filters.record import BATCH, batch_of, evaluating, hooked, n_filters_of, recording, relu_of
from ferlib.metrics import LEVEL, draw_units


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
    n_filters = n_filters_of(model, layer)
    chosen = {au: sorted({int(f) for f in own}) for au, own in matched.items()}
    chosen = {au: own for au, own in chosen.items() if own}
    drawn = {
        n: [rng.choice(n_filters, n, replace=False).tolist() for _ in range(n_random)]
        for n in sorted({len(own) for own in chosen.values()})
    }
    sets = [[], *chosen.values(), *(one for draws in drawn.values() for one in draws)]
    right = named_rightly(model, faces, layer, sets)  # (S, N)
    intact, own, rest = right[0], right[1 : 1 + len(chosen)], right[1 + len(chosen) :]
    by_chance = dict(zip(drawn, intact - rest.reshape(len(drawn), n_random, len(faces)), strict=True))
    weights, unit = _resamples(faces, rng)
    kind = "subject" if faces.subjects is not None else "image"
    rows: list[dict[str, Any]] = []
    for (au, silent), without in zip(chosen.items(), own, strict=True):
        for k in np.unique(faces.labels):
            of = faces.labels == k
            row = _compared(intact[of], without[of], weights[:, of], by_chance[len(silent)][:, of])
            about = {"au": au, "emotion": faces.emotions[k], "n_filters": len(silent)}
            rows.append({**about, **row, "n": len(set(unit[of])), "unit": kind})
    return pd.DataFrame(rows)


@torch.inference_mode()
def named_rightly(
    model: nn.Module, faces: FaceSet, layer: str, silenced: Sequence[Sequence[int]], batch: int = BATCH
) -> np.ndarray:
    """(S, N) float64: 1 where the network names the emotion of a face although a set of filters is silent.

    What comes before ``layer`` runs once a batch.  After it, each set runs on the kept maps, with one face to
    carry them; where a path leads around the layer, this gives another answer, and whole batches run instead.
    """
    right = np.empty((len(silenced), len(faces)))
    with evaluating(model):
        for start in range(0, len(faces), batch):
            rows = slice(start, min(start + batch, len(faces)))
            images, truth = batch_of(faces.images[rows], model), faces.labels[rows]
            with recording(model, layer) as kept:
                answers = model(images)
            acts = kept[layer]
            with _given(model, layer, acts):
                alone = model(images[:1])
            passes = alone.shape == answers.shape and torch.allclose(alone, answers, rtol=1e-3, atol=1e-4)
            carrier, maps = (images[:1], acts) if passes else (images, None)
            for s, filters in enumerate(silenced):
                with _given(model, layer, maps), ablated(model, layer, filters):
                    right[s, rows] = model(carrier).argmax(dim=1).cpu().numpy() == truth
    return right


@contextlib.contextmanager
def _given(model: nn.Module, layer: str, acts: torch.Tensor | None) -> Iterator[None]:
    """``acts`` in place of what the ReLU after ``layer`` answers; its own answer where they are None."""
    with hooked(relu_of(model, layer).register_forward_hook(lambda module, inputs, output: acts)):
        yield


def _compared(
    intact: np.ndarray, without: np.ndarray, weights: np.ndarray, chance: np.ndarray
) -> dict[str, Any]:
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


def _resamples(faces: FaceSet, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(R, N) how often each image is drawn, people being drawn with replacement; and (N,) its person."""
    people = faces.subjects if faces.subjects is not None else np.arange(len(faces))
    unit = np.unique(people, return_inverse=True)[1]
    return draw_units(unit.max() + 1, rng)[:, unit].astype(np.float64), unit
