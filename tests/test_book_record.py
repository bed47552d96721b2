"""What a chapter records: checked parameters, numbers with what they stand on, and whether they are stale."""

import json
from types import SimpleNamespace

import pytest

from ferlib.book import pages, provenance, record
from ferlib.book.paper import REPORTED
from ferlib.config import UsageError

NBSP = "\N{NO-BREAK SPACE}"


def cells(injected):
    return {"In": ["", "n_steps: int = 3  # how many", f"# Parameters\n{injected}"], "n_steps": 3}


def test_plain_papermill_with_a_misspelt_parameter_is_refused_by_the_chapter():
    with pytest.raises(UsageError, match="Did you mean 'n_steps'"):
        record.open_chapter("small", cells("n_step = 5"))
    with pytest.raises(UsageError, match="not of type int"):
        record.open_chapter("small", cells("n_steps = 'x'") | {"n_steps": 2.5})


def test_a_result_is_written_whole_with_what_it_stands_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FERLIB_RESULT", str(tmp_path / "deep" / "result.json"))
    chapter = record.open_chapter("small", cells("n_steps = 3"))
    assert "n_steps" in capsys.readouterr().out
    chapter.record("accuracy", 0.72136, split="test", reported="fer2013")
    with pytest.raises(UsageError, match="recorded twice"):
        chapter.record("accuracy", 0.5)
    assert chapter.table().loc["accuracy", "ours"] == "72.1\N{NO-BREAK SPACE}%"
    assert chapter.table().loc["accuracy", "reported"] == "72.1\N{NO-BREAK SPACE}% (to check)"
    written = json.loads(chapter.close().read_text())
    assert written["results"][0]["value"] == 0.72136
    assert {"version", "commit", "dirty", "synthetic", "device", "seconds", "date"} <= set(
        written["provenance"]
    )
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["result.json"]


def test_a_number_that_is_not_finite_is_refused_and_an_unknown_interval_is_null(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_RESULT", str(tmp_path / "result.json"))
    chapter = record.open_chapter("small", cells("n_steps = 3"))
    for value in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"small: 'sd' is (nan|inf); only finite"):
            chapter.record("sd", value)
    chapter.record("mean", SimpleNamespace(value=0.5, low=float("nan"), high=float("inf"), n=3))
    (row,) = json.loads(chapter.close().read_text(), parse_constant=pytest.fail)["results"]
    assert (row["low"], row["high"], row["n"]) == (None, None, 3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.72136, "fraction", f"72.1{NBSP}%"),
        (1234.6, "count", "1,235"),
        (12.3, "s", "12 s"),
        (0.5, "", "0.500"),
    ],
)
def test_a_number_is_written_in_its_unit(value, unit, text):
    assert record.spoken(value, unit) == text


def test_an_estimate_is_glued_with_its_interval():
    row = {"key": "accuracy", "value": 0.7, "low": 0.65, "high": 0.75, "n": 1200, "unit": "fraction"}
    glued = record._glued(row)
    assert glued["accuracy_with_interval"] == f"70.0{NBSP}% (95{NBSP}% interval 65.0 to 75.0{NBSP}%)"
    assert (glued["accuracy_low"], glued["accuracy_n"]) == (f"65.0{NBSP}%", "1,200")


def test_reported_numbers_keep_the_digits_of_their_source_and_say_what_is_to_check():
    assert str(REPORTED["fer2013"]) == "72.1 ± 0.5 % (to check)"
    assert str(REPORTED["ckplus"]) == "98.62 ± 0.11 % (to check)"
    assert str(REPORTED["fer2013_people"]) == "65 ± 5 %"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A committed result of chapter ``small`` on a corpus that lies in the home."""
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(
        "FERLIB_RESULT", str(tmp_path / "book" / "results" / "fer2013" / "paper" / "small.json")
    )
    corpus = tmp_path / "home" / "corpora" / "fer2013"
    corpus.mkdir(parents=True)
    (corpus / "manifest.json").write_text('{"digest": "abcdef0123", "n_images": 50}')
    chapter = record.open_chapter("small", cells("n_steps = 3"))
    chapter.uses(SimpleNamespace(corpus="fer2013", digest="abcdef0123", synthetic=False))
    chapter.record("accuracy", SimpleNamespace(value=0.7, low=0.6, high=0.8, n=50), split="PublicTest")
    chapter.close()
    return tmp_path


def test_a_number_of_record_says_on_what_it_was_measured(kept):
    shown = provenance.of_record("small", kept / "book")
    assert list(shown.index) == ["fer2013"]
    (row,) = shown.to_dict("records")
    assert row["result"] == "accuracy 70.0%"
    assert row["measured on"] == "PublicTest"
    assert "stale" not in row["commit"]


def test_a_number_of_record_is_stale_when_its_corpus_changed(kept):
    manifest = kept / "home" / "corpora" / "fer2013" / "manifest.json"
    manifest.write_text('{"digest": "other", "n_images": 50}')
    assert provenance.numbers_of_record("small", kept / "book")["stale"].all()
    manifest.write_text('{"digest": "other", "n_images": 9}')  # one of another size proves nothing
    assert not provenance.numbers_of_record("small", kept / "book")["stale"].any()
    manifest.unlink()  # a corpus that is not here proves nothing
    assert not provenance.numbers_of_record("small", kept / "book")["stale"].any()


def test_a_number_of_record_is_stale_when_its_code_changed(kept, monkeypatch):
    monkeypatch.setattr("ferlib.config.code_digest", lambda modules: "other")
    assert provenance.numbers_of_record("small", kept / "book")["stale"].all()


def test_a_result_is_out_of_date_when_its_run_is_gone():
    inputs = {"modules": {}, "corpora": {}, "runs": {"no-such-run-s0-00000000": {"digest": "abc"}}}
    assert provenance.changes(inputs) == ["run no-such-run-s0-00000000"]


def test_a_chapter_that_was_not_run_leaves_the_numbers_that_others_ask_it_for(tmp_path):
    book = tmp_path / "book"
    book.mkdir()
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# A title\n", "\n", "Text"]}]
    (book / "02_later.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    (book / "index.md").write_text(
        "{glue:text}`02_later.ipynb::effect:s` and {glue:text}`02_later.ipynb::n:s`"
    )
    pages.stage(book, tmp_path / "source", {"02_later.ipynb": None})
    title, code = pages.read(tmp_path / "source" / "02_later.ipynb")["cells"]
    assert title["source"].startswith("# A title")
    assert "ferlib book build --only later" in title["source"]
    assert [output["metadata"]["scrapbook"]["name"] for output in code["outputs"]] == ["effect", "n"]


@pytest.mark.parametrize("left", [True, False])
def test_the_first_page_shows_the_pictures_that_a_chapter_left_for_it(tmp_path, left):
    book, ran = tmp_path / "book", tmp_path / "ran"
    (book / "_static" / "story").mkdir(parents=True)
    (book / "_static" / "story" / "face.webp").write_bytes(b"of the sources")
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# A title", "id": "title"}]
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (ran / "result").mkdir(parents=True)
    for folder, name in ((book, "02_later.ipynb"), (ran, "executed.ipynb")):
        (folder / name).write_text(notebook)
    told = {
        "version": "1",
        "commit": "abc",
        "dirty": False,
        "device": "cpu",
        "seconds": 1,
        "date": "2026-01-01",
    }
    ran_with = {"corpora": {}, "runs": {}, "modules": {}}
    (ran / "result.json").write_text(json.dumps({"chapter": "later", "inputs": ran_with, "provenance": told}))
    if left:
        (ran / "result" / "story-face.webp").write_bytes(b"of this copy")
    pages.stage(book, tmp_path / "source", {"02_later.ipynb": ran / "executed.ipynb"})
    shown = (tmp_path / "source" / "_static" / "story" / "face.webp").read_bytes()
    assert shown == (b"of this copy" if left else b"of the sources")
