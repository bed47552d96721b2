"""A sweep: chapters executed at every point of a grid of parameters, and one page that sums up.

Each point is an execution like any other, kept under the key of its cells and parameters.  So a sweep that was
killed goes on where it was, and a point that a build has already made is not made again.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib import config, jobs
from ferlib.book import build, one_page, provenance
from ferlib.book.build import Layout
from ferlib.book.chapters import Plan, Wish, check_grid, plan
from ferlib.book.record import spoken, with_interval
from ferlib.book.runner import Terminal


@dataclasses.dataclass(frozen=True)
class Point:
    """One execution of a sweep."""

    layout: Layout
    wish: Wish
    label: str  # "width = 0.25, seed = 1"


def points(layout: Layout, wish: Wish, grids: Iterable[str]) -> dict[str, list[Point]]:
    """Chapter -> its points: all combinations of the values that ``grids`` give to its parameters.

    grids : texts ``chapter.name=a,b,...``; a list is written ``[0,1]``.  Raises :class:`UsageError`, as a plan does.
    """
    axes: dict[str, dict[str, list[str]]] = {}
    for text in grids:
        chapter, name, values = check_grid(text)
        axes.setdefault(chapter, {})[name] = values
    return {chapter: list(_points(layout, wish, chapter, of)) for chapter, of in axes.items()}


def _points(layout: Layout, wish: Wish, chapter: str, axes: dict[str, list[str]]) -> Iterator[Point]:
    for values in itertools.product(*axes.values()):
        chosen = list(zip(axes, values, strict=True))
        given = (*wish.assignments, *(f"{chapter}.{name}={value}" for name, value in chosen))
        one = dataclasses.replace(wish, assignments=given, only=chapter)
        build.check_corpora(plan(layout.book, one))
        yield Point(layout, one, ", ".join(f"{name} = {value}" for name, value in chosen))


def run(layout: Layout, wish: Wish, grids: Iterable[str], n_jobs: int = 1, scheduler: str = "") -> Path:
    """Execute what is missing of the sweep and write its page; returns the page.

    Raises ``UsageError`` before anything has run, ``DataError`` where a point fails or the folder is in use.
    """
    sweeps = points(layout, wish, grids)
    todo = [point for of in sweeps.values() for point in of if build.stale(place(point))]
    print(f"{sum(map(len, sweeps.values()))} points, {len(todo)} to execute", flush=True)
    with build.locked(layout):
        jobs.run(execute, todo, n_jobs, scheduler, what="points of the grid")
        return page(layout.out / "grid" / f"{'-'.join(sweeps)}.html", sweeps)


def execute(point: Point) -> None:
    """Execute one point; another process may do so too, elsewhere in the grid."""
    made = _plan(point)
    layout = dataclasses.replace(point.layout, tag=f"-{config.digest(point.label)}")
    build.execute(layout, made, jobs=1, terminal=Terminal(io.StringIO()))


def _plan(point: Point) -> Plan:
    return plan(point.layout.book, point.wish)


def place(point: Point) -> Path:
    """The folder of an executed point."""
    made = _plan(point)
    (chapter,) = made.chapters
    return point.layout.done(chapter, made.parameters[chapter.name])


def page(file: Path, sweeps: dict[str, list[Point]]) -> Path:
    """The page of the sweeps: for each result a plot and a table over the points."""
    parts = []
    for chapter, of in sweeps.items():
        results = {p.label: json.loads((place(p) / "result.json").read_text(encoding="utf-8")) for p in of}
        parts += [f"<h2>{chapter}</h2>", *_plots(results), *_origins(results)]
    return one_page.write(file, "A sweep over parameters", parts)


def _plots(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    from ferlib.plots.sweep import sweep

    for key, rows in by_number(results).items():
        unit, name = rows[next(iter(rows))]["unit"], key.replace("_", " ")
        table = pd.DataFrame(rows).T[["value", "low", "high"]].astype(float)
        table.index, xlabel = _as_numbers(list(rows))
        axes = sweep(
            table, xlabel, f"{name}, {unit}" if unit not in ("fraction", "") else name, unit == "fraction"
        )
        said = "; ".join(f"{label}: {spoken(row['value'], unit)}" for label, row in rows.items())
        yield f"<h3>{name}</h3>{one_page.figure(axes, f'{name} over the points of the sweep. {said}')}"
        shown = pd.Series({label: with_interval(row) for label, row in rows.items()}, name=name)
        yield one_page.table(shown.to_frame())


def by_number(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Key of a number -> label of a point -> its row."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for label, result in results.items():
        for row in result["results"]:
            found.setdefault(row["key"], {})[label] = row
    return found


def _as_numbers(labels: list[str]) -> tuple[pd.Index, str]:
    """The labels of a sweep over one number as numbers, with the name of the parameter."""
    names, values = zip(*(re.fullmatch(r"(.*?) = (.*)", label).groups() for label in labels), strict=True)  # type: ignore[union-attr]
    try:
        return pd.Index([float(value) for value in values]), names[0]
    except ValueError:
        return pd.Index(labels), ""


def _origins(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    for label, result in results.items():
        yield one_page.paragraph(f"{label}: {provenance.sentence(result)}", note=True)
