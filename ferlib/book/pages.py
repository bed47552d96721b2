"""The pages of a book staged for rendering: its texts, its notebooks as executed, and what each page must say.

A chapter's page says before its answer that its faces are drawn, has a link to the data under each figure, and
ends with where its numbers come from.  The pages of claims and of speed are filled from ``book/results``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ferlib
from ferlib.book import answers, api, claims, performance, provenance
from ferlib.book.chapters import name_of
from ferlib.book.record import BANNER, glued, left_folder

SKIPPED = ("profiles", "results", ".ipynb_checkpoints", "__pycache__", "_build")
"""What of ``book/`` is no page."""

GLUED = re.compile(r"\{glue:text\}`([^`:]+\.ipynb)::([^`:]+)[^`]*`")
"""A number that one page takes from another: ``{glue:text}`01_training.ipynb::accuracy:s` ``."""

NOT_RUN = "not run"

FILLED = {"<!-- claims -->": claims.page, "<!-- benchmarks -->": performance.page, "<!-- api -->": api.page}
"""Marks in the texts of ``book/``, and what stands in their place."""


def stage(book: Path, source: Path, executed: dict[str, Path | None]) -> None:
    """Copy the pages of ``book`` to ``source``, its notebooks as executed; a stub for those that were not."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(book, source, ignore=shutil.ignore_patterns(*SKIPPED))
    told = {name: _told(file) for name, file in executed.items() if file}
    by_chapter = {result["chapter"]: result for result in told.values()}
    for page in sorted(source.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        filled = answers.filled(_filled(text, book), by_chapter)
        page.write_text(filled + _ending(text, told), encoding="utf-8")
    for name, file in ({page.name: None for page in source.glob("*.ipynb")} | executed).items():
        notebook = chapter(file, told[name]) if file else stub(book / name, _wanted(source, name))
        text = json.dumps(notebook)
        (source / name).write_text(text, encoding="utf-8")
        if file and (left := left_folder(file.with_name("result.json"))).is_dir():
            _copy_left(left, source / "_static", name_of(file.with_name(name)), text)


def _copy_left(left: Path, static: Path, chapter: str, page: str) -> None:
    """Copy what a chapter left; of the data of figures, what its ``page`` has a link to.

    Pictures of the first page take the place of those of the sources.
    """
    unasked = [f.name for f in left.glob("figure-*.csv") if f.name not in page]
    shutil.copytree(left, static / "data" / chapter, ignore=shutil.ignore_patterns(*unasked))
    for picture in left.glob("story-*"):
        shutil.copy(picture, static / "story" / picture.name.removeprefix("story-"))


def read(file: Path) -> dict[str, Any]:
    """A notebook, or another JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def _told(executed: Path) -> dict[str, Any]:
    return read(executed.with_name("result.json"))


def _filled(text: str, book: Path) -> str:
    for mark, fill in FILLED.items():
        if mark in text:
            text = text.replace(mark, fill(book))
    return text


def _ending(text: str, told: dict[str, dict[str, Any]]) -> str:
    """The provenance line of a page that is no chapter: its code, and the chapters whose numbers it shows."""
    where = provenance.commit()
    said = [f"ferlib {ferlib.__version__} · commit {where['commit']}"]
    for name in dict.fromkeys(name for name, _ in GLUED.findall(text) if name in told):
        said.append(f"numbers of {told[name]['chapter']}: {provenance.sentence(told[name])}")
    return f'\n\n<p class="provenance">{"<br>".join(said)}</p>\n'


def chapter(executed: Path, result: dict[str, Any]) -> dict[str, Any]:
    """The notebook ``executed`` as a page: banner, data of its figures and provenance where a reader looks for them."""
    notebook = read(executed)
    data = left_folder(executed.with_name("result.json"))
    for name in _not_drawn(notebook["cells"]):
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"]).replace(
                f"{{numref}}`{name}`", "*a figure that this run lacks*"
            )
    notebook["cells"] = list(_cells(notebook["cells"], data, result))
    return notebook


def _not_drawn(cells: list[dict[str, Any]]) -> list[str]:
    """Names of figures whose cells showed no picture, as where too little was measured; nothing can refer to them."""
    named = {cell["metadata"].get("mystnb", {}).get("figure", {}).get("name"): cell for cell in cells}
    return [
        name
        for name, cell in named.items()
        if name and not any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]


def _cells(cells: list[dict[str, Any]], data: Path, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for i, cell in enumerate(cells):
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            cell["metadata"]["tags"] = [*tags, "remove-cell"]  # the run card shows them
        if i == 0:
            cell["source"] = _with_banner("".join(cell["source"]), result)
        cell["outputs"] = [o for o in cell.get("outputs", []) if not _moved(o)]
        if cell["cell_type"] != "code":
            del cell["outputs"]
        yield cell
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        kept = data / f"figure-{cell.get('execution_count')}.csv"
        if name and kept.is_file():
            address = f"_static/data/{result['chapter']}/{kept.name}"
            yield _text(
                f"data-{i}",
                f'<p class="figure-data"><a href="{address}" download="{name}.csv">Data of this figure (CSV)</a></p>',
            )
    yield _text("provenance", f'<p class="provenance">{provenance.sentence(result)}</p>')


def _with_banner(text: str, result: dict[str, Any]) -> str:
    drawn = [name for name, corpus in result["inputs"]["corpora"].items() if corpus["synthetic"]]
    if not drawn:
        return text
    title, _, rest = text.partition("\n")
    banner = BANNER.format(corpora=", ".join(f"<code>{name}</code>" for name in drawn))
    return f"{title}\n\n{banner}\n\n{rest}"


def _moved(output: dict[str, Any]) -> bool:
    """Whether an output is the banner or the provenance line, which stand elsewhere on a page."""
    text = "".join(output.get("data", {}).get("text/html", ""))
    return text.startswith((BANNER[:30], '<p class="provenance">'))


def _text(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


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
    code = {"cell_type": "code", "id": "not-run", "metadata": {"tags": ["remove-cell"]}, "source": "",
            "execution_count": None, "outputs": [glued(key, NOT_RUN) for key in keys]}  # fmt: skip
    content["cells"] = [_text("stub", text + _ending("", {})), code]
    return content
