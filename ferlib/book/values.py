"""Which values a parameter may have, as far as that is known before anything runs.  Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ferlib.config import check_name
from ferlib.labels import CORPORA, DRAWN_PREFIX

RECIPES = ("paper", "fast")
"""The names of ``ferlib.recipes.RECIPES``, written out since that module loads torch."""

KNOWN_CORPORA = (*CORPORA, *(DRAWN_PREFIX + name for name in (*CORPORA, "megc", "probe")))
CORPUS_NAMES = ("corpus", "corpora", "photographs")
"""Parameters that name corpora; so do those whose default is one."""


def check(name: str, default: Any, value: Any) -> None:
    """Check ``value`` of the parameter ``name`` whose default is ``default``.  Raises ``ValueError``.

    A number is checked by the name of its parameter, a word against the list that its default is from.
    """
    for item in _items(value):
        if isinstance(item, int | float) and not isinstance(item, bool):
            _check_number(name, item)
        elif names_corpora(name, default):
            if item:
                check_name("corpus", item, KNOWN_CORPORA)
        elif isinstance(item, str):
            for what, words in choices().items():
                if all(word in words for word in _items(default)) and default:
                    check_name(what, item, words)


def _check_number(name: str, value: float) -> None:
    if (name == "width" or name.endswith("_px")) and value <= 0:
        raise ValueError(f"{value} must be above 0")
    if (name.startswith("n_") or name in ("seed", "seeds", "person")) and value < 0:
        raise ValueError(f"{value} must not be negative")


def names_corpora(name: str, default: Any) -> bool:
    """Whether the parameter ``name`` names one corpus or several."""
    return name in CORPUS_NAMES or any(item in KNOWN_CORPORA for item in _items(default))


def corpora_of(name: str, default: Any, value: Any) -> list[str]:
    """The corpora that ``value`` of the parameter ``name`` names."""
    return [item for item in _items(value) if item] if names_corpora(name, default) else []


def choices() -> dict[str, Iterable[str]]:
    """What a word can be one of."""
    from ferlib.datasets.base import DUPLICATES
    from ferlib.datasets.ferplus import RULES
    from ferlib.splits import PROTOCOLS

    return {
        "recipe": RECIPES,
        "protocol": PROTOCOLS,
        "rule of labels": ("own", "fer2013", *RULES),
        "way with duplicates": DUPLICATES,
    }


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
