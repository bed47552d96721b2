"""A page of its own for a comparison or a sweep: one file without scripts, light and dark, for any browser."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib import paths

STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#22272e, #e6e8eb); background: light-dark(#fff, #14181e); }
h1, h2 { font-family: Georgia, serif; line-height: 1.25; }
.table { overflow-x: auto; margin: 1.2rem 0; }
pre { overflow-x: auto; font-size: 0.85rem; }
table { border-collapse: collapse; font-size: 0.93rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 0.8rem; border-bottom: 1px solid light-dark(#d9dde2, #3a4048); text-align: left; }
img { max-width: 100%; background: #fff; border-radius: 8px; }
figure { margin: 1.5rem 0; }
.note { color: light-dark(#57606a, #a3abb5); font-size: 0.9rem; }
"""


def table(rows: pd.DataFrame) -> str:
    """``rows`` as HTML that scrolls in itself; its index are the names of the rows."""
    shown = rows.to_html(border=0, na_rep="", justify="unset")
    return f'<div class="table" tabindex="0" role="region" aria-label="table">{shown}</div>'


def figure(axes: Any, alt: str) -> str:
    """The figure of ``axes`` as a picture in the page; it is closed."""
    return f"<figure>{picture(axes.figure, alt)}</figure>"


def picture(figure: Any, alt: str, dpi: int = 150) -> str:
    """``figure`` as an ``<img>`` that needs no file; it is closed."""
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    plt.close(figure)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'


def paragraph(text: str, note: bool = False) -> str:
    """``text`` in a paragraph."""
    return f"<p class='{'note' if note else ''}'>{html.escape(text)}</p>"


def write(place: Path, title: str, parts: list[str]) -> Path:
    """Write the page whole; returns ``place``."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
    )
    body = f"<body><main><h1>{html.escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    place.parent.mkdir(parents=True, exist_ok=True)
    paths.write_whole(place, lambda file: file.write_text(head + body, encoding="utf-8"))
    return place
