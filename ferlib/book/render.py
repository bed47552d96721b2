"""Pages rendered by jupyter-book, with every warning an error and execution off."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from ferlib import config, paths
from ferlib.config import DataError
from ferlib.lifeline import die_with_parent

REPOSITORY_VARIABLE = "FERLIB_REPOSITORY"
"""Environment variable with the address of the repository, ``https://host/owner/name``."""

LAUNCH = {
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
    "notebook_interface": "jupyterlab",
}
"""Where a chapter can be opened to run it, once it lies in a repository that these services reach."""


COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NOT_WRITTEN = re.compile(r"\[Errno (13|27|28|30|122)\] ([^:\n]+)")
"""What Python says where a folder takes no file: not allowed, too large, no space, read-only, over the quota."""


def configured(settings: Path, place: Path) -> Path:
    """Write ``settings`` to ``place``, with buttons where an address of the repository is known; returns ``place``.

    The address is that of the environment, else ``repository: url`` of the settings.
    """
    content = yaml.safe_load(settings.read_text(encoding="utf-8"))
    repository = content.get("repository") or {}
    if url := os.environ.get(REPOSITORY_VARIABLE) or repository.get("url"):
        told = {
            "repository_url": url,
            "repository_branch": repository.get("branch", "main"),
            "path_to_docs": "book",
        }
        of_sphinx = content.setdefault("sphinx", {}).setdefault("config", {})
        theme = of_sphinx.setdefault(
            "html_theme_options", {}
        )  # of which jupyter-book would add nothing to ours
        theme |= {**told, "launch_buttons": LAUNCH, "use_repository_button": True}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    paths.write_whole(place, lambda file: file.write_text(text, encoding="utf-8"))
    return place


def sphinx(source: Path, settings: Path, work: Path, log: Path) -> Path:
    """Render ``source`` with jupyter-book in ``work``; returns the folder of pages.

    Raises ``DataError`` with the warnings and the log's place where there are any, ``OSError`` on a full disk.
    """
    shutil.rmtree(work, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    program = "import ferlib.book; from jupyter_book.cli.main import main; main()"
    command = [
        sys.executable, "-c", program, "build", str(source),
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
        text = COLOURS.sub("", log.read_text(encoding="utf-8", errors="replace"))
        if full := NOT_WRITTEN.search(text):
            raise OSError(int(full[1]), full[2], str(work))
        said = text.splitlines()
        heard = [line for line in said if re.search(r"WARNING|ERROR|Error|error:", line)] or said[-20:]
        raise DataError("The pages could not be rendered:\n  " + "\n  ".join(heard[:20]) + f"\nLog: {log}")
    html = work / "_build" / "html"
    for source_map in html.rglob("*.map"):  # megabytes for those who debug the theme
        source_map.unlink()
    return html


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
