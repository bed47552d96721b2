"""Imports inside ferlib go to the same or a lower level, and never in a circle."""

import ast
import graphlib
from pathlib import Path

import ferlib

PACKAGE = Path(ferlib.__file__).parent
LEVELS = {
    "labels": 0, "paths": 0, "config": 0, "keep": 0, "lifeline": 0,
    "datasets": 1, "synthetic": 1, "splits": 1, "augment": 1, "faces": 1, "devices": 1, "batches": 1, "jobs": 1,
    "models": 2, "recipes": 2, "runs": 2, "heads": 2,
    "metrics": 3, "groups": 3, "au_stats": 3,
    "learner": 4, "training": 4, "likeness": 4, "distance": 4, "filters": 4, "features": 4, "transfer": 4, "micro": 4,
    "plots": 5, "viewer": 5,
    "book": 6, "predict": 6, "export": 6, "cli": 6,
}  # fmt: skip


def modules() -> dict[str, list[Path]]:
    """Top-level module name -> its files."""
    found: dict[str, list[Path]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name != "__init__":
            found.setdefault(name, []).append(file)
    return found


def imported(file: Path) -> set[str]:
    """Names of the ferlib modules that ``file`` imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ferlib.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ferlib":
            parts = (node.module or "").split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{file}: write the full name instead of a relative import")
    return names & set(LEVELS)


def test_every_module_has_a_level():
    assert set(modules()) <= set(LEVELS)


def test_imports_go_to_the_same_or_a_lower_level():
    upward = [
        f"{file.relative_to(PACKAGE)} imports {target}"
        for name, files in modules().items()
        for file in files
        for target in imported(file)
        if LEVELS[target] > LEVELS[name]
    ]
    assert upward == []


def test_imports_form_no_circle():
    graph = {name: {t for f in files for t in imported(f)} - {name} for name, files in modules().items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError naming the circle
