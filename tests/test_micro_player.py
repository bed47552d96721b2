"""The player of clips and the figures of the chapter: picture, page without a kernel, live widgets."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from micro_world import moving_dots

from ferlib import models
from ferlib.micro import clips, loso, network, probes
from ferlib.plots import micro
from ferlib.viewer import clip_player
from ferlib.viewer.clip_player import ClipPlayer, Played


@pytest.fixture(scope="module")
def dots():
    return clips.of(moving_dots(people=3, each=3))


@pytest.fixture(scope="module")
def named(dots):
    torch.manual_seed(0)
    config = network.ClipConfig(n_frames=8, hidden=6)
    net = models.EmotionCNN(n_classes=3, size=24, width=0.05)
    lstm = network.ClipLSTM(loso.examples(net, loso.inputs(dots, config, 24), dots, config).x.shape[2], 3, 6)
    return probes.Named(net, lstm, loso.classes_of(dots), config, 24)


@pytest.fixture(scope="module")
def clip(named, dots):
    course = pd.DataFrame({"AU 12": np.linspace(0, 2, 8), "AU 4": np.zeros(8)})
    return clip_player.played(named, dots, 1, course)


@pytest.fixture
def page(browser, clip, tmp_path):
    def opened(**options):
        (tmp_path / "page.html").write_text(f"<html><body>{ClipPlayer(clip).html()}</body></html>")
        shown = browser.new_page(**options)
        asked = []
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto((tmp_path / "page.html").as_uri())
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        return shown

    return opened


def test_what_is_played_is_what_the_network_said(named, dots, clip):
    p = clip.curves["Probability of each class"][0]
    assert list(p.columns) == named.classes
    assert p.iloc[-1].to_numpy() == pytest.approx(
        named(dots.select(np.array([1])))[named.classes].to_numpy()[0], abs=1e-6
    )
    features, states = clip.maps.values()
    assert states.shape == (8, 6)
    x = named.features(dots.select(np.array([1])))[0]
    expected = (x - named.lstm.mean.numpy()) / named.lstm.sd.numpy() / clip_player.FULL_SD
    assert features == pytest.approx(np.clip(expected, -1, 1))
    assert clip.times[-1] == pytest.approx(dots.times[1][-1])
    told = clip_player.says(clip)
    assert told[0].startswith("0 ms, onset; no Action Unit acts")
    assert "AU 12 2.0" in told[-1]
    assert f", {100 * p.iloc[-1].max():.0f} %" in told[-1]


def test_the_loop_plays_stops_and_can_be_scrubbed(page, clip):
    shown = page()
    slider, button, told = shown.locator("input"), shown.locator("button"), shown.locator("output")
    first = slider.input_value()
    shown.wait_for_function(f"document.querySelector('input').value !== '{first}'")
    assert button.inner_text() == "pause"
    button.click()
    slider.evaluate("s => { s.value = 7; s.dispatchEvent(new Event('input')); }")
    assert told.inner_text() == clip_player.says(clip)[7]
    assert shown.locator(".clip-now").first.evaluate("e => e.style.left") == "100%"
    shown.wait_for_timeout(2 * clip_player.HOLD_MS)
    assert slider.input_value() == "7"
    slider.press("ArrowLeft")
    assert slider.input_value() == "6"
    shown.close()


def test_the_loop_stands_still_where_motion_is_unwanted(page, clip):
    shown = page(reduced_motion="reduce")
    shown.wait_for_timeout(3 * clip_player.HOLD_MS)
    assert shown.locator("input").input_value() == str(clip.apex)
    assert shown.locator("button").inner_text() == "play"
    shown.close()


def test_the_player_fits_a_telephone(page):
    shown = page(viewport={"width": 360, "height": 700})
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.close()


def test_change_is_white_at_first_and_coloured_by_its_sign():
    frames = np.full((2, 2, 2), 255, np.uint8)
    frames[1, 0, 0] -= micro.CHANGE
    made = clip_player.coloured(frames)
    assert (made[0] == 255).all()
    assert made[1, 0, 0].tolist() == [0x00, 0x72, 0xB2]
    assert (made[1, 1, 1] == 255).all()


def test_the_player_has_a_picture_and_widgets_only_in_a_live_kernel(clip, monkeypatch):
    player = ClipPlayer(clip, {"the same": lambda: clip})
    monkeypatch.setenv("FERLIB_RESULT", "x")
    bundle = player._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert set(bundle) == {"image/png", "text/html", "text/plain"}
    assert not re.search(r"https?://", bundle["text/html"])
    monkeypatch.delenv("FERLIB_RESULT")
    assert "application/vnd.jupyter.widget-view+json" in player._repr_mimebundle_()


def test_the_live_widget_follows_slider_and_list(clip):
    other = Played(clip.frames[:4], clip.times[:4], 2, "other")
    box = clip_player.live({"one": lambda: clip, "other": lambda: other})
    which, (_, slider), told = (
        box.children[0].children[0],
        box.children[0].children[1].children,
        box.children[0].children[2],
    )
    (face, _), (*_, curves, line) = box.children[1].children[0].children, box.children
    before = face.value
    slider.value = 7
    assert told.value.startswith(clip_player.says(clip)[7].split(";")[0])
    assert face.value != before
    assert "left: 100.0%" in line.value
    assert "AU 12" in curves.value
    which.value = "other"
    assert "AU 12" not in curves.value
    assert slider.max == 3
    assert slider.value == 3


# ----------------------------------------------------------------------------------------------------- figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(**columns):
    return pd.DataFrame(columns)


def test_figures_show_every_row_they_are_given(clip):
    assert micro.strip(clip.frames[:4], list("abcd")).shape == (2, 4)
    one = table(value=[0.4, 0.5], low=[0.3, 0.4], high=[0.5, 0.6]).set_axis(["majority", "LSTM"])
    axes = micro.methods({"accuracy": one, "UF1": one}, {"accuracy": 0.4})
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["majority", "LSTM"]
    assert [len(ax.lines) for ax in axes] == [2, 1]
    rows = one.reset_index(drop=True)
    seen = rows.assign(seen=[0.5, 1.0])[["seen", "value", "low", "high"]]
    grid = micro.dependence({"a": seen, "b": seen, "c": seen}, chance=0.4)
    assert grid.shape == (2, 2)
    assert grid[0, 1].get_xlabel() == "seen"
    assert not grid[1, 1].axison
    assert len(micro.over_time({"right": np.arange(5.0), "wrong": np.arange(5.0)}, 0.4).lines) == 4
    ax = micro.spotted(np.arange(10.0), 5.0, (2, 4), [(3, 5), (7, 9)])
    assert len(ax.collections) == 4
