"""The chapters of a book, their parameters, and the checked plan of a build.  Imports no torch.

A chapter's parameters are the annotated lines of its ``parameters`` cell, ``name: type = value  # meaning``,
as papermill reads them.  Every name and value of a plan is checked here, before anything runs.
"""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ferlib.book import values
from ferlib.config import UsageError, check_name, nearest, parse_value

KINDS: dict[str, Any] = {
    "bool": bool, "int": int, "float": float, "str": str,
    "list[bool]": list[bool], "list[int]": list[int], "list[float]": list[float], "list[str]": list[str],
}  # fmt: skip
"""The types a parameter may have, by their text in the notebook."""

PROFILES: tuple[str, ...] = ("tiny", "quick", "full", "paper")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter: a line of its ``parameters`` cell."""

    name: str
    type: str
    default: Any
    meaning: str

    def read(self, value: Any) -> Any:
        """``value`` (text from a command line, or a value from a profile) as this parameter's type.

        Raises ``ValueError`` with what was expected; a list must not be empty, nor have an item twice.
        """
        kind = KINDS[self.type]
        if isinstance(value, str):
            value = parse_value(value, kind)
        elif not _is_a(value, kind):
            raise ValueError(f"{value!r} is not of type {self.type}")
        if isinstance(value, list):
            _check_items(value)
        values.check(self.name, self.default, value)
        return float(value) if kind is float else value


def _check_items(items: list[Any]) -> None:
    if not items:
        raise ValueError("the list is empty; give at least one item")
    twice = [item for i, item in enumerate(items) if item in items[:i]]
    if twice:
        raise ValueError(f"{items!r} has {twice[0]!r} more than once")


def _is_a(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is list:
        inner = typing.get_args(kind)[0]
        return isinstance(value, list) and all(_is_a(item, inner) for item in value)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book."""

    notebook: Path
    parameters: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """The file name without its number: ``training`` for ``01_training.ipynb``."""
        return name_of(self.notebook)

    @property
    def defaults(self) -> dict[str, Any]:
        """Value of each parameter as the notebook has it: the quick profile."""
        return {p.name: p.default for p in self.parameters}

    def read(self, values: dict[str, Any], source: str) -> dict[str, Any]:
        """``values`` checked and typed.  Raises :class:`UsageError` naming the parameter and ``source``."""
        known = {p.name: p for p in self.parameters}
        checked = {}
        for name, value in values.items():
            parameter = known[known_parameter(self.name, name, known, f" ({source})")]
            try:
                checked[name] = parameter.read(value)
            except ValueError as error:
                raise UsageError(
                    f"{self.name}.{name} ({source}): {error}. Default: {parameter.default!r}"
                ) from None
        return checked


def known_parameter(chapter: str, name: str, known: Iterable[str], source: str = "") -> str:
    """``name`` if it is ``known``; otherwise raises :class:`UsageError` with the nearest and all known names."""
    known = list(known)
    if name in known:
        return name
    have = ", ".join(known) or "none"
    raise UsageError(
        f"Chapter {chapter} has no parameter {name!r}{source}.{nearest(name, known)} Known: {have}"
    )


def name_of(notebook: Path) -> str:
    """``training`` for ``.../01_training.ipynb``."""
    return re.sub(r"^\d+_", "", notebook.stem)


def find(book: Path) -> dict[str, Chapter]:
    """The chapters of the folder ``book``, by name, in the order of their numbers; executed pages follow."""
    found = sorted(book.glob("*.ipynb"))
    return {name_of(path): Chapter(path, parameters_of(path)) for path in found}


def parameters_of(notebook: Path) -> tuple[Parameter, ...]:
    """The parameters of ``notebook``, read by papermill's ``inspect_notebook``.

    Raises :class:`UsageError` where a line has no type or one that papermill cannot pass.
    """
    from papermill.inspection import inspect_notebook

    return tuple(_parameter(notebook, line) for line in inspect_notebook(str(notebook)).values())


def _parameter(notebook: Path, line: dict[str, str]) -> Parameter:
    kind = line["inferred_type_name"]
    if kind not in KINDS:
        raise UsageError(
            f"{notebook.name}: parameter {line['name']} has type {kind}; use one of {', '.join(KINDS)}"
        )
    return Parameter(line["name"], kind, ast.literal_eval(line["default"]), line["help"].strip())


def listing(book: Path, only: str | None = None) -> str:
    """Every parameter of the chapters of ``book`` as a table in text: name, type, default, meaning."""
    chapters = find(book)
    if only is not None:
        check_name("chapter", only, chapters)
    rows = [
        (f"{name}.{p.name}", p.type, repr(p.default), p.meaning)
        for name, chapter in chapters.items()
        if only in (None, name)
        for p in chapter.parameters
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return "\n".join(
        "  ".join([*(t.ljust(w) for t, w in zip(row, widths, strict=False)), row[3]]) for row in rows
    )


@dataclass(frozen=True)
class Profile:
    """One file of ``book/profiles``: parameters per chapter, and the time that a chapter may take.

    corpora : drawn corpus -> the people or images that are enough of it; empty: the sizes of the rig.
    """

    name: str
    chapters: dict[str, dict[str, Any]]
    chapter_s: float = 1800.0
    corpora: dict[str, dict[str, Any]] = field(default_factory=dict)


def profile(book: Path, name: str) -> Profile:
    """The profile ``name`` of ``book``.  A book without profiles has only defaults."""
    check_name("profile", name, PROFILES)
    file = book / "profiles" / f"{name}.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.is_file() else {}
    content["chapters"] = content.get("chapters") or {}
    return Profile(name, **content)


@dataclass(frozen=True)
class Wish:
    """What the caller of a build asked for, as text."""

    profile: str = "quick"
    corpus: str | None = None
    assignments: tuple[str, ...] = ()  # "chapter.name=value"
    only: str | None = None


@dataclass(frozen=True)
class Plan:
    """Checked: which chapters run, with which value of every parameter."""

    profile: Profile
    all: dict[str, Chapter]
    chapters: tuple[Chapter, ...]  # of these to execute
    parameters: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()


def plan(book: Path, wish: Wish) -> Plan:
    """Check ``wish`` against the notebooks of ``book``.  Raises :class:`UsageError`; nothing has run yet."""
    chapters = find(book)
    chosen = profile(book, wish.profile)
    if wish.only is not None:
        check_name("chapter", wish.only, chapters)
    given = {name: chapter.defaults for name, chapter in chapters.items()}
    for name, changes in chosen.chapters.items():
        check_name(f"chapter (profile {chosen.name})", name, chapters)
        given[name] |= chapters[name].read(changes or {}, f"profile {chosen.name}")
    keepers = _set_corpus(chapters, given, wish.corpus)
    for assignment in wish.assignments:
        name, change = _assignment(assignment, chapters)
        given[name] |= chapters[name].read(change, "-p")
    wanted = [c for name, c in chapters.items() if wish.only in (None, name)]
    notes = [
        f"{c.name} keeps its own corpora: it has no parameter 'corpus'" for c in wanted if c.name in keepers
    ]
    return Plan(chosen, chapters, tuple(wanted), given, tuple(notes))


def _set_corpus(
    chapters: dict[str, Chapter], given: dict[str, dict[str, Any]], corpus: str | None
) -> list[str]:
    """Set ``corpus`` where it can be; returns the chapters that keep their own."""
    if corpus is None:
        return []
    check_name("corpus", corpus, values.KNOWN_CORPORA)
    for name, chapter in chapters.items():
        if "corpus" in chapter.defaults:
            given[name]["corpus"] = corpus
    return [name for name, chapter in chapters.items() if "corpus" not in chapter.defaults]


def check_grid(text: str) -> tuple[str, str, list[str]]:
    """``("training", "width", ["0.5", "1"])`` of ``training.width=0.5,1``; commas within ``[...]`` stay."""
    left, equals, values = text.partition("=")
    chapter, dot, name = left.strip().partition(".")
    split = [value.strip() for value in re.split(r",(?![^\[]*\])", values)]
    if not (equals and dot and all(split)):
        raise UsageError(
            f"--grid {text!r} is not of the form chapter.name=a,b,..., for example training.width=0.25,0.5"
        )
    return chapter, name, list(dict.fromkeys(split))


def _assignment(text: str, chapters: dict[str, Chapter]) -> tuple[str, dict[str, str]]:
    left, equals, value = text.partition("=")
    chapter, dot, name = left.strip().partition(".")
    if not (equals and dot):
        raise UsageError(
            f"-p {text!r} is not of the form chapter.name=value, for example training.n_epochs=3"
        )
    return check_name("chapter", chapter, chapters), {name: value.strip()}
