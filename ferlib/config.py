"""Settings are frozen, checked records with a content key.

A settings record is a frozen dataclass whose fields are plain values (``bool int float str`` or tuples of them).
This module reads such records from text, refuses wrong names and types with the nearest right name,
and digests what a result depends on: settings, data and source code.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import hashlib
import io
import json
import threading
import tokenize
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ferlib import paths

T = TypeVar("T")

_PARSING = threading.Lock()
"""Held while sources are parsed: before Python 3.11.8 two threads that parse at once may fail (CPython gh-106905)."""


class UsageError(ValueError):
    """The call is wrong: an unknown name or a value of the wrong type.  The command line exits with 2."""


class DataError(ValueError):
    """The data or the result is bad.  The command line exits with 1."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'n_epochs'?"``, or an empty string where nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def check_name(what: str, name: str, known: Iterable[str]) -> str:
    """``name`` if it is one of ``known``; otherwise raises :class:`UsageError` with the nearest and all known names."""
    known = list(known)
    if name in known:
        return name
    raise UsageError(f"No {what} {name!r}.{nearest(name, known)} Known: {', '.join(known)}")


def parse_value(text: str, kind: Any) -> Any:
    """Read ``text`` as a value of type ``kind`` (``bool int float str`` or ``list[...]``/``tuple[...]`` of them).

    Follows papermill's rules for scalars: ``True``/``false`` for bool, decimal and scientific notation for numbers.
    Raises ``ValueError`` with what was expected.
    """
    origin = typing.get_origin(kind)
    if origin in (list, tuple):
        inner = typing.get_args(kind)[0]
        try:
            items = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            items = [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]
        if not isinstance(items, (list, tuple)):
            items = [items]
        return origin(parse_value(str(item), inner) for item in items)
    if kind is bool:
        if text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true"
        raise ValueError(f"{text!r} is not a bool (True or False)")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {'an int' if kind is int else 'a float'}") from None
    return text


def fields_of(record: type) -> dict[str, Any]:
    """Field name -> type of a settings dataclass, in order."""
    hints = typing.get_type_hints(record)
    return {f.name: hints[f.name] for f in dataclasses.fields(record)}


def replaced(record: T, assignments: Iterable[str]) -> T:
    """A copy of ``record`` with ``"field=value"`` texts applied.  Raises :class:`UsageError` naming the field."""
    kinds = fields_of(type(record))
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"{assignment!r} is not of the form field=value, for example lr=0.001")
        check_name("setting", name.strip(), kinds)
        try:
            changes[name.strip()] = parse_value(text.strip(), kinds[name.strip()])
        except ValueError as error:
            raise UsageError(f"Setting {name.strip()}: {error}") from None
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


def canonical(value: Any) -> str:
    """``value`` as JSON that is equal for equal settings: sorted keys, no spaces, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def digest(*parts: Any, length: int = 8) -> str:
    """First ``length`` hex digits of SHA-256 over the canonical form of ``parts``."""
    text = "\n".join(part if isinstance(part, str) else canonical(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def code_digest(modules: Iterable[str], length: int = 8) -> str:
    """Digest of the sources of ``ferlib`` modules, named as in ``("models", "datasets")``; packages count whole.

    Docstrings, comments and blank lines do not count, so that mending a comment makes no result stale.
    """
    seen = hashlib.sha256()
    for module in sorted(modules):
        base = paths.package() / module.replace(".", "/")
        files = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
        for file in files:
            seen.update(file.relative_to(paths.package()).as_posix().encode())
            seen.update(_meaning(file, file.stat().st_mtime_ns).encode())
    return seen.hexdigest()[:length]


@functools.lru_cache(maxsize=512)
def _meaning(file: Path, changed_ns: int) -> str:
    """The source without docstrings, comments and blank lines: the same text under every Python version.

    changed_ns : when the file was last changed; a file is read once, and again after a change.
    """
    source = file.read_text(encoding="utf-8")
    lines = source.splitlines()
    with _PARSING:
        tree = ast.parse(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            end = first.end_lineno or first.lineno
            lines[first.lineno - 1 : end] = [""] * (end - first.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def as_plain(record: Mapping[str, Any] | Any) -> dict[str, Any]:
    """A settings record as a JSON-ready dictionary."""
    mapping = dataclasses.asdict(record) if dataclasses.is_dataclass(record) else record  # type: ignore[arg-type]
    return json.loads(canonical(mapping))
