"""Crisp features painted by address: brows, eyes, lips, mouth, nostrils, glasses.

Painters see a flat list of M pixels of all faces of a batch, and only those near their feature.
Colours are (3, M) in linear light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ferlib.synthetic.head import EYE, EYE_HALF, EYE_RADIUS, LIP_LINE, LIP_STRIP, MOUTH_HALF
from ferlib.synthetic.lips import Region, between
from ferlib.synthetic.people import People
from ferlib.synthetic.raster import chosen


class Pixels:
    """What the painters know of each pixel.

    face : (M,) int64, its face in the batch.  across, height : (M,) material address, cm.
    at : (3, M) place in the head's frame, cm.  ray : (3, M) unit direction of sight in that frame.
    light : (3, M) irradiance on the skin.  cm : (M,) size of a pixel.  skin : (M,) in [0, 1], bare front of the head.
    grain : (M,) hair noise of unit variance.  All but the face lie in one ``table`` (14, M): it is taken apart often.
    """

    def __init__(self, face: torch.Tensor, table: torch.Tensor) -> None:
        self.face, self.table = face, table
        self.across, self.height, self.grain = table[:3]
        self.at, self.ray, self.light = table[3:6], table[6:9], table[9:12]
        self.cm, self.skin = table[12:]

    def __getitem__(self, rows: torch.Tensor) -> Pixels:
        return Pixels(self.face.index_select(0, rows), self.table.index_select(1, rows))


def paint_near(colour: torch.Tensor, p: Pixels, near: torch.Tensor, painter, *subjects) -> None:
    """Lets ``painter(colour, pixels, *subjects)`` repaint, in place, the pixels where ``near`` (M,) is true."""
    rows = chosen(near)
    if len(rows):
        colour.index_copy_(1, rows, painter(colour.index_select(1, rows), p[rows], *subjects))


def step(x: torch.Tensor, width) -> torch.Tensor:
    """0 below -width/2, 1 above width/2: an anti-aliased edge at x = 0."""
    return (x / width + 0.5).clamp(0, 1)


def bell(x: torch.Tensor) -> torch.Tensor:
    """exp(-x^2)."""
    return torch.exp(-x * x)


def over(colour: torch.Tensor, paint: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """``paint`` laid over ``colour`` (3, M) with coverage ``alpha`` (M,)."""
    return colour + (paint - colour) * alpha


def rgb(colour: torch.Tensor, red: float, green: float, blue: float) -> torch.Tensor:
    """A constant colour (3, 1)."""
    return colour.new_tensor([red, green, blue])[:, None]


def of(table: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """Each pixel's row of a table (N, C) of faces, (C, M)."""
    return table.T.contiguous().index_select(1, face)


def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Scalar product (M,) of (3, M) vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(a: torch.Tensor) -> torch.Tensor:
    """Vectors (3, M) scaled to length 1."""
    return a * torch.rsqrt(dot(a, a) + 1e-12)


def lid_margins(side: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Heights of the upper and lower lid margins; the torch twin of ``muscles.upper_lid`` and ``lower_lid``."""
    t = ((side - EYE[0]) / EYE_HALF).clamp(-1, 1)
    a = t.abs()
    base = -0.04 + 0.07 * t
    return base + 0.49 * (1 - a**2.3) * (1 - 0.12 * t), base - 0.44 * (1 - a**2.2) * (1 + 0.14 * t)


def brows(colour, p: Pixels, people: People):
    """Eyebrows: a tapering band of hairs above each eye."""
    look = lambda name: people.looks[name].index_select(0, p.face)  # noqa: E731
    s = ((p.across.abs() - 1.15) / 3.75).clamp(-0.05, 1.1)
    ridge = 1.60 + (0.32 + 0.3 * look("brow_arch")) * torch.sin(2.5 * s.clamp(0, 1)) - 0.25 * s**3
    half = 0.30 * look("brow_thick") * (1 - 0.75 * s.clamp(0, 1) ** 1.6)
    off = p.height - ridge + 0.03 * p.grain
    soft = 0.14 + p.cm
    body = step(half - off.abs(), soft) * step(s, 0.16) * step(1 - s, 0.25) * p.skin
    dense = (0.86 + 0.14 * p.grain).clamp(0.3, 1)
    tone = (of(people.hair, p.face) * 0.5).clamp(0.010, 0.13) * p.light
    tone = torch.minimum(tone, colour * 0.45)
    return over(colour, tone, (body * dense * (0.60 + 0.16 * look("male"))).clamp(0, 0.95))


@dataclass
class Eyes:
    """Left and right: ``centre`` (N, 2, 3) of the eyeballs, ``opened`` (N, 2) of the lids in [0, 1.6],
    ``gaze`` (N, 3) and ``key`` (N, 3), unit vectors of sight and towards the key light."""

    centre: torch.Tensor
    opened: torch.Tensor
    gaze: torch.Tensor
    key: torch.Tensor


def eyes(colour, p: Pixels, people: People, eye: Eyes):
    """Eyeballs with iris and catch-light, shadow of the lids, lashes, crease."""
    which = (p.across <= 0).long()
    opened = eye.opened.reshape(-1).index_select(0, 2 * p.face + which)
    side = p.across.abs()
    up, low = lid_margins(side)
    span = 1 - (side - EYE[0]).abs() / EYE_HALF
    soft = p.cm / opened.clamp(0.12, 1.5)
    under, above = up - p.height, p.height - low
    inside = step(under, soft) * step(above, soft) * step(span, 0.04) * p.skin * (opened * 6).clamp(0, 1)
    depth = (under * opened).clamp(min=0)
    shade = (1 - 0.66 * torch.exp(-depth / 0.18)) * (
        1 - 0.3 * torch.exp(-(above * opened).clamp(min=0) / 0.1)
    )
    shade = shade * (1 - 0.35 * ((side - EYE[0]).abs() / EYE_HALF) ** 3)
    colour = _lid_skin(colour, p, people, up, low, opened, span)
    shade = shade * (0.55 + 0.5 * opened.clamp(0, 0.9))
    rows = chosen(inside > 0)
    body = _eyeball(p[rows], people, eye, which.index_select(0, rows)) * shade.index_select(0, rows)
    colour[:, rows] = over(colour.index_select(1, rows), body, inside.index_select(0, rows))
    female = 1 - people.looks["male"].index_select(0, p.face)
    thick = (0.05 + 0.035 * female) * (1 + 0.5 * (side - EYE[0]) / EYE_HALF) + 0.35 * p.cm
    scale = torch.where(p.height > up, torch.ones_like(opened), opened.clamp(0.3, 1.2))
    seam = torch.maximum(p.height - up, (low - p.height) * 0.8).clamp(min=0)  # where closed lids meet
    shut = (1 - 3.0 * opened).clamp(0, 1)
    lash = torch.maximum(bell((p.height - up) * scale / thick), shut * bell(seam / (1.25 * thick)))
    lash = torch.maximum(lash, 0.4 * bell((p.height - low) / (0.6 * thick)))
    lash = lash * step(span + 0.03, 0.12) * p.skin
    return colour * (1 - 0.88 * lash * (0.06 / (0.35 * p.cm + 0.06)) ** 0.3)


def _eyeball(p: Pixels, people: People, eye: Eyes, which: torch.Tensor) -> torch.Tensor:
    """Light (3, M) from the ball where the line of sight meets it: white, iris, pupil, catch-light."""
    start = p.at - eye.centre.reshape(-1, 3).T.index_select(1, 2 * p.face + which)
    along = dot(start, p.ray)
    reach = along * along - dot(start, start) + EYE_RADIUS**2
    ball = (start - (along + reach.clamp(min=0).sqrt()) * p.ray) / EYE_RADIUS
    away = EYE_RADIUS * (2 - 2 * dot(ball, of(eye.gaze, p.face))).clamp(min=0).sqrt()
    iris, pupil = step(0.59 - away, 0.05 + p.cm), step(0.23 - away, 0.05 + p.cm)
    ring = bell((away - 0.59) / 0.12)
    glow = (0.55 + 0.9 * bell((away - 0.33) / 0.16)) * (1 - 0.6 * ring)
    white = rgb(p.at, 0.54, 0.49, 0.465) * _dimmed(people, p)
    white = 0.58 * white * (1 - bell((p.across.abs() - 1.72) / 0.22) * rgb(p.at, 0.1, 0.45, 0.45))
    body = over(white, of(people.iris, p.face) * glow, iris) * (1 - 0.93 * pupil)
    body = body * (p.light.mean(0) * 0.35 + p.light * 0.65)
    glint = dot(ball, unit(of(eye.key, p.face) - p.ray))
    spot = 1.1 * step(glint - 0.988, 0.012 + 0.05 * p.cm) + 0.10 * glint.clamp(min=0) ** 24
    return body + spot * (2 * eye.opened.reshape(-1).index_select(0, 2 * p.face + which) - 0.3).clamp(
        0, 1
    )  # lids that nearly meet shade it


def _dimmed(people: People, p: Pixels) -> torch.Tensor:
    """How bright (M,) teeth and eyes are: less in a dark face, on which a camera opens its shutter longer."""
    return (0.4 + 0.7 * people.skin.mean(1) ** 0.4).index_select(0, p.face)


def _lid_skin(colour, p: Pixels, people: People, up, low, opened, span):
    """Crease of the upper lid, rim of the lower one."""
    wide = step(span + 0.12, 0.3) * p.skin
    deep = 1 - people.looks["epicanthus"].index_select(0, p.face)
    crease = bell((p.height - up - 0.10 - 0.26 * deep) / (0.085 + 0.5 * p.cm))
    crease = crease * wide * (0.25 + 0.4 * deep) * (0.55 + 0.45 * opened.clamp(0, 1.3))
    rim = bell((low - p.height - 0.04) / (0.06 + 0.4 * p.cm)) * step(span, 0.2) * p.skin
    return colour * (1 - crease) * (1 - 0.8 * rgb(colour, 0.25, 0.5, 0.48) * rim)


def lips(colour, p: Pixels, people: People, pressed: torch.Tensor, skin: Region):
    """The red of the lips, before the mouth opens between them; as thin and as pale as they are ``pressed``."""
    t = (p.across.abs() / MOUTH_HALF).clamp(0, 1)
    arch = (1 - t * t).clamp(min=0)
    bow = 0.10 * bell((p.across.abs() - 0.5) / 0.38) - 0.10 * bell(p.across / 0.24)
    upper = 0.66 * arch**0.85 + bow
    lower = 0.86 * arch**0.75
    h, drawn = between(pressed, skin, p.face, p.across, p.at[1])
    cm = p.cm / drawn.clamp(max=1)
    edge = torch.where(h > 0, upper - h, lower + h)
    body = step(edge, 0.14 + cm) * step(1 - t, 0.03) * p.skin
    tint, paint = rgb(colour, 0.86, 0.60, 0.60), rgb(colour, 0.78, 0.28, 0.32)
    red = (
        colour
        * (tint + (paint - tint) * people.looks["lipstick"].index_select(0, p.face))
        * torch.where(h > 0, 0.86, 1.0)
    )
    meet = 0.3 + 0.5 * (1 - drawn).clamp(0, 1)  # pressed lips meet in a dark line
    seam = meet * bell(h / (0.08 + 0.7 * cm)) * (1 - t**4)
    return over(colour, red * (1 - 0.05 * p.grain), body) * (1 - seam * body)


@dataclass
class Mouth:
    """``centre`` (N, 3) of the closed lips in the head's frame, ``jaw`` (N,) drop in cm, ``gap`` (N,) between
    the lips in cm and ``opened`` (N,) how much of it the expression opened,
    ``bared`` (N,) in [0, 1] how far the upper lip uncovers the teeth."""

    centre: torch.Tensor
    jaw: torch.Tensor
    gap: torch.Tensor
    opened: torch.Tensor
    bared: torch.Tensor


def mouth(colour, p: Pixels, people: People, m: Mouth):
    """The opening between the lips: dark, with teeth and tongue at their place in the head."""
    t = (LIP_LINE - p.height) / LIP_STRIP
    x = p.across.abs() / MOUTH_HALF
    tall = m.gap.index_select(0, p.face) * (1 - x * x).clamp(min=0.003).sqrt()
    inside = step(1 - t.abs(), 2 * p.cm / (tall + 0.3 * p.cm)) * step(1 - x, 0.02) * p.skin
    inside = (
        inside
        * (tall / (0.35 * p.cm + tall)).clamp(0, 1)
        * (m.opened.index_select(0, p.face) * 12 - 0.6).clamp(0, 1)
    )
    shade = 0.5 + 0.5 * step(tall * (1 - t.abs()) - 0.02, 0.2)
    rows = chosen(inside > 0)
    shade = shade * _dimmed(people, p)
    seen = _inside_mouth(p[rows], m) * shade.index_select(0, rows)
    return colour.index_copy_(1, rows, over(colour.index_select(1, rows), seen, inside.index_select(0, rows)))


def _inside_mouth(p: Pixels, m: Mouth) -> torch.Tensor:
    """Light (3, M) from teeth, gums and tongue on a plane 0.75 cm behind the closed lips."""
    centre, jaw = of(m.centre, p.face), m.jaw.index_select(0, p.face)
    back = (centre[2] - 0.75 - p.at[2]) / p.ray[2].clamp(max=-0.2)
    x = p.at[0] + back * p.ray[0] - centre[0]
    y = p.at[1] + back * p.ray[1] - centre[1]
    edge_up, edge_low = (
        -0.02 - 0.32 * m.bared.index_select(0, p.face) + 0.05 * x * x,
        -0.5 - jaw * 0.93 + 0.04 * x * x,
    )
    wide = (1 - (x / 2.75) ** 2).clamp(0, 1)
    upper = step(y - edge_up, 0.06 + p.cm) * step(edge_up + 1.15 - y, 0.15 + p.cm)
    lower = step(edge_low - y, 0.06 + p.cm) * step(y - edge_low + 0.75, 0.15 + p.cm)
    clefts = torch.cos(x.abs() * 7.4 - 0.2).clamp(min=0) ** 24 * (0.05 / (0.05 + p.cm))
    tongue = bell(x / 1.7) * bell((y + 0.35 + 0.86 * jaw) / (0.18 + 0.25 * jaw)) * (jaw * 1.5).clamp(0, 1)
    inner = rgb(x, 0.030, 0.010, 0.009).expand(3, len(x))
    inner = over(inner, rgb(x, 0.36, 0.10, 0.095) * p.light, 0.8 * tongue)
    inner = over(inner, rgb(x, 0.30, 0.09, 0.085) * p.light, step(y - edge_up - 1.05, 0.2))
    glow = p.light.mean(0) * 0.8 + 0.3
    white = rgb(x, 0.66, 0.60, 0.49) * glow * (0.40 + 0.75 * wide) * (1 - 0.45 * clefts)
    inner = over(inner, white * 0.8, lower * wide.sqrt())
    return over(inner, white, upper * wide.sqrt())


def nostrils(colour, p: Pixels):
    """Dark openings under the nose, and the crease round each wing."""
    side = p.across.abs()
    dx, dy = side - 0.72, p.height + 4.56
    hole = torch.exp(-((dx * 0.92 + dy * 0.4) ** 2) / 0.13 - (dy * 0.92 - dx * 0.4) ** 2 / 0.035)
    wing = bell((torch.hypot((side - 1.25) * 1.05, p.height + 4.1) - 0.74) / (0.09 + 0.4 * p.cm))
    wing = wing * step(side - 1.45, 0.5) * step(-3.7 - p.height, 0.5)
    under = bell((p.height + 4.92) / 0.12) * step(1.5 - side, 0.6)
    colour = colour * (1 - 0.9 * (hole * 1.15).clamp(0, 1) * p.skin)
    return colour * (1 - (0.36 * wing + 0.09 * under) * p.skin)


def glasses(colour, p: Pixels, people: People, bridge: torch.Tensor):
    """Frames in a plane before the eyes, for those who wear them.  ``bridge`` (N, 3) is the nose's root."""
    wears, shape, root = (
        people.looks["glasses"].index_select(0, p.face),
        people.looks["glasses_shape"].index_select(0, p.face),
        of(bridge, p.face),
    )
    back = (root[2] + 0.75 - p.at[2]) / p.ray[2].clamp(max=-0.2)
    x = p.at[0] + back * p.ray[0] - root[0]
    y = p.at[1] + back * p.ray[1] - root[1] + 0.55
    boxy = 2.2 + 4.0 * shape
    radius = ((x.abs() - 3.35).abs() / 2.75) ** boxy + (y.abs() / 2.1) ** boxy
    rim = ((radius + 1e-6) ** (1 / boxy) - 1) * 2.3
    frame = step(0.07 + 0.09 * (shape > 0.5) - rim.abs(), p.cm)
    nose = step(0.11 - (y - 0.75 + 0.2 * x * x).abs(), p.cm) * step(0.62 - x.abs(), p.cm)
    arm = (
        step(0.13 - (p.at[1] - root[1] - 0.2).abs(), p.cm)
        * step(p.at[0].abs() - 5.6, 0.4)
        * (p.at[2] > -8).float()
    )
    alpha = torch.maximum(torch.maximum(frame, nose), arm) * wears
    dark = 0.02 + 0.10 * (shape - 0.5).abs() * rgb(x, 1.2, 0.9, 0.6)
    colour = over(colour, p.light * 0.4, (rim < 0).float() * wears * 0.04)
    return over(colour, dark * (0.4 + 0.6 * p.light), alpha)
