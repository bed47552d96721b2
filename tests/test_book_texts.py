"""The pages that are made from sources and results: the package, speed, what each page must say, and the PDF."""

import base64
import io
import json
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from docutils import nodes
from test_book_compare import result

from ferlib.book import answers, api, figure_data, offline, pages, pdf, performance, record, render, runner
from ferlib.config import DataError, UsageError


def test_a_docstring_becomes_markdown_in_which_only_code_is_markup():
    text = "Means of *all* [x]_ of :class:`Run`; see ``a_b``.\n\nfaces : (N, H, W)\n    uint8\nn : how many"
    text += "\n\n>>> f(1)\n2"
    assert api.prose(text) == (
        r"Means of \*all\* \[x\]\_ of `Run`; see `a_b`."
        "\n\n- `faces`: (N, H, W) uint8\n- `n`: how many\n\n```text\n>>> f(1)\n2\n```"
    )


def test_the_page_of_the_package_names_what_is_public_with_its_signature(tmp_path):
    page = api.page(tmp_path)
    assert "`accuracy(predictions: pd.DataFrame, rng: np.random.Generator) -> Estimate`" in page
    assert "`class TrainConfig`" in page
    assert "`model() -> Any`" in page
    assert "_bootstrap" not in page
    assert "::::{dropdown}" in page


@pytest.fixture
def measured(tmp_path, monkeypatch):
    file = tmp_path / "bench_sums.py"
    file.write_text(
        '"""How fast sums are:  python bench_sums.py\n\n    python x\n\nMore."""\n'
        'import sys\nprint("ratio 2.0", "--quick" in sys.argv, "/tmp/x/a.csv:", "3 images/s")\nraise SystemExit(1)\n'
    )
    monkeypatch.setattr(performance, "benchmarks", lambda: {"sums": file})
    return performance.run([], quick=True)


def test_benchmarks_are_kept_with_their_machine_and_shown_on_the_page(measured, tmp_path, capfd):
    (tmp_path / "results" / "benchmarks").mkdir(parents=True)
    assert performance.page(tmp_path) == "No benchmark has been kept yet."
    (tmp_path / "results" / "benchmarks" / "mine.json").write_text(json.dumps(measured))
    page = performance.page(tmp_path)
    assert f"## {measured['device']}" in page
    assert "each the shorter way where it has one:" in page
    (tmp_path / "results" / "benchmarks" / "again.json").write_text(json.dumps(measured))
    twice = performance.page(tmp_path)
    assert (twice.count(f"## {measured['device']}"), twice.count("### sums")) == (1, 2)
    assert "How fast sums are. A limit is broken.\n\nMore.\n\n```text" in page
    assert "```text\nratio 2.0 True a.csv: 3 images/s\n```" in page


def test_an_unknown_benchmark_is_refused_before_any_runs(measured, capfd):
    with pytest.raises(UsageError, match="Did you mean 'sums'"):
        performance.run(["sum"])
    assert capfd.readouterr().out == ""


def executed(folder, corpora):
    """An executed chapter with a figure and the data that it was drawn from."""
    one = result(0.5, 0.4, 0.6) | {"chapter": "small"}
    one["inputs"]["corpora"] = corpora
    banner = {"data": {"text/html": [record.BANNER.format(corpora="x")]}}
    line = {"data": {"text/html": '<p class="provenance">old</p>'}}
    figure = {"mystnb": {"figure": {"name": "fig-small-sums"}}}
    code = {"cell_type": "code", "id": "a", "source": "", "outputs": [banner, line], "execution_count": 4}
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Title\n\n**Answer.**"}
    notebook = {"cells": [title, code | {"metadata": figure}], "metadata": {}}
    (folder / "result").mkdir(parents=True)
    (folder / "result" / "figure-4.csv").write_text("a,b\n")
    (folder / "notebook.ipynb").write_text(json.dumps(notebook))
    return folder / "notebook.ipynb", one


def test_the_banner_stands_above_the_answer_and_provenance_ends_the_page(tmp_path):
    drawn = {
        "synthetic-smic": {"synthetic": True, "digest": "0" * 10},
        "fer2013": {"synthetic": False, "digest": "1" * 10},
    }
    first, shown, data, last = pages.chapter(*executed(tmp_path, drawn))["cells"]
    title, banner = first["source"].index("# Title"), first["source"].index("These faces are drawn")
    assert title < banner < first["source"].index("**Answer.**")
    assert "<code>synthetic-smic</code>" in first["source"]
    assert "fer2013" not in first["source"]
    assert shown["outputs"] == []
    assert 'href="_static/data/small/figure-4.csv" download="fig-small-sums.csv"' in data["source"]
    assert "fer2013 (photographs, digest 11111111)" in last["source"]


def test_a_page_on_photographs_has_no_banner(tmp_path):
    photographs = {"fer2013": {"synthetic": False, "digest": "1" * 10}}
    assert pages.chapter(*executed(tmp_path, photographs))["cells"][0]["source"] == "# Title\n\n**Answer.**"


TABLE = pd.DataFrame({"value": [0.5]}, index=["joy"])
FACES = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ({"table": TABLE, "title": "a", "reference": {"chance": 0.1}}, ",value\njoy,0.5\n"),
        ({"real": TABLE, "drawn": TABLE + 1}, ",,value\nreal,joy,0.5\ndrawn,joy,1.5\n"),
        ({"table": pd.DataFrame({"name": ["a"], "image": [FACES[0]]})}, ",name\n0,a\n"),
        (
            {"images": FACES, "captions": ["a", "b"], "right": None, "columns": 6},
            ",height,width,pixels,captions\n0,2,2,0 1 2 3,a\n1,2,2,4 5 6 7,b\n",
        ),
        ({"rows": {"one": [(FACES[1], "joy")]}}, ",,height,width,pixels,value1\none,0,2,2,4 5 6 7,joy\n"),
        (
            {"maps": {"light": FACES[0] / 2}, "face": FACES[1]},
            ',,height,width,pixels\nmaps,"light, 0",2,2,0 0.5 1 1.5\nface,0,2,2,4 5 6 7\n',
        ),
        ({"curves": {"a": np.array([0.5, 1.0])}, "apex": 0.4}, ",,value\na,0,0.5\na,1,1.0\n"),
        ({"found": [(1, 2)], "fps": 30.0}, ",value0,value1\n0,1,2\n"),
    ],
)
def test_what_a_figure_was_drawn_from_becomes_one_table(drawn, text):
    assert figure_data.of(drawn).to_csv(lineterminator="\n") == text


def test_a_picture_in_colour_is_kept_as_a_file():
    colours = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    for picture in (colours, colours / 255):
        (row,) = figure_data.of({"images": [picture]}).to_dict("records")
        assert (row["height"], row["width"]) == (2, 2)
        assert (
            plt.imread(io.BytesIO(base64.b64decode(row["png"]))) * 255
        ).round().tolist() == colours.tolist()


def test_a_figure_of_words_and_settings_has_no_data():
    assert figure_data.of({"title": "a", "columns": 6, "reference": {"chance": 0.1}, "ax": None}) is None


def test_the_printed_book_is_all_pages_in_order_and_links_stay_within_it(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: index\nparts:\n- chapters:\n  - file: one\n  - file: api\n")
    head = '<head><link rel="stylesheet" href="_static/book.css"></head>'
    links = '<a href="one.html">a</a><a href="index.html#index">b</a>'
    article = '<article class="bd-article"><h1 id="{0}">{0}</h1>' + links + "</article>"
    for name in ("index", "one"):
        (tmp_path / f"{name}.html").write_text(f"<html>{head}<nav>menu</nav>{article.format(name)}</html>")
    whole = pdf.assembled(tmp_path, tmp_path)
    assert whole.index('id="page-index"') < whole.index('id="page-one"')
    assert '<a href="#page-one">a</a><a href="#index">b</a>' in whole
    assert "_static/book.css" in whole
    assert "menu" not in whole
    (tmp_path / "one.html").unlink()
    with pytest.raises(DataError, match=r"one\.html is not rendered"):
        pdf.assembled(tmp_path, tmp_path)


def test_without_chromium_the_pdf_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DataError, match="No Chromium on this machine"):
        pdf.write(tmp_path, tmp_path, tmp_path / "book.pdf")


def test_a_figure_that_a_run_lacks_is_not_referred_to(tmp_path):
    file, one = executed(tmp_path, {})
    notebook = json.loads(file.read_text())
    notebook["cells"][0]["source"] = ["# Title\n", "See {numref}`fig-small-sums`."]
    file.write_text(json.dumps(notebook))
    assert "See *a figure that this run lacks*." in pages.chapter(file, one)["cells"][0]["source"]
    notebook["cells"][1]["outputs"].append({"data": {"image/png": ""}})
    file.write_text(json.dumps(notebook))
    assert "{numref}`fig-small-sums`" in pages.chapter(file, one)["cells"][0]["source"]


def test_a_number_stands_out_and_a_sentence_does_not():
    number, sentence = (f'<span class="pasted-text">{text}</span>' for text in ("62.7 %", "So it is. " * 8))
    context = {"body": number + sentence + "<table><tr><th></th></tr></table>"}
    app = SimpleNamespace(srcdir="", builder=SimpleNamespace(images={}))
    offline.repaired(app, "", "", context, None)
    assert context["body"].startswith(number + '<span class="pasted-text sentence">So it is.')
    assert "<td></td>" in context["body"]


def pictured(file, share_of_white, caption="What was found."):
    """The figure of a picture that is so much white paper, the rest blue ink, and its address on a page."""
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[int(100 * share_of_white) :] = (0, 114, 178)
    plt.imsave(file, pixels)
    return f'<figure class="align-default" id="a"><img src="_images/{file.name}"/><p>{caption}</p></figure>'


def test_a_chart_is_marked_to_be_dark_on_a_dark_page_and_faces_are_not(tmp_path):
    files = {name: tmp_path / name for name in ("chart.png", "map.png", "black.png", "faces.png")}
    figures = [
        pictured(files["chart.png"], 0.8),
        pictured(files["map.png"], 0.5),
        pictured(files["black.png"], 0.8, "<b>Black</b> lines are intervals."),
        pictured(files["faces.png"], 1.0),
    ]
    plt.imsave(files["faces.png"], np.tile(np.linspace(0, 1, 100), (100, 1)), cmap="gray")
    marked = offline.charts("<hr>".join(figures), files).split("<hr>")
    assert ['class="align-default chart"' in figure for figure in marked] == [True, False, False, False]
    assert [figure.replace(" chart", "") for figure in marked] == figures


def test_a_kernel_is_told_to_show_long_texts_whole():
    _, setting = runner.Limits().kernel[-1].split("exec_lines=")
    table = pd.DataFrame({"measured on": ["synthetic-ckplus, 110 sequences, block3.conv, N = 5, all faces"]})
    with pd.option_context("display.max_colwidth", 50):
        assert "..." in table._repr_html_()
        exec(setting)
        assert "..." not in table._repr_html_()


def test_an_equation_that_cannot_be_read_is_a_warning_and_stays(caplog):
    assert "<mo" in offline.mathml(nodes.math("", r"f\big(x_1 \dots x_T\big)"))
    assert offline.mathml(nodes.math("", r"\nonsense{x}")) == r"<code>\nonsense{x}</code>"


@pytest.mark.parametrize(
    ("tex", "fences"),
    [
        (r"\sum_i a_i \in \{0, 1\}", ["prefix {", "postfix }"]),
        (r"\lVert x - x^{(f)} \rVert^2", ["prefix ‖", "postfix ‖"]),
        (r"\lvert x \rvert", ["prefix |", "postfix |"]),
        (r"p(y \mid x)", ["infix ∣"]),
        (r"\left\{ \frac{a}{b} \right\}", []),  # asked to grow
        (r"\left\lVert \frac{a}{b} \right\rVert", []),
    ],
)
def test_braces_and_bars_of_an_equation_are_as_high_as_a_line_unless_told_to_grow(tex, fences):
    found = re.findall(
        r'<mo form="(\w+)" stretchy="false">([{}|‖∣])</mo>', offline.mathml(nodes.math("", tex))
    )
    assert [" ".join(one) for one in found] == fences


def measured_filters(value, low, high, synthetic=True):
    """A result of chapter 2 against 3 % [1, 10] in a network that learned nothing."""
    one = result(value, low, high, key="filters_beyond_emotion")
    row = {
        **one["results"][0],
        "key": "filters_beyond_emotion_untrained",
        "value": 0.03,
        "low": 0.01,
        "high": 0.1,
    }
    one["results"].append(row)
    one["inputs"]["corpora"] = {"a": {"synthetic": synthetic}, "b": {"synthetic": True}}
    return one


@pytest.mark.parametrize(
    ("measured", "word", "end"),
    [
        (measured_filters(0.8, 0.7, 0.9), "Yes, above chance.", "the chapter says what it cannot show"),
        (measured_filters(0.3, 0.05, 0.5), "Not shown.", "not shown to be more than chance"),
        (measured_filters(0.01, 0.0, 0.02), "No, below chance.", "less than chance"),
    ],
)
def test_the_first_page_says_what_the_numbers_say(measured, word, end):
    text = answers.filled("<!-- answer -->|<!-- answer facs_correlation -->", {"facs_correlation": measured})
    sentence, card = text.split("|")
    assert end in sentence
    assert f"In a network that learned nothing it is 3.0{record.NBSP}%" in sentence
    assert card == f'<span class="chip">drawn faces</span> **{word}**'


def test_the_first_page_says_which_faces_and_what_was_not_run():
    mixed = measured_filters(0.8, 0.7, 0.9, synthetic=False)
    assert "photographs and drawn faces" in answers.card("facs_correlation", mixed)
    assert answers.filled("<!-- answer training -->", {}) == ""
    assert "has not run" in answers.sentence({})
    assert answers.card("training", mixed) == ""


@pytest.mark.parametrize("given", ["environment", "settings", "nowhere"])
def test_buttons_of_binder_and_colab_appear_where_the_repository_is_known(tmp_path, monkeypatch, given):
    monkeypatch.delenv("FERLIB_REPOSITORY", raising=False)
    address = "https://github.com/somebody/book"
    if given == "environment":
        monkeypatch.setenv("FERLIB_REPOSITORY", address)
    written = {"title": "A book", "repository": {"url": address if given == "settings" else ""}}
    (tmp_path / "given.yml").write_text(yaml.safe_dump(written))
    made = yaml.safe_load(render.configured(tmp_path / "given.yml", tmp_path / "made.yml").read_text())
    if given == "nowhere":
        assert made == written
    else:
        theme = made["sphinx"]["config"]["html_theme_options"]
        assert (theme["repository_url"], theme["path_to_docs"]) == (address, "book")
        assert set(theme["launch_buttons"]) > {"binderhub_url", "colab_url"}


def test_a_page_does_not_load_what_chapters_leave_until_it_is_asked_to():
    files = ("_static/book.js", "_static/data/small/layer.js", "https://x/thebe.js", None)
    scripts = [SimpleNamespace(filename=name, attributes={}) for name in files]
    context = {"script_files": scripts}
    offline.own_scripts(None, "", "", context, None)
    assert [script.filename for script in context["script_files"]] == ["_static/book.js", None]
