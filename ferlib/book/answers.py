"""What the first page says of each chapter's result: drawn or photographed, and whether it beats chance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ferlib.book.claims import chance_of, verdict
from ferlib.book.record import spoken, with_interval

Result = Mapping[str, Any]

ASKED: dict[str, tuple[str, str | float]] = {
    "training": ("accuracy", "baseline_accuracy"),
    "facs_correlation": ("filters_beyond_emotion", "filters_beyond_emotion_untrained"),
    "cross_dataset": ("accuracy", "baseline_accuracy"),
    "micro_expressions": ("gain_over_majority", 0.0),
}
"""Chapter -> the key of the number that answers its question, and what it must beat: another key, or a value."""

WORDS = {"holds": "Yes, above chance.", "not shown": "Not shown.", "differs": "No, below chance."}

MARK = re.compile(r"<!-- answer (\w+) -->")
FIRST = "<!-- answer -->"


def filled(text: str, told: Mapping[str, Result]) -> str:
    """``text`` with its marks ``<!-- answer CHAPTER -->`` and ``<!-- answer -->`` filled from the results ``told``."""
    return MARK.sub(lambda found: card(found[1], told.get(found[1])), text.replace(FIRST, sentence(told)))


def card(chapter: str, result: Result | None) -> str:
    """On which faces, and whether the number lies above chance; empty where the chapter was not run."""
    if result is None or (judged := _judged(chapter, result)) is None:
        return ""
    return f'<span class="chip">{faces(result)}</span> **{WORDS[judged]}**'


def faces(result: Result) -> str:
    """``drawn faces``, ``photographs``, or both."""
    kinds = {bool(corpus["synthetic"]) for corpus in result["inputs"]["corpora"].values()}
    return " and ".join(
        name for name, drawn in (("photographs", False), ("drawn faces", True)) if drawn in kinds
    )


def sentence(told: Mapping[str, Result]) -> str:
    """The answer to the question of the book, as far as this copy of it knows one."""
    result = told.get("facs_correlation")
    if result is None or (judged := _judged("facs_correlation", result)) is None:
        return "This copy of the book has not run the chapter that answers it."
    key, chance = ASKED["facs_correlation"]
    ours, floor = _rows(result)[key], _rows(result)[str(chance)]
    end = {
        "holds": "So they do better than chance, by this test. The second answer below counts the units, beside those "
        "that plain edges find; the chapter says what it cannot show.",
        "not shown": "That is not shown to be more than chance.",
        "differs": "That is less than chance.",
    }
    return (
        f"In this copy of the book, on {faces(result)}, {with_interval(ours)} of the active filters go with an Action "
        f"Unit beyond the emotion that the network names. In a network that learned nothing it is "
        f"{spoken(floor['value'], floor['unit'])}. {end[judged]}"
    )


def _rows(result: Result) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in result["results"]}


def _judged(chapter: str, result: Result) -> str | None:
    """The verdict on the chapter's number; None where it was not recorded."""
    key, chance = ASKED[chapter]
    rows = _rows(result)
    if key not in rows or (isinstance(chance, str) and chance not in rows):
        return None
    return verdict(rows[key], *chance_of(chance, rows), None)
