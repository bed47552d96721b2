"""The filters of a network, one object with three faces: a contact sheet, an explorer, live widgets."""

from __future__ import annotations

import html
import io
import json
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferlib import plots
from ferlib.config import UsageError, check_name
from ferlib.labels import AU_NAMES, au_title
from ferlib.viewer.common import ThreeFaces, data_url
from ferlib.viewer.layers import Layer
from ferlib.viewer.sprites import COLUMNS, credited, sprite

SHEET_FILTERS = 24
FACES_QUALITY, SEEN_QUALITY = 68, 58
"""Of the sprites: 256 filters with six faces each stay under 3 MB."""

SUFFIX = ".mjs"
"""Of a layer's file: jupyter-book makes every page load every ``.js`` of ``_static``."""

Leave = Callable[[str, str], str]
"""Writes a file beside the page and returns its address from there, as ``Chapter.leave`` does."""


@dataclass(frozen=True, eq=False)
class FilterViewer(ThreeFaces):
    """Filters to look at and to compare.

    layers : what is shown, the first one at first; :func:`ferlib.viewer.layer_of` makes them.
    leave : where the explorer's data goes, a file a layer; without it the page carries the first layer itself.
    bench : a :class:`ferlib.viewer.Bench` for a live kernel, where corpus, faces and muscles can be chosen.
    au : the Action Unit that is chosen at first.
    """

    layers: Sequence[Layer]
    leave: Leave | None = None
    bench: Any = None
    au: str = "AU12"

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError("A FilterViewer wants at least one layer")
        check_name("Action Unit", self.au, self.layers[0].profile.aus)

    def sheet(self) -> bytes:
        """The contact sheet as a PNG file: for each of the liveliest filters its strongest face."""
        layer = self.layers[0]
        chosen = layer.strongest_for(self.au)[:SHEET_FILTERS]
        faces = credited(layer.faces[layer.top[chosen, 0]], layer.seen[chosen, 0])
        axes = plots.face_sheet(list(faces), [f"{layer.name}:{f}" for f in chosen], columns=8)
        figure = axes.flat[0].figure
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        plots.plt.close(figure)
        return file.getvalue()

    def html(self) -> str:
        """The explorer: needs no kernel and no network; each layer is loaded when it is asked for."""
        shown = self.layers if self.leave else self.layers[:1]
        data = {
            "first": shown[0].name,
            "files": {layer.name: self.leave(layer.name + SUFFIX, script(layer)) for layer in shown}
            if self.leave
            else {},
            "inline": {} if self.leave else {layer.name: payload(layer) for layer in shown},
            "titles": {au: au_title(au) for au in AU_NAMES},
        }
        template = string.Template(Path(__file__).with_name("filter_viewer.html").read_text(encoding="utf-8"))
        return template.substitute(
            id="filter-viewer",
            layers="".join(OPTION.format(layer.name, layer.name, "") for layer in shown),
            aus="".join(
                OPTION.format(au, html.escape(au_title(au)), " selected" if au == self.au else "")
                for au in shown[0].profile.aus
            ),
            data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        )

    def widget(self) -> Any:
        """Widgets that rank faces anew and move a drawn face; wants a live kernel and a ``bench``."""
        if self.bench is None:
            raise UsageError("This viewer has no bench: give FilterViewer(layers, bench=viewer.Bench(...))")
        return self.bench.widget()

    def can_live(self) -> bool:
        return self.bench is not None

    def __repr__(self) -> str:
        return "FilterViewer of " + ", ".join(f"{layer.name} ({len(layer)} filters)" for layer in self.layers)


OPTION = '<option value="{0}"{2}>{1}</option>'


def script(layer: Layer) -> str:
    """The data of a layer as a script that a page loads: pages on the disk may load scripts and nothing else."""
    data = json.dumps(payload(layer), separators=(",", ":"))
    return f"window.ferlibLayer({json.dumps(layer.name)},{data});\n"


def payload(layer: Layer) -> dict[str, Any]:
    """All that the explorer knows of a layer: numbers as whole hundredths (q: thousandths), pictures as sprites."""
    told = layer.profile
    n, k = layer.top.shape
    seen = credited(layer.faces[layer.top.ravel()], layer.seen.reshape(n * k, *layer.seen.shape[2:]))
    found: dict[str, Any] = {
        "name": layer.name, "px": layer.faces.shape[1], "k": k, "columns": COLUMNS,
        "faces": data_url(sprite(layer.faces), FACES_QUALITY), "seen": data_url(sprite(seen), SEEN_QUALITY),
        "top": layer.top.ravel().tolist(), "box": layer.boxes.reshape(-1, 4).tolist(),
        "captions": layer.captions, "state": layer.state.tolist(), "fires": whole(layer.fires),
        "mute": np.isnan(layer.seen).any(axis=(2, 3)).sum(axis=1).tolist(),
        "aus": told.aus, "auc": whole(told.effect), "low": whole(told.low), "high": whole(told.high),
        "q": whole(told.q, 1000), "qw": whole(told.q_within, 1000),
        "tuned": [], "curve": [], "clow": [], "chigh": [],
        "select": [None] * n, "prefers": [None] * n,
    }  # fmt: skip
    if layer.tuned is not None:
        curves = layer.tuned.curves
        top = np.maximum(np.abs(curves.value).max(axis=(1, 2), keepdims=True), 1e-9)
        found |= {"tuned": layer.tuned.aus, "curve": whole(curves.value / top)}
        found |= {"clow": whole(curves.low / top), "chigh": whole(curves.high / top)}
        found |= {"select": whole(layer.tuned.selectivity["index"].to_numpy(float))}
        found |= {"prefers": layer.tuned.selectivity["au"].tolist()}
    return found


def whole(values: np.ndarray, times: int = 100) -> list[Any]:
    """``values`` as nested lists of whole numbers; None where nothing is known."""
    values = np.asarray(values, float)
    rounded = np.where(np.isnan(values), 0, np.round(values * times)).astype(int).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()
