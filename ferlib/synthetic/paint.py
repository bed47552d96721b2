"""Crisp features painted by address: brows, eyes, lips, mouth, nostrils, glasses.

Every function takes flat pixel arrays (N, P), with P pixels a face, and paints over ``colour`` (N, 3, P) in linear light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ferlib.synthetic.head import EYE, EYE_RADIUS, LIP_LINE, LIP_STRIP, MOUTH_HALF
from ferlib.synthetic.people import People


@dataclass
class Pixels:
    """What the painters know of each pixel.

    across, height : (N, P) material address, cm.  at : (N, 3, P) place in the head's frame, cm.
    ray : (N, 3, P) unit direction of sight in the head's frame.  light : (N, 3, P) irradiance on the skin.
    cm : (N, 1) size of a pixel in cm.  face : (N, P) in [0, 1], 1 on the front of the head.
    """

    across: torch.Tensor
    height: torch.Tensor
    at: torch.Tensor
    ray: torch.Tensor
    light: torch.Tensor
    cm: torch.Tensor
    face: torch.Tensor
    grain: torch.Tensor


def step(x: torch.Tensor, width) -> torch.Tensor:
    """0 below -width/2, 1 above width/2: an anti-aliased edge at x = 0."""
    return (x / width + 0.5).clamp(0, 1)


def bell(x: torch.Tensor) -> torch.Tensor:
    """exp(-x^2)."""
    return torch.exp(-x * x)


def over(colour: torch.Tensor, paint: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """``paint`` laid over ``colour`` (N, 3, P) with coverage ``alpha`` (N, P)."""
    return colour + (paint - colour) * alpha[:, None]


def lid_margins(side: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Heights of the upper and lower lid margins; the torch twin of ``muscles.upper_lid`` and ``lower_lid``."""
    t = ((side - EYE[0]) / 1.5).clamp(-1, 1)
    a = t.abs()
    base = -0.04 + 0.07 * t
    return base + 0.52 * (1 - a**2.3) * (1 - 0.12 * t), base - 0.42 * (1 - a**2.2) * (1 + 0.14 * t)


def brows(colour, p: Pixels, people: People):
    """Eyebrows: a tapering band of hairs above each eye."""
    look = lambda name: people.looks[name][:, None]  # noqa: E731
    s = ((p.across.abs() - 1.15) / 3.75).clamp(-0.05, 1.1)
    ridge = 1.62 + (0.35 + 0.3 * look("brow_arch")) * torch.sin(2.5 * s.clamp(0, 1)) - 0.25 * s**3
    half = 0.30 * look("brow_thick") * (1 - 0.75 * s.clamp(0, 1) ** 1.6)
    off = p.height - ridge + 0.03 * p.grain
    soft = 0.12 + p.cm
    body = step(half - off.abs(), soft) * step(s, 0.14) * step(1 - s, 0.2) * p.face
    dense = (0.86 + 0.14 * p.grain).clamp(0.3, 1)
    tone = (people.hair * 0.55).clamp(0.012, 0.14)[:, :, None] * p.light
    tone = torch.minimum(tone, colour * 0.5)
    return over(colour, tone, (body * dense * (0.78 + 0.12 * look("male"))).clamp(0, 0.95))


@dataclass
class Eyes:
    """Left and right: ``centre`` (N, 2, 3) of the eyeballs, ``open_`` (N, 2) of the lids in [0, 1], ``look`` (N, 2, 3) gaze."""

    centre: torch.Tensor
    open_: torch.Tensor
    look: torch.Tensor
    key: torch.Tensor


def eyes(colour, p: Pixels, people: People, eye: Eyes):
    """Eyeballs with iris and catch-light, shadow of the lids, lashes, crease."""
    left = (p.across > 0)[:, None]
    pick = lambda both: torch.where(left, both[:, 0, :, None], both[:, 1, :, None])  # noqa: E731
    opened = torch.where(left[:, 0], eye.open_[:, :1], eye.open_[:, 1:])
    side = p.across.abs()
    up, low = lid_margins(side)
    span = 1 - ((side - EYE[0]).abs() / 1.5)
    soft = p.cm / opened.clamp(0.12, 1.5)
    under, above = (up - p.height), (p.height - low)
    inside = step(under, soft) * step(above, soft) * step(span, 0.04) * p.face * (opened * 6).clamp(0, 1)

    start = p.at - pick(eye.centre)
    along = (start * p.ray).sum(1)
    reach = along * along - (start * start).sum(1) + EYE_RADIUS**2
    ball = (start + (-along - reach.clamp(min=0).sqrt())[:, None] * p.ray) / EYE_RADIUS
    gaze = pick(eye.look)
    away = EYE_RADIUS * (2 - 2 * (ball * gaze).sum(1)).clamp(min=0).sqrt()
    iris = step(0.60 - away, 0.05 + p.cm)
    pupil = step(0.23 - away, 0.05 + p.cm)
    ring = bell((away - 0.60) / 0.12)
    glow = (0.55 + 0.9 * bell((away - 0.33) / 0.16)) * (1 - 0.6 * ring)
    white = torch.stack([0.60 + 0 * away, 0.545 + 0 * away, 0.515 + 0 * away], 1) * (0.55 + 0.45 * people.skin.mean(1)[:, None, None] ** 0.3)
    corner = bell((side - 1.72) / 0.22)
    white = white * (1 - corner[:, None] * white.new_tensor([0.1, 0.45, 0.45])[None, :, None])
    body = over(white, people.iris[:, :, None] * glow[:, None], iris)
    body = body * (1 - 0.93 * pupil)[:, None]
    depth = (under * opened).clamp(min=0)
    shade = (1 - 0.62 * torch.exp(-depth / 0.17)) * (1 - 0.3 * torch.exp(-(above * opened).clamp(min=0) / 0.1))
    shade = shade * (1 - 0.35 * ((side - EYE[0]).abs() / 1.5) ** 3)
    lit = p.light.mean(1, keepdim=True) * 0.35 + p.light * 0.65
    body = body * lit * shade[:, None]
    half = eye.key[:, :, None] - p.ray
    half = half / half.norm(dim=1, keepdim=True)
    glint = (ball * half).sum(1)
    body = body + (1.6 * step(glint - 0.988, 0.012 + 0.05 * p.cm) + 0.10 * glint.clamp(min=0) ** 24)[:, None] * shade[:, None] ** 2
    colour = _lid_skin(colour, p, people, side, up, low, opened, span)
    colour = over(colour, body, inside)
    thick = (0.05 + 0.035 * (1 - people.looks["male"][:, None])) * (1 + 0.5 * (side - EYE[0]) / 1.5) + 0.35 * p.cm
    scale = torch.where(p.height > up, torch.ones_like(opened), opened.clamp(0.15, 1.2))
    lash = bell((p.height - up) * scale / thick) * step(span + 0.03, 0.12) * p.face
    return colour * (1 - 0.88 * lash * (0.06 / (0.35 * p.cm + 0.06)) ** 0.3)[:, None]


def _lid_skin(colour, p: Pixels, people: People, side, up, low, opened, span):
    """Crease of the upper lid, rim and lash shade of the lower one."""
    wide = step(span + 0.12, 0.3) * p.face
    deep = (1 - people.looks["epicanthus"])[:, None]
    crease = bell((p.height - up - 0.10 - 0.26 * deep) / (0.085 + 0.5 * p.cm)) * wide * (0.25 + 0.4 * deep) * (0.45 + 0.55 * opened.clamp(0, 1.3))
    rim = bell((low - p.height - 0.04) / (0.06 + 0.4 * p.cm)) * step(span, 0.2) * p.face
    tint = colour.new_tensor([0.25, 0.5, 0.48])[None, :, None]
    return colour * (1 - crease)[:, None] * (1 - 0.8 * tint * rim[:, None])


@dataclass
class Mouth:
    """``centre`` (N, 3) of the closed lips in the head's frame, ``jaw`` (N,) drop in cm, ``gap`` (N,) opening in cm."""

    centre: torch.Tensor
    jaw: torch.Tensor
    gap: torch.Tensor


def lips(colour, p: Pixels, people: People):
    """The red of the lips, before the mouth opens between them."""
    t = (p.across.abs() / MOUTH_HALF).clamp(0, 1)
    arch = (1 - t * t).clamp(min=0)
    bow = 0.10 * bell((p.across.abs() - 0.5) / 0.38) - 0.10 * bell(p.across / 0.24)
    upper = 0.66 * arch**0.85 + bow
    lower = 0.86 * arch**0.75
    h = p.height - LIP_LINE
    edge = torch.where(h > 0, upper - h, lower + h)
    soft = 0.14 + p.cm
    body = step(edge, soft) * step(1 - t, 0.03) * p.face
    shine = people.looks["lipstick"][:, None, None]
    tint = colour.new_tensor([0.86, 0.60, 0.60])[None, :, None]
    paint = colour.new_tensor([0.78, 0.28, 0.32])[None, :, None]
    darker = torch.where(h > 0, 0.86, 1.0)[:, None]
    seam = bell(h / 0.10) * (1 - t**4)
    red = colour * (tint + (paint - tint) * shine) * darker
    red = red * (1 - 0.12 * bell(p.grain * 1.2)[:, None] * 0.5)
    return over(colour, red, body) * (1 - 0.35 * seam * body)[:, None]


def mouth(colour, p: Pixels, people: People, m: Mouth):
    """The opening between the lips: dark, with teeth and tongue at their place in the head."""
    t = (LIP_LINE - p.height) / LIP_STRIP
    x = p.across.abs() / MOUTH_HALF
    lens = (1 - x * x).clamp(min=0.003).sqrt()
    tall = m.gap[:, None] * lens
    soft = 2 * p.cm / (tall + 0.3 * p.cm)
    inside = step(1 - t.abs(), soft) * step(1 - x, 0.02) * p.face
    inside = inside * (tall / (0.35 * p.cm + tall)).clamp(0, 1)
    back = (m.centre[:, 2:3] - 0.75 - p.at[:, 2]) / p.ray[:, 2].clamp(max=-0.2)
    tx = p.at[:, 0] + back * p.ray[:, 0] - m.centre[:, :1]
    ty = p.at[:, 1] + back * p.ray[:, 1] - m.centre[:, 1:2]
    edge_up = -0.12 + 0.035 * tx * tx
    edge_low = -0.28 - m.jaw[:, None] * 0.93 + 0.04 * tx * tx
    round_ = (1 - (tx / 2.75) ** 2).clamp(0, 1)
    upper = step(ty - edge_up, 0.06 + p.cm) * step(edge_up + 1.0 - ty, 0.15 + p.cm)
    lower = step(edge_low - ty, 0.06 + p.cm) * step(ty - edge_low + 0.75, 0.15 + p.cm)
    gaps = torch.cos(tx.abs() * 7.4 - 0.2).clamp(min=0) ** 24 * (0.05 / (0.05 + p.cm))
    enamel = colour.new_tensor([0.80, 0.755, 0.66])[None, :, None]
    gum = colour.new_tensor([0.42, 0.13, 0.12])[None, :, None]
    tongue = bell(tx / 1.7) * bell((ty + 0.35 + 0.86 * m.jaw[:, None]) / (0.18 + 0.25 * m.jaw[:, None]))
    wet = colour.new_tensor([0.36, 0.10, 0.095])[None, :, None]
    hollow = colour.new_tensor([0.030, 0.010, 0.009])[None, :, None].expand_as(colour)
    shade = 0.25 + 0.75 * step(tall * (1 - t.abs()) - 0.04, 0.5)
    inner = hollow + (wet * p.light - hollow) * (tongue * 0.8 * (m.jaw[:, None] * 1.5).clamp(0, 1))[:, None]
    inner = over(inner, gum * p.light * 0.7, step(ty - edge_up - 0.9, 0.2))
    bright = (0.35 + 0.75 * round_) * (1 - 0.45 * gaps)
    white = enamel * (p.light.mean(1, keepdim=True) * 0.75 + 0.25) * bright[:, None]
    inner = over(inner, white * 0.8, lower * round_.sqrt())
    inner = over(inner, white, upper * round_.sqrt())
    return over(colour, inner * shade[:, None], inside)


def nostrils(colour, p: Pixels):
    """Dark openings under the nose, and the crease round each wing."""
    side = p.across.abs()
    dx, dy = side - 0.68, p.height + 4.66
    hole = bell(torch.sqrt((dx * 0.92 + dy * 0.4) ** 2 / 0.13 + (dy * 0.92 - dx * 0.4) ** 2 / 0.035))
    wing = bell((torch.hypot((side - 1.25) * 1.05, p.height + 4.1) - 0.74) / (0.09 + 0.4 * p.cm))
    wing = wing * step(side - 1.45, 0.5) * step(-3.7 - p.height, 0.5)
    under = bell((p.height + 4.92) / 0.12) * step(1.5 - side, 0.6)
    colour = colour * (1 - 0.9 * (hole * 1.15).clamp(0, 1) * p.face)[:, None]
    return colour * (1 - (0.36 * wing + 0.16 * under) * p.face)[:, None]


def glasses(colour, p: Pixels, people: People, bridge: torch.Tensor):
    """Frames in a plane before the eyes, for those who wear them.  ``bridge`` (N, 3) is the nose's root."""
    wears = people.looks["glasses"]
    if not bool(wears.any()):
        return colour
    back = (bridge[:, 2:3] + 0.75 - p.at[:, 2]) / p.ray[:, 2].clamp(max=-0.2)
    x = p.at[:, 0] + back * p.ray[:, 0] - bridge[:, :1]
    y = p.at[:, 1] + back * p.ray[:, 1] - bridge[:, 1:2] + 0.55
    boxy = 2.2 + 4.0 * people.looks["glasses_shape"][:, None]
    radius = ((x.abs() - 3.35).abs() / 2.75) ** boxy + (y.abs() / 2.1) ** boxy
    rim = ((radius + 1e-6) ** (1 / boxy) - 1) * 2.3
    wire = 0.11 + 0.16 * (people.looks["glasses_shape"][:, None] > 0.5)
    frame = step(wire - rim.abs(), p.cm)
    nose = step(0.11 - (y - 0.75 + 0.2 * x * x).abs(), p.cm) * step(0.62 - x.abs(), p.cm)
    arm_y = (7.2 - p.at[:, 0].abs())
    arm = step(0.13 - (p.at[:, 1] - bridge[:, 1:2] - 0.2).abs(), p.cm) * step(1.6 - arm_y, 0.4) * (p.at[:, 2] > -8).float()
    alpha = torch.maximum(torch.maximum(frame, nose), arm) * wears[:, None]
    dark = 0.02 + 0.10 * (people.looks["glasses_shape"][:, None, None] - 0.5).abs() * colour.new_tensor([1.2, 0.9, 0.6])[None, :, None]
    lens = (rim < 0).float() * wears[:, None] * 0.05
    return over(over(colour, p.light * 0.8, lens), dark * (0.4 + 0.6 * p.light), alpha)
