"""`ClipPlayer`: a clip that loops, and what the AUs, the LSTM and its answer do meanwhile."""

from __future__ import annotations

import html
import io
import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import plots
from ferlib.micro import loso, network
from ferlib.micro.clips import Clips
from ferlib.micro.probes import Named
from ferlib.plots.micro import CHANGE, strip
from ferlib.viewer.common import ThreeFaces, data_url, webp

HOLD_MS = 170
"""How long a frame of the loop stays: slow enough to see what lasts a third of a second."""
SIDE_PX = 160
FULL_SD = 3.0
"""Standard deviations from the mean at which a feature is shown in full colour."""
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2")


@dataclass(frozen=True, eq=False)
class Played:
    """One clip as it is played.

    frames : (T, H, W) uint8.  times : (T,) seconds since the onset.  apex : position.  title : what it is.
    curves : heading -> (T rows, a column a curve) and the highest value of the axis.
    maps : heading -> (T, n) in [-1, 1], n units over time.
    """

    frames: np.ndarray
    times: np.ndarray
    apex: int
    title: str
    curves: Mapping[str, tuple[pd.DataFrame, float]] = field(default_factory=dict)
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)


def played(named: Named, clips: Clips, clip: int, levels: pd.DataFrame | None = None) -> Played:
    """What ``named`` makes of one clip, frame by frame.

    levels : (T rows, an AU a column) the course of its AUs in [0, 5] at the same times, where it is known.
    """
    one = clips.select(np.array([clip]))
    (frames,) = loso.to_length(one, named.config.n_frames)
    edge = frames.shape[1] // 12  # what a crop repeats beyond the picture's border is no face
    frames = frames[:, edge : frames.shape[1] - edge, edge : frames.shape[2] - edge]
    x = named.features(one)
    states, p = network.frame_by_frame(named.lstm, x)
    row = one.table.iloc[0]
    codes = row.get("au_codes")
    curves = {} if levels is None else {"Action Units, level": (levels, max(1.0, float(levels.max().max())))}
    curves["Probability of each class"] = (pd.DataFrame(p[0], columns=named.classes), 1.0)
    z = (x[0] - named.lstm.mean.numpy()) / named.lstm.sd.numpy()
    maps = {"Features of the network": np.clip(z / FULL_SD, -1, 1), "State of the LSTM": states[0]}
    last = len(frames) - 1
    return Played(
        frames, np.linspace(0, one.times[0][-1], last + 1), round(last * row["apex_at"]),
        f"{row['label']} ({'no codes' if pd.isna(codes) else codes}), {row['subject']}", curves, maps,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ClipPlayer(ThreeFaces):
    """One clip, looping.

    clip : what is played.
    others : name -> how to play it, for the list in a live kernel.
    """

    clip: Played
    others: Mapping[str, Callable[[], Played]] = field(default_factory=dict)
    name: str = "clip-player"

    def sheet(self) -> bytes:
        """Eight frames of the clip and what changed, as a PNG file."""
        at = np.linspace(0, len(self.clip.frames) - 1, 8).round().astype(int)
        axes = strip(self.clip.frames[at], [f"{1000 * t:.0f} ms" for t in self.clip.times[at]])
        file = io.BytesIO()
        axes.flat[0].figure.savefig(file, format="png", dpi=110)
        plots.plt.close(axes.flat[0].figure)
        return file.getvalue()

    def html(self) -> str:
        """The loop with a slider; needs no kernel and no network, and stands still where motion is unwanted."""
        clip = self.clip
        n = len(clip.frames)
        step_ms = 1000 * (clip.times[-1] - clip.times[0]) / (n - 1)
        return string.Template(_template()).substitute(
            id=self.name, sheet=f"{100 * n}%", last=n - 1, apex=clip.apex, alt=html.escape(clip.title),
            faces=data_url(_in_a_row(_rgb(clip.frames))), changes=data_url(_in_a_row(coloured(clip.frames))),
            slower=f"{HOLD_MS / step_ms:.0f}", panels="".join(_panels(clip)),
            data=json.dumps({"says": says(clip), "hold": HOLD_MS}).replace("<", "\\u003c"),
        )  # fmt: skip

    def widget(self) -> Any:
        """A list of clips, play buttons and a slider; each clip is computed anew.  Wants a live kernel."""
        return live({self.clip.title: lambda: self.clip, **self.others})

    def can_live(self) -> bool:
        return bool(self.others)

    def __repr__(self) -> str:
        return (
            f"ClipPlayer of {self.clip.title}: {len(self.clip.frames)} frames in {self.clip.times[-1]:.2f} s"
        )


def _template() -> str:
    return Path(__file__).with_name("clip_player.html").read_text(encoding="utf-8")


def says(clip: Played) -> list[str]:
    """What is told of each frame: when it is, which AUs act, and the likeliest class."""
    told = []
    for t, seconds in enumerate(clip.times):
        mark = {0: ", onset", clip.apex: ", apex", len(clip.times) - 1: ", offset"}.get(t, "")
        parts = [f"{1000 * seconds:.0f} ms{mark}"]
        for heading, (curves, _) in clip.curves.items():
            now = curves.iloc[t]
            if heading.startswith("Prob"):
                parts.append(f"so far most like {now.idxmax()}, {100 * now.max():.0f} %")
            else:
                acting = [f"{name} {value:.1f}" for name, value in now.items() if value >= 0.1]
                parts.append(", ".join(acting) or "no Action Unit acts")
        told.append("; ".join(parts))
    return told


def coloured(frames: np.ndarray) -> np.ndarray:
    """Change since the first frame over its pale outline: (T, H, W) uint8 -> (T, H, W, 3) uint8 RGB."""
    share = np.clip((frames.astype(np.float32) - frames[:1]) / CHANGE, -1, 1)[..., None]
    pale = 255 - 0.22 * (255 - frames[:1, ..., None].astype(np.float32))
    return np.round(pale * (1 - abs(share)) + _hue(share) * abs(share)).astype(np.uint8)


def _rgb(frames: np.ndarray) -> np.ndarray:
    return np.repeat(frames[..., None], 3, axis=3)


def _in_a_row(pictures: np.ndarray) -> np.ndarray:
    import cv2

    size = (SIDE_PX, SIDE_PX)
    return np.hstack([cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) for picture in pictures])


def _panels(clip: Played) -> Sequence[str]:
    made = [_curves(heading, *both) for heading, both in clip.curves.items()]
    made += [PANEL.format(f"{heading}, one row a unit", _map(values, f"{heading} over time", 5.5), "")
             for heading, values in clip.maps.items()]  # fmt: skip
    return made


PANEL = '<figure><figcaption>{}</figcaption><div class="clip-plot">{}<span class="clip-now"></span></div>{}</figure>'
LINE = '<polyline stroke="{}" stroke-width="2" stroke-dasharray="{}" points="{}"/>'


def _curves(heading: str, curves: pd.DataFrame, top: float) -> str:
    """Curves as an SVG of 100 x 100 that stretches, and their names below."""
    x = np.linspace(0, 100, len(curves))
    lines, names = [], []
    for (name, values), colour, dash in zip(curves.items(), plots.CYCLE, DASHES, strict=False):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, 100 - 100 * values / top, strict=True))
        lines.append(LINE.format(colour, dash, points))
        names.append(f"<li>{SWATCH.format(colour, dash)}{html.escape(str(name))}</li>")
    frame = '<path d="M0 0V100H100" stroke="currentColor" stroke-opacity="0.45"/>'
    alt = html.escape(f"{heading}: {', '.join(map(str, curves))}")
    drawn = PLOT.format(alt, frame + "".join(lines))
    return PANEL.format(f"{heading} (0 to {top:.2g})", drawn, f"<ul>{''.join(names)}</ul>")


PLOT = '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
SWATCH = (
    '<svg viewBox="0 0 24 8"><path d="M0 4H24" stroke="{}" stroke-width="3" stroke-dasharray="{}"/></svg>'
)


def _map(values: np.ndarray, alt: str, height_rem: float) -> str:
    """Units (T, n) in [-1, 1] as a picture, time across, from blue (-1) over white to orange (1).

    Units stand in the order of the time at which each is farthest from 0.
    """
    order = np.argsort(np.abs(values).argmax(axis=0), kind="stable")
    share = values.T[order][..., None]
    picture = np.round(255 * (1 - abs(share)) + _hue(share) * abs(share)).astype(np.uint8)
    picture = np.repeat(np.repeat(picture, 4 if len(picture) < 100 else 1, axis=0), 16, axis=1)
    return MAP.format(html.escape(alt), height_rem, data_url(picture))


def _hue(share: np.ndarray) -> np.ndarray:
    """Blue for what is negative, orange for the rest: (..., 1) -> (..., 3)."""
    blue, orange = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (plots.BLUE, plots.ORANGE))
    return np.where(share < 0, blue, orange)


MAP = (
    '<div class="clip-map" role="img" aria-label="{}" style="display:block;width:100%;height:{}rem;border-radius:4px;'
    'background:url({}) 0 0/100% 100%;image-rendering:pixelated"></div>'
)


def live(clips: Mapping[str, Callable[[], Played]]) -> Any:
    """An ipywidgets box: which clip, play and scrub, the frame in numbers, and the curves with a line at the frame."""
    import ipywidgets as widgets

    which = widgets.Dropdown(options=list(clips), description="clip", layout=widgets.Layout(width="26rem"))
    play = widgets.Play(interval=HOLD_MS, repeat=True)
    slider = widgets.IntSlider(description="frame")
    widgets.jslink((play, "value"), (slider, "value"))
    face = widgets.Image(format="webp", layout=widgets.Layout(width="16rem"))
    change = widgets.Image(format="webp", layout=widgets.Layout(width="16rem"))
    bars, told, curves, line = (widgets.HTML() for _ in range(4))
    style = _template().partition("</style>")[0]
    now: dict[str, Played] = {}

    def draw(_: Any = None) -> None:
        clip, t = now["clip"], slider.value
        face.value = webp(_in_a_row(_rgb(clip.frames[t : t + 1])), 90)
        change.value = webp(_in_a_row(coloured(clip.frames)[t : t + 1]), 90)
        told.value = html.escape(says(clip)[t])
        bars.value = _bars(clip, t)
        line.value = (
            f"<style>.clip-live .clip-now {{ left: {100 * t / (len(clip.frames) - 1):.1f}% }}</style>"
        )

    def choose(_: Any = None) -> None:
        now["clip"] = clips[which.value]()
        slider.max = play.max = len(now["clip"].frames) - 1
        curves.value = (
            f'{style}</style><div class="clip-player clip-curves">{"".join(_panels(now["clip"]))}</div>'
        )
        slider.value = min(slider.value, slider.max)
        draw()

    which.observe(choose, names="value")
    slider.observe(draw, names="value")
    choose()
    told.add_class("clip-says")
    bars.add_class("clip-bars")
    shown = [
        _captioned(face, "the face"),
        _captioned(change, "what changed: orange is lighter, blue darker"),
        bars,
    ]
    controls = widgets.VBox([which, widgets.HBox([play, slider]), told])
    box = widgets.VBox([controls, widgets.HBox(shown), curves, line])
    box.add_class("clip-live")
    return box


def _captioned(picture: Any, caption: str) -> Any:
    import ipywidgets as widgets

    return widgets.VBox([picture, widgets.Label(caption)])


BAR = (
    '<div style="display:grid;grid-template-columns:7rem 10rem 3rem;gap:.5rem;align-items:center"><span>{}</span>'
    '<span style="height:.8rem;width:{:.1f}%;background:{}"></span><span>{:.2f}</span></div>'
)


def _bars(clip: Played, t: int) -> str:
    """AU levels and probabilities at frame ``t`` as bars, features and the LSTM's state as rows of cells."""
    made = []
    for heading, (curves, top) in clip.curves.items():
        rows = [
            BAR.format(html.escape(str(name)), 100 * max(0.0, value) / top, colour, value)
            for (name, value), colour in zip(curves.iloc[t].items(), plots.CYCLE * 5, strict=False)
        ]
        made.append(f"<b>{heading}</b>{''.join(rows)}")
    for heading, values in clip.maps.items():
        cells = _map(values[t][:, None], f"{heading} at this frame", 0.9)
        made.append(f"<b>{heading}</b><div>{cells}</div>")
    return "".join(made)
