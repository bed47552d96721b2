"""Contact sheets that a reader opens one at a time: they need no kernel, no script and no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt

from ferlib import plots


@dataclass(frozen=True)
class Sheets:
    """Faces in groups, each group a sheet behind its name.

    faces : a table with columns ``group image caption`` and, where faces can be right or wrong, ``right``;
        ``image`` holds (H, W) uint8 arrays.
    """

    faces: Any
    columns: int = 6

    def _repr_html_(self) -> str:
        folded = (
            FOLDED.format(*part, open=" open" if i == 0 else "") for i, part in enumerate(self._parts())
        )
        return f'<div class="sheets">{"".join(folded)}</div>'

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {', '.join(rows['caption'])}" for name, rows in self._groups())

    def _groups(self) -> Iterator[tuple[str, Any]]:
        return iter(self.faces.groupby("group", sort=False))

    def _parts(self) -> Iterator[tuple[str, str, str, str]]:
        for name, rows in self._groups():
            right = list(rows["right"]) if "right" in rows else None
            axes = plots.face_sheet(list(rows["image"]), list(rows["caption"]), right, columns=self.columns)
            alt = f"{len(rows)} faces, {name}: {', '.join(rows['caption'])}"
            yield (
                html.escape(str(name)),
                f"{rows['right'].sum()} right, {(~rows['right']).sum()} wrong"
                if right
                else f"{len(rows)} faces",
                _png(axes),
                html.escape(alt),
            )


FOLDED = (
    "<details{open}><summary><strong>{0}</strong> <span>{1}</span></summary>"
    '<img src="data:image/png;base64,{2}" alt="{3}"></details>'
)


def _png(axes: Any) -> str:
    figure = axes.flat[0].figure
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    plt.close(figure)
    return base64.b64encode(file.getvalue()).decode()
