"""The rendered book in a real browser: opened from the disk, with every request recorded."""

import functools
import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

import axe_playwright_python
import fer_world
import numpy as np
import pandas as pd
import pytest
import yaml

from ferlib.book import pdf

ROOT = Path(__file__).parent.parent
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
PAGES = ("index", *(page["file"] for part in TOC["parts"] for page in part["chapters"]))
MODES = {"light": (1280, False), "dark": (1280, True), "phone": (390, False)}
RULES = {"light": [], "dark": ["color-contrast"], "phone": ["scrollable-region-focusable"]}
"""Of axe: all in the light, and what can differ in the other modes."""
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The book at the tiny profile, with chapter 1 executed on the committed sample of drawn faces."""
    folder = tmp_path_factory.mktemp("site")
    source = fer_world.sample(folder / "drawn")
    home = folder / "home" / "tiny"  # where the profile has its faces
    remember_people(source / "fer2013.csv", home / "drawn" / "fer2013")
    for faces, command in (
        (home, ["corpus", "prepare", "fer2013", "--source", str(source)]),
        (
            home.parent,
            ["book", "build", "--profile", "tiny", "--only", "training", "--out", str(folder / "out")],
        ),
    ):
        env = {**os.environ, "FERLIB_HOME": str(faces)}
        done = subprocess.run([sys.executable, "-m", "ferlib.cli", *command], cwd=ROOT, env=env, text=True,
                              capture_output=True, timeout=400)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out" / "_build" / "html"


def remember_people(csv, folder):
    """Write who is in the faces of ``csv``, as the rig does; here made up, two faces a person."""
    codes = pd.read_csv(csv)["emotion"]
    person = np.arange(len(codes)) // 2
    who = {"age": 18 + 2 * person, "monk_tone": 1 + person % 10, "sex": np.where(person % 2, "male", "female"),
           "glasses": person % 3 == 0}  # fmt: skip
    folder.mkdir(parents=True)
    pd.DataFrame({"row": range(len(codes)), "person": person, "emotion": codes, **who}).to_parquet(
        folder / "truth.parquet"
    )


UNREACHABLE = """() => [...document.querySelectorAll(
  "main :is(a[href], button, input, select, summary, [role=button], [role=slider], [onclick])")]
  .filter(it => it.checkVisibility() && !it.disabled && it.tabIndex < 0).map(it => it.outerHTML)"""


class Visit:
    """A page opened in a window of ``width`` pixels, with what it asked for and what went wrong."""

    def __init__(self, browser, file, width=1280, dark=False):
        self.page = browser.new_page(viewport={"width": width, "height": 900},
                                     color_scheme="dark" if dark else "light")  # fmt: skip
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.errors.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.goto(file.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()

    @property
    def outside(self):
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@dataclass
class Seen:
    """What a page was found to be in one mode."""

    outside: list
    errors: list
    overflow: int  # pixels that the page is too wide
    headings: list
    unreachable: list  # controls that the keyboard does not reach
    links: list
    provenance: list
    violations: list


@pytest.fixture(scope="session")
def seen(site, browser):
    """``seen(name, mode)``; every page is opened once in each mode."""

    @functools.cache
    def look(name, mode):
        width, dark = MODES[mode]
        with Visit(browser, site / f"{name}.html", width, dark) as visit:
            overflow = visit.page.evaluate("document.documentElement.scrollWidth") - width
            headings = visit.page.locator(".bd-article").locator("h1, h2, h3, h4, h5, h6")
            levels = headings.evaluate_all("found => found.map(heading => +heading.tagName[1])")
            unreachable = visit.page.evaluate(UNREACHABLE)
            links = visit.page.locator("main a[href]").evaluate_all("all => all.map(a => a.href)")
            provenance = visit.page.locator(".bd-article p.provenance").all_inner_texts()
            if shots := os.environ.get("FERLIB_SCREENSHOTS"):
                visit.page.screenshot(path=f"{shots}/{name}-{mode}.png", full_page=True)
            visit.page.add_script_tag(path=str(AXE))
            options = {
                "preload": False,
                "resultTypes": ["violations"],
                **({"runOnly": RULES[mode]} if RULES[mode] else {}),
            }
            judged = visit.page.evaluate("options => axe.run(document, options)", options)["violations"]
            told = [
                f"{v['id']}: {v['nodes'][0]['html']}"
                for v in judged
                if v["impact"] in ("serious", "critical")
            ]
            return Seen(visit.outside, visit.errors, overflow, levels, unreachable, links, provenance, told)

    return look


each = pytest.mark.parametrize(("name", "mode"), [(name, mode) for name in PAGES for mode in MODES])


@each
def test_a_page_opens_from_the_disk_without_an_error_and_asks_nobody(seen, name, mode):
    assert (seen(name, mode).outside, seen(name, mode).errors) == ([], [])


@each
def test_a_page_does_not_scroll_sideways(seen, name, mode):
    assert seen(name, mode).overflow <= 0


@each
def test_axe_finds_no_serious_violation(seen, name, mode):
    assert seen(name, mode).violations == []


@each
def test_every_control_is_reached_with_the_keyboard(seen, name, mode):
    assert seen(name, mode).unreachable == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title_and_its_headings_descend_by_one(seen, name):
    levels = seen(name, "light").headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("name", PAGES)
def test_every_link_within_the_book_leads_somewhere(seen, name):
    within = [url for url in seen(name, "light").links if url.startswith("file:")]
    for address, _, anchor in {url.partition("#") for url in within}:
        file = Path(url2pathname(urlparse(address).path))
        assert file.is_file(), address
        if anchor:
            assert f'id="{unquote(anchor)}"' in file.read_text(), f"{address}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_ends_with_where_it_comes_from(seen, name):
    (said,) = seen(name, "light").provenance
    assert said.startswith("ferlib ")
    assert "commit " in said


def figures_without_data(html):
    """``page#figure`` of each figure in the folder ``html`` that has no table beside it with at least one row."""
    found = []
    for file in sorted(html.glob("*.html")):
        text = file.read_text()
        named = re.findall(r'<figure[^>]* id="(fig-[^"]+)"', text)
        links = {name: url for url, name in re.findall(r'href="([^"]+)" download="([^"]+)\.csv"', text)}
        held = {name for name, url in links.items() if len(pd.read_csv(html / url, low_memory=False))}
        found += [f"{file.stem}#{name}" for name in named if name not in held]
    return found


def test_every_figure_can_be_saved_with_its_data(site):
    assert figures_without_data(site) == []
    links = re.findall(r'href="([^"]+)" download="([^"]+)"', (site / "01_training.html").read_text())
    tables = {name: pd.read_csv(site / url) for url, name in links}
    assert len(tables) == 7
    assert list(tables["fig-training-recall.csv"].columns[1:5]) == ["value", "low", "high", "n"]
    assert "train_loss" in tables["fig-training-curves.csv"]
    pixels = tables["fig-training-faces.csv"]["pixels"].str.split()
    assert {len(face) for face in pixels} == {48 * 48}


def test_the_chapter_shows_its_figures_with_texts_and_captions(site, browser):
    with Visit(browser, site / "01_training.html") as visit:
        figures = visit.page.locator(".bd-article figure img")
        assert figures.count() == 7
        widths = figures.evaluate_all("images => images.map(image => image.naturalWidth)")
        assert min(widths) > 500
        assert all(
            len(text) > 30 for text in figures.evaluate_all("images => images.map(image => image.alt)")
        )
        assert visit.page.locator(".bd-article figcaption").count() == 7


def test_the_chapter_says_that_its_faces_are_drawn_and_where_its_numbers_come_from(site, seen):
    assert '<div class="admonition drawn">' in (site / "01_training.html").read_text()
    assert "synthetic-fer2013 (drawn, digest " in seen("01_training", "light").provenance[0]


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
        answer = visit.page.locator(".answer").first.inner_text()
        assert answer.endswith("%")
        assert answer in chapter.page.locator("main p", has_text="Answer.").first.inner_text()


def test_limits_shows_what_was_measured_of_groups_of_people(site, browser):
    with Visit(browser, site / "limits.html") as visit:
        cells = visit.page.locator("main table tbody td").all_inner_texts()
    rows = [[cell.strip() for cell in cells[i : i + 6]] for i in range(0, len(cells), 6)]
    assert [row[0] for row in rows] == ["skin tone (Monk)", "age", "glasses", "sex"]
    for _, worst, best, _, chance, p in rows:
        for served in (worst, best):
            assert re.fullmatch(r".+: \d+\s% \[\d+, \d+\], \d+ people", served)
        assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", chance)
        assert 0 < float(p) <= 1


def test_a_chapter_that_was_not_run_says_so(site, browser):
    with Visit(browser, site / "facs_primer.html") as visit:
        assert "not run in this build" in visit.page.locator("main").inner_text()


def test_a_printed_page_is_its_text_and_its_figures(site, browser):
    with Visit(browser, site / "01_training.html", dark=True) as visit:
        visit.page.emulate_media(media="print")
        for aside in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", "p.figure-data"):
            assert not visit.page.locator(aside).first.is_visible(), aside
        assert visit.page.locator(".bd-article figure img").first.is_visible()


def test_dark_pages_are_dark(site, browser):
    with Visit(browser, site / "index.html", dark=True) as visit:
        red, green, blue = visit.page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
        )[:3]
        assert max(int(red), int(green), int(blue)) < 60


def test_a_chart_is_dark_on_a_dark_page_and_faces_stay_as_they_are(site, browser):
    looks = "all => all.map(it => [it.closest('.chart') !== null, getComputedStyle(it).filter !== 'none'])"
    for dark in (True, False):
        with Visit(browser, site / "01_training.html", dark=dark) as visit:
            found = visit.page.locator("figure.align-default img").evaluate_all(looks)
        assert {chart for chart, _ in found} == {True, False}
        assert all(inverted == (chart and dark) for chart, inverted in found)


def test_on_a_telephone_captions_and_code_stay_within_the_screen(site, browser):
    cut = """all => all.filter(it => it.checkVisibility() && (it.scrollWidth > it.clientWidth + 1
        || it.getBoundingClientRect().right > innerWidth)).map(it => it.innerText)"""
    with Visit(browser, site / "01_training.html", width=390) as visit:
        shown = visit.page.locator(".bd-article :is(figcaption, div.cell_input pre)")
        assert shown.count() > 10
        assert shown.evaluate_all(cut) == []


def test_the_site_is_small(site):
    assert not list(site.rglob("*.map"))
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 25e6
    assert max(file.stat().st_size for file in site.glob("*.html")) < 4e6


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_waits_for_before_it_shows_itself_is_light(site, name):
    text = (site / f"{name}.html").read_text()
    sheets = re.findall(
        r'<link[^>]* href="([^"?]+)[^"]*"[^>]*rel="stylesheet"|rel="stylesheet"[^>]*href="([^"?]+)', text
    )
    scripts = re.findall(r'<script(?![^>]*\b(?:defer|async)\b)[^>]* src="([^"?]+)', text)
    waited_for = {*scripts, *(a or b for a, b in sheets)}
    assert len(waited_for) > 5
    assert all(not file.startswith("_static/data/") for file in waited_for)
    assert sum((site / file).stat().st_size for file in waited_for) < 1.5e6


def test_the_book_is_printed_as_a_pdf(site, browser, tmp_path):
    place = pdf.write(ROOT / "book", site, tmp_path / "book.pdf")
    assert place.read_bytes().startswith(b"%PDF")
    assert place.stat().st_size > 100_000
    assert not (site / ".print.html").exists()
