"""The live filter viewer in a running JupyterLab: a slider is moved by keyboard, and face, map and answer follow."""

import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest

CELL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_viewer_filters import made_up, small_bench
from ferlib import viewer
viewer.FilterViewer([made_up()], bench=small_bench())
"""
NO_NEWS = ("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate")


@pytest.fixture
def lab(request, tmp_path):
    """The address of a notebook with the ``CELL`` of the test, in a JupyterLab that keeps to ``tmp_path``."""
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # else JupyterLab asks for it
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(request.module.CELL)], metadata=about)
    nbformat.write(content, tmp_path / "small.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    kept = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "IPYTHONDIR",
    )
    own = {name: str(tmp_path / name.lower()) for name in (*kept, "FERLIB_HOME")}
    env = {name: value for name, value in os.environ.items() if name != "FERLIB_RESULT"} | own
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.extension_manager=readonly", *NO_NEWS,
    ]  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=log)
    try:
        while server.poll() is None and not _answers(port):
            time.sleep(0.2)
        assert server.poll() is None, (tmp_path / "lab.log").read_text()
        yield f"http://127.0.0.1:{port}/lab/tree/small.ipynb?token={token}"
    finally:
        server.terminate()  # the server stops its kernels
        server.wait(timeout=60)


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


SOURCES = """picture => { window.sources = [picture.src];
  new MutationObserver(() => window.sources.push(picture.src)).observe(picture, { attributeFilter: ["src"] }); }"""
BYTES = "async picture => Array.from(new Uint8Array(await (await fetch(picture.src)).arrayBuffer()))"


def shown(stage):
    """The face (H, W, 3) and the face under the map, as the page shows them, and what the network answers."""
    both = cv2.imdecode(np.array(stage.locator("img").evaluate(BYTES), np.uint8), cv2.IMREAD_COLOR)
    return *np.split(both, 2, axis=1), stage.locator(".widget-html").inner_text()


@pytest.mark.full
def test_in_jupyterlab_a_slider_moves_face_map_and_probabilities(lab, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1500, "height": 1300})
    page.goto(lab)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)  # before, a cell does not run
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    stage = page.locator(".widget-hbox", has=page.locator(".widget-html")).last
    stage.locator("img").wait_for(timeout=120_000)
    slider = stage.locator(".widget-slider", has=page.get_by_text("AU 12", exact=True))
    handle = slider.locator(".noUi-handle")
    handle.focus()
    face, mapped, told = shown(stage)
    stage.locator("img").evaluate(SOURCES)
    began, presses = time.monotonic(), 19
    for press in range(presses):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"window.sources.length > {press + 1}")
    seconds = time.monotonic() - began
    print(
        f"{presses} steps of a slider in {seconds:.1f} s: {presses / seconds:.1f} frames a second, key to picture"
    )
    smiling, mapped_smiling, told_smiling = shown(stage)
    shots = Path(os.environ.get("FERLIB_SHOTS", tmp_path))
    page.screenshot(path=shots / "lab.png")
    assert slider.locator(".widget-readout").inner_text() == "4.8"
    moved = np.abs(smiling.astype(float) - face).mean(axis=2)
    assert (
        moved[len(moved) // 2 :].max() > 40 > 10 * moved[: len(moved) // 4].mean()
    )  # the mouth, not the brow
    assert np.abs(mapped_smiling.astype(float) - mapped).max() > 40
    assert told != told_smiling
    stage.get_by_role("button", name="neutral").click()
    page.wait_for_function("window.sources.length > 20")
    digest = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in (face, shown(stage)[0])]
    assert digest[0] == digest[1]
    page.close()
