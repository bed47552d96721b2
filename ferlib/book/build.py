"""The book built: chapters executed where something changed, results published, pages rendered.

Everything of a build lies in ``<out>/_build``, results in ``<out>/results``, logs in ``<out>/logs``.
A finished chapter is a folder ``_build/chapters/<chapter>/<key>`` that is whole or not there; the key is over
its cells and parameters, and its ``result.json`` says which modules, corpora and runs it stands on.
Pages are rendered aside and moved into place.  So a build may be killed at any moment, and the same command
goes on.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ferlib
from ferlib import config, paths
from ferlib.book import pages, provenance, render, values
from ferlib.book.chapters import Chapter, Plan, Wish, plan
from ferlib.book.record import RESULT_VARIABLE, left_folder
from ferlib.book.runner import ChapterError, Limits, Task, Terminal, run
from ferlib.config import DataError
from ferlib.datasets import is_prepared, make, prepare, read_manifest
from ferlib.labels import DRAWN_PREFIX


@dataclass(frozen=True)
class Layout:
    """Where a build reads and writes."""

    root: Path  # the checkout: book/ and _config.yml
    out: Path
    tag: str = ""  # ends the names of logs

    @property
    def book(self) -> Path:
        """The sources."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """Everything of a build that can be made again."""
        return self.out / "_build"

    @property
    def html(self) -> Path:
        """The rendered pages."""
        return self.build / "html"

    def done(self, chapter: Chapter, parameters: dict[str, Any]) -> Path:
        """Folder of ``chapter`` executed with ``parameters``."""
        return self.build / "chapters" / chapter.name / key_of(chapter, parameters)

    def log(self, name: str) -> Path:
        """The log of a chapter, or of ``render``."""
        return self.out / "logs" / f"{name}{self.tag}.log"


def key_of(chapter: Chapter, parameters: dict[str, Any]) -> str:
    """Key of an execution: what the notebook says (not what it put out) and every parameter."""
    cells = json.loads(chapter.notebook.read_text(encoding="utf-8"))["cells"]
    said = [(c["cell_type"], "".join(c["source"]), c.get("metadata", {}).get("tags")) for c in cells]
    return config.digest(ferlib.__version__, said, parameters, length=12)


def build(layout: Layout, wish: Wish, jobs: int = 1, terminal: Terminal | None = None) -> Path:
    """Build the book as ``wish`` says; returns the page to open.

    Raises ``UsageError`` before anything has run, and ``DataError`` where a corpus is not prepared (before too),
    where a chapter or the rendering fails, where another build is at work in the same folder, or where the
    folder cannot be written.
    """
    terminal = terminal or Terminal()
    made = plan(layout.book, wish)
    for note in made.notes:
        terminal.say(note)
    check_corpora(made)
    with locked(layout), small_corpora(made, terminal):
        execute(layout, made, jobs, terminal)
        _publish(layout, made)
        return _render(layout, made, terminal)


def check_corpora(made: Plan) -> None:
    """Check that the corpora that chapters name are prepared; drawn ones are made when they are asked for.

    Raises ``DataError`` with the next command.
    """
    for chapter in made.chapters:
        for corpus, name in corpora_of(made, chapter).items():
            try:
                if not corpus.startswith(DRAWN_PREFIX):
                    read_manifest(corpus)
            except DataError as error:
                raise DataError(f"Chapter {chapter.name} cannot run with its {name}. {error}") from None


def corpora_of(made: Plan, chapter: Chapter) -> dict[str, str]:
    """The corpora that the parameters of ``chapter`` name, each with the parameter that names it."""
    given = made.parameters[chapter.name].items()
    return {
        corpus: name
        for name, value in given
        for corpus in values.corpora_of(name, chapter.defaults[name], value)
    }


@contextlib.contextmanager
def small_corpora(made: Plan, terminal: Terminal) -> Iterator[None]:
    """Work on the profile's few drawn faces, where it names some and no chapter wants photographs.

    They lie in a home of their own, below the usual one, so that nobody takes them for the whole corpora.
    """
    wanted = {name for chapter in made.chapters for name in corpora_of(made, chapter)}
    if not made.profile.corpora or not all(name.startswith(DRAWN_PREFIX) for name in wanted):
        yield
        return
    usual = os.environ.get("FERLIB_HOME")
    os.environ["FERLIB_HOME"] = str(paths.home() / made.profile.name)
    try:
        for name, size in made.profile.corpora.items():
            if DRAWN_PREFIX + name in wanted and not is_prepared(DRAWN_PREFIX + name):
                terminal.say(f"{DRAWN_PREFIX}{name}: drawing few of its faces")
                prepare(name, make(name, **size))
        yield
    finally:
        os.environ.pop("FERLIB_HOME")
        if usual is not None:
            os.environ["FERLIB_HOME"] = usual


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the folder of a build.  The system lets go of it when the process ends, however it ends.

    Raises ``DataError`` where another build holds it, and where something inside cannot be written.
    """
    import filelock

    owner = layout.build / "builder"
    lock = filelock.FileLock(layout.build / "lock")
    try:
        layout.build.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        owner.write_text(f"process {os.getpid()}")
        shutil.rmtree(layout.build / "work", ignore_errors=True)  # of killed builds
        yield
    except filelock.Timeout:
        who = owner.read_text() if owner.is_file() else "another process"
        raise DataError(
            f"Another build is at work in {layout.out} ({who}). Wait for it, or give --out"
        ) from None
    except OSError as error:
        raise DataError(
            f"{error.filename or layout.out}: {error.strerror or error}. Nothing that was built before is lost. "
            "Make room there or give another folder with --out, and build again"
        ) from error
    finally:
        lock.release()


def execute(layout: Layout, made: Plan, jobs: int, terminal: Terminal) -> None:
    """Execute the chapters of the plan that are not done, or whose ground has changed since."""
    tasks = []
    for chapter in made.chapters:
        reasons = stale(layout.done(chapter, made.parameters[chapter.name]))
        if reasons:
            tasks.append(_task(layout, chapter, made))
            terminal.say(f"{chapter.name}: {reasons[0]}")
        else:
            terminal.say(f"{chapter.name}: nothing changed")
    by_name = {chapter.name: chapter for chapter in made.chapters}
    for task, seconds in run(tasks, Limits(chapter_s=made.profile.chapter_s), terminal, jobs):
        place = layout.done(by_name[task.name], made.parameters[task.name])
        seal(task, place)
        terminal.say(f"{task.name}: executed in {seconds:.0f} s")


def stale(folder: Path) -> list[str]:
    """Why the chapter in ``folder`` must be executed; empty where it is whole and its ground unchanged."""
    try:
        files = json.loads((folder / "seal.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["not executed yet with this notebook and these parameters"]
    for name, digest in files.items():
        if file_digest(folder / name) != digest:
            return [f"its {name} was changed or lost"]
    inputs = json.loads((folder / "result.json").read_text(encoding="utf-8"))["inputs"]
    return [f"{what} changed" for what in provenance.changes(inputs)]


def seal(task: Task, place: Path) -> None:
    """Move an executed chapter into its place, with the digests that prove it whole."""
    work = task.output.parent
    if not (work / "result.json").is_file():
        raise ChapterError(f"Chapter {task.name} ended without chapter.close(). Log: {task.log}")
    left = sorted(f for f in left_folder(work / "result.json").glob("*") if f.is_file())
    kept = [work / "notebook.ipynb", work / "result.json", *left]
    digests = {file.relative_to(work).as_posix(): file_digest(file) for file in kept}
    (work / "seal.json").write_text(json.dumps(digests))
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_folder(work, place)


def replace_folder(fresh: Path, place: Path) -> None:
    """Put folder ``fresh`` in ``place``; what was there goes after the new one is complete."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def file_digest(file: Path) -> str | None:
    """SHA-256 of a file; None where it is missing."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _task(layout: Layout, chapter: Chapter, made: Plan) -> Task:
    given = made.parameters[chapter.name]
    work = layout.build / "work" / f"{chapter.name}-{key_of(chapter, given)}"
    shutil.rmtree(work, ignore_errors=True)
    return Task(
        name=chapter.name,
        notebook=chapter.notebook,
        output=work / "notebook.ipynb",
        log=layout.log(chapter.name),
        parameters={name: value for name, value in given.items() if value != chapter.defaults[name]},
        cwd=layout.root,
        env={RESULT_VARIABLE: str(work / "result.json")},
    )


def _publish(layout: Layout, made: Plan) -> None:
    """Copy each chapter's ``result.json`` to ``<out>/results``."""
    (layout.out / "results").mkdir(parents=True, exist_ok=True)
    for chapter in made.chapters:
        made_here = layout.done(chapter, made.parameters[chapter.name]) / "result.json"
        target = layout.out / "results" / f"{chapter.name}.json"
        if file_digest(target) != file_digest(made_here):
            paths.write_whole(target, functools.partial(shutil.copyfile, made_here))


def _render(layout: Layout, made: Plan, terminal: Terminal) -> Path:
    began = time.monotonic()
    source = layout.build / "source"
    executed = {}
    for name, chapter in made.all.items():
        file = layout.done(chapter, made.parameters[name]) / "notebook.ipynb"
        executed[chapter.notebook.name] = file if file.is_file() else None
    pages.stage(layout.book, source, executed)
    settings = render.configured(layout.root / "_config.yml", layout.build / "_config.yml")
    if render.is_current(source, settings, layout.html):
        terminal.say("pages: nothing changed")
    else:
        terminal.say("pages: rendering")
        fresh = render.sphinx(source, settings, layout.build / "render", layout.log("render"))
        replace_folder(fresh, layout.html)
        render.seal(source, settings, layout.html)
        terminal.say(f"pages: rendered in {time.monotonic() - began:.0f} s")
    return layout.html / "index.html"
