"""The runner and the builder of the book, on small chapters: fixtures in ``tests/notebooks``."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ferlib import paths
from ferlib.book import build as building
from ferlib.book import chapters, values
from ferlib.book.build import Layout
from ferlib.book.chapters import Wish
from ferlib.book.runner import ChapterError, Execution, Limits, Task, Terminal, run
from ferlib.config import DataError, UsageError

HERE = Path(__file__).parent
NOTEBOOKS = HERE / "notebooks"


class Heard(Terminal):
    """A terminal that remembers what was said."""

    def __init__(self):
        super().__init__(every_s=1e9)
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def task(name, folder, **more):
    notebook = next(NOTEBOOKS.glob(f"*_{name}.ipynb"))
    env = {"FERLIB_RESULT": str(folder / "result.json"), **more.pop("env", {})}
    return Task(
        name, notebook, folder / "notebook.ipynb", folder / f"{name}.log", cwd=folder, env=env, **more
    )


def kernel_runs():
    """Whether a process that this one has started, or one of theirs, is a kernel."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may just have ended
            if "ferlib.lifeline" in " ".join(process.cmdline()):
                return True
    return False


def ours(mark):
    """Processes of any parent whose environment or command line names the folder ``mark``."""
    found = []
    for process in psutil.process_iter():
        try:
            told = " ".join(process.cmdline()) + process.environ().get("FERLIB_RESULT", "")
            if str(mark) in told and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def gone(mark, within_s=10.0):
    end = time.monotonic() + within_s
    while ours(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


# ------------------------------------------------------------------------------------------------ runner


def test_chapters_run_side_by_side_and_write_their_results(tmp_path):
    tasks = [task("small", tmp_path / "a", parameters={"n_steps": 4}), task("open", tmp_path / "b")]
    for one in tasks:
        one.cwd.mkdir()
    assert {done.name for done, _ in run(tasks, Limits(), Heard(), jobs=2)} == {"small", "open"}
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert result["parameters"] == {
        "n_steps": 4,
        "scale": 0.5,
        "seeds": [0, 1],
        "label": "sum",
        "loud": False,
    }
    assert [(row["key"], row["value"]) for row in result["results"]] == [("total", 0.5 * (0 + 1 + 2 + 3))]
    assert "book.record" in result["inputs"]["modules"]


def test_a_chapter_runs_under_plain_papermill_too(tmp_path):
    notebook = str(NOTEBOOKS / "01_small.ipynb")
    command = [
        sys.executable,
        "-m",
        "papermill",
        notebook,
        "out.ipynb",
        "-k",
        "python3",
        "-p",
        "n_steps",
        "4",
    ]
    env = {**os.environ, "FERLIB_RESULT": str(tmp_path / "result.json")}
    for _ in range(3):  # nobody watches over this kernel, which may never answer where the machine is busy
        try:
            subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
            break
        except subprocess.TimeoutExpired:
            continue
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["parameters"]["n_steps"], result["results"][0]["value"]) == (4, 3.0)


def test_a_kernel_that_never_answers_is_killed_and_another_one_tried(tmp_path):
    terminal, count = Heard(), tmp_path / "starts"
    silent = (sys.executable, str(NOTEBOOKS / "silent_kernel.py"))
    limits = Limits(patience_s=4, kernel=silent)
    env = {"SILENT_COUNT": str(count), "SILENT_STARTS": "1"}
    list(run([task("small", tmp_path, env=env)], limits, terminal))
    assert int(count.read_text()) >= 2
    assert re.search(
        r"the kernel did not answer for \d+ s at cell 2/5; trying again \(2/5\)", terminal.lines[0]
    )
    assert (tmp_path / "result.json").is_file()
    assert gone(tmp_path)


def test_a_kernel_that_never_answers_at_all_ends_in_an_error(tmp_path):
    env = {"SILENT_COUNT": str(tmp_path / "starts"), "SILENT_STARTS": "9"}
    limits = Limits(patience_s=2, attempts=1, kernel=(sys.executable, str(NOTEBOOKS / "silent_kernel.py")))
    with pytest.raises(ChapterError, match=r"small was tried 1 times.*did not answer.*small\.log"):
        list(run([task("small", tmp_path, env=env)], limits, Heard()))
    assert gone(tmp_path)


def test_progress_is_a_line_now_and_then_in_a_file_and_one_line_on_a_terminal():
    file = io.StringIO()
    terminal = Terminal(file, every_s=1000)
    for cell in range(3):
        terminal.progress(f"small: cell {cell}/3")
    terminal.say("done")
    assert file.getvalue() == "small: cell 0/3\ndone\n"
    live = io.StringIO()
    live.isatty = lambda: True
    terminal = Terminal(live)
    terminal.progress("small: cell 1/3, 10 s")
    terminal.say("done")
    assert live.getvalue() == f"\rsmall: cell 1/3, 10 s\r{'done':<21}\n"


def test_a_failing_cell_is_told_with_its_error_and_the_log(tmp_path):
    with pytest.raises(
        ChapterError, match=r"cell 4/4: ValueError: the nose is missing\n Log: .*failing\.log$"
    ):
        list(run([task("failing", tmp_path)], Limits(), Heard()))
    log = (tmp_path / "failing.log").read_text()
    assert "before" in log
    assert "Traceback (most recent call last)" in log


def test_a_cell_that_crashes_its_kernel_is_not_tried_again(tmp_path):
    terminal = Heard()
    with pytest.raises(ChapterError, match="crashing failed at cell 2/2: DeadKernelError"):
        list(run([task("crashing", tmp_path)], Limits(), terminal))
    assert terminal.lines == []


def test_a_chapter_over_its_time_is_stopped_with_its_workers(tmp_path):
    execution = Execution(task("sleeping", tmp_path), Limits(), print)
    while "asleep" not in (tmp_path / "sleeping.log").read_text():
        assert not execution.poll()
        time.sleep(0.1)
    assert len(ours(tmp_path)) >= 5  # papermill, the kernel, its guard, and the workers
    execution.limits = Limits(chapter_s=1)
    with pytest.raises(ChapterError, match="took more than 1 s and was stopped at cell 3/3"):
        execution.poll()
    assert gone(tmp_path)


# -------------------------------------------------------------------------------------------- parameters


@pytest.fixture
def shelf(tmp_path):
    """A checkout with one small chapter and an index page."""
    return shelf_in(tmp_path / "checkout")


def shelf_in(root):
    book = root / "book"
    (book / "profiles").mkdir(parents=True)
    shutil.copy(NOTEBOOKS / "01_small.ipynb", book)
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: 01_small\n")
    (book / "index.md").write_text("# A small book\n\nSum: {glue:text}`01_small.ipynb::total:s`.\n")
    (book / "profiles" / "tiny.yml").write_text("chapter_s: 100\nchapters:\n  small: {n_steps: 2}\n")
    (root / "_config.yml").write_text("title: Small\nexecute:\n  execute_notebooks: 'off'\nlatex: {}\n")
    return root


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("small.n_step=3", r"Chapter small has no parameter 'n_step' \(-p\)\. Did you mean 'n_steps'"),
        ("small.n_steps=x", r"small\.n_steps.*'x' is not an int"),
        ("small.n_steps=1.5", r"small\.n_steps.*'1.5' is not an int"),
        ("small.scale=much", r"small\.scale.*'much' is not a float"),
        ("small.loud=no", r"small\.loud.*'no' is not a bool"),
        ("small.seeds=[0,x]", r"small\.seeds.*'x' is not an int"),
        ("small.n_steps=-1", r"small\.n_steps \(-p\): -1 must not be negative"),
        ("small.seeds=[0,-1]", r"small\.seeds \(-p\): -1 must not be negative"),
        ("small.seeds=[]", r"small\.seeds \(-p\): the list is empty"),
        ("small.seeds=[0,1,0]", r"small\.seeds \(-p\): \[0, 1, 0\] has 0 more than once"),
        ("smalx.n_steps=3", r"No chapter 'smalx'.*Did you mean 'small'"),
        ("n_steps=3", r"not of the form chapter\.name=value"),
    ],
)
def test_a_wrong_assignment_is_refused_with_the_right_name(shelf, text, names):
    with pytest.raises(UsageError, match=names):
        chapters.plan(shelf / "book", Wish(assignments=(text,)))


def test_values_are_read_by_their_type(shelf):
    texts = (
        "small.n_steps=7",
        "small.scale=1e-3",
        "small.seeds=[3, 4]",
        "small.loud=True",
        "small.label=a=b",
    )
    values = chapters.plan(shelf / "book", Wish(assignments=texts)).parameters["small"]
    assert values == {"n_steps": 7, "scale": 0.001, "seeds": [3, 4], "loud": True, "label": "a=b"}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("small: {n_step: 2}", "n_steps"),
        ("small: {loud: 0}", "not of type bool"),
        ("small: {seeds: []}", "list is empty"),
        ("smalx: {}", "'small'"),
    ],
)
def test_a_wrong_profile_is_refused_too(shelf, line, names):
    (shelf / "book" / "profiles" / "paper.yml").write_text(f"chapters:\n  {line}\n")
    with pytest.raises(UsageError, match=names):
        chapters.plan(shelf / "book", Wish(profile="paper"))


def test_a_corpus_goes_to_the_chapters_that_can_use_it(shelf):
    made = chapters.plan(shelf / "book", Wish(corpus="fer2013"))
    assert made.notes == ("small keeps its own corpora: it has no parameter 'corpus'",)
    with_corpus = shelf_notebook_with_corpus(shelf)
    made = chapters.plan(shelf / "book", Wish(corpus="fer2013", only=with_corpus))
    assert (made.notes, made.parameters[with_corpus]) == ((), {"corpus": "fer2013"})
    with pytest.raises(UsageError, match="Did you mean 'fer2013'"):
        chapters.plan(shelf / "book", Wish(corpus="fer213"))


def shelf_notebook_with_corpus(shelf):
    """Name of a chapter beside the small one that has a parameter ``corpus``."""
    text = (NOTEBOOKS / "02_failing.ipynb").read_text()
    line = "n_steps: int = 3  # how many"
    (shelf / "book" / "02_faces.ipynb").write_text(
        text.replace(line, "corpus: str = 'synthetic-smic'  # which")
    )
    return "faces"


def test_a_real_corpus_that_is_not_prepared_is_told_before_anything_runs(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    wish = Wish(corpus="fer2013", only=shelf_notebook_with_corpus(shelf))
    with pytest.raises(DataError, match=r"Chapter faces cannot run.*ferlib corpus prepare fer2013 --source"):
        build(shelf, shelf, wish)
    assert not (shelf / "logs").exists()
    building.check_corpora(chapters.plan(shelf / "book", Wish(only="faces")))  # drawn when asked for


@pytest.mark.parametrize(
    ("name", "default", "value", "says"),
    [
        ("width", 0.25, -1.0, "-1.0 must be above 0"),
        ("recipe", "paper", "foo", "No recipe 'foo'"),
        ("recipe", "paper", "pape", "Did you mean 'paper'"),
        ("protocol", "auto", "autos", "Did you mean 'auto'"),
        ("labels", "own", "votes", "No rule of labels 'votes'"),
        ("duplicates", "keep", "keeep", "Did you mean 'keep'"),
        ("corpora", ["synthetic-smic"], ["synthetic-smic", "fer213"], "Did you mean 'fer2013'"),
        ("probe", "synthetic-probe", "synthetic-prob", "Did you mean 'synthetic-probe'"),
        ("picture_px", 224, 0, "0 must be above 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_runs(name, default, value, says):
    kind = {"float": "float", "str": "str", "list": "list[str]", "int": "int"}[type(default).__name__]
    parameter = chapters.Parameter(name, kind, default, "")
    assert parameter.read(default) == default
    with pytest.raises(ValueError, match=says):
        parameter.read(value)


def test_the_recipes_that_are_refused_early_are_those_that_training_refuses():
    from ferlib.recipes import RECIPES

    assert tuple(RECIPES) == values.RECIPES


def test_a_corpus_in_a_list_that_is_not_prepared_is_told_before_anything_runs(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    line = "corpora: list[str] = ['synthetic-smic', 'ckplus']  # which"
    text = (NOTEBOOKS / "02_failing.ipynb").read_text().replace("n_steps: int = 3  # how many", line)
    (shelf / "book" / "02_faces.ipynb").write_text(text)
    with pytest.raises(DataError, match=r"Chapter faces cannot run with its corpora.*ckplus"):
        building.check_corpora(chapters.plan(shelf / "book", Wish(only="faces")))


@pytest.mark.parametrize(
    ("corpus", "home", "drawn"),
    [(None, "home/tiny", {"fer2013": {"n_images": 9}}), ("fer2013", "home", {})],
    ids=["drawn faces", "photographs"],
)
def test_few_faces_are_drawn_in_a_home_of_their_own(shelf, tmp_path, monkeypatch, corpus, home, drawn):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    name, asked = shelf_notebook_with_corpus(shelf), {}
    (shelf / "book" / "profiles" / "tiny.yml").write_text(
        "corpora:\n  fer2013: {n_images: 9}\n  ckplus: {n_subjects: 2}\n"
    )
    made = chapters.plan(shelf / "book", Wish("tiny", corpus or "synthetic-fer2013", only=name))
    monkeypatch.setattr(building, "make", lambda name, **size: asked.update({name: size}))
    monkeypatch.setattr(building, "prepare", lambda *_: None)
    with building.small_corpora(made, Heard()):
        assert paths.home() == tmp_path / home
    assert asked == drawn
    assert paths.home() == tmp_path / "home"


def test_parameters_are_listed_with_type_default_and_meaning():
    (first, *_) = chapters.parameters_of(NOTEBOOKS / "01_small.ipynb")
    assert first == chapters.Parameter("n_steps", "int", 3, "how many numbers to add")


# ------------------------------------------------------------------------------------------------- build


def build(root, out, wish=None):
    terminal = Heard()
    page = building.build(Layout(root, out), wish or Wish(), terminal=terminal)
    return page, "\n".join(terminal.lines)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small book, built once; tests that spoil it copy it first."""
    root = shelf_in(tmp_path_factory.mktemp("built") / "checkout")
    page, said = build(root, root)
    assert "small: executed" in said
    assert "Sum: 1.5" in page.read_text().replace('<span class="pasted-text">', "").replace("</span>", "")
    return root


def test_a_second_build_with_nothing_changed_runs_nothing(built):
    began = time.monotonic()
    _, said = build(built, built)
    assert said == "small: nothing changed\npages: nothing changed"
    assert time.monotonic() - began < 15


def test_a_file_that_a_chapter_leaves_lies_beside_its_page_and_is_made_again_when_lost(built):
    place = built / "_build" / "html" / "_static" / "data" / "small" / "steps.js"
    assert place.read_text() == "steps = 3"
    (kept,) = (built / "_build" / "chapters" / "small").glob("*/result/steps.js")
    kept.write_text("spoilt")
    assert building.stale(kept.parent.parent) == ["its result/steps.js was changed or lost"]
    kept.write_text("steps = 3")
    assert building.stale(kept.parent.parent) == []


def test_deleted_and_edited_outputs_are_made_again(built):
    page = built / "_build" / "html" / "index.html"
    page.write_text("spoilt")
    result = built / "results" / "small.json"
    result.unlink()
    _, said = build(built, built)
    assert "small: nothing changed\npages: rendering" in said
    assert "Sum" in page.read_text()
    assert json.loads(result.read_text())["chapter"] == "small"


def test_only_what_changed_is_executed_again(built, monkeypatch):
    monkeypatch.setattr(building, "_render", lambda *_: None)
    _, said = build(built, built, Wish(assignments=("small.n_steps=5",)))
    assert "small: executed" in said
    assert json.loads((built / "results" / "small.json").read_text())["results"][0]["value"] == 5.0
    results = (built / "_build" / "chapters" / "small").glob("*/result.json")
    done = next(file for file in results if '"value": 5.0' in file.read_text())
    content = done.read_text()
    done.write_text(content.replace("5.0", "6.0"))
    assert building.stale(done.parent) == ["its result.json was changed or lost"]
    done.write_text(content)
    assert building.stale(done.parent) == []
    monkeypatch.setattr("ferlib.config.code_digest", lambda modules: "other")
    assert building.stale(done.parent)[0].startswith("module ")


def test_two_builds_in_one_folder_do_not_meet(shelf):
    with (
        building.locked(Layout(shelf, shelf)),
        pytest.raises(DataError, match=rf"Another build is at work in .*process {os.getpid()}"),
    ):
        build(shelf, shelf)


def test_an_output_folder_that_cannot_be_written_is_named(shelf, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        build(shelf, tmp_path / "file")


def test_a_chapter_without_close_is_refused(shelf):
    shutil.copy(NOTEBOOKS / "05_open.ipynb", shelf / "book")
    with pytest.raises(ChapterError, match=r"without chapter\.close\(\)"):
        build(shelf, shelf, Wish(only="open"))


# ------------------------------------------------------------------------------------------------- kills


def start(root):
    command = [sys.executable, "-m", "ferlib.cli", "book", "build", "--only", "small"]
    return subprocess.Popen(command, cwd=root, start_new_session=True, stdout=subprocess.DEVNULL)


def until_a_kernel_runs(root):
    end = time.monotonic() + 60
    while not kernel_runs():
        assert time.monotonic() < end
        time.sleep(0.05)


def at_once(root):
    time.sleep(0.5)


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["the process", "its group"])
@pytest.mark.parametrize("moment", [at_once, until_a_kernel_runs])
def test_a_killed_build_leaves_no_process_and_no_damage(shelf, kill, moment):
    process = start(shelf)
    moment(shelf)
    kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(shelf)
    for folder in (shelf / "_build" / "chapters").glob("*/*"):
        assert building.stale(folder) == []


def test_ctrl_c_stops_cleanly(shelf):
    process = start(shelf)
    until_a_kernel_runs(shelf)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert gone(shelf)


@pytest.mark.full
def test_twenty_kills_at_random_moments_change_nothing(tmp_path):
    began = time.monotonic()
    unbroken = shelf_in(tmp_path / "unbroken")
    assert start(unbroken).wait(timeout=300) == 0
    whole_s = time.monotonic() - began
    rng, root = random.Random(0), shelf_in(tmp_path / "killed")
    for i in range(20):
        shutil.rmtree(root / "_build" / ("chapters" if i % 2 else "html"), ignore_errors=True)
        after_s = rng.uniform(0, whole_s)
        process = start(root)
        time.sleep(after_s)
        (os.kill if i % 4 < 2 else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        assert gone(root)
        whole = [building.stale(folder) for folder in (root / "_build" / "chapters").glob("*/[!.]*")]
        print(f"kill {i + 1} after {after_s:.1f} s: no process left, {len(whole)} whole chapters", flush=True)
        assert not any(whole)
    assert start(root).wait(timeout=300) == 0
    assert results(root) == results(unbroken)
    assert (root / "_build" / "html" / "01_small.html").is_file()


def results(root):
    content = json.loads((root / "results" / "small.json").read_text())
    return content["parameters"], content["results"]
