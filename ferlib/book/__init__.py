"""The book: chapters with checked parameters, executed, recorded and rendered.

In a chapter: ``chapter = book.open("training", globals())``, then ``chapter.uses``, ``chapter.record``,
``chapter.close``.  On a command line: ``ferlib book build`` and ``ferlib book params``.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

# jsonschema, which reads notebooks, loads a checker of internationalised addresses where one is installed.  It takes a
# second in every process of a build, and nothing here has such addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

_HOMES: dict[str, tuple[str, str]] = {
    "open": ("record", "open_chapter"),
    "Chapter": ("record", "Chapter"),
    "Sheets": ("sheets", "Sheets"),
    "numbers_of_record": ("provenance", "numbers_of_record"),
    "of_record": ("provenance", "of_record"),
}
"""What a chapter calls, and where it is; loaded when asked for, since commands need no figures."""

__all__ = ["Chapter", "Sheets", "numbers_of_record", "of_record", "open"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
