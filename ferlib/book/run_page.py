"""A trained run on one page: how it learned, whom it takes for whom, and how good it is for each emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ferlib import metrics, plots, training
from ferlib.book import one_page
from ferlib.runs import Run


def recalls(run: Run) -> pd.DataFrame:
    """Recall of each emotion: columns ``value low high n``, where ``n`` counts its test faces."""
    found = metrics.per_class_recall(run.predictions, np.random.default_rng(0))
    table = pd.DataFrame({name: recall.as_dict() for name, recall in found.items()}).T
    table["n"] = run.predictions["truth"].value_counts()
    return table[["value", "low", "high"]].astype(float).assign(n=table["n"].astype(int))


def write(run: Run, place: Path) -> Path:
    """Write the page; returns ``place``."""
    table = recalls(run)
    curves = plots.learning_curves(run.history.assign(seed=run.record["seed"]))
    confused = plots.confusion(metrics.confusion_counts(run.predictions))
    bars = plots.recall_bars(table.sort_values("value", ascending=False), chance=1 / len(run.emotions))
    settings = pd.Series({**run.config, "device": run.record["device"]}, name="value").to_frame()
    parts = [
        f"<pre>{training.card(run)}</pre>",
        one_page.figure(curves[0], "Loss and accuracy over the epochs, training and validation."),
        one_page.figure(
            confused, "Who is taken for whom: true emotions down, names given across, in per cent."
        ),
        one_page.figure(bars, "Recall of each emotion with its interval, and a line at guessing."),
        one_page.table(table.round(3)),
        "<h2>Settings</h2>",
        one_page.table(settings),
    ]
    return one_page.write(place, run.key, parts)
