"""The picture table of the primer: what each Action Unit looks like, and what it changes."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ferlib import plots
from ferlib.labels import AU_MUSCLES, AU_NAMES, au_title
from ferlib.synthetic import primer
from ferlib.viewer.common import data_url
from ferlib.viewer.sprites import rgb


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
    colour = np.where(change < 0, rgb(plots.BLUE), rgb(plots.ORANGE))
    share = np.abs(change)
    return np.round(pale * (1 - share) + colour * share).astype(np.uint8)
