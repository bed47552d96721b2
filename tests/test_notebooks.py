"""Every chapter keeps to the template: fixed stops, typed parameters, no outputs, no code of its own."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from ferlib.book import chapters
from ferlib.book.chapters import Wish

BOOK = Path(__file__).parent.parent / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
STOPS = [
    "Data",
    "Method",
    "Result",
    "Inspect",
    "Checks",
    "Against the paper",
    "Caveats",
    "Try it",
    "References",
]
FIGURES = re.compile(r"^plots\.\w+\(", re.M)


def by_name(path):
    return path.stem


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def syntax(cell):
    return ast.walk(ast.parse(cell.source))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_a_notebook_is_valid_small_and_holds_no_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor >= 5) == (4, True)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells) <= 45
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_a_notebook_calls_and_does_not_define(path):
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert not [node for cell in code(path) for node in syntax(cell) if isinstance(node, defined)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_a_notebook_names_no_absolute_path(path):
    texts = [n.value for c in code(path) for n in syntax(c) if isinstance(n, ast.Constant)]
    assert not [t for t in texts if isinstance(t, str) and re.match(r"(/|~|[A-Za-z]:\\)\w", t)]


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_a_chapter_makes_its_stops_in_order(path):
    cells = read(path).cells
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in cells if c.cell_type == "markdown"), re.M)
    assert headings == STOPS
    title = cells[0].source
    assert title.startswith("# ")
    assert title.index("**Question.**") < title.index("**Answer.**") < title.index("{glue:text}")
    assert "parameters" in cells[1].metadata.tags
    assert f'book.open("{chapters.name_of(path)}", globals())' in cells[2].source
    assert "chapter.close()" in cells[-2].source
    assert "remove-input" in cells[-2].metadata.tags
    assert cells[-1].source.startswith("## References")


@pytest.mark.parametrize("path", CHAPTERS, ids=by_name)
def test_a_chapter_has_an_equation_with_a_label_and_says_what_we_see(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert re.search(r"\$\$ \(eq-[\w-]+\)", text)
    assert re.search(r"\{(foot)?cite:[pt]\}", text)
    assert text.count("We see") >= 2
    assert "```console\n$ ferlib book build" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_every_figure_has_a_caption_a_name_and_a_text_for_those_who_do_not_see_it(path):
    for cell in (c for c in code(path) if FIGURES.search(c.source)):
        shown = cell.metadata["mystnb"]
        assert shown["figure"]["caption"].endswith(".")
        assert shown["figure"]["name"].startswith("fig-")
        assert len(shown["image"]["alt"]) > 30


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_every_parameter_has_a_plain_type_and_a_meaning(path):
    assert all(parameter.meaning for parameter in chapters.parameters_of(path))
    (cell,) = [c for c in code(path) if "parameters" in c.metadata.get("tags", [])]
    assert all(isinstance(node, ast.AnnAssign) for node in ast.parse(cell.source).body)
    assert "profile" not in chapters.Chapter(path, chapters.parameters_of(path)).defaults


def test_the_quick_profile_is_what_the_notebooks_say():
    known = {name: chapter.defaults for name, chapter in chapters.find(BOOK).items()}
    assert chapters.profile(BOOK, "quick").chapters == known


@pytest.mark.parametrize("profile", chapters.PROFILES)
def test_every_profile_is_accepted(profile):
    assert set(chapters.plan(BOOK, Wish(profile=profile)).parameters) == set(chapters.find(BOOK))
