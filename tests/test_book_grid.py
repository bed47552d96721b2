"""Sweeps over parameters, on a small chapter."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from test_book import gone, shelf_in

from ferlib.book import build, grid
from ferlib.book.build import Layout
from ferlib.book.chapters import Wish
from ferlib.config import DataError, UsageError


@pytest.fixture
def shelf(tmp_path):
    return shelf_in(tmp_path / "checkout")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("small.n_steps", r"not of the form chapter\.name=a,b"),
        ("small.n_steps=", r"not of the form chapter\.name=a,b"),
        ("smalx.n_steps=1", "Did you mean 'small'"),
        ("small.n_step=1", "Did you mean 'n_steps'"),
        ("small.n_steps=1,x", "'x' is not an int"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_runs(shelf, text, names):
    with pytest.raises(UsageError, match=names):
        grid.run(Layout(shelf, shelf), Wish(), [text])
    assert not (shelf / "_build").exists()


def test_a_sweep_is_every_combination_and_a_list_is_one_value(shelf):
    of = grid.points(Layout(shelf, shelf), Wish(), ["small.n_steps=1,2", "small.seeds=[0],[0,1]"])
    assert [point.label for point in of["small"]] == [
        "n_steps = 1, seeds = [0]",
        "n_steps = 1, seeds = [0,1]",
        "n_steps = 2, seeds = [0]",
        "n_steps = 2, seeds = [0,1]",
    ]


def test_a_sweep_killed_in_the_middle_goes_on_and_is_summed_up_on_one_page(shelf):
    sweep = "small.n_steps=1,2,3"
    env = {**os.environ, "PYTHONPATH": str(build.paths.package().parent)}
    command = [sys.executable, "-m", "ferlib.cli", "book", "build", "--grid", sweep]
    process = subprocess.Popen(command, cwd=shelf, env=env, stdout=subprocess.PIPE, start_new_session=True)
    kept = shelf / "_build" / "chapters" / "small"
    end = time.monotonic() + 60
    while not list(kept.glob("*/seal.json")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(shelf)
    before = {file: file.stat().st_mtime_ns for file in kept.glob("*/seal.json")}
    assert 1 <= len(before) < 3
    page = grid.run(Layout(shelf, shelf), Wish(), [sweep], n_jobs=2)
    results = [json.loads(file.read_text()) for file in kept.glob("*/result.json")]
    assert sorted(r["results"][0]["value"] for r in results) == [0.0, 0.5, 1.5]
    assert {file: file.stat().st_mtime_ns for file in before} == before
    text = page.read_text()
    assert "n_steps = 1: 0.000; n_steps = 2: 0.500; n_steps = 3: 1.500" in text
    assert text.count("<img") == 1
    assert 'src="http' not in text


def test_a_sweep_waits_for_no_other_build(shelf):
    with build.locked(Layout(shelf, shelf)), pytest.raises(DataError, match="Another build is at work"):
        grid.run(Layout(shelf, shelf), Wish(), ["small.n_steps=1"])
