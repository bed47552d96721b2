"""What a chapter says about itself: its checked parameters, its numbers, and what they stand on.

``chapter = book.open("training", globals())`` checks the parameters and prints a card;
``chapter.uses(faces, run)`` notes what the numbers stand on; ``chapter.record("accuracy", estimate)`` keeps a
number and glues it for the pages; ``chapter.leave("map.js", text)`` leaves a file beside the page;
``chapter.close()`` writes ``result.json``, whole or not at all.
It works the same under ``ferlib book build``, plain papermill and JupyterLab.
"""

from __future__ import annotations

import ast
import datetime
import json
import math
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

import ferlib
from ferlib import paths
from ferlib.book import figure_data, provenance
from ferlib.book.chapters import KINDS, Parameter, known_parameter
from ferlib.book.paper import REPORTED
from ferlib.config import UsageError, check_name

RESULT_VARIABLE = "FERLIB_RESULT"
"""Environment variable with the file that :meth:`Chapter.close` writes; set by ``ferlib book build``."""

NBSP = "\N{NO-BREAK SPACE}"

UNITS: dict[str, str] = {
    "fraction": "{:.1%}",
    "points": "{:.1%}",  # a difference of fractions
    "count": "{:,.0f}",
    "s": "{:,.0f} s",
    "": "{:.3f}",
    "images/s": "{:,.0f}",
}
"""How a number of each unit is written; fractions as per cent, their differences as percentage points."""


def spoken(value: float, unit: str) -> str:
    """``value`` as a page shows it: 72.1 % of 0.7214, with a space that does not break."""
    sign = "percentage points" if unit == "points" else "%"
    return UNITS[unit].format(value).replace("%", NBSP + sign)


def with_interval(row: dict[str, Any]) -> str:
    """The number of a result's ``row`` with its interval, where it has one."""
    text = spoken(row["value"], row["unit"])
    known = row["low"] is not None and row["high"] is not None
    return f"{text} (95{NBSP}% interval {_range(row)})" if known else text


class Chapter:
    """An open chapter.  Use :func:`open_chapter`."""

    def __init__(self, name: str, parameters: dict[str, Any]) -> None:
        self.name, self.parameters = name, parameters
        self.results: list[dict[str, Any]] = []
        self.corpora: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self._began = time.monotonic()

    def uses(self, *things: Any) -> None:
        """Note the ``FaceSet``\\ s and runs that the numbers stand on; say so where faces are drawn."""
        known = set(self.corpora)
        for thing in things:
            if hasattr(thing, "key"):
                self.runs[thing.key] = {"digest": provenance.run_digest(thing.key), **_told(thing)}
            else:
                self.corpora[thing.corpus] = {
                    "digest": thing.digest,
                    "synthetic": bool(thing.synthetic),
                    "n_images": provenance.corpus_size(thing.corpus),
                }
        drawn = [name for name, told in self.corpora.items() if told["synthetic"] and name not in known]
        if drawn:
            _show(BANNER.format(corpora=", ".join(f"<code>{name}</code>" for name in drawn)))

    def record(
        self,
        key: str,
        estimate: Any,
        unit: str = "fraction",
        split: str | None = None,
        reported: str | None = None,
    ) -> None:
        """Keep one number and glue it.

        estimate : an ``Estimate`` with ``value low high n``, or a plain number.
        split : the images it was measured on.
        reported : the key of the number to compare with in :data:`ferlib.book.paper.REPORTED`, if any.

        Pages then have ``key``, ``key_low``, ``key_high``, ``key_n`` and ``key_with_interval``.
        Raises :class:`UsageError` for an unknown unit, a key recorded twice, or a value that is not finite.
        """
        check_name("unit", unit, UNITS)
        if key in [row["key"] for row in self.results]:
            raise UsageError(f"{self.name}: {key!r} is recorded twice")
        low, high, n = (_known(getattr(estimate, part, None)) for part in ("low", "high", "n"))
        value = float(getattr(estimate, "value", estimate))
        if not math.isfinite(value):
            raise UsageError(f"{self.name}: {key!r} is {value}; only finite numbers are recorded")
        other = REPORTED[check_name("reported number", reported, REPORTED)] if reported else None
        row = {"key": key, "value": value, "low": low, "high": high, "n": n, "unit": unit, "split": split}
        row |= {"reported": other.value if other else None, "to_check": bool(other and other.to_check)}
        self.results.append(row)
        for name, text in _glued(row).items():
            _glue(name, text)

    def say(self, key: str, text: str) -> None:
        """Glue ``text`` under ``key``: for a protocol's sentence, a device, a class's name."""
        _glue(key, text)

    def quote(self, *keys: str) -> None:
        """Glue numbers of :data:`ferlib.book.paper.REPORTED`, as ``reported_<key>``."""
        for key in keys:
            _glue(f"reported_{key}", str(REPORTED[check_name("reported number", key, REPORTED)]))

    def leave(self, name: str, content: str | bytes | pd.DataFrame) -> str:
        """Leave a file beside the page, for a script or a reader to load; returns its address from the page.

        name : a file name without a folder, such as ``block3.conv.js``; content : a table is written as CSV.
        Raises :class:`UsageError` where ``name`` is not a plain file name.
        """
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise UsageError(f"{self.name}: {name!r} is not a plain file name, such as block3.conv.js")
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(lineterminator="\n")
        data = content.encode() if isinstance(content, str) else content
        place = left_folder(result_file(self.name)) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        paths.write_whole(place, lambda file: file.write_bytes(data))
        return f"_static/data/{self.name}/{name}"

    def keep_drawn(self, drawn: dict[str, Any]) -> None:
        """Leave what a figure was ``drawn`` from as CSV, under the number of the cell that shows it."""
        from IPython import get_ipython

        table, shell = figure_data.of(drawn), get_ipython()
        if table is not None and shell:
            number = len(shell.user_ns["In"]) - 1  # execution_count is one ahead in some versions
            self.leave(f"figure-{number}.csv", table)

    def table(self) -> pd.DataFrame:
        """What was recorded, with intervals and the paper's numbers, as a reader wants to see it."""
        shown = pd.DataFrame([_readable(row) for row in self.results]).set_index("result")
        told = (shown != "").any() & ~((shown.nunique() == 1) & (shown.columns == "measured on"))
        return shown.rename_axis(None).loc[:, told]

    def close(self) -> Path:
        """Write ``result.json`` and show where the numbers come from.  Returns the file."""
        if not self.results:
            raise UsageError(f"{self.name}: nothing was recorded before close()")
        content = {
            "chapter": self.name,
            "parameters": self.parameters,
            "results": self.results,
            "provenance": self._provenance(),
            "inputs": {"modules": provenance.modules_in_use(), "corpora": self.corpora, "runs": self.runs},
        }
        place = result_file(self.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        paths.write_json(place, content, default=_plain, allow_nan=False)
        _show(f'<p class="provenance">{provenance.sentence(content)}</p>')
        return place

    def _provenance(self) -> dict[str, Any]:
        devices = [run["device"] for run in self.runs.values() if run.get("device")]
        trained = [run["seconds"] for run in self.runs.values() if run.get("seconds") is not None]
        return {
            "version": ferlib.__version__,
            **provenance.commit(),
            "synthetic": any(corpus["synthetic"] for corpus in self.corpora.values()),
            "device": ", ".join(dict.fromkeys(devices)) or "cpu",
            "seconds": round(time.monotonic() - self._began, 1),
            "training_seconds": round(sum(trained), 1) if trained else None,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


BANNER = (
    '<div class="admonition drawn"><p class="admonition-title">These faces are drawn</p>'
    "<p>This page ran on {corpora}: faces drawn by this book's own rig, whose Action Units are "
    "known exactly. No number here is a result on photographs of people, unless its sentence says so.</p></div>"
)


def open_chapter(name: str, namespace: dict[str, Any]) -> Chapter:
    """Open chapter ``name`` in the notebook whose ``globals()`` are ``namespace``.

    Raises :class:`UsageError` where papermill brought a parameter that the notebook does not have,
    or a value that is not of its type.
    """
    declared, injected = _declared(namespace.get("In", []))
    for given in injected:
        known_parameter(name, given, declared)
    values = {}
    for parameter in declared.values():
        try:
            values[parameter.name] = namespace[parameter.name] = parameter.read(namespace[parameter.name])
        except ValueError as error:
            raise UsageError(f"{name}.{parameter.name}: {error}. Default: {parameter.default!r}") from None
    chapter = Chapter(name, values)
    if "IPython" in sys.modules:
        from ferlib.plots import common

        common.KEEPERS[:] = [chapter.keep_drawn]
    print(card(chapter, declared))
    return chapter


def card(chapter: Chapter, declared: dict[str, Parameter]) -> str:
    """The run card: which code, which parameters, and which of them differ from their defaults."""
    where = provenance.commit()
    commit = f"commit {where['commit']}" + (" with local changes" if where["dirty"] else "")
    lines = [f"chapter {chapter.name}, ferlib {ferlib.__version__}, {commit}"]
    for name, value in chapter.parameters.items():
        default = declared[name].default
        lines.append(f"  {name:<14} {value!r}" + (f"   (default {default!r})" if value != default else ""))
    return "\n".join(lines)


def result_file(name: str) -> Path:
    """Where the result of chapter ``name`` goes: the builder's file, else ``results/`` of the checkout."""
    chosen = os.environ.get(RESULT_VARIABLE)
    if chosen:
        return Path(chosen)
    try:
        return paths.checkout() / "results" / f"{name}.json"
    except FileNotFoundError:
        return Path.cwd() / "results" / f"{name}.json"


def left_folder(result: Path) -> Path:
    """Where the files lie that :meth:`Chapter.leave` left beside the result file ``result``."""
    return result.with_suffix("")


def _declared(history: list[str]) -> tuple[dict[str, Parameter], list[str]]:
    """The parameters of a notebook from the cells it has run, and the names that papermill injected."""
    declared: dict[str, Parameter] = {}
    injected: list[str] = []
    for source in history:
        try:
            body = ast.parse(source).body
        except SyntaxError:  # a magic
            continue
        if body and all(isinstance(node, ast.AnnAssign) and node.value for node in body):
            declared = {p.name: p for p in map(_parameter, body)}
        elif source.startswith("# Parameters"):  # papermill's own mark
            injected = [node.targets[0].id for node in body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    return declared, injected


def _parameter(node: Any) -> Parameter:
    kind = ast.unparse(node.annotation)
    check_name("type of a parameter", kind, KINDS)
    return Parameter(node.target.id, kind, ast.literal_eval(node.value), "")


def _told(run: Any) -> dict[str, Any]:
    """Device and seconds of a run, as its ``run.json`` has them."""
    file = paths.run(run.key) / "run.json"
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"device": content.get("device"), "seconds": content.get("seconds"), "seed": content.get("seed")}


def _known(value: Any) -> Any:
    return value if value is not None and math.isfinite(value) else None  # NaN has no place in JSON


def _glued(row: dict[str, Any]) -> dict[str, str]:
    key, unit = row["key"], row["unit"]
    texts = {key: spoken(row["value"], unit)}
    texts[f"{key}_with_interval"] = with_interval(row)
    for end in ("low", "high"):
        if row[end] is not None:
            texts[f"{key}_{end}"] = spoken(row[end], unit)
    if row["n"] is not None:
        texts[f"{key}_n"] = f"{row['n']:,}"
    return texts


ABBREVIATED = re.compile(r"\b(au(?=s?\b)|auc\b|uar\b|uf1\b|f1\b|hog\b)")


def _range(row: dict[str, Any]) -> str:
    low, high = (spoken(row[part], row["unit"]) for part in ("low", "high"))
    return f"{low.split(NBSP)[0]} to {high}"


def _readable(row: dict[str, Any]) -> dict[str, str]:
    unit, reported = row["unit"], row["reported"]
    interval = "" if None in (row["low"], row["high"]) else _range(row).replace(" ", NBSP)
    paper = "" if reported is None else spoken(reported, unit) + (" (to check)" if row["to_check"] else "")
    return {
        "result": ABBREVIATED.sub(lambda found: found[0].upper(), row["key"].replace("_", " ")),
        "reported": paper,
        "ours": spoken(row["value"], unit),
        "95 % interval": interval,
        "n": "" if row["n"] is None else f"{row['n']:,}",
        "measured on": row["split"] or "",
    }


GLUE = "application/papermill.record/"
"""What myst-nb calls the type of something that is glued and not shown."""


def glued(key: str, text: str) -> dict[str, Any]:
    """``text`` under ``key`` as an output of a cell, which pages read with ``{glue:text}``.

    Written out here, since ``myst_nb.glue`` does the same and loads Sphinx for it, which takes seconds.
    """
    where = {"scrapbook": {"mime_prefix": GLUE, "name": key}}
    return {"output_type": "display_data", "data": {f"{GLUE}text/plain": repr(text)}, "metadata": where}


def _glue(key: str, text: str) -> None:
    if "IPython" in sys.modules:
        from IPython.display import display

        output = glued(key, text)
        display(output["data"], metadata=output["metadata"], raw=True)


def _show(html: str) -> None:
    if "IPython" in sys.modules:
        from IPython.display import HTML, display

        display(HTML(html))


def _plain(value: Any) -> Any:
    """NumPy scalars as Python numbers, for JSON."""
    return value.item() if hasattr(value, "item") else str(value)
