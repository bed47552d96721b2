"""What several test files share: one Chromium for all tests of pages, since Playwright runs once a process."""

import shutil

import pytest


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium.  On a machine that has none the tests of pages are skipped; `.ci/run` installs it."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=found, args=flags)
        yield started
        started.close()


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """An empty home for one test."""
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty home that the tests of one file share; ``own_home`` gives each test one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERLIB_HOME", str(tmp_path_factory.mktemp("home")))
        yield
