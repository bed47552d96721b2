"""The claims of the paper and ours, each with the verdict that the numbers of record give it.

Built from ``book/results`` alone.  :func:`verdict` is the rule, :data:`RULE` says it in words.
"""

from __future__ import annotations

import html
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib.book.paper import REPORTED, Reported
from ferlib.book.provenance import numbers_of_record
from ferlib.book.record import NBSP, spoken, with_interval
from ferlib.labels import DRAWN_PREFIX


@dataclass(frozen=True)
class Claim:
    """One sentence that a recorded number can bear out or not."""

    says: str
    chapter: str
    key: str  # of the number in the chapter's result
    reported: str = ""  # key of the paper's number in REPORTED, where it gives one
    chance: str | float = ""  # what the number must beat: another key of the same result, or a value
    corpus: str = ""  # only numbers measured on this corpus, or on the drawn one after it, count
    section: str = ""  # of the paper; empty: a claim of this book
    part: str = ""  # where several claims share their sentence


_TRANSFERS = (("ckplus", "fer2013"), ("ckplus", "novaemotions"), ("fer2013", "ckplus"),
              ("fer2013", "novaemotions"), ("novaemotions", "ckplus"), ("novaemotions", "fer2013"))  # fmt: skip
_NAMES = {"ckplus": "CK+", "fer2013": "FER2013", "novaemotions": "NovaEmotions"}

CLAIMS: tuple[Claim, ...] = (
    Claim("A plain network names the emotions of FER2013.", "training", "accuracy", "fer2013",
          "baseline_accuracy", "fer2013", "3.1"),
    Claim("The same network names the emotions of CK+.", "training", "accuracy", "ckplus",
          "baseline_accuracy", "ckplus", "3.1"),
    Claim("The filters of the last block match single Action Units.", "facs_correlation", "matching_filters",
          "matching_filters", "matching_by_chance", "ckplus", "3.2"),
    *(Claim("With a new output, the network names the emotions of a corpus that it was not trained on.",
            "cross_dataset", f"head_{a}_to_{b}", f"{a}_to_{b}", section="3.3",
            part=f"{_NAMES[a]} to {_NAMES[b]}") for a, b in _TRANSFERS),
    *(Claim("It names the emotions of a corpus that it was not trained on as it is.", "cross_dataset",
            f"as_is_{a}_to_{b}", f"{a}_to_{b}", section="3.3",
            part=f"{_NAMES[a]} to {_NAMES[b]}") for a, b in _TRANSFERS),
    Claim("Action Units are told from features that were learned for emotions.", "cross_dataset", "au_accuracy",
          "au_accuracy", "au_absent_accuracy", section="3.3"),
    Claim("So is their intensity.", "cross_dataset", "au_level_accuracy", "au_level_accuracy",
          "au_absent_level_accuracy", section="3.3"),
    Claim("Features of such a network, read over time, name micro-expressions.", "micro_expressions",
          "accuracy", "micro_accuracy", "baseline_accuracy", "casme2", "4"),
    Claim("They do so better than LBP-TOP.", "micro_expressions", "gain_over_lbptop", chance=0.0,
          corpus="casme2", section="4"),
    Claim("Filters match Action Units more often than filters that only know the emotion would.",
          "facs_correlation", "matching_filters", chance="matching_within_emotion", corpus="ckplus"),
    Claim("More filters follow an Action Unit beyond its emotion than in a network that learned nothing.",
          "facs_correlation", "filters_beyond_emotion", chance="filters_beyond_emotion_untrained"),
    Claim("A network names emotions in a corpus that it has never seen.", "cross_dataset", "accuracy",
          chance="baseline_accuracy"),
    Claim("Micro-expressions are named better than by the commonest class.", "micro_expressions",
          "gain_over_majority", chance=0.0),
    Claim("Picking the epoch on the people of the test flatters the accuracy.", "micro_expressions", "leak_gain",
          chance=0.0),
    Claim("Micro-expressions are found in longer films.", "micro_expressions", "spotting_f1",
          chance="spotting_f1_chance"),
    Claim("In the drawn CK+ the Action Units go with the emotions as in the photographed one.", "datasets",
          "au_correlation", chance="au_correlation_dealt_anew"),
)  # fmt: skip

RULE = """\
1. **Not shown**: nothing was measured, or the number or its chance was not, or it has no interval, or its interval
   does not lie above chance.
   Where chance has an interval of its own, ours must lie above the upper end of it.
2. **Differs**: the whole interval lies below chance; or, where a claim names no chance, it misses the reported number.
3. **Holds**: above chance, and the interval reaches the reported number, with the ± printed there, or lies above it.
   An interval that is wider than 20 percentage points reaches almost any number, and then the claim is *not shown*.
   Where nothing was reported, lying above chance is enough.
4. **Holds in part**: above chance, but the whole interval lies below the reported number.
"""

WIDEST = 0.2
"""How wide an interval may be that agrees with a reported number."""


def verdict(
    row: dict[str, Any], chance: float | None, chance_high: float | None, reported: Reported | None
) -> str:
    """``holds``, ``holds in part``, ``not shown`` or ``differs``, as :data:`RULE` says.

    row : a number of record with ``low`` and ``high``; chance, chance_high : its value and the upper end of its
    interval, None where the claim names no chance.
    """
    low, high = row["low"], row["high"]
    if pd.isna(low) or pd.isna(high):
        return "not shown"
    if chance is not None and high < chance:
        return "differs"
    if chance_high is not None and low <= chance_high:
        return "not shown"
    if reported is None:
        return "holds"
    if high >= reported.value - (reported.spread or 0):
        if low <= reported.value and high - low > WIDEST:
            return "not shown"
        meets = low <= reported.value + (reported.spread or 0)
        return "holds" if meets or chance is not None else "differs"
    return "holds in part" if chance is not None else "differs"


def judged(claim: Claim, numbers: pd.DataFrame) -> list[dict[str, Any]]:
    """Those of ``numbers`` (of record, of its chapter) that bear on ``claim``; stale ones last.

    Each has ``chance``, ``verdict`` and ``faces`` besides.  Chapters share cells: what was measured twice, as by a
    matrix of drawn corpora and by one with photographs among them, stands here once, as it was measured last.
    """
    once: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in sorted(_bearing(claim, numbers), key=lambda row: (not row["stale"], row["when"])):
        once[row["measured"]] = row
    return sorted(once.values(), key=lambda row: (row["stale"], row["file"]))


def _bearing(claim: Claim, numbers: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for place, of in numbers.groupby("file") if len(numbers) else ():
        rows: dict[str, Any] = {row["key"]: row for row in of.to_dict("records")}
        corpus = str(of["corpus"].iloc[0])
        if claim.key in rows and claim.corpus in ("", corpus.removeprefix(DRAWN_PREFIX)):
            found, chance = rows[claim.key], chance_of(claim.chance, rows)
            file = Path(str(place))
            content = json.loads(file.read_text(encoding="utf-8"))
            drawn = {name: told["synthetic"] for name, told in content["inputs"]["corpora"].items()}
            told = named(found["split"], drawn)
            yield {
                **found,
                "chance": chance[0],
                "verdict": verdict(found, *chance, REPORTED.get(claim.reported)),
                "faces": faces([drawn[name] for name in told], drawn.values()),
                "when": content["provenance"]["date"],
                "measured": (found["profile"], file.stem, str(found["split"]), "" if told else corpus),
            }


def named(split: str | None, corpora: Iterable[str]) -> list[str]:
    """Those of ``corpora`` that ``split`` names, in its order: where a network learned, then where it was judged."""
    known = set(corpora)
    return [word for word in re.findall(r"[\w-]+", split or "") if word in known]


def faces(drawn: list[bool], of_all: Iterable[bool]) -> str:
    """On what faces a number was measured, in words; "" is photographs.

    drawn : whether each corpus that the number names is drawn; of_all : the same of all corpora of its result, which
    count where it names none.
    """
    if not drawn:
        kinds = set(of_all)
        return "drawn and photographed" if len(kinds) == 2 else "on drawn faces" if True in kinds else ""
    words = {(True, True): "on drawn faces", (True, False): "drawn to photographs"}
    return {**words, (False, True): "photographs to drawn", (False, False): ""}[drawn[0], drawn[-1]]


def chance_of(
    chance: str | float, rows: Mapping[str, Mapping[str, Any]]
) -> tuple[float | None, float | None]:
    """Its value and the upper end of its interval, as :func:`verdict` takes them.

    chance : the key of a number among ``rows``, or a value; "" where none is named.
    """
    if chance == "":
        return None, None
    if not isinstance(chance, str):
        return chance, chance
    if chance not in rows:
        return None, math.inf  # without its chance a number shows nothing
    found = rows[chance]
    return found["value"], found["value"] if pd.isna(found["high"]) else found["high"]


def page(book: Path) -> str:
    """The tables of the page, in MyST markdown."""
    numbers = {chapter: numbers_of_record(chapter, book) for chapter in {claim.chapter for claim in CLAIMS}}
    found = {claim: judged(claim, numbers[claim.chapter]) for claim in CLAIMS}
    parts = [
        staleness([row for rows in found.values() for row in rows]),
        f"## How a verdict is given\n\n{RULE}",
    ]
    for title, of_paper in (("The claims of the paper", True), ("Claims of this book", False)):
        claims = [claim for claim in CLAIMS if bool(claim.section) == of_paper]
        shared = itertools.groupby(claims, key=lambda claim: claim.says)
        body = "".join(_rows(says, {claim: found[claim] for claim in of}) for says, of in shared)
        parts.append(
            f'## {title}\n\n<table class="claims"><thead><tr>{HEAD}</tr></thead><tbody>{body}</tbody></table>\n'
        )
    return "\n\n".join(parts)


def staleness(rows: list[dict[str, Any]]) -> str:
    """How many of the numbers on the page are stale, and what that means."""
    return (
        f"Marked **stale**: {sum(bool(row['stale']) for row in rows)} of the {len(rows)} numbers below. Since such a "
        "number was measured, code that makes it or a corpus that it stands on has changed, so that the same "
        "command may give another number today. It stands below the fresh numbers of its claim."
    )


HEAD = "".join(f"<th>{name}</th>" for name in ("verdict", "ours", "by chance", "reported"))
NOTHING = (["<strong>not shown</strong>", "", ""], "No number of record yet.")


def _rows(says: str, found: dict[Claim, list[dict[str, Any]]]) -> str:
    """The claims that share the sentence ``says``: it, and for each number that bears on one two rows."""
    first = next(iter(found))
    section = f"section {first.section} of the paper, " if first.section else ""
    where = f"<small>{section}chapter <em>{first.chapter.replace('_', ' ')}</em></small>"
    told = [f'<tr class="claim"><th colspan="4" scope="colgroup">{html.escape(says)} {where}</th></tr>']
    for claim, rows in found.items():
        for cells, origin in [_cells(row) for row in rows] or [NOTHING]:
            line = "".join(f"<td>{cell}</td>" for cell in (*cells, _reported(claim)))
            told.append(f'<tr>{line}</tr><tr class="origin"><td colspan="4">{origin}</td></tr>')
    return "".join(told)


def _reported(claim: Claim) -> str:
    told = str(REPORTED.get(claim.reported, "")).replace(" %", f"{NBSP}%")
    return f"{claim.part}: {told}" if claim.part else told


def _cells(row: dict[str, Any]) -> tuple[list[str], str]:
    number = with_interval({key: None if pd.isna(value) else value for key, value in row.items()})
    stale = " <strong>stale</strong>" if row["stale"] else ""
    made = f"{row['split'] or row['corpus']}; {row['profile']} profile, commit {row['commit']}, {row['date']}"
    chip = f' <span class="chip">{row["faces"]}</span>' if row["faces"] else ""
    cells = [
        f"<strong>{row['verdict']}</strong>{chip}",
        number + ("" if pd.isna(row["n"]) else f", n{NBSP}={NBSP}{row['n']:,.0f}"),
        "" if row["chance"] is None else spoken(row["chance"], row["unit"]),
    ]
    return cells, html.escape(made) + stale
