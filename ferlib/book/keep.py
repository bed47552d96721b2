"""Results kept as numbers of record: from the last build into ``book/results``, to be committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferlib import paths
from ferlib.book import chapters, compare
from ferlib.config import UsageError

UNNAMED = ("corpus", "corpora", "n_jobs", "scheduler", "settings_digest")
"""Parameters that join no file's name: the corpora name the folder, the others change no number."""


def keep(source: Path, book: Path, only: str | None = None) -> Iterator[Path]:
    """Copy the results in ``source`` to ``book/results/<corpus>/<profile>/<chapter>.json``; yields the copies.

    Where a parameter differs from every profile's, its value joins the name: ``training-fast.json``.
    Raises :class:`UsageError` for numbers of the tiny profile, which mean nothing.
    """
    for name, result in compare.results_in(source).items():
        if only in (None, name):
            profile, changed = nearest_profile(book, result)
            if profile == "tiny":
                raise UsageError(f"{name} ran at the tiny profile, whose numbers mean nothing")
            file = "-".join([name, *(str(value) for value in changed.values())]).replace("/", "_")
            place = book / "results" / corpus_of(result) / profile / f"{file}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            paths.write_json(place, result)
            yield place


def nearest_profile(book: Path, result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The profile that ``result`` ran at, and the parameters that differ from it, but for :data:`UNNAMED`."""
    name, given = result["chapter"], result["parameters"]
    defaults = chapters.find(book)[name].defaults
    found = []
    for profile in chapters.PROFILES:
        wanted = defaults | (chapters.profile(book, profile).chapters.get(name) or {})
        changed = {k: v for k, v in given.items() if k not in UNNAMED and wanted.get(k) != v}
        found.append((len(changed), profile != "quick", profile, changed))
    _, _, profile, changed = min(found, key=lambda one: one[:2])
    return profile, changed


def corpus_of(result: dict[str, Any]) -> str:
    """The corpus of ``result``; where there are more than one ``several``, ``several-drawn`` or ``several-mixed``."""
    used = result["inputs"]["corpora"]
    chosen = result["parameters"].get("corpus") or (next(iter(used)) if len(used) == 1 else None)
    kinds = {corpus["synthetic"] for corpus in used.values()}
    return str(chosen or {(True,): "several-drawn", (False,): "several"}.get(tuple(kinds), "several-mixed"))
