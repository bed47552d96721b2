"""The rendered pages as one PDF, printed by Chromium: each page's article, in the order of the contents."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from ferlib import paths
from ferlib.config import DataError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARTICLE = re.compile(r'<article class="bd-article"[^>]*>(.*?)</article>', re.S)
SHEET = re.compile(r'<link [^>]*rel="stylesheet"[^>]*>')
LEFT_OUT = ("api",)  # hundreds of pages that are better searched than read
LIMIT_S = 300


def write(book: Path, html: Path, place: Path) -> Path:
    """Print the pages in ``html`` to ``place``; returns it.

    Raises ``DataError`` where there is no Chromium, where the pages are not rendered, or where printing fails.
    """
    chromium = browser()
    whole = html / ".print.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole.write_text(assembled(book, html), encoding="utf-8")
        paths.write_whole(place, lambda file: _print(chromium, whole, file))
    finally:
        whole.unlink(missing_ok=True)
    return place


def browser() -> str:
    """The Chromium of this machine.  Raises ``DataError`` where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise DataError(f"No Chromium on this machine; looked for {', '.join(BROWSERS)}")
    return found


def _print(chromium: str, page: Path, file: Path) -> None:
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--no-pdf-header-footer", "--virtual-time-budget=20000", "--generate-pdf-document-outline",
        f"--print-to-pdf={file}", page.as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise DataError(f"Chromium did not print within {LIMIT_S} s") from None
    if not file.is_file() or not file.read_bytes().startswith(b"%PDF"):
        raise DataError(f"Chromium printed nothing:\n{done.stderr[-500:]}")


def assembled(book: Path, html: Path) -> str:
    """One page of all pages; links between them lead to their places in it."""
    names = [name for name in order(book) if name not in LEFT_OUT]
    missing = [name for name in names if not (html / f"{name}.html").is_file()]
    if missing:
        raise DataError(f"{html / missing[0]}.html is not rendered. Render it:  ferlib book build")
    pages = {name: (html / f"{name}.html").read_text(encoding="utf-8") for name in names}
    head = "".join(SHEET.findall(pages[names[0]]))
    body = "".join(_section(name, ARTICLE.search(text), names) for name, text in pages.items())
    return (
        f'<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>The facial-expression book</title>{head}</head>"
        f'<body class="printed"><main class="bd-article">{body}</main></body></html>'
    )


def order(book: Path) -> list[str]:
    """The pages in the order of the contents."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [*toc.get("chapters", []), *(c for part in toc.get("parts", []) for c in part["chapters"])]
    return [toc["root"], *(chapter["file"] for chapter in chapters)]


def _section(name: str, article: re.Match[str] | None, names: list[str]) -> str:
    text = article[1] if article else ""
    for other in names:
        text = re.sub(
            rf'href="{re.escape(other)}\.html(#[^"]*)?"',
            lambda m, o=other: f'href="{m[1] or "#page-" + o}"',
            text,
        )
    return f'<section id="page-{name}" class="printed-page">{text}</section>'
