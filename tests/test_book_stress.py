"""The builder where the machine fails it: a full disk, busy cores; and the same numbers twice."""

import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_book import Heard, gone, results, shelf_in, task
from test_book_pages import figures_without_data

from ferlib.book import build as building
from ferlib.book.runner import Limits, run

ROOT = Path(__file__).parent.parent


def build(root, *options, file_limit=None, **env):
    """``ferlib book build`` in ``root``; no file may grow beyond ``file_limit`` bytes, as on a full disk."""

    def full():
        if file_limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    command = [sys.executable, "-m", "ferlib.cli", "book", "build", *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        command, cwd=root, env=env, capture_output=True, text=True, timeout=600, preexec_fn=full
    )


DEAF = """import socket
whole = socket.socket.connect

def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        open({asked!r}, "a").write(f"{{address}}\\n")
        raise OSError("the network is off")
    return whole(self, address)

def getaddrinfo(host, *rest, known=socket.getaddrinfo, **options):
    if host not in (None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()):
        open({asked!r}, "a").write(f"{{host}}\\n")
        raise socket.gaierror("the network is off")
    return known(host, *rest, **options)

socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
"""
"""A ``sitecustomize`` for every Python of a build: nobody but this machine answers, and who was asked is noted."""


def without_network(folder):
    """Environment of a build without a network, and the file in which it notes whom it asked."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(DEAF.format(asked=str(folder / "asked")))
    env, asked = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}, folder / "asked"
    ask = "import urllib.request; urllib.request.urlopen('http://nobody.invalid')"
    tried = subprocess.run(
        [sys.executable, "-c", ask], env={**os.environ, **env}, capture_output=True, text=True
    )
    assert "the network is off" in tried.stderr
    asked.unlink()
    return env, asked


def test_a_book_is_built_offline_and_a_full_disk_ends_in_a_message_and_spoils_nothing(tmp_path):
    root = shelf_in(tmp_path / "checkout")
    env, asked = without_network(tmp_path / "deaf")
    assert build(root, **env).returncode == 0
    assert not asked.exists()
    before = results(root)
    page = (root / "_build" / "html" / "index.html").read_text()
    for limit in (1_000, 20_000):  # the chapter cannot be written; the chapter can, the pages cannot
        done = build(root, "-p", "small.n_steps=5", file_limit=limit)
        assert done.returncode == 1
        assert done.stderr.startswith("ferlib: ")
        assert "Traceback" not in done.stderr
        assert "File too large. Nothing that was built before is lost. Make room there" in done.stderr
        assert gone(root)
        assert (root / "_build" / "html" / "index.html").read_text() == page
        assert results(root) == before or results(root)[0]["n_steps"] == 5
        for folder in (root / "_build" / "chapters").glob("*/[!.]*"):
            assert not [reason for reason in building.stale(folder) if reason.startswith("its ")]
    assert build(root, "-p", "small.n_steps=5").returncode == 0
    assert results(root)[0]["n_steps"] == 5


def spin(until):
    while time.monotonic() < until:
        pass


@pytest.mark.full
def test_forty_executions_on_busy_cores_end_without_a_hang(tmp_path):
    busy = [
        multiprocessing.Process(target=spin, args=(time.monotonic() + 1200,)) for _ in range(os.cpu_count())
    ]
    for process in busy:
        process.start()
    terminal, began = Heard(), time.monotonic()
    tasks = [task("small", tmp_path / str(i)) for i in range(40)]
    try:
        for one in tasks:
            one.cwd.mkdir()
        done = list(run(tasks, Limits(patience_s=20), terminal, jobs=2))
    finally:
        for process in busy:
            process.kill()
    print(
        f"{len(done)} executions in {time.monotonic() - began:.0f} s, {len(terminal.lines)} retries",
        *terminal.lines,
        sep="\n",
    )
    assert len(done) == 40
    assert all((one.output.parent / "result.json").is_file() for one in tasks)
    assert gone(tmp_path)


@pytest.mark.full
def test_the_tiny_book_twice_from_nothing_gives_the_same_numbers(tmp_path):
    told = []
    for name in ("first", "second"):
        out, began = tmp_path / name, time.monotonic()
        home = str(tmp_path / f"home-{name}")
        done = build(ROOT, "--profile", "tiny", "--jobs", "2", "--out", str(out), FERLIB_HOME=home)
        assert done.returncode == 0, done.stdout + done.stderr
        executed = re.findall(r"(\w+: executed in \d+ s)", done.stdout)
        print(f"{name}: {time.monotonic() - began:.0f} s, corpora drawn;", *executed, sep="\n  ")
        assert figures_without_data(out / "_build" / "html") == []
        files = sorted((out / "results").glob("*.json"))
        told.append({file.name: json.loads(file.read_text())["results"] for file in files})
    assert told[0] == told[1]
    assert len(told[0]) == len(list((ROOT / "book").glob("*.ipynb")))
