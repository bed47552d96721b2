"""Find or make a run: train, select on val, predict the test part once, keep it all.

>>> run = ensure(TrainConfig(corpus="synthetic-fer2013", width=0.25, n_epochs=12))  # doctest: +SKIP
>>> metrics.accuracy(run.predictions, rng)  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ferlib
from ferlib import config, datasets, devices, metrics, models, runs, splits
from ferlib.datasets import FaceSet
from ferlib.learner import Fitted, fit, network_settings, predict
from ferlib.recipes import RECIPES, Recipe, TrainConfig
from ferlib.runs import Run
from ferlib.splits import LeakError, Parts

__all__ = ["RECIPES", "Fitted", "LeakError", "Recipe", "TrainConfig", "ensure", "fit", "key_of", "predict"]

MODULES = ("augment", "batches", "learner", "models", "recipes")
"""The modules a result goes through.  Which image serves as what is keyed itself, so splits is not named."""


def ensure(settings: TrainConfig, faces: FaceSet | None = None) -> Run:
    """The run of ``settings``: found, or trained (continued, if it was killed) and tested once.

    faces : the corpus; by default loaded as ``settings`` say.  Selection sees its train and val parts only.
    """
    settings = settings.resolved()
    parts = divided(settings, faces)
    key = _key(settings, parts)
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    if alone and (run := runs.look_up(key)):
        return run
    fabric = devices.fabric(settings.device)
    with runs.lock(key) if fabric.is_global_zero else contextlib.nullcontext():
        # another process may have made it while this one waited; the first process decides for all
        if not fabric.broadcast(runs.look_up(key) is not None):
            _make(key, settings, parts, fabric)
        fabric.barrier()
    return runs.find(key)


def key_of(settings: TrainConfig, faces: FaceSet | None = None) -> str:
    """``<corpus>-<network>-s<seed>-<8 hex>``: a digest of settings, parts of the corpus, labels and code."""
    return _key(settings.resolved(), divided(settings, faces))


def divided(settings: TrainConfig, faces: FaceSet | None = None) -> Parts:
    """The train, val and test parts that ``settings`` ask for.  The division does not depend on the seed."""
    if faces is None:
        faces = datasets.load(
            settings.corpus,
            size=settings.size or None,
            duplicates=settings.duplicates,
            labels=settings.labels,
        )
    return splits.parts(faces, settings.protocol, fold=settings.fold or None)


def wishes(given: Mapping[str, Any], corpus: str, assignments: Iterable[str]) -> list[TrainConfig]:
    """The settings that a profile's values ``given`` and ``field=value`` texts ask for, one a seed.

    ``given`` may hold parameters that are no settings; an assigned ``seed`` replaces its ``seeds``.
    """
    fields = config.fields_of(TrainConfig)
    base = TrainConfig(**{k: v for k, v in given.items() if k in fields} | {"corpus": corpus})
    assigned = list(assignments)
    if any(text.partition("=")[0].strip() == "seed" for text in assigned):
        return [config.replaced(base, assigned)]
    seeds = given.get("seeds", [base.seed])
    return [config.replaced(dataclasses.replace(base, seed=seed), assigned) for seed in seeds]


def card(run: Run) -> str:
    """What a run is and what it reached, in a few lines."""
    p, rng, told = run.predictions, np.random.default_rng(0), run.record
    measures = {
        "accuracy": metrics.accuracy(p, rng),
        "baseline_accuracy": metrics.baseline_accuracy(p, told["counts"]["train"], rng),
        "macro_f1": metrics.macro_f1(p, rng),
        "ece": metrics.ece(p, rng),
    }
    lines = [run.key, f"  {told['sentence']}"]
    lines += [f"  {name:18} {estimate:.4f}  n = {len(p):,}" for name, estimate in measures.items()]
    speed = sum(told["images_per_s"]) / len(told["images_per_s"])
    best = f"best epoch {told['best_epoch'] + 1} of {len(told['images_per_s'])}"
    return "\n".join([*lines, f"  {best}, {told['seconds']:.0f} s, {speed:,.0f} faces/s on {told['device']}"])


def _key(settings: TrainConfig, parts: Parts) -> str:
    """Named by what changes the result: two ways to ask for the same faces lead to the same run."""
    seen = [
        settings.keyed(),
        parts.digest,  # corpus, protocol, fold, and which row serves as what
        parts.train.emotions,
        *(hashlib.sha256(p.labels.tobytes()).hexdigest() for p in (parts.train, parts.val, parts.test)),
        parts.train.images.shape[1:],
        config.code_digest(MODULES),
    ]
    network = RECIPES[settings.recipe].network.lower()
    return f"{parts.train.corpus}-{network}-s{settings.seed}-{config.digest(*seen)}"


def _make(key: str, settings: TrainConfig, parts: Parts, fabric: Any) -> None:
    """Train the run in its workplace, write its files and publish it; only the first process writes."""
    folder = runs.workplace(key)
    fitted = fit(parts.train, parts.val, settings, folder, fabric)
    with devices.settled(settings.threads):
        predicted = predictions_of(fitted, settings, parts)
    if fabric.is_global_zero:
        _write(folder, fitted, predicted)
        runs.write_json(folder / runs.RECORD, _record(key, settings, parts, fitted, fabric))
        runs.publish(key)


def predictions_of(fitted: Fitted, settings: TrainConfig, parts: Parts) -> pd.DataFrame:
    """``row subject fold split truth`` and the probability of each class, one row a test image.

    ``subject`` is missing where people are not known, ``fold`` where the protocol has none.
    """
    test = parts.test
    p = predict(fitted.net, test.images, RECIPES[settings.recipe].flip_at_test)
    table = pd.DataFrame(
        {
            "row": test.table["row"].to_numpy("int64"),
            "subject": pd.array(test.subjects if test.subjects is not None else [None] * len(test), "string"),
            "fold": pd.array([parts.fold] * len(test), "Int64"),
            "split": "test",
            "truth": [test.emotions[label] for label in test.labels],
        }
    )
    return pd.concat([table, pd.DataFrame(p, columns=list(test.emotions))], axis=1)


def _write(folder: Path, fitted: Fitted, predicted: pd.DataFrame) -> None:
    from safetensors.torch import save_file

    weights = {k: v.cpu().contiguous() for k, v in fitted.net.state_dict().items()}
    runs.write_whole(
        folder / runs.WEIGHTS, lambda file: save_file(weights, file)
    )  # metadata goes in run.json
    history = pd.DataFrame(fitted.history)
    runs.write_whole(
        folder / runs.HISTORY, lambda file: history.to_csv(file, index=False, lineterminator="\n")
    )
    runs.write_whole(folder / runs.PREDICTIONS, lambda file: predicted.to_parquet(file, index=False))


def _record(key: str, settings: TrainConfig, parts: Parts, fitted: Fitted, fabric: Any) -> dict[str, Any]:
    """What ``run.json`` says."""
    named = {"train": parts.train, "val": parts.val, "test": parts.test}
    counts = {name: part.table["emotion"].value_counts() for name, part in named.items()}
    return {
        "key": key,
        "config": config.as_plain(settings),
        "recipe": config.as_plain(RECIPES[settings.recipe]),
        "network": {
            "name": RECIPES[settings.recipe].network,
            "settings": network_settings(parts.train, settings),
            "n_parameters": models.n_parameters(fitted.net),
        },
        "emotions": list(parts.train.emotions),
        "corpus": {
            "name": parts.train.corpus,
            "digest": parts.train.digest,
            "synthetic": parts.train.synthetic,
        },
        "protocol": parts.protocol,
        "fold": parts.fold,
        "sentence": parts.sentence,
        "parts_digest": parts.digest,
        "counts": {n: {e: int(c.get(e, 0)) for e in parts.train.emotions} for n, c in counts.items()},
        "code_digest": config.code_digest(MODULES),
        "seed": settings.seed,
        "best_epoch": fitted.best_epoch,
        "seconds": round(fitted.seconds, 3),
        "images_per_s": [round(row["images_per_s"], 1) for row in fitted.history],
        "threads": settings.threads,
        **devices.described(fabric),
        "ferlib": ferlib.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
