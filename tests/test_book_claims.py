"""Verdicts follow from numbers, by a rule, and numbers of record are kept where the page finds them."""

import json
from pathlib import Path

import pytest
from test_book_compare import NBSP, result, write

from ferlib.book import answers, chapters, claims, keep, provenance
from ferlib.book.claims import Claim
from ferlib.book.paper import REPORTED, Reported
from ferlib.config import UsageError

BOOK = Path(__file__).parent.parent / "book"
PAPER = Reported(0.7, 0.05, "", "breuer2017deep")


def judged(claim, book):
    return claims.judged(claim, provenance.numbers_of_record(claim.chapter, book))


@pytest.mark.parametrize(
    ("low", "high", "chance", "reported", "expected"),
    [
        (None, None, 0.2, PAPER, "not shown"),
        (0.10, 0.30, 0.2, PAPER, "not shown"),
        (0.05, 0.15, 0.2, PAPER, "differs"),
        (0.50, 0.64, 0.2, PAPER, "holds in part"),
        (0.50, 0.66, 0.2, PAPER, "holds"),  # reaches 0.70 - 0.05
        (0.80, 0.90, 0.2, PAPER, "holds"),
        (0.80, 0.90, None, PAPER, "differs"),
        (0.74, 0.90, None, PAPER, "holds"),
        (0.50, 0.64, None, PAPER, "differs"),
        (0.30, 0.90, 0.2, PAPER, "not shown"),  # reaches it, as it would reach almost anything
        (0.30, 0.60, 0.2, PAPER, "holds in part"),
        (0.21, 0.30, 0.2, None, "holds"),
        (0.20, 0.30, 0.2, None, "not shown"),
    ],
)
def test_the_verdict_follows_the_rule(low, high, chance, reported, expected):
    assert claims.verdict({"low": low, "high": high}, chance, chance, reported) == expected


def test_the_upper_end_of_chance_must_be_beaten():
    assert claims.verdict({"low": 0.25, "high": 0.3}, 0.2, 0.26, None) == "not shown"
    assert claims.verdict({"low": 0.27, "high": 0.3}, 0.2, 0.26, None) == "holds"


@pytest.fixture
def book(tmp_path):
    """A book with one number of record: 0.6 [0.5, 0.66] against 0.2 [0.1, 0.3] on drawn FER2013."""
    one = result(0.6, 0.5, 0.66)
    row = one["results"][0]
    one["results"].append({**row, "key": "baseline_accuracy", "value": 0.2, "low": 0.1, "high": 0.3})
    one["provenance"] |= {"synthetic": True, "training_seconds": 1.0}
    one["inputs"]["modules"] = {"metrics": "other", "cli": "other"}
    write(tmp_path / "book" / "results" / "synthetic-fer2013" / "quick", training=one)
    return tmp_path / "book"


CLAIM = Claim("Faces are named.", "training", "accuracy", "fer2013", "baseline_accuracy", "fer2013", "3.1")


def test_a_number_of_record_is_judged_on_its_corpus_and_the_drawn_one_after_it(book):
    (row,) = judged(CLAIM, book)
    assert (row["verdict"], row["stale"]) == ("holds in part", True)
    elsewhere = Claim("", "training", "accuracy", corpus="ckplus")
    assert judged(elsewhere, book) == []
    without = Claim("", "training", "accuracy", chance="never_recorded")
    assert [row["verdict"] for row in judged(without, book)] == ["not shown"]


def test_the_page_shows_each_claim_with_its_number_interval_n_corpus_and_staleness(book, monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", (CLAIM, Claim("Nobody measured this.", "training", "nothing")))
    page = claims.page(book)
    first, second = page.split('<tr class="claim">')[1:]
    for text in ("Faces are named.", f"72.1 ± 0.5{NBSP}% (to check)", "<strong>holds in part</strong>",
                 "on drawn faces", "60.0", "interval 50.0 to 66.0", f"n{NBSP}={NBSP}50", "<td>20.0",
                 "quick profile, commit abc", "stale"):  # fmt: skip
        assert text in first
    assert "not shown" in second
    assert claims.RULE in page


def matrix(value, split, date, corpora, stale=False):
    """A result of one cell of a matrix, measured on ``corpora``: name -> whether it is drawn."""
    one = result(value, value - 0.1, value + 0.1)
    one["results"][0]["split"] = split
    one["provenance"] |= {"synthetic": True, "training_seconds": 1.0, "date": date}
    one["inputs"]["corpora"] = {n: {"synthetic": drawn, "digest": n} for n, drawn in corpora.items()}
    one["inputs"]["modules"] = {"metrics": "other"} if stale else {}
    return one


DRAWN = {"synthetic-a": True, "synthetic-b": True}
MIXED = {**DRAWN, "a": False}
CELL = Claim("", "training", "accuracy")


def measured(tmp_path, **results):
    """What the page lists of results that lie in folders named so: value and staleness."""
    for name, one in results.items():
        write(tmp_path / "results" / name / "quick", training=one)
    return [(row["value"], row["stale"]) for row in judged(CELL, tmp_path)]


def test_what_two_runs_measured_alike_is_listed_once_as_measured_last(tmp_path):
    cell, whole = "synthetic-a to synthetic-b, 9 faces", "2 corpora, 2 folds"
    older, newer = matrix(0.5, cell, "2026-01-01T10", DRAWN), matrix(0.6, cell, "2026-01-01T11", MIXED)
    assert measured(tmp_path / "1", drawn=older, mixed=newer) == [(0.6, False)]
    older, newer = matrix(0.5, cell, "2026-01-01T11", DRAWN), matrix(0.6, cell, "2026-01-01T10", MIXED)
    assert measured(tmp_path / "2", drawn=older, mixed=newer) == [(0.5, False)]
    late_but_stale = matrix(0.6, cell, "2026-01-01T12", MIXED, stale=True)
    assert measured(tmp_path / "3", drawn=older, mixed=late_but_stale) == [(0.5, False)]
    one, other = matrix(0.5, whole, "2026-01-01T10", DRAWN), matrix(0.6, whole, "2026-01-01T11", MIXED)
    assert measured(tmp_path / "4", drawn=one, mixed=other) == [(0.5, False), (0.6, False)]


def test_fresh_numbers_stand_first_and_the_page_says_how_many_are_stale(tmp_path, monkeypatch):
    old = matrix(0.5, "synthetic-a to synthetic-b", "2026-01-01T11", DRAWN, stale=True)
    new = matrix(0.6, "a to synthetic-b", "2026-01-01T10", MIXED)
    assert measured(tmp_path, drawn=old, mixed=new) == [(0.6, False), (0.5, True)]
    monkeypatch.setattr(claims, "CLAIMS", (CELL,))
    assert claims.page(tmp_path).startswith("Marked **stale**: 1 of the 2 numbers below.")


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("synthetic-a to synthetic-b, 9 faces", "on drawn faces"),
        ("synthetic-a to a, public-as-test", "drawn to photographs"),
        ("Learned on a, judged in folds of synthetic-b.", "photographs to drawn"),
        ("a, 9 faces", ""),
        ("3 corpora, 2 folds", "drawn and photographed"),
        (None, "drawn and photographed"),
    ],
)
def test_a_verdict_says_on_what_faces_a_network_learned_and_was_judged(split, said, tmp_path):
    write(tmp_path / "results" / "mixed" / "quick", training=matrix(0.5, split, "2026-01-01", MIXED))
    (row,) = judged(CELL, tmp_path)
    assert row["faces"] == said
    chip = f'<span class="chip">{said}</span>'
    assert (chip in claims._cells(row)[0][0]) == bool(said)


def test_the_chance_of_a_correlation_is_the_one_that_was_measured():
    (claim,) = (claim for claim in claims.CLAIMS if claim.key == "au_correlation")
    kept = json.loads((BOOK / "results/several-drawn/quick/datasets.json").read_text())["results"]
    (dealt,) = (row for row in kept if row["key"] == "au_correlation_dealt_anew")
    (row,) = judged(claim, BOOK)
    assert row["chance"] == dealt["value"] != 0
    assert row["verdict"] == ("holds" if row["low"] > dealt["high"] else "not shown")


def test_a_number_is_stale_when_what_makes_it_changed_not_what_shows_it(monkeypatch):
    monkeypatch.setattr(provenance, "_module_digest", lambda name: "today")
    assert not provenance.is_stale({"modules": {"cli": "other", "book.record": "other"}, "corpora": {}})
    assert provenance.is_stale({"modules": {"cli": "today", "metrics": "other"}, "corpora": {}})


@pytest.mark.parametrize("chapter", sorted({claim.chapter for claim in claims.CLAIMS}))
def test_the_numbers_that_claims_name_are_in_the_kept_results_of_the_chapter(chapter):
    assert chapter in chapters.find(BOOK)
    of_chapter = [claim for claim in claims.CLAIMS if claim.chapter == chapter and not claim.corpus]
    named = {key for claim in of_chapter for key in (claim.key, claim.chance) if isinstance(key, str) and key}
    for file in BOOK.glob(f"results/synthetic-*/quick/{chapter}.json"):
        recorded = {row["key"] for row in json.loads(file.read_text())["results"]}
        assert named <= recorded, file


@pytest.mark.parametrize("chapter", answers.ASKED)
def test_the_numbers_that_the_first_page_asks_for_are_in_the_kept_results_of_the_chapter(chapter):
    asked = {name for name in answers.ASKED[chapter] if isinstance(name, str)}
    files = list(BOOK.glob(f"results/*/quick/{chapter}.json"))
    assert files
    for file in files:
        assert asked <= {row["key"] for row in json.loads(file.read_text())["results"]}, file


def test_the_numbers_of_the_paper_that_claims_name_are_noted():
    assert {claim.reported for claim in claims.CLAIMS} <= {"", *REPORTED}


def test_results_are_kept_by_corpus_and_profile_and_a_changed_parameter_joins_the_name(tmp_path):
    book = tmp_path / "book"
    (book / "profiles").mkdir(parents=True)
    for name in ("01_training.ipynb",):
        (book / name).write_bytes((BOOK / name).read_bytes())
    for profile in chapters.PROFILES:
        settings = chapters.profile(BOOK, profile).chapters["training"]
        (book / "profiles" / f"{profile}.yml").write_text(json.dumps({"chapters": {"training": settings}}))
    defaults = chapters.find(book)["training"].defaults

    def kept(**changes):
        one = result(0.6, 0.5, 0.7)
        one["parameters"] = defaults | changes
        one["provenance"]["synthetic"] = True
        source = write(tmp_path / str(len(list(tmp_path.iterdir()))) / "results", training=one)
        (place,) = keep.keep(source.parent, book)
        assert json.loads(place.read_text()) == one
        return place.relative_to(book / "results").as_posix()

    assert kept() == "synthetic-fer2013/quick/training.json"
    assert kept(corpus="fer2013") == "fer2013/quick/training.json"
    assert kept(recipe="fast") == "synthetic-fer2013/quick/training-fast.json"
    paper = chapters.profile(BOOK, "paper").chapters["training"]
    assert kept(**paper) == "synthetic-fer2013/paper/training.json"
    with pytest.raises(UsageError, match="tiny profile"):
        kept(**chapters.profile(BOOK, "tiny").chapters["training"])
