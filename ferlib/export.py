"""A trained run for use elsewhere: weights in safetensors, the whole network in ONNX, and a model card."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ferlib import metrics, paths
from ferlib.runs import Run

WEIGHTS, NETWORK, SETTINGS, CARD = "model.safetensors", "model.onnx", "config.json", "README.md"


class Probabilities(nn.Module):
    """A network with its softmax: grey levels (N, 1, H, W) float32 in 0 to 255 -> (N, K) that sum to 1."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return self.net(faces).softmax(dim=1)


def export(run: Run, folder: Path) -> list[Path]:
    """Write ``run`` into ``folder``; returns the files.  Those of an earlier export are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        WEIGHTS: lambda file: shutil.copyfile(run.path / "weights.safetensors", file),
        NETWORK: lambda file: write_onnx(run, file),
        CARD: lambda file: file.write_text(card(run), encoding="utf-8"),
    }
    paths.write_json(folder / SETTINGS, settings(run))
    for name, write in writers.items():
        paths.write_whole(folder / name, write)
    return [folder / name for name in (SETTINGS, *writers)]


def settings(run: Run) -> dict[str, Any]:
    """What a program needs to use the weights."""
    network = run.record["network"]
    size = network["settings"]["size"]
    return {
        "network": network,
        "emotions": list(run.emotions),
        "input": {
            "name": "faces",
            "shape": ["N", 1, size, size],
            "values": "grey levels, 0 to 255, not normalised",
        },
        "output": {"name": "probabilities", "shape": ["N", len(run.emotions)], "order": list(run.emotions)},
        "flip_at_test": run.record["recipe"]["flip_at_test"],
        "run": run.key,
        "ferlib": run.record["ferlib"],
    }


def write_onnx(run: Run, file: Path) -> None:
    """The network with its softmax as one ONNX file, for any number of faces."""
    size = run.record["network"]["settings"]["size"]
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter tells each of its steps
        torch.onnx.export(
            Probabilities(run.model()).eval(),
            (torch.zeros(2, 1, size, size),),
            str(file),
            dynamo=True,
            external_data=False,
            input_names=["faces"],
            output_names=["probabilities"],
            dynamic_shapes={"faces": {0: torch.export.Dim("N")}},
        )


def card(run: Run) -> str:
    """The model card: what it is, how good, on whom, and what it must not be used for."""
    told, rng = run.record, np.random.default_rng(0)
    corpus, p = told["corpus"], run.predictions
    scores = {
        "accuracy": metrics.accuracy(p, rng),
        "always naming the commonest emotion": metrics.baseline_accuracy(p, told["counts"]["train"], rng),
        "macro F1": metrics.macro_f1(p, rng),
        "calibration error": metrics.ece(p, rng),
        **{f"recall of {name}": recall for name, recall in metrics.per_class_recall(p, rng).items()},
    }
    rows = "\n".join(
        f"| {name} | {e.value:.3f} | {e.low:.3f} to {e.high:.3f} |" for name, e in scores.items()
    )
    return CARD_TEXT.format(
        key=run.key, network=told["network"]["name"], n=told["network"]["n_parameters"],
        emotions=", ".join(run.emotions), corpus=corpus["name"], digest=corpus["digest"][:8],
        drawn=DRAWN if corpus["synthetic"] else PHOTOGRAPHS, sentence=told["sentence"], n_test=len(p), rows=rows,
        size=told["network"]["settings"]["size"], seed=told["seed"], device=told["device"],
        date=told["date"][:10], version=told["ferlib"],
    )  # fmt: skip


DRAWN = "These faces are drawn. Nothing here is a result on photographs of people."
PHOTOGRAPHS = "The licence of the corpus may also bind those who pass on networks trained on it."
CARD_TEXT = """\
# {key}

{network} with {n:,} parameters. It gives a picture of a face one of the names {emotions}.

## Use

Input `faces`: grey levels from 0 to 255, float32, `(N, 1, {size}, {size})`, not normalised: the network does that.
Output `probabilities`: `(N, K)` in the order above. Crop the face first, as `ferlib predict` does.

```python
import cv2  # or any ONNX runtime
net = cv2.dnn.readNetFromONNX("model.onnx")
net.setInput(faces)
probabilities = net.forward()
```

## Trained on

{corpus} (digest {digest}), seed {seed}, {device}, {date}, ferlib {version}. {drawn}

{sentence}

## How good

On {n_test:,} test faces, with 95 % intervals from resampling people, or pictures where people are not known.

| measure | value | interval |
|---|---|---|
{rows}

## What it cannot know, and what it must not be used for

It repeats the names that people gave to pictures. It does not know what anybody feels. It has not been shown to serve
all groups of people equally well. Do not use it for decisions about people, nor to watch people who have not agreed.
In the European Union, inferring emotions of people at work or in education is prohibited, save for medical or safety
reasons: Regulation (EU) 2024/1689, Article 5(1)(f).
"""
