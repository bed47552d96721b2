"""The live clip player in a running JupyterLab: a clip is scrubbed by keyboard, and all that is told of it follows."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from micro_world import moving_dots
from test_viewer_lab import BYTES, lab  # noqa: F401 - a fixture

from ferlib import models
from ferlib.micro import clips, loso, network, probes
from ferlib.viewer import clip_player

CELL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_viewer_lab_clips import player
player()
"""
FRAMES = 8


def player():
    """A network that has learned nothing, and clips of dots whose one Action Unit rises evenly."""
    torch.manual_seed(0)
    dots, config = clips.of(moving_dots(people=3, each=3)), network.ClipConfig(n_frames=FRAMES, hidden=6)
    net = models.EmotionCNN(n_classes=3, size=24, width=0.05)
    lstm = network.ClipLSTM(loso.examples(net, loso.inputs(dots, config, 24), dots, config).x.shape[2], 3, 6)
    named = probes.Named(net, lstm, loso.classes_of(dots), config, 24)
    course = pd.DataFrame({"AU 12": np.linspace(0, 2, FRAMES)})
    return clip_player.ClipPlayer(
        clip_player.played(named, dots, 1, course),
        {"another": lambda: clip_player.played(named, dots, 2)},
    )


def told(stage):
    """What stands beside the frame: the words, the picture, the numbers, the two rows of cells, and the line."""
    cells = stage.locator(".clip-bars .clip-map").evaluate_all("all => all.map(e => e.style.background)")
    return {
        "words": stage.locator(".clip-says").inner_text(),
        "face": bytes(stage.locator("img").first.evaluate(BYTES)),
        "probabilities": re.findall(r"\d\.\d\d", stage.locator(".clip-bars").inner_text()),
        "features": cells[0],
        "state": cells[1],
        "line": stage.locator(".clip-now").first.evaluate("e => getComputedStyle(e).left"),
    }


@pytest.mark.full
def test_in_jupyterlab_a_clip_is_scrubbed_by_keyboard_and_chosen_from_the_list(request, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.goto(request.getfixturevalue("lab"))
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    stage = page.locator(".clip-live")
    stage.locator("img").first.wait_for(timeout=120_000)
    handle = stage.locator(".noUi-handle")
    handle.focus()
    clip, seen = player().clip, [told(stage)]
    for t in range(1, FRAMES):
        page.keyboard.press("ArrowRight")
        stage.get_by_text(clip_player.says(clip)[t]).wait_for()
        seen.append(told(stage))
    page.screenshot(path=Path(os.environ.get("FERLIB_SHOTS", tmp_path)) / "lab-clips.png")
    p = clip.curves["Probability of each class"][0]
    for t, one in enumerate(seen):
        levels = [f"{2 * t / (FRAMES - 1):.2f}"]
        assert one["probabilities"] == levels + [f"{value:.2f}" for value in p.iloc[t]]
    for part in ("words", "face", "features", "state", "line"):
        assert len({one[part] for one in seen}) == FRAMES, part
    page.keyboard.press("Home")
    stage.get_by_text(clip_player.says(clip)[0]).wait_for()
    assert told(stage) == seen[0]
    stage.locator("select").select_option("another")
    stage.get_by_text("no Action Unit").wait_for(state="detached")
    assert "AU 12" not in stage.locator(".clip-bars").inner_text()
    page.close()
