"""Two results side by side."""

import json

import pytest

from ferlib.book import compare
from ferlib.config import DataError

NBSP = "\N{NO-BREAK SPACE}"


def result(value, low, high, unit="fraction", key="accuracy", **parameters):
    row = {"key": key, "value": value, "low": low, "high": high, "n": 50, "unit": unit, "split": "test"}
    provenance = {
        "version": "0",
        "commit": "abc",
        "dirty": False,
        "device": "cpu",
        "seconds": 1,
        "date": "2026-01-01T",
    }
    corpus = {"synthetic-fer2013": {"synthetic": True, "digest": "0123456789"}}
    return {
        "chapter": "training",
        "parameters": {"seeds": [0], **parameters},
        "results": [{**row, "reported": None, "to_check": False}],
        "provenance": provenance,
        "inputs": {"corpora": corpus, "runs": {}, "modules": {}},
    }


def write(folder, **content):
    folder.mkdir(parents=True)
    for name, one in content.items():
        (folder / f"{name}.json").write_text(json.dumps(one))
    return folder


def test_only_the_parameters_that_differ_are_listed():
    table = compare.parameters(result(0.5, 0, 1, width=0.5, n=1), result(0.5, 0, 1, width=1.0, n=1))
    assert table.to_dict("index") == {"width": {"A": "0.5", "B": "1.0"}}


@pytest.mark.parametrize(
    ("b", "said"),
    [((0.7, 0.61, 0.8), "apart"), ((0.6, 0.55, 0.7), "they meet"), ((0.3, 0.2, 0.39), "apart"),
     ((0.7, None, None), "no interval")],
)  # fmt: skip
def test_numbers_stand_side_by_side_with_their_difference_and_whether_their_intervals_meet(b, said):
    (row,) = compare.numbers(result(0.5, 0.4, 0.6), result(*b)).to_dict("records")
    assert row["A"] == f"50.0{NBSP}% (95{NBSP}% interval 40.0 to 60.0{NBSP}%)"
    assert row["difference"] == f"{100 * (b[0] - 0.5):+.1f} points"
    assert row["apart"] == said


def test_a_number_that_one_side_lacks_stands_alone():
    table = compare.numbers(result(0.5, 0.4, 0.6), result(0.5, 0.4, 0.6, key="macro_f1"))
    assert (
        table.loc["accuracy", "B"] == table.loc["macro f1", "A"] == table.loc["accuracy", "difference"] == ""
    )


def test_files_folders_and_outputs_of_builds_are_compared_as_text_and_as_a_page(tmp_path):
    a = write(tmp_path / "a" / "results", training=result(0.5, 0.4, 0.6))
    b = write(tmp_path / "b", training=result(0.7, 0.6, 0.8, width=1.0))
    for first in (a.parent, a, a / "training.json"):
        compared = compare.compare(first, b)
        assert "width" in compare.text(compared)
    page = compare.page(compared, tmp_path / "deep" / "page.html").read_text()
    assert "synthetic-fer2013 (drawn, digest 01234567)" in page
    assert "+20.0 points" in page
    assert "http" not in page


def test_what_holds_no_result_is_named(tmp_path):
    empty, wrong = write(tmp_path / "empty"), write(tmp_path / "wrong", training={"a": 1})
    good = write(tmp_path / "good", training=result(0.5, 0.4, 0.6))
    with pytest.raises(DataError, match=r"empty holds no results.*ferlib book build"):
        compare.compare(empty, good)
    with pytest.raises(DataError, match=r"training\.json holds no result"):
        compare.compare(wrong, good)
    with pytest.raises(DataError, match="nothing"):
        compare.compare(tmp_path / "nothing", good)
