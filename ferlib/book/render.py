"""Executed notebooks and pages rendered by jupyter-book, with every warning an error and execution off."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ferlib import config
from ferlib.book.chapters import name_of
from ferlib.book.record import left_folder
from ferlib.config import DataError
from ferlib.lifeline import die_with_parent

SKIPPED = ("profiles", "results", ".ipynb_checkpoints", "__pycache__", "_build")
"""What of ``book/`` is no page."""

GLUED = re.compile(r"\{glue:text\}`([^`:]+\.ipynb)::([^`:]+)[^`]*`")
"""A number that one page takes from another: ``{glue:text}`01_training.ipynb::accuracy:s` ``."""

NOT_RUN = "not run"


def stage(book: Path, source: Path, executed: dict[str, Path | None]) -> None:
    """Copy the pages of ``book`` to ``source``, its notebooks as executed; a stub for those that were not."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(book, source, ignore=shutil.ignore_patterns(*SKIPPED))
    for name, file in executed.items():
        notebook = read(file) if file else stub(book / name, _wanted(source, name))
        for cell in notebook["cells"]:
            tags = cell["metadata"].get("tags", [])
            if "injected-parameters" in tags:
                cell["metadata"]["tags"] = [*tags, "remove-cell"]  # the run card shows them
        (source / name).write_text(json.dumps(notebook), encoding="utf-8")
        left = left_folder(file.with_name("result.json")) if file else source / "nothing"
        if left.is_dir():
            shutil.copytree(left, source / "_static" / "data" / name_of(book / name))


def read(file: Path) -> dict[str, Any]:
    """A notebook as plain JSON."""
    return json.loads(file.read_text(encoding="utf-8"))


def _wanted(source: Path, notebook: str) -> list[str]:
    """The numbers of ``notebook`` that other pages show."""
    found = [GLUED.findall(page.read_text(encoding="utf-8")) for page in source.rglob("*.md")]
    return sorted({key for page in found for name, key in page if name == notebook})


def stub(notebook: Path, keys: list[str]) -> dict[str, Any]:
    """A page in the place of a chapter that was not executed: its title, and ``keys`` glued as "not run"."""
    content = read(notebook)
    title = "".join(content["cells"][0]["source"]).splitlines()[0]
    command = f"ferlib book build --only {name_of(notebook)}"
    text = f"{title}\n\nThis chapter was not run in this build. To run it:\n\n```console\n$ {command}\n```\n"
    mime = "application/papermill.record/text/plain"
    glued = [
        {"output_type": "display_data", "data": {mime: repr(NOT_RUN)},
         "metadata": {"scrapbook": {"mime_prefix": mime.removesuffix("text/plain"), "name": key}}}
        for key in keys
    ]  # fmt: skip
    code = {"cell_type": "code", "id": "not-run", "metadata": {"tags": ["remove-cell"]}, "source": "",
            "execution_count": None, "outputs": glued}  # fmt: skip
    content["cells"] = [{"cell_type": "markdown", "id": "stub", "metadata": {}, "source": text}, code]
    return content


def sphinx(source: Path, settings: Path, work: Path, log: Path) -> Path:
    """Render ``source`` with jupyter-book in ``work``; returns the folder of pages.

    Raises ``DataError`` with the warnings and the log's place where there are any.
    """
    shutil.rmtree(work, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source),
        "--config", str(settings), "--path-output", str(work), "-n", "-W", "--keep-going",
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        try:
            code = process.wait()
        finally:
            process.kill()
            process.wait()
    if code != 0:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
        heard = [line for line in said if re.search(r"WARNING|ERROR|Error|error:", line)] or said[-20:]
        raise DataError("The pages could not be rendered:\n  " + "\n  ".join(heard[:20]) + f"\nLog: {log}")
    return work / "_build" / "html"


def digest(source: Path, settings: Path) -> str:
    """Digest of all that the pages are made of."""
    seen = hashlib.sha256(
        config.code_digest(["book.offline", "book.render"]).encode() + settings.read_bytes()
    )
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        seen.update(file.relative_to(source).as_posix().encode() + file.read_bytes())
    return seen.hexdigest()


def seal(source: Path, settings: Path, html: Path) -> None:
    """Note what the pages in ``html`` were made of and what they are, beside them."""
    note = {"source": digest(source, settings), "pages": _pages(html)}
    html.with_name("html.json").write_text(json.dumps(note), encoding="utf-8")


def is_current(source: Path, settings: Path, html: Path) -> bool:
    """Whether ``html`` holds exactly the pages that were made of these sources."""
    try:
        note = json.loads(html.with_name("html.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return note == {"source": digest(source, settings), "pages": _pages(html)}


def _pages(html: Path) -> str:
    seen = hashlib.sha256()
    for file in sorted(path for path in html.rglob("*") if path.is_file()):
        seen.update(file.relative_to(html).as_posix().encode() + file.read_bytes())
    return seen.hexdigest()
