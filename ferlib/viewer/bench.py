"""The live face of the filter viewer: rank any corpus anew, or move a drawn face and watch a filter follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ferlib import filters
from ferlib.datasets import FaceSet
from ferlib.filters import Atlas
from ferlib.filters.record import n_filters_of
from ferlib.labels import DRAWN_AUS
from ferlib.plots import AMBER
from ferlib.synthetic import primer, render
from ferlib.viewer.au_slider import STEP, au_sliders, in_columns
from ferlib.viewer.common import webp
from ferlib.viewer.sprites import credited, rgb, sprite

FACE_PX = 96
CROPPED = {"frame": 19.1, "eye_line": 0.39}
"""Framing of the sitter: as the faces of FER2013 and of the probe."""
MOST = 24


def cropped_sitter(person: int = 6) -> primer.Sitter:
    """Person ``person`` of the primer, framed as the faces of the corpora are cropped."""
    who = primer.sitter(person)
    return primer.Sitter(who.people, who.scene.with_(**CROPPED))


@dataclass(frozen=True, eq=False)
class Seen:
    """One drawn face and what the network makes of it.

    picture : (H, W, 3) uint8.  map : (h, w) float32, the filter's answer.  probabilities : (E,) float.
    strongest : the answer to the face of the first corpus that excites the filter most.
    """

    picture: np.ndarray
    map: np.ndarray
    probabilities: np.ndarray
    strongest: float


@dataclass(frozen=True, eq=False)
class Bench:
    """A network on the bench.

    model : takes (B, 1, size, size).  emotions : its classes.  corpora : name -> faces that can be ranked.
    sitter : the face that is moved.  size : side of the faces the network takes, pixels.
    """

    model: Any
    emotions: tuple[str, ...]
    corpora: Mapping[str, FaceSet]
    sitter: primer.Sitter = field(default_factory=cropped_sitter)
    size: int = 48

    @cached_property
    def _atlases(self) -> dict[tuple[str, str], Atlas]:
        return {}

    def _atlas(self, corpus: str, layer: str) -> Atlas:
        """The ranking of ``corpus``, made once."""
        if (corpus, layer) not in self._atlases:
            self._atlases[corpus, layer] = filters.rank(self.model, self.corpora[corpus], layer, k=MOST)
        return self._atlases[corpus, layer]

    @cached_property
    def _faces(self) -> dict[bytes, np.ndarray]:
        return {}

    def face(self, levels: np.ndarray, moved: str | None = None) -> np.ndarray:
        """(H, W, 3) uint8: the sitter with AU ``levels`` (U, 2) in [0, 5].

        The rig draws a batch in the time of one face: the places to which the slider of AU ``moved`` may go next
        are drawn along and kept until it leaves them.
        """
        if levels.tobytes() not in self._faces:
            batch = levels[None]
            if moved is not None:
                au = DRAWN_AUS.index(moved)
                places = np.arange(0, 5 + STEP, STEP, dtype=levels.dtype)
                near = np.argsort(np.abs(places - levels[au].max()))[: render.batch_for(FACE_PX) - 1]
                batch = np.repeat(batch, 1 + len(near), axis=0)
                batch[1:, au] = places[near, None]
            self._faces.clear()
            self._faces.update(
                (one.tobytes(), drawn)
                for one, drawn in zip(batch, self.sitter.draw(batch, FACE_PX), strict=True)
            )
        return self._faces[levels.tobytes()]

    def look(self, levels: np.ndarray, layer: str, unit: int, moved: str | None = None) -> Seen:
        """Draw the sitter as :meth:`face` does and run the network over it once."""
        import cv2
        import torch

        picture = self.face(levels, moved)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        face = cv2.resize(grey, (self.size, self.size), interpolation=cv2.INTER_AREA)
        with torch.inference_mode(), filters.recording(self.model, layer) as kept:
            answer = self.model(torch.from_numpy(face)[None, None].float())
            probabilities = answer[0].softmax(dim=0).numpy()
        strongest = float(self._atlas(next(iter(self.corpora)), layer).top_values[unit, 0])
        return Seen(picture, kept[layer][0, unit].numpy(), probabilities, strongest)

    def ranked(self, corpus: str, layer: str, unit: int, n: int, method: str) -> tuple[np.ndarray, str]:
        """The ``n`` faces of ``corpus`` that excite a filter most, above what excites it: a picture, and words."""
        faces, atlas = self.corpora[corpus], self._atlas(corpus, layer)
        top = atlas.top_images[unit, :n]
        images = np.ascontiguousarray(faces.images[top])
        positions = atlas.top_positions[unit, :n]
        maps = filters.attribution(method, self.model, layer, images, np.full(len(top), unit), positions)
        plain = np.repeat(images[..., None], 3, axis=3)
        rows = np.concatenate([plain, credited(images, maps.seen)])
        words = f"{atlas.state()[unit]}, fires on {atlas.fires[unit]:.0%} of {atlas.n_images:,} faces. {maps.reason}"
        return sprite(rows, columns=len(top)), words

    def widget(self) -> Any:
        """The ipywidgets box: above the ranked faces, below the face that moves."""
        import ipywidgets as widgets

        return widgets.VBox([self._choices(), self._stage()])

    # ---------------------------------------------------------------------------------- the parts of the box

    @cached_property
    def _address(self) -> dict[str, Any]:
        """Layer and filter, which both halves of the box share."""
        import ipywidgets as widgets

        layers = filters.conv_layers(self.model)
        layer = widgets.Dropdown(options=layers, value=layers[-1], description="layer")
        unit = widgets.BoundedIntText(
            value=0, min=0, max=n_filters_of(self.model, layers[-1]) - 1, description="filter"
        )

        def fit(_: Any) -> None:
            unit.max = n_filters_of(self.model, layer.value) - 1

        layer.observe(fit, names="value")
        return {"layer": layer, "unit": unit}

    def _choices(self) -> Any:
        import ipywidgets as widgets

        corpus = widgets.Dropdown(options=list(self.corpora), description="corpus")
        n = widgets.IntSlider(value=6, min=1, max=12, description="faces", continuous_update=False)
        method = widgets.Dropdown(options=filters.METHODS, description="method")
        picture = widgets.Image(format="webp", layout=widgets.Layout(width="40rem", max_width="100%"))
        words = widgets.Label()

        def rank(_: Any = None) -> None:
            shown, said = self.ranked(corpus.value, *self._chosen, n.value, method.value)
            picture.value, words.value = webp(shown, quality=90), said

        for control in (corpus, n, method, self._address["unit"], self._address["layer"]):
            control.observe(rank, names="value")
        rank()
        return widgets.VBox(
            [widgets.HBox([*self._address.values(), corpus]), widgets.HBox([n, method]), words, picture]
        )

    @property
    def _chosen(self) -> tuple[str, int]:
        return self._address["layer"].value, self._address["unit"].value

    def _stage(self) -> Any:
        import ipywidgets as widgets

        sliders = au_sliders(filters.TUNED_AUS)
        picture = widgets.Image(format="webp", layout=widgets.Layout(width="26rem"))
        told = widgets.HTML()
        rest = widgets.Button(description="neutral")

        def draw(change: Any = None) -> None:
            levels = primer.levels_of({au: s.value for au, s in sliders.items()})
            moved = next((au for au, s in sliders.items() if change is not None and s is change.owner), None)
            seen = self.look(levels, *self._chosen, moved)
            picture.value, told.value = side_by_side(seen), bars(self.emotions, seen)

        def reset(_: Any) -> None:
            for slider in sliders.values():
                slider.value = 0

        for control in (*sliders.values(), *self._address.values()):
            control.observe(draw, names="value")
        rest.on_click(reset)
        draw()
        return widgets.HBox([widgets.VBox([picture, told, rest]), *in_columns(sliders)])


def side_by_side(seen: Seen) -> bytes:
    """The face and the filter's map over it, as a WebP file."""
    return webp(np.hstack([seen.picture, with_map(seen)]), quality=90)


def with_map(seen: Seen) -> np.ndarray:
    """The face in grey under the filter's map: the stronger the answer, the more amber.  (H, W, 3) uint8."""
    import cv2

    grey = np.repeat(cv2.cvtColor(seen.picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    enlarged = cv2.resize(seen.map, grey.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    share = np.clip(enlarged / max(seen.strongest, 1e-9), 0, 1)[..., None] ** 0.7 * 0.9
    return np.round(grey * (1 - share) + rgb(AMBER) * share).astype(np.uint8)


def bars(emotions: tuple[str, ...], seen: Seen) -> str:
    """The filter's answer and the probability of each emotion, as HTML."""
    rows = "".join(
        f'<div style="display:grid;grid-template-columns:6rem 1fr 3rem;gap:.5rem"><span>{emotion}</span>'
        f'<span style="align-self:center;height:.7rem;border-radius:3px;background:#0072b2;width:{100 * p:.1f}%">'
        f"</span><span>{p:.0%}</span></div>"
        for emotion, p in zip(emotions, seen.probabilities, strict=True)
    )
    return f'<div style="width:26rem">The filter answers {seen.map.max():.2f}.{rows}</div>'
