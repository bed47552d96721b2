"""The rendered book in a real browser: opened from the disk, with every request recorded."""

import os
import subprocess
import sys
from pathlib import Path

import fer_world
import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("index", "01_training", "reproduce", "glossary", "limits", "bibliography")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The book at the tiny profile, with chapter 1 executed on the committed sample of drawn faces."""
    folder = tmp_path_factory.mktemp("site")
    env = {**os.environ, "FERLIB_HOME": str(folder / "home")}
    source = fer_world.sample(folder / "drawn")
    for command in (
        ["corpus", "prepare", "fer2013", "--source", str(source)],
        ["book", "build", "--profile", "tiny", "--only", "training", "--out", str(folder / "out")],
    ):
        done = subprocess.run([sys.executable, "-m", "ferlib.cli", *command], cwd=ROOT, env=env, text=True,
                              capture_output=True, timeout=400)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out" / "_build" / "html"


class Visit:
    """A page opened in a window of ``width`` pixels, with what it asked for and what went wrong."""

    def __init__(self, browser, file, width=1280, dark=False):
        self.page = browser.new_page(viewport={"width": width, "height": 900},
                                     color_scheme="dark" if dark else "light")  # fmt: skip
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.errors.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(file.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()

    @property
    def outside(self):
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_the_disk_and_asks_nobody(site, browser, name):
    with Visit(browser, site / f"{name}.html") as visit:
        assert visit.page.locator(".bd-article h1").first.is_visible()
        assert visit.outside == []
        assert visit.errors == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_not_scroll_sideways_on_a_telephone(site, browser, name):
    with Visit(browser, site / f"{name}.html", width=390) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_chapter_shows_its_figures_with_texts_and_captions(site, browser):
    with Visit(browser, site / "01_training.html") as visit:
        figures = visit.page.locator(".bd-article figure img")
        assert figures.count() == 6
        widths = figures.evaluate_all("images => images.map(image => image.naturalWidth)")
        assert min(widths) > 500
        assert all(
            len(text) > 30 for text in figures.evaluate_all("images => images.map(image => image.alt)")
        )
        assert visit.page.locator(".bd-article figcaption").count() == 6


def test_the_chapter_says_that_its_faces_are_drawn_and_where_its_numbers_come_from(site, browser):
    with Visit(browser, site / "01_training.html") as visit:
        assert "synthetic-fer2013" in visit.page.locator(".admonition.drawn").inner_text()
        provenance = visit.page.locator("p.provenance").inner_text()
        assert "synthetic-fer2013 (drawn, digest " in provenance
        assert "commit" in provenance


def test_the_sheets_of_faces_open_without_a_kernel(site, browser):
    with Visit(browser, site / "01_training.html") as visit:
        second = visit.page.locator(".sheets details").nth(1)
        assert not second.locator("img").is_visible()
        second.locator("summary").focus()
        visit.page.keyboard.press("Enter")
        assert second.locator("img").is_visible()


def test_equations_are_drawn_without_a_script(site, browser):
    with Visit(browser, site / "01_training.html") as visit:
        assert visit.page.locator("div.math math").count() == 2
        assert visit.page.locator("div.math").first.inner_text().strip().startswith("(1)")
        visit.page.evaluate("document.fonts.ready")
        assert visit.page.evaluate("document.fonts.check('16px \"STIX Two Math\"')")


def test_the_index_shows_the_number_of_the_chapter(site, browser):
    with Visit(browser, site / "index.html") as visit, Visit(browser, site / "01_training.html") as chapter:
        answer = visit.page.locator(".answer").inner_text()
        assert answer.endswith("%")
        assert answer in chapter.page.locator("main p", has_text="Answer.").first.inner_text()


def test_a_chapter_that_was_not_run_says_so(site, browser):
    with Visit(browser, site / "facs_primer.html") as visit:
        assert "not run in this build" in visit.page.locator("main").inner_text()


def test_dark_pages_are_dark(site, browser):
    with Visit(browser, site / "index.html", dark=True) as visit:
        red, green, blue = visit.page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
        )[:3]
        assert max(int(red), int(green), int(blue)) < 60


def test_the_site_is_small(site):
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 25e6
    assert max(file.stat().st_size for file in site.glob("*.html")) < 4e6
