"""Two results side by side: parameters that differ, and numbers with their intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib.book import one_page, provenance
from ferlib.book.record import with_interval
from ferlib.config import DataError

RULE = (
    '"Apart" says that the two 95 % intervals do not meet. Intervals that meet prove nothing: '
    "a difference may still be there."
)


def results_in(place: Path) -> dict[str, dict[str, Any]]:
    """The results in a file, a folder of them, or the output folder of a build, by chapter.

    Raises ``DataError`` where there is none, or where a file holds no result.
    """
    inner = place / "results" if (place / "results").is_dir() else place
    files = sorted(inner.glob("*.json")) if inner.is_dir() else [inner]
    found = {}
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            found[content["chapter"]] = content
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(f"{file} holds no result of a chapter. Make one:  ferlib book build") from None
    if not found:
        raise DataError(f"{place} holds no results. Make some:  ferlib book build --out {place}")
    return found


def parameters(a: dict[str, Any], b: dict[str, Any]) -> pd.DataFrame:
    """Parameters in which the results ``a`` and ``b`` of one chapter differ; columns ``A B``."""
    told = pd.DataFrame({"A": a["parameters"], "B": b["parameters"]}, dtype=object).map(repr)
    return told[told["A"] != told["B"]]


def numbers(a: dict[str, Any], b: dict[str, Any]) -> pd.DataFrame:
    """Columns ``A B difference apart``, one row a number, those of ``a`` first."""
    left, right = ({row["key"]: row for row in result["results"]} for result in (a, b))
    keys = [*left, *(key for key in right if key not in left)]
    rows = {key.replace("_", " "): _row(left.get(key), right.get(key)) for key in keys}
    return pd.DataFrame(rows, index=["A", "B", "difference", "apart"]).T


def _row(a: dict[str, Any] | None, b: dict[str, Any] | None) -> list[str]:
    texts = [with_interval(row) if row else "" for row in (a, b)]
    if not (a and b) or a["unit"] != b["unit"]:
        return [*texts, "", ""]
    return [*texts, _difference(b["value"] - a["value"], a["unit"]), _apart(a, b)]


def _difference(by: float, unit: str) -> str:
    return f"{100 * by:+.1f} points" if unit in ("fraction", "points") else f"{by:+.4g} {unit}".rstrip()


def _apart(a: dict[str, Any], b: dict[str, Any]) -> str:
    if a["low"] is None or b["low"] is None:
        return "no interval"
    return "apart" if a["low"] > b["high"] or b["low"] > a["high"] else "they meet"


def compare(first: Path, second: Path) -> dict[str, tuple[pd.DataFrame, pd.DataFrame, list[str]]]:
    """For each chapter in both: :func:`parameters`, :func:`numbers`, and the two lines of provenance.

    Raises ``DataError`` where no chapter is in both.
    """
    a, b = results_in(first), results_in(second)
    both = [name for name in a if name in b]
    if not both:
        raise DataError(f"No chapter in both: {first} has {', '.join(a)}; {second} has {', '.join(b)}")
    return {
        name: (
            parameters(a[name], b[name]),
            numbers(a[name], b[name]),
            [f"{letter}: {provenance.sentence(r[name])}" for letter, r in (("A", a), ("B", b))],
        )
        for name in both
    }


def text(compared: dict[str, Any]) -> str:
    """The comparison for a terminal."""
    parts = []
    for name, (differ, values, origins) in compared.items():
        said = differ.to_string() if len(differ) else "The parameters are the same."
        parts.append("\n".join([f"== {name}", *origins, "", said, "", values.to_string()]))
    return "\n\n".join([*parts, RULE])


def page(compared: dict[str, Any], place: Path) -> Path:
    """The comparison as a page."""
    parts = []
    for name, (differ, values, origins) in compared.items():
        parts += [f"<h2>{name}</h2>", *(one_page.paragraph(line, note=True) for line in origins)]
        parts.append(
            one_page.table(differ) if len(differ) else one_page.paragraph("The parameters are the same.")
        )
        parts.append(one_page.table(values))
    return one_page.write(place, "Two results side by side", [*parts, one_page.paragraph(RULE, note=True)])
