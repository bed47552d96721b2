"""The page of the package: every public name with its signature and docstring, read from the sources.

Nothing is imported for it, so that rendering needs no torch, and the page changes exactly when a source does.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from ferlib import paths

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
ROLE = re.compile(r":(?:class|func|meth|data|mod|attr):`~?([^`]+)`")
FIELD = re.compile(r"^`{0,2}([A-Za-z_][\w, ]*)(?:`` {2,}| : |  {2,})(.*)$")


def page(book: Path) -> str:
    """The modules of ``ferlib`` in MyST markdown, in the order of their names."""
    files = sorted(file for file in paths.package().rglob("*.py") if file.stem != "cli")
    return "\n\n".join(filter(None, map(_module, files)))


def _module(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    parts = file.relative_to(paths.package().parent).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    found = [node for node in tree.body if isinstance(node, Definition) and _public(node)]
    head = f"## {name}\n\n{prose(ast.get_docstring(tree) or '')}"
    if not found:
        return head if parts[-1] == "__init__" and len(parts) > 2 else ""
    names = ", ".join(node.name for node in found)
    body = "\n\n".join(map(_definition, found))
    return f"{head}\n\n::::{{dropdown}} {names}\n{body}\n::::"


def _public(node: Definition) -> bool:
    return not node.name.startswith("_")


def _definition(node: Definition) -> str:
    """One function or class: its signature, and under it what its docstring says."""
    if not isinstance(node, ast.ClassDef):
        return _entry(_signature(node), prose(ast.get_docstring(node) or ""))
    fields = "\n".join(f"- `{field}`" for field in _fields(node))
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and _public(n) and ast.get_docstring(n)]
    told = [_entry(_signature(n), prose(ast.get_docstring(n) or "")) for n in methods]
    return _entry(f"class {node.name}", "\n\n".join([prose(ast.get_docstring(node) or ""), fields, *told]))


def _entry(head: str, body: str) -> str:
    """An entry of a definition list."""
    return f"`{head}`\n: " + (body.strip() or "\N{NO-BREAK SPACE}").replace("\n", "\n  ")


def _signature(node: Any) -> str:
    arguments = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(node.args))
    return f"{node.name}({arguments})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def _fields(node: ast.ClassDef) -> list[str]:
    """``name: type`` of each annotated attribute of a record."""
    lines = (n for n in node.body if isinstance(n, ast.AnnAssign))
    return [ast.unparse(line) for line in lines if not ast.unparse(line.target).startswith("_")]


def prose(docstring: str) -> str:
    """A docstring as markdown: code stays code, ``name : meaning`` lines become a list, the rest is plain text."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", docstring) if part.strip())


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if lines[0].lstrip().startswith(">>>") or any(line.startswith("  ") for line in lines[:1]):
        return "```text\n" + text + "\n```"
    if not FIELD.match(lines[0]):
        return _plain(" ".join(line.strip() for line in lines))
    items: list[str] = []
    for line in lines:
        field = FIELD.match(line)
        if field:
            items.append(f"- `{field[1]}`: {_plain(field[2])}")
        else:
            items[-1] += " " + _plain(line.strip())
    return "\n".join(items)


def _plain(text: str) -> str:
    """``text`` with code spans kept and every other sign of markdown escaped."""
    text = ROLE.sub(r"``\1``", text)
    spans = re.split(r"``(.+?)``", text)
    return "".join(
        f"`{s}`" if i % 2 else re.sub(r"([\\`*_\[\]<>${}|#~^])", r"\\\1", s) for i, s in enumerate(spans)
    )
