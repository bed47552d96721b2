"""One drawn face moved by its Action Units: a sheet, labelled sliders in a page, live sliders that combine."""

from __future__ import annotations

import io
import json
import string
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferlib import plots
from ferlib.labels import AU_LETTERS, AU_MUSCLES, AU_NAMES, au_title
from ferlib.synthetic import primer
from ferlib.viewer.common import ThreeFaces, data_url, webp

LIVE_PX = 112
"""Side of the pictures in a live kernel: small enough for ten a second on one core."""

STEP = 0.25
"""Of a live slider, which goes from 0 (rest) to 5 (E)."""

UPPER = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU43", "AU45")
"""AUs of the upper face, as the FACS manual divides it."""

NEUTRAL = "The face at rest: no Action Unit acts."


def title(move: str) -> str:
    """``"AU 12 (lip corner puller)"`` of ``"AU12"``; ``"AU 6 + 12"`` of ``"AU06+AU12"``."""
    numbers = [str(int(au[2:])) for au in move.split("+")]
    return au_title(move) if move in AU_NAMES else "AU " + " + ".join(numbers)


def sentence(move: str) -> str:
    """What a slider says of its face; ``@`` stands for the letter of the intensity."""
    if move in AU_NAMES:
        return f"{title(move)} at @. Muscle: {AU_MUSCLES[move]}. {primer.SIGNS[move]}"
    names = ", ".join(AU_NAMES[au] for au in move.split("+"))
    return f"{title(move)} at @: {names}."


@dataclass(frozen=True, eq=False)
class AUSlider(ThreeFaces):
    """One drawn face that is moved by its Action Units.

    steps : move (an AU, or AUs joined by ``+``) -> (6, H, W, 3) uint8 RGB, neutral and A to E, from
        :func:`ferlib.synthetic.primer.steps`.
    sitter : who is drawn anew where a kernel is at hand; there the AUs also combine.
    """

    steps: Mapping[str, np.ndarray]
    sitter: primer.Sitter | None = None

    def sheet(self) -> bytes:
        """The contact sheet: each move at E, as a PNG file."""
        names = ["neutral", *map(title, self.steps)]
        pictures = [self._neutral(), *(strip[-1] for strip in self.steps.values())]
        axes = plots.face_sheet(pictures, [textwrap.fill(name, 17) for name in names], columns=6)
        file = io.BytesIO()
        axes.flat[0].figure.savefig(file, format="png", dpi=110)
        plots.plt.close(axes.flat[0].figure)
        return file.getvalue()

    def html(self) -> str:
        """The explorer: labelled sliders over pictures drawn before, one move at a time; needs no kernel."""
        strips = {name: data_url(np.hstack(list(strip[1:]))) for name, strip in self.steps.items()}
        data = {
            "frames": strips,
            "says": {name: sentence(name) for name in self.steps},
            "letters": AU_LETTERS,
            "alt": NEUTRAL,
        }
        template = string.Template(Path(__file__).with_name("au_slider.html").read_text(encoding="utf-8"))
        return template.substitute(
            id="au-slider", neutral=data_url(self._neutral()), alt=NEUTRAL,
            px=self._neutral().shape[0], groups=self._groups(), data=json.dumps(data).replace("<", "\\u003c"),
        )  # fmt: skip

    def _neutral(self) -> np.ndarray:
        return next(iter(self.steps.values()))[0]

    def _groups(self) -> str:
        """The sliders as HTML, in three groups; empty groups are left out."""
        groups: dict[str, list[str]] = {"Upper face": [], "Lower face": [], "Together": []}
        for name in self.steps:
            kind = "Together" if "+" in name else "Upper face" if name in UPPER else "Lower face"
            groups[kind].append(SLIDER.format(au=name, title=title(name), last=len(AU_LETTERS) - 1))
        return "".join(GROUP.format(kind, "".join(rows)) for kind, rows in groups.items() if rows)

    def widget(self) -> Any:
        """Sliders that draw the face anew, so that AUs combine and sides differ; wants a live kernel."""
        if self.sitter is None:
            raise ValueError("This slider knows no sitter to draw: give AUSlider(steps, sitter)")
        return live(self.sitter, [name for name in self.steps if "+" not in name])

    def can_live(self) -> bool:
        return self.sitter is not None

    def __repr__(self) -> str:
        return f"AUSlider of {len(self.steps)} moves: {', '.join(self.steps)}"


SLIDER = (
    '<div class="au-row"><label for="slide-{au}">{title}</label>'
    '<input type="range" id="slide-{au}" min="0" max="{last}" value="0" data-au="{au}" aria-valuetext="neutral">'
    '<output for="slide-{au}">–</output></div>'
)
GROUP = '<fieldset><legend>{}</legend><div class="au-rows">{}</div></fieldset>'


def live(sitter: primer.Sitter, aus: list[str]) -> Any:
    """An ipywidgets box: a slider an AU, a choice of side, and the face that they make."""
    import ipywidgets as widgets

    sliders = au_sliders(aus)
    side = widgets.ToggleButtons(options=["both", "left", "right"], description="side")
    picture = widgets.Image(format="webp", layout=widgets.Layout(width="22rem"))
    reset = widgets.Button(description="neutral")

    def draw(_: Any = None) -> None:
        levels = primer.levels_of({au: s.value for au, s in sliders.items()})
        levels[:, {"both": [], "left": [1], "right": [0]}[side.value]] = 0
        picture.value = webp(sitter.draw(levels[None], LIVE_PX)[0], quality=90)

    def rest(_: Any) -> None:
        for s in sliders.values():
            s.value = 0

    for control in (*sliders.values(), side):
        control.observe(draw, names="value")
    reset.on_click(rest)
    draw()
    return widgets.HBox([widgets.VBox([picture, side, reset]), *in_columns(sliders)])


def au_sliders(aus: Iterable[str]) -> dict[str, Any]:
    """An ipywidgets slider from rest to E for each AU."""
    import ipywidgets as widgets

    def slider(au: str) -> Any:
        return widgets.FloatSlider(
            value=0, min=0, max=5, step=STEP, description=f"AU {int(au[2:])}", description_tooltip=au_title(au),
            readout_format=".1f", layout=widgets.Layout(width="17rem"),
        )  # fmt: skip

    return {au: slider(au) for au in aus}


def in_columns(sliders: Mapping[str, Any]) -> list[Any]:
    """Two boxes: the sliders of the upper face and those of the lower."""
    import ipywidgets as widgets

    return [
        widgets.VBox([s for au, s in sliders.items() if (au in UPPER) == upper]) for upper in (True, False)
    ]
