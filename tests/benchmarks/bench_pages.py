"""How soon a rendered page shows something to read, opened from the disk in Chromium.

    python tests/benchmarks/bench_pages.py [FOLDER OF PAGES]

Without a folder: the pages in ``_build/html`` of the checkout.  Each page is opened three times, light and on a
desktop; its first contentful paint (W3C Paint Timing) is counted from the start of the navigation, and the median
shown.  Its limit is broken where one takes more than a second, weighs more than 4 MB, or the whole
folder more than 25 MB.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from ferlib import paths
from ferlib.book import pdf

LIMIT_S, LIMIT_PAGE, LIMIT_SITE = 1.0, 4e6, 25e6
PAINT = """async () => {
  for (let i = 0; i < 100; i++) {
    const found = performance.getEntriesByName("first-contentful-paint")[0];
    if (found) return found.startTime / 1000;
    await new Promise(later => setTimeout(later, 20));
  }
}"""


def first_paint_s(browser: Browser, page: Path) -> float:
    """Median over three visits, each in a fresh window."""
    seen = []
    for _ in range(3):
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        window.goto(page.as_uri())
        seen.append(window.evaluate(PAINT))
        window.close()
    return statistics.median(seen)


def main() -> int:
    """Print every page and say which limits are broken."""
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else paths.checkout() / "_build" / "html"
    pages, broken = sorted(site.glob("*.html")), []
    if not pages:
        print(f"No pages in {site}. Render them:  ferlib book build")
        return 1
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=pdf.browser(), args=flags)
        for page in pages:
            paint_s, size = first_paint_s(browser, page), page.stat().st_size
            print(f"{page.stem:24} first paint {paint_s:.2f} s, {size / 1e6:.2f} MB", flush=True)
            broken += [page.stem] * (paint_s > LIMIT_S or size > LIMIT_PAGE)
        browser.close()
    whole = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    print(f"{'the whole folder':24} {whole / 1e6:.1f} MB")
    broken += ["the whole folder"] * (whole > LIMIT_SITE)
    print(f"over the limit: {', '.join(broken)}" if broken else "every limit is kept")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
