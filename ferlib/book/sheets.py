"""Contact sheets that a reader opens one at a time: they need no kernel, no script and no network."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferlib import plots
from ferlib.book import one_page


@dataclass(frozen=True)
class Sheets:
    """Faces in groups, each group a sheet behind its name.

    faces : a table with columns ``group image caption`` and, where faces can be right or wrong, ``right``;
        ``image`` holds (H, W) uint8 arrays.
    """

    faces: Any
    columns: int = 6

    def _repr_html_(self) -> str:
        folded = (self._sheet(name, rows, first=i == 0) for i, (name, rows) in enumerate(self._groups()))
        return f'<div class="sheets">{"".join(folded)}</div>'

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {', '.join(rows['caption'])}" for name, rows in self._groups())

    def _groups(self) -> Iterator[tuple[str, Any]]:
        return iter(self.faces.groupby("group", sort=False))

    def _sheet(self, name: str, rows: Any, first: bool) -> str:
        right = list(rows["right"]) if "right" in rows else None
        axes = plots.face_sheet(list(rows["image"]), list(rows["caption"]), right, columns=self.columns)
        count = f"{sum(right)} right, {len(right) - sum(right)} wrong" if right else f"{len(rows)} faces"
        alt = f"{len(rows)} faces, {name}: {', '.join(rows['caption'])}"
        return (
            f"<details{' open' if first else ''}><summary><strong>{html.escape(str(name))}</strong> "
            f"<span>{count}</span></summary>{one_page.picture(axes.flat[0].figure, alt, dpi=110)}</details>"
        )
