"""Objects with three faces: a picture always, an explorer in a page without a kernel, widgets in a live one."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import string
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferlib import plots
from ferlib.labels import AU_LETTERS, AU_MUSCLES, AU_NAMES, au_title
from ferlib.synthetic import primer

LIVE_PX = 112
"""Side of the pictures in a live kernel: small enough for ten a second on one core."""

UPPER = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU43", "AU45")
"""AUs of the upper face, as the FACS manual divides it."""

NEUTRAL = "The face at rest: no Action Unit acts."


def webp(picture: np.ndarray, quality: int = 76) -> bytes:
    """``picture`` (H, W, 3) uint8 RGB as a WebP file."""
    import cv2

    return cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def data_url(picture: np.ndarray) -> str:
    """``picture`` (H, W, 3) uint8 RGB as the source of an ``<img>`` that needs no file."""
    return "data:image/webp;base64," + base64.b64encode(webp(picture)).decode()


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


# ---------------------------------------------------------------------------------------------- the slider


@dataclass(frozen=True, eq=False)
class AUSlider:
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = {"image/png": self.sheet(), "text/html": self.html(), "text/plain": repr(self)}
        if self.sitter is not None and is_live():
            bundle |= self.widget()._repr_mimebundle_()
        return bundle

    def __repr__(self) -> str:
        return f"AUSlider of {len(self.steps)} moves: {', '.join(self.steps)}"


SLIDER = (
    '<div class="au-row"><label for="slide-{au}">{title}</label>'
    '<input type="range" id="slide-{au}" min="0" max="{last}" value="0" data-au="{au}" aria-valuetext="neutral">'
    '<output for="slide-{au}">–</output></div>'
)
GROUP = '<fieldset><legend>{}</legend><div class="au-rows">{}</div></fieldset>'


def is_live() -> bool:
    """Whether a person sits before this kernel: not under the builder, which keeps pages and not widgets."""
    return "FERLIB_RESULT" not in os.environ


def live(sitter: primer.Sitter, aus: list[str]) -> Any:
    """An ipywidgets box: a slider an AU, a choice of side, and the face that they make."""
    import ipywidgets as widgets

    def slider(au: str) -> Any:
        return widgets.FloatSlider(
            value=0, min=0, max=5, step=0.25, description=f"AU {int(au[2:])}", description_tooltip=au_title(au),
            readout_format=".1f", layout=widgets.Layout(width="17rem"),
        )  # fmt: skip

    sliders = {au: slider(au) for au in aus}
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
    columns = [
        widgets.VBox([s for au, s in sliders.items() if (au in UPPER) == upper]) for upper in (True, False)
    ]
    return widgets.HBox([widgets.VBox([picture, side, reset]), *columns])


# ----------------------------------------------------------------------------------------------- the plates


@dataclass(frozen=True, eq=False)
class AUPlates:
    """The picture table of the primer: for each AU the face at rest, in action, and what changed.

    steps : as :class:`AUSlider` takes them; combinations are left out.
    """

    steps: Mapping[str, np.ndarray]

    def _repr_html_(self) -> str:
        plates = "".join(self._plate(au) for au in self.steps if "+" not in au)
        return f'<style>{PLATES_STYLE}</style><div class="au-plates">{plates}</div>'

    def __repr__(self) -> str:
        return "\n".join(f"{au_title(au)}: {primer.SIGNS[au]}" for au in self.steps if "+" not in au)

    def _plate(self, au: str) -> str:
        neutral, active = self.steps[au][0], self.steps[au][-1]
        strip = np.hstack([neutral, active, coloured_change(neutral, active)])
        alt = f"{au_title(au)}. Left: the face at rest. Middle: the same face at E. Right: where it changed."
        return PLATE.format(
            id=au.lower(), number=int(au[2:]), name=AU_NAMES[au], muscle=AU_MUSCLES[au], sign=primer.SIGNS[au],
            src=data_url(strip), alt=html.escape(alt), width=strip.shape[1], height=strip.shape[0],
        )  # fmt: skip


PLATES_STYLE = """
.au-plates { margin: 1.4rem 0; container-type: inline-size; }
.bd-article .au-plates figure, .au-plates figure { display: grid;
  grid-template-columns: minmax(0, 28rem) minmax(0, 1fr);
  gap: 0.3rem 1.2rem; align-items: center; margin: 0 0 0.9rem; break-inside: avoid; }
.au-plates img { width: 100%; height: auto; border-radius: 10px !important; padding: 0 !important;
  filter: none !important; }
.bd-article .au-plates figcaption, .au-plates figcaption { margin: 0; line-height: 1.45; max-width: none;
  font-size: 0.9rem; font-weight: 400; letter-spacing: 0; color: var(--pst-color-text-base, inherit); }
.bd-article .au-plates figcaption strong { display: block; font-weight: 650; }
.au-plates figcaption em { display: block; color: var(--pst-color-text-muted, #57606a); margin-bottom: 0.3rem; }
@container (max-width: 36rem) {
  .bd-article .au-plates figure, .au-plates figure { grid-template-columns: minmax(0, 1fr); margin-bottom: 1.5rem; }
}
"""
PLATE = (
    '<figure id="{id}"><img src="{src}" alt="{alt}" width="{width}" height="{height}">'
    "<figcaption><strong>AU {number} · {name}</strong><em>{muscle}</em>{sign}</figcaption></figure>"
)


def coloured_change(neutral: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Where a face became darker (blue) or lighter (orange), over its pale outline.

    neutral, active : (H, W, 3) uint8 RGB.  Returns (H, W, 3) uint8 RGB.  Full colour is a sixth of the grey
    scale.
    """
    change = np.clip(primer.change(neutral, active)[..., None] * 6, -1, 1)  # (H, W, 1)
    pale = 255 - 0.22 * (255 - neutral.mean(axis=2, keepdims=True))
    blue, orange = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (plots.BLUE, plots.ORANGE))
    colour = np.where(change < 0, blue, orange)
    share = np.abs(change)
    return np.round(pale * (1 - share) + colour * share).astype(np.uint8)
